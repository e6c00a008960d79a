package storetest

import (
	"errors"
	"testing"

	"github.com/slipway/slipway/store"
)

// looks: Look finds what Get finds, in updates and views, and what a caller does to
// the value that Get gave it reaches nobody.
func looks(t *testing.T, open Open) {
	s := opened(t, open)
	keys := []string{"a", store.BulkPrefix + "a", store.BriefPrefix + "a"}
	see := func(tx store.Tx, when, want string) error {
		for _, key := range keys {
			mine, err := tx.Get(key)
			for i := range mine.Value {
				mine.Value[i] = 'x'
			}
			doc, lookErr := tx.Look(key)
			switch {
			case want == "" && errors.Is(err, store.ErrNotFound) && errors.Is(lookErr, store.ErrNotFound):
			case err != nil || lookErr != nil || string(doc.Value) != want || doc.Key != key || doc.Revision != mine.Revision:
				t.Errorf("%s: %s is %q at %d, want %q at %d: %v, %v", when, key, doc.Value, doc.Revision, want, mine.Revision, err, lookErr)
			}
		}
		return nil
	}
	for _, want := range []string{"1", "22", ""} {
		update(t, s, func(tx store.Tx) error {
			for _, key := range keys {
				var err error
				if want == "" {
					err = tx.Delete(key)
				} else {
					err = tx.Put(key, []byte(want))
				}
				if err != nil {
					return err
				}
			}
			return see(tx, "in the update", want)
		})
		for range 3 { // a store may keep what was read lately
			view(t, s, func(tx store.Tx) error { return see(tx, "in a view", want) })
			update(t, s, func(tx store.Tx) error { return see(tx, "in the next update", want) })
		}
	}
}
