package kms

import (
	"context"
	"errors"

	"github.com/slipway/slipway/store"
)

// Start begins to destroy the keys whose waiting period is over, and returns at
// once.
func (s *Service) Start(ctx context.Context) { s.destroyer.Start(ctx) }

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() { s.destroyer.Stop() }

// destroyExpired removes, with their material and their aliases, the keys whose
// waiting period is over. No caller can tell: they are gone for everybody since
// that moment.
func (s *Service) destroyExpired(ctx context.Context) error {
	var expired []string
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		expired = nil
		now := s.cfg.Now()
		for e, err := range s.keys.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.Value.expired(now) {
				expired = append(expired, e.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, path := range expired {
		if err := s.cfg.Store.Update(ctx, func(tx store.Tx) error { return s.destroy(tx, path) }); err != nil {
			return err
		}
	}
	return nil
}

// destroy removes a key unless it was saved meanwhile.
func (s *Service) destroy(tx store.Tx, path string) error {
	k, err := s.keys.Get(tx, path)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || !k.expired(s.cfg.Now()) {
		return err
	}
	var names []string
	for e, err := range s.aliases.Scan(tx, k.scope().Key()+"/") {
		if err != nil {
			return err
		}
		if e.Value.KeyID == k.ID {
			names = append(names, e.Key)
		}
	}
	for _, name := range names {
		if err := s.aliases.Delete(tx, name); err != nil {
			return err
		}
	}
	return s.keys.Delete(tx, path)
}
