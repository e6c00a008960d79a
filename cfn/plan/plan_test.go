package plan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
)

func nilUpdate(context.Context, cfn.Request) (cfn.Result, error) { return cfn.Result{}, nil }

const chain = `
Resources:
  A: {Type: 'AWS::SNS::Topic', Properties: {TopicName: a, DisplayName: one}}
  B: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !Ref A}}
  C: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !GetAtt B.DisplayName}}
  D: {Type: 'AWS::SNS::Topic', DependsOn: A}
`

func replaced(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(chain) }

// The plan of each change of the template above, as text.
func TestMake(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"create", "", chain, `
Create A AWS::SNS::Topic
Create B AWS::SNS::Topic after A
Create C AWS::SNS::Topic after B
Create D AWS::SNS::Topic after A
`},
		{"nothing", chain, chain, `
Keep A AWS::SNS::Topic A-1
Keep B AWS::SNS::Topic B-1 after A
Keep C AWS::SNS::Topic C-1 after B
Keep D AWS::SNS::Topic D-1 after A
`},
		{"in place", chain, replaced("one", "two"), `
Update A AWS::SNS::Topic A-1 [DisplayName]
Keep B AWS::SNS::Topic B-1 after A
Keep C AWS::SNS::Topic C-1 after B
Keep D AWS::SNS::Topic D-1 after A
`},
		{"replacement cascades", chain, replaced("TopicName: a", "TopicName: z"), `
Replace A AWS::SNS::Topic A-1 [TopicName]
Check B AWS::SNS::Topic B-1 [DisplayName] after A
Check C AWS::SNS::Topic C-1 after B
Keep D AWS::SNS::Topic D-1 after A
then clean up
Delete A AWS::SNS::Topic A-1
`},
		{"removal goes backwards", chain, "Resources:\n  D: {Type: 'AWS::SNS::Topic'}\n", `
Keep D AWS::SNS::Topic D-1
then clean up
Delete C AWS::SNS::Topic C-1
Delete B AWS::SNS::Topic B-1 after C
Delete A AWS::SNS::Topic A-1 after B
`},
		{"new beside old", chain, chain + "  E: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !GetAtt C.TopicArn}}\n", `
Keep A AWS::SNS::Topic A-1
Keep B AWS::SNS::Topic B-1 after A
Keep C AWS::SNS::Topic C-1 after B
Keep D AWS::SNS::Topic D-1 after A
Create E AWS::SNS::Topic after C
`},
		{"metadata", chain, replaced("DependsOn: A", "DependsOn: A, Metadata: {a: 1}"), `
Keep A AWS::SNS::Topic A-1
Keep B AWS::SNS::Topic B-1 after A
Keep C AWS::SNS::Topic C-1 after B
Update D AWS::SNS::Topic D-1 [Metadata] records after A
`},
		{"outputs", chain, chain + "Outputs: {O: {Value: !Ref A}}\n", `
Keep A AWS::SNS::Topic A-1
Keep B AWS::SNS::Topic B-1 after A
Keep C AWS::SNS::Topic C-1 after B
Keep D AWS::SNS::Topic D-1 after A
outputs change
`},
		{"policies", "Resources:\n  A: {Type: 'AWS::SNS::Topic', DeletionPolicy: Retain}\n  B: {Type: 'AWS::SNS::Topic', UpdateReplacePolicy: Retain, Properties: {TopicName: x}}\n",
			"Resources:\n  B: {Type: 'AWS::SNS::Topic', UpdateReplacePolicy: Retain, Properties: {TopicName: y}}\n", `
Replace B AWS::SNS::Topic B-1 [TopicName]
then clean up
Retain A AWS::SNS::Topic A-1
Retain B AWS::SNS::Topic B-1
`},
		{"delete first", "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Name: n, From: x}}\n", "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Name: n, From: y}}\n", `
Replace L AWS::T::Link L-1 [From] delete-first
`},
		{"the provider says", "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Size: 5}}\n  M: {Type: 'AWS::T::Link', Properties: {Size: 5}}\n",
			"Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Size: 7}}\n  M: {Type: 'AWS::T::Link', Properties: {Size: 3}}\n", `
Update L AWS::T::Link L-1 [Size]
Replace M AWS::T::Link M-1 [Size] delete-first
`},
		{"create-only within a list", "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Rules: [{Port: 1, Zone: a}]}}\n  M: {Type: 'AWS::T::Link', Properties: {Rules: [{Port: 1, Zone: a}]}}\n",
			"Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Rules: [{Port: 2, Zone: a}]}}\n  M: {Type: 'AWS::T::Link', Properties: {Rules: [{Port: 1, Zone: b}]}}\n", `
Update L AWS::T::Link L-1 [Rules]
Replace M AWS::T::Link M-1 [Rules] delete-first
`},
		{"same in other words", "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Size: '5', Name: x}}\n", "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Size: 5, Name: !Join ['', [x]]}}\n", `
Keep L AWS::T::Link L-1
`},
		{"conditions", "Conditions: {On: !Equals [a, a]}\nResources:\n  A: {Type: 'AWS::SNS::Topic', Condition: On}\n  B: {Type: 'AWS::SNS::Topic'}\n",
			"Conditions: {On: !Equals [a, b]}\nResources:\n  A: {Type: 'AWS::SNS::Topic', Condition: On}\n  B: {Type: 'AWS::SNS::Topic', DependsOn: A}\n", `
Keep B AWS::SNS::Topic B-1
then clean up
Delete A AWS::SNS::Topic A-1
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stack{t: t}
			if c.old != "" {
				s.deploy(s.input(c.old, nil, nil))
			}
			p, problems := plan.Make(s.input(c.new, nil, nil))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), p.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	s := &stack{t: t}
	s.deploy(s.input(chain, nil, nil))
	for body, want := range map[string]bool{chain: true, replaced("one", "two"): false, chain + "Outputs: {O: {Value: x}}\n": false, replaced("DependsOn: A", "Metadata: {a: 1}"): false} {
		p, _ := plan.Make(s.input(body, nil, nil))
		if p.Empty() != want {
			t.Errorf("empty is %v of\n%s", p.Empty(), p)
		}
	}
}

// Stack tags reach the resources that take tags, and no others.
func TestTags(t *testing.T) {
	s := &stack{t: t}
	body := "Resources:\n  A: {Type: 'AWS::SNS::Topic'}\n  B: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: x}}\n"
	s.deploy(s.input(body, nil, map[string]string{"a": "1"}))
	p, _ := plan.Make(s.input(body, nil, map[string]string{"a": "2"}))
	if want := "Update A AWS::SNS::Topic A-1 tags\nKeep B AWS::SSM::Parameter B-1\n"; p.String() != want {
		t.Errorf("got %s", p)
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"Resources:\n  A: {Type: 'AWS::SNS::Topic'}\n", "Resources:\n  A: {Type: 'AWS::T::Link'}\n",
			"line 2, column 13, /Resources/A/Type: Update of resource type is not permitted. The new template modifies resource type of the following resources: [A]"},
		{"Resources:\n  A: {Type: 'AWS::T::Named', Properties: {Name: n, Path: a}}\n", "Resources:\n  A: {Type: 'AWS::T::Named', Properties: {Name: n, Path: b}}\n",
			"line 2, column 42, /Resources/A/Properties: CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename n and update the stack again."},
		{chain, replaced("GetAtt B.DisplayName", "GetAtt B.Nope"), "line 5, column 58, /Resources/C/Properties/DisplayName: [Error] /Resources/C/Properties/DisplayName/Fn::GetAtt: Resource type AWS::SNS::Topic does not support attribute {Nope}"},
	} {
		s := &stack{t: t}
		s.deploy(s.input(c.old, nil, nil))
		p, problems := plan.Make(s.input(c.new, nil, nil))
		if p != nil || len(problems) != 1 || problems[0].String() != c.want {
			t.Errorf("got  %v\nwant %s", problems, c.want)
		}
	}
}

// template draws a template without circles: each resource refers only to those
// before it.
func drawTemplate(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("Resources:\n")
	n := rapid.IntRange(1, 8).Draw(t, "resources")
	for i := range n {
		name := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name")
		shown := name
		if i > 0 && rapid.Bool().Draw(t, "refers") {
			to := rapid.IntRange(0, i-1).Draw(t, "to")
			shown = rapid.SampledFrom([]string{"!Ref R%d", "!GetAtt R%d.TopicArn", "!Sub '${R%d}!'", "!GetAtt R%d.DisplayName"}).Draw(t, "form")
			shown = fmt.Sprintf(shown, to)
		}
		fmt.Fprintf(&b, "  R%d: {Type: 'AWS::SNS::Topic', Properties: {TopicName: %s, DisplayName: %s}}\n", i, name, shown)
	}
	return b.String()
}

// Whatever the templates: a plan's order respects its graph, every resource is
// in it once, and a stack that was brought to a template needs no further change.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &stack{t: t}
		for range rapid.IntRange(1, 3).Draw(rt, "deployments") {
			body := drawTemplate(rt)
			in := s.input(body, nil, nil)
			p, problems := plan.Make(in)
			if len(problems) > 0 {
				rt.Fatal(problems)
			}
			checkOrder(rt, p.Steps)
			checkOrder(rt, p.Cleanup)
			if len(p.Steps) != len(in.New.Resources) {
				rt.Fatalf("%d steps for %d resources", len(p.Steps), len(in.New.Resources))
			}
			for id := range s.state.Resources {
				gone := in.New.Resource(id) == nil
				if cleaned := slices.ContainsFunc(p.Cleanup, func(s plan.Step) bool { return s.LogicalID == id }); gone && !cleaned {
					rt.Fatalf("%s is orphaned by\n%s", id, p)
				}
			}
			s.deploy(in)
			if again, _ := plan.Make(s.input(body, nil, nil)); !again.Empty() {
				rt.Fatalf("a deployed template changes the stack again:\n%s", again)
			}
			if changes, _ := plan.Changes(s.input(body, nil, nil), true); len(changes) > 0 {
				rt.Fatalf("a deployed template has changes: %v", changes)
			}
		}
	})
}

func checkOrder(t *rapid.T, steps []plan.Step) {
	seen := map[string]bool{}
	for _, s := range steps {
		for _, a := range s.After {
			if !seen[a] {
				t.Fatalf("%s comes before %s", s.LogicalID, a)
			}
		}
		if seen[s.LogicalID] {
			t.Fatalf("%s stands twice", s.LogicalID)
		}
		seen[s.LogicalID] = true
	}
}

// A plan survives being stored.
func TestPlanIsJSON(t *testing.T) {
	s := &stack{t: t}
	s.deploy(s.input(chain, nil, nil))
	p, _ := plan.Make(s.input(replaced("TopicName: a", "TopicName: z"), nil, nil))
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back plan.Plan
	if err := json.Unmarshal(b, &back); err != nil || back.String() != p.String() {
		t.Errorf("%v\n%s", err, back.String())
	}
}

// Properties from a record in JSON, where numbers are floats, are the same.
func TestDecideStored(t *testing.T) {
	d, err := plan.Decide(types(), "AWS::T::Link", cfn.Properties{"Size": 5.0, "Rules": []any{}}, cfn.Properties{"Size": int64(5), "Rules": []any{}})
	if err != nil || d.Action != plan.Keep {
		t.Errorf("%v, %v", d, err)
	}
	d, err = plan.Decide(types(), "AWS::T::Link", cfn.Properties{"From": "a"}, cfn.Properties{"From": template.Unknown})
	if err != nil || d.Action != plan.Replace || !d.Unknown {
		t.Errorf("%v, %v", d, err)
	}
}
