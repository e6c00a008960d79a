package apply

import (
	"context"
	"sync"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
)

// Unsupported is the drift status of what nobody can read, in change sets.
const Unsupported = "UNSUPPORTED"

// Look reads what a stack's resources really are, as the caller, for a drift-aware
// operation. It changes nothing.
func (r *Runner) Look(ctx context.Context, s *Stack, caller Caller, all map[string]*Resource) map[string]plan.Found {
	var wanted []*Resource
	for _, id := range sortedKeys(all) {
		if all[id].Exists() {
			wanted = append(wanted, all[id])
		}
	}
	results := make([]plan.Found, len(wanted))
	r.each(len(wanted), func(i int) {
		d, actual := r.examine(ctx, s, caller, wanted[i])
		if d == nil {
			results[i] = plan.Found{Status: Unsupported, Time: r.cfg.Now()}
			return
		}
		results[i] = plan.Found{Status: d.Status, Gone: d.Status == Deleted, Actual: actual, Time: d.Time}
	})
	found := map[string]plan.Found{}
	for i, res := range wanted {
		found[res.LogicalID] = results[i]
	}
	return found
}

// each calls fn for each number below n, several at a time, and waits for all.
func (r *Runner) each(n int, fn func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(r.cfg.Parallel, n) {
		wg.Go(func() {
			for i := range next {
				fn(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// LiveBefore are the resources that were not what their records said when the
// operation began, or those before it that it goes on from: its way back leads to
// what they were.
func (op *Operation) LiveBefore() map[string]plan.Live {
	if op.Plan != nil && op.Plan.Live != nil {
		return op.Plan.Live
	}
	return op.Live
}

// found is what a drift-aware operation changes a resource from; nil: its record
// says it.
func (o *operation) found(id string) *plan.Live {
	if o.Plan == nil {
		return nil
	}
	if live, ok := o.Plan.Live[id]; ok {
		return &live
	}
	return nil
}

// keepForeign has a change of a resource leave the tags that others have given it.
func (o *operation) keepForeign(req *cfn.Request) {
	for key, value := range o.LiveBefore()[req.LogicalID].Foreign {
		if _, ours := req.Tags[key]; !ours && req.PhysicalID != "" {
			req.Tags[key] = value
		}
	}
}

// normalizeLive gives numbers that went through JSON their types back.
func (op *Operation) normalizeLive() {
	all := op.LiveBefore()
	for id, live := range all {
		live.Properties = Integers(live.Properties)
		all[id] = live
	}
}

// toLive makes a step of the way back lead to what a resource really was. One that
// was gone is gone again: what was made in its place is removed with what the
// operation has made.
func (step *backStep) toLive(live plan.Live, r *Resource, touched bool) (needed bool) {
	was := step.Target
	switch {
	case live.Gone && (r == nil || !touched && r.Status != CreateFailed && same(r.Resource, was)):
		return false // nothing was made yet
	case live.Gone:
		step.Action, step.Gone = plan.Restore, true
	case step.Action == plan.Update && !touched && same(r.Properties, live.Properties):
		step.Action = plan.Keep // only its record has changed
	default:
		step.Live = live.Properties
	}
	return true
}

// goal are the properties that a step back leads to.
func (step *backStep) goal() cfn.Properties {
	if step.Live != nil {
		return step.Live
	}
	return step.Target.Properties
}
