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
	"github.com/slipway/slipway/service/cloudformation"
)

func modulePackage(t testing.TB, name, fragment string) string {
	return packed(t, map[string]string{
		"schema.json":             `{"typeName":"` + name + `","description":"A module.","properties":{},"additionalProperties":true}`,
		"fragments/template.yaml": fragment, "fragments/.keep": "", ".rpdk-config": `{"artifact_type":"MODULE"}`,
	})
}

// registerModule registers what the package in the cloud is.
func registerModule(t testing.TB, s *cloudformation.Service, ctx context.Context, w *world, name, fragment string) *api.DescribeTypeRegistrationOutput {
	t.Helper()
	w.cloud.file("package", modulePackage(t, name, fragment))
	r := register(t, s, ctx, "MODULE", name)
	if r.ProgressStatus != "COMPLETE" {
		t.Fatalf("%+v", r)
	}
	return r
}

const pairFragment = `
Parameters: {Name: {Type: String}}
Resources:
  Thing: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref Name}}
  Named: {Type: 'AWS::Test::Named', Properties: {Name: !Sub '${Name}-of-${Thing}'}}
Outputs:
  Thing: {Value: !Ref Thing}
`

const moduleStack = `
Parameters: {Who: {Type: String, Default: ann}}
Resources:
  Pair: {Type: 'My::Org::Pair::MODULE', Properties: {Name: !Ref Who}}
  Own: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref Pair.Thing}}
`

// TestModules makes, changes and removes a stack with a module in it.
func TestModules(t *testing.T) {
	f := &judges{}
	w := newWorld(t, f.with)
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: moduleStack})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [My::Org::Pair::MODULE]")
	first := registerModule(t, w.Service, w.ctx, w, "My::Org::Pair::MODULE", pairFragment)
	if !strings.HasSuffix(first.TypeVersionArn, ":type/module/My-Org-Pair-MODULE/00000001") {
		t.Errorf("%+v", first)
	}
	id := w.create("s", moduleStack)
	w.settle("s", "CREATE_COMPLETE")
	info := "My::Org::Pair::MODULE Pair"
	if d := cmp.Diff(map[string]string{"PairThing": info, "PairNamed": info, "Own": ""}, w.modules("s")); d != "" {
		t.Error(d)
	}
	out, err := w.GetTemplate(w.ctx, &api.GetTemplateInput{StackName: "s"})
	if err != nil || out.TemplateBody != moduleStack {
		t.Errorf("%+v, %v", out, err)
	}
	out, err = w.GetTemplate(w.ctx, &api.GetTemplateInput{StackName: "s", TemplateStage: "Processed"})
	if err != nil || !strings.Contains(out.TemplateBody, `"PairThing":{"Type":"AWS::Test::Thing","Properties":{"Value":{"Ref":"Who"}}}`) {
		t.Errorf("%+v, %v", out, err)
	}
	if outputs := w.stack("s").Outputs; len(outputs) != 1 || outputs[0].OutputKey != "PairThing" {
		t.Errorf("outputs %v", outputs)
	}

	// A stack follows the default version when it is updated.
	second := registerModule(t, w.Service, w.ctx, w, "My::Org::Pair::MODULE", strings.NewReplacer("Named:", "Other:", "-of-", "-and-", "Outputs:", "  More: {Type: 'AWS::Test::Thing'}\nOutputs:").Replace(pairFragment))
	_, err = w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "s", UsePreviousTemplate: new(true)})
	refused(t, err, fault.ValidationError, "No updates are to be performed.")
	if _, err := w.SetTypeDefaultVersion(w.ctx, &api.SetTypeDefaultVersionInput{Arn: second.TypeVersionArn}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"Add PairMore " + info, "Add PairOther " + info, "Remove PairNamed " + info}, w.changes("s")); d != "" {
		t.Error(d)
	}
	w.updateTo("s", moduleStack)
	w.settle("s", "UPDATE_COMPLETE")
	if d := cmp.Diff(map[string]string{"PairThing": info, "PairMore": info, "PairOther": info, "Own": ""}, w.modules("s")); d != "" {
		t.Error(d)
	}
	if d := w.detect("s"); d.StackDriftStatus != "IN_SYNC" {
		t.Errorf("drift %+v", d)
	}
	if _, err := w.ValidateTemplate(w.ctx, &api.ValidateTemplateInput{TemplateBody: moduleStack}); err != nil {
		t.Error(err)
	}
	_, err = w.CreateStack(elsewhere(w.ctx), &api.CreateStackInput{StackName: "s", TemplateBody: moduleStack})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [My::Org::Pair::MODULE]")
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	for _, version := range []string{"00000001", ""} {
		if _, err := w.DeregisterType(w.ctx, &api.DeregisterTypeInput{Type: "MODULE", TypeName: "My::Org::Pair::MODULE", VersionId: version}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: moduleStack})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [My::Org::Pair::MODULE]")
}

