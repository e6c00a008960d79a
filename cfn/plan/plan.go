// Package plan decides what a stack operation does: from the stack as it is and
// a template it makes a graph of steps and the entries of a change set. It is
// pure and acts on nothing; package apply runs what it decides. It may import
// cfn, cfn/template and cfn/schema only.
package plan

import (
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// Resource is a resource of a stack, as its last operation left it. It is
// JSON-serializable, as are all values of this package.
type Resource struct {
	LogicalID           string
	Type                string
	PhysicalID          string         // "" : it was never made
	Properties          cfn.Properties // evaluated and coerced, as the provider got them
	Attributes          cfn.Properties
	DependsOn           []string // every resource that it waited for; deletion goes the other way
	DeletionPolicy      string
	UpdateReplacePolicy string
	Metadata            any // template metadata, plain
	CreationPolicy      any
	UpdatePolicy        any
}

// State is a stack: what is there, and what made it.
type State struct {
	Resources  map[string]Resource
	Template   *template.Template `json:"-"` // nil: a new stack
	Parameters template.Values
	Tags       map[string]string
}

// Types is what a plan asks about types; *schema.Catalog and a cfn.Registry make one.
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
}

// Action is what a step does.
type Action string

// The actions.
const (
	Create  Action = "Create"
	Update  Action = "Update"  // in place
	Replace Action = "Replace" // create the new; the old goes in the clean-up
	Check   Action = "Check"   // something it refers to changes: decide when that is known (Decide)
	Keep    Action = "Keep"
	Delete  Action = "Delete"
	Retain  Action = "Retain"  // leaves the stack, stays in the account
	Restore Action = "Restore" // rollback: point back at the replaced resource, which is still there
)

// Step is one resource's part of an operation.
type Step struct {
	LogicalID   string
	Type        string
	Action      Action
	PhysicalID  string   // of the resource as it is; "" for Create
	After       []string // logical ids of the steps of the same phase that come first
	DeleteFirst bool     // Replace: the type cannot exist twice, so the old one goes first
	Changed     []string // property paths that make the step, for events and logs
	Metadata    bool     // only metadata or policies change: no call to the provider
}

// Plan is a graph of steps and what is cleaned up once all of them succeeded.
type Plan struct {
	Steps   []Step // in an order that respects After
	Cleanup []Step // Delete and Retain, in an order that respects After
}

// Empty reports whether the plan changes nothing: "No updates are to be performed."
func (p *Plan) Empty() bool { return true }

// String is the plan's text form, which tests compare.
func (p *Plan) String() string { return "" }

// Make decides an operation that brings the stack to a template. Old without
// resources makes a creation. The problems are those of evaluation.
func Make(in Input) (*Plan, template.Problems) { return nil, nil }

// Removal is the plan of DeleteStack. Resources in keep are retained.
func Removal(old State, keep []string) *Plan { return nil }

// Outcome is how far a step came.
type Outcome struct {
	Done       bool     // it finished
	Started    bool     // it may have acted
	Resource   Resource // as it is now, if PhysicalID is set
	DidReplace bool     // a Check or Update that was decided to replace
	DidNothing bool     // a Check that found no difference
}

// Rollback is the plan back from a failed operation. Outcomes are by logical id;
// a step without one was never started.
func Rollback(in Input, failed *Plan, outcomes map[string]Outcome) *Plan { return nil }

// Decision is what a resource's change needs, from its properties before and after.
type Decision struct {
	Action      Action // Keep, Update or Replace
	Changed     []string
	Replacing   []string // of Changed, those that need a new resource
	DeleteFirst bool
}

// Decide compares evaluated and coerced properties: when a Check or Update runs,
// with the values known by then.
func Decide(types Types, typeName string, before, after cfn.Properties) (Decision, error) {
	return Decision{}, nil
}

// Changes are the entries of a change set. values: with property values
// (DescribeChangeSet's IncludePropertyValues).
func Changes(in Input, values bool) ([]Change, template.Problems) { return nil, nil }

// Change is a ResourceChange of a change set; the names and words are AWS's.
type Change struct {
	Action             string // Add, Modify, Remove
	LogicalResourceID  string
	PhysicalResourceID string
	ResourceType       string
	Replacement        string // True, False, Conditional or ""
	PolicyAction       string // Delete, Retain, Snapshot, ReplaceAndDelete, ReplaceAndRetain, ReplaceAndSnapshot or ""
	Scope              []string
	Details            []Detail
	BeforeContext      string // JSON, with values only
	AfterContext       string
}

// Detail is a ResourceChangeDetail.
type Detail struct {
	Target        Target
	Evaluation    string // Static, Dynamic
	ChangeSource  string // DirectModification, ParameterReference, ResourceReference, ResourceAttribute, Automatic
	CausingEntity string
}

// Target is a ResourceTargetDefinition.
type Target struct {
	Attribute           string // Properties, Metadata, Tags, CreationPolicy, UpdatePolicy, DeletionPolicy, UpdateReplacePolicy
	Name                string
	RequiresRecreation  string // Never, Always, Conditionally
	Path                string
	BeforeValue         string
	AfterValue          string
	AttributeChangeType string // Add, Remove, Modify
}
