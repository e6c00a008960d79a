package cloudformation

import (
	"context"
	"fmt"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/store"
)

// DescribeChangeSet tells what a change set would change.
func (s *Service) DescribeChangeSet(ctx context.Context, in *cloudformation.DescribeChangeSetInput) (*cloudformation.DescribeChangeSetOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	var out *cloudformation.DescribeChangeSetOutput
	err = s.view(ctx, func(tx store.Tx) error {
		cs, st, err := findChangeSet(tx, c.Scope, in.ChangeSetName, in.StackName)
		if err != nil {
			return err
		}
		if err := cs.load(tx, st); err != nil {
			return err
		}
		changes := cs.Changes
		out = describeChangeSet(cs, st)
		if isTrue(in.IncludePropertyValues) {
			changes = cs.WithValues
			if out.StatusReason == "" {
				out.StatusReason = cs.ValuesReason
			}
		}
		from := 0
		if in.NextToken != "" {
			place, err := openToken(cs.ID, in.NextToken)
			if err != nil {
				return err
			}
			if _, err := fmt.Sscanf(place, "%d", &from); err != nil || from < 0 || from > len(changes) {
				return badToken(in.NextToken)
			}
		}
		to := min(from+pageSize, len(changes))
		if to < len(changes) {
			out.NextToken = makeToken(cs.ID, fmt.Sprint(to))
		}
		for _, ch := range changes[from:to] {
			change := describeChange(ch)
			change.ResourceChange.ModuleInfo = moduleInfo(ch.LogicalResourceID, &cs.Version, &st.Version)
			out.Changes = append(out.Changes, change)
		}
		return nil
	})
	return out, err
}

func describeChangeSet(cs *changeSet, st *apply.Stack) *cloudformation.DescribeChangeSetOutput {
	out := &cloudformation.DescribeChangeSetOutput{
		ChangeSetName: cs.Name, ChangeSetId: cs.ID, StackId: cs.StackID, StackName: cs.StackName,
		Description: cs.Description, Parameters: describeParameters(cs.Version.Parameters),
		CreationTime: &cs.Created, ExecutionStatus: cs.execution(st), Status: cs.Status, StatusReason: cs.Reason,
		NotificationARNs: append([]string{}, cs.Version.Notify...), RollbackConfiguration: describeRollback(cs.Version.Rollback),
		Capabilities: cs.Version.Capabilities, Changes: []cloudformation.Change{},
		IncludeNestedStacks: &cs.Nested, ParentChangeSetId: cs.ParentID, RootChangeSetId: cs.RootID, OnStackFailure: cs.OnFailure,
		DeploymentMode: cs.Mode, StackDriftStatus: cs.Drift,
	}
	if out.Capabilities == nil {
		out.Capabilities = []string{}
	}
	if len(cs.Version.Tags) > 0 {
		out.Tags = describeTags(cs.Version.Tags)
	}
	return out
}

func describeChange(ch plan.Change) cloudformation.Change {
	rc := &cloudformation.ResourceChange{
		Action: ch.Action, LogicalResourceId: ch.LogicalResourceID, PhysicalResourceId: ch.PhysicalResourceID,
		ResourceType: ch.ResourceType, ChangeSetId: ch.ChangeSetID, Replacement: ch.Replacement, PolicyAction: ch.PolicyAction,
		Scope: ch.Scope, BeforeContext: ch.BeforeContext, AfterContext: ch.AfterContext,
		ResourceDriftStatus: ch.DriftStatus, ResourceDriftIgnoredAttributes: describeIgnored(ch.Ignored), PreviousDeploymentContext: ch.PreviousContext,
		Details: []cloudformation.ResourceChangeDetail{},
	}
	if rc.Scope == nil {
		rc.Scope = []string{}
	}
	for _, d := range ch.Details {
		rc.Details = append(rc.Details, cloudformation.ResourceChangeDetail{
			Evaluation: d.Evaluation, ChangeSource: d.ChangeSource, CausingEntity: d.CausingEntity,
			Target: &cloudformation.ResourceTargetDefinition{
				Attribute: d.Target.Attribute, Name: d.Target.Name, RequiresRecreation: d.Target.RequiresRecreation,
				Path: d.Target.Path, BeforeValue: d.Target.BeforeValue, AfterValue: d.Target.AfterValue,
				AttributeChangeType: d.Target.AttributeChangeType,
				BeforeValueFrom:     d.Target.BeforeFrom, AfterValueFrom: d.Target.AfterFrom, Drift: describeLive(d.Target.Drift),
			},
		})
	}
	return cloudformation.Change{Type: "Resource", ResourceChange: rc}
}

// ListChangeSets lists the change sets of a stack.
func (s *Service) ListChangeSets(ctx context.Context, in *cloudformation.ListChangeSetsInput) (*cloudformation.ListChangeSetsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListChangeSetsOutput{Summaries: []cloudformation.ChangeSetSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		st, err := must(tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		all, err := allChangeSets(tx, st)
		if err != nil {
			return err
		}
		part, next, err := page(all, st.ID, in.NextToken, placeOfChangeSet)
		for _, cs := range part {
			out.Summaries = append(out.Summaries, cloudformation.ChangeSetSummary{
				StackId: cs.StackID, StackName: cs.StackName, ChangeSetId: cs.ID, ChangeSetName: cs.Name,
				ExecutionStatus: cs.execution(st), Status: cs.Status, StatusReason: cs.Reason,
				CreationTime: &cs.Created, Description: cs.Description, IncludeNestedStacks: &cs.Nested,
				ParentChangeSetId: cs.ParentID, RootChangeSetId: cs.RootID,
			})
		}
		out.NextToken = next
		return err
	})
	return out, err
}
