package cloudformation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// CheckInvariants lists what is wrong with the records. Tests and the crash
// harness call it when nothing of the API is being called.
func CheckInvariants(tx store.Tx, e *workflow.Engine) []error {
	k := &checker{tx: tx, e: e, stacks: map[string]*apply.Stack{}, physical: map[string]string{}}
	k.check(k.checkStacks)
	k.check(k.checkNames)
	k.check(k.checkResources)
	k.check(k.checkNested)
	k.check(k.checkExports)
	k.check(k.checkOperations)
	return k.found
}

type checker struct {
	tx       store.Tx
	e        *workflow.Engine
	stacks   map[string]*apply.Stack // by key
	physical map[string]string       // type and physical id -> owner
	found    []error
}

func (k *checker) check(fn func() error) {
	if err := fn(); err != nil {
		k.found = append(k.found, err)
	}
}

func (k *checker) bad(format string, args ...any) {
	k.found = append(k.found, fmt.Errorf(format, args...))
}

func (k *checker) checkStacks() error {
	for e, err := range apply.Stacks.Scan(k.tx, "") {
		if err != nil {
			return err
		}
		st := e.Value
		k.stacks[e.Key] = st
		if e.Key != st.Key() {
			k.bad("stack %s stands under the key %s", st.ID, e.Key)
		}
		inProgress := strings.HasSuffix(st.Status, "_IN_PROGRESS") && st.Status != apply.ReviewInProgress
		if inProgress != (st.Busy() || st.Held) || st.Busy() && st.Held {
			k.bad("stack %s is %s, and its operation is %q", st.ID, st.Status, st.Operation)
		}
		if st.Held && st.Parent == "" {
			k.bad("stack %s is held, and is nested in none", st.ID)
		}
		if !st.Busy() {
			continue
		}
		if run, err := k.e.Get(k.tx, st.Operation); err != nil || run.State != workflow.Running {
			k.bad("stack %s is %s, and its workflow is not running: %v %v", st.ID, st.Status, run.State, err)
		}
	}
	return nil
}

func (k *checker) checkNames() error {
	named := map[string]bool{}
	for e, err := range apply.Names.Scan(k.tx, "") {
		if err != nil {
			return err
		}
		st := k.stacks[e.Key[:strings.LastIndexByte(e.Key, '/')]+"/"+apply.UUID(e.Value.StackID)]
		if st == nil || st.Status == apply.DeleteComplete || !strings.HasSuffix(e.Key, "/"+st.Name) {
			k.bad("the name %s belongs to no live stack", e.Key)
			continue
		}
		named[st.ID] = true
	}
	for _, st := range k.stacks {
		if st.Status != apply.DeleteComplete && !named[st.ID] {
			k.bad("stack %s is %s and has no name", st.ID, st.Status)
		}
	}
	return nil
}

func (k *checker) checkResources() error {
	for e, err := range apply.Resources.Scan(k.tx, "") {
		if err != nil {
			return err
		}
		r := e.Value
		st := k.stacks[e.Key[:strings.LastIndexByte(e.Key, '/')]]
		switch {
		case st == nil:
			k.bad("resource %s has no stack", e.Key)
			continue
		case st.Status == apply.DeleteComplete && r.Status != apply.DeleteComplete && r.Status != apply.DeleteSkipped:
			k.bad("resource %s of deleted stack %s is %s", r.LogicalID, st.ID, r.Status)
		case !st.Busy() && strings.HasSuffix(r.Status, "_IN_PROGRESS"):
			k.bad("resource %s is %s, and stack %s is %s", r.LogicalID, r.Status, st.ID, st.Status)
		}
		if r.Exists() && r.Status != apply.DeleteSkipped {
			k.own(r.Type, r.PhysicalID, e.Key)
		}
		for _, old := range r.Old {
			k.own(old.Type, old.PhysicalID, e.Key+" (old)")
		}
	}
	return nil
}

// checkNested checks that every nested stack belongs to its parent, while that is
// at rest.
func (k *checker) checkNested() error {
	for key, st := range k.stacks {
		if st.Parent == "" || st.Status == apply.DeleteComplete || st.Status == apply.ReviewInProgress {
			continue
		}
		parent := k.stacks[st.Scope.Key()+"/"+apply.UUID(st.Parent)]
		if parent == nil || parent.Status == apply.DeleteComplete {
			k.bad("stack %s is nested in %s, which is gone", key, st.Parent)
			continue
		}
		if parent.Busy() || parent.Held {
			continue
		}
		switch _, owned := k.physical[apply.StackType+" "+st.ID]; {
		case !owned && st.Status != apply.RollbackComplete && st.Status != apply.CreateFailed:
			k.bad("stack %s is %s, and is none of the resources of %s", st.ID, st.Status, parent.ID)
		case st.Busy() && st.Step != "":
			k.bad("stack %s is %s, and its parent %s is %s", st.ID, st.Status, parent.ID, parent.Status)
		case st.Held && parent.Status != apply.UpdateFailed && parent.Status != apply.UpdateRollbackFailed:
			k.bad("stack %s is held, and its parent %s is %s", st.ID, parent.ID, parent.Status)
		}
	}
	return nil
}

func (k *checker) own(typeName, physicalID, owner string) {
	key := typeName + " " + physicalID
	if other, ok := k.physical[key]; ok {
		k.bad("%s belongs to %s and to %s", key, other, owner)
	}
	k.physical[key] = owner
}

func (k *checker) checkExports() error {
	for e, err := range apply.Exports.Scan(k.tx, "") {
		if err != nil {
			return err
		}
		st := k.stacks[e.Key[:len(e.Key)-len(e.Value.Name)]+apply.UUID(e.Value.StackID)]
		if st == nil || st.Status == apply.DeleteComplete {
			k.bad("export %s belongs to no live stack", e.Key)
		}
	}
	for e, err := range apply.Imports.Scan(k.tx, "") {
		if err != nil {
			return err
		}
		key := strings.TrimSuffix(e.Key, e.Value.Export+"/"+apply.UUID(e.Value.StackID))
		if _, err := apply.Exports.Get(k.tx, key+e.Value.Export); errors.Is(err, store.ErrNotFound) {
			k.bad("stack %s imports %s, which nobody exports", e.Value.StackID, e.Value.Export)
		}
	}
	return nil
}

func (k *checker) checkOperations() error {
	for e, err := range apply.Operations.Scan(k.tx, "") {
		if err != nil {
			return err
		}
		if k.stacks[e.Value.StackKey] == nil {
			k.bad("operation %s has no stack", e.Key)
		}
	}
	return nil
}
