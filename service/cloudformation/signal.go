package cloudformation

import (
	"context"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxSignals bounds the signals that one source keeps.
const maxSignals = 1000

// SignalResource sends a signal of success or failure to a resource that waits
// for it by its CreationPolicy.
func (s *Service) SignalResource(ctx context.Context, in *cloudformation.SignalResourceInput) (*cloudformation.SignalResourceOutput, error) {
	if in.Status != "SUCCESS" && in.Status != "FAILURE" {
		return nil, constraint("status", in.Status, "Member must satisfy enum value set: [SUCCESS, FAILURE]")
	}
	if in.UniqueId == "" || len(in.UniqueId) > 64 || strings.ContainsRune(in.UniqueId, '/') {
		return nil, constraint("uniqueId", in.UniqueId, "Member must have length between 1 and 64")
	}
	c := auth.From(ctx)
	var st *apply.Stack
	err := s.view(ctx, func(tx store.Tx) (err error) {
		st, err = must(tx, c.Scope, in.StackName, noStack)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.ofInstance(ctx, st); err != nil {
		return nil, err
	}
	return &cloudformation.SignalResourceOutput{}, s.update(ctx, func(l *apply.Ledger) error {
		return s.signal(l, st.Key(), in)
	})
}

func (s *Service) signal(l *apply.Ledger, key string, in *cloudformation.SignalResourceInput) error {
	st, err := apply.Stacks.Get(l.Tx, key)
	if err != nil {
		return err
	}
	if !st.Busy() {
		return fault.New(fault.ValidationError, "Stack %s is in %s state and cannot be signaled", st.ID, st.Status)
	}
	all, err := apply.ResourcesOf(l.Tx, st)
	if err != nil {
		return err
	}
	r := all[in.LogicalResourceId]
	if r == nil {
		return fault.New(fault.ValidationError, "Resource %s does not exist for stack %s", in.LogicalResourceId, st.Name)
	}
	source := apply.OwnSource(r.LogicalID)
	waiting, err := apply.Waits(l.Tx, st, source)
	if err != nil {
		return err
	}
	if !waiting {
		return fault.New(fault.ValidationError, "Resource %s is in %s state and cannot be signaled", r.LogicalID, r.Status)
	}
	old, err := apply.GetSignal(l.Tx, st, source, in.UniqueId)
	if err != nil {
		return err
	}
	if old != nil && (in.Status != "FAILURE" || !old.Success) {
		return fault.New(fault.ValidationError, "Signal with ID %s for resource %s already exists. Signals may only be updated with a FAILURE status.", in.UniqueId, r.LogicalID)
	}
	if n, err := apply.CountSignals(l.Tx, st, source); err != nil || n >= maxSignals {
		if err == nil {
			err = fault.New(fault.ValidationError, "Resource %s has received %d signals and takes no more", r.LogicalID, n)
		}
		return err
	}
	return s.runner.Signal(l, st, source, apply.Signal{UniqueID: in.UniqueId, Success: in.Status == "SUCCESS"})
}
