package stackset

import (
	"context"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// How many stacks one request takes into a set: named in it, and listed by an object.
const (
	maxImports = 10
	maxListed  = 200
)

// ImportStacksToStackSet takes stacks that are there into a set.
func (s *Service) ImportStacksToStackSet(ctx context.Context, in *api.ImportStacksToStackSetInput) (*api.ImportStacksToStackSetOutput, error) {
	ids, err := s.stackIDs(ctx, in)
	if err != nil {
		return nil, err
	}
	at, err := stackPlaces(ids)
	if err != nil {
		return nil, err
	}
	var units []unitTarget
	o, err := s.operate(ctx, in.StackSetName, in.CallAs, importing, in.OperationId, in.OperationPreferences, in,
		func(v *set, o *operation) (err error) {
			o.Stacks = ids
			switch {
			case v.Model == api.PermissionModelsServiceManaged:
				units, err = s.mapped(ctx, o, in.OrganizationalUnitIds, at)
				return err
			case len(in.OrganizationalUnitIds) > 0:
				return invalid("OrganizationalUnitIds cannot be specified for a SELF_MANAGED stack set.")
			}
			return nil
		},
		func(tx store.Tx, v *set, _ *operation) error {
			for _, p := range at {
				if err := importable(tx, v, p); err != nil {
					return err
				}
			}
			for _, u := range units {
				v.deploy(&operation{Units: &deployment{Units: []string{u.Unit}}, Regions: u.Regions})
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	return &api.ImportStacksToStackSetOutput{OperationId: o.ID}, nil
}

// stackIDs are the stacks that a request names or lists.
func (s *Service) stackIDs(ctx context.Context, in *api.ImportStacksToStackSetInput) ([]string, error) {
	if in.StackIdsUrl == "" {
		if len(in.StackIds) == 0 || len(in.StackIds) > maxImports {
			return nil, invalid("You must specify between 1 and %d StackIds.", maxImports)
		}
		return in.StackIds, nil
	}
	if len(in.StackIds) > 0 {
		return nil, invalid("You must specify either StackIds or StackIdsUrl, but not both.")
	}
	ids, err := s.list(ctx, in.StackIdsUrl)
	if err == nil && (len(ids) == 0 || len(ids) > maxListed) {
		err = invalid("StackIdsUrl must list between 1 and %d stacks.", maxListed)
	}
	return ids, err
}

// mapped are the units to which a request maps the stacks that it takes in, with the
// regions that these make them have. Every stack must be in an account below one.
func (s *Service) mapped(ctx context.Context, o *operation, units []string, at []place) ([]unitTarget, error) {
	if len(units) == 0 {
		return nil, invalid("You must specify OrganizationalUnitIds for a SERVICE_MANAGED stack set.")
	}
	members, err := s.members(ctx, o.Scope)
	if err != nil {
		return nil, err
	}
	out := make([]unitTarget, len(units))
	for i, u := range units {
		out[i].Unit = u
	}
	for _, p := range at {
		found := false
		for i := range out {
			if len(choose(deployment{Units: []string{out[i].Unit}}, only(members, p.Account))) == 0 {
				continue
			}
			found = true
			if !slices.Contains(out[i].Regions, p.Region) {
				out[i].Regions = append(out[i].Regions, p.Region)
			}
		}
		if !found {
			return nil, fault.New(fault.CFNInvalidOperation, "Account %s of stack %s is not in the organizational units %s", p.Account, p.Stack, strings.Join(units, ", "))
		}
	}
	o.Units = &deployment{Units: units}
	return slices.DeleteFunc(out, func(u unitTarget) bool { return len(u.Regions) == 0 }), nil
}

// only is the member of an account, if it is one.
func only(members []member, account string) []member {
	i := slices.IndexFunc(members, func(m member) bool { return m.Account == account })
	if i < 0 {
		return nil
	}
	return members[i : i+1]
}

// importable checks that neither the stack nor its place is any set's yet.
func importable(tx store.Tx, v *set, p place) error {
	for e, err := range instances.ByIndex(tx, "stack", p.Stack) {
		if err != nil {
			return err
		}
		return fault.New(fault.CFNInvalidOperation, "Stack %s is already in stack set %s", p.Stack, e.Value.Set)
	}
	_, err := findInstance(tx, v, p.Account, p.Region)
	switch {
	case err == nil:
		return fault.New(fault.CFNInvalidOperation, "The stack set has an instance in account %s and region %s already", p.Account, p.Region)
	case fault.Is(err, fault.CFNStackInstanceNotFound):
		return nil
	}
	return err
}

// stackPlaces are the places of stacks, which are named by their ids.
func stackPlaces(ids []string) ([]place, error) {
	var out []place
	for _, id := range ids {
		a, err := arn.Parse(id)
		if err != nil || a.Service != "cloudformation" || !strings.HasPrefix(a.Resource, "stack/") || !arn.IsAccount(a.Account) {
			return nil, fault.New(fault.CFNStackNotFound, "%s is not the id of a stack", id)
		}
		if slices.ContainsFunc(out, func(p place) bool { return p.Account == a.Account && p.Region == a.Region }) {
			return nil, invalid("A stack set can have only one stack in account %s and region %s.", a.Account, a.Region)
		}
		out = append(out, place{Account: a.Account, Region: a.Region, Stack: id})
	}
	return out, nil
}

// adopt takes a stack into the set: its template must be the set's, and parameters
// that differ become overrides.
func (w visit) adopt(out outcome) (outcome, error) {
	got, err := step(w, "adopt", func(ctx context.Context, _ *operation, _ string) (outcome, error) {
		described, err := w.s.cfg.Stacks().DescribeStacks(ctx, &api.DescribeStacksInput{StackName: w.t.Stack})
		if err != nil {
			return outcome{}, err
		}
		st := described.Stacks[0]
		if st.StackStatus != "UPDATE_ROLLBACK_COMPLETE" && !good(st.StackStatus) {
			return outcome{Failed: true, Reason: "Stack " + st.StackId + " is in status " + st.StackStatus}, nil
		}
		tmpl, err := w.s.cfg.Stacks().GetTemplate(ctx, &api.GetTemplateInput{StackName: w.t.Stack, TemplateStage: api.TemplateStageOriginal})
		if err != nil {
			return outcome{}, err
		}
		want, err := w.wanted(ctx)
		if err != nil {
			return outcome{}, err
		}
		if strings.TrimSpace(tmpl.TemplateBody) != strings.TrimSpace(want.body) {
			return outcome{Failed: true, Reason: "The template of stack " + st.StackId + " is not that of the stack set"}, nil
		}
		found := outcome{Stack: st.StackId}
		for _, p := range st.Parameters {
			same := slices.ContainsFunc(want.parameters, func(q api.Parameter) bool {
				return q.ParameterKey == p.ParameterKey && q.ParameterValue == p.ParameterValue
			})
			if !same && p.ParameterValue != masked {
				found.Overrides = append(found.Overrides, parameter{Key: p.ParameterKey, Value: p.ParameterValue})
			}
		}
		return found, nil
	})
	if err != nil {
		out, err = failed(w.f, out, err)
		return out, err
	}
	got.Gate, got.GateReason = out.Gate, out.GateReason
	return got, nil
}
