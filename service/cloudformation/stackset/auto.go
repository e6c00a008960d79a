package stackset

import (
	"context"
	"errors"
	"slices"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// follow gives the accounts that have come into the units of stack sets their
// stacks, and takes or leaves those of accounts that have gone.
func (s *Service) follow(ctx context.Context) error {
	if s.cfg.Organizations == nil {
		return nil
	}
	var following []*set
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		following = nil
		for e, err := range sets.Scan(tx, "") {
			if err != nil {
				return err
			}
			v := e.Value
			if v.Status == api.StackSetStatusActive && v.Auto != nil && v.Auto.Enabled && len(v.Units) > 0 {
				following = append(following, v)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	known := map[string][]member{}
	var failed []error // of one set, which keeps nothing from the others
	for _, v := range following {
		members, ok := known[v.Scope.Account]
		if !ok {
			if members, ok, err = s.organization(ctx, v.Scope); err != nil {
				failed = append(failed, err)
			}
			if !ok {
				continue
			}
			known[v.Scope.Account] = members
		}
		if err := s.catchUp(ctx, v, members); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// organization are the members of an organization, where stack sets have access.
func (s *Service) organization(ctx context.Context, scope arn.Scope) ([]member, bool, error) {
	enabled, err := s.trusted(ctx, scope)
	if fault.Is(err, fault.OrganizationsNotInUse, fault.AccessDeniedException) || err == nil && !enabled {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	members, err := s.members(ctx, scope)
	return members, err == nil, err
}

// catchUp begins what a stack set lacks. Where an operation is under way it does
// nothing: the end of that is a change that wakes the loop again.
func (s *Service) catchUp(ctx context.Context, known *set, members []member) error {
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := sets.Get(tx, known.key())
		if err != nil || v.Status != api.StackSetStatusActive || v.Auto == nil || !v.Auto.Enabled {
			return err
		}
		open, err := openOperations(tx, v)
		if err != nil || len(open) > 0 {
			return err
		}
		have, err := allOf(tx, instances, v.key()+"/")
		if err != nil {
			return err
		}
		f := follows(v.Units, members, have)
		if f.Create, err = ready(tx, v, members, f.Create); err != nil {
			return err
		}
		switch {
		case len(f.Delete) > 0:
			o := s.own(v, deleting, f.Delete)
			o.Retain = &v.Auto.Retain
			return s.begin(tx, v, o)
		case len(f.Create) > 0:
			return s.begin(tx, v, s.own(v, creating, f.Create))
		}
		return nil
	})
}

// own is an operation that a stack set begins by itself: everywhere at once, and
// what fails in one account keeps nothing from the others.
func (s *Service) own(v *set, kind string, at []place) *operation {
	all := int32(100) //nolint:mnd // per cent
	return &operation{
		ID: newID(""), Set: v.ID, Scope: v.Scope, Kind: kind, Status: api.StackSetOperationStatusRunning, Exactly: slices.Clone(at),
		Prefs:   preferences{Parallel: true, Soft: true, TolerancePercent: &all, MaxPercent: &all, Mode: api.ConcurrencyModeSoftFailureTolerance},
		Created: s.now(), Enforced: v.Enforced, Endpoint: v.Endpoint,
	}
}
