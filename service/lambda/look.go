package lambda

import (
	"context"
	"errors"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// looked is what a call names: a function, or one version of it.
type looked struct {
	place
	qualifier string // as the caller gave it; "" for none
	function  *record
	version   *version
}

// own finds the function that a call names, without a version. in is the call's
// input, for what conditions ask of it.
func (s *Service) own(ctx context.Context, name, qualifier string, in any) (l looked, err error) {
	if l.place, l.qualifier, err = named(ctx, name, qualifier); err != nil {
		return l, err
	}
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		if err := s.permit(ctx, tx, l.place, l.qualifier, in); err != nil {
			return err
		}
		l.function, err = mustFunction(tx, l.place, l.qualifier)
		return err
	})
	return l, err
}

// look finds the version that a call names.
func (s *Service) look(ctx context.Context, name, qualifier string, in any) (l looked, err error) {
	if l.place, l.qualifier, err = named(ctx, name, qualifier); err != nil {
		return l, err
	}
	err = s.store.View(ctx, func(tx store.Tx) error { return s.lookIn(ctx, tx, &l, in) })
	return l, err
}

func (s *Service) lookIn(ctx context.Context, tx store.Tx, l *looked, in any) (err error) {
	if err := s.permit(ctx, tx, l.place, l.qualifier, in); err != nil {
		return err
	}
	if l.function, err = mustFunction(tx, l.place, l.qualifier); err != nil {
		return err
	}
	l.version, err = resolve(tx, l.place, l.qualifier)
	return err
}

// change changes a function's $LATEST.
func (s *Service) change(ctx context.Context, name string, in any, fn func(tx store.Tx, l *looked) error) (l looked, err error) {
	p, qualifier, err := named(ctx, name, "")
	if err != nil {
		return l, err
	}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		l = looked{place: p, qualifier: qualifier}
		if qualifier != "" && qualifier != latest {
			return invalid("The function name must be that of an unqualified function, or end in $LATEST.")
		}
		if err := s.lookIn(ctx, tx, &l, in); err != nil {
			return err
		}
		return fn(tx, &l)
	})
	return l, err
}

// permit lets callers of other accounts have what a function's policy opens to them,
// and the services of AWS what it opens to these. Callers that policies bind were
// judged before the call got here, by all of their policies.
func (s *Service) permit(ctx context.Context, tx store.Tx, p place, qualifier string, in any) error {
	call := auth.From(ctx)
	byService := call.Principal.Kind == auth.Service && call.Principal.Name != servicePrincipal && call.Operation == "Invoke"
	if !byService && (call.Scope.Account == p.Account || call.Principal.Enforced && call.Principal.Kind != auth.Service) {
		return nil
	}
	ask := call.Requests(in)[0]
	f, err := functions.Get(tx, p.key())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && f.Policies[qualifier] != nil {
		doc, err := s.policies.Parse(f.Policies[qualifier].document(), policy.Resource)
		if err != nil {
			return err
		}
		if doc.Decide(call.Principal.Caller(), policy.Request{Action: ask.Action, Resource: p.arn(qualifier), Context: ask.Context}) == policy.Allowed {
			return nil
		}
	}
	return fault.New(fault.AccessDeniedException, "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		call.Principal.ARN, ask.Action, p.arn(qualifier), ask.Action)
}

// servicePrincipal is the principal that this service acts as.
const servicePrincipal = "lambda.amazonaws.com"
