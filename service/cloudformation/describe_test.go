package cloudformation_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
)

func TestListsInPages(t *testing.T) {
	w := newWorld(t, nil)
	var want []string
	for i := range 120 {
		name := fmt.Sprintf("review%d", i)
		w.changeSet("cs", "CREATE", name, chain)
		want = append(want, name)
	}
	slices.Reverse(want)
	var got []string
	pages, token := 0, ""
	for {
		out, err := w.ListStacks(w.ctx, &api.ListStacksInput{NextToken: token, StackStatusFilter: []string{"REVIEW_IN_PROGRESS"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.StackSummaries {
			got = append(got, s.StackName)
		}
		pages++
		if token = out.NextToken; token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 2 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	first, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{})
	if err != nil || len(first.Stacks) != 100 || first.NextToken == "" {
		t.Errorf("DescribeStacks: %v, %d stacks", err, len(first.Stacks))
	}
	_, err = w.ListStacks(w.ctx, &api.ListStacksInput{NextToken: first.NextToken})
	refused(t, err, fault.ValidationError, "NextToken")
	_, err = w.ListStacks(w.ctx, &api.ListStacksInput{NextToken: "!"})
	refused(t, err, fault.ValidationError, "NextToken")
	out, err := w.ListStacks(w.ctx, &api.ListStacksInput{StackStatusFilter: []string{"CREATE_COMPLETE"}})
	if err != nil || len(out.StackSummaries) != 0 {
		t.Errorf("ListStacks with a filter: %v %+v", err, out)
	}
}

func TestDescribeResources(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("wide", wide(120, 1))
	w.settle("wide", "CREATE_COMPLETE")
	all := map[string]string{}
	token := ""
	for {
		out, err := w.ListStackResources(w.ctx, &api.ListStackResourcesInput{StackName: "wide", NextToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.StackResourceSummaries {
			all[r.LogicalResourceId] = r.PhysicalResourceId
		}
		if token = out.NextToken; token == "" {
			break
		}
	}
	if len(all) != 120 {
		t.Errorf("%d resources", len(all))
	}
	some, err := w.DescribeStackResources(w.ctx, &api.DescribeStackResourcesInput{StackName: "wide"})
	if err != nil || len(some.StackResources) != 100 {
		t.Errorf("DescribeStackResources: %v", err)
	}
	one, err := w.DescribeStackResources(w.ctx, &api.DescribeStackResourcesInput{PhysicalResourceId: all["R7"], LogicalResourceId: "R7"})
	if err != nil || len(one.StackResources) != 1 || one.StackResources[0].StackId != id || one.StackResources[0].ResourceStatus != "CREATE_COMPLETE" {
		t.Errorf("by physical id: %v %+v", err, one)
	}
	_, err = w.DescribeStackResources(w.ctx, &api.DescribeStackResourcesInput{PhysicalResourceId: "nothing"})
	refused(t, err, fault.ValidationError, "Stack for nothing does not exist")
	_, err = w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: "wide", LogicalResourceId: "Z"})
	refused(t, err, fault.ValidationError, "Resource Z does not exist for stack wide")
	_, err = w.ListStackResources(w.ctx, &api.ListStackResourcesInput{StackName: "none"})
	refused(t, err, fault.ValidationError, "Stack with id none does not exist")
	_, err = w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "none"})
	refused(t, err, fault.ValidationError, "Stack [none] does not exist")
	if n := len(w.events("wide")); n != 2+3*120 {
		t.Errorf("%d events over the pages", n)
	}
}

func TestGetTemplate(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", chain)
	w.settle("s", "CREATE_COMPLETE")
	cs := w.changeSet("cs", "UPDATE", "s", pair)
	for _, c := range []struct {
		in   api.GetTemplateInput
		want string
	}{
		{api.GetTemplateInput{StackName: "s"}, chain},
		{api.GetTemplateInput{StackName: "s", TemplateStage: "Processed"}, chain},
		{api.GetTemplateInput{ChangeSetName: cs.Id}, pair},
	} {
		out, err := w.GetTemplate(w.ctx, &c.in)
		if err != nil || out.TemplateBody != c.want || !slices.Equal(out.StagesAvailable, []string{"Original", "Processed"}) {
			t.Errorf("GetTemplate %+v: %v %+v", c.in, err, out)
		}
	}
	_, err := w.GetTemplate(w.ctx, &api.GetTemplateInput{StackName: "does-not-exist"})
	refused(t, err, fault.ValidationError, "Stack with id does-not-exist does not exist")
	_, err = w.GetTemplate(w.ctx, &api.GetTemplateInput{ChangeSetName: "arn:aws:cloudformation:us-east-1:111111111111:changeSet/x/y"})
	refused(t, err, fault.CFNChangeSetNotFound, "does not exist")
}

func TestTemplateSummary(t *testing.T) {
	w := newWorld(t, nil)
	body := `
AWSTemplateFormatVersion: '2010-09-09'
Description: a pair
Metadata: {Note: x}
Parameters:
  Word: {Type: String, Default: hello, Description: said, AllowedValues: [hello, bye]}
  Secret: {Type: String, NoEcho: true, Default: s}
Resources:
  A: {Type: 'AWS::Test::Thing'}
  B: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref Word}}
`
	yes, no := true, false
	got, err := w.GetTemplateSummary(w.ctx, &api.GetTemplateSummaryInput{TemplateBody: body})
	want := &api.GetTemplateSummaryOutput{
		Description: "a pair", Version: "2010-09-09", Metadata: `{"Note":"x"}`, ResourceTypes: []string{"AWS::Test::Thing"},
		Parameters: []api.ParameterDeclaration{
			{ParameterKey: "Word", ParameterType: "String", DefaultValue: "hello", Description: "said", NoEcho: &no,
				ParameterConstraints: &api.ParameterConstraints{AllowedValues: []string{"hello", "bye"}}},
			{ParameterKey: "Secret", ParameterType: "String", DefaultValue: "****", NoEcho: &yes, ParameterConstraints: &api.ParameterConstraints{}},
		},
		ResourceIdentifierSummaries: []api.ResourceIdentifierSummary{{ResourceType: "AWS::Test::Thing", LogicalResourceIds: []string{"A", "B"}, ResourceIdentifiers: []string{"Arn"}}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	_, err = w.ValidateTemplate(w.ctx, &api.ValidateTemplateInput{TemplateBody: `{"Resources": {"A": }}`})
	refused(t, err, fault.ValidationError, "Template format error: JSON not well-formed.")
	_, err = w.GetTemplateSummary(w.ctx, &api.GetTemplateSummaryInput{TemplateBody: body, CallAs: "DELEGATED_ADMIN"})
	refused(t, err, fault.NotImplemented, "CallAs")
	_, err = w.GetTemplateSummary(w.ctx, &api.GetTemplateSummaryInput{TemplateBody: `{"Parameters": {}}`})
	refused(t, err, fault.ValidationError, "Template format error: At least one Resources member must be defined.")
}

func TestDescribeEvents(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", failing)
	w.settle("s", "ROLLBACK_COMPLETE")
	out, err := w.DescribeEvents(w.ctx, &api.DescribeEventsInput{StackName: "s", Filters: &api.EventFilter{FailedEvents: yes()}})
	if err != nil || len(out.OperationEvents) != 1 || out.OperationEvents[0].LogicalResourceId != "B" {
		t.Fatalf("DescribeEvents: %v %+v", err, out)
	}
	op := out.OperationEvents[0].OperationId
	of, err := w.DescribeEvents(w.ctx, &api.DescribeEventsInput{StackName: "s", OperationId: op})
	if err != nil || len(of.OperationEvents) != len(w.events("s")) {
		t.Errorf("of the operation: %v, %d events", err, len(of.OperationEvents))
	}
}

func TestDeletedStacksAreNotCounted(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("a", chain)
	w.settle("a", "CREATE_COMPLETE")
	w.create("b", chain)
	w.settle("b", "CREATE_COMPLETE")
	w.drop("a")
	w.settle(id, "DELETE_COMPLETE")
	err := w.store.View(w.ctx, func(tx store.Tx) error {
		n, err := cloudformation.CountStacks(tx)
		if n != 1 {
			t.Errorf("%d stacks are counted, want 1", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
