package stackset

import (
	"context"
	"regexp"

	api "github.com/slipway/slipway/api/cloudformation"
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
