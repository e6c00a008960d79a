package cloudformation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

// A tree of three: the root nests two stacks, and the first of them one more.
const (
	treeRoot = `
Parameters: {Name: {Type: String, Default: one}, Size: {Type: String, Default: s}}
Resources:
  Net:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: https://s3.amazonaws.com/templates/net, Parameters: {Name: !Ref Name}, Tags: [{Key: tier, Value: net}]}
  App:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: https://s3.amazonaws.com/templates/app, Parameters: {Net: !GetAtt Net.Outputs.Thing, Size: !Ref Size}}
  Last: {Type: 'AWS::Test::Thing', Properties: {Value: !GetAtt App.Outputs.Thing}}
Outputs:
  Net: {Value: !GetAtt Net.Outputs.Thing}
  App: {Value: !Ref App}
`
	treeNet = `
Parameters: {Name: {Type: String}}
Resources:
  N: {Type: 'AWS::Test::Thing', Properties: {Name: !Sub 'net-${Name}'}}
  Deep:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: https://s3.amazonaws.com/templates/deep, Parameters: {Name: !Ref Name}}
Outputs: {Thing: {Value: !Ref N}}
`
	treeDeep = `
Parameters: {Name: {Type: String}}
Resources:
  D: {Type: 'AWS::Test::Thing', Properties: {Name: !Sub 'deep-${Name}'}}
`
	treeApp = `
Parameters: {Net: {Type: String}, Size: {Type: String}}
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref Net, Fail: !If [Bad, update, !Ref 'AWS::NoValue']}}
Conditions: {Bad: !Equals [!Ref Size, xxl]}
Outputs: {Thing: {Value: !Ref A}}
`
)

func (c *cloud) tree() *cloud {
	c.file("net", treeNet)
	c.file("app", treeApp)
	c.file("deep", treeDeep)
	return c
}

// nested finds a stack that is nested in another, by the resource's name.
func (w *world) nested(parent, logicalID string) *api.Stack {
	w.t.Helper()
	out, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: parent, LogicalResourceId: logicalID})
	if err != nil {
		w.t.Fatalf("DescribeStackResource: %v", err)
	}
	return w.stack(out.StackResourceDetail.PhysicalResourceId)
}

func given(pairs ...string) []api.Parameter {
	var out []api.Parameter
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, api.Parameter{ParameterKey: pairs[i], ParameterValue: pairs[i+1]})
	}
	return out
}

// plainly replaces the ids that differ from run to run.
func plainly(events []string, stacks ...*api.Stack) []string {
	out := slices.Clone(events)
	for i := range out {
		for _, st := range stacks {
			out[i] = strings.ReplaceAll(out[i], st.StackId, "<"+st.StackName[:strings.LastIndexByte(st.StackName, '-')]+">")
		}
	}
	return out
}

