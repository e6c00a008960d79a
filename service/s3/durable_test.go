package s3

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/store"
)

func eachFile(t testing.TB, dir string, fn func(path string)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "objects", "*", "*"))
	noError(t, err)
	for _, p := range paths {
		fn(p)
	}
}

func damageAll(t testing.TB, dir string) {
	t.Helper()
	eachFile(t, dir, func(path string) {
		b, err := os.ReadFile(path)
		noError(t, err)
		b[len(b)-100] ^= 1
		noError(t, os.WriteFile(path, b, 0o600))
	})
}

// failing is a store whose updates fail after or without their commit.
type failing struct {
	store.Store
	mu     sync.Mutex
	commit bool
	err    error
}

func (s *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	s.mu.Lock()
	err, commit := s.err, s.commit
	s.mu.Unlock()
	if err == nil {
		return s.Store.Update(ctx, fn)
	}
	if commit {
		if err := s.Store.Update(ctx, fn); err != nil {
			return err
		}
	}
	return err
}

func (s *failing) set(err error, commit bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.commit = err, commit
}

// An update that fails may have been committed. Whichever it was, what the
// records say is there, and after the sweep nothing else is.
func TestAnUpdateThatFailsLosesAndLeaksNothing(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed %v", committed), func(t *testing.T) {
			f := newFixture(t)
			faulty := &failing{Store: f.store}
			f.store = faulty
			f.reopen()
			f.bucket("bkt")
			before, after := large(10_000), large(20_000)
			f.put("bkt", "k", before)
			faulty.set(errors.New("the disk is gone"), committed)
			if _, err := f.PutObject(f.ctx, &api.PutObjectInput{Bucket: "bkt", Key: "k", Body: text(after)}); err == nil {
				t.Fatal("an update that failed was acknowledged")
			}
			faulty.set(nil, false)
			want := before
			if committed {
				want = after
			}
			if got := f.body("bkt", "k"); got != want {
				t.Fatalf("object has %d bytes, want %d", len(got), len(want))
			}
			noError(t, f.sweep(f.ctx))
			if got, n := f.body("bkt", "k"), f.filesOnDisk(); got != want || n != 1 {
				t.Fatalf("after the sweep: %d bytes, %d files", len(got), n)
			}
		})
	}
}

func TestTheSweepAtStartRemovesWhatACrashLeft(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	f.put("bkt", "k", large(10_000))
	// A crash between the file and the record, and one between the record and
	// the removal of what it replaced, leave the same: a file without a record.
	if _, err := f.receive(text(large(10_000)), intake{}); err != nil {
		t.Fatal(err)
	}
	if n := f.filesOnDisk(); n != 2 {
		t.Fatalf("%d files", n)
	}
	f.reopen()
	f.Start(f.ctx)
	deadline, tick := time.After(10*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for f.filesOnDisk() != 1 {
		select {
		case <-deadline:
			t.Fatal("the orphan is still there")
		case <-tick.C:
		}
	}
	f.Stop()
	f.Stop()
	if got := f.body("bkt", "k"); got != large(10_000) {
		t.Fatalf("object has %d bytes", len(got))
	}
}

// Readers and writers of one key: every read is one of the bodies, whole, and
// at the end one file is left.
func TestReadsWhileItIsReplaced(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	bodies := map[string]bool{}
	for i := range 4 {
		bodies[large(50_000+i)] = true
	}
	f.put("bkt", "k", large(50_000))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := f.body("bkt", "k"); !bodies[got] {
					t.Errorf("a read gave %d bytes that nobody wrote", len(got))
					return
				}
			}
		})
	}
	for i := range 60 {
		f.put("bkt", "k", large(50_000+i%4))
	}
	close(stop)
	wg.Wait()
	if n := f.filesOnDisk(); n != 1 {
		t.Fatalf("%d files are left of one object", n)
	}
}
