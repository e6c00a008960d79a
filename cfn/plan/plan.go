// Package plan decides what a stack operation does: from the stack as it is and
// a template it makes a graph of steps and the entries of a change set. It is
// pure, acts on nothing and starts no goroutine; package apply runs what it
// decides. It may import cfn, cfn/template, cfn/schema and cfn/drift only.
package plan

import (
	"fmt"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// Resource is a resource of a stack, as its last operation left it. It is
// JSON-serializable, as are plans.
type Resource struct {
	LogicalID           string
	Type                string
	PhysicalID          string         // "" : it was never made
	Properties          cfn.Properties // evaluated and coerced, dynamic references as they stand
	Attributes          cfn.Properties
	DependsOn           []string // every resource that it waited for; deletion goes the other way
	DeletionPolicy      string
	UpdateReplacePolicy string
	Metadata            any // plain, evaluated
	CreationPolicy      any
	UpdatePolicy        any
}

// Policy is the resource's DeletionPolicy, with its type's own default.
func (r *Resource) Policy() string {
	return cfn.DeletionPolicy(r.Type, r.DeletionPolicy, r.Properties)
}

// State is a stack: what is there, and what made it.
type State struct {
	Resources  map[string]Resource
	Template   *template.Template // nil: a new stack
	Parameters template.Values
	Tags       map[string]string
}

// Types is what a plan asks about types; a *schema.Catalog and a *cfn.Registry make one.
type Types struct {
	Schema   func(typeName string) (*schema.Schema, error)
	Provider func(typeName string) (cfn.Type, bool)
}

// Input is what Make decides from.
type Input struct {
	Old   State
	New   *template.Template
	Env   template.Env // Env.Resource is not used: the plan answers from Old
	Tags  map[string]string
	Types Types
	// Import are the resources of the account that the operation takes into the
	// stack, by the logical ids that they get.
	Import map[string]Existing
	// Live is what was found of the stack's resources, where the operation is
	// drift-aware; else nil.
	Live map[string]Found
}

// Action is what a step does.
type Action string

// The actions.
const (
	Create  Action = "Create"
	Import  Action = "Import"  // it exists, and becomes the stack's
	Update  Action = "Update"  // in place
	Replace Action = "Replace" // create the new; the old goes in the clean-up
	Check   Action = "Check"   // something it refers to changes: Decide when that is known
	Keep    Action = "Keep"
	Delete  Action = "Delete"
	Retain  Action = "Retain"  // leaves the stack, stays in the account
	Restore Action = "Restore" // rollback: the replaced resource, which is still there, is the resource again
)

// Step is one resource's part of an operation.
type Step struct {
	LogicalID   string
	Type        string
	Action      Action
	PhysicalID  string   // of the resource as it is; "" for Create
	After       []string // logical ids of the steps of the same phase that come first
	DeleteFirst bool     // of a replacement: the type cannot exist twice, so the old one goes first
	Changed     []string // property paths that make the step, for logs
	Automatic   bool     `json:",omitempty"` // a nested stack, whose template may be another by now
	Tags        bool     // the stack's tags change: update even where no property does
	// Identifier are the values of the primary identifier of what is to be imported.
	Identifier map[string]string `json:",omitempty"`
	Records    bool              // only what the stack keeps of it changes: no call to the provider
}

// joins reports whether the step brings a resource into the stack.
func (s *Step) joins() bool { return s.Action == Create || s.Action == Import }

// Plan is a graph of steps and what is cleaned up once all of them succeeded.
type Plan struct {
	Steps   []Step // in an order that respects After
	Cleanup []Step // Delete and Retain, in an order that respects After
	Outputs bool   // outputs change
	// Live are the resources that are not what the last operation left, where the
	// operation is drift-aware.
	Live map[string]Live `json:",omitempty"`
}

// Empty reports whether the plan changes nothing: "No updates are to be performed."
func (p *Plan) Empty() bool {
	for i := range p.Steps {
		if p.Steps[i].Action != Keep {
			return false
		}
	}
	return len(p.Cleanup) == 0 && !p.Outputs
}

// Step finds the step of a resource, nil if there is none.
func (p *Plan) Step(logicalID string) *Step {
	for i := range p.Steps {
		if p.Steps[i].LogicalID == logicalID {
			return &p.Steps[i]
		}
	}
	return nil
}

// String is the plan's text form, which tests compare: a line per step.
func (p *Plan) String() string {
	var b strings.Builder
	for i := range p.Steps {
		b.WriteString(p.Steps[i].String() + "\n")
	}
	if len(p.Cleanup) > 0 {
		b.WriteString("then clean up\n")
	}
	for i := range p.Cleanup {
		b.WriteString(p.Cleanup[i].String() + "\n")
	}
	if p.Outputs {
		b.WriteString("outputs change\n")
	}
	for _, id := range union(p.Live, nil) {
		if p.Live[id].Gone {
			b.WriteString(id + " is gone\n")
			continue
		}
		b.WriteString(id + " is " + text(p.Live[id].Properties))
		if len(p.Live[id].Foreign) > 0 {
			b.WriteString(" beside " + text(p.Live[id].Foreign))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// String is the step's line of a plan.
func (s *Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", s.Action, s.LogicalID, s.Type)
	if s.PhysicalID != "" {
		b.WriteString(" " + s.PhysicalID)
	}
	if len(s.Changed) > 0 {
		b.WriteString(" [" + strings.Join(s.Changed, " ") + "]")
	}
	for _, flag := range []struct {
		on   bool
		word string
	}{{s.DeleteFirst, "delete-first"}, {s.Automatic, "automatic"}, {s.Tags, "tags"}, {s.Records, "records"}} {
		if flag.on {
			b.WriteString(" " + flag.word)
		}
	}
	if len(s.After) > 0 {
		b.WriteString(" after " + strings.Join(s.After, ", "))
	}
	return b.String()
}
