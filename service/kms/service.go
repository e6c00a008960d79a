// Package kms is the Key Management Service: symmetric encryption keys, their
// aliases, and encryption under them. Key material never leaves the service in
// the clear; at rest it is sealed under the data folder's master key. It may
// import api/kms, auth, arn, fault, reconcile and store. Its one goroutine,
// which destroys keys at their time, is a reconcile loop that Stop ends.
package kms

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// Config is what the service stands on.
type Config struct {
	Store  store.Store
	Ring   *keyring.Ring
	Now    func() time.Time
	Logger *slog.Logger
}

// Service implements the operations of api/kms that this build has.
type Service struct {
	kms.Unimplemented
	cfg     Config
	keys    *store.Collection[key]
	aliases *store.Collection[alias]
	// destroyer looks every minute: the waiting period is counted in days.
	destroyer *reconcile.Loop
}

var _ kms.Service = (*Service)(nil)

// New makes the service. Start begins its upkeep.
func New(cfg Config) *Service {
	s := &Service{
		cfg:     cfg,
		keys:    store.NewCollection[key]("kms/key"),
		aliases: store.NewCollection[alias]("kms/alias"),
	}
	s.destroyer = reconcile.New("kms deletions", s.destroyExpired, reconcile.Options{Logger: cfg.Logger})
	return s
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// page reads the paging members that the list operations share.
func page(limit *int32, marker string) (int, string) {
	if limit == nil {
		return defaultPage, marker
	}
	return min(int(*limit), maxPage), marker
}

func pageError(err error) error {
	if errors.Is(err, store.ErrBadToken) {
		return fault.New(fault.InvalidMarker, "Could not deserialize marker: give the NextMarker of the last answer")
	}
	return err
}

// resolve finds the key that a caller names by id, ARN, alias name or alias ARN
// ("KeyId" of Encrypt, AWS KMS API Reference).
func (s *Service) resolve(ctx context.Context, tx store.Tx, name string) (*key, error) {
	scope := auth.From(ctx).Scope
	id := name
	if rest, ok := strings.CutPrefix(name, scope.ARN("kms", "").String()); ok {
		id = rest
	} else if strings.HasPrefix(name, "arn:") {
		return nil, fault.New(fault.NotFoundException, "Invalid arn %s", name)
	}
	if strings.HasPrefix(id, aliasPrefix) {
		a, err := s.aliases.Get(tx, scope.Key()+"/"+id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.New(fault.NotFoundException, "Alias %s is not found.", scope.ARN("kms", id))
		}
		if err != nil {
			return nil, err
		}
		id = a.KeyID
	}
	id = strings.TrimPrefix(id, "key/")
	if !keyID.MatchString(id) {
		return nil, fault.New(fault.NotFoundException, "Invalid keyId '%s'", id)
	}
	k, err := s.keys.Get(tx, scope.Key()+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFoundException, "Key '%s' does not exist", scope.ARN("kms", "key/"+id))
	}
	return k, err
}
