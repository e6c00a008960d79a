package stackset

import (
	"context"
	"errors"
	"slices"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxQueued bounds the operations that wait for others.
const maxQueued = 50

// openOperations are the operations on a set that have not ended, the first first.
func openOperations(tx store.Tx, v *set) ([]*operation, error) {
	all, err := allOf(tx, operations, v.key()+"/")
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(o *operation) bool { return !o.open() })
	slices.SortFunc(all, func(a, b *operation) int { return int(a.Seq - b.Seq) })
	return all, nil
}

// idle refuses what cannot be done beside an operation.
func idle(tx store.Tx, v *set) error {
	open, err := openOperations(tx, v)
	if err == nil && len(open) > 0 {
		err = inProgress(v, open[0])
	}
	return err
}

func inProgress(v *set, o *operation) error {
	return fault.New(fault.CFNOperationInProgress, "Another Operation on StackSet %s is in progress: %s", v.arn(), o.ID)
}

// repeated reports whether this very request has begun its operation before.
func repeated(tx store.Tx, o *operation) (bool, error) {
	have, err := operations.Get(tx, o.key())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if have.Hash != o.Hash {
		return false, fault.New(fault.CFNOperationIDExists, "The specified operation ID already exists: %s", o.ID)
	}
	return true, nil
}

// admit says whether an operation may begin beside those that are under way: it
// runs, is queued, or is refused.
func (s *Service) admit(tx store.Tx, v *set, o *operation) error {
	open, err := openOperations(tx, v)
	if err != nil {
		return err
	}
	o.Status = api.StackSetOperationStatusRunning
	if len(open) == 0 {
		return nil
	}
	if !v.Managed {
		return inProgress(v, open[0])
	}
	if len(open) >= maxQueued {
		return fault.New(fault.CFNLimitExceeded, "You have reached the limit of %d operations on a stack set at a time.", maxQueued)
	}
	if slices.ContainsFunc(open, func(other *operation) bool { return conflict(o, other) }) {
		o.Status = api.StackSetOperationStatusQueued
	}
	return nil
}

// begin writes an operation that was admitted, and its workflow unless it waits.
func (s *Service) begin(tx store.Tx, v *set, o *operation) error {
	v.Seq++
	o.Seq = v.Seq
	if err := forget(tx, v); err != nil {
		return err
	}
	if err := sets.Put(tx, v.key(), v); err != nil {
		return err
	}
	if err := operations.Put(tx, o.key(), o); err != nil {
		return err
	}
	if o.Status == api.StackSetOperationStatusQueued {
		return nil
	}
	return s.start(tx, o)
}

// maxKept is how many operations that have ended are remembered of a set.
const maxKept = 200

// forget removes the oldest of more than that.
func forget(tx store.Tx, v *set) error {
	all, err := allOf(tx, operations, v.key()+"/")
	if err != nil || len(all) <= maxKept {
		return err
	}
	all = slices.DeleteFunc(all, (*operation).open)
	slices.SortFunc(all, func(a, b *operation) int { return int(a.Seq - b.Seq) })
	for _, o := range all[:max(0, len(all)-maxKept)] {
		prefix := results.Prefix() + o.key() + "/"
		for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				return err
			}
			if err := tx.Delete(doc.Key); err != nil {
				return err
			}
		}
		if err := operations.Delete(tx, o.key()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) start(tx store.Tx, o *operation) error {
	return s.cfg.Workflows.Begin(tx, flowName, flowName+"/"+o.key(), job{Scope: o.Scope, Set: o.Set, Operation: o.ID})
}

// startQueued begins the operations that nothing before them keeps any more.
func (s *Service) startQueued(tx store.Tx, v *set) error {
	open, err := openOperations(tx, v)
	if err != nil {
		return err
	}
	for i, o := range open {
		if o.Status != api.StackSetOperationStatusQueued || slices.ContainsFunc(open[:i], func(other *operation) bool { return conflict(o, other) }) {
			continue
		}
		o.Status = api.StackSetOperationStatusRunning
		if err := operations.Put(tx, o.key(), o); err != nil {
			return err
		}
		if err := s.start(tx, o); err != nil {
			return err
		}
	}
	return nil
}

// request begins an operation that a request asks for on the set of an id, in a
// transaction of its own. check, where it is set, looks at the set first.
func (s *Service) request(ctx context.Context, id string, o *operation, check func(tx store.Tx, v *set) error) error {
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := activeSet(tx, o.Scope, id, "")
		if err != nil {
			return err
		}
		if again, err := repeated(tx, o); again || err != nil {
			return err
		}
		if check != nil {
			if err := check(tx, v); err != nil {
				return err
			}
		}
		if err := s.admit(tx, v, o); err != nil {
			return err
		}
		return s.begin(tx, v, o)
	})
}

var actions = map[string]string{
	creating: api.StackSetOperationActionCreate, importing: api.StackSetOperationActionCreate, updating: api.StackSetOperationActionUpdate,
	deleting: api.StackSetOperationActionDelete, detecting: api.StackSetOperationActionDetectDrift,
}

