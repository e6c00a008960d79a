package cloudformation

import (
	"context"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// A drift-aware change set (DeploymentMode REVERT_DRIFT) is decided from what the
// stack's resources really are when it is made, and keeps what it found: that is
// what its execution changes, and what a failure goes back to.

// revertDrift is the DeploymentMode of drift-aware change sets.
const revertDrift = "REVERT_DRIFT"

func checkMode(in *cloudformation.CreateChangeSetInput, kind string) error {
	switch {
	case in.DeploymentMode == "":
	case in.DeploymentMode != revertDrift:
		return constraint("deploymentMode", in.DeploymentMode, "Member must satisfy enum value set: [REVERT_DRIFT]")
	case kind == changeSetImport:
		return fault.New(fault.ValidationError, "DeploymentMode cannot be specified for change sets of type IMPORT.")
	}
	return nil
}

// lookAt reads what a draft's stack really is, where the change set is drift-aware.
// A stack that has no resources yet has not drifted.
func (s *Service) lookAt(ctx context.Context, d *draft, mode string) error {
	if mode != revertDrift || d.w.pending || d.w.failure != "" {
		return nil
	}
	all := map[string]*apply.Resource{}
	err := s.view(ctx, func(tx store.Tx) (err error) {
		if d.new || d.stack.Status == apply.ReviewInProgress {
			return nil
		}
		if _, err = comparableStack(tx, d.stack.Scope, d.stack.ID); err == nil {
			all, err = apply.ResourcesOf(tx, d.stack)
		}
		return err
	})
	if err == nil {
		d.w.live = s.runner.Look(ctx, d.stack, d.caller, all)
	}
	return err
}

// aware gives a change set what was found, and what that says of its stack.
func (c *changeSet) aware(st *apply.Stack, live map[string]plan.Found) {
	if live == nil {
		return
	}
	c.Mode, c.Live, c.Count = revertDrift, live, st.Count
	if st.Version.TemplateKey == "" {
		return
	}
	c.Drift = apply.InSync
	for _, found := range live {
		switch found.Status {
		case apply.Modified, apply.Deleted:
			c.Drift = apply.Drifted
		case apply.Unknown:
			if c.Drift == apply.InSync {
				c.Drift = apply.Unknown
			}
		}
	}
}

// stillLive refuses to change a stack that is no longer the one whose resources a
// drift-aware change set has looked at.
func (c *changeSet) stillLive(st *apply.Stack) error {
	if c.Mode == "" || c.Count == st.Count {
		return nil
	}
	return fault.New(fault.CFNInvalidChangeSetStatus, "ChangeSet [%s] cannot be executed: stack %s has changed since its resources were looked at", c.ID, st.Name)
}

// describeIgnored are the places whose drift a change set leaves alone.
func describeIgnored(paths []string) []cloudformation.ResourceDriftIgnoredAttribute {
	var out []cloudformation.ResourceDriftIgnoredAttribute
	for _, path := range paths {
		out = append(out, cloudformation.ResourceDriftIgnoredAttribute{
			Path: "/Properties" + path, Reason: cloudformation.DriftIgnoredReasonWriteOnlyProperty,
		})
	}
	return out
}

func describeLive(d *plan.Drift) *cloudformation.LiveResourceDrift {
	if d == nil {
		return nil
	}
	return &cloudformation.LiveResourceDrift{PreviousValue: d.Previous, ActualValue: d.Actual, DriftDetectionTimestamp: &d.Time}
}
