package cloudformation

import (
	"context"
	"errors"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/store"
)

// BeginMacros begins the creation of a stack whose template has macros.
func (s *Service) BeginMacros(ctx context.Context, name, body string) (Beginning, error) {
	r := request{source: source{Body: body}, stackName: name, direct: true, Capabilities: []string{"CAPABILITY_AUTO_EXPAND"}}
	w, err := s.want(ctx, nil, r)
	return func(tx store.Tx) (string, error) {
		l := ledger(tx)
		st, err := claim(l, auth.From(ctx), name)
		if err != nil {
			return "", err
		}
		if err := w.keep(tx, st); err != nil {
			return "", err
		}
		st.Version = w.version
		err = s.prepare(l, st, &processing{For: forCreate, Caller: apply.Caller{Principal: auth.From(ctx).Principal}}, r, w, apply.CreateInProgress)
		return st.Operation, err
	}, err
}

// BeginScan begins a scan of everything.
func (s *Service) BeginScan(ctx context.Context) Beginning {
	return func(tx store.Tx) (string, error) {
		c := auth.From(ctx)
		sc := &scan{ID: c.Scope.ARN("cloudformation", "resourceScan/00000000-0000-4000-8000-000000000000").String(), Scope: c.Scope, Status: scanInProgress,
			Started: s.cfg.Now(), Caller: apply.Caller{Principal: c.Principal}}
		id := scanWorkflow + "/" + sc.key()
		return id, errors.Join(scans.Put(tx, sc.key(), sc), s.cfg.Workflows.Begin(tx, scanWorkflow, id, scanParams{Scan: sc.key()}))
	}
}

// BeginGenerating begins to make the template g of resources.
func (s *Service) BeginGenerating(ctx context.Context, in []api.ResourceDefinition) Beginning {
	return func(tx store.Tx) (string, error) {
		c := auth.From(ctx)
		g := &generatedTemplate{ID: c.Scope.ARN("cloudformation", "generatedTemplate/00000000-0000-4000-8000-000000000000").String(), Name: "g", Scope: c.Scope,
			Status: generatingCreate, DeletionPolicy: "Retain", UpdateReplacePolicy: "Retain", Caller: apply.Caller{Principal: c.Principal}}
		if err := s.addResources(g, in); err != nil {
			return "", err
		}
		return generateWorkflow + "/" + g.key() + "/1", s.beginGenerating(ledger(tx), g)
	}
}

// BeginRefactor begins the only refactoring that there is, under a fixed id.
func (s *Service) BeginRefactor(ctx context.Context) Beginning {
	return func(tx store.Tx) (string, error) {
		var ref *apply.Refactor
		for e, err := range apply.Refactors.Scan(tx, auth.From(ctx).Scope.Key()+"/") {
			if err != nil {
				return "", err
			}
			ref = e.Value
		}
		if ref == nil {
			return "", errors.New("there is no refactoring")
		}
		ref.ID = "fixed"
		err := s.runner.Refactor(ledger(tx), ref)
		return "cloudformation/refactor/" + ref.Key(), err
	}
}