func (o *operation) details() *api.StackSetOperationStatusDetails {
	return &api.StackSetOperationStatusDetails{FailedStackInstancesCount: &o.Failed}
}

func findOperation(tx store.Tx, v *set, id string) (*operation, error) {
	o, err := operations.Get(tx, v.key()+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.CFNOperationNotFound, "Operation %s not found", id)
	}
	return o, err
}

// DescribeStackSetOperation describes an operation.
func (s *Service) DescribeStackSetOperation(ctx context.Context, in *api.DescribeStackSetOperationInput) (*api.DescribeStackSetOperationOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeStackSetOperationOutput{}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		o, err := findOperation(tx, v, in.OperationId)
		if err != nil {
			return err
		}
		d := &api.StackSetOperation{
			OperationId: o.ID, StackSetId: v.wholeID(), Action: actions[o.Kind], Status: o.Status, StatusReason: o.Reason,
			OperationPreferences: o.Prefs.api(), RetainStacks: o.Retain, AdministrationRoleARN: o.AdminRole, ExecutionRoleName: o.ExecRole,
			CreationTimestamp: &o.Created, StatusDetails: o.details(),
		}
		if !o.Ended.IsZero() {
			d.EndTimestamp = &o.Ended
		}
		if o.Units != nil {
			d.DeploymentTargets = &api.DeploymentTargets{OrganizationalUnitIds: o.Units.Units, AccountFilterType: o.Units.Filter, Accounts: o.Units.Accounts}
		}
		if o.Drift != nil {
			d.StackSetDriftDetectionDetails = o.Drift.api()
		}
		out.StackSetOperation = d
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListStackSetOperations lists the operations on a set, the last first.
func (s *Service) ListStackSetOperations(ctx context.Context, in *api.ListStackSetOperationsInput) (*api.ListStackSetOperationsOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	out := &api.ListStackSetOperationsOutput{Summaries: []api.StackSetOperationSummary{}}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		all, err := allOf(tx, operations, v.key()+"/")
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b *operation) int { return int(b.Seq - a.Seq) })
		if in.NextToken != "" {
			i := slices.IndexFunc(all, func(o *operation) bool { return o.ID == in.NextToken })
			if i < 0 {
				return invalid("Invalid value for parameter NextToken")
			}
			all = all[i+1:]
		}
		limit := maxPage
		if in.MaxResults != nil {
			limit = min(int(*in.MaxResults), maxPage)
		}
		if len(all) > limit {
			all = all[:limit]
			out.NextToken = all[limit-1].ID
		}
		for _, o := range all {
			one := api.StackSetOperationSummary{
				OperationId: o.ID, Action: actions[o.Kind], Status: o.Status, StatusReason: o.Reason, CreationTimestamp: &o.Created,
				OperationPreferences: o.Prefs.api(), StatusDetails: o.details(),
			}
			if !o.Ended.IsZero() {
				one.EndTimestamp = &o.Ended
			}
			out.Summaries = append(out.Summaries, one)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListStackSetOperationResults lists what an operation did in each place.
func (s *Service) ListStackSetOperationResults(ctx context.Context, in *api.ListStackSetOperationResultsInput) (*api.ListStackSetOperationResultsOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	out := &api.ListStackSetOperationResultsOutput{Summaries: []api.StackSetOperationResultSummary{}}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		o, err := findOperation(tx, v, in.OperationId)
		if err != nil {
			return err
		}
		page, next, err := pageOf(tx, results, o.key()+"/", in.NextToken, in.MaxResults, func(r *result) bool {
			return !slices.ContainsFunc(in.Filters, func(f api.OperationResultFilter) bool { return r.Status != f.Values })
		})
		for _, r := range page {
			one := api.StackSetOperationResultSummary{Account: r.Account, Region: r.Region, Status: r.Status, StatusReason: r.Reason, OrganizationalUnitId: r.Unit}
			if r.Gate != "" {
				one.AccountGateResult = &api.AccountGateResult{Status: r.Gate, StatusReason: r.GateReason}
			}
			out.Summaries = append(out.Summaries, one)
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// StopStackSetOperation lets an operation begin nothing more.
func (s *Service) StopStackSetOperation(ctx context.Context, in *api.StopStackSetOperationInput) (*api.StopStackSetOperationOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		o, err := findOperation(tx, v, in.OperationId)
		if err != nil {
			return err
		}
		switch o.Status {
		case api.StackSetOperationStatusRunning:
			o.Status = api.StackSetOperationStatusStopping
		case api.StackSetOperationStatusQueued:
			o.Status, o.Ended = api.StackSetOperationStatusStopped, s.now()
			if err := operations.Put(tx, o.key(), o); err != nil {
				return err
			}
			return s.startQueued(tx, v)
		case api.StackSetOperationStatusStopping, api.StackSetOperationStatusStopped:
			return nil
		default:
			return fault.New(fault.CFNInvalidOperation, "Operation %s has ended already: it is %s", o.ID, o.Status)
		}
		return operations.Put(tx, o.key(), o)
	})
	if err != nil {
		return nil, err
	}
	return &api.StopStackSetOperationOutput{}, nil
}
