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
	"github.com/slipway/slipway/cfn/template"
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

	Version    apply.Version
	Changes    []plan.Change
	WithValues []plan.Change
	// ValuesReason says why WithValues are not all there is to know.
	ValuesReason string `json:",omitempty"`
	Token        string
	// Import are the resources of the account that the change set imports.
	Import map[string]plan.Existing `json:",omitempty"`
}

// changeSets are keyed by the stack's key and the UUID of the change set's id.
var changeSets = store.NewCollection[changeSet]("cloudformation/changeset",
	store.Index[changeSet]{Name: "id", Keys: func(_ string, c *changeSet) []string { return []string{c.ID} }})

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
	st, err := s.reviewable(ctx, c.Scope, in, kind)
	if err != nil {
		return nil, err
	}
	r := request{
		source:     source{Body: in.TemplateBody, URL: in.TemplateURL, UsePrevious: isTrue(in.UsePreviousTemplate)},
		Parameters: in.Parameters, Capabilities: in.Capabilities, ResourceTypes: in.ResourceTypes,
		RoleARN: in.RoleARN, Tags: in.Tags, Notify: in.NotificationARNs, Rollback: in.RollbackConfiguration,
		stackName: stackNameOf(st, in.StackName),
	}
	previous := st
	if kind == changeSetCreate {
		previous = nil
	}
	w, err := s.want(ctx, previous, r)
	if err != nil {
		return nil, err
	}
	nested, err := s.nestedIn(ctx, previous, in, kind, w, r.stackName)
	if err != nil {
		return nil, err
	}
	decided := !w.pending && w.failure == ""
	if decided && kind == changeSetImport {
		if w.imports, err = s.targets(in.ResourcesToImport, w.tmpl); err != nil {
			return nil, err
		}
	}
	missing := ""
	if decided && (kind == changeSetImport || isTrue(in.ImportExistingResources)) {
		if missing, err = s.look(ctx, previous, in.StackName, w); err != nil {
			return nil, err
		}
	}
	var caller apply.Caller
	if w.pending {
		if caller, err = s.principal(ctx, w.version.RoleARN); err != nil {
			return nil, err
		}
	}
	var out *cloudformation.CreateChangeSetOutput
	err = s.update(ctx, func(l *apply.Ledger) error {
		cs, err := s.createChangeSet(l, c, in, w, &changeSet{Type: kind, Reason: missing}, r, caller, nested)
		if err == nil {
			out = &cloudformation.CreateChangeSetOutput{Id: cs.ID, StackId: cs.StackID}
		}
		return err
	})
	return out, err
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
	if in.DeploymentMode != "" {
		return "", fault.New(fault.NotImplemented, "DeploymentMode %s is not implemented", in.DeploymentMode)
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
	case imports && isTrue(in.ImportExistingResources):
		err = fault.New(fault.ValidationError, "ImportExistingResources cannot be specified for change sets of type IMPORT.")
	case imports && in.OnStackFailure != "":
		err = fault.New(fault.ValidationError, "OnStackFailure cannot be specified for change sets of type IMPORT.")
	case kind != changeSetUpdate && !strings.HasPrefix(in.StackName, "arn:"):
		err = checkName("stackName", in.StackName)
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

func (s *Service) createChangeSet(l *apply.Ledger, c auth.Call, in *cloudformation.CreateChangeSetInput, w *wanted, cs *changeSet, r request, caller apply.Caller, nested []nestedSet) (*changeSet, error) {
	st, err := find(l.Tx, c.Scope, in.StackName)
	if err != nil {
		return nil, err
	}
	if err := checkReviewable(st, in, cs.Type); err != nil {
		return nil, err
	}
	if st == nil {
		if st, err = claim(l, c, in.StackName); err != nil {
			return nil, err
		}
		if err := l.Stack(st, apply.ReviewInProgress, apply.UserInitiated); err != nil {
			return nil, err
		}
	}
	old, err := changeSetByName(l.Tx, st, in.ChangeSetName)
	if err != nil {
		return nil, err
	}
	if old != nil {
		execution := old.execution(st)
		switch {
		case in.ClientToken != "" && old.Token == in.ClientToken:
			return old, nil
		case execution == executionAvailable || execution == executionInProgress || old.Status != statusComplete:
			return nil, fault.New(fault.CFNAlreadyExists, "ChangeSet %s already exists", in.ChangeSetName)
		}
		if err := s.deleteChangeSet(l, st, old); err != nil {
			return nil, err
		}
	}
	cs.ID = c.Scope.ARN("cloudformation", "changeSet/"+in.ChangeSetName+"/"+arn.NewUUID()).String()
	cs.Name, cs.StackID, cs.StackName, cs.Description = in.ChangeSetName, st.ID, st.Name, in.Description
	cs.Created, cs.OnFailure, cs.Token = l.Now, in.OnStackFailure, in.ClientToken
	cs.Nested, cs.Import = isTrue(in.IncludeNestedStacks), w.imports
	switch {
	case w.pending:
		err = s.awaitMacros(l, st, cs, in, w, caller, r)
	case w.failure != "":
		cs.Status, cs.Execution, cs.Reason = statusFailed, executionUnavailable, w.failure
		if err = w.keep(l.Tx, st); err == nil {
			cs.Version = w.version
		}
	default:
		if err = s.decide(l, st, cs, w); err == nil && cs.Status == statusComplete {
			err = s.nestSets(l, c.Scope, st, cs, nested)
		}
	}
	if err != nil {
		return nil, err
	}
	return cs, changeSets.Put(l.Tx, cs.key(st), cs)
}

// decide fills in what a change set would change. One that has a reason already is
// one that fails.
func (s *Service) decide(l *apply.Ledger, st *apply.Stack, cs *changeSet, w *wanted) error {
	in, err := s.input(l.Tx, st, w)
	if err != nil {
		return err
	}
	decided := plan.Make
	if cs.Type == changeSetImport {
		decided = plan.MakeImport
	}
	p, err := s.plan(in, decided)
	if err != nil {
		return err
	}
	if err := unowned(l.Tx, st, p); err != nil {
		return err
	}
	changed := cs.Type != changeSetUpdate
	if !changed {
		if changed, err = changesAnything(l.Tx, st, in, p); err != nil {
			return err
		}
	}
	cs.certain = len(p.Cleanup)
	for i := range p.Steps {
		if step := &p.Steps[i]; step.Action != plan.Keep && (step.Action != plan.Check || len(step.Changed) > 0) {
			cs.certain++
		}
	}
	if p.Outputs || !sameTags(st.Version.Tags, in.Tags) {
		cs.certain++
	}
	switch {
	case !changed:
		cs.Reason = noChanges
	case cs.Type != changeSetImport:
		cs.Reason = unretained(w.tmpl, w.imports)
	}
	cs.Status, cs.Execution = statusComplete, executionAvailable
	if cs.Reason != "" {
		cs.Status, cs.Execution = statusFailed, executionUnavailable
	} else if cs.Type == changeSetImport {
		cs.Reason = verifyImport
	}
	var problems template.Problems
	if cs.Changes, problems = plan.Changes(in, false); len(problems) > 0 {
		return problems.Err()
	}
	if cs.WithValues, problems = plan.Changes(in, true); len(problems) > 0 {
		return problems.Err()
	}
	if cs.ValuesReason, err = unknownImport(l.Tx, st, in); err != nil {
		return err
	}
	if err := w.keep(l.Tx, st); err != nil {
		return err
	}
	cs.Version = w.version
	return nil
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
