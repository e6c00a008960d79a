package auth

import (
	"context"
	"errors"
	"testing"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

// countedKeys reads keys from a store and counts how often.
type countedKeys struct {
	st    store.Store
	reads int
}

func (k *countedKeys) Key(ctx context.Context, id string) (Key, error) {
	k.reads++
	var key Key
	err := k.st.View(ctx, func(tx store.Tx) error {
		doc, err := tx.Get("iam/accesskey/" + id)
		key.Secret = string(doc.Value)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNoKey
	}
	return key, err
}

func TestKeyCacheForgetsWhatChanged(t *testing.T) {
	st := storetest.New(t)
	set := func(key, value string) {
		t.Helper()
		if err := st.Update(t.Context(), func(tx store.Tx) error {
			if value == "" {
				return tx.Delete(key)
			}
			return tx.Put(key, []byte(value))
		}); err != nil {
			t.Fatal(err)
		}
	}
	keys := &countedKeys{st: st}
	c := NewKeyCache(keys, st, "auth/", "iam/")
	t.Cleanup(c.Close)
	want := func(id, secret string, reads int) {
		t.Helper()
		key, err := c.Key(t.Context(), id)
		if secret == "" {
			if !errors.Is(err, ErrNoKey) {
				t.Errorf("%s is found", id)
			}
		} else if err != nil || key.Secret != secret {
			t.Errorf("%s has secret %q and error %v, want %q", id, key.Secret, err, secret)
		}
		if keys.reads != reads {
			t.Errorf("%d reads, want %d", keys.reads, reads)
		}
	}
	set("iam/accesskey/A", "1")
	want("A", "1", 1)
	want("A", "1", 1)
	want("B", "", 2)
	want("B", "", 3) // an id that is made up is not kept
	set("ssm/parameter/x", "9")
	want("A", "1", 3)
	set("iam/accesskey/A", "2")
	want("A", "2", 4)
	set("auth/root", "3")
	want("A", "2", 5)
	set("iam/accesskey/A", "")
	want("A", "", 6)
}
