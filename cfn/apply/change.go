package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/stackpolicy"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/workflow"
)

// apply runs the steps of a plan. Failures of resources
// are in the records; an error breaks the workflow's run off.
func (o *operation) apply(f *workflow.Flow) error {
	var nodes []node
	for _, step := range o.Plan.Steps {
		if step.Action == plan.Keep {
			continue
		}
		nodes = append(nodes, node{name: step.LogicalID, after: step.After, run: func(f *workflow.Flow) (bool, error) {
			if step.Action == plan.Import {
				return true, o.importOne(f, step)
			}
			return true, o.change(f, step)
		}})
	}
	_, err := o.graph(f, "apply", order(nodes))
	return err
}

// begun is what the beginning of a resource's change decided.
type begun struct {
	Action plan.Action // Keep: there is nothing to do
	Stack  Stack
	Target plan.Resource // as it is to become; PhysicalID is that of the resource as it is
	Prior  plan.Resource
	First  bool // delete the old before the new is made
	Gone   bool `json:",omitempty"` // it was deleted outside of the stack
	Wait   *cfn.Wait
	Hooks  []Hook `json:",omitempty"` // asked before anything is done
}

// change brings one resource to the new version: decide and tell (one
// transaction), act (a step), keep and tell (one transaction).
func (o *operation) change(f *workflow.Flow, step plan.Step) error {
	b, err := tx(o, f, "begin", func(l *Ledger, s *Stack) (begun, error) { return o.begin(l, s, step) })
	if err != nil || b.Action == plan.Keep {
		return err
	}
	normalize(&b.Target)
	normalize(&b.Prior)
	t, err := o.resourceType(b.Target.Type)
	if err != nil {
		return workflow.Permanent(err)
	}
	if len(b.Hooks) > 0 {
		why, err := o.ask(f, hooked(&b.Stack, &b), b.Hooks)
		if err != nil {
			return err
		}
		if why != "" {
			return o.changed(f, b, acted{Failure: why})
		}
	}
	if b.First {
		out, err := o.deleteFirst(f, t, b)
		if err != nil {
			return err
		}
		if out.Failure != "" {
			return o.changed(f, b, acted{Failure: out.Failure})
		}
	}
	target, do, name := b.Target, action(t.Update), "update"
	if b.Action != plan.Update {
		target.PhysicalID, do, name = "", action(t.Create), "create"
	}
	out, err := o.act(f, name, &b.Stack, target, b.Prior.Properties, do)
	if err != nil {
		return err
	}
	if out.Wait == nil {
		out.Wait = b.Wait
	}
	return o.changed(f, b, out)
}

// deleteFirst makes place for a replacement of a type that cannot exist twice.
func (o *operation) deleteFirst(f *workflow.Flow, t cfn.Type, b begun) (acted, error) {
	switch policy := b.Target.UpdateReplacePolicy; {
	case retained(policy):
		return acted{Failure: fmt.Sprintf("The resource is to be retained (UpdateReplacePolicy), and no other %s can be made while it exists", b.Target.Type)}, nil
	case policy == cfn.PolicySnapshot:
		if out, err := o.part(f, "snapshot first", &b.Stack, b.Prior, snapshots(t)); err != nil || out.Failure != "" {
			return out, err
		}
	}
	return o.deletes(f, "delete first", &b.Stack, b.Prior, t)
}

// changed keeps what an action came to, and waits where the resource is not
// complete before signals have come.
func (o *operation) changed(f *workflow.Flow, b begun, out acted) error {
	id := b.Target.LogicalID
	waiting := out.Wait != nil && out.Failure == "" && (b.Action != plan.Update || out.Wait.Always())
	_, err := tx(o, f, "made", func(l *Ledger, s *Stack) (bool, error) {
		r, err := o.record(l, s, b.Target)
		if err != nil {
			return false, err
		}
		if out.Failure != "" {
			return false, o.failed(l, s, r, b, out)
		}
		if b.Action != plan.Update {
			if err := o.initiated(l, s, r, b, out); err != nil {
				return false, err
			}
		}
		if waiting {
			return false, nil
		}
		return false, o.done(l, s, r, b, out)
	})
	if err != nil || !waiting {
		return err
	}
	verdict, err := o.await(f, id, *out.Wait)
	if err != nil {
		return err
	}
	_, err = tx(o, f, "done", func(l *Ledger, s *Stack) (bool, error) {
		r, err := o.record(l, s, b.Target)
		if err != nil {
			return false, err
		}
		if err := o.stopWaiting(l.Tx, s, id, *out.Wait); err != nil {
			return false, err
		}
		if out = out.settled(verdict); out.Failure != "" {
			return false, o.failed(l, s, r, b, out)
		}
		if out.Attributes == nil {
			out.Attributes = cfn.Properties{}
		}
		if err := o.answeredFor(l, s, r, b, out); err != nil {
			return false, err
		}
		if verdict.Data != "" {
			out.Attributes["Data"] = verdict.Data
		}
		return false, o.done(l, s, r, b, out)
	})
	return err
}

