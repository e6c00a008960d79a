package cloudformation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// verifyImport is AWS's advice with every import.
const verifyImport = "Verify that resources and their properties defined in the template match the intended configuration of the resource import to avoid unexpected changes."

// targets reads ResourcesToImport: which resources of the account become which of
// the template's.
func (s *Service) targets(in []cloudformation.ResourceToImport, tmpl *template.Template) (map[string]plan.Existing, error) {
	targets := map[string]plan.Existing{}
	byIdentifier := map[string]string{}
	var unsupported []string
	for _, r := range in {
		declared := tmpl.Resource(r.LogicalResourceId)
		_, twice := targets[r.LogicalResourceId]
		switch {
		case twice:
			return nil, fault.New(fault.ValidationError, "Resources [%s] passed in ResourceToImport are there more than once.", r.LogicalResourceId)
		case declared == nil:
			return nil, fault.New(fault.ValidationError, "Resources [%s] passed in ResourceToImport are not in the template, or their conditions are false.", r.LogicalResourceId)
		case declared.Type != r.ResourceType:
			return nil, fault.New(fault.ValidationError, "Resource [%s] passed in ResourceToImport is of type %s, and of type %s in the template.", r.LogicalResourceId, r.ResourceType, declared.Type)
		}
		keys := s.importable(r.ResourceType)
		if keys == nil {
			unsupported = append(unsupported, r.ResourceType)
			continue
		}
		id, ok := s.types.PhysicalID(r.ResourceType, r.ResourceIdentifier)
		if !ok {
			return nil, fault.New(fault.ValidationError, "Resource [%s] passed in ResourceToImport: a resource of type %s is identified by values of [%s], not of [%s].",
				r.LogicalResourceId, r.ResourceType, strings.Join(keys, ", "), strings.Join(names(r.ResourceIdentifier), ", "))
		}
		if other, ok := byIdentifier[r.ResourceType+" "+id]; ok {
			return nil, fault.New(fault.ValidationError, "Resources [%s, %s] passed in ResourceToImport are the same resource.", other, r.LogicalResourceId)
		}
		byIdentifier[r.ResourceType+" "+id] = r.LogicalResourceId
		targets[r.LogicalResourceId] = plan.Existing{PhysicalID: id, Identifier: r.ResourceIdentifier}
	}
	if len(unsupported) > 0 {
		slices.Sort(unsupported)
		return nil, fault.New(fault.ValidationError, "ResourceTypes [%s] are not supported for Import", strings.Join(slices.Compact(unsupported), ", "))
	}
	return targets, nil
}

