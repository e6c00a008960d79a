// Package cfn is the CloudFormation engine's vocabulary: what a resource type is
// and what the engine tells it. The engine knows no AWS service; types register
// themselves in a Registry at start-up. It may import arn and fault only.
package cfn

import (
	"context"
	"sort"
	"strings"
	"time"
)

// Properties are a resource's properties after its intrinsic functions were
// evaluated: nil, bool, int64, float64, string, []any and map[string]any.
type Properties = map[string]any

// Request is what the engine tells a resource type. The context carries the
// caller (package auth): the stack's service role, or who called.
type Request struct {
	StackID    string
	StackName  string
	LogicalID  string
	Type       string // as the template names it
	PhysicalID string // empty in Create
	// Token is the same each time that this very action is repeated after a
	// crash, and differs between actions. The context carries it, too.
	Token string
	// Name is a name for types whose name the template leaves open: made of
	// stack name, logical id and a suffix that the token decides.
	Name       string
	Properties Properties
	Prior      Properties // the properties before an Update
	// Tags are the stack's own tags and the aws:cloudformation:* ones, to be
	// put on the resource beside those that the template gives it.
	Tags map[string]string
	// Progress, never nil, tells the stack's events what is waited for.
	Progress func(message string)
	// Initiated, never nil, may be called by Create once the physical id is
	// known and there is still something to wait for: the stack then names the
	// resource while it is being made. A type that does not call it loses
	// nothing but that.
	Initiated func(physicalID string)
}

// Result is what a Create or Update reached. The engine reports it only after
// the function returned, so it must be true by then: an instance runs, a queue
// takes messages.
//
// A Create that fails has either left nothing behind or returns, together with
// the error, the PhysicalID of what it left: the engine deletes that.
type Result struct {
	PhysicalID string
	Attributes Properties // what Fn::GetAtt finds: the schema's read-only properties
	// Wait, where it is set, holds the resource's completion back until signals
	// have come. The engine waits, durably; the function must not.
	Wait *Wait
}

// Wait is what a resource needs before it is complete: Count signals of success
// at the source within Timeout. The engine puts what the signals said, by their
// unique ids and as JSON, into the attribute "Data".
type Wait struct {
	Source  string // name of what is signalled; empty: the resource itself
	Count   int
	Timeout time.Duration
	// Stack, where it is set, is the id of a nested stack, and the end of its
	// operation is what is waited for, in updates and deletions, too. Its outputs
	// become the attribute "Outputs".
	Stack string `json:",omitempty"`
	// Answer, where it is set, is the id of a request to a custom resource's provider,
	// and the answer is what is waited for. It brings the physical id and attributes.
	Answer string `json:",omitempty"`
}

// Always reports whether the wait is for more than the creation of a resource.
func (w *Wait) Always() bool { return w != nil && (w.Stack != "" || w.Answer != "") }

// CustomResource is the type of resources whose provider is a function or topic of
// the user's.
const CustomResource = "AWS::CloudFormation::CustomResource"

// Custom reports whether a type is a custom resource's: its provider is asked, and
// says with each answer which physical resource there is.
func Custom(typeName string) bool {
	return typeName == CustomResource || strings.HasPrefix(typeName, "Custom::")
}

// Type is a resource type: four or five functions over its official schema.
// Each is idempotent: called again with the same Token, it finishes or finds
// what the first call did.
type Type struct {
	Name string // AWS::SQS::Queue

	Create func(ctx context.Context, r Request) (Result, error)
	// Read returns the properties as the service has them, read-only ones
	// included, or a *fault.Error with code NotFound ("cfn.NotFound"). nil: there is
	// nothing outside the stack's records to read, and no drift.
	Read func(ctx context.Context, r Request) (Properties, error)
	// Update changes the resource in place. nil: every change replaces.
	Update func(ctx context.Context, r Request) (Result, error)
	// Delete removes the resource and returns once it is gone. Deleting what is
	// gone is nil.
	Delete func(ctx context.Context, r Request) error
	// Remove is there instead of Delete where a deletion is only begun: the engine
	// waits for its end. No Wait: the resource is gone already.
	Remove func(ctx context.Context, r Request) (*Wait, error)
	// Snapshot makes a snapshot that the resource can be restored from, and returns
	// its id once it is whole. It is set for the types that HasSnapshots names.
	Snapshot func(ctx context.Context, r Request) (id string, err error)
	// List returns the physical ids of the caller's account and region.
	List func(ctx context.Context) ([]string, error)
	// Identify makes the physical id of the values of the schema's primary
	// identifier. nil: they are the id, in the schema's order, with | between them.
	Identify func(identifier map[string]string) string
	// Replaces says of a change that the schema leaves open ("conditional
	// create-only") whether it needs a new resource. nil: none does.
	Replaces func(property string, before, after Properties) bool
	// Secret are the attributes that are sealed wherever the engine keeps them, as
	// text that nobody can read from the service again. Templates get them open.
	Secret []string
	// Bound is true where a resource is nothing without the stack that made it, and
	// so cannot be imported into another.
	Bound bool
	// Plain is true where the messages of errors are the reasons of events as they
	// are, without the frame that the registry's handlers put around them.
	Plain bool
	// References are the services whose dynamic references are resolved before the
	// functions see the properties; nil: of all of them.
	References []string
	// Signals is true where CreationPolicy and UpdatePolicy signals are honoured.
	Signals bool
}

// NotFound is the fault code of Read and Update for a resource that is gone.
const NotFound = "NotFound"

// Registry holds the resource types that this build has.
type Registry struct{ types map[string]Type }

// Add registers types; a second type of one name is a bug and panics.
func (r *Registry) Add(types ...Type) {
	if r.types == nil {
		r.types = map[string]Type{}
	}
	for _, t := range types {
		if _, ok := r.types[t.Name]; ok {
			panic("cfn: resource type " + t.Name + " registered twice")
		}
		r.types[t.Name] = t
	}
}

// Lookup finds a type by its name. All Custom:: types are one.
func (r *Registry) Lookup(name string) (Type, bool) {
	if Custom(name) {
		name = CustomResource
	}
	t, ok := r.types[name]
	return t, ok
}

// Names lists the registered types in order.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.types))
	for n := range r.types {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Credentials are temporary ones of a role, for handlers that call services.
type Credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
}
