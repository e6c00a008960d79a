package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const noChanges = "The submitted information didn't contain changes. Submit different information to create a change set."

// Statuses of change sets ("ChangeSetStatus", "ExecutionStatus").
const (
	statusInProgress = "CREATE_IN_PROGRESS"
	statusComplete   = "CREATE_COMPLETE"
	statusFailed     = "FAILED"

	executionAvailable   = "AVAILABLE"
	executionUnavailable = "UNAVAILABLE"
	executionInProgress  = "EXECUTE_IN_PROGRESS"
	executionComplete    = "EXECUTE_COMPLETE"
	executionFailed      = "EXECUTE_FAILED"
	executionObsolete    = "OBSOLETE"
)

// changeSet is the record of a change set.
type changeSet struct {
	ID          string // ARN
	Name        string
	StackID     string
	StackName   string
	Type        string // CREATE, UPDATE, IMPORT
	Description string
	Created     time.Time
	Status      string
	Reason      string
	Execution   string
	Operation   string // that executes it
	OnFailure   string
	// Nested is IncludeNestedStacks; ParentID and RootID are the change sets in which
	// one of a nested stack is.
	Nested   bool
	ParentID string `json:",omitempty"`
	RootID   string `json:",omitempty"`
	// certain are the steps that change something whatever nested stacks do.
	certain int

	Version apply.Version
	// Changes, and WithValues, are kept apart: see proposals.
	Changes    []plan.Change `json:"-"`
	WithValues []plan.Change `json:"-"`
	// ValuesReason says why WithValues are not all there is to know.
	ValuesReason string `json:",omitempty"`
	// Sets are the ids of the change sets of nested stacks, by logical id.
	Sets  map[string]string `json:",omitempty"`
	Token string
	// Mode is the DeploymentMode. A drift-aware change set has what was found of its
	// stack's resources, the stack's drift, and how many operations it had had.
	Mode  string                `json:",omitempty"`
	Live  map[string]plan.Found `json:"-"` // kept with the changes
	Drift string                `json:",omitempty"`
	Count int                   `json:",omitempty"`
	// Import are the resources of the account that the change set imports.
	Import map[string]plan.Existing `json:",omitempty"`
}

// changeSets are keyed by the stack's key and the UUID of the change set's id.
var changeSets = store.NewCollection[changeSet]("cloudformation/changeset",
	store.Index[changeSet]{Name: "id", Keys: func(_ string, c *changeSet) []string { return []string{c.ID} }})

// proposal is what a change set would change: of hundreds of resources much more
// than the rest of its record, which is read to find one and written as it goes on.
type proposal struct {
	Changes    []plan.Change
	WithValues []plan.Change
	Live       map[string]plan.Found `json:",omitempty"`
}

// proposals are keyed as their change sets.
var proposals = store.NewCollection[proposal]("cloudformation/proposal")

// load reads what a change set would change, as far as it is known.
func (c *changeSet) load(tx store.Tx, st *apply.Stack) error {
	p, err := proposals.Get(tx, c.key(st))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		c.Changes, c.WithValues, c.Live = p.Changes, p.WithValues, p.Live
	}
	return err
}

func (c *changeSet) key(st *apply.Stack) string { return st.Key() + "/" + apply.UUID(c.ID) }

// CreateChangeSet decides what a creation or update would do.
func (s *Service) CreateChangeSet(ctx context.Context, in *cloudformation.CreateChangeSetInput) (*cloudformation.CreateChangeSetOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	kind, err := checkChangeSet(in)
	if err != nil {
		return nil, err
	}
	for range decisions {
		cs, err := s.makeChangeSet(ctx, c, in, kind)
		if err == nil {
			return &cloudformation.CreateChangeSetOutput{Id: cs.ID, StackId: cs.StackID}, nil
		}
		if !errors.Is(err, errStale) {
			return nil, err
		}
	}
	return nil, fault.New(fault.ValidationError, "Stack [%s] is being changed faster than a change set of it can be made. Try again.", in.StackName)
}

