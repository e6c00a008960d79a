package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, s *Store, content []byte) string {
	t.Helper()
	w, err := s.Under(nil).Create()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	id, size, err := w.Commit()
	if err != nil || size != int64(len(content)) {
		t.Fatalf("commit = %d bytes, %v; want %d", size, err, len(content))
	}
	return id
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestRangesReadBackAfterReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	sizes := []int{0, 1, blockSize - 1, blockSize, blockSize + 1, 3*blockSize + 17}
	ids := map[int]string{}
	for _, n := range sizes {
		ids[n] = write(t, s, pattern(n))
	}
	s = open(t, dir)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.SampledFrom(sizes).Draw(rt, "size")
		from := rapid.IntRange(0, n).Draw(rt, "from")
		length := rapid.IntRange(0, n-from).Draw(rt, "length")
		r, err := s.Under(nil).Read(ids[n], int64(n), int64(from), int64(length))
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, pattern(n)[from:from+length]) {
			rt.Fatalf("%d+%d of %d: %d bytes, %v", from, length, n, len(got), err)
		}
	})
}

func TestDamageIsFoundBeforeItIsRead(t *testing.T) {
	content := pattern(3*blockSize + 5)
	tests := []struct {
		name   string
		damage func(sealed []byte) []byte
		good   int // bytes that are still given out
	}{
		{"a flipped bit in the last block", func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, 3 * blockSize},
		{"a flipped bit in the first block", func(b []byte) []byte { b[9] ^= 1; return b }, 0},
		{"two blocks exchanged", func(b []byte) []byte {
			first := bytes.Clone(b[:sealedSize])
			copy(b, b[sealedSize:2*sealedSize])
			copy(b[sealedSize:], first)
			return b
		}, 0},
		{"the end cut off", func(b []byte) []byte { return b[:3*sealedSize] }, 0},
		{"something appended", func(b []byte) []byte { return append(b, 0) }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			id := write(t, s, content)
			path, _ := s.path(id)
			sealed, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.damage(sealed), 0o600); err != nil {
				t.Fatal(err)
			}
			var got []byte
			r, err := s.Under(nil).Read(id, int64(len(content)), 0, int64(len(content)))
			if err == nil {
				defer r.Close()
				got, err = io.ReadAll(r)
				whole, again := s.Under(nil).Read(id, int64(len(content)), 0, int64(len(content)))
				if again != nil {
					t.Fatal(again)
				}
				defer whole.Close()
				var streamed bytes.Buffer
				if _, again := io.Copy(&streamed, whole); !errors.Is(again, ErrDamaged) || !bytes.Equal(streamed.Bytes(), got) {
					t.Fatalf("as a stream: %d bytes, %v", streamed.Len(), again)
				}
			}
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("error = %v, want ErrDamaged", err)
			}
			if len(got) != tt.good || !bytes.Equal(got, content[:tt.good]) {
				t.Fatalf("%d bytes came out before the damage, want the %d good ones", len(got), tt.good)
			}
		})
	}
}

func TestFilesShowNothingOfTheContent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	secret := strings.Repeat("a secret of the customer ", 100)
	id := write(t, s, []byte(secret))
	path, _ := s.path(id)
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Contains(raw, []byte("secret")) {
		t.Fatalf("the file holds plain content (%v)", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode = %v, %v; want 0600", info.Mode(), err)
	}
}