// names are the names of the values that identify a resource.
func names(identifier map[string]string) []string {
	var out []string
	for name, value := range identifier {
		if value != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// importable are the properties that identify a resource of a type; nil: the type
// cannot be imported, since nobody can look whether there is one.
func (s *Service) importable(typeName string) []string {
	t, ok := s.types.Provider(typeName)
	schema, err := s.types.Schema(typeName)
	if !ok || t.Read == nil || t.Bound || err != nil || schema == nil || len(schema.PrimaryIdentifier) == 0 {
		return nil
	}
	return schema.PrimaryIdentifier
}

// unowned checks that no stack has what is to be imported.
func unowned(tx store.Tx, st *apply.Stack, p *plan.Plan) error {
	for i := range p.Steps {
		step := &p.Steps[i]
		if step.Action != plan.Import {
			continue
		}
		owner, err := apply.Owner(tx, st.Scope, step.Type, step.PhysicalID)
		if err != nil {
			return err
		}
		if owner != "" {
			return fault.New(fault.ValidationError, "%s", apply.Owned(step.Type, step.PhysicalID, owner))
		}
	}
	return nil
}

// canImport says whether a stack's state lets resources be imported into it.
func canImport(st *apply.Stack) error {
	if st.Status == apply.UpdateFailed || st.Status == apply.CreateFailed {
		return fault.New(fault.ValidationError, "Stack:%s is in %s state and can not import resources.", st.ID, st.Status)
	}
	return canUpdate(st)
}

// beginImport makes the plan of an import and begins it.
func (s *Service) beginImport(l *apply.Ledger, st *apply.Stack, w *wanted, caller apply.Caller) error {
	if st.Status != apply.ReviewInProgress {
		if err := canImport(st); err != nil {
			return err
		}
	}
	in, err := s.input(l.Tx, st, w)
	if err != nil {
		return err
	}
	p, err := s.plan(in, plan.MakeImport)
	if err != nil {
		return err
	}
	if err := w.keep(l.Tx, st); err != nil {
		return err
	}
	before := st.Version
	st.Before, st.Version = &before, w.version
	op := apply.Operation{Kind: apply.ImportStack, Caller: caller, Plan: p, New: w.version, Old: in.Old.Resources}
	return s.runner.Begin(l, st, op, apply.ImportInProgress, apply.UserInitiated)
}

// look finds out about what a change set is to import. Of an import it tells what
// is not there; a creation or update with ImportExistingResources gets those
// resources as targets that the template names, that are there and that belong to
// no stack.
func (s *Service) look(ctx context.Context, st *apply.Stack, stackName string, w *wanted) (missing string, err error) {
	caller, err := s.principal(ctx, w.version.RoleARN)
	if err != nil {
		return "", err
	}
	if st == nil {
		st = &apply.Stack{Name: stackName, Scope: auth.From(ctx).Scope}
	}
	candidates, err := s.candidates(ctx, st, w)
	if err != nil {
		return "", err
	}
	found := map[string]plan.Existing{}
	for _, c := range candidates {
		actual, err := s.runner.Read(ctx, st, caller, c.Resource)
		switch {
		case err == nil && s.types.Found(c.Type, c.Identifier, actual):
			found[c.LogicalID] = c.Existing()
		case err != nil && !fault.Is(err, cfn.NotFound):
			return "", err
		case w.imports != nil:
			return fmt.Sprintf("Resource of type '%s' with identifier '%s' was not found.", c.Type, c.PhysicalID), nil
		}
	}
	if w.imports == nil {
		w.imports = found
	}
	return "", nil
}

// candidates are the resources to look for.
func (s *Service) candidates(ctx context.Context, st *apply.Stack, w *wanted) (candidates []plan.Candidate, err error) {
	err = s.view(ctx, func(tx store.Tx) error {
		in, err := s.input(tx, st, w)
		if err != nil {
			return err
		}
		all, problems := plan.Candidates(in)
		if err := problems.Err(); err != nil {
			return err
		}
		for _, c := range all {
			owner, err := apply.Owner(tx, st.Scope, c.Type, c.PhysicalID)
			if err != nil {
				return err
			}
			if owner == "" && s.importable(c.Type) != nil {
				candidates = append(candidates, c)
			}
		}
		return nil
	})
	return candidates, err
}

// unretained says what existing resources keep a change set from importing them.
func unretained(tmpl *template.Template, found map[string]plan.Existing) string {
	var affected []string
	for id, e := range found {
		if p := tmpl.Resource(id).DeletionPolicy; p == cfn.PolicyRetain || p == cfn.PolicyRetainExceptOnCreate {
			continue
		}
		var by []string
		for _, name := range names(e.Identifier) {
			by = append(by, name+"="+e.Identifier[name])
		}
		affected = append(affected, fmt.Sprintf("%s ({%s})", id, strings.Join(by, ", ")))
	}
	if len(affected) == 0 {
		return ""
	}
	slices.Sort(affected)
	return "CloudFormation is attempting to import some resources because they already exist in your account. The resources must have the DeletionPolicy attribute set to 'Retain' or 'RetainExceptOnCreate' in the template for successful import. The affected resources are " + strings.Join(affected, ", ")
}
