package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// comparable are the statuses of stacks whose drift can be detected ("Detect
// unmanaged configuration changes to stacks and resources with drift detection",
// CloudFormation User Guide).
var comparable = []string{
	apply.CreateComplete, apply.UpdateComplete, apply.UpdateRollbackComplete, apply.UpdateRollbackFailed, apply.ImportComplete, apply.ImportRollbackComplete,
}

// comparableStack finds a stack whose drift can be detected.
func comparableStack(tx store.Tx, scope arn.Scope, nameOrID string) (*apply.Stack, error) {
	st, err := must(tx, scope, nameOrID, noStack)
	if err == nil && !slices.Contains(comparable, st.Status) {
		err = fault.New(fault.ValidationError, "Drift detection cannot be performed on stack [%s] while it is in %s state.", st.ID, st.Status)
	}
	return st, err
}

// noResources names resources that a stack does not have.
func noResources(st *apply.Stack, missing []string) error {
	return fault.New(fault.ValidationError, "Stack [%s] does not have the following resources: [%s]", st.Name, strings.Join(missing, ", "))
}

// DetectStackDrift begins the comparison of a stack's resources with what is there.
func (s *Service) DetectStackDrift(ctx context.Context, in *cloudformation.DetectStackDriftInput) (*cloudformation.DetectStackDriftOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, "")
	if err != nil {
		return nil, err
	}
	var d *apply.Detection
	err = s.update(ctx, func(l *apply.Ledger) error {
		st, err := comparableStack(l.Tx, c.Scope, in.StackName)
		if err != nil {
			return err
		}
		if n := len(st.Detections); n > 0 {
			last, err := apply.Detections.Get(l.Tx, c.Scope.Key()+"/"+st.Detections[n-1])
			if err != nil {
				return err
			}
			if last.Status == apply.DetectionInProgress {
				return fault.New(fault.ValidationError, "Drift detection %s is already in progress for stack [%s].", last.ID, st.ID)
			}
		}
		all, err := apply.ResourcesOf(l.Tx, st)
		if err != nil {
			return err
		}
		var missing []string
		for _, id := range in.LogicalResourceIds {
			if all[id] == nil {
				missing = append(missing, id)
			}
		}
		if len(missing) > 0 {
			return noResources(st, missing)
		}
		d, err = s.runner.Detect(l, st, caller, in.LogicalResourceIds)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &cloudformation.DetectStackDriftOutput{StackDriftDetectionId: d.ID}, nil
}

// DescribeStackDriftDetectionStatus tells how far a detection is.
func (s *Service) DescribeStackDriftDetectionStatus(ctx context.Context, in *cloudformation.DescribeStackDriftDetectionStatusInput) (*cloudformation.DescribeStackDriftDetectionStatusOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	var d *apply.Detection
	err = s.view(ctx, func(tx store.Tx) (err error) {
		d, err = apply.Detections.Get(tx, c.Scope.Key()+"/"+in.StackDriftDetectionId)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.ValidationError, "Drift detection with id %s does not exist", in.StackDriftDetectionId)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackDriftDetectionStatusOutput{
		StackId: d.StackID, StackDriftDetectionId: d.ID, DetectionStatus: d.Status, DetectionStatusReason: d.Reason, Timestamp: &d.Started,
	}
	if d.Status != apply.DetectionInProgress {
		out.StackDriftStatus, out.DriftedStackResourceCount = d.Drift, &d.Drifted
	}
	return out, nil
}

// DetectStackResourceDrift compares one resource with what is there.
func (s *Service) DetectStackResourceDrift(ctx context.Context, in *cloudformation.DetectStackResourceDriftInput) (*cloudformation.DetectStackResourceDriftOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, "")
	if err != nil {
		return nil, err
	}
	var st *apply.Stack
	var r *apply.Resource
	err = s.view(ctx, func(tx store.Tx) (err error) {
		if st, err = comparableStack(tx, c.Scope, in.StackName); err != nil {
			return err
		}
		all, err := apply.ResourcesOf(tx, st)
		if r = all[in.LogicalResourceId]; err == nil && r == nil {
			err = noResources(st, []string{in.LogicalResourceId})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	d := s.runner.Compare(ctx, st, caller, r)
	if d == nil {
		return nil, fault.New(fault.ValidationError, "Drift detection is not supported for resource %s of type %s", r.LogicalID, r.Type)
	}
	err = s.update(ctx, func(l *apply.Ledger) error {
		now, err := must(l.Tx, c.Scope, st.ID, noStack)
		if err != nil || now.Count != st.Count {
			return err // it has been changed meanwhile, and the check is of what it was
		}
		return s.runner.KeepDrift(l, now, d)
	})
	if err != nil {
		return nil, err
	}
	shown := showDrift(st, d)
	return &cloudformation.DetectStackResourceDriftOutput{StackResourceDrift: &shown}, nil
}

// DescribeStackResourceDrifts lists what the last checks of a stack's resources
// found.
func (s *Service) DescribeStackResourceDrifts(ctx context.Context, in *cloudformation.DescribeStackResourceDriftsInput) (*cloudformation.DescribeStackResourceDriftsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackResourceDriftsOutput{StackResourceDrifts: []cloudformation.StackResourceDrift{}}
	err = s.view(ctx, func(tx store.Tx) error {
		st, err := must(tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		var all []*apply.ResourceDrift
		for e, err := range apply.Drifts.Scan(tx, st.Key()+"/") {
			if err != nil {
				return err
			}
			if len(in.StackResourceDriftStatusFilters) == 0 || slices.Contains(in.StackResourceDriftStatusFilters, e.Value.Status) {
				all = append(all, e.Value)
			}
		}
		size := pageSize
		if in.MaxResults != nil {
			size = int(*in.MaxResults)
		}
		part, next, err := pageOf(all, size, st.ID, in.NextToken, func(d *apply.ResourceDrift) string { return d.LogicalID })
		for _, d := range part {
			out.StackResourceDrifts = append(out.StackResourceDrifts, showDrift(st, d))
		}
		out.NextToken = next
		return err
	})
	return out, err
}

// showDrift is a check as the API shows it.
func showDrift(st *apply.Stack, d *apply.ResourceDrift) cloudformation.StackResourceDrift {
	out := cloudformation.StackResourceDrift{
		StackId: st.ID, LogicalResourceId: d.LogicalID, PhysicalResourceId: d.PhysicalID, ResourceType: d.Type,
		StackResourceDriftStatus: d.Status, DriftStatusReason: d.Reason, Timestamp: &d.Time,
		ModuleInfo: moduleInfo(d.LogicalID, &st.Version, st.Before),
	}
	if d.Expected != nil {
		out.PropertyDifferences = []cloudformation.PropertyDifference{}
		out.ExpectedProperties, out.ActualProperties = jsonOf(d.Expected), jsonOf(d.Actual)
	}
	for _, x := range d.Differences {
		out.PropertyDifferences = append(out.PropertyDifferences, cloudformation.PropertyDifference{
			PropertyPath: x.Path, DifferenceType: x.Kind, ExpectedValue: x.Expected, ActualValue: x.Actual,
		})
	}
	return out
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// stackDrift is what descriptions of a stack say of its drift.
func stackDrift(st *apply.Stack) *cloudformation.StackDriftInformation {
	if st.Drift == nil {
		return &cloudformation.StackDriftInformation{StackDriftStatus: apply.NotChecked}
	}
	return &cloudformation.StackDriftInformation{StackDriftStatus: st.Drift.Status, LastCheckTimestamp: &st.Drift.Time}
}

// resourceDrift is what descriptions of a resource say of its drift.
func resourceDrift(tx store.Tx, st *apply.Stack, logicalID string) (*cloudformation.StackResourceDriftInformation, error) {
	d, err := apply.Drifts.Get(tx, st.Key()+"/"+logicalID)
	if errors.Is(err, store.ErrNotFound) {
		return &cloudformation.StackResourceDriftInformation{StackResourceDriftStatus: apply.NotChecked}, nil
	}
	if err != nil {
		return nil, err
	}
	return &cloudformation.StackResourceDriftInformation{StackResourceDriftStatus: d.Status, LastCheckTimestamp: &d.Time}, nil
}