func TestInlineContent(t *testing.T) {
	s := open(t, t.TempDir())
	id, sealed, err := s.Under(nil).Seal([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Under(nil).Unseal(id, sealed); err != nil || string(got) != "hello" {
		t.Fatalf("unseal = %q, %v", got, err)
	}
	for _, other := range []string{NewID(), id[:len(id)-1] + "f", id[:len(id)-1] + "x", id[:len(id)-1], "r" + newRun() + id[1+runLength:], ""} {
		if _, err := s.Under(nil).Unseal(other, sealed); !errors.Is(err, ErrDamaged) {
			t.Errorf("unseal under %q: %v, want ErrDamaged", other, err)
		}
	}
}

// Small content of all runs is read, and that which had keys of its own before.
func TestInlineContentOfOtherRuns(t *testing.T) {
	dir := t.TempDir()
	kept, ids := map[string][]byte{}, map[string]bool{}
	for range 3 {
		s := open(t, dir)
		for range 2 {
			id, sealed, err := s.Under(nil).Seal([]byte("hello"))
			if err != nil || ids[id] {
				t.Fatalf("%s: %v", id, err)
			}
			kept[id], ids[id] = sealed, true
		}
		id := NewID()
		aead, err := s.Under(nil).sealer(id)
		if err != nil {
			t.Fatal(err)
		}
		kept[id] = aead.Seal(nil, nonce(0), []byte("hello"), nil)
	}
	s := open(t, dir)
	for range 2 * maxRuns {
		if _, err := s.runSealer(newRun()); err != nil {
			t.Fatal(err)
		}
	}
	for id, sealed := range kept {
		if got, err := s.Under(nil).Unseal(id, sealed); err != nil || string(got) != "hello" {
			t.Errorf("unseal %s = %q, %v", id, got, err)
		}
	}
	id, sealed, err := s.Under([]byte("secret")).Seal([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]error{"": ErrDamaged, "other": ErrDamaged, "secret": nil} {
		if _, err := s.Under([]byte(secret)).Unseal(id, sealed); !errors.Is(err, want) {
			t.Errorf("under the secret %q: %v, want %v", secret, err, want)
		}
	}
}

func TestWhatIsUnderASecretNeedsIt(t *testing.T) {
	s := open(t, t.TempDir())
	w, err := s.Under([]byte("secret")).Create()
	if err != nil {
		t.Fatal(err)
	}
	w.Write(pattern(100))
	id, _, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]error{"": ErrDamaged, "other": ErrDamaged, "secret": nil} {
		r, err := s.Under([]byte(secret)).Read(id, 100, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, want) {
			t.Errorf("under %q: %v, want %v", secret, err, want)
		}
		r.Close()
	}
}

func TestSweepRemovesOnlyWhatNoRecordNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	named, orphan, pending, held := write(t, s, pattern(10)), write(t, s, pattern(10)), write(t, s, pattern(10)), write(t, s, pattern(10))
	s.Settle(named, orphan, held)
	release := s.Hold(held)
	known := func(ids []string) (map[string]bool, error) {
		m := map[string]bool{}
		for _, id := range ids {
			m[id] = id == named
		}
		return m, nil
	}
	if n, err := s.Sweep(context.Background(), known); n != 1 || err != nil {
		t.Fatalf("first sweep removed %d, %v; want the orphan", n, err)
	}
	release()
	if n, err := s.Sweep(context.Background(), known); n != 1 || err != nil {
		t.Fatalf("sweep after the release removed %d, %v; want 1", n, err)
	}
	// A restart forgets what was pending: nobody can name it any more.
	s = open(t, dir)
	if n, err := s.Sweep(context.Background(), known); n != 1 || err != nil {
		t.Fatalf("sweep after a restart removed %d, %v; want the pending one (%s)", n, err, pending)
	}
	if _, err := s.Under(nil).Read(named, 10, 0, 10); err != nil {
		t.Fatalf("the named file: %v", err)
	}
}

func TestRemoveWaitsForReaders(t *testing.T) {
	s := open(t, t.TempDir())
	id := write(t, s, pattern(10))
	release := s.Hold(id)
	s.Remove(id)
	r, err := s.Under(nil).Read(id, 10, 0, 10)
	if err != nil {
		t.Fatalf("a held file was removed: %v", err)
	}
	r.Close()
	release()
	release() // a second call changes nothing
	if _, err := s.Under(nil).Read(id, 10, 0, 10); !errors.Is(err, ErrMissing) {
		t.Fatalf("after the release: %v, want ErrMissing", err)
	}
}

func TestAbortAndCrashLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	count := func() int {
		left, err := filepath.Glob(filepath.Join(dir, "objects", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(left)
	}
	none := func([]string) (map[string]bool, error) { return nil, nil }
	w, err := s.Under(nil).Create()
	if err != nil {
		t.Fatal(err)
	}
	w.Write(pattern(100))
	if _, err := s.Sweep(context.Background(), none); err != nil || count() != 1 {
		t.Fatalf("a sweep took the file that is being written (%v)", err)
	}
	w.Abort()
	if n := count(); n != 0 {
		t.Fatalf("%d files after Abort", n)
	}
	crashed, err := s.Under(nil).Create()
	if err != nil {
		t.Fatal(err)
	}
	crashed.Write(pattern(100))
	crashed.file.Close()
	if _, err := open(t, dir).Sweep(context.Background(), none); err != nil || count() != 0 {
		t.Fatalf("the sweep after a crash left %d files, %v", count(), err)
	}
}

// Content that is written and read in runs of blocks is what small writes and
// reads make of it, to the byte, and ends at damage as they do.
func TestStreamsAreWhatSmallStepsAre(t *testing.T) {
	s := open(t, t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 12*blockSize).Draw(rt, "size")
		content := pattern(n)
		w, err := s.Under(nil).Create()
		if err != nil {
			rt.Fatal(err)
		}
		defer w.Abort()
		for rest := content; len(rest) > 0; {
			k := min(len(rest), rapid.IntRange(1, 6*blockSize).Draw(rt, "step"))
			if _, err := w.Write(rest[:k]); err != nil {
				rt.Fatal(err)
			}
			rest = rest[k:]
		}
		id, size, err := w.Commit()
		if err != nil || size != int64(n) {
			rt.Fatalf("commit = %d, %v", size, err)
		}
		from := rapid.IntRange(0, n).Draw(rt, "from")
		r, err := s.Under(nil).Read(id, size, int64(from), size-int64(from))
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		skip := make([]byte, rapid.IntRange(0, min(1000, n-from)).Draw(rt, "read first"))
		if _, err := io.ReadFull(r, skip); err != nil {
			rt.Fatal(err)
		}
		var got bytes.Buffer
		if k, err := r.(io.WriterTo).WriteTo(&got); err != nil || k != int64(n-from-len(skip)) {
			rt.Fatalf("WriteTo = %d, %v", k, err)
		}
		if !bytes.Equal(append(skip, got.Bytes()...), content[from:]) {
			rt.Fatal("other bytes")
		}
	})
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestAStreamEndsWithItsReader(t *testing.T) {
	s := open(t, t.TempDir())
	id := write(t, s, pattern(20*blockSize))
	r, err := s.Under(nil).Read(id, 20*blockSize, 0, 20*blockSize)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.(io.WriterTo).WriteTo(&brokenWriter{9 * blockSize}); n != 8*blockSize || !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("WriteTo = %d, %v", n, err)
	}
}

func TestALostKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, open(t, dir), pattern(1))
	if err := os.Remove(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "restore") {
		t.Fatalf("error = %v, want one that says to restore the key", err)
	}
}

func TestIdsNeverLeadOut(t *testing.T) {
	s := open(t, t.TempDir())
	for _, id := range []string{"", "../../../../etc/passwd", strings.Repeat(".", 32), strings.Repeat("A", 32)} {
		if _, err := s.Under(nil).Read(id, 1, 0, 1); !errors.Is(err, ErrDamaged) {
			t.Errorf("Read(%q) = %v, want ErrDamaged", id, err)
		}
	}
}
