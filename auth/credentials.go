package auth

import (
	"context"
	"errors"
	"time"
)

// Credentials are what a caller signs with.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // empty for long-term keys
	Expires         time.Time // zero for long-term keys
}

// Key is a long-term access key as verification needs it.
type Key struct {
	Secret    string
	Principal Principal
}

// ErrNoKey is the error of Keys for an access key id that does not exist or is
// not active.
var ErrNoKey = errors.New("auth: no such access key")

// Keys finds long-term access keys: the root key, and those of IAM users.
type Keys interface {
	Key(ctx context.Context, accessKeyID string) (Key, error) // ErrNoKey
}

// KeysOf asks several sources in turn.
func KeysOf(sources ...Keys) Keys { return keySources(sources) }

type keySources []Keys

func (s keySources) Key(ctx context.Context, id string) (Key, error) {
	for _, k := range s {
		key, err := k.Key(ctx, id)
		if !errors.Is(err, ErrNoKey) {
			return key, err
		}
	}
	return Key{}, ErrNoKey
}