// makeChangeSet makes a change set of the stack as it is, errStale where it has
// become another meanwhile.
func (s *Service) makeChangeSet(ctx context.Context, c auth.Call, in *cloudformation.CreateChangeSetInput, kind string) (*changeSet, error) {
	d, r, err := s.draftChangeSet(ctx, c, in, kind)
	if err != nil {
		return nil, err
	}
	return s.createChangeSet(ctx, c, in, d, r)
}

// draftChangeSet decides a change set, or leaves it to a workflow.
func (s *Service) draftChangeSet(ctx context.Context, c auth.Call, in *cloudformation.CreateChangeSetInput, kind string) (d *draft, r request, err error) {
	st, err := s.reviewable(ctx, c.Scope, in, kind)
	if err != nil {
		return nil, r, err
	}
	r = request{
		source:     source{Body: in.TemplateBody, URL: in.TemplateURL, UsePrevious: isTrue(in.UsePreviousTemplate)},
		Parameters: in.Parameters, Capabilities: in.Capabilities, ResourceTypes: in.ResourceTypes,
		RoleARN: in.RoleARN, Tags: in.Tags, Notify: in.NotificationARNs, Rollback: in.RollbackConfiguration,
		stackName: stackNameOf(st, in.StackName),
	}
	previous := st
	if kind == changeSetCreate {
		previous = nil
	}
	d = &draft{stack: st, cs: newChangeSet(c.Scope, in.ChangeSetName)}
	if st == nil {
		d.stack, d.new = newStack(c, in.StackName, s.cfg.Now()), true
	}
	d.cs.Type, d.cs.Description, d.cs.OnFailure, d.cs.Token = kind, in.Description, in.OnStackFailure, in.ClientToken
	d.cs.Nested = isTrue(in.IncludeNestedStacks)
	d.cs.of(d.stack)
	if d.w, err = s.want(ctx, previous, r); err != nil {
		return nil, r, err
	}
	d.existing, d.later = isTrue(in.ImportExistingResources), d.w.pending
	if d.cs.Mode = in.DeploymentMode; d.w.pending || d.cs.Nested || d.cs.Mode != "" {
		if d.caller, err = s.principal(ctx, d.w.version.RoleARN); err != nil {
			return nil, r, err
		}
	}
	if err = s.lookAt(ctx, d, d.cs.Mode); err == nil {
		err = s.nestedIn(ctx, d)
	}
	if err == nil && !d.later {
		err = s.prepareDraft(ctx, previous, d, in)
	}
	return d, r, err
}

// prepareDraft decides a change set whose template is there.
func (s *Service) prepareDraft(ctx context.Context, previous *apply.Stack, d *draft, in *cloudformation.CreateChangeSetInput) (err error) {
	if d.w.failure != "" {
		d.cs.fail(d.w.failure)
		return nil
	}
	imports := d.cs.Type == changeSetImport
	if imports {
		if d.w.imports, err = s.targets(in.ResourcesToImport, d.w.tmpl); err != nil {
			return err
		}
	}
	if imports || isTrue(in.ImportExistingResources) {
		if d.cs.Reason, err = s.look(ctx, previous, in.StackName, d.w); err != nil {
			return err
		}
	}
	return s.view(ctx, func(tx store.Tx) error { return s.decideTree(tx, d) })
}

// Kinds of change sets ("ChangeSetType").
const (
	changeSetCreate = "CREATE"
	changeSetUpdate = "UPDATE"
	changeSetImport = "IMPORT"
)

