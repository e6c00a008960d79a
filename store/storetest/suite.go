package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/store"
)

// Open opens a store on the place that belongs to the test: a second Open,
// after Close of the first, finds what the first kept.
type Open func(t testing.TB) store.Store

// Run is what every store must do. place is called once per test and gives the
// Open of a fresh, empty place.
func Run(t *testing.T, place func(t testing.TB) Open) {
	tests := []struct {
		name string
		fn   func(t *testing.T, open Open)
	}{
		{"documents", documents},
		{"looks", looks},
		{"scans", scans},
		{"scans of own changes", scansOfOwnChanges},
		{"long scans", longScans},
		{"bulk documents", bulkDocuments},
		{"bounds", bounds},
		{"errors undo", errorsUndo},
		{"panics undo", panicsUndo},
		{"ended goroutines undo", goexitUndoes},
		{"revisions", revisions},
		{"snapshots", snapshots},
		{"one state", oneState},
		{"concurrent updates", concurrentUpdates},
		{"serializable", serializable},
		{"contexts", contexts},
		{"transactions end", transactionsEnd},
		{"watch", watch},
		{"watch ends", watchEnds},
		{"closed", closed},
		{"close waits", closeWaits},
		{"reopen", reopen},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.fn(t, place(t)) })
	}
}

func opened(t *testing.T, open Open) store.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func update(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func put(t *testing.T, s store.Store, keys ...string) {
	t.Helper()
	update(t, s, func(tx store.Tx) error { return putAll(tx, keys...) })
}

func putAll(tx store.Tx, keys ...string) error {
	for _, k := range keys {
		value, err := json.Marshal(k)
		if err := errors.Join(err, tx.Put(k, value)); err != nil {
			return err
		}
	}
	return nil
}

// keys collects a scan, "!" and the error at its end.
func keys(seq iter.Seq2[store.Doc, error]) []string {
	out := []string{}
	for d, err := range seq {
		if err != nil {
			return append(out, "!"+err.Error())
		}
		out = append(out, d.Key)
	}
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func want(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func documents(t *testing.T, open Open) {
	s := opened(t, open)
	update(t, s, func(tx store.Tx) error {
		_, err := tx.Get("a")
		want(t, "get of none", err, store.ErrNotFound)
		if err := errors.Join(tx.Put("a", []byte(`{"n":1}`)), tx.Delete("nosuch")); err != nil {
			return err
		}
		d, err := tx.Get("a")
		if err != nil || d.Key != "a" || string(d.Value) != `{"n":1}` || d.Revision != tx.Revision() {
			t.Errorf("own document: %+v, %v", d, err)
		}
		return nil
	})
	value := []byte(`2`)
	update(t, s, func(tx store.Tx) error {
		err := tx.Put("a", value)
		value[0] = '9' // the store has its own copy
		return err
	})
	view(t, s, func(tx store.Tx) error {
		d, err := tx.Get("a")
		if err != nil || string(d.Value) != "2" {
			t.Errorf("after the second put: %+v, %v", d, err)
		}
		want(t, "put in a view", tx.Put("b", value), store.ErrView)
		want(t, "delete in a view", tx.Delete("a"), store.ErrView)
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		err := tx.Delete("a")
		_, gone := tx.Get("a")
		want(t, "get of the deleted", gone, store.ErrNotFound)
		return err
	})
	view(t, s, func(tx store.Tx) error {
		_, err := tx.Get("a")
		want(t, "get of the deleted", err, store.ErrNotFound)
		return nil
	})
}

func scans(t *testing.T, open Open) {
	s := opened(t, open)
	all := []string{"\x00", "a", "a\x00", "a/1", "a/2", "a0", "b", "bulk", "bulk/1", "bulk0", "c", "é", "\xff\xff"}
	put(t, s, all...)
	view(t, s, func(tx store.Tx) error {
		for _, from := range append(all, "", "a/", "bulk/", "zz") {
			for _, to := range append(all, "", "a/", "bulk/", "zz") {
				var in []string
				for _, k := range all {
					if k >= from && (to == "" || k < to) {
						in = append(in, k)
					}
				}
				same(t, fmt.Sprintf("scan %q to %q", from, to), keys(tx.Scan(from, to)), in)
				slices.Reverse(in)
				same(t, fmt.Sprintf("reverse scan %q to %q", from, to), keys(tx.ScanReverse(from, to)), in)
			}
		}
		for d, err := range tx.Scan("", "") { // a loop may end early, and nest
			if err != nil || d.Key != all[0] {
				t.Errorf("first: %+v, %v", d, err)
			}
			same(t, "nested", keys(tx.Scan("b", "bulk0")), []string{"b", "bulk", "bulk/1"})
			break
		}
		return nil
	})
}

func scansOfOwnChanges(t *testing.T, open Open) {
	s := opened(t, open)
	put(t, s, "a", "b", "c", "d")
	update(t, s, func(tx store.Tx) error {
		if err := errors.Join(tx.Delete("b"), putAll(tx, "bb", "c", "e"), tx.Delete("x")); err != nil {
			return err
		}
		same(t, "forward", keys(tx.Scan("", "")), []string{"a", "bb", "c", "d", "e"})
		same(t, "reverse", keys(tx.ScanReverse("", "")), []string{"e", "d", "c", "bb", "a"})
		var seen []string
		for d, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			seen = append(seen, d.Key+string(d.Value))
			if d.Key == "a" { // what is deleted or changed ahead is seen so
				if err := errors.Join(tx.Delete("c"), tx.Put("d", []byte("1"))); err != nil {
					return err
				}
			}
			if err := tx.Delete(d.Key); err != nil {
				return err
			}
		}
		same(t, "in the loop", seen, []string{`a"a"`, `bb"bb"`, `d1`, `e"e"`})
		return nil
	})
	view(t, s, func(tx store.Tx) error {
		same(t, "after", keys(tx.Scan("", "")), []string{})
		return nil
	})
}

func longScans(t *testing.T, open Open) {
	s := opened(t, open)
	var all []string
	for i := range 3000 {
		all = append(all, fmt.Sprintf("k%05d", i))
	}
	put(t, s, all...)
	back := slices.Clone(all)
	slices.Reverse(back)
	view(t, s, func(tx store.Tx) error {
		same(t, "forward", keys(tx.Scan("k", "l")), all)
		same(t, "reverse", keys(tx.ScanReverse("k", "l")), back)
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		var left []string
		for i, k := range all {
			if i%3 == 0 {
				if err := tx.Delete(k); err != nil {
					return err
				}
				continue
			}
			left = append(left, k)
		}
		same(t, "with own deletes", keys(tx.Scan("", "")), left)
		slices.Reverse(left)
		same(t, "with own deletes, reverse", keys(tx.ScanReverse("", "")), left)
		return nil
	})
}

func bulkDocuments(t *testing.T, open Open) {
	s := opened(t, open)
	key := store.BulkPrefix + "sqs/message/1"
	put(t, s, key, "sqs/queue/1")
	view(t, s, func(tx store.Tx) error {
		d, err := tx.Get(key)
		if err != nil || d.Revision != tx.Revision() {
			t.Errorf("%+v, %v", d, err)
		}
		same(t, "all", keys(tx.Scan("", "")), []string{key, "sqs/queue/1"})
		return nil
	})
	stop := errors.New("stop")
	err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.Delete(key), tx.Delete("sqs/queue/1"), stop)
	})
	want(t, "update", err, stop)
	update(t, s, func(tx store.Tx) error { return tx.Delete(key) })
	view(t, s, func(tx store.Tx) error {
		same(t, "all", keys(tx.Scan("", "")), []string{"sqs/queue/1"})
		return nil
	})
}

