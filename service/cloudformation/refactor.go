package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxRefactored bounds the stacks of one refactoring.
const maxRefactored = 5

// createFailed is the status of refactorings that cannot be ("StackRefactorStatus").
const createFailed = "CREATE_FAILED"

// CreateStackRefactor decides what moves between stacks so that they have the given
// templates. What cannot be is told by the refactoring, as on AWS.
func (s *Service) CreateStackRefactor(ctx context.Context, in *cloudformation.CreateStackRefactorInput) (*cloudformation.CreateStackRefactorOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	mappings, err := checkRefactor(in)
	if err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, "")
	if err != nil {
		return nil, err
	}
	decided := apply.Refactor{ID: arn.NewUUID(), Scope: c.Scope, Description: in.Description, Caller: caller, Status: statusComplete, Execution: apply.RefactorAvailable}
	var templates []*wanted
	for _, d := range in.StackDefinitions {
		w, err := s.refactored(ctx, c.Scope, d, isTrue(in.EnableStackCreation))
		if _, ok := fault.As(err); ok && !fault.Is(err, fault.NotImplemented) {
			decided.Status, decided.Reason = createFailed, "Stack "+d.StackName+": "+firstLine(err)
			break
		}
		if err != nil {
			return nil, err
		}
		templates = append(templates, w)
	}
	err = s.update(ctx, func(l *apply.Ledger) error {
		made := decided // the transaction may run twice
		ref := &made
		ref.Created = l.Now
		if ref.Status == statusComplete {
			if err := s.decideRefactor(l.Tx, ref, in, templates, mappings); err != nil {
				return err
			}
		}
		if ref.Status != statusComplete {
			ref.Execution = apply.RefactorUnavailable
		}
		return apply.Refactors.Put(l.Tx, ref.Key(), ref)
	})
	return &cloudformation.CreateStackRefactorOutput{StackRefactorId: decided.ID}, err
}

func checkRefactor(in *cloudformation.CreateStackRefactorInput) (map[plan.Place]plan.Place, error) {
	if n := len(in.StackDefinitions); n < 1 || n > maxRefactored {
		return nil, fault.New(fault.ValidationError, "A stack refactoring has 1 to %d stack definitions", maxRefactored)
	}
	seen := map[string]bool{}
	for _, d := range in.StackDefinitions {
		if err := checkName("stackDefinitions.stackName", d.StackName); err != nil {
			return nil, err
		}
		if seen[d.StackName] {
			return nil, fault.New(fault.ValidationError, "Stack [%s] has two definitions", d.StackName)
		}
		seen[d.StackName] = true
	}
	mappings := map[plan.Place]plan.Place{}
	for _, m := range in.ResourceMappings {
		from := plan.Place{Stack: m.Source.StackName, LogicalID: m.Source.LogicalResourceId}
		if _, twice := mappings[from]; twice {
			return nil, fault.New(fault.ValidationError, "Two mappings have the source %s", from)
		}
		mappings[from] = plan.Place{Stack: m.Destination.StackName, LogicalID: m.Destination.LogicalResourceId}
	}
	return mappings, nil
}

