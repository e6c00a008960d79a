package cloudformation_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// imports makes a change set of type IMPORT. Targets are pairs of a logical id and
// the name of a Thing.
func (w *world) imports(stack, body string, targets ...string) (*api.CreateChangeSetOutput, error) {
	w.t.Helper()
	return w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{
		StackName: stack, ChangeSetName: "import", ChangeSetType: "IMPORT", TemplateBody: body, ResourcesToImport: things(targets...),
	})
}

func things(targets ...string) []api.ResourceToImport {
	var out []api.ResourceToImport
	for i := 0; i < len(targets); i += 2 {
		out = append(out, api.ResourceToImport{
			ResourceType: "AWS::Test::Thing", LogicalResourceId: targets[i], ResourceIdentifier: map[string]string{"Arn": "arn:" + targets[i+1]},
		})
	}
	return out
}

// mustImport imports and waits for the status.
func (w *world) mustImport(stack, body, status string, targets ...string) string {
	w.t.Helper()
	cs, err := w.imports(stack, body, targets...)
	if err != nil {
		w.t.Fatalf("CreateChangeSet: %v", err)
	}
	w.execute(cs.Id)
	w.settle(cs.StackId, status)
	return cs.StackId
}

const kept = `
Resources:
  A: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain, Properties: {Name: one, Value: first}}
`

const both = kept + `
  B: {Type: 'AWS::Test::Thing', DeletionPolicy: Delete, Properties: {Value: !GetAtt A.Arn}}
`

func (c *cloud) put(id string, p cfn.Properties) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.there[id] = p
}