// settled is an action's result with what waiting has brought.
func (out acted) settled(v verdict) acted {
	if v.Attributes != nil {
		out.Attributes = v.Attributes
	}
	if v.PhysicalID != "" {
		out.PhysicalID = v.PhysicalID
	}
	out.Failure = v.Failure
	return out
}

// record is the resource's record; it is there once the change has begun.
func (o *operation) record(l *Ledger, s *Stack, target plan.Resource) (*Resource, error) {
	r, err := getResource(l.Tx, s, target.LogicalID)
	if err == nil && r == nil {
		err = fmt.Errorf("apply: resource %s has lost its record", target.LogicalID)
	}
	return r, err
}

// begin evaluates a resource with what its predecessors have become, decides
// what its change needs, and tells of it.
func (o *operation) begin(l *Ledger, s *Stack, step plan.Step) (begun, error) {
	keep := begun{Action: plan.Keep}
	if s.Until != nil && !l.Now.Before(*s.Until) && !s.Stop {
		s.Stop, s.Failure = true, s.timedOut()
		return keep, Stacks.Put(l.Tx, s.Key(), s)
	}
	if s.Stop {
		return keep, nil
	}
	ev, problems := o.evaluate(l, s, step.LogicalID)
	if len(problems) > 0 {
		return keep, o.unevaluated(l, s, problems)
	}
	r, err := getResource(l.Tx, s, step.LogicalID)
	if err != nil {
		return keep, err
	}
	b := begun{Action: plan.Create, Stack: *s, Target: ev.resource, Wait: ev.wait}
	if r == nil {
		r = &Resource{}
	} else {
		b.Prior = r.Resource
		if live := o.found(step.LogicalID); live != nil {
			b.Gone, b.Prior.Properties = live.Gone, live.Properties
		}
		if b, err = o.decide(b, r, step); err != nil {
			return keep, workflow.Permanent(err)
		}
	}
	if b.Action != plan.Create && cfn.Custom(b.Target.Type) && !same(b.Prior.Properties["ServiceToken"], b.Target.Properties["ServiceToken"]) {
		return keep, o.denied(l, s, step.LogicalID, b.Target.Type, r.PhysicalID, "Modifying service token is not allowed.")
	}
	if what, ok := policyActions[b.Action]; ok {
		if why := o.policy.Denial(what, step.LogicalID, b.Target.Type); why != "" {
			return keep, o.denied(l, s, step.LogicalID, b.Target.Type, r.PhysicalID, why)
		}
	}
	if hookActions[b.Action] != "" {
		if b.Hooks, err = o.r.hooksOf(l.Tx, hooked(s, &b)); err != nil {
			return keep, err
		}
	}
	return b, o.tellBegun(l, s, r, b, ev)
}

// decide says what bringing an existing resource to its target needs.
func (o *operation) decide(b begun, r *Resource, step plan.Step) (begun, error) {
	switch {
	case b.Gone:
		return b, nil
	case !r.Exists():
		// What a failed creation left goes in the clean-up.
		if r.PhysicalID != "" && r.Status == CreateFailed {
			r.Old = append(r.Old, r.Resource)
		}
		return b, nil
	case r.Type != b.Target.Type:
		b.Action = plan.Replace
	default:
		d, err := plan.Decide(o.types(), b.Target.Type, b.Prior.Properties, b.Target.Properties)
		if err != nil {
			return b, err
		}
		b.Action, b.First = d.Action, d.DeleteFirst
		if b.Action == plan.Keep && (r.Dirty || step.Tags || step.Automatic && o.policy.Denial(stackpolicy.Modify, step.LogicalID, r.Type) == "") {
			b.Action = plan.Update
		}
		if t, ok := o.types().Provider(b.Target.Type); b.Action == plan.Update && ok && t.Update == nil {
			b.Action = plan.Replace
		}
	}
	b.Target.PhysicalID, b.Target.Attributes = r.PhysicalID, r.Attributes
	return b, nil
}

