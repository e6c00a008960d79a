package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/drift"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Owner is the id of the stack that has a resource, "" if none has: also one that
// has replaced it and will delete it, and one that failed to make it whole.
func Owner(tx store.Tx, scope arn.Scope, typeName, physicalID string) (string, error) {
	for e, err := range Resources.ByIndex(tx, "physical", physicalID) {
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(e.Key, scope.Key()+"/") && e.Value.Type == typeName {
			return e.Value.StackID, nil
		}
	}
	for e, err := range Resources.ByIndex(tx, "replaced", physicalID) {
		if err != nil {
			return "", err
		}
		is := func(old plan.Resource) bool { return old.Type == typeName && old.PhysicalID == physicalID }
		if strings.HasPrefix(e.Key, scope.Key()+"/") && slices.ContainsFunc(e.Value.Old, is) {
			return e.Value.StackID, nil
		}
	}
	return "", nil
}

// Owned words that a resource cannot be imported since a stack has it.
func Owned(typeName, physicalID, stackID string) string {
	return fmt.Sprintf("Resource of type '%s' with identifier '%s' already exists in stack %s", typeName, physicalID, stackID)
}

// Read reads a resource outside of any operation, as the caller.
func (r *Runner) Read(ctx context.Context, s *Stack, caller Caller, res plan.Resource) (cfn.Properties, error) {
	t, err := (&operation{r: r, Operation: &Operation{StackKey: s.Key()}}).resourceType(res.Type)
	if err != nil {
		return nil, err
	}
	req := request(s, res, "")
	req.Progress, req.Initiated = func(string) {}, func(string) {}
	o := &operation{r: r, Operation: &Operation{StackKey: s.Key(), Caller: caller, Kind: "ReadResource"}}
	return read(o.callContext(ctx, s, ""), t, req)
}

// importAll takes resources of the account into the stack, or leaves the stack
// as it was.
func (o *operation) importAll(f *workflow.Flow) error {
	if err := o.apply(f); err != nil {
		return err
	}
	failed, err := tx(o, f, "finish", func(l *Ledger, s *Stack) (bool, error) {
		if ok, err := o.finish(l, s); err != nil || ok {
			return false, err
		}
		return true, l.Stack(s, ImportRollbackInProgress, s.failure("import"))
	})
	if err != nil || !failed {
		return err
	}
	_, err = tx(o, f, "end", func(l *Ledger, s *Stack) (bool, error) { return false, o.r.takeOut(l, s) })
	return err
}

// takeOut ends an import that failed: what it took into the stack leaves the
// records again, and stays in the account.
func (r *Runner) takeOut(l *Ledger, s *Stack) error {
	all, err := ResourcesOf(l.Tx, s)
	if err != nil {
		return err
	}
	for _, id := range sortedKeys(all) {
		res := all[id]
		if res.Imported != s.Last {
			continue
		}
		err := errors.Join(l.resource(s, res, ImportRollbackInProgress, ""), l.resource(s, res, ImportRollbackComplete, ""))
		if err != nil {
			return err
		}
		if len(res.Old) > 0 { // what an earlier clean-up could not delete
			res.PhysicalID, res.Imported, res.Status = "", "", DeleteFailed
			err = Resources.Put(l.Tx, resourceKey(s, id), res)
		} else {
			err = Resources.Delete(l.Tx, resourceKey(s, id))
		}
		if err != nil {
			return err
		}
	}
	if s.Before != nil {
		s.Version, s.Before = *s.Before, nil
	}
	if err := dropImports(l, s); err != nil {
		return err
	}
	s.Operation = ""
	return l.Stack(s, ImportRollbackComplete, "")
}

// importOne takes one resource into the stack: it finds the resource, and puts
// the stack's tags on it where its type has tags. Nothing else of it changes, even
// where the template says otherwise: drift detection tells that.
func (o *operation) importOne(f *workflow.Flow, step plan.Step) error {
	b, err := tx(o, f, "begin", func(l *Ledger, s *Stack) (begun, error) { return o.beginImport(l, s, step) })
	if err != nil || b.Action == plan.Keep {
		return err
	}
	normalize(&b.Target)
	t, err := o.resourceType(b.Target.Type)
	if err != nil {
		return workflow.Permanent(err)
	}
	out, err := o.act(f, "read", &b.Stack, b.Target, nil, o.finds(t, step.Identifier))
	if err != nil {
		return err
	}
	there, err := tx(o, f, "imported", func(l *Ledger, s *Stack) (bool, error) { return o.imported(l, s, b, out) })
	if err != nil || !there {
		return err
	}
	sch, err := o.types().Schema(t.Name)
	if err != nil {
		return workflow.Permanent(err)
	}
	tagged := acted{}
	if t.Update != nil && sch != nil && sch.TagProperty != "" {
		if tagged, err = o.act(f, "tag", &b.Stack, b.Target, nil, tags(t, sch)); err != nil {
			return err
		}
	}
	_, err = tx(o, f, "tagged", func(l *Ledger, s *Stack) (bool, error) { return false, o.tagged(l, s, b, tagged) })
	return err
}