// Two resources that refer to each other become those of a new stack, with its
// tags; drift is found, updates and the deletion work on them.
func TestImportIntoNewStack(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.put("one", cfn.Properties{"Name": "one", "Value": "first"})
	w.cloud.put("two", cfn.Properties{"Value": "other"})
	cs, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{
		StackName: "s", ChangeSetName: "import", ChangeSetType: "IMPORT", TemplateBody: both, ResourcesToImport: things("A", "one", "B", "two"),
		Tags: []api.Tag{{Key: "team", Value: "web"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	described := w.describeChangeSet(cs.Id, false)
	if described.Status != "CREATE_COMPLETE" || !strings.HasPrefix(described.StatusReason, "Verify that resources and their properties") || len(described.Changes) != 2 {
		t.Fatalf("change set %+v", described)
	}
	if c := described.Changes[1].ResourceChange; c.Action != "Import" || c.LogicalResourceId != "B" || c.PhysicalResourceId != "two" || c.Replacement != "" {
		t.Errorf("change of B %+v", c)
	}
	if st := w.stack("s"); st.StackStatus != "REVIEW_IN_PROGRESS" {
		t.Errorf("status %s", st.StackStatus)
	}
	var requests []cfn.Request
	w.cloud.update = func(_ context.Context, r cfn.Request) error { requests = append(requests, r); return nil }
	w.execute(cs.Id)
	w.settle(cs.StackId, "IMPORT_COMPLETE")
	if got := w.describeChangeSet(cs.Id, false).ExecutionStatus; got != "EXECUTE_COMPLETE" {
		t.Errorf("execution status %s", got)
	}
	if diff := cmp.Diff([]string{
		"(stack) REVIEW_IN_PROGRESS User Initiated", "(stack) IMPORT_IN_PROGRESS User Initiated",
		"A IMPORT_IN_PROGRESS Resource import started.", "A IMPORT_COMPLETE Resource import completed.",
		"A UPDATE_IN_PROGRESS Apply stack-level tags to imported resource if applicable.", "A UPDATE_COMPLETE",
		"B IMPORT_IN_PROGRESS Resource import started.", "B IMPORT_COMPLETE Resource import completed.",
		"B UPDATE_IN_PROGRESS Apply stack-level tags to imported resource if applicable.", "B UPDATE_COMPLETE",
		"(stack) IMPORT_COMPLETE",
	}, w.events("s")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(requests) != 2 || requests[1].Tags["team"] != "web" || requests[1].Tags["aws:cloudformation:logical-id"] != "B" || requests[1].PhysicalID != "two" {
		t.Fatalf("the updates that tag: %+v", requests)
	}
	// Only tagged: its value is what it was, and drift detection says so.
	if v := requests[1].Properties["Value"]; v != "other" {
		t.Errorf("B was given the value %v", v)
	}
	w.cloud.update = nil
	if got := w.drifted("s"); !slices.Equal(got, []string{"A IN_SYNC", "B MODIFIED"}) {
		t.Errorf("drift %v", got)
	}
	w.updateTo("s", strings.Replace(both, "first", "second", 1))
	w.settle("s", "UPDATE_COMPLETE")
	w.drop("s")
	w.settle(cs.StackId, "DELETE_COMPLETE")
	if left := w.cloud.things(); !slices.Equal(left, []string{"one"}) {
		t.Errorf("left %v, want the retained one", left)
	}
}

// drifted detects drift: "logical STATUS", in order.
func (w *world) drifted(stack string) []string {
	w.t.Helper()
	var out []string
	for _, r := range w.stackResources(stack) {
		d, err := w.DetectStackResourceDrift(w.ctx, &api.DetectStackResourceDriftInput{StackName: stack, LogicalResourceId: r})
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, r+" "+d.StackResourceDrift.StackResourceDriftStatus)
	}
	return out
}

func (w *world) stackResources(stack string) []string {
	w.t.Helper()
	out, err := w.DescribeStackResources(w.ctx, &api.DescribeStackResourcesInput{StackName: stack})
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, r := range out.StackResources {
		ids = append(ids, r.LogicalResourceId)
	}
	slices.Sort(ids)
	return ids
}

// An existing stack takes a resource in, and then another.
func TestImportIntoStack(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.put("one", cfn.Properties{"Name": "one", "Value": "first"})
	w.cloud.put("two", cfn.Properties{"Value": "arn:one"})
	const first = "Outputs:\n  Out: {Value: !Ref X}\nResources:\n  X: {Type: 'AWS::Test::Thing', Properties: {Name: x}}\n"
	w.create("s", first)
	w.settle("s", "CREATE_COMPLETE")
	join := func(body string) string { return first + strings.TrimPrefix(body, "\nResources:\n") }
	w.mustImport("s", join(kept), "IMPORT_COMPLETE", "A", "one")
	w.mustImport("s", join(both), "IMPORT_COMPLETE", "B", "two")
	if got := w.drifted("s"); !slices.Equal(got, []string{"A IN_SYNC", "B IN_SYNC", "X IN_SYNC"}) {
		t.Errorf("drift %v", got)
	}
	st := w.stack("s")
	if len(st.Outputs) != 1 || st.Outputs[0].OutputValue != "x" {
		t.Errorf("outputs %+v", st.Outputs)
	}
	_, err := w.imports("other", kept, "A", "one")
	refused(t, err, fault.ValidationError, "Resource of type 'AWS::Test::Thing' with identifier 'one' already exists in stack "+st.StackId)
	_, err = w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "s", TemplateBody: join(both)})
	refused(t, err, fault.ValidationError, "No updates are to be performed.")
}

// Each rule has its error, and breaks before anything is made.
func TestImportRules(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.put("one", cfn.Properties{"Name": "one"})
	w.create("s", pair)
	w.settle("s", "CREATE_COMPLETE")
	with := func(more string) string { return pair + more }
	const c = "  C: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain}\n"
	named := api.ResourceToImport{ResourceType: "AWS::Test::Thing", LogicalResourceId: "C", ResourceIdentifier: map[string]string{"Name": "one"}}
	handle := api.ResourceToImport{ResourceType: "AWS::CloudFormation::WaitConditionHandle", LogicalResourceId: "C", ResourceIdentifier: map[string]string{"Id": "x"}}
	for _, r := range []struct {
		name, stack, body string
		targets           []api.ResourceToImport
		says              string
	}{
		{"no policy", "s", with("  C: {Type: 'AWS::Test::Thing'}\n"), things("C", "one"), "The following resources to import [C] must have DeletionPolicy attribute specified in the template."},
		{"another changes", "s", strings.Replace(with(c), "Value: one", "Value: two", 1), things("C", "one"), "You have modified resources [A] in your template that are not being imported. Update, create or delete operations cannot be executed during import operations."},
		{"another goes", "s", "Resources:\n" + c, things("C", "one"), "You have modified resources [A, B] in your template"},
		{"another comes", "s", with(c + "  D: {Type: 'AWS::Test::Thing'}\n"), things("C", "one"), "You have modified resources [D] in your template"},
		{"outputs", "s", with(c + "Outputs:\n  Out: {Value: !Ref C}\n"), things("C", "one"), "As part of the import operation, you cannot modify or add [Outputs]"},
		{"outputs of a new stack", "new", "Resources:\n" + c + "Outputs:\n  Out: {Value: x}\n", things("C", "one"), "you cannot modify or add [Outputs]"},
		{"new stack with more", "new", "Resources:\n" + c + "  D: {Type: 'AWS::Test::Thing'}\n", things("C", "one"), "Resources [D] is missing from ResourceToImport list"},
		{"in the stack", "s", with(c), things("C", "one", "A", "first"), "Resources [A] passed in ResourceToImport are already in a stack and cannot be imported."},
		{"not in the template", "s", with(c), things("C", "one", "E", "two"), "Resources [E] passed in ResourceToImport are not in the template"},
		{"condition false", "new", "Conditions: {No: !Equals [a, b]}\nResources:\n" + c + "  E: {Type: 'AWS::Test::Thing', Condition: No, DeletionPolicy: Retain}\n", things("C", "one", "E", "two"), "Resources [E] passed in ResourceToImport are not in the template"},
		{"twice", "s", with(c), things("C", "one", "C", "two"), "[C] passed in ResourceToImport are there more than once."},
		{"the same twice", "new", "Resources:\n" + c + strings.Replace(c, "C:", "D:", 1), things("C", "one", "D", "one"), "[C, D] passed in ResourceToImport are the same resource."},
		{"wrong key", "s", with(c), []api.ResourceToImport{named}, "identified by values of [Arn], not of [Name]"},
		{"wrong type", "s", with(c), []api.ResourceToImport{handle}, "is of type AWS::CloudFormation::WaitConditionHandle, and of type AWS::Test::Thing in the template"},
		{"cannot be read", "new", "Resources:\n  C: {Type: 'AWS::CloudFormation::WaitConditionHandle', DeletionPolicy: Retain}\n", []api.ResourceToImport{handle}, "ResourceTypes [AWS::CloudFormation::WaitConditionHandle] are not supported for Import"},
		{"another name", "new", "Resources:\n  C: {Type: 'AWS::Test::Named', DeletionPolicy: Retain, Properties: {Name: mine}}\n", []api.ResourceToImport{
			{ResourceType: "AWS::Test::Named", LogicalResourceId: "C", ResourceIdentifier: map[string]string{"Name": "yours"}},
		}, `The template gives C the Name "mine"; ResourcesToImport names the one with "yours".`},
		{"nothing", "s", with(c), nil, "ResourcesToImport must be specified"},
	} {
		t.Run(r.name, func(t *testing.T) {
			_, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{
				StackName: r.stack, ChangeSetName: "import", ChangeSetType: "IMPORT", TemplateBody: r.body, ResourcesToImport: r.targets,
			})
			refused(t, err, fault.ValidationError, r.says)
		})
	}
	_, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{StackName: "new"})
	refused(t, err, fault.ValidationError, "Stack with id new does not exist")
	_, err = w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "x", TemplateBody: with(c), ResourcesToImport: things("C", "one")})
	refused(t, err, fault.ValidationError, "type IMPORT only")
}

