package stackset

import (
	"context"
	"errors"
	"slices"
	"strconv"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// flowName is the workflow of an operation: it plans, and then has lanes work the
// regions off. Which account a lane takes next is decided, and kept, in one
// transaction with what has become of the others.
const flowName = "cloudformation.stackset"

// job is what the workflow is told.
type job struct {
	Scope          arn.Scope
	Set, Operation string
}

func (j job) setKey() string { return j.Scope.Key() + "/" + j.Set }
func (j job) key() string    { return j.setKey() + "/" + j.Operation }

// stretch is a region of the plan as the workflow goes through it.
type stretch struct {
	Region       string
	Place, Lanes int
}

// course is the plan as the workflow goes through it.
type course struct {
	Parallel bool
	Regions  []stretch
}

func (s *Service) run(f *workflow.Flow, j job) error {
	places, err := workflow.Step(f, "targets", func(ctx context.Context, _ string) ([]place, error) { return s.targets(ctx, j) })
	if err != nil {
		return s.end(f, j, err)
	}
	c, err := workflow.Tx(f, "plan", func(tx store.Tx) (course, error) { return s.plan(tx, j, places) })
	if err != nil {
		return s.end(f, j, err)
	}
	branches := make([]workflow.Branch, len(c.Regions))
	for i, r := range c.Regions {
		branches[i] = workflow.Branch{Name: r.Region, Run: func(f *workflow.Flow) error { return s.region(f, j, r) }}
	}
	limit := 1
	if c.Parallel {
		limit = 0
	}
	if err := f.Parallel(limit, branches...); err != nil {
		return s.end(f, j, err)
	}
	return s.end(f, j, nil)
}

// region has the lanes work a region off, and gives up what they left.
func (s *Service) region(f *workflow.Flow, j job, r stretch) error {
	lanes := make([]workflow.Branch, r.Lanes)
	for i := range lanes {
		lanes[i] = workflow.Branch{Name: strconv.Itoa(i), Run: func(f *workflow.Flow) error { return s.lane(f, j, r) }}
	}
	if err := f.Parallel(0, lanes...); err != nil {
		return err
	}
	_, err := workflow.Tx(f, "close", func(tx store.Tx) (bool, error) { return true, s.cancelRest(tx, j, r) })
	return err
}

// lane takes one account after another.
func (s *Service) lane(f *workflow.Flow, j job, r stretch) error {
	for n := 0; ; n++ {
		round, err := f.Scope(strconv.Itoa(n))
		if err != nil {
			return err
		}
		t, err := workflow.Tx(round, "next", func(tx store.Tx) (task, error) { return s.next(tx, j, r) })
		if err != nil || t.Account == "" {
			return err
		}
		out, err := s.act(round, j, t)
		if err != nil {
			return err
		}
		if _, err := workflow.Tx(round, "done", func(tx store.Tx) (bool, error) { return true, s.done(tx, j, r, t, out) }); err != nil {
			return err
		}
	}
}

// targets are the places that an operation comes to.
func (s *Service) targets(ctx context.Context, j job) ([]place, error) {
	var o *operation
	var v *set
	var have []*instance
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		if o, v, err = j.read(tx); err == nil {
			have, err = allOf(tx, instances, j.setKey()+"/")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var members []member
	if v.Model == api.PermissionModelsServiceManaged && (o.Units != nil || o.All) {
		if members, err = s.members(ctx, o.Scope); err != nil {
			return nil, err
		}
	}
	if len(o.Stacks) > 0 {
		at, err := stackPlaces(o.Stacks)
		for i, p := range at {
			if m := only(members, p.Account); m != nil {
				at[i].Unit = m[0].unit()
			}
		}
		return at, err
	}
	at := places(o, have, members)
	if len(at) > maxPlaces {
		return nil, tooMany()
	}
	return at, nil
}

func (j job) read(tx store.Tx) (*operation, *set, error) {
	o, err := operations.Get(tx, j.key())
	if err != nil {
		return nil, nil, err
	}
	v, err := sets.Get(tx, j.setKey())
	return o, v, err
}

// places are where an operation acts: what it names, and but for a creation only
// where there is an instance.
func places(o *operation, have []*instance, members []member) []place {
	suspended := func(account string) bool {
		return slices.ContainsFunc(members, func(m member) bool { return m.Account == account && m.Suspended })
	}
	var named []place
	switch {
	case o.Units != nil:
		for _, m := range choose(*o.Units, members) {
			for _, r := range o.Regions {
				named = append(named, place{Account: m.Account, Region: r, Unit: m.unit(), Suspended: m.Suspended})
			}
		}
	case !o.All:
		named = o.places()
	}
	if o.Kind == creating {
		return named
	}
	var out []place
	for _, i := range have {
		in := o.All || slices.ContainsFunc(named, func(p place) bool { return p.Account == i.Account && p.Region == i.Region })
		if o.Units != nil && len(o.Regions) == 0 {
			in = slices.ContainsFunc(choose(*o.Units, members), func(m member) bool { return m.Account == i.Account })
		}
		if in && (o.Kind != updating || i.Status != api.StackInstanceStatusInoperable) {
			out = append(out, place{Account: i.Account, Region: i.Region, Unit: i.Unit, Suspended: suspended(i.Account)})
		}
	}
	return out
}

// plan writes down what the operation is going to do.
func (s *Service) plan(tx store.Tx, j job, places []place) (course, error) {
	o, v, err := j.read(tx)
	if err != nil {
		return course{}, err
	}
	var regions []string
	for _, p := range places {
		if !slices.Contains(regions, p.Region) {
			regions = append(regions, p.Region)
		}
	}
	p := schedule(o.Prefs, regions, places)
	out := course{Parallel: p.Parallel}
	for n, r := range p.Regions {
		out.Regions = append(out.Regions, stretch{Region: r.Name, Place: n, Lanes: max(1, min(r.Limits.at(0), len(r.Places)))})
		for _, at := range r.Places {
			if err := s.expect(tx, v, o, n, at); err != nil {
				return out, err
			}
		}
	}
	if o.Kind == detecting {
		o.Drift = &driftDetails{Status: api.StackSetDriftStatusNotChecked, Detection: api.StackSetDriftDetectionStatusInProgress, Checked: s.now(), Total: int32(len(places)), Running: int32(len(places))} //nolint:gosec // bounded by maxPlaces
		return out, operations.Put(tx, o.key(), o)
	}
	return out, nil
}

// expect writes the result that a place is to have, and the instance.
func (s *Service) expect(tx store.Tx, v *set, o *operation, region int, at place) error {
	r := &result{Account: at.Account, Region: at.Region, Unit: at.Unit, Status: api.StackSetOperationResultStatusPending, Stack: at.Stack, Skipped: at.Suspended}
	if at.Suspended {
		r.Status, r.Reason = api.StackSetOperationResultStatusCancelled, "Account "+at.Account+" is suspended"
	}
	if err := results.Put(tx, resultKey(o.key(), region, at.Account), r); err != nil {
		return err
	}
	key := instanceKey(v.key(), at.Account, at.Region)
	i, err := instances.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		i, err = &instance{Set: v.ID, Account: at.Account, Region: at.Region, Unit: at.Unit, Status: api.StackInstanceStatusOutdated}, nil
	}
	if err != nil {
		return err
	}
	if o.Kind == detecting {
		return nil
	}
	if len(o.Overrides) > 0 || o.Override {
		i.override(o.Overrides)
	}
	i.Operation, i.Detail, i.Reason = o.ID, api.StackInstanceDetailedStatusPending, ""
	if at.Suspended {
		i.Detail, i.Reason = api.StackInstanceDetailedStatusSkippedSuspendedAccount, r.Reason
	}
	return instances.Put(tx, key, i)
}

// task is what a lane does next; no account is nothing.
type task struct {
	Kind            string
	Account, Region string
	Stack           string // that is there, or is to be imported
	Forget          bool   // the stack stays
}

// next takes the lane's next account.
func (s *Service) next(tx store.Tx, j job, r stretch) (task, error) {
	o, v, err := j.read(tx)
	if err != nil {
		return task{}, err
	}
	st, all, err := standingOf(tx, o, r)
	if err != nil {
		return task{}, err
	}
	account := o.Prefs.limits(len(all)).next(st)
	if account == "" {
		return task{}, nil
	}
	at := all[slices.IndexFunc(all, func(r *result) bool { return r.Account == account })]
	at.Status = api.StackSetOperationResultStatusRunning
	if err := results.Put(tx, resultKey(o.key(), r.Place, account), at); err != nil {
		return task{}, err
	}
	i, err := findInstance(tx, v, account, r.Region)
	if err != nil {
		return task{}, err
	}
	t := task{Kind: o.Kind, Account: account, Region: r.Region, Stack: i.StackID, Forget: yes(o.Retain)}
	if o.Kind == importing {
		t.Stack = at.Stack
	}
	if o.Kind != detecting {
		i.Detail = api.StackInstanceDetailedStatusRunning
		err = instances.Put(tx, instanceKey(v.key(), account, r.Region), i)
	}
	return t, err
}

// standingOf is how far a region is. What was skipped is neither done nor failed.
func standingOf(tx store.Tx, o *operation, r stretch) (standing, []*result, error) {
	st := standing{Halted: o.Status == api.StackSetOperationStatusStopping || o.Exceeded && !o.Prefs.Parallel}
	all, err := allOf(tx, results, resultKey(o.key(), r.Place, ""))
	for _, one := range all {
		switch one.Status {
		case api.StackSetOperationResultStatusPending:
			st.Pending = append(st.Pending, one.Account)
		case api.StackSetOperationResultStatusRunning:
			st.Running++
		case api.StackSetOperationResultStatusFailed:
			st.Failed++
		}
	}
	return st, all, err
}

// done writes down what became of a place.
func (s *Service) done(tx store.Tx, j job, r stretch, t task, out outcome) error {
	o, v, err := j.read(tx)
	if err != nil {
		return err
	}
	at, err := results.Get(tx, resultKey(o.key(), r.Place, t.Account))
	if err != nil {
		return err
	}
	at.Status, at.Reason, at.Gate, at.GateReason = api.StackSetOperationResultStatusSucceeded, out.Reason, out.Gate, out.GateReason
	if out.Failed {
		at.Status = api.StackSetOperationResultStatusFailed
	}
	if err := results.Put(tx, resultKey(o.key(), r.Place, t.Account), at); err != nil {
		return err
	}
	if out.Failed {
		o.Failed++
		st, all, err := standingOf(tx, o, r)
		if err != nil {
			return err
		}
		o.Exceeded = o.Exceeded || o.Prefs.limits(len(all)).exceeded(st.Failed)
	}
	o.Drift.count(out)
	if err := operations.Put(tx, o.key(), o); err != nil {
		return err
	}
	return s.settle(tx, v, t, out)
}

// count adds what was found of an instance.
func (d *driftDetails) count(out outcome) {
	if d == nil {
		return
	}
	d.Running--
	switch {
	case out.Failed:
		d.Failed++
	case out.Drift == api.StackDriftStatusDrifted:
		d.Drifted++
	case out.Drift == api.StackDriftStatusInSync:
		d.InSync++
	}
}

// settle brings the instance's record to what became of its stack.
func (s *Service) settle(tx store.Tx, v *set, t task, out outcome) error {
	key := instanceKey(v.key(), t.Account, t.Region)
	i, err := instances.Get(tx, key)
	if err != nil {
		return err
	}
	if out.Stack != "" {
		i.StackID = out.Stack
	}
	switch {
	case t.Kind == detecting:
		if !out.Failed {
			i.Drift, i.Checked = out.Drift, s.now()
		}
		return instances.Put(tx, key, i)
	case t.Kind == deleting && !out.Failed:
		return instances.Delete(tx, key)
	case t.Kind == deleting:
		i.Status, i.Detail = api.StackInstanceStatusInoperable, api.StackInstanceDetailedStatusInoperable
	case t.Kind == importing && out.Failed:
		i.Detail = api.StackInstanceDetailedStatusFailedImport
	case out.Failed:
		i.Status, i.Detail = api.StackInstanceStatusOutdated, api.StackInstanceDetailedStatusFailed
	default:
		i.Status, i.Detail = api.StackInstanceStatusCurrent, api.StackInstanceDetailedStatusSucceeded
		if out.Revision != v.Revision && t.Kind != importing {
			i.Status = api.StackInstanceStatusOutdated // the set has changed since
		}
		if t.Kind == importing {
			i.Overrides = out.Overrides
		}
	}
	i.Reason = out.Reason
	return instances.Put(tx, key, i)
}

// cancelRest gives up what a region has left.
func (s *Service) cancelRest(tx store.Tx, j job, r stretch) error {
	o, v, err := j.read(tx)
	if err != nil {
		return err
	}
	_, all, err := standingOf(tx, o, r)
	if err != nil {
		return err
	}
	reason := "Cancelled since failure tolerance has exceeded"
	if o.Status == api.StackSetOperationStatusStopping {
		reason = "Cancelled since the operation was stopped"
	}
	for _, at := range all {
		if at.Status != api.StackSetOperationResultStatusPending {
			continue
		}
		at.Status, at.Reason = api.StackSetOperationResultStatusCancelled, reason
		if err := results.Put(tx, resultKey(o.key(), r.Place, at.Account), at); err != nil {
			return err
		}
		if o.Kind == detecting {
			continue
		}
		i, err := findInstance(tx, v, at.Account, r.Region)
		if err != nil {
			return err
		}
		i.Detail, i.Reason = api.StackInstanceDetailedStatusCancelled, reason
		if err := instances.Put(tx, instanceKey(v.key(), at.Account, r.Region), i); err != nil {
			return err
		}
	}
	return nil
}

// end ends the operation, and begins those that waited for it. cause is what kept
// it from going on.
func (s *Service) end(f *workflow.Flow, j job, cause error) error {
	if errors.Is(cause, workflow.ErrInterrupted) || errors.Is(cause, workflow.ErrNondeterministic) {
		return cause
	}
	reason := ""
	if e, ok := fault.As(cause); ok {
		reason = e.Message
	} else if cause != nil {
		f.Log().Error("stackset: an operation cannot go on", "operation", j.Operation, "error", cause)
		reason = "Internal failure"
	}
	_, err := workflow.Tx(f, "end", func(tx store.Tx) (bool, error) {
		o, v, err := j.read(tx)
		if err != nil {
			return false, err
		}
		switch {
		case o.Status == api.StackSetOperationStatusStopping:
			o.Status = api.StackSetOperationStatusStopped
		case reason != "" || o.Exceeded:
			o.Status = api.StackSetOperationStatusFailed
		default:
			o.Status = api.StackSetOperationStatusSucceeded
		}
		o.Ended, o.Reason = s.now(), reason
		if o.Drift != nil {
			o.Drift.finish(o)
			v.Drift = o.Drift
			if err := sets.Put(tx, v.key(), v); err != nil {
				return false, err
			}
		}
		if err := operations.Put(tx, o.key(), o); err != nil {
			return false, err
		}
		return true, s.startQueued(tx, v)
	})
	s.auto.Wake() // it may have waited for this operation
	return err
}

// finish sums up what a detection found.
func (d *driftDetails) finish(o *operation) {
	d.Checked, d.Running = o.Ended, 0
	switch {
	case d.Drifted > 0:
		d.Status = api.StackSetDriftStatusDrifted
	case d.InSync > 0:
		d.Status = api.StackSetDriftStatusInSync
	}
	switch {
	case o.Status == api.StackSetOperationStatusStopped:
		d.Detection = api.StackSetDriftDetectionStatusStopped
	case d.Failed > 0 && d.Drifted+d.InSync > 0:
		d.Detection = api.StackSetDriftDetectionStatusPartialSuccess
	case d.Failed > 0 || o.Reason != "":
		d.Detection = api.StackSetDriftDetectionStatusFailed
	default:
		d.Detection = api.StackSetDriftDetectionStatusCompleted
	}
}