// beginImport claims a resource for the stack and tells of it. One that a stack
// has already is not looked at.
func (o *operation) beginImport(l *Ledger, s *Stack, step plan.Step) (begun, error) {
	keep := begun{Action: plan.Keep}
	if s.Stop {
		return keep, nil
	}
	ev, problems := o.evaluate(l, s, step.LogicalID)
	if len(problems) > 0 {
		return keep, o.unevaluated(l, s, problems)
	}
	b := begun{Action: plan.Import, Stack: *s, Target: ev.resource}
	b.Target.PhysicalID = step.PhysicalID
	owner, err := Owner(l.Tx, s.Scope, b.Target.Type, b.Target.PhysicalID)
	if err != nil {
		return keep, err
	}
	was, err := getResource(l.Tx, s, step.LogicalID)
	if err != nil {
		return keep, err
	}
	r := &Resource{Resource: b.Target, Imported: o.ID, Shown: ev.shown}
	if was != nil {
		r.Old = was.Old
		if was.PhysicalID != "" { // what a failed creation left
			r.Old = append(r.Old, was.Resource)
		}
	}
	if err := l.resource(s, r, ImportInProgress, importStarted); err != nil || owner == "" {
		return b, err
	}
	return keep, o.importFailed(l, s, r, ImportFailed, Owned(r.Type, r.PhysicalID, owner))
}

// unevaluated stops the operation since the template says nothing that makes sense
// with what its resources have become.
func (o *operation) unevaluated(l *Ledger, s *Stack, problems template.Problems) error {
	s.Stop, s.Failure = true, strings.TrimSuffix(problems[0].Message, ".")+"."
	return Stacks.Put(l.Tx, s.Key(), s)
}

// finds makes an action of a type's Read: it finds what the physical id says, and
// tells its attributes.
func (o *operation) finds(t cfn.Type, identifier map[string]string) action {
	return func(ctx context.Context, req cfn.Request) (cfn.Result, error) {
		if t.Read == nil {
			return cfn.Result{}, fault.New(fault.NotImplemented, "%s cannot be read, and so not imported", t.Name)
		}
		actual, err := t.Read(ctx, req)
		if err != nil {
			return cfn.Result{}, err
		}
		if !o.types().Found(t.Name, identifier, actual) {
			return cfn.Result{}, fault.New(cfn.NotFound, "Resource of type '%s' with identifier '%s' was not found.", t.Name, req.PhysicalID)
		}
		sch, err := o.types().Schema(t.Name)
		if err != nil || sch == nil {
			return cfn.Result{PhysicalID: req.PhysicalID}, err
		}
		attributes := cfn.Properties{}
		for _, path := range sch.ReadOnly {
			name, _, _ := strings.Cut(path, "/")
			if v, ok := actual[name]; ok && v != nil {
				attributes[name] = v
			}
		}
		return cfn.Result{PhysicalID: req.PhysicalID, Attributes: attributes}, nil
	}
}

// tags makes an action of a type's Update that puts the stack's tags on a resource
// and leaves it as it is otherwise.
func tags(t cfn.Type, sch *schema.Schema) action {
	return func(ctx context.Context, req cfn.Request) (cfn.Result, error) {
		actual, err := t.Read(ctx, req)
		if err != nil {
			return cfn.Result{}, err
		}
		req.Properties = asFound(sch, req.Properties, actual)
		req.Prior = req.Properties
		return t.Update(ctx, req)
	}
}

// asFound are a template's properties with what is there instead where that is
// something else. The tags are those that are there.
func asFound(sch *schema.Schema, want, actual cfn.Properties) cfn.Properties {
	differs := map[string]bool{sch.TagProperty: true}
	for _, d := range drift.Compare(sch, want, nil, actual).Differences {
		name, _, _ := strings.Cut(strings.TrimPrefix(d.Path, "/"), "/")
		differs[name] = true
	}
	actual, _ = sch.Conform(actual)
	out := cfn.Properties{}
	for name, v := range want {
		if !differs[name] {
			out[name] = v
		}
	}
	for name := range differs {
		if v := actual[name]; v != nil {
			out[name] = v
		}
	}
	return out
}

// imported keeps a resource that was found, or that there was none.
func (o *operation) imported(l *Ledger, s *Stack, b begun, out acted) (bool, error) {
	r, err := o.record(l, s, b.Target)
	if err != nil {
		return false, err
	}
	if out.Failure != "" {
		return false, o.importFailed(l, s, r, ImportFailed, out.Failure)
	}
	r.Attributes = out.Attributes
	return true, errors.Join(l.resource(s, r, ImportComplete, importCompleted), l.resource(s, r, UpdateInProgress, applyingTags))
}

// tagged keeps a resource that has the stack's tags, or could not get them.
func (o *operation) tagged(l *Ledger, s *Stack, b begun, out acted) error {
	r, err := o.record(l, s, b.Target)
	if err != nil {
		return err
	}
	if out.Failure != "" {
		r.Dirty = true
		return o.importFailed(l, s, r, UpdateFailed, out.Failure)
	}
	if out.Attributes != nil {
		r.Attributes = out.Attributes
	}
	return l.resource(s, r, UpdateComplete, "")
}

// importFailed stops the operation. A resource that was not found is not the stack's.
func (o *operation) importFailed(l *Ledger, s *Stack, r *Resource, status, reason string) error {
	event := *r
	if err := l.resource(s, &event, status, reason); err != nil {
		return err
	}
	if status == ImportFailed {
		event.PhysicalID = ""
	}
	s.Stop = true
	s.Failed = append(s.Failed, r.LogicalID)
	return errors.Join(Resources.Put(l.Tx, resourceKey(s, r.LogicalID), &event), Stacks.Put(l.Tx, s.Key(), s), o.r.wakeAll(l.Tx, s))
}
