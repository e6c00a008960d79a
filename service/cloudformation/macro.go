package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// macro is the record of a macro.
type macro struct {
	cfn.Macro
	Token string `json:",omitempty"` // of the durable step that made it
}

// macros are keyed by account, region and name.
var macros = store.NewCollection[macro]("cloudformation/macro")

// CreateMacro gives a macro its name in the caller's account and region. The same
// durable step may do it again.
func (s *Service) CreateMacro(ctx context.Context, m cfn.Macro) error {
	c := auth.From(ctx)
	return s.update(ctx, func(l *apply.Ledger) error {
		old, err := macros.Get(l.Tx, c.Scope.Key()+"/"+m.Name)
		switch {
		case err == nil && (c.Token == "" || old.Token != c.Token):
			return fault.New(fault.CFNAlreadyExists, "Macro %s already exists", m.Name)
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		return macros.Put(l.Tx, c.Scope.Key()+"/"+m.Name, &macro{Macro: m, Token: c.Token})
	})
}

// UpdateMacro changes what a macro is.
func (s *Service) UpdateMacro(ctx context.Context, m cfn.Macro) error {
	c := auth.From(ctx)
	return s.update(ctx, func(l *apply.Ledger) error {
		old, err := macros.Get(l.Tx, c.Scope.Key()+"/"+m.Name)
		if err != nil {
			return noMacro(err, m.Name)
		}
		return macros.Put(l.Tx, c.Scope.Key()+"/"+m.Name, &macro{Macro: m, Token: old.Token})
	})
}

// DeleteMacro takes a macro's name away. One that is gone is no error.
func (s *Service) DeleteMacro(ctx context.Context, name string) error {
	return s.update(ctx, func(l *apply.Ledger) error {
		return macros.Delete(l.Tx, auth.From(ctx).Scope.Key()+"/"+name)
	})
}

// GetMacro finds a macro.
func (s *Service) GetMacro(ctx context.Context, name string) (*cfn.Macro, error) {
	var m *cfn.Macro
	err := s.view(ctx, func(tx store.Tx) error {
		found, err := macros.Get(tx, auth.From(ctx).Scope.Key()+"/"+name)
		if err == nil {
			m = &found.Macro
		}
		return noMacro(err, name)
	})
	return m, err
}

// ListMacros lists the names of the caller's macros.
func (s *Service) ListMacros(ctx context.Context) ([]string, error) {
	var names []string
	err := s.view(ctx, func(tx store.Tx) error {
		for e, err := range macros.Scan(tx, auth.From(ctx).Scope.Key()+"/") {
			if err != nil {
				return err
			}
			names = append(names, e.Value.Name)
		}
		return nil
	})
	return names, err
}

func noMacro(err error, name string) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(cfn.NotFound, "Macro %s does not exist", name)
	}
	return err
}

// runMacro has a macro's function answer, as the caller.
func (s *Service) runMacro(ctx context.Context, name string, r transform.Request) ([]byte, error) {
	if strings.Contains(name, "/") {
		return nil, transform.ErrNoMacro
	}
	m, err := s.GetMacro(ctx, name)
	if fault.Is(err, cfn.NotFound) {
		return nil, transform.ErrNoMacro
	}
	if err != nil {
		return nil, err
	}
	if s.cfg.Invoke == nil {
		return nil, fault.New(fault.NotImplemented, "macros are not implemented: this Slipway has no Lambda")
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Invoke(ctx, m.FunctionName, payload)
}