func TestTreeOfStacks(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.tree()
	root := w.create("root", treeRoot, func(in *api.CreateStackInput) {
		in.Tags = []api.Tag{{Key: "owner", Value: "me"}}
	})
	st := w.settle("root", "CREATE_COMPLETE")
	net, app := w.nested("root", "Net"), w.nested("root", "App")
	deep := w.nested(net.StackName, "Deep")
	if want := []api.Output{{OutputKey: "Net", OutputValue: "net-one"}, {OutputKey: "App", OutputValue: app.StackId}}; !cmp.Equal(want, st.Outputs) {
		t.Errorf("outputs %v, want %v", st.Outputs, want)
	}
	for _, c := range []struct {
		st           *api.Stack
		parent, name string
		tags         int
	}{{net, root, "root-Net-", 2}, {app, root, "root-App-", 1}, {deep, net.StackId, net.StackName + "-Deep-", 2}} {
		if c.st.ParentId != c.parent || c.st.RootId != root || !strings.HasPrefix(c.st.StackName, c.name) || c.st.StackStatus != "CREATE_COMPLETE" {
			t.Errorf("%s has parent %s, root %s, status %s", c.st.StackName, c.st.ParentId, c.st.RootId, c.st.StackStatus)
		}
		if len(c.st.Tags) != c.tags {
			t.Errorf("%s has the tags %v", c.st.StackName, c.st.Tags)
		}
	}

	w.updateTo("root", treeRoot, func(in *api.UpdateStackInput) { in.Parameters = given("Name", "two") })
	w.settle("root", "UPDATE_COMPLETE")
	net, app, deep = w.nested("root", "Net"), w.nested("root", "App"), w.nested(net.StackName, "Deep")
	for _, st := range []*api.Stack{net, app, deep} {
		if st.StackStatus != "UPDATE_COMPLETE" {
			t.Errorf("%s is %s", st.StackName, st.StackStatus)
		}
	}
	want := []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"Net UPDATE_IN_PROGRESS", "Net UPDATE_COMPLETE", "App UPDATE_IN_PROGRESS", "App UPDATE_COMPLETE",
		"(stack) UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "App UPDATE_COMPLETE", "Net UPDATE_COMPLETE", "(stack) UPDATE_COMPLETE",
	}
	if diff := cmp.Diff(want, since(w.events("root"), 11)); diff != "" {
		t.Errorf("events of the root (-want +got):\n%s", diff)
	}
	want = []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"D UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
		"D UPDATE_IN_PROGRESS Resource creation Initiated", "D UPDATE_COMPLETE",
		"(stack) UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "D DELETE_IN_PROGRESS", "D DELETE_COMPLETE", "(stack) UPDATE_COMPLETE",
	}
	if diff := cmp.Diff(want, since(w.events(deep.StackId), 5)); diff != "" {
		t.Errorf("events of the deepest (-want +got):\n%s", diff)
	}

	w.drop("root")
	w.settle(root, "DELETE_COMPLETE")
	for _, st := range []*api.Stack{net, app, deep} {
		w.settle(st.StackId, "DELETE_COMPLETE")
	}
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// A stack of the tree that updated well goes back with the others, and nothing of it
// was removed before.
func TestTreeRollsBack(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.tree()
	w.create("root", treeRoot)
	w.settle("root", "CREATE_COMPLETE")
	net, app := w.nested("root", "Net"), w.nested("root", "App")
	deep := w.nested(net.StackName, "Deep")
	before := w.cloud.things()
	w.updateTo("root", treeRoot, func(in *api.UpdateStackInput) { in.Parameters = given("Name", "two", "Size", "xxl") })
	w.settle("root", "UPDATE_ROLLBACK_COMPLETE")
	for _, st := range []*api.Stack{net, app, deep} {
		w.settle(st.StackId, "UPDATE_ROLLBACK_COMPLETE")
	}
	if diff := cmp.Diff(before, w.cloud.things()); diff != "" {
		t.Errorf("things (-want +got):\n%s", diff)
	}
	want := []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"Net UPDATE_IN_PROGRESS", "Net UPDATE_COMPLETE", "App UPDATE_IN_PROGRESS",
		"App UPDATE_FAILED Embedded stack <root-App> was not successfully updated. Currently in UPDATE_ROLLBACK_IN_PROGRESS with reason: The following resource(s) failed to update: [A].",
		"(stack) UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [App].",
		"Net UPDATE_IN_PROGRESS", "Net UPDATE_COMPLETE", "App UPDATE_IN_PROGRESS", "App UPDATE_COMPLETE",
		"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "App UPDATE_COMPLETE", "Net UPDATE_COMPLETE", "(stack) UPDATE_ROLLBACK_COMPLETE",
	}
	if diff := cmp.Diff(want, plainly(since(w.events("root"), 11), app)); diff != "" {
		t.Errorf("events of the root (-want +got):\n%s", diff)
	}
}

