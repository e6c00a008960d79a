package cloudformation

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/store"
)

// listed is how long a deleted stack is listed ("ListStacks").
const listed = 90 * 24 * time.Hour

// masked stands for the value of a NoEcho parameter.
const masked = "****"

// DescribeStacks describes one stack, or all that are not deleted.
func (s *Service) DescribeStacks(ctx context.Context, in *cloudformation.DescribeStacksInput) (*cloudformation.DescribeStacksOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStacksOutput{}
	err = s.view(ctx, func(tx store.Tx) error {
		if in.StackName != "" {
			st, err := must(tx, c.Scope, in.StackName, noStackWithID)
			if err == nil {
				out.Stacks, err = describeAll(tx, []*apply.Stack{st})
			}
			return err
		}
		all, err := newestFirst(tx, c.Scope, func(st *apply.Stack) bool { return st.Status != apply.DeleteComplete })
		if err != nil {
			return err
		}
		part, next, err := page(all, "DescribeStacks", in.NextToken, placeOfStack)
		out.NextToken = next
		if err == nil {
			out.Stacks, err = describeAll(tx, part)
		}
		return err
	})
	return out, err
}

// ListStacks lists stacks, deleted ones for 90 days included.
func (s *Service) ListStacks(ctx context.Context, in *cloudformation.ListStacksInput) (*cloudformation.ListStacksOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStacksOutput{StackSummaries: []cloudformation.StackSummary{}}
	now := s.cfg.Now()
	err = s.view(ctx, func(tx store.Tx) error {
		all, err := newestFirst(tx, c.Scope, func(st *apply.Stack) bool {
			if st.Deleted != nil && st.Status == apply.DeleteComplete && now.Sub(*st.Deleted) > listed {
				return false
			}
			return len(in.StackStatusFilter) == 0 || slices.Contains(in.StackStatusFilter, st.Status)
		})
		if err != nil {
			return err
		}
		part, next, err := page(all, "ListStacks"+strings.Join(in.StackStatusFilter, ","), in.NextToken, placeOfStack)
		for _, st := range part {
			root, err := rootOf(tx, st)
			if err != nil {
				return err
			}
			out.StackSummaries = append(out.StackSummaries, cloudformation.StackSummary{
				StackId: st.ID, StackName: st.Name, TemplateDescription: st.Version.Description,
				CreationTime: &st.Created, LastUpdatedTime: st.Updated, DeletionTime: st.Deleted,
				StackStatus: st.Status, StackStatusReason: st.Reason,
				DriftInformation: (*cloudformation.StackDriftInformationSummary)(stackDrift(st)),
				ParentId:         st.Parent, RootId: root,
			})
		}
		out.NextToken = next
		return err
	})
	return out, err
}

// CountStacks counts those that are not deleted, of all accounts.
func CountStacks(tx store.Tx) (int, error) {
	n := 0
	for e, err := range apply.Stacks.Scan(tx, "") {
		if err != nil {
			return 0, err
		}
		if e.Value.Status != apply.DeleteComplete {
			n++
		}
	}
	return n, nil
}

func newestFirst(tx store.Tx, scope arn.Scope, keep func(*apply.Stack) bool) ([]*apply.Stack, error) {
	var all []*apply.Stack
	for e, err := range apply.Stacks.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return nil, err
		}
		if keep(e.Value) {
			all = append(all, e.Value)
		}
	}
	slices.SortFunc(all, func(a, b *apply.Stack) int { return strings.Compare(placeOfStack(a), placeOfStack(b)) })
	return all, nil
}

// placeOfStack grows as stacks get older.
func placeOfStack(st *apply.Stack) string {
	return fmt.Sprintf("%016x%s", math.MaxInt64-st.Created.UnixNano(), apply.UUID(st.ID))
}

func describeStack(st *apply.Stack) cloudformation.Stack {
	out := cloudformation.Stack{
		StackId: st.ID, StackName: st.Name, ChangeSetId: st.ChangeSetID, Description: st.Version.Description,
		Parameters: describeParameters(st.Version.Parameters), CreationTime: &st.Created,
		LastUpdatedTime: st.Updated, DeletionTime: st.Deleted,
		RollbackConfiguration: describeRollback(st.Version.Rollback),
		StackStatus:           st.Status, StackStatusReason: st.Reason,
		DisableRollback:  &st.DisableRollback,
		NotificationARNs: append([]string{}, st.Version.Notify...), Capabilities: st.Version.Capabilities,
		RoleARN: st.Version.RoleARN, Tags: describeTags(st.Version.Tags),
		DriftInformation: stackDrift(st), DeletionMode: st.DeletionMode,
	}
	if st.Status == apply.RollbackComplete {
		out.ChangeSetId = "" // what it would have made is not there
	}
	if st.TimeoutMinutes > 0 {
		out.TimeoutInMinutes = &st.TimeoutMinutes
	}
	if st.RetainExceptOnCreate {
		out.RetainExceptOnCreate = &st.RetainExceptOnCreate
	}
	if st.Status != apply.DeleteComplete {
		out.EnableTerminationProtection = &st.TerminationProtection
	}
	switch st.LastKind {
	case apply.CreateStack, apply.UpdateStack, apply.DeleteStack, apply.Continue:
		out.LastOperations = []cloudformation.OperationEntry{{OperationId: operationID(st.Last), OperationType: string(st.LastKind)}}
	}
	for _, o := range st.Version.Outputs {
		out.Outputs = append(out.Outputs, cloudformation.Output{OutputKey: o.Key, OutputValue: o.Value, Description: o.Description, ExportName: o.Export})
	}
	return out
}

func describeParameters(in []apply.Parameter) []cloudformation.Parameter {
	var out []cloudformation.Parameter
	for _, p := range in {
		d := cloudformation.Parameter{ParameterKey: p.Key, ParameterValue: p.Value, ResolvedValue: p.Resolved}
		if p.NoEcho {
			d.ParameterValue = masked
			if p.Resolved != "" {
				d.ResolvedValue = masked
			}
		}
		out = append(out, d)
	}
	return out
}

func describeTags(tags map[string]string) []cloudformation.Tag {
	out := []cloudformation.Tag{}
	for k, v := range tags {
		out = append(out, cloudformation.Tag{Key: k, Value: v})
	}
	slices.SortFunc(out, func(a, b cloudformation.Tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}