// tellBegun keeps the record of a change under way.
func (o *operation) tellBegun(l *Ledger, s *Stack, r *Resource, b begun, ev evaluated) error {
	status, reason := CreateInProgress, ""
	switch b.Action {
	case plan.Keep:
		// Only what the engine itself reads may have changed.
		r.Resource = b.Target
		r.Shown = ev.shown
		return Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r)
	case plan.Update:
		status, r.Dirty = UpdateInProgress, true
	case plan.Replace:
		status, reason = UpdateInProgress, needsReplacement
	case plan.Create:
		old := r.Old
		*r = Resource{Resource: b.Target, Old: old}
	}
	r.Shown, r.Pending, r.Coming = ev.shown, "", nil
	if b.Action != plan.Create {
		r.Coming = coming(b.Target.Metadata)
	}
	if b.Wait != nil {
		if err := ClearSignals(l.Tx, s, OwnSource(r.LogicalID)); err != nil {
			return err
		}
		// Signals may come as soon as the resource is being made.
		if err := o.startWaiting(l.Tx, s, r.LogicalID, *b.Wait); err != nil {
			return err
		}
	}
	return l.resource(s, r, status, reason)
}

// initiated tells the physical id of what is being made.
func (o *operation) initiated(l *Ledger, s *Stack, r *Resource, b begun, out acted) error {
	if out.Wait != nil {
		if err := o.startWaiting(l.Tx, s, r.LogicalID, *out.Wait); err != nil {
			return err
		}
	}
	if r.Pending == out.PhysicalID {
		return nil
	}
	r.Pending = out.PhysicalID
	if out.Wait != nil && out.Wait.Answer != "" { // it is told with the answer
		return Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r)
	}
	return l.resource(s, r, r.Status, creationInitiated)
}

// done keeps a resource that has reached its target.
func (o *operation) done(l *Ledger, s *Stack, r *Resource, b begun, out acted) error {
	status := UpdateComplete
	now := b.Target
	now.Attributes = out.Attributes
	switch b.Action {
	case plan.Create:
		status, now.PhysicalID = CreateComplete, out.PhysicalID
		if b.Gone {
			r.Changed = o.ID // the way back takes it away again, whatever it looks like
		}
	case plan.Replace:
		now.PhysicalID = out.PhysicalID
		if !b.First && b.Prior.PhysicalID != out.PhysicalID {
			r.Old = append(r.Old, b.Prior)
		}
	case plan.Update:
		r.Changed = o.ID
		if out.Attributes == nil {
			now.Attributes = b.Prior.Attributes // some are told once, when the resource is made
		}
		if out.PhysicalID != "" {
			now.PhysicalID = out.PhysicalID
		}
		if cfn.Custom(r.Type) && now.PhysicalID != b.Prior.PhysicalID {
			r.Old = append(r.Old, b.Prior)
		}
	}
	r.Resource, r.Dirty, r.Pending, r.Coming = now, false, "", nil
	return l.resource(s, r, status, "")
}

// failed keeps a resource whose change failed, and stops the operation.
func (o *operation) failed(l *Ledger, s *Stack, r *Resource, b begun, out acted) error {
	left := out.PhysicalID
	if left == "" {
		left = r.Pending
	}
	status := UpdateFailed
	switch b.Action {
	case plan.Create:
		status = CreateFailed
		r.PhysicalID, r.Attributes = left, out.Attributes
	case plan.Update:
		// It may be anywhere between the two: the next update starts from what
		// was tried.
		r.Properties = b.Target.Properties
	case plan.Replace:
		if left != "" && left != r.PhysicalID {
			made := b.Target
			made.PhysicalID, made.Attributes = left, out.Attributes
			r.Old = append(r.Old, made)
		}
		if b.First {
			r.PhysicalID, r.Dirty = "", true
		}
	}
	r.Pending = ""
	s.Stop = true
	s.Failed = append(s.Failed, r.LogicalID)
	if err := l.resource(s, r, status, out.Failure); err != nil {
		return err
	}
	if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
		return err
	}
	return o.r.wakeAll(l.Tx, s)
}

