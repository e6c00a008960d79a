package cloudformation

import (
	"context"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/store"
)

// Beginning begins an operation in a transaction of the test's, as the tests by
// construction of package workflowtest want it.
type Beginning func(tx store.Tx) (workflowID string, err error)

func ledger(tx store.Tx) *apply.Ledger { return &apply.Ledger{Tx: tx, Now: time.Now()} }

func (s *Service) BeginCreate(ctx context.Context, name, body string) (Beginning, error) {
	w, err := s.want(ctx, nil, request{source: source{Body: body}})
	return func(tx store.Tx) (string, error) {
		l := ledger(tx)
		st, err := claim(l, auth.From(ctx), name)
		if err != nil {
			return "", err
		}
		err = s.begin(l, st, w, apply.Caller{Principal: auth.From(ctx).Principal})
		return st.Operation, err
	}, err
}

func (s *Service) BeginUpdate(ctx context.Context, name, body string) (Beginning, error) {
	st, err := s.updatable(ctx, auth.From(ctx).Scope, name)
	if err != nil {
		return nil, err
	}
	w, err := s.want(ctx, st, request{source: source{Body: body}})
	return func(tx store.Tx) (string, error) {
		st, err := must(tx, auth.From(ctx).Scope, name, noStack)
		if err != nil {
			return "", err
		}
		err = s.beginUpdate(ledger(tx), st, w, apply.Caller{Principal: auth.From(ctx).Principal}, st.Policy)
		return st.Operation, err
	}, err
}

// BeginMonitored begins an update with rollback triggers.
func (s *Service) BeginMonitored(ctx context.Context, name, body string, rollback *api.RollbackConfiguration) (Beginning, error) {
	st, err := s.updatable(ctx, auth.From(ctx).Scope, name)
	if err != nil {
		return nil, err
	}
	w, err := s.want(ctx, st, request{source: source{Body: body}, Rollback: rollback})
	return func(tx store.Tx) (string, error) {
		st, err := must(tx, auth.From(ctx).Scope, name, noStack)
		if err != nil {
			return "", err
		}
		err = s.beginUpdate(ledger(tx), st, w, apply.Caller{Principal: auth.From(ctx).Principal}, st.Policy)
		return st.Operation, err
	}, err
}

func (s *Service) BeginDelete(ctx context.Context, name string) Beginning {
	return func(tx store.Tx) (string, error) {
		st, err := must(tx, auth.From(ctx).Scope, name, noStack)
		if err != nil {
			return "", err
		}
		err = s.beginDelete(ledger(tx), st, &api.DeleteStackInput{StackName: name}, apply.Caller{Principal: auth.From(ctx).Principal})
		return st.Operation, err
	}
}

func (s *Service) BeginDetection(ctx context.Context, name string) Beginning {
	return func(tx store.Tx) (string, error) {
		st, err := comparableStack(tx, auth.From(ctx).Scope, name)
		if err != nil {
			return "", err
		}
		d, err := s.runner.Detect(ledger(tx), st, apply.Caller{Principal: auth.From(ctx).Principal}, nil)
		if err != nil {
			return "", err
		}
		return d.Flow(), nil
	}
}

// BeginImport begins an import into the stack, or into a new one.
func (s *Service) BeginImport(ctx context.Context, name, body string, in []api.ResourceToImport) (Beginning, error) {
	w, err := s.want(ctx, nil, request{source: source{Body: body}})
	if err != nil {
		return nil, err
	}
	if w.imports, err = s.targets(in, w.tmpl); err != nil {
		return nil, err
	}
	return func(tx store.Tx) (string, error) {
		l := ledger(tx)
		st, err := find(tx, auth.From(ctx).Scope, name)
		if err == nil && st == nil {
			if st, err = claim(l, auth.From(ctx), name); err == nil {
				err = l.Stack(st, apply.ReviewInProgress, apply.UserInitiated)
			}
		}
		if err != nil {
			return "", err
		}
		err = s.beginImport(l, st, w, apply.Caller{Principal: auth.From(ctx).Principal})
		return st.Operation, err
	}, nil
}

// BeginExecution begins what a change set of a stack says.
func (s *Service) BeginExecution(ctx context.Context, stack, name string) Beginning {
	return func(tx store.Tx) (string, error) {
		cs, st, err := findChangeSet(tx, auth.From(ctx).Scope, name, stack)
		if err == nil {
			err = cs.load(tx, st)
		}
		if err != nil {
			return "", err
		}
		t, err := apply.Templates.Get(tx, cs.Version.TemplateKey)
		if err != nil {
			return "", err
		}
		tmpl, err := s.parse(t.Body, false)
		if err != nil {
			return "", err
		}
		w := &wanted{body: t.Body, tmpl: tmpl, version: cs.Version, live: cs.Live}
		err = s.execute(ledger(tx), st, cs, &api.ExecuteChangeSetInput{}, w, apply.Caller{Principal: auth.From(ctx).Principal})
		return st.Operation, err
	}
}

// BeginChangeSet begins the workflow that decides a change set with macros.
func (s *Service) BeginChangeSet(ctx context.Context, in *api.CreateChangeSetInput) (Beginning, error) {
	d, r, err := s.draftChangeSet(ctx, auth.From(ctx), in, in.ChangeSetType)
	return func(tx store.Tx) (string, error) {
		d.cs.ID = "changeSet/" + d.cs.Name + "/" + arn.UUIDFrom(d.cs.Name) // the workflow goes by it
		return processingWorkflow + "/" + d.cs.key(d.stack), s.awaitMacros(ledger(tx), d, in, r)
	}, err
}
