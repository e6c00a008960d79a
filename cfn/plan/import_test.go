package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

const imported = `
Resources:
  A: {Type: 'AWS::T::Named', DeletionPolicy: Retain, Properties: {Name: a, Owner: me}}
  B: {Type: 'AWS::T::Named', DeletionPolicy: Retain, Properties: {Name: !Ref A}}
`

// importInput is an import into a new stack of what a template has.
func importInput(t *testing.T, body string, targets map[string]plan.Existing) plan.Input {
	t.Helper()
	tmpl, problems := template.Parse([]byte(body))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	catalog := schema.New(nil, func(string) ([]byte, bool) {
		return []byte(`{"typeName":"AWS::T::Named","properties":{"Name":{"type":"string"},"Owner":{"type":"string"}},
			"primaryIdentifier":["/properties/Name","/properties/Owner"]}`), true
	}, func(string) bool { return true })
	return plan.Input{New: tmpl, Types: plan.Types{Schema: catalog.Lookup}, Import: targets}
}

// TestMakeImport compares the plan of an import, as text.
func TestMakeImport(t *testing.T) {
	id := func(owner string) plan.Existing {
		return plan.Existing{PhysicalID: "a|" + owner, Identifier: map[string]string{"Name": "a", "Owner": owner}}
	}
	p, problems := plan.MakeImport(importInput(t, imported, map[string]plan.Existing{"A": id("me"), "B": id("you")}))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := "Import A AWS::T::Named a|me\nImport B AWS::T::Named a|you after A\n"
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	_, problems = plan.MakeImport(importInput(t, imported, map[string]plan.Existing{"A": id("you"), "B": id("me")}))
	if got := problems.Message(); !strings.Contains(got, `The template gives A the Owner "me"; ResourcesToImport names the one with "you".`) {
		t.Errorf("problems %q", got)
	}
}

// Candidates are what the template names wholly, or what is to be imported as far
// as it is known.
func TestCandidates(t *testing.T) {
	found := func(targets map[string]plan.Existing) []string {
		all, problems := plan.Candidates(importInput(t, imported, targets))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var out []string
		for _, c := range all {
			out = append(out, c.LogicalID+" "+c.PhysicalID)
		}
		return out
	}
	if diff := cmp.Diff([]string{"A a|me"}, found(nil)); diff != "" {
		t.Errorf("of a creation (-want +got):\n%s", diff)
	}
	some := plan.Existing{PhysicalID: "a|me", Identifier: map[string]string{"Name": "a", "Owner": "me"}}
	if diff := cmp.Diff([]string{"A a|me"}, found(map[string]plan.Existing{"A": some, "B": some})); diff != "" {
		t.Errorf("of an import (-want +got):\n%s", diff)
	}
}

func TestPhysicalID(t *testing.T) {
	types := importInput(t, imported, nil).Types
	for _, c := range []struct {
		identifier map[string]string
		id         string
	}{
		{map[string]string{"Owner": "me", "Name": "a"}, "a|me"},
		{map[string]string{"Name": "a"}, ""},
		{map[string]string{"Name": "a", "Owner": ""}, ""},
		{map[string]string{"Name": "a", "Arn": "me"}, ""},
		{map[string]string{"Name": "a", "Owner": "me", "Arn": "x"}, ""},
	} {
		if id, ok := types.PhysicalID("AWS::T::Named", c.identifier); id != c.id || ok != (c.id != "") {
			t.Errorf("%v has the id %q, %v; want %q", c.identifier, id, ok, c.id)
		}
	}
}