func bounds(t *testing.T, open Open) {
	s := opened(t, open)
	long := strings.Repeat("k", store.MaxKey)
	big := []byte(`"` + strings.Repeat("v", store.MaxValue-2) + `"`)
	tests := []struct {
		name, key string
		value     []byte
		want      error
	}{
		{"largest", long, big, nil},
		{"key too long", long + "k", []byte("1"), store.ErrTooLarge},
		{"value too large", "k", append(big, ' '), store.ErrTooLarge},
		{"empty key", "", []byte("1"), store.ErrInvalid},
		{"no JSON", "k", []byte("{"), store.ErrInvalid},
		{"no value", "k", nil, store.ErrInvalid},
		{"binary", "b", []byte{store.Binary, '{', 0xff}, nil},
	}
	for _, tt := range tests {
		err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(tt.key, tt.value) })
		want(t, tt.name, err, tt.want)
	}
	view(t, s, func(tx store.Tx) error {
		d, err := tx.Get(long)
		if err != nil || string(d.Value) != string(big) {
			t.Errorf("the largest document: %d bytes, %v", len(d.Value), err)
		}
		if d, err = tx.Get("b"); err != nil || string(d.Value) != "\x00{\xff" {
			t.Errorf("the binary document: %q, %v", d.Value, err)
		}
		same(t, "all", keys(tx.Scan("", "")), []string{"b", long})
		return nil
	})
}

