package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn/plan"
)

// lines is changes as text, with what the recorded cases do not have.
func lines(changes []plan.Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, strings.Join(strings.Fields(fmt.Sprint(c.Action, " ", c.LogicalResourceID, " ", c.Replacement, " ", c.PolicyAction, " ", strings.Join(c.Scope, ","))), " "))
		for _, d := range c.Details {
			t := d.Target
			out = append(out, strings.Join(strings.Fields(fmt.Sprintf("- %s %s %s %s %s %s %q %q", d.ChangeSource, d.Evaluation, d.CausingEntity, t.Attribute+"/"+t.Name, t.RequiresRecreation, t.Path+" "+t.AttributeChangeType, t.BeforeValue, t.AfterValue)), " "))
		}
	}
	return out
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		given, tags         map[string]string
		want                []string
	}{
		{name: "nested, added and removed",
			before: "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Name: a, Rules: [{Port: 1}, {Port: 2, Zone: z}]}}\n",
			after:  "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Size: 3, Rules: [{Port: 1}, {Port: 3, Zone: y}]}}\n",
			want: []string{"Modify L True ReplaceAndDelete Properties",
				`- DirectModification Static Properties/Name Never /Properties/Name Remove "a" ""`,
				`- DirectModification Static Properties/Rules Never /Properties/Rules/1/Port Modify "2" "3"`,
				`- DirectModification Static Properties/Rules Always /Properties/Rules/1/Zone Modify "z" "y"`,
				`- DirectModification Static Properties/Size Conditionally /Properties/Size Add "" "3"`}},
		{name: "conditionally",
			before: "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Size: 1}}\n", after: "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Size: 3}}\n",
			want: []string{"Modify L Conditional Properties", `- DirectModification Static Properties/Size Conditionally /Properties/Size Modify "1" "3"`}},
		{name: "lists of other lengths differ as a whole",
			before: "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Rules: [{Port: 1}]}}\n", after: "Resources:\n  L: {Type: 'AWS::T::Link', Properties: {Rules: []}}\n",
			want: []string{"Modify L True ReplaceAndDelete Properties", `- DirectModification Static Properties/Rules Always /Properties/Rules Modify "[{\"Port\":1}]" "[]"`}},
		{name: "tags and records", tags: map[string]string{"a": "b"},
			before: "Resources:\n  A: {Type: 'AWS::SNS::Topic'}\n", after: "Resources:\n  A: {Type: 'AWS::SNS::Topic', DeletionPolicy: Retain, Metadata: {v: 1}}\n",
			want: []string{"Modify A False Tags,Metadata,DeletionPolicy", `- DirectModification Static Tags/ Never "" ""`,
				`- DirectModification Static Metadata/ Never /Metadata Modify "" "{\"v\":1}"`, `- DirectModification Static DeletionPolicy/ Never /DeletionPolicy Modify "Delete" "Retain"`}},
		{name: "secrets", given: map[string]string{"P": "hunter2"},
			before: "Parameters: {P: {Type: String, NoEcho: true, Default: hunter1}}\nResources:\n  A: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !Sub 'x-${P}'}}\n",
			after:  "Parameters: {P: {Type: String, NoEcho: true}}\nResources:\n  A: {Type: 'AWS::SNS::Topic', Properties: {DisplayName: !Sub 'x-${P}'}}\n",
			want: []string{"Modify A False Properties", `- ParameterReference Static P Properties/DisplayName Never /Properties/DisplayName Modify "****" "****"`,
				`- DirectModification Dynamic Properties/DisplayName Never /Properties/DisplayName Modify "****" "****"`}},
		{name: "retained",
			before: "Resources:\n  A: {Type: 'AWS::SNS::Topic', DeletionPolicy: Retain}\n  B: {Type: 'AWS::SNS::Topic', UpdateReplacePolicy: Retain, Properties: {TopicName: x}}\n",
			after:  "Resources:\n  B: {Type: 'AWS::SNS::Topic', UpdateReplacePolicy: Retain, Properties: {TopicName: y}}\n",
			want:   []string{"Remove A Retain", "Modify B True ReplaceAndRetain Properties", `- DirectModification Static Properties/TopicName Always /Properties/TopicName Modify "x" "y"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stack{t: t}
			s.deploy(s.input(c.before, nil, nil))
			changes, problems := plan.Changes(s.input(c.after, c.given, c.tags), true)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(c.want, lines(changes)); diff != "" {
				t.Error(diff)
			}
			for _, ch := range changes {
				if strings.Contains(ch.BeforeContext+ch.AfterContext, "hunter") {
					t.Errorf("a secret shows: %s %s", ch.BeforeContext, ch.AfterContext)
				}
			}
		})
	}
}
