package auth

import (
	"errors"

	"github.com/slipway/slipway/store"
)

// RootKeyOf tells the id of the access key that an account's root user has, or
// "" where it has none.
func RootKeyOf(tx store.Tx, account string) (accessKeyID string, err error) {
	r, err := readRoot(tx)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil || r.Account != account {
		return "", err
	}
	return r.AccessKeyID, nil
}
