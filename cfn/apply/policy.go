package apply

import (
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/stackpolicy"
	"github.com/slipway/slipway/workflow"
)

// policyActions are a stack policy's words for what an update does.
var policyActions = map[plan.Action]string{plan.Update: stackpolicy.Modify, plan.Replace: stackpolicy.Replace}

// mayRemove stops an update before its first step where the stack policy does not
// let it remove what the new template no longer has.
func (o *operation) mayRemove(f *workflow.Flow) error {
	if o.policy == nil {
		return nil
	}
	_, err := tx(o, f, "policy", func(l *Ledger, s *Stack) (bool, error) {
		stays := map[string]bool{}
		for _, r := range o.entered.Active() {
			stays[r.LogicalID] = true
		}
		for _, step := range o.Plan.Cleanup {
			if stays[step.LogicalID] {
				continue // the plan of its replacement says whether it goes
			}
			if why := o.policy.Denial(stackpolicy.Delete, step.LogicalID, step.Type); why != "" {
				if err := o.denied(l, s, step.LogicalID, step.Type, step.PhysicalID, why); err != nil {
					return false, err
				}
			}
		}
		return s.Stop, nil
	})
	return err
}

// denied stops the operation, and tells which resource the stack policy protects.
// The resource itself is as it was.
func (o *operation) denied(l *Ledger, s *Stack, logicalID, typeName, physicalID, why string) error {
	s.Stop = true
	s.Failed = append(s.Failed, logicalID)
	err := l.event(s, Event{ID: logicalID + "-" + arn.NewUUID(), LogicalID: logicalID, PhysicalID: physicalID, Type: typeName, Status: UpdateFailed, Reason: why})
	if err != nil {
		return err
	}
	if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
		return err
	}
	return o.r.wakeAll(l.Tx, s)
}