func checkChangeSet(in *cloudformation.CreateChangeSetInput) (kind string, err error) {
	if err := checkName("changeSetName", in.ChangeSetName); err != nil {
		return "", err
	}
	if err := checkToken("clientToken", in.ClientToken); err != nil {
		return "", err
	}
	kind = in.ChangeSetType
	switch kind {
	case "":
		kind = changeSetUpdate
	case changeSetCreate, changeSetUpdate, changeSetImport:
	default:
		return "", constraint("changeSetType", kind, "Member must satisfy enum value set: [CREATE, UPDATE, IMPORT]")
	}
	switch imports := kind == changeSetImport; {
	case imports && len(in.ResourcesToImport) == 0:
		err = fault.New(fault.ValidationError, "ResourcesToImport must be specified for change sets of type IMPORT.")
	case !imports && len(in.ResourcesToImport) > 0:
		err = fault.New(fault.ValidationError, "ResourcesToImport can be specified for change sets of type IMPORT only.")
	case imports && isTrue(in.IncludeNestedStacks):
		err = fault.New(fault.ValidationError, "IncludeNestedStacks is not supported for changeSet type: IMPORT.")
	case imports && isTrue(in.ImportExistingResources):
		err = fault.New(fault.ValidationError, "ImportExistingResources cannot be specified for change sets of type IMPORT.")
	case imports && in.OnStackFailure != "":
		err = fault.New(fault.ValidationError, "OnStackFailure cannot be specified for change sets of type IMPORT.")
	case kind != changeSetUpdate && !strings.HasPrefix(in.StackName, "arn:"):
		err = checkName("stackName", in.StackName)
	}
	if err == nil {
		err = checkMode(in, kind)
	}
	return kind, err
}

// reviewable is the stack that a change set is for, nil for a new one.
func (s *Service) reviewable(ctx context.Context, scope arn.Scope, in *cloudformation.CreateChangeSetInput, kind string) (*apply.Stack, error) {
	var st *apply.Stack
	err := s.view(ctx, func(tx store.Tx) (err error) {
		st, err = find(tx, scope, in.StackName)
		if err != nil {
			return err
		}
		return checkReviewable(st, in, kind)
	})
	return st, err
}

func checkReviewable(st *apply.Stack, in *cloudformation.CreateChangeSetInput, kind string) error {
	begins := st == nil && !strings.HasPrefix(in.StackName, "arn:") || st != nil && st.Status == apply.ReviewInProgress
	switch {
	case begins && kind != changeSetUpdate:
		return nil
	case kind == changeSetCreate && st != nil:
		return fault.New(fault.ValidationError, "Stack [%s] already exists and cannot be created again with the changeSet [%s].", in.StackName, in.ChangeSetName)
	case kind == changeSetImport && st != nil:
		return canImport(st)
	case st == nil:
		return noStack(in.StackName)
	case st.Status == apply.ReviewInProgress:
		return fault.New(fault.ValidationError, "Stack [%s] is in REVIEW_IN_PROGRESS state: give ChangeSetType CREATE", in.StackName)
	}
	return canUpdate(st)
}

func stackNameOf(st *apply.Stack, name string) string {
	if st != nil {
		return st.Name
	}
	return name
}

// createChangeSet keeps a change set, if the stack is still what it was decided
// from. A repeated request finds the one that is there.
func (s *Service) createChangeSet(ctx context.Context, c auth.Call, in *cloudformation.CreateChangeSetInput, d *draft, r request) (*changeSet, error) {
	cs := d.cs
	err := s.update(ctx, func(l *apply.Ledger) error {
		if err := unchanged(l.Tx, c.Scope, d); err != nil {
			return err
		}
		old, err := changeSetByName(l.Tx, d.stack, in.ChangeSetName)
		if err != nil {
			return err
		}
		if old != nil {
			execution := old.execution(d.stack)
			switch {
			case in.ClientToken != "" && old.Token == in.ClientToken:
				cs = old
				return nil
			case execution == executionAvailable || execution == executionInProgress || old.Status != statusComplete:
				return fault.New(fault.CFNAlreadyExists, "ChangeSet %s already exists", in.ChangeSetName)
			}
			if err := s.deleteChangeSet(l, d.stack, old); err != nil {
				return err
			}
		}
		cs = d.cs
		if d.later {
			return s.awaitMacros(l, d, in, r)
		}
		return s.keepAsked(l, d, apply.Caller{Principal: c.Principal, Endpoint: c.Endpoint, RequestID: c.RequestID}, apply.UserInitiated)
	})
	if err != nil {
		return nil, err
	}
	return cs, nil
}

// execution is the state of a change set's execution as it is now.
func (c *changeSet) execution(st *apply.Stack) string {
	switch {
	case c.Execution != executionInProgress:
		return c.Execution
	case c.Operation == st.Last && st.Busy():
		return executionInProgress
	case st.Status == apply.CreateComplete || st.Status == apply.UpdateComplete || st.Status == apply.ImportComplete:
		return executionComplete
	}
	return executionFailed
}