func errorsUndo(t *testing.T, open Open) {
	s := opened(t, open)
	put(t, s, "a")
	stop := errors.New("stop")
	err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(putAll(tx, "b"), tx.Delete("a"), stop)
	})
	want(t, "update", err, stop)
	want(t, "view", s.View(t.Context(), func(store.Tx) error { return stop }), stop)
	view(t, s, func(tx store.Tx) error {
		same(t, "all", keys(tx.Scan("", "")), []string{"a"})
		return nil
	})
}

func panicsUndo(t *testing.T, open Open) {
	s := opened(t, open)
	// Some run on their callers' goroutines and some do not; all come back to
	// their callers, and nobody else's update suffers.
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() {
				if p := recover(); (p != nil) != (i%2 == 0) {
					t.Errorf("update %d panicked with %v", i, p)
				}
			}()
			err := s.Update(context.Background(), func(tx store.Tx) error {
				if err := putAll(tx, fmt.Sprintf("k%02d", i)); err != nil {
					return err
				}
				if i%2 == 0 {
					panic("oops")
				}
				return nil
			})
			want(t, "update", err, nil)
		}()
	}
	wg.Wait()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a view's panic was lost")
			}
		}()
		view(t, s, func(store.Tx) error { panic("oops") })
	}()
	view(t, s, func(tx store.Tx) error {
		if got := len(keys(tx.Scan("", ""))); got != n/2 {
			t.Errorf("%d documents, want %d", got, n/2)
		}
		return nil
	})
}

func goexitUndoes(t *testing.T, open Open) {
	s := opened(t, open)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_ = s.Update(context.Background(), func(tx store.Tx) error {
				if err := putAll(tx, fmt.Sprintf("k%02d", i)); err != nil || i%2 == 1 {
					return err
				}
				exit()
				return nil
			})
		}()
	}
	wg.Wait()
	view(t, s, func(tx store.Tx) error {
		if got := len(keys(tx.Scan("", ""))); got != 10 {
			t.Errorf("%d documents, want 10", got)
		}
		return nil
	})
}

func revisions(t *testing.T, open Open) {
	s := opened(t, open)
	last := int64(0)
	grown := func(what string, rev int64) {
		t.Helper()
		if rev <= last {
			t.Errorf("%s: revision %d after %d", what, rev, last)
		}
		last = rev
	}
	for _, key := range []string{"a", "b", "a"} {
		var rev int64
		update(t, s, func(tx store.Tx) error { rev = tx.Revision(); return putAll(tx, key) })
		grown("put "+key, rev)
		view(t, s, func(tx store.Tx) error {
			d, err := tx.Get(key)
			if d.Revision != rev || tx.Revision() != rev {
				t.Errorf("document at %d, view at %d, want %d", d.Revision, tx.Revision(), rev)
			}
			return err
		})
	}
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.Delete("a"), tx.Delete("b")) })
	view(t, s, func(tx store.Tx) error { grown("delete", tx.Revision()); return nil })
	put(t, s, "a")
	view(t, s, func(tx store.Tx) error { grown("put after deletes", tx.Revision()); return nil })
}

func snapshots(t *testing.T, open Open) {
	s := opened(t, open)
	put(t, s, "a", "b")
	view(t, s, func(tx store.Tx) error {
		before := tx.Revision()
		update(t, s, func(tx store.Tx) error { return errors.Join(tx.Delete("a"), putAll(tx, "c")) })
		same(t, "the snapshot", keys(tx.Scan("", "")), []string{"a", "b"})
		if tx.Revision() != before {
			t.Errorf("the snapshot went from %d to %d", before, tx.Revision())
		}
		view(t, s, func(tx store.Tx) error {
			same(t, "a later one", keys(tx.Scan("", "")), []string{"b", "c"})
			return nil
		})
		return nil
	})
	// A first Get takes the snapshot, whether or not it finds anything.
	for _, first := range []string{"b", "none"} {
		view(t, s, func(tx store.Tx) error {
			if _, err := tx.Get(first); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			put(t, s, "later")
			if _, err := tx.Get("later"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after a Get of %s, the view sees what was written later (%v)", first, err)
			}
			same(t, "after a Get", keys(tx.Scan("", "")), []string{"b", "c"})
			update(t, s, func(tx store.Tx) error { return tx.Delete("later") })
			return nil
		})
	}
	update(t, s, func(tx store.Tx) error {
		if err := putAll(tx, "d"); err != nil {
			return err
		}
		view(t, s, func(tx store.Tx) error {
			same(t, "beside an update", keys(tx.Scan("", "")), []string{"b", "c"})
			return nil
		})
		return nil
	})
}

// deadline bounds what should take a moment.
func deadline(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 30*time.Second)
}
