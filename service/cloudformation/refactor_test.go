package cloudformation_test

import (
	"context"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

func definition(name, body string) api.StackDefinition {
	return api.StackDefinition{StackName: name, TemplateBody: body}
}

func mapping(from, to string) api.ResourceMapping {
	at := func(s string) *api.ResourceLocation {
		stack, id, _ := strings.Cut(s, ".")
		return &api.ResourceLocation{StackName: stack, LogicalResourceId: id}
	}
	return api.ResourceMapping{Source: at(from), Destination: at(to)}
}

func (w *world) refactor(in *api.CreateStackRefactorInput) *api.DescribeStackRefactorOutput {
	w.t.Helper()
	made, err := w.CreateStackRefactor(w.ctx, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.describeRefactor(made.StackRefactorId)
}

func (w *world) describeRefactor(id string) *api.DescribeStackRefactorOutput {
	w.t.Helper()
	out, err := w.DescribeStackRefactor(w.ctx, &api.DescribeStackRefactorInput{StackRefactorId: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// refactored executes a refactoring and gives the state in which it ends.
func (w *world) refactored(r *api.DescribeStackRefactorOutput) *api.DescribeStackRefactorOutput {
	w.t.Helper()
	if r.Status != "CREATE_COMPLETE" || r.ExecutionStatus != "AVAILABLE" {
		w.t.Fatalf("the refactoring is %s (%s)", r.Status, r.StatusReason)
	}
	if _, err := w.ExecuteStackRefactor(w.ctx, &api.ExecuteStackRefactorInput{StackRefactorId: r.StackRefactorId}); err != nil {
		w.t.Fatal(err)
	}
	w.ends(func() string { return w.describeRefactor(r.StackRefactorId).ExecutionStatus })
	return w.describeRefactor(r.StackRefactorId)
}

// logical are a stack's resources: "logical physical".
func (w *world) logical(stack string) string {
	w.t.Helper()
	out, err := w.DescribeStackResources(w.ctx, &api.DescribeStackResourcesInput{StackName: stack})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, r := range out.StackResources {
		all = append(all, r.LogicalResourceId+" "+r.PhysicalResourceId)
	}
	return strings.Join(all, ", ")
}

const (
	boxAndLid = `Resources:
  Box: {Type: AWS::Test::Thing, Properties: {Name: box}}
  Lid: {Type: AWS::Test::Named, Properties: {Name: lid, Value: !GetAtt Box.Arn}}
`
	boxOnly = `Resources:
  Box: {Type: AWS::Test::Thing, Properties: {Name: box}}
Outputs: {Arn: {Value: !GetAtt Box.Arn, Export: {Name: box-arn}}}
`
	lidOnly = `Resources:
  Cover: {Type: AWS::Test::Named, Properties: {Name: lid, Value: !ImportValue box-arn}}
`
)

// Resources move into a new stack, under another name, with an export between the
// stacks; and back again. Nothing of them is touched but their tags.
func TestRefactor(t *testing.T) {
	w := newWorld(t, nil)
	w.create("a", boxAndLid, func(in *api.CreateStackInput) { in.Tags = []api.Tag{{Key: "team", Value: "web"}} })
	w.settle("a", "CREATE_COMPLETE")
	calls := len(w.cloud.calls())
	in := &api.CreateStackRefactorInput{
		Description: "apart", EnableStackCreation: yes(), ResourceMappings: []api.ResourceMapping{mapping("a.Lid", "b.Cover")},
		StackDefinitions: []api.StackDefinition{definition("b", lidOnly), definition("a", boxOnly)},
	}
	r := w.refactor(in)
	actions, err := w.ListStackRefactorActions(w.ctx, &api.ListStackRefactorActionsInput{StackRefactorId: r.StackRefactorId})
	if err != nil || len(actions.StackRefactorActions) != 2 || actions.StackRefactorActions[0].Action != "CREATE" ||
		actions.StackRefactorActions[1].Detection != "MANUAL" || actions.StackRefactorActions[1].ResourceIdentifier != `{"Name":"lid"}` {
		t.Errorf("%+v %v", actions, err)
	}
	if done := w.refactored(r); done.ExecutionStatus != "EXECUTE_COMPLETE" {
		t.Fatalf("%+v", done)
	}
	w.settle("a", "UPDATE_COMPLETE")
	w.settle("b", "CREATE_COMPLETE")
	if a, b := w.logical("a"), w.logical("b"); a != "Box box" || b != "Cover lid" {
		t.Errorf("a has %s, b has %s", a, b)
	}
	if got := len(w.cloud.calls()); got != calls {
		t.Errorf("the resources were touched: %v", w.cloud.calls()[calls:])
	}
	if got := strings.Join(w.events("a"), "\n"); !strings.Contains(got, "Lid EXPORT_IN_PROGRESS\nLid EXPORT_COMPLETE\n(stack) UPDATE_COMPLETE") {
		t.Error(got)
	}
	if got := strings.Join(w.events("b"), "\n"); got != "(stack) CREATE_IN_PROGRESS User Initiated\nCover IMPORT_IN_PROGRESS\nCover IMPORT_COMPLETE\n(stack) CREATE_COMPLETE" {
		t.Error(got)
	}
	if _, err := w.DeleteStack(w.ctx, &api.DeleteStackInput{StackName: "a"}); err != nil {
		t.Fatal(err) // the event says why it is not deleted
	}
	if st := w.stack("a"); st.StackStatus != "UPDATE_COMPLETE" {
		t.Errorf("a stack whose export is used is %s", st.StackStatus)
	}
	w.updateTo("b", strings.Replace(lidOnly, "Name: lid,", "Name: lid2,", 1))
	w.settle("b", "UPDATE_COMPLETE")
	w.updateTo("b", lidOnly)
	w.settle("b", "UPDATE_COMPLETE")
	again := w.describeRefactor(r.StackRefactorId)
	if again.ExecutionStatus != "EXECUTE_COMPLETE" {
		t.Errorf("%+v", again)
	}
}

// A box with tags moves between stacks that are there; nobody has to say where.
func TestRefactorTags(t *testing.T) {
	w := newWorld(t, nil)
	const other = "  Other: {Type: AWS::Test::Named, Properties: {Name: other}}\n"
	const box = "  Box: {Type: AWS::Test::Thing, Properties: {Name: box}}\n"
	const third = "  Third: {Type: AWS::Test::Named, Properties: {Name: third}}\n"
	w.create("a", "Resources:\n"+box+other)
	w.create("b", "Resources:\n"+third, func(in *api.CreateStackInput) { in.Tags = []api.Tag{{Key: "team", Value: "ops"}} })
	w.settle("a", "CREATE_COMPLETE")
	w.settle("b", "CREATE_COMPLETE")
	in := &api.CreateStackRefactorInput{StackDefinitions: []api.StackDefinition{definition("a", "Resources:\n"+other), definition("b", "Resources:\n"+box+third)}}
	var tagged map[string]string
	refuse := true
	w.cloud.update = func(_ context.Context, r cfn.Request) error {
		if refuse && r.StackName == "b" {
			return fault.New(fault.AccessDenied, "no leave to tag")
		}
		tagged = r.Tags
		return nil
	}
	stale := w.refactor(in)
	if done := w.refactored(w.refactor(in)); done.ExecutionStatus != "ROLLBACK_COMPLETE" || !strings.Contains(done.ExecutionStatusReason, "no leave to tag") {
		t.Fatalf("%+v", done)
	}
	w.settle("a", "UPDATE_ROLLBACK_COMPLETE")
	w.settle("b", "UPDATE_ROLLBACK_COMPLETE")
	if a, b := w.logical("a"), w.logical("b"); a != "Box box, Other other" || b != "Third third" {
		t.Errorf("a has %s, b has %s", a, b)
	}
	if got := w.describeRefactor(stale.StackRefactorId); got.ExecutionStatus != "OBSOLETE" {
		t.Errorf("a refactoring of stacks that have changed is %s", got.ExecutionStatus)
	}
	_, err := w.ExecuteStackRefactor(w.ctx, &api.ExecuteStackRefactorInput{StackRefactorId: stale.StackRefactorId})
	refused(t, err, "ValidationError", "[OBSOLETE]")
	refuse = false
	if done := w.refactored(w.refactor(in)); done.ExecutionStatus != "EXECUTE_COMPLETE" {
		t.Fatalf("%+v", done)
	}
	if tagged["team"] != "ops" || tagged["aws:cloudformation:stack-name"] != "b" {
		t.Errorf("tags %v", tagged)
	}
	if a, b := w.logical("a"), w.logical("b"); a != "Other other" || b != "Box box, Third third" {
		t.Errorf("a has %s, b has %s", a, b)
	}
	list, err := w.ListStackRefactors(w.ctx, &api.ListStackRefactorsInput{ExecutionStatusFilter: []string{"EXECUTE_COMPLETE"}})
	if err != nil || len(list.StackRefactorSummaries) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

// What would make, change or delete something is no refactoring.
func TestRefactorRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.create("a", boxAndLid)
	w.settle("a", "CREATE_COMPLETE")
	box := "Resources: {Box: {Type: AWS::Test::Thing, Properties: {Name: box}}}"
	lid := "Resources: {Lid: {Type: AWS::Test::Named, Properties: {Name: lid, Value: 'arn:box'}}}"
	for _, c := range []struct {
		what, reason string
		mappings     []api.ResourceMapping
		a, b         string
		creates      bool
	}{
		{what: "a stack that is not there", a: box, b: lid, reason: "Stack b: Stack [b] does not exist, and EnableStackCreation is not set"},
		{what: "a deletion", a: "Resources: {Lid: {Type: AWS::Test::Named, Properties: {Name: lid, Value: 'arn:box'}}}", b: "Resources: {New: {Type: AWS::Test::Thing}}", creates: true, reason: "The stack definitions move no resources."},
		{what: "a creation", a: box, b: strings.TrimSuffix(lid, "}") + ", More: {Type: AWS::Test::Thing}}", creates: true, reason: "there are none of these yet: [b.More]"},
		{what: "a change", a: box, b: strings.Replace(lid, "arn:box", "changed", 1), creates: true, reason: "the templates change these: [b.Lid [Value]]"},
		{what: "an unknown source", a: box, b: lid, creates: true, mappings: []api.ResourceMapping{mapping("a.Nothing", "b.Lid")}, reason: "The mapping's source a.Nothing does not exist."},
		{what: "another type", a: box, b: lid, creates: true, mappings: []api.ResourceMapping{mapping("a.Box", "b.Lid")}, reason: "changes the resource's type"},
		{what: "a broken template", a: box, b: "Resources: {", creates: true, reason: "Stack b: Template format error"},
	} {
		in := &api.CreateStackRefactorInput{StackDefinitions: []api.StackDefinition{definition("a", c.a), definition("b", c.b)}, ResourceMappings: c.mappings, EnableStackCreation: &c.creates}
		if r := w.refactor(in); r.Status != "CREATE_FAILED" || r.ExecutionStatus != "UNAVAILABLE" || !strings.Contains(r.StatusReason, c.reason) {
			t.Errorf("%s: %s %q", c.what, r.Status, r.StatusReason)
		}
	}
	_, err := w.DescribeStackRefactor(w.ctx, &api.DescribeStackRefactorInput{StackRefactorId: "none"})
	refused(t, err, "StackRefactorNotFoundException", "none does not exist")
	// A resource can have another name in its own stack.
	in := &api.CreateStackRefactorInput{ResourceMappings: []api.ResourceMapping{mapping("a.Lid", "a.Cover")},
		StackDefinitions: []api.StackDefinition{definition("a", strings.Replace(boxAndLid, "Lid:", "Cover:", 1))}}
	if done := w.refactored(w.refactor(in)); done.ExecutionStatus != "EXECUTE_COMPLETE" || w.logical("a") != "Box box, Cover lid" {
		t.Errorf("%+v %s", done, w.logical("a"))
	}
	w.drop("a")
	w.settle(w.describeRefactor(lastRefactor(w)).StackIds[0], "DELETE_COMPLETE")
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func lastRefactor(w *world) string {
	w.t.Helper()
	list, err := w.ListStackRefactors(w.ctx, &api.ListStackRefactorsInput{})
	if err != nil || len(list.StackRefactorSummaries) == 0 {
		w.t.Fatal(list, err)
	}
	return list.StackRefactorSummaries[0].StackRefactorId
}
