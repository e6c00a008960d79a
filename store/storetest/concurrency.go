package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/slipway/slipway/store"
)

func exit() { runtime.Goexit() }

func add(tx store.Tx, key string, n int) error {
	var have int
	doc, err := tx.Get(key)
	if err == nil {
		err = json.Unmarshal(doc.Value, &have)
	} else if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return err
	}
	return tx.Put(key, fmt.Appendf(nil, "%d", have+n))
}

func number(t *testing.T, s store.Store, key string) (n int) {
	t.Helper()
	view(t, s, func(tx store.Tx) error {
		doc, err := tx.Get(key)
		if err != nil {
			return err
		}
		return json.Unmarshal(doc.Value, &n)
	})
	return n
}

func concurrentUpdates(t *testing.T, open Open) {
	s := opened(t, open)
	const writers, each = 16, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				fail := errors.New("undo this one")
				err := s.Update(context.Background(), func(tx store.Tx) error {
					err := errors.Join(add(tx, "all", 1), add(tx, fmt.Sprint("own", w), 1))
					if i%5 == 0 {
						return fail
					}
					return err
				})
				if i%5 == 0 {
					want(t, "the failing", err, fail)
				} else {
					want(t, "the others", err, nil)
				}
			}
		}()
	}
	wg.Wait()
	if got := number(t, s, "all"); got != writers*each*4/5 {
		t.Errorf("counted %d, want %d", got, writers*each*4/5)
	}
	for w := range writers {
		if got := number(t, s, fmt.Sprint("own", w)); got != each*4/5 {
			t.Errorf("writer %d counted %d, want %d", w, got, each*4/5)
		}
	}
}

// serializable moves amounts between two documents while views add them up: no
// view sees half a move, and no move overdraws (write skew).
func serializable(t *testing.T, open Open) {
	s := opened(t, open)
	update(t, s, func(tx store.Tx) error { return errors.Join(add(tx, "a", 100), add(tx, "b", 100)) })
	sum := func(tx store.Tx) (int, error) {
		total := 0
		for doc, err := range tx.Scan("a", "c") {
			var n int
			if err := errors.Join(err, json.Unmarshal(doc.Value, &n)); err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 40 {
				from, to := "a", "b"
				if (w+i)%2 == 0 {
					from, to = to, from
				}
				err := s.Update(context.Background(), func(tx store.Tx) error {
					// Only as long as both together have enough.
					total, err := sum(tx)
					if err != nil || total < 200 {
						return errors.Join(err, fmt.Errorf("sum %d in an update", total))
					}
					return errors.Join(add(tx, from, -7), add(tx, to, 7))
				})
				want(t, "move", err, nil)
				err = s.View(context.Background(), func(tx store.Tx) error {
					total, err := sum(tx)
					if total != 200 {
						t.Errorf("sum %d in a view", total)
					}
					return err
				})
				want(t, "sum", err, nil)
			}
		}()
	}
	wg.Wait()
}

func contexts(t *testing.T, open Open) {
	s := opened(t, open)
	ended, end := context.WithCancel(t.Context())
	end()
	nothing := func(store.Tx) error { t.Error("the function ran"); return nil }
	want(t, "update", s.Update(ended, nothing), context.Canceled)
	want(t, "view", s.View(ended, nothing), context.Canceled)

	// One that waits for its turn gives up with its context; others go on.
	inside, leave := make(chan struct{}), make(chan struct{})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- s.Update(context.Background(), func(tx store.Tx) error {
			close(inside)
			<-leave
			return putAll(tx, "first")
		})
	}()
	<-inside
	ctx, stop := context.WithCancel(t.Context())
	go func() { second <- s.Update(ctx, func(tx store.Tx) error { return putAll(tx, "second") }) }()
	stop()
	want(t, "the second", <-second, context.Canceled)
	close(leave)
	want(t, "the first", <-first, nil)
	view(t, s, func(tx store.Tx) error {
		same(t, "all", keys(tx.Scan("", "")), []string{"first"})
		return nil
	})
}

func transactionsEnd(t *testing.T, open Open) {
	s := opened(t, open)
	var kept store.Tx
	update(t, s, func(tx store.Tx) error { kept = tx; return nil })
	_, err := kept.Get("a")
	want(t, "get after an update", err, store.ErrTxDone)
	want(t, "put after an update", kept.Put("a", []byte("1")), store.ErrTxDone)
	want(t, "delete after an update", kept.Delete("a"), store.ErrTxDone)
	same(t, "scan after an update", keys(kept.Scan("", "")), []string{"!" + store.ErrTxDone.Error()})
	view(t, s, func(tx store.Tx) error { kept = tx; return nil })
	_, err = kept.Get("a")
	want(t, "get after a view", err, store.ErrTxDone)
	same(t, "scan after a view", keys(kept.ScanReverse("", "")), []string{"!" + store.ErrTxDone.Error()})
}

