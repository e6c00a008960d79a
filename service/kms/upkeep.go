package kms

import (
	"context"
	"errors"

	"github.com/slipway/slipway/store"
)

// Start begins to destroy the keys whose waiting period is over and to rotate
// those whose time has come. It returns at once.
func (s *Service) Start(ctx context.Context) { s.upkeep.Start(ctx) }

// Stop ends that. It is safe to call twice.
func (s *Service) Stop() { s.upkeep.Stop() }

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// keepUp removes, with their material, their aliases and their grants, the keys
// whose waiting period is over, and imported material that has expired; no
// caller can tell, for they are gone for everybody since that moment. And it
// rotates the keys whose time has come.
func (s *Service) keepUp(ctx context.Context) error {
	type work struct {
		path string
		do   func(store.Tx, string) error
	}
	var todo []work
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		todo = nil
		now := s.cfg.Now()
		for e, err := range s.keys.Scan(tx, "") {
			if err != nil {
				return err
			}
			e.Value.upgrade()
			switch k := e.Value; {
			case k.expired(now):
				todo = append(todo, work{e.Key, s.destroy})
			case k.outlived(now):
				todo = append(todo, work{e.Key, s.expunge})
			case k.due(now):
				todo = append(todo, work{e.Key, s.rotateDue})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range todo {
		if err := s.cfg.Store.Update(ctx, func(tx store.Tx) error { return w.do(tx, w.path) }); err != nil {
			return err
		}
	}
	return nil
}

// destroy removes a key unless it was saved meanwhile.
func (s *Service) destroy(tx store.Tx, path string) error {
	k, err := s.load(tx, path)
	if err != nil {
		return ignoreMissing(err)
	}
	if !k.expired(s.cfg.Now()) {
		return nil
	}
	names, err := keysWhere(tx, s.aliases, k.scope().Key()+"/", func(a *alias) bool { return a.KeyID == k.ID })
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.aliases.Delete(tx, name); err != nil {
			return err
		}
	}
	grants, err := keysWhere(tx, s.grants, path+"/", func(*grant) bool { return true })
	if err != nil {
		return err
	}
	for _, g := range grants {
		if err := s.grants.Delete(tx, g); err != nil {
			return err
		}
	}
	if err := s.leave(tx, k, s.cfg.Now()); err != nil {
		return err
	}
	return s.keys.Delete(tx, path)
}

func keysWhere[T any](tx store.Tx, c *store.Collection[T], prefix string, keep func(*T) bool) (out []string, err error) {
	for e, err := range c.Scan(tx, prefix) {
		if err != nil {
			return nil, err
		}
		if keep(e.Value) {
			out = append(out, e.Key)
		}
	}
	return out, nil
}