// deletes makes an action of a type's Delete.
func deletes(t cfn.Type) action {
	return func(ctx context.Context, req cfn.Request) (cfn.Result, error) {
		if t.Remove != nil {
			wait, err := t.Remove(ctx, req)
			return cfn.Result{PhysicalID: req.PhysicalID, Wait: wait}, err
		}
		return cfn.Result{}, t.Delete(ctx, req)
	}
}

// snapshots makes an action of a type's Snapshot. A type that promises snapshots
// and makes none keeps its resources.
func snapshots(t cfn.Type) action {
	return func(ctx context.Context, req cfn.Request) (cfn.Result, error) {
		if t.Snapshot == nil {
			return cfn.Result{}, fault.New(fault.NotImplemented, "snapshots of %s are not built in Slipway yet", t.Name)
		}
		id, err := t.Snapshot(ctx, req)
		return cfn.Result{PhysicalID: id}, err
	}
}

// evaluated is a resource of the template in the present state of the stack.
type evaluated struct {
	resource plan.Resource
	shown    string
	wait     *cfn.Wait
}

func (o *operation) evaluate(l *Ledger, s *Stack, id string) (ev evaluated, problems template.Problems) {
	tr := o.tmpl.Resource(id)
	if tr == nil {
		return ev, template.Problems{{Message: "the template has no resource " + id}}
	}
	ev.resource = plan.Resource{
		LogicalID: id, Type: tr.Type, DependsOn: o.on[id],
		DeletionPolicy: tr.DeletionPolicy, UpdateReplacePolicy: tr.UpdateReplacePolicy,
	}
	problems = o.evaluating(l, s, func(scope *template.Scope) (problems template.Problems) {
		if ev.resource.Properties, problems = scope.Properties(id); len(problems) > 0 {
			return problems
		}
		if ev.resource.Metadata, problems = scope.Eval(tr.Metadata); len(problems) > 0 {
			return problems
		}
		if ev.resource.UpdatePolicy, problems = scope.Eval(tr.UpdatePolicy); len(problems) > 0 {
			return problems
		}
		ev.resource.CreationPolicy, problems = scope.Eval(tr.CreationPolicy)
		return problems
	})
	if len(problems) > 0 {
		return ev, problems
	}
	if schema, err := o.types().Schema(tr.Type); err == nil && schema != nil {
		conformed, issues := schema.Conform(ev.resource.Properties)
		if len(issues) > 0 && !hasDynamic(ev.resource.Properties) {
			return ev, template.Problems{template.At(tr.Properties, "Properties validation failed for resource %s with message: %s", id, issues[0])}
		}
		ev.resource.Properties = conformed
	}
	ev.shown = o.show(s, ev.resource.Properties)
	wait, err := creationWait(ev.resource.CreationPolicy)
	if err != nil {
		return ev, template.Problems{template.At(tr.CreationPolicy, "%s", err.Error())}
	}
	if t, ok := o.types().Provider(tr.Type); ok && t.Signals {
		ev.wait = wait
	}
	return ev, nil
}

// show is the properties' JSON for events. Values of NoEcho parameters and secret
// attributes are masked wherever they stand.
func (o *operation) show(s *Stack, p cfn.Properties) string {
	var secrets []string
	for _, param := range s.Version.Parameters {
		if param.NoEcho && param.Value != "" {
			secrets = append(secrets, param.Value)
		}
	}
	o.mu.Lock()
	secrets = append(secrets, o.opened...)
	o.mu.Unlock()
	if p == nil {
		p = cfn.Properties{}
	}
	b, err := json.Marshal(mask(p, secrets))
	if err != nil {
		return ""
	}
	return string(b)
}

func mask(v any, secrets []string) any {
	switch v := v.(type) {
	case string:
		for _, s := range secrets {
			v = strings.ReplaceAll(v, s, "****")
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = mask(x, secrets)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = mask(x, secrets)
		}
		return out
	}
	return v
}

func hasDynamic(v any) bool {
	b, _ := json.Marshal(v)
	return strings.Contains(string(b), "{{resolve:")
}
