package cloudformation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource/cloudformation"
)

// sets is a CloudFormation that notes what is asked of one stack set. Its
// operations end at once, and fail in the account 9.
type sets struct {
	api.Unimplemented
	set *api.StackSet
	ops map[string]string // by id: the status
	log []string
}

func (s *sets) CreateStackSet(_ context.Context, in *api.CreateStackSetInput) (*api.CreateStackSetOutput, error) {
	s.set = &api.StackSet{
		StackSetName: in.StackSetName, StackSetId: in.StackSetName + ":1", Status: "ACTIVE", TemplateBody: in.TemplateBody,
		PermissionModel: in.PermissionModel, Parameters: in.Parameters, Tags: in.Tags, ExecutionRoleName: in.ExecutionRoleName,
	}
	s.log = append(s.log, "create")
	return &api.CreateStackSetOutput{StackSetId: s.set.StackSetId}, nil
}

func (s *sets) operate(what, id string, accounts, regions []string) {
	status := "SUCCEEDED"
	if slices.Contains(accounts, "999999999999") {
		status = "FAILED"
	}
	if _, again := s.ops[id]; !again {
		s.log = append(s.log, strings.TrimSpace(fmt.Sprintf("%s %s %s", what, strings.Join(accounts, ","), strings.Join(regions, ","))))
	}
	s.ops[id] = status
}

func (s *sets) CreateStackInstances(_ context.Context, in *api.CreateStackInstancesInput) (*api.CreateStackInstancesOutput, error) {
	s.operate("deploy", in.OperationId, in.DeploymentTargets.Accounts, in.Regions)
	return &api.CreateStackInstancesOutput{OperationId: in.OperationId}, nil
}

func (s *sets) DeleteStackInstances(_ context.Context, in *api.DeleteStackInstancesInput) (*api.DeleteStackInstancesOutput, error) {
	s.operate("withdraw", in.OperationId, in.DeploymentTargets.Accounts, in.Regions)
	return &api.DeleteStackInstancesOutput{OperationId: in.OperationId}, nil
}

func (s *sets) UpdateStackSet(_ context.Context, in *api.UpdateStackSetInput) (*api.UpdateStackSetOutput, error) {
	s.set.TemplateBody = in.TemplateBody
	s.operate("update", in.OperationId, nil, nil)
	return &api.UpdateStackSetOutput{OperationId: in.OperationId}, nil
}

func (s *sets) DescribeStackSetOperation(_ context.Context, in *api.DescribeStackSetOperationInput) (*api.DescribeStackSetOperationOutput, error) {
	return &api.DescribeStackSetOperationOutput{StackSetOperation: &api.StackSetOperation{Status: s.ops[in.OperationId]}}, nil
}

func (s *sets) ListStackSetOperationResults(context.Context, *api.ListStackSetOperationResultsInput) (*api.ListStackSetOperationResultsOutput, error) {
	return &api.ListStackSetOperationResultsOutput{Summaries: []api.StackSetOperationResultSummary{{Account: "999999999999", Region: "us-east-1", StatusReason: "why"}}}, nil
}

func (s *sets) DescribeStackSet(context.Context, *api.DescribeStackSetInput) (*api.DescribeStackSetOutput, error) {
	if s.set == nil {
		return nil, fault.New(fault.CFNStackSetNotFound, "StackSet not found")
	}
	return &api.DescribeStackSetOutput{StackSet: s.set}, nil
}

func (s *sets) DeleteStackSet(context.Context, *api.DeleteStackSetInput) (*api.DeleteStackSetOutput, error) {
	s.set, s.log = nil, append(s.log, "delete")
	return &api.DeleteStackSetOutput{}, nil
}

func group(accounts, regions []any, overrides ...any) any {
	g := map[string]any{"DeploymentTargets": map[string]any{"Accounts": accounts}, "Regions": regions}
	if len(overrides) > 0 {
		g["ParameterOverrides"] = overrides
	}
	return g
}

func TestStackSet(t *testing.T) {
	s := &sets{ops: map[string]string{}}
	var r cfn.Registry
	r.Add(cloudformation.Types(nil, s)...)
	typ, _ := r.Lookup("AWS::CloudFormation::StackSet")
	request := func(token string, p, prior cfn.Properties) cfn.Request {
		return cfn.Request{Token: token, PhysicalID: "s:1", Properties: p, Prior: prior, Initiated: func(string) {}, Tags: map[string]string{"team": "web", "aws:cloudformation:stack-name": "x"}}
	}
	props := cfn.Properties{
		"StackSetName": "s", "PermissionModel": "SELF_MANAGED", "TemplateBody": "one", "ExecutionRoleName": "role",
		"StackInstancesGroup": []any{group([]any{"1", "2"}, []any{"us", "eu"})},
	}
	made, err := typ.Create(t.Context(), request("c", props, nil))
	if err != nil || made.PhysicalID != "s:1" {
		t.Fatal(made, err)
	}
	got, err := typ.Read(t.Context(), request("", props, nil))
	want := cfn.Properties{
		"StackSetName": "s", "PermissionModel": "SELF_MANAGED", "TemplateBody": "one", "ExecutionRoleName": "role", "StackSetId": "s:1",
		"Tags": []any{map[string]any{"Key": "team", "Value": "web"}},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("read (-want +got): %v\n%s", err, d)
	}
	// Account 1 leaves eu, 2 stays, 3 comes: what stays is not touched.
	after := cfn.Properties{
		"StackSetName": "s", "PermissionModel": "SELF_MANAGED", "TemplateBody": "two", "ExecutionRoleName": "role",
		"StackInstancesGroup": []any{group([]any{"1"}, []any{"us"}), group([]any{"2", "3"}, []any{"us", "eu"})},
	}
	for range 2 { // the second is the step repeated after a crash
		if _, err := typ.Update(t.Context(), request("u", after, props)); err != nil {
			t.Fatal(err)
		}
	}
	if err := typ.Delete(t.Context(), request("d", after, nil)); err != nil {
		t.Fatal(err)
	}
	if err := typ.Delete(t.Context(), request("d", after, nil)); err != nil {
		t.Errorf("deleted again: %v", err)
	}
	log := "create\ndeploy 1,2 us,eu\nupdate\nwithdraw 1 eu\ndeploy 3 us,eu\nwithdraw 1 us\nwithdraw 2,3 us,eu\ndelete"
	if d := cmp.Diff(log, strings.Join(s.log, "\n")); d != "" {
		t.Errorf("what was asked (-want +got):\n%s", d)
	}
	props["StackInstancesGroup"] = []any{group([]any{"999999999999"}, []any{"us"})}
	left, err := typ.Create(t.Context(), request("f", props, nil))
	if !fault.Is(err, fault.CFNInvalidOperation) || !strings.Contains(err.Error(), "Account 999999999999, region us-east-1: why") || left.PhysicalID == "" {
		t.Errorf("a deployment that fails: %+v, %v", left, err)
	}
}
