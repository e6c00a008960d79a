package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store"
)

// rootKey is where the root user's access key stands. There is one, for the
// account that a data folder begins with.
const rootKey = "auth/root"

type rootRecord struct {
	AccessKeyID string
	Account     string
	Secret      []byte // sealed
	// Unshown is set until RootShown: a start that is killed before it has shown
	// the secret leaves it to the next one.
	Unshown bool `json:",omitempty"`
}

// EnsureRoot makes the root user's access key on the first start of a data
// folder in closed mode. unshown is true until RootShown: the caller prints the
// secret, calls that, and nothing shows it again.
func EnsureRoot(ctx context.Context, st store.Store, ring *keyring.Ring) (creds Credentials, unshown bool, err error) {
	fresh := Credentials{AccessKeyID: NewAccessKeyID("AKIA"), SecretAccessKey: NewSecret()}
	sealed, err := ring.Seal(rootKey+"/"+fresh.AccessKeyID, []byte(fresh.SecretAccessKey))
	if err != nil {
		return Credentials{}, false, err
	}
	err = st.Update(ctx, func(tx store.Tx) error {
		creds, unshown = Credentials{}, false
		found, err := readRoot(tx)
		if err == nil {
			secret, err := ring.Open(rootKey+"/"+found.AccessKeyID, found.Secret)
			if err != nil {
				return fmt.Errorf("auth: the root key does not open: keys/master is not the one of this data folder: %w", err)
			}
			creds, unshown = Credentials{AccessKeyID: found.AccessKeyID, SecretAccessKey: string(secret)}, found.Unshown
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		creds, unshown = fresh, true
		b, err := json.Marshal(rootRecord{fresh.AccessKeyID, arn.DefaultAccount, sealed, true})
		if err != nil {
			return err
		}
		return tx.Put(rootKey, b)
	})
	if err != nil {
		return Credentials{}, false, err
	}
	return creds, unshown, nil
}

// RootShown says that the secret was shown to whoever started Slipway.
func RootShown(ctx context.Context, st store.Store) error {
	return st.Update(ctx, func(tx store.Tx) error {
		found, err := readRoot(tx)
		if err != nil || !found.Unshown {
			return err
		}
		found.Unshown = false
		b, err := json.Marshal(found)
		if err != nil {
			return err
		}
		return tx.Put(rootKey, b)
	})
}

func readRoot(tx store.Tx) (rootRecord, error) {
	var r rootRecord
	doc, err := tx.Get(rootKey)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(doc.Value, &r)
}

// RootKeys are the Keys that EnsureRoot made.
type RootKeys struct {
	Store store.Store
	Ring  *keyring.Ring
}

// Key finds the root key.
func (k RootKeys) Key(ctx context.Context, accessKeyID string) (Key, error) {
	var found rootRecord
	err := k.Store.View(ctx, func(tx store.Tx) (err error) {
		found, err = readRoot(tx)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !sameText(found.AccessKeyID, accessKeyID) {
		return Key{}, ErrNoKey
	}
	if err != nil {
		return Key{}, err
	}
	secret, err := k.Ring.Open(rootKey+"/"+found.AccessKeyID, found.Secret)
	if err != nil {
		return Key{}, err
	}
	return Key{Secret: string(secret), Principal: RootOf(found.Account)}, nil
}
