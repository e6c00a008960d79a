package apply

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// Statuses of stacks and resources ("StackStatus", "ResourceStatus").
const (
	ReviewInProgress         = "REVIEW_IN_PROGRESS"
	CreateInProgress         = "CREATE_IN_PROGRESS"
	CreateComplete           = "CREATE_COMPLETE"
	CreateFailed             = "CREATE_FAILED"
	RollbackInProgress       = "ROLLBACK_IN_PROGRESS"
	RollbackComplete         = "ROLLBACK_COMPLETE"
	RollbackFailed           = "ROLLBACK_FAILED"
	UpdateInProgress         = "UPDATE_IN_PROGRESS"
	UpdateCleanup            = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
	UpdateComplete           = "UPDATE_COMPLETE"
	UpdateFailed             = "UPDATE_FAILED"
	UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS"
	UpdateRollbackCleanup    = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
	UpdateRollbackComplete   = "UPDATE_ROLLBACK_COMPLETE"
	UpdateRollbackFailed     = "UPDATE_ROLLBACK_FAILED"
	DeleteInProgress         = "DELETE_IN_PROGRESS"
	DeleteComplete           = "DELETE_COMPLETE"
	DeleteFailed             = "DELETE_FAILED"
	DeleteSkipped            = "DELETE_SKIPPED"
	ImportInProgress         = "IMPORT_IN_PROGRESS"
	ImportComplete           = "IMPORT_COMPLETE"
	ImportFailed             = "IMPORT_FAILED"
	ImportRollbackInProgress = "IMPORT_ROLLBACK_IN_PROGRESS"
	ImportRollbackComplete   = "IMPORT_ROLLBACK_COMPLETE"
)

// StackType is the resource type by which a stack's own events go.
const StackType = "AWS::CloudFormation::Stack"

// Reasons that events give, as AWS words them.
const (
	UserInitiated      = "User Initiated"
	creationInitiated  = "Resource creation Initiated"
	creationCancelled  = "Resource creation cancelled"
	updateCancelled    = "Resource update cancelled"
	needsReplacement   = "Requested update requires the creation of a new physical resource; hence creating one."
	someNotDeleted     = "Update successful. One or more resources could not be deleted."
	rollbackRequested  = " Rollback requested by user."
	deletionRequested  = " Delete requested by user."
	importStarted      = "Resource import started."
	importCompleted    = "Resource import completed."
	applyingTags       = "Apply stack-level tags to imported resource if applicable."
	propertyValidation = "Property validation failure: "
)

// Parameter is a parameter's value as a stack was given it.
type Parameter struct {
	Key      string
	Value    string
	Resolved string `json:",omitempty"` // of AWS::SSM::Parameter::Value<…>
	List     bool   `json:",omitempty"`
	NoEcho   bool   `json:",omitempty"`
}

// Output is an evaluated output.
type Output struct {
	Key         string
	Value       string
	Description string `json:",omitempty"`
	Export      string `json:",omitempty"`
}

// Version is one state that a stack was asked to have: template and inputs.
type Version struct {
	TemplateKey  string // in Templates
	OriginalKey  string `json:",omitempty"` // of the template that transforms have made the other of; "" : they are the same
	Parameters   []Parameter
	Tags         map[string]string
	Capabilities []string
	Description  string
	RoleARN      string
	Notify       []string `json:",omitempty"` // ARNs of the topics that its events are published to
	Outputs      []Output // as evaluated once the version was reached
	Imports      []string // names of exports that the version uses
	Rollback     Rollback `json:",omitzero"`
	TemplateURL  string   `json:",omitempty"` // that the template came from, of nested stacks
	// Modules tells of the resources that modules have brought, by logical id.
	Modules map[string]Module `json:",omitempty"`
}

// Module is the module that a resource comes from, and those around that, the
// innermost first.
type Module struct {
	Types string // names, with "/" between
	IDs   string // logical ids, likewise
}

