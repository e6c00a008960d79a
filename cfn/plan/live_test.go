package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
)

// The plans of drift-aware operations, as text: what the stack's last operation left
// is old, what there is stands in live, and new is wanted.
func TestMakeFromWhatThereIs(t *testing.T) {
	const one = "Resources:\n  A: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: one, Tags: [{Key: a, Value: '1'}]}}\n  B: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !Ref A}}\n"
	tag := func(key, value string) any { return map[string]any{"Key": key, "Value": value} }
	topic := func(name string, tags ...any) plan.Found {
		return plan.Found{Status: "MODIFIED", Actual: cfn.Properties{"DisplayName": name, "Tags": tags}}
	}
	for _, c := range []struct {
		name, new string
		live      plan.Found
		tags      map[string]string
		want      string
	}{
		{"as it was left", one, topic("one", tag("a", "1")), nil, `
Keep A AWS::SNS::Topic A-1
Keep B AWS::SNS::Topic B-1 after A
`},
		{"another", one, topic("two", tag("a", "1")), nil, `
Update A AWS::SNS::Topic A-1 [DisplayName]
Keep B AWS::SNS::Topic B-1 after A
A is {"DisplayName":"two","Tags":[{"Key":"a","Value":"1"}]}
`},
		{"as the template says by now", strings.Replace(one, "one", "two", 1), topic("two", tag("a", "1")), nil, `
Update A AWS::SNS::Topic A-1 records
Keep B AWS::SNS::Topic B-1 after A
A is {"DisplayName":"two","Tags":[{"Key":"a","Value":"1"}]}
`},
		{"gone", one, plan.Found{Status: "DELETED", Gone: true}, nil, `
Create A AWS::SNS::Topic
Check B AWS::SNS::Topic B-1 [DisplayName] after A
A is gone
`},
		{"gone, and the template has it no more", "Resources:\n  B: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: A-1}}\n", plan.Found{Status: "DELETED", Gone: true}, nil, `
Keep B AWS::SNS::Topic B-1
then clean up
Delete A AWS::SNS::Topic A-1
`},
		{"unknown", one, plan.Found{Status: "UNKNOWN"}, nil, `
Keep A AWS::SNS::Topic A-1
Keep B AWS::SNS::Topic B-1 after A
`},
		{"what would replace it", one, plan.Found{Status: "MODIFIED", Actual: cfn.Properties{"DisplayName": "one", "TopicName": "other", "Tags": []any{tag("a", "1")}}}, nil, `
Keep A AWS::SNS::Topic A-1
Keep B AWS::SNS::Topic B-1 after A
`},
		{"others' tags stay, its own come back", one, topic("one", tag("b", "2"), tag("a", "9")), nil, `
Update A AWS::SNS::Topic A-1 [Tags]
Keep B AWS::SNS::Topic B-1 after A
A is {"DisplayName":"one","Tags":[{"Key":"a","Value":"9"}]} beside {"b":"2"}
`},
		{"a tag of the stack is gone", one, topic("one", tag("a", "1")), map[string]string{"team": "web"}, `
Update A AWS::SNS::Topic A-1 tags
Keep B AWS::SNS::Topic B-1 after A
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stack{t: t}
			s.deploy(s.input(one, nil, c.tags))
			in := s.input(c.new, nil, c.tags)
			in.Live = map[string]plan.Found{"A": c.live}
			p, problems := plan.Make(in)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), p.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A property that the template did not set, and somebody else has, is what the
// template changes it from.
func TestChangesOfWhatNoTemplateSet(t *testing.T) {
	s := &stack{t: t}
	s.deploy(s.input("Resources:\n  A: {Type: 'AWS::SNS::Topic'}\n", nil, nil))
	in := s.input("Resources:\n  A: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: two}}\n", nil, nil)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	in.Live = map[string]plan.Found{"A": {Status: "IN_SYNC", Actual: cfn.Properties{"DisplayName": "one"}, Time: at}}
	changes, problems := plan.Changes(in, true)
	if len(problems) > 0 || len(changes) != 1 {
		t.Fatal(problems, changes)
	}
	target := changes[0].Details[0].Target
	if target.BeforeValue != "one" || target.AfterValue != "two" || target.BeforeFrom != "ACTUAL_STATE" || target.AfterFrom != "TEMPLATE" || target.Drift == nil || !target.Drift.Time.Equal(at) {
		t.Errorf("%+v", target)
	}
}
