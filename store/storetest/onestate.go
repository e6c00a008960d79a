package storetest

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"testing"

	"github.com/slipway/slipway/store"
)

// oneState writes the same number to three documents, bulk data and one of short
// life among them, while views read them one by one, in any order and some of
// them twice: a view meets one number. A store may answer a view's first reads
// from memory.
func oneState(t *testing.T, open Open) {
	s := opened(t, open)
	names := []string{"x", store.BulkPrefix + "y", store.BriefPrefix + "z"}
	set := func(n int) {
		update(t, s, func(tx store.Tx) error {
			value, _ := json.Marshal(n)
			for _, name := range names {
				if err := tx.Put(name, value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	set(0)
	// What no update changes may be read from the state before or after one.
	update(t, s, func(tx store.Tx) error { return tx.Put("same", []byte("1")) })
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ctx.Err() == nil; i++ {
				err := s.View(context.Background(), func(tx store.Tx) error {
					seen := map[string]bool{}
					if i%2 == 0 {
						if _, err := tx.Get("same"); err != nil {
							return err
						}
					}
					for j := range 4 {
						doc, err := tx.Get(names[(i+w+j)%3])
						if err != nil {
							return err
						}
						seen[string(doc.Value)] = true
						if i%3 == 0 {
							runtime.Gosched()
						}
					}
					if i%5 == 0 {
						for doc, err := range tx.Scan("", "") {
							if err != nil {
								return err
							}
							if doc.Key != "same" {
								seen[string(doc.Value)] = true
							}
						}
					}
					if len(seen) != 1 {
						t.Errorf("one view saw %v", seen)
						stop()
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for n := range 300 {
		set(n)
		if got := number(t, s, names[1]); got != n {
			t.Errorf("after the update, a view reads %d, want %d", got, n)
		}
		if n%10 == 0 {
			runtime.Gosched()
		}
	}
	stop()
	wg.Wait()
}