// What is gone when the import comes, or another stack has taken meanwhile, fails
// it: the stack is what it was, and nothing of the account is deleted.
func TestImportThatFails(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.put("one", cfn.Properties{"Name": "one", "Value": "first"})
	cs, err := w.imports("none", kept, "A", "two")
	if err != nil {
		t.Fatal(err)
	}
	if d := w.describeChangeSet(cs.Id, false); d.Status != "FAILED" || d.StatusReason != "Resource of type 'AWS::Test::Thing' with identifier 'two' was not found." {
		t.Errorf("change set %s: %s", d.Status, d.StatusReason)
	}
	id := w.mustImport("s", both, "IMPORT_ROLLBACK_COMPLETE", "A", "one", "B", "two")
	if diff := cmp.Diff([]string{
		"A IMPORT_IN_PROGRESS Resource import started.", "A IMPORT_COMPLETE Resource import completed.",
		"A UPDATE_IN_PROGRESS Apply stack-level tags to imported resource if applicable.", "A UPDATE_COMPLETE",
		"B IMPORT_IN_PROGRESS Resource import started.",
		`B IMPORT_FAILED Resource handler returned message: "two is gone (NotFound)" (RequestToken: `,
		"(stack) IMPORT_ROLLBACK_IN_PROGRESS The following resource(s) failed to import: [B].",
		"A IMPORT_ROLLBACK_IN_PROGRESS", "A IMPORT_ROLLBACK_COMPLETE", "B IMPORT_ROLLBACK_IN_PROGRESS", "B IMPORT_ROLLBACK_COMPLETE",
		"(stack) IMPORT_ROLLBACK_COMPLETE",
	}, since(w.events(id), 2)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if left := w.cloud.things(); !slices.Equal(left, []string{"one"}) || len(w.stackResources("s")) > 0 {
		t.Errorf("there are %v, and of the stack %v", left, w.stackResources("s"))
	}
	// Once all is there, the same stack takes it. Of two that want it, one does.
	w.cloud.put("two", cfn.Properties{"Value": "arn:one"})
	rival, err := w.imports("rival", kept, "A", "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteChangeSet(w.ctx, &api.DeleteChangeSetInput{StackName: "s", ChangeSetName: "import"}); err != nil {
		t.Fatal(err)
	}
	w.mustImport("s", both, "IMPORT_COMPLETE", "A", "one", "B", "two")
	w.execute(rival.Id)
	w.settle(rival.StackId, "IMPORT_ROLLBACK_COMPLETE")
	if events := w.events("rival"); !slices.Contains(events, "A IMPORT_FAILED Resource of type 'AWS::Test::Thing' with identifier 'one' already exists in stack "+id) {
		t.Errorf("events %v", events)
	}
	w.drop("rival")
	w.settle(rival.StackId, "DELETE_COMPLETE")
	if left := w.cloud.things(); len(left) != 2 {
		t.Errorf("left %v", left)
	}
}

// ImportExistingResources: what the template names and is there is imported, the
// rest made; a roll-back leaves alone what was there.
func TestImportExistingResources(t *testing.T) {
	const body = `
Resources:
  A: {Type: 'AWS::Test::Named', DeletionPolicy: POLICY, Properties: {Name: there}}
  B: {Type: 'AWS::Test::Named', DeletionPolicy: Delete, Properties: {Name: new, Fail: FAIL, Value: !Ref A}}
  C: {Type: 'AWS::Test::Thing', Properties: {Value: unnamed}}
`
	w := newWorld(t, nil)
	changeSet := func(stack, kind, policy, fail string) *api.CreateChangeSetOutput {
		t.Helper()
		out, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{
			StackName: stack, ChangeSetName: "cs", ChangeSetType: kind, ImportExistingResources: yes(),
			TemplateBody: strings.NewReplacer("POLICY", policy, "FAIL", fail).Replace(body),
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	w.cloud.put("there", cfn.Properties{"Name": "there"})
	cs := changeSet("unsafe", "CREATE", "Delete", "no")
	if d := w.describeChangeSet(cs.Id, false); d.Status != "FAILED" || !strings.HasSuffix(d.StatusReason, "The affected resources are A ({Name=there})") {
		t.Errorf("change set %s: %s", d.Status, d.StatusReason)
	}
	// The creation fails after it was imported.
	cs = changeSet("s", "CREATE", "RetainExceptOnCreate", "create")
	actions := map[string]string{}
	for _, c := range w.describeChangeSet(cs.Id, false).Changes {
		actions[c.ResourceChange.LogicalResourceId] = c.ResourceChange.Action
	}
	if diff := cmp.Diff(map[string]string{"A": "Import", "B": "Add", "C": "Add"}, actions); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	w.execute(cs.Id)
	w.settle(cs.StackId, "ROLLBACK_COMPLETE")
	if events := w.events("s"); !slices.Contains(events, "A IMPORT_COMPLETE Resource import completed.") || !slices.Contains(events, "A DELETE_SKIPPED") {
		t.Errorf("events %v", events)
	}
	if left := w.cloud.things(); !slices.Equal(left, []string{"there"}) {
		t.Fatalf("left %v", left)
	}
	w.drop("s")
	w.settle(cs.StackId, "DELETE_COMPLETE")
	// An update that fails leaves it alone as well, and one that succeeds has it.
	id := w.create("t", "Resources:\n  X: {Type: 'AWS::Test::Thing', Properties: {Name: x}}\n")
	w.settle(id, "CREATE_COMPLETE")
	w.execute(changeSet("t", "UPDATE", "Retain", "create").Id)
	w.settle(id, "UPDATE_ROLLBACK_COMPLETE")
	if left := w.cloud.things(); !slices.Equal(left, []string{"there", "x"}) {
		t.Fatalf("left %v", left)
	}
	w.execute(changeSet("t", "UPDATE", "Retain", "no").Id)
	w.settle(id, "UPDATE_COMPLETE")
	if got := w.drifted("t"); !slices.Equal(got, []string{"A IN_SYNC", "B IN_SYNC", "C IN_SYNC"}) {
		t.Errorf("drift %v", got)
	}
}

// An import that a later build cannot go on with leaves the stack as it was.
func TestImportThatCannotGoOn(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.put("one", cfn.Properties{"Name": "one", "Value": "first"})
	reached := make(chan struct{})
	w.cloud.update = func(ctx context.Context, _ cfn.Request) error {
		close(reached)
		<-ctx.Done()
		return ctx.Err()
	}
	cs, err := w.imports("s", kept, "A", "one")
	if err != nil {
		t.Fatal(err)
	}
	w.execute(cs.Id)
	<-reached
	w.cloud.update = nil
	w.loseTemplates()
	w.settle("s", "IMPORT_ROLLBACK_COMPLETE")
	w.sound()
	if left := w.cloud.things(); !slices.Equal(left, []string{"one"}) || len(w.stackResources("s")) > 0 {
		t.Errorf("there are %v, and of the stack %v", left, w.stackResources("s"))
	}
}

// What a stack has replaced and could not delete is still its own, and so is what
// it could not make whole.
func TestImportOfWhatAStackWillDelete(t *testing.T) {
	w := newWorld(t, nil)
	const body = "Resources:\n  A: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain, Properties: {Name: NAME}}\n"
	named := func(name string) string { return strings.Replace(body, "NAME", name, 1) }
	id := w.create("s", named("one"))
	w.settle(id, "CREATE_COMPLETE")
	w.cloud.delete = func(context.Context, cfn.Request) error { return fault.New("InUse", "it is in use") }
	w.updateTo("s", named("two"))
	w.settle(id, "UPDATE_COMPLETE")
	_, err := w.imports("other", named("one"), "A", "one")
	refused(t, err, fault.ValidationError, "already exists in stack "+id)

	// As on AWS, CREATE_FAILED leaves what there is until the stack goes.
	w.cloud.create = func(_ context.Context, r cfn.Request) error {
		w.cloud.put(r.Properties["Name"].(string), r.Properties)
		return fault.New("InvalidThing", "only half of it is possible")
	}
	failed := w.create("failed", named("half"), func(in *api.CreateStackInput) { in.OnFailure = "DO_NOTHING" })
	w.settle(failed, "CREATE_FAILED")
	_, err = w.imports("other", named("half"), "A", "half")
	refused(t, err, fault.ValidationError, "already exists in stack "+failed)
}
