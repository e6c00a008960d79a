// Package kms is the Key Management Service: keys, their aliases, policies and
// grants, and encryption, signatures and message authentication codes under
// them. Key material never leaves the service in the clear; at rest it is sealed
// under the data folder's master key. It may import api/kms, auth, arn, fault,
// reconcile and store. Its one goroutine, which destroys and rotates keys at
// their time, is a reconcile loop that Stop ends.
package kms

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
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
	cfg      Config
	keys     *store.Collection[key]
	aliases  *store.Collection[alias]
	grants   *store.Collection[grant]
	policies policy.Cache
	// upkeep looks every minute: its times are counted in days.
	upkeep *reconcile.Loop
}

var (
	_ kms.Service           = (*Service)(nil)
	_ auth.ResourcePolicies = (*Service)(nil)
	_ auth.ResourceTags     = (*Service)(nil)
)

// New makes the service. Start begins its upkeep.
func New(cfg Config) *Service {
	s := &Service{
		cfg:     cfg,
		keys:    store.NewCollection[key]("kms/key"),
		aliases: store.NewCollection[alias]("kms/alias"),
		grants:  store.NewCollection("kms/grant", grantIndexes...),
	}
	s.upkeep = reconcile.New("kms upkeep", s.keepUp, reconcile.Options{Logger: cfg.Logger})
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

// request is what a caller asks of a key, as its policy and its grants see it.
type request struct {
	operation string            // "Encrypt"
	context   map[string]string // the encryption context
	algorithm string
	tokens    []string // of grants
	dryRun    *bool
	in        any
}

// load reads a key in today's form.
func (s *Service) load(tx store.Tx, path string) (*key, error) {
	k, err := s.keys.Get(tx, path)
	if err == nil {
		k.upgrade()
	}
	return k, err
}

// place reads where a name of a key is ("KeyId" of Encrypt, AWS KMS API
// Reference): the scope, which an ARN may put into another account, and the id
// or alias there.
func place(ctx context.Context, name string) (arn.Scope, string, error) {
	scope := auth.From(ctx).Scope
	if !strings.HasPrefix(name, "arn:") {
		return scope, name, nil
	}
	a, err := arn.Parse(name)
	if err != nil || a.Service != "kms" || !arn.IsAccount(a.Account) {
		return scope, "", fault.New(fault.NotFoundException, "Invalid arn %s", name)
	}
	if a.Region != scope.Region {
		return scope, "", fault.New(fault.NotFoundException, "Invalid arn %s", a.Region)
	}
	scope.Account = a.Account
	return scope, strings.TrimPrefix(a.Resource, "key/"), nil
}

// resolve finds the key that a caller names by id, ARN, alias name or alias ARN.
func (s *Service) resolve(ctx context.Context, tx store.Tx, name string) (*key, error) {
	scope, id, err := place(ctx, name)
	if err != nil {
		return nil, err
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
	if !arn.IsUUID(id) && !multiRegionID.MatchString(id) {
		return nil, fault.New(fault.NotFoundException, "Invalid keyId '%s'", id)
	}
	k, err := s.load(tx, scope.Key()+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFoundException, "Key '%s' does not exist", scope.ARN("kms", "key/"+id))
	}
	return k, err
}

// find resolves a name for a request that the key's policy or a grant allows.
func (s *Service) find(ctx context.Context, tx store.Tx, name string, r request) (*key, error) {
	k, err := s.resolve(ctx, tx, name)
	if err != nil {
		return nil, err
	}
	if err := k.present(s.cfg.Now()); err != nil {
		return nil, err
	}
	return k, s.permit(ctx, tx, k, name, r)
}

// read finds a key to tell about it.
func (s *Service) read(ctx context.Context, name string, r request) (k *key, err error) {
	if err := s.ensureManaged(ctx, name); err != nil {
		return nil, err
	}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		k, err = s.find(ctx, tx, name, r)
		return err
	})
	return k, err
}

// use finds a key that may encrypt, decrypt, sign or verify now. usage and
// algorithm are those that the operation needs.
func (s *Service) use(ctx context.Context, name, usage string, r request) (*key, error) {
	k, err := s.read(ctx, name, r)
	if err != nil {
		return nil, err
	}
	if err := k.usable(s.cfg.Now()); err != nil {
		return nil, err
	}
	return k, k.does(r.operation, usage, r.algorithm)
}

// dry answers a dry run that would have succeeded.
func (r request) dry() error {
	if yes(r.dryRun) {
		return fault.New(fault.DryRunOperationException, "The request would have succeeded, but the DryRun option is set.")
	}
	return nil
}

// change applies fn to a customer's key in one update.
func (s *Service) change(ctx context.Context, name string, r request, fn func(store.Tx, *key) error) (*key, error) {
	var k *key
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
		if k, err = s.find(ctx, tx, name, r); err != nil {
			return err
		}
		if k.Service != "" {
			return k.refuse(ctx, r.operation, "is an AWS managed key, which only its service changes")
		}
		if err := fn(tx, k); err != nil {
			return err
		}
		return s.keep(tx, k)
	})
	return k, err
}