// refactored reads what a stack is to become. Its parameters stay what they are.
func (s *Service) refactored(ctx context.Context, scope arn.Scope, d cloudformation.StackDefinition, makes bool) (*wanted, error) {
	var st *apply.Stack
	err := s.view(ctx, func(tx store.Tx) (err error) {
		st, err = find(tx, scope, d.StackName)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := request{source: source{Body: d.TemplateBody, URL: d.TemplateURL}, stackName: d.StackName, direct: true,
		Capabilities: []string{"CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}, requestID: arn.NewUUID()}
	if st == nil {
		if !makes {
			return nil, fault.New(fault.ValidationError, "Stack [%s] does not exist, and EnableStackCreation is not set", d.StackName)
		}
		w, err := s.want(ctx, nil, r)
		if err == nil {
			w.version.Capabilities = nil
		}
		return w, err
	}
	if err := canUpdate(st); err != nil {
		return nil, err
	}
	if st.Parent != "" {
		return nil, fault.New(fault.ValidationError, "Stack [%s] is nested: its parent changes it", d.StackName)
	}
	body, err := s.read(ctx, r.source, "")
	if err != nil {
		return nil, err
	}
	r.source = source{text: body}
	if root, _ := template.Read([]byte(body)); root != nil {
		declared, _ := template.Declared(root)
		for _, p := range st.Version.Parameters {
			if declared.Parameter(p.Key) != nil {
				r.Parameters = append(r.Parameters, cloudformation.Parameter{ParameterKey: p.Key, UsePreviousValue: new(true)})
			}
		}
	}
	w, err := s.want(ctx, st, r)
	if err != nil {
		return nil, err
	}
	old := st.Version
	w.version.Capabilities, w.version.RoleARN, w.version.Tags, w.version.Notify = old.Capabilities, old.RoleARN, old.Tags, old.Notify
	return w, nil
}

// decideRefactor fills in what a refactoring moves, or why it cannot be.
func (s *Service) decideRefactor(tx store.Tx, ref *apply.Refactor, in *cloudformation.CreateStackRefactorInput, templates []*wanted, mappings map[plan.Place]plan.Place) error {
	var stacks []plan.Refactored
	for i, d := range in.StackDefinitions {
		w := templates[i]
		st, err := find(tx, ref.Scope, d.StackName)
		if err != nil {
			return err
		}
		rs := apply.RefactorStack{Name: d.StackName, New: st == nil, Body: w.body, Given: w.original, Version: w.version, WasOn: map[string][]string{}}
		old := plan.State{}
		if st == nil {
			st = &apply.Stack{Name: d.StackName, Scope: ref.Scope, ID: ref.Scope.ARN("cloudformation", "stack/"+d.StackName+"/"+arn.NewUUID()).String()}
		} else {
			all, err := apply.ResourcesOf(tx, st)
			if err != nil {
				return err
			}
			old = state(st.Version, all, nil)
			for id, r := range all {
				rs.WasOn[id] = r.DependsOn
				if len(r.Old) > 0 || r.Dirty {
					ref.Status, ref.Reason = createFailed, fmt.Sprintf("Resource %s.%s is between two states: update stack %s first", st.Name, id, st.Name)
					return nil
				}
			}
		}
		rs.ID, rs.Count = st.ID, st.Count
		ref.Stacks = append(ref.Stacks, rs)
		stacks = append(stacks, plan.Refactored{Name: st.Name, Old: old, New: w.tmpl, Env: s.env(tx, st, &w.version)})
	}
	out, problem := plan.MakeRefactoring(s.types, stacks, mappings)
	if problem != "" {
		ref.Status, ref.Reason = createFailed, problem
		return nil
	}
	ref.Moves = out.Moves
	for i := range ref.Stacks {
		ref.Stacks[i].On = out.On[ref.Stacks[i].Name]
	}
	return nil
}

func findRefactor(tx store.Tx, scope arn.Scope, id string) (*apply.Refactor, error) {
	ref, err := apply.Refactors.Get(tx, scope.Key()+"/"+id)
	if errors.Is(err, store.ErrNotFound) || strings.Contains(id, "/") {
		return nil, fault.New(fault.CFNStackRefactorNotFound, "The stack refactor %s does not exist", id)
	}
	return ref, err
}

// refactorExecution is the state of a refactoring's execution as it is now.
func refactorExecution(tx store.Tx, ref *apply.Refactor) (string, error) {
	if ref.Execution != apply.RefactorAvailable {
		return ref.Execution, nil
	}
	current, err := ref.Current(tx)
	if err == nil && !current {
		return apply.RefactorObsolete, nil
	}
	return ref.Execution, err
}

// DescribeStackRefactor describes a refactoring.
func (s *Service) DescribeStackRefactor(ctx context.Context, in *cloudformation.DescribeStackRefactorInput) (*cloudformation.DescribeStackRefactorOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	var out *cloudformation.DescribeStackRefactorOutput
	err = s.view(ctx, func(tx store.Tx) error {
		ref, err := findRefactor(tx, c.Scope, in.StackRefactorId)
		if err != nil {
			return err
		}
		execution, err := refactorExecution(tx, ref)
		out = &cloudformation.DescribeStackRefactorOutput{
			StackRefactorId: ref.ID, Description: ref.Description, Status: ref.Status, StatusReason: ref.Reason,
			ExecutionStatus: execution, ExecutionStatusReason: ref.ExecutionReason,
		}
		for _, rs := range ref.Stacks {
			out.StackIds = append(out.StackIds, rs.ID)
		}
		return err
	})
	return out, err
}

// ExecuteStackRefactor begins the moves of a refactoring.
func (s *Service) ExecuteStackRefactor(ctx context.Context, in *cloudformation.ExecuteStackRefactorInput) (*cloudformation.ExecuteStackRefactorOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, "")
	if err != nil {
		return nil, err
	}
	return &cloudformation.ExecuteStackRefactorOutput{}, s.update(ctx, func(l *apply.Ledger) error {
		ref, err := findRefactor(l.Tx, c.Scope, in.StackRefactorId)
		if err != nil {
			return err
		}
		execution, err := refactorExecution(l.Tx, ref)
		if err != nil {
			return err
		}
		if execution != apply.RefactorAvailable {
			return fault.New(fault.ValidationError, "Stack refactor %s cannot be executed in its current execution status of [%s]", ref.ID, execution)
		}
		for _, rs := range ref.Stacks {
			if rs.New {
				continue
			}
			st, err := must(l.Tx, c.Scope, rs.ID, noStack)
			if err == nil {
				err = obsolete(l.Tx, st, "")
			}
			if err != nil {
				return err
			}
		}
		ref.Caller = caller
		return s.runner.Refactor(l, ref)
	})
}

// ListStackRefactors lists refactorings, the latest first.
func (s *Service) ListStackRefactors(ctx context.Context, in *cloudformation.ListStackRefactorsInput) (*cloudformation.ListStackRefactorsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(in.MaxResults, pageSize)
	if err != nil {
		return nil, err
	}
	place := func(r *apply.Refactor) string {
		return fmt.Sprintf("%016x%s", math.MaxInt64-r.Created.UnixNano(), r.ID)
	}
	out := &cloudformation.ListStackRefactorsOutput{StackRefactorSummaries: []cloudformation.StackRefactorSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		var all []*apply.Refactor
		for e, err := range apply.Refactors.Scan(tx, c.Scope.Key()+"/") {
			if err != nil {
				return err
			}
			if e.Value.Execution, err = refactorExecution(tx, e.Value); err != nil {
				return err
			}
			if len(in.ExecutionStatusFilter) == 0 || slices.Contains(in.ExecutionStatusFilter, e.Value.Execution) {
				all = append(all, e.Value)
			}
		}
		slices.SortFunc(all, func(a, b *apply.Refactor) int { return strings.Compare(place(a), place(b)) })
		part, next, err := pageOf(all, size, "ListStackRefactors"+strings.Join(in.ExecutionStatusFilter, ","), in.NextToken, place)
		for _, ref := range part {
			out.StackRefactorSummaries = append(out.StackRefactorSummaries, cloudformation.StackRefactorSummary{
				StackRefactorId: ref.ID, Description: ref.Description, Status: ref.Status, StatusReason: ref.Reason,
				ExecutionStatus: ref.Execution, ExecutionStatusReason: ref.ExecutionReason,
			})
		}
		out.NextToken = next
		return err
	})
	return out, err
}

// ListStackRefactorActions lists what a refactoring does.
func (s *Service) ListStackRefactorActions(ctx context.Context, in *cloudformation.ListStackRefactorActionsInput) (*cloudformation.ListStackRefactorActionsOutput, error) {
	c := auth.From(ctx)
	if _, err := s.call(ctx); err != nil {
		return nil, err
	}
	size, err := sizeOf(in.MaxResults, pageSize)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackRefactorActionsOutput{StackRefactorActions: []cloudformation.StackRefactorAction{}}
	err = s.view(ctx, func(tx store.Tx) error {
		ref, err := findRefactor(tx, c.Scope, in.StackRefactorId)
		if err != nil {
			return err
		}
		all, err := s.refactorActions(ref)
		if err != nil {
			return err
		}
		part, next, err := pageOf(all, size, ref.ID, in.NextToken, func(a refactorAction) string { return a.place })
		for _, a := range part {
			out.StackRefactorActions = append(out.StackRefactorActions, a.StackRefactorAction)
		}
		out.NextToken = next
		return err
	})
	return out, err
}

type refactorAction struct {
	cloudformation.StackRefactorAction
	place string
}

// refactorActions are what a refactoring does, in its order.
func (s *Service) refactorActions(ref *apply.Refactor) ([]refactorAction, error) {
	var all []refactorAction
	add := func(a cloudformation.StackRefactorAction) {
		all = append(all, refactorAction{a, fmt.Sprintf("%06d", len(all))})
	}
	ids := map[string]string{}
	tags := map[string]map[string]string{}
	for _, rs := range ref.Stacks {
		ids[rs.Name], tags[rs.Name] = rs.ID, rs.Version.Tags
		if rs.New {
			add(cloudformation.StackRefactorAction{Action: "CREATE", Entity: "STACK", PhysicalResourceId: rs.ID, Description: "Stack " + rs.Name + " created.", Detection: "AUTO"})
		}
	}
	for _, m := range ref.Moves {
		a := cloudformation.StackRefactorAction{
			Action: "MOVE", Entity: "RESOURCE", PhysicalResourceId: m.PhysicalID, Detection: "AUTO",
			DetectionReason: "The resource has the same logical id and type in both stacks.",
			Description:     fmt.Sprintf("Resource %s moves to %s.", m.From, m.To),
			ResourceMapping: &cloudformation.ResourceMapping{
				Source:      &cloudformation.ResourceLocation{StackName: ids[m.From.Stack], LogicalResourceId: m.From.LogicalID},
				Destination: &cloudformation.ResourceLocation{StackName: ids[m.To.Stack], LogicalResourceId: m.To.LogicalID},
			},
		}
		if m.Manual {
			a.Detection, a.DetectionReason = "MANUAL", "The resource is in ResourceMappings."
		}
		if t, _ := s.types.Provider(m.Type); t.Identify == nil && len(s.importable(m.Type)) == 1 {
			keys := s.importable(m.Type)
			b, err := json.Marshal(map[string]string{keys[0]: m.PhysicalID})
			if err != nil {
				return nil, err
			}
			a.ResourceIdentifier = string(b)
		}
		if sch, err := s.types.Schema(m.Type); err == nil && sch != nil && sch.TagProperty != "" {
			a.TagResources = describeTags(tags[m.To.Stack])
			for key := range tags[m.From.Stack] {
				if _, stays := tags[m.To.Stack][key]; !stays {
					a.UntagResources = append(a.UntagResources, key)
				}
			}
			slices.Sort(a.UntagResources)
		}
		add(a)
	}
	return all, nil
}
