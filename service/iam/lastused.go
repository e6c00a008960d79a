package iam

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/reconcile"
	"github.com/slipway/slipway/store"
)

// lastUse is the latest call by an access key ("key/AKIA...") or a role
// ("role/AROA...").
type lastUse struct {
	At      time.Time
	Service string
	Region  string
}

var lastUses = store.NewCollection[lastUse]("iam/lastused")

// usage gathers what was used, in memory, and writes it down once a minute: a
// call must not wait for a write. What a crash loses is a minute of it.
type usage struct {
	mu      sync.Mutex
	pending map[string]lastUse
	loop    *reconcile.Loop
}

// maxPending bounds the memory; above it the uses of further keys are not told.
const maxPending = 100_000

func (u *usage) start(s *Service, log *slog.Logger) {
	u.pending = map[string]lastUse{}
	u.loop = reconcile.New("iam last used", s.writeUses, reconcile.Options{Logger: log, Resync: time.Minute})
}

// Start begins to write down what is used.
func (s *Service) Start(ctx context.Context) { s.used.loop.Start(ctx) }

// Stop ends that, and writes down the rest.
func (s *Service) Stop() {
	s.used.loop.Stop()
	// The store is open still: it closes after what stands on it. Without this
	// write a use would be missing, and nothing else.
	_ = s.writeUses(context.Background())
}

// useKey names what a principal uses, "" for what is not told.
func useKey(p auth.Principal) string {
	switch p.Kind {
	case auth.User:
		if p.AccessKeyID != "" {
			return "key/" + p.AccessKeyID
		}
	case auth.AssumedRole:
		id, _, _ := strings.Cut(p.UserID, ":")
		return "role/" + id
	}
	return ""
}

// Used notes that a call was made with an access key or as a role. It is told of
// every call and takes no lock of the store.
func (s *Service) Used(call auth.Call) {
	key := useKey(call.Principal)
	if key == "" {
		return
	}
	s.used.mu.Lock()
	defer s.used.mu.Unlock()
	if _, ok := s.used.pending[key]; ok || len(s.used.pending) < maxPending {
		s.used.pending[key] = lastUse{At: s.now().UTC().Truncate(time.Second), Service: call.Service, Region: call.Scope.Region}
	}
}

// writeUses writes down what was used since it last ran.
func (s *Service) writeUses(ctx context.Context) error {
	s.used.mu.Lock()
	pending := s.used.pending
	s.used.pending = map[string]lastUse{}
	s.used.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		for key, use := range pending {
			if err := lastUses.Put(tx, key, &use); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.used.mu.Lock()
		defer s.used.mu.Unlock()
		for key, use := range pending {
			if _, newer := s.used.pending[key]; !newer {
				s.used.pending[key] = use
			}
		}
	}
	return err
}

// lastUse finds the latest use of a key or role; nil is none.
func (s *Service) lastUse(tx store.Tx, key string) (*lastUse, error) {
	s.used.mu.Lock()
	use, ok := s.used.pending[key]
	s.used.mu.Unlock()
	if ok {
		return &use, nil
	}
	found, err := lastUses.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return found, err
}

// forgetUse drops what is known of a key or role that goes.
func (s *Service) forgetUse(tx store.Tx, key string) error {
	s.used.mu.Lock()
	delete(s.used.pending, key)
	s.used.mu.Unlock()
	return lastUses.Delete(tx, key)
}

func (s *Service) roleLastUsed(tx store.Tx, r *role) (*api.RoleLastUsed, error) {
	use, err := s.lastUse(tx, "role/"+r.ID)
	if err != nil || use == nil {
		return &api.RoleLastUsed{}, err
	}
	return &api.RoleLastUsed{LastUsedDate: &use.At, Region: use.Region}, nil
}

// GetAccessKeyLastUsed tells when, where and for what a key was last used.
func (s *Service) GetAccessKeyLastUsed(ctx context.Context, in *api.GetAccessKeyLastUsedInput) (*api.GetAccessKeyLastUsedOutput, error) {
	out := &api.GetAccessKeyLastUsedOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		k, err := accessKeys.Get(tx, in.AccessKeyId)
		if errors.Is(err, store.ErrNotFound) || err == nil && k.Account != auth.From(ctx).Scope.Account {
			return fault.New(fault.NoSuchEntity, "The Access Key with id %s cannot be found.", in.AccessKeyId)
		}
		if err != nil {
			return err
		}
		use, err := s.lastUse(tx, "key/"+k.ID)
		if err != nil {
			return err
		}
		out.UserName = k.User
		out.AccessKeyLastUsed = &api.AccessKeyLastUsed{ServiceName: "N/A", Region: "N/A"}
		if use != nil {
			out.AccessKeyLastUsed = &api.AccessKeyLastUsed{LastUsedDate: &use.At, ServiceName: use.Service, Region: use.Region}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