func pending(ch <-chan struct{}) bool {
	select {
	case _, ok := <-ch:
		return ok
	default:
		return false
	}
}

// signalled waits for a signal: it may come a moment after the commit.
func signalled(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	ctx, stop := deadline(t)
	defer stop()
	select {
	case _, ok := <-ch:
		if !ok {
			t.Errorf("%s: the watch closed", what)
		}
	case <-ctx.Done():
		t.Errorf("%s: no signal", what)
	}
}

func watch(t *testing.T, open Open) {
	s := opened(t, open)
	put(t, s, "a/1")
	all, a, b := s.Watch(t.Context(), ""), s.Watch(t.Context(), "a/"), s.Watch(t.Context(), "b/")
	bulk := s.Watch(t.Context(), store.BulkPrefix+"m/")
	if pending(all) || pending(a) {
		t.Error("a signal for what was before")
	}
	put(t, s, "a/2")
	put(t, s, "a/3", "c")
	signalled(t, "all", all)
	signalled(t, "a", a)
	update(t, s, func(tx store.Tx) error { return tx.Delete("a/2") })
	signalled(t, "delete", a)
	put(t, s, store.BulkPrefix+"m/1")
	signalled(t, "bulk", bulk)
	if pending(b) {
		t.Error("a signal for another prefix")
	}
	// Nothing for what was not kept.
	fresh := s.Watch(t.Context(), "a/")
	_ = s.Update(t.Context(), func(tx store.Tx) error { return errors.Join(putAll(tx, "a/4"), errors.New("undo")) })
	put(t, s, "b/1")
	signalled(t, "b", b)
	if pending(fresh) {
		t.Error("a signal for what was undone")
	}
	// Whoever is signalled sees what it was signalled for.
	for i := range 50 {
		go func() { _ = s.Update(context.Background(), func(tx store.Tx) error { return add(tx, "n", 1) }) }()
		_ = i
	}
	n := s.Watch(t.Context(), "n")
	for seen := 0; seen < 50; {
		view(t, s, func(tx store.Tx) error {
			doc, err := tx.Get("n")
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return errors.Join(err, json.Unmarshal(doc.Value, &seen))
		})
		if seen < 50 {
			signalled(t, "n", n)
		}
	}
}

func closes(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	ctx, stop := deadline(t)
	defer stop()
	for {
		select {
		case _, ok := <-ch:
			if !ok {
				return
			}
		case <-ctx.Done():
			t.Fatalf("%s: the watch stays open", what)
		}
	}
}

func watchEnds(t *testing.T, open Open) {
	s := open(t)
	ctx, stop := context.WithCancel(t.Context())
	one, other := s.Watch(ctx, "a"), s.Watch(t.Context(), "a")
	stop()
	closes(t, "its context ended", one)
	closes(t, "its context had ended", s.Watch(ctx, "a"))
	put(t, s, "a")
	signalled(t, "the other", other)
	want(t, "close", s.Close(), nil)
	closes(t, "the store closed", other)
	closes(t, "the store was closed", s.Watch(t.Context(), "a"))
}

func closed(t *testing.T, open Open) {
	s := open(t)
	want(t, "close", s.Close(), nil)
	want(t, "close again", s.Close(), nil)
	nothing := func(store.Tx) error { t.Error("the function ran"); return nil }
	want(t, "update", s.Update(t.Context(), nothing), store.ErrClosed)
	want(t, "view", s.View(t.Context(), nothing), store.ErrClosed)
}

func closeWaits(t *testing.T, open Open) {
	s := open(t)
	inside, leave := make(chan struct{}, 2), make(chan struct{})
	results := make(chan error, 2)
	wait := func(store.Tx) error { inside <- struct{}{}; <-leave; return nil }
	go func() {
		results <- s.Update(context.Background(), func(tx store.Tx) error { return errors.Join(wait(tx), putAll(tx, "a")) })
	}()
	go func() { results <- s.View(context.Background(), wait) }()
	<-inside
	<-inside
	shut := make(chan error)
	go func() { shut <- s.Close() }()
	select {
	case <-shut:
		t.Fatal("closed under an update and a view")
	default:
	}
	close(leave)
	want(t, "one", <-results, nil)
	want(t, "the other", <-results, nil)
	want(t, "close", <-shut, nil)
}

func reopen(t *testing.T, open Open) {
	s := open(t)
	put(t, s, "a", "bulk/1")
	update(t, s, func(tx store.Tx) error { return tx.Delete("a") })
	var before int64
	view(t, s, func(tx store.Tx) error { before = tx.Revision(); return nil })
	want(t, "close", s.Close(), nil)
	s = opened(t, open)
	view(t, s, func(tx store.Tx) error {
		same(t, "all", keys(tx.Scan("", "")), []string{"bulk/1"})
		if tx.Revision() != before {
			t.Errorf("revision %d, want %d", tx.Revision(), before)
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		if tx.Revision() <= before {
			t.Errorf("revision %d after %d", tx.Revision(), before)
		}
		return nil
	})
}