func allChangeSets(tx store.Tx, st *apply.Stack) ([]*changeSet, error) {
	var all []*changeSet
	for e, err := range changeSets.Scan(tx, st.Key()+"/") {
		if err != nil {
			return nil, err
		}
		all = append(all, e.Value)
	}
	slices.SortFunc(all, func(a, b *changeSet) int { return strings.Compare(placeOfChangeSet(a), placeOfChangeSet(b)) })
	return all, nil
}

// placeOfChangeSet grows with the time of its creation.
func placeOfChangeSet(c *changeSet) string {
	return fmt.Sprintf("%020d%s", c.Created.UnixNano(), apply.UUID(c.ID))
}

func changeSetByName(tx store.Tx, st *apply.Stack, name string) (*changeSet, error) {
	all, err := allChangeSets(tx, st)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, nil
}

// obsolete ends the change sets of a stack that another operation changes, but
// for the one that is executed.
func obsolete(tx store.Tx, st *apply.Stack, executed string) error {
	all, err := allChangeSets(tx, st)
	if err != nil {
		return err
	}
	for _, c := range all {
		was := c.Execution
		c.Execution = c.execution(st)
		if c.Execution == executionAvailable && c.ID != executed {
			c.Execution = executionObsolete
		}
		if c.Execution == was {
			continue
		}
		if err := changeSets.Put(tx, c.key(st), c); err != nil {
			return err
		}
	}
	return nil
}

// purgeChangeSets removes the change sets of a stack that is being deleted.
func (s *Service) purgeChangeSets(l *apply.Ledger, st *apply.Stack) error {
	all, err := allChangeSets(l.Tx, st)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := s.deleteChangeSet(l, st, c); err != nil {
			return err
		}
	}
	return nil
}

// findChangeSet looks a change set up by its id, or by its name and its stack.
func findChangeSet(tx store.Tx, scope arn.Scope, nameOrID, stack string) (*changeSet, *apply.Stack, error) {
	missing := fault.New(fault.CFNChangeSetNotFound, "ChangeSet [%s] does not exist", nameOrID)
	if strings.HasPrefix(nameOrID, "arn:") {
		for e, err := range changeSets.ByIndex(tx, "id", nameOrID) {
			if err != nil {
				return nil, nil, err
			}
			if !strings.HasPrefix(e.Key, scope.Key()+"/") {
				continue
			}
			st, err := apply.Stacks.Get(tx, scope.Key()+"/"+apply.UUID(e.Value.StackID))
			if errors.Is(err, store.ErrNotFound) {
				break
			}
			return e.Value, st, err
		}
		return nil, nil, missing
	}
	if stack == "" {
		return nil, nil, fault.New(fault.ValidationError, "StackName must be specified if ChangeSetName is not specified as an ARN.")
	}
	st, err := must(tx, scope, stack, noStack)
	if err != nil {
		return nil, nil, err
	}
	c, err := changeSetByName(tx, st, nameOrID)
	if err == nil && c == nil {
		err = missing
	}
	return c, st, err
}

// DeleteChangeSet removes a change set that is not being executed. One that is
// not there is no error.
func (s *Service) DeleteChangeSet(ctx context.Context, in *cloudformation.DeleteChangeSetInput) (*cloudformation.DeleteChangeSetOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	return &cloudformation.DeleteChangeSetOutput{}, s.update(ctx, func(l *apply.Ledger) error {
		cs, st, err := findChangeSet(l.Tx, c.Scope, in.ChangeSetName, in.StackName)
		if fault.Is(err, fault.CFNChangeSetNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fromRoot(cs); err != nil {
			return err
		}
		if cs.execution(st) == executionInProgress {
			return fault.New(fault.CFNInvalidChangeSetStatus, "ChangeSet [%s] cannot be deleted in its current status of %s", cs.ID, cs.Status)
		}
		return s.deleteChangeSet(l, st, cs)
	})
}