// Stack is the record of a stack. A deleted stack's record stays, found by its
// id alone.
type Stack struct {
	ID                    string // ARN
	Name                  string
	Scope                 arn.Scope
	Status                string
	Reason                string
	Created               time.Time
	Updated               *time.Time
	Deleted               *time.Time
	Version               Version  // what the stack is, or is becoming
	Before                *Version // while an update may still be rolled back
	ChangeSetID           string
	DisableRollback       bool
	OnFailure             string // ROLLBACK, DELETE, DO_NOTHING
	RetainExceptOnCreate  bool
	TimeoutMinutes        int32
	TerminationProtection bool
	Policy                string // the stack policy's text; "" is none
	DeletionMode          string // of the latest DeleteStack; "" is STANDARD

	// Operation is the id of the workflow that is changing the stack; empty
	// when none does. A stack's status is one of *_IN_PROGRESS if and only if an
	// operation is set, but for REVIEW_IN_PROGRESS and what is Held.
	Operation string
	Last      string // id of the latest operation
	LastKind  Kind   `json:",omitempty"` // what it does; "" while its template is processed
	// PreparedFrom is the status before the operation whose plan is being made.
	PreparedFrom string `json:",omitempty"`
	Count        int    // of the operations so far
	Request      string // the latest ClientRequestToken
	RequestOp    string // the API operation that gave it
	Token        string // of the durable step that made the stack
	// Parent is the id of the stack that this one is nested in, ParentResource its
	// logical id there, Step the token of the parent's step that began its latest
	// operation; "" of a stack that nobody has nested.
	Parent         string `json:",omitempty"`
	ParentResource string `json:",omitempty"`
	Step           string `json:",omitempty"`
	// Held is set while a nested stack that has reached its version, or is back from
	// it, waits for the parent to come to its clean-up.
	Held bool `json:",omitempty"`
	// Unmade is set while the stack has never been whole: its creation has failed and
	// was left as it was.
	Unmade bool `json:",omitempty"`
	// Why is why the latest operation did not reach what it was to.
	Why string `json:",omitempty"`
	// Stop is set once an operation must begin nothing more: a resource or the
	// stack as a whole has failed, or the user cancelled.
	Stop    bool
	Cancel  bool     // the user cancelled
	Failure string   // of the stack as a whole
	Failed  []string // logical ids of the resources that failed, in that order
	// Drift is what the last detection found since the stack has changed; nil:
	// there was none. Detections are the ids of those that are kept, of Detected.
	Drift      *StackDrift `json:",omitempty"`
	Detections []string    `json:",omitempty"`
	Detected   int         `json:",omitempty"`
	// Until is when TimeoutInMinutes ends the creation.
	Until *time.Time
	// Notifier is as whom the stack's events are published: the caller of its latest
	// operation. nil while it notifies nobody.
	Notifier *Caller `json:",omitempty"`
}

// Key is the record's key: account, region and the UUID of the stack's id.
func (s *Stack) Key() string { return s.Scope.Key() + "/" + UUID(s.ID) }

// UUID is the last part of a stack's id.
func UUID(stackID string) string { return stackID[strings.LastIndexByte(stackID, '/')+1:] }

func splitID(stackID string) []string {
	if parts := strings.Split(stackID, "/"); len(parts) == 3 {
		return parts
	}
	return []string{"", stackID, ""}
}

// Busy reports whether an operation is under way.
func (s *Stack) Busy() bool { return s.Operation != "" }

// Name is the claim of a live stack on its name.
type Name struct{ StackID string }

// Template is a template's text. Keys are the stack's and the text's digest, so
// a stack that returns to a text finds it.
type Template struct{ Body string }

// Export is an exported output, unique by name in an account and region.
type Export struct {
	Name    string
	Value   string
	StackID string
}

// Import is the use of an export by a stack.
type Import struct {
	Export  string
	StackID string
	Stack   string // name
}

// The collections of the engine's records. Keys begin with account and region.
var (
	Stacks    = store.NewCollection[Stack]("cloudformation/stack")
	Names     = store.NewCollection[Name]("cloudformation/name")
	Templates = store.NewCollection[Template]("cloudformation/template")
	Exports   = store.NewCollection[Export]("cloudformation/export")
	Imports   = store.NewCollection[Import]("cloudformation/import")
)

// PutTemplate keeps a template's text for a stack and returns its key.
func PutTemplate(tx store.Tx, s *Stack, body string) (string, error) {
	key := s.Key() + "/" + arn.Hash(body)[:32]
	return key, Templates.Put(tx, key, &Template{Body: body})
}

// Caller is who a stack's operation acts as: its service role where it has
// one, else who asked for the operation.
type Caller struct {
	Principal auth.Principal
	Endpoint  string
	RequestID string
}

// begin clears what the stack's previous operation left.
func (s *Stack) begin(operation string, kind Kind) {
	s.Operation, s.Last, s.LastKind, s.PreparedFrom = operation, operation, kind, ""
	s.Stop, s.Cancel, s.Failure, s.Failed = false, false, "", nil
	s.Held, s.Why = false, ""
}

// timedOut words that TimeoutInMinutes has passed.
func (s *Stack) timedOut() string {
	return fmt.Sprintf("The stack was not complete within %d minutes.", s.TimeoutMinutes)
}