// modules are what a stack's resources say of where they come from.
func (w *world) modules(stack string) map[string]string {
	w.t.Helper()
	out, err := w.DescribeStackResources(w.ctx, &api.DescribeStackResourcesInput{StackName: stack})
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := w.ListStackResources(w.ctx, &api.ListStackResourcesInput{StackName: stack})
	if err != nil {
		w.t.Fatal(err)
	}
	said := map[string]string{}
	for _, r := range list.StackResourceSummaries {
		said[r.LogicalResourceId] = origin(r.ModuleInfo)
	}
	for _, r := range out.StackResources {
		one, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: stack, LogicalResourceId: r.LogicalResourceId})
		if err != nil {
			w.t.Fatal(err)
		}
		if a, b, c := said[r.LogicalResourceId], origin(r.ModuleInfo), origin(one.StackResourceDetail.ModuleInfo); a != b || a != c {
			w.t.Errorf("%s comes from %q, %q and %q", r.LogicalResourceId, a, b, c)
		}
	}
	return said
}

func origin(m *api.ModuleInfo) string {
	if m == nil {
		return ""
	}
	return m.TypeHierarchy + " " + m.LogicalIdHierarchy
}

// changes are what a change set with the stack's own template says, which is
// removed then.
func (w *world) changes(stack string) (changes []string) {
	w.t.Helper()
	if _, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: stack, ChangeSetName: "c", UsePreviousTemplate: new(true)}); err != nil {
		w.t.Fatal(err)
	}
	out, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{StackName: stack, ChangeSetName: "c"})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range out.Changes {
		changes = append(changes, fmt.Sprint(c.ResourceChange.Action, " ", c.ResourceChange.LogicalResourceId, " ", origin(c.ResourceChange.ModuleInfo)))
	}
	if _, err := w.DeleteChangeSet(w.ctx, &api.DeleteChangeSetInput{StackName: stack, ChangeSetName: "c"}); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(changes)
	return changes
}

func TestModulesThatAreRefused(t *testing.T) {
	f := &judges{}
	w := newWorld(t, f.with)
	const name = "My::Org::Pair::MODULE"
	for want, files := range map[string]string{
		"has no schema.json":              packed(t, map[string]string{"fragments/a.json": "{}"}),
		"has no fragment":                 packed(t, map[string]string{"schema.json": "{}"}),
		"more than one fragment":          packed(t, map[string]string{"schema.json": "{}", "fragments/a.json": "{}", "fragments/b.json": "{}"}),
		"is not a zip archive":            "x",
		"typeName is":                     modulePackage(t, "My::Org::Other::MODULE", pairFragment),
		"the fragment has no Resources":   modulePackage(t, name, "Parameters: {}"),
		"section Transform is not":        modulePackage(t, name, "Transform: X"+pairFragment),
		"required key [description] not":  packed(t, map[string]string{"schema.json": `{"typeName":"` + name + `"}`, "fragments/a.json": "{}"}),
		"Template format error: YAML not": modulePackage(t, name, "a: ["),
	} {
		w.cloud.file("package", files)
		if r := register(t, w.Service, w.ctx, "MODULE", name); r.ProgressStatus != "FAILED" || !strings.Contains(r.Description, want) {
			t.Errorf("%s, %q: not %s", r.ProgressStatus, r.Description, want)
		}
	}
	for kind, name := range map[string]string{"MODULE": "My::Org::Pair", "RESOURCE": name} {
		_, err := w.RegisterType(w.ctx, &api.RegisterTypeInput{Type: kind, TypeName: name, SchemaHandlerPackage: "s3://templates/package"})
		refused(t, err, fault.CFNRegistry, "the names of modules, and no others, end in ::MODULE")
	}
	registerModule(t, w.Service, w.ctx, w, name, pairFragment)
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: "Resources: {P: {Type: '" + name + "'}}"})
	refused(t, err, fault.ValidationError, "Resource P: Parameters: [Name] must have values")
}