func TestNestedStackFailsToCreate(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.file("child", "Resources:\n  A: {Type: 'AWS::Test::Thing'}\n  B: {Type: 'AWS::Test::Thing', DependsOn: A, Properties: {Fail: create}}\n")
	root := w.create("root", nests("child"))
	w.settle(root, "ROLLBACK_COMPLETE")
	child := w.nested(root, "Child")
	w.settle(child.StackId, "DELETE_COMPLETE")
	want := []string{
		"(stack) CREATE_IN_PROGRESS User Initiated", "Child CREATE_IN_PROGRESS", "Child CREATE_IN_PROGRESS Resource creation Initiated",
		"Child CREATE_FAILED Embedded stack <root-Child> was not successfully created: The following resource(s) failed to create: [B].",
		"(stack) ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Child]. Rollback requested by user.",
		"Child DELETE_IN_PROGRESS", "Child DELETE_COMPLETE", "(stack) ROLLBACK_COMPLETE",
	}
	if diff := cmp.Diff(want, plainly(w.events(root), child)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func nests(key string) string {
	return "Resources:\n  Child: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: 'https://s3.amazonaws.com/templates/" + key + "'}}\n"
}

// What cannot be nested at all is the resource's failure, in the words of the
// request that it stands for.
func TestNestedStackIsRefused(t *testing.T) {
	self := nests("self")
	for _, c := range []struct{ name, body, reason string }{
		{"no template", "", "S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"},
		{"no parameters", "Parameters: {P: {Type: String}}\nResources:\n  A: {Type: 'AWS::Test::Thing'}\n", "Parameters: [P] must have values"},
		{"capabilities", "Resources:\n  R: {Type: 'AWS::IAM::Role', Properties: {AssumeRolePolicyDocument: {}}}\n", "Requires capabilities : [CAPABILITY_IAM]"},
		{"itself", self, "Circular nesting: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			key := "self"
			if c.body != "" {
				w.cloud.file(key, c.body)
			}
			root := w.create("root", self)
			w.settle(root, "ROLLBACK_COMPLETE")
			if !slices.ContainsFunc(w.events(root), func(e string) bool { return strings.HasPrefix(e, "Child CREATE_FAILED "+c.reason) }) {
				t.Errorf("events:\n%s", strings.Join(w.events(root), "\n"))
			}
		})
	}
}

func TestNestingEnds(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.file("deeper", `
Parameters: {N: {Type: String, Default: 'x'}}
Resources:
  C: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: 'https://s3.amazonaws.com/templates/deeper', Parameters: {N: !Sub '${N}x'}}}
`)
	root := w.create("root", nests("deeper"))
	w.settle(root, "ROLLBACK_COMPLETE")
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// A nested stack that does not come back keeps the tree in UPDATE_ROLLBACK_FAILED;
// its resource is skipped by its stack's name.
func TestContinueRollbackOfTree(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.file("child", "Parameters: {V: {Type: String}}\nResources:\n  A: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref V}}\n")
	body := func(v, fail string) string {
		return fmt.Sprintf(`
Resources:
  Child: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: 'https://s3.amazonaws.com/templates/child', Parameters: {V: %s}}}
  Z: {Type: 'AWS::Test::Thing', DependsOn: Child, Properties: {Value: %s, Fail: %s}}
`, v, v, fail)
	}
	w.create("root", body("one", "no"))
	w.settle("root", "CREATE_COMPLETE")
	child := w.nested("root", "Child")
	w.cloud.update = func(_ context.Context, r cfnRequest) error {
		if r.LogicalID == "A" && r.Properties["Value"] == "one" {
			return fault.New("InvalidThing", "there is no way back")
		}
		return nil
	}
	w.updateTo("root", body("two", "update"))
	w.settle("root", "UPDATE_ROLLBACK_FAILED")
	w.settle(child.StackId, "UPDATE_ROLLBACK_FAILED")
	_, err := w.ContinueUpdateRollback(w.ctx, &api.ContinueUpdateRollbackInput{StackName: child.StackName})
	refused(t, err, fault.ValidationError, "cannot be called on the nested stack")
	_, err = w.ContinueUpdateRollback(w.ctx, &api.ContinueUpdateRollbackInput{StackName: "root", ResourcesToSkip: []string{child.StackName + ".B"}})
	refused(t, err, fault.ValidationError, "cannot be skipped")
	if _, err := w.ContinueUpdateRollback(w.ctx, &api.ContinueUpdateRollbackInput{StackName: "root", ResourcesToSkip: []string{child.StackName + ".A"}}); err != nil {
		t.Fatal(err)
	}
	w.settle("root", "UPDATE_ROLLBACK_COMPLETE")
	w.settle(child.StackId, "UPDATE_ROLLBACK_COMPLETE")
}

func TestNestedStackOutsideItsTree(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.file("child", "Resources:\n  A: {Type: 'AWS::Test::Thing'}\n")
	w.create("root", nests("child"), func(in *api.CreateStackInput) { in.EnableTerminationProtection = yes() })
	w.settle("root", "CREATE_COMPLETE")
	child := w.nested("root", "Child")
	if !*child.EnableTerminationProtection {
		t.Error("the nested stack is not as protected as its root")
	}
	_, err := w.UpdateTerminationProtection(w.ctx, &api.UpdateTerminationProtectionInput{StackName: child.StackName, EnableTerminationProtection: new(bool)})
	refused(t, err, fault.ValidationError, "cannot be called on the nested stack")
	_, err = w.DeleteStack(w.ctx, &api.DeleteStackInput{StackName: child.StackName})
	refused(t, err, fault.ValidationError, "TerminationProtection is enabled")
	if _, err := w.UpdateTerminationProtection(w.ctx, &api.UpdateTerminationProtectionInput{StackName: "root", EnableTerminationProtection: new(bool)}); err != nil {
		t.Fatal(err)
	}
	retain := strings.Replace(nests("child"), "Type:", "DeletionPolicy: Retain, Type:", 1)
	w.updateTo("root", retain)
	w.settle("root", "UPDATE_COMPLETE")
	w.drop("root")
	w.settle(child.ParentId, "DELETE_COMPLETE")
	if st := w.settle(child.StackName, "CREATE_COMPLETE"); st.ParentId != "" {
		t.Errorf("the retained stack is still nested in %s", st.ParentId)
	}
	w.drop(child.StackName)
	w.settle(child.StackId, "DELETE_COMPLETE")
}
