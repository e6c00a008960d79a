package stackset

import (
	"context"
	"regexp"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DetectStackSetDrift compares the resources of all instances with what is there.
func (s *Service) DetectStackSetDrift(ctx context.Context, in *api.DetectStackSetDriftInput) (*api.DetectStackSetDriftOutput, error) {
	o, err := s.operate(ctx, in.StackSetName, in.CallAs, detecting, in.OperationId, in.OperationPreferences, in,
		func(_ *set, o *operation) error {
			o.All = true
			return nil
		}, nil)
	if err != nil {
		return nil, err
	}
	return &api.DetectStackSetDriftOutput{OperationId: o.ID}, nil
}

// underWay finds the detection that a repeated step has begun before.
var underWay = regexp.MustCompile(`Drift detection (\S+) is already in progress`)

// detect finds the drift of one stack.
func (w visit) detect(out outcome) (outcome, error) {
	if w.t.Stack == "" {
		out.Failed, out.Reason = true, "The stack instance has no stack"
		return out, nil
	}
	found, err := step(w, "drift", func(ctx context.Context, _ *operation, _ string) (outcome, error) {
		id := ""
		begun, err := w.s.cfg.Stacks().DetectStackDrift(ctx, &api.DetectStackDriftInput{StackName: w.t.Stack})
		if err == nil {
			id = begun.StackDriftDetectionId
		} else if m := underWay.FindStringSubmatch(err.Error()); m != nil {
			id = m[1]
		} else {
			return outcome{}, err
		}
		changed := w.s.cfg.Store.Watch(ctx, "cloudformation/")
		for {
			at, err := w.s.cfg.Stacks().DescribeStackDriftDetectionStatus(ctx, &api.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: id})
			if err != nil {
				return outcome{}, err
			}
			if at.DetectionStatus != api.StackDriftDetectionStatusDetectionInProgress {
				failed := at.DetectionStatus == api.StackDriftDetectionStatusDetectionFailed
				return outcome{Drift: at.StackDriftStatus, Failed: failed, Reason: at.DetectionStatusReason}, nil
			}
			if err := pause(ctx, changed); err != nil {
				return outcome{}, err
			}
		}
	})
	if err != nil {
		return failed(w.f, out, err)
	}
	out.Drift, out.Failed, out.Reason = found.Drift, found.Failed, found.Reason
	return out, nil
}

// ListStackInstanceResourceDrifts tells the drift of an instance's resources.
func (s *Service) ListStackInstanceResourceDrifts(ctx context.Context, in *api.ListStackInstanceResourceDriftsInput) (*api.ListStackInstanceResourceDriftsOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	var o *operation
	var i *instance
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		if o, err = findOperation(tx, v, in.OperationId); err != nil {
			return err
		}
		if o.Kind != detecting {
			return fault.New(fault.CFNOperationNotFound, "Operation %s is not a drift detection", in.OperationId)
		}
		i, err = findInstance(tx, v, in.StackInstanceAccount, in.StackInstanceRegion)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListStackInstanceResourceDriftsOutput{Summaries: []api.StackInstanceResourceDriftsSummary{}}
	if i.StackID == "" {
		return out, nil
	}
	p, err := s.enter(ctx, o, i.Account, "")
	if err != nil {
		return nil, err
	}
	found, err := s.cfg.Stacks().DescribeStackResourceDrifts(s.in(ctx, o, p, i.Region, "DescribeStackResourceDrifts", ""), &api.DescribeStackResourceDriftsInput{
		StackName: i.StackID, StackResourceDriftStatusFilters: in.StackInstanceResourceDriftStatuses, NextToken: in.NextToken, MaxResults: in.MaxResults,
	})
	if err != nil {
		return nil, err
	}
	for _, d := range found.StackResourceDrifts {
		out.Summaries = append(out.Summaries, api.StackInstanceResourceDriftsSummary{
			StackId: d.StackId, LogicalResourceId: d.LogicalResourceId, PhysicalResourceId: d.PhysicalResourceId,
			PhysicalResourceIdContext: d.PhysicalResourceIdContext, ResourceType: d.ResourceType, PropertyDifferences: d.PropertyDifferences,
			StackResourceDriftStatus: d.StackResourceDriftStatus, Timestamp: d.Timestamp,
		})
	}
	out.NextToken = found.NextToken
	return out, nil
}

// maxImports is how many stacks one request takes into a set.
const maxImports = 10

// ImportStacksToStackSet takes stacks that are there into a set.
func (s *Service) ImportStacksToStackSet(ctx context.Context, in *api.ImportStacksToStackSetInput) (*api.ImportStacksToStackSetOutput, error) {
	switch {
	case in.StackIdsUrl != "":
		return nil, fault.New(fault.NotImplemented, "StackIdsUrl is not implemented")
	case len(in.StackIds) == 0 || len(in.StackIds) > maxImports:
		return nil, invalid("You must specify between 1 and %d StackIds.", maxImports)
	}
	at, err := stackPlaces(in.StackIds)
	if err != nil {
		return nil, err
	}
	o, err := s.operate(ctx, in.StackSetName, in.CallAs, importing, in.OperationId, in.OperationPreferences, in,
		func(v *set, o *operation) error {
			if v.Model == api.PermissionModelsServiceManaged {
				return fault.New(fault.NotImplemented, "ImportStacksToStackSet into a SERVICE_MANAGED stack set is not implemented")
			}
			if len(in.OrganizationalUnitIds) > 0 {
				return invalid("OrganizationalUnitIds cannot be specified for a SELF_MANAGED stack set.")
			}
			o.Stacks = in.StackIds
			return nil
		},
		func(tx store.Tx, v *set, _ *operation) error {
			for _, p := range at {
				if err := importable(tx, v, p); err != nil {
					return err
				}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	return &api.ImportStacksToStackSetOutput{OperationId: o.ID}, nil
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
				found.Overrides = append(found.Overrides, parameter{p.ParameterKey, p.ParameterValue})
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
