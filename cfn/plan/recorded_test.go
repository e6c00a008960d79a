package plan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn/plan"
)

const arn = "arn:<partition>:sns:<region>:111111111111:"

// recorded are cases of AWS's recorded answers: the templates before and after
// that the case's name describes, and the parameters given.
var recorded = []struct {
	file, name    string
	before, after string
	old, new      map[string]string
	physical      map[string]string
}{
	{file: "test_change_set_ref", name: "test_immutable_property_update_causes_resource_replacement",
		before:   "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: value}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !Ref Topic1}}\n",
		after:    "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: updated-topic-name-1, DisplayName: new_value}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !Ref Topic1}}\n",
		physical: map[string]string{"Topic1": arn + "topic-name-1", "Topic2": arn + "topic-name-2"}},
	{file: "test_change_set_ref", name: "test_direct_attribute_value_change_in_ref_chain",
		before:   "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-1}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !Ref Topic1}}\n",
		after:    "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-2}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !Ref Topic1}}\n",
		physical: map[string]string{"Topic1": arn + "topic-name-1", "Topic2": arn + "topic-name-2"}},
	{file: "test_change_set_ref", name: "test_resource_addition",
		before:   "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-1}}\n",
		after:    "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-1}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !Ref Topic1}}\n",
		physical: map[string]string{"Topic1": arn + "topic-name-1"}},
	{file: "test_change_set_fn_get_attr", name: "test_direct_attribute_value_change_in_get_attr_chain",
		before:   "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-1}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !GetAtt Topic1.DisplayName}}\n  Topic3: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-3, DisplayName: !GetAtt Topic2.DisplayName}}\n",
		after:    "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-2}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !GetAtt Topic1.DisplayName}}\n  Topic3: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-3, DisplayName: !GetAtt Topic2.DisplayName}}\n",
		physical: map[string]string{"Topic1": arn + "topic-name-1", "Topic2": arn + "topic-name-2", "Topic3": arn + "topic-name-3"}},
	{file: "test_change_set_fn_join", name: "test_update_refence_argument",
		before:   "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-name-1}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !Join ['-', ['prefix', !GetAtt Topic1.DisplayName]]}}\n",
		after:    "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-name-2}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: !Join ['-', ['prefix', !GetAtt Topic1.DisplayName]]}}\n",
		physical: map[string]string{"Topic1": arn + "topic-name-1", "Topic2": arn + "topic-name-2"}},
	{file: "test_change_set_fn_sub", name: "test_fn_sub_addition_parameter_ref",
		before:   "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-1}}\n",
		after:    "Parameters: {ParameterDisplayName: {Type: String, Default: display-value-parameter}}\nResources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: !Sub 'Parameter interpolation: ${ParameterDisplayName}'}}\n",
		physical: map[string]string{"Topic1": arn + "topic-name-1"}},
	{file: "test_change_set_parameters", name: "test_update_parameter_default_value",
		before:   "Parameters: {TopicName: {Type: String, Default: topic-name-1}}\nResources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref TopicName}}\n",
		after:    "Parameters: {TopicName: {Type: String, Default: topic-name-2}}\nResources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref TopicName}}\n",
		physical: map[string]string{"Foo": arn + "topic-name-1"}},
	{file: "test_change_set_conditions", name: "test_condition_update_removes_resource",
		before:   "Conditions: {C: !Equals [a, a]}\nResources:\n  SNSTopic: {Type: 'AWS::SNS::Topic', Condition: C, Properties: {TopicName: topic-name-1}}\n",
		after:    "Conditions: {C: !Equals [a, b]}\nResources:\n  SNSTopic: {Type: 'AWS::SNS::Topic', Condition: C, Properties: {TopicName: topic-name-1}}\n  TopicPlaceholder: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2}}\n",
		physical: map[string]string{"SNSTopic": arn + "topic-name-1"}},
	{file: "test_change_set_depends_on", name: "test_multiple_dependencies_deletion",
		before:   "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', DependsOn: Topic2, Properties: {TopicName: topic-name-1, DisplayName: display-value-1}}\n  Topic2: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-2, DisplayName: display-value-2}}\n",
		after:    "Resources:\n  Topic1: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-name-1, DisplayName: display-value-1}}\n",
		physical: map[string]string{"Topic1": arn + "topic-name-1", "Topic2": arn + "topic-name-2"}},
	// Of transforms the templates that they made.
	{file: "test_change_set_fn_transform", name: "test_global_macro_fn_transform",
		before:   "Resources:\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Name: name-1, Type: String, Value: original}}\n",
		after:    "Parameters: {Substitution: {Type: String, Default: SubstitutionDefault}}\nResources:\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Name: name-1, Type: String, Value: '{Substitution}'}}\n",
		physical: map[string]string{"Parameter": "name-1"}},
	{file: "test_change_set_fn_transform", name: "test_global_fn_transform_include[json]",
		before:   "Resources:\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Name: topic-name-1, Type: String, Value: foo}}\n",
		after:    "Resources:\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Name: topic-name-1, Type: String, Value: foo}}\nOutputs: {ParameterRef: {Value: !Ref Parameter}}\n",
		physical: map[string]string{"Parameter": "topic-name-1"}},
	{file: "test_change_sets", name: "test_direct_update",
		before:   "Resources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-1}}\n",
		after:    "Resources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-2}}\n",
		physical: map[string]string{"Foo": arn + "topic-1"}},
	{file: "test_change_sets", name: "test_dynamic_update",
		before:   "Resources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-1}}\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Foo.TopicName}}\n",
		after:    "Resources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: topic-2}}\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Foo.TopicName}}\n",
		physical: map[string]string{"Foo": arn + "topic-1", "Parameter": "CFN-Parameter-gE4nEU6CQEj9"}},
	{file: "test_change_sets", name: "test_parameter_changes",
		before: "Parameters: {TopicName: {Type: String}}\nResources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref TopicName}}\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Foo.TopicName}}\n",
		after:  "Parameters: {TopicName: {Type: String}}\nResources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Ref TopicName}}\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Foo.TopicName}}\n",
		old:    map[string]string{"TopicName": "topic-1"}, new: map[string]string{"TopicName": "topic-2"},
		physical: map[string]string{"Foo": arn + "topic-1", "Parameter": "CFN-Parameter-gTdrbz5CtU3q"}},
	{file: "test_change_sets", name: "test_mappings_with_static_fields",
		before:   "Mappings: {M: {K: {V: topic-name-1}}}\nResources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !FindInMap [M, K, V]}}\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Foo.TopicName}}\n",
		after:    "Mappings: {M: {K: {V: topic-name-2}}}\nResources:\n  Foo: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !FindInMap [M, K, V]}}\n  Parameter: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Foo.TopicName}}\n",
		physical: map[string]string{"Foo": arn + "topic-name-1", "Parameter": "CFN-Parameter-tSeCu89dWGbq"}},
	{file: "test_change_sets", name: "test_unrelated_changes_update_propagation",
		before:   "Resources:\n  Parameter1: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: topic-name, Description: original}}\n  Parameter2: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Parameter1.Value}}\n",
		after:    "Resources:\n  Parameter1: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: topic-name, Description: changed}}\n  Parameter2: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !GetAtt Parameter1.Value}}\n",
		physical: map[string]string{"Parameter1": "CFN-Parameter1-ZUgkraElDaDN", "Parameter2": "CFN-Parameter2-IUxUU6IW7X39"}},
}

// Change sets are those that AWS recorded, with and without property values.
func TestRecordedChangeSets(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "corpus", "recorded", "cloudformation")
	if _, err := os.Stat(root); err != nil {
		t.Skip("AWS's recorded answers (../shared/corpus) are not here")
	}
	for _, c := range recorded {
		t.Run(c.name, func(t *testing.T) {
			s := &stack{t: t, physical: c.physical}
			s.deploy(s.input(c.before, c.old, nil))
			in := s.input(c.after, c.new, nil)
			for entry, values := range map[string]bool{"describe-change-set-2-prop-values": true, "describe-change-set-2": false} {
				changes, problems := plan.Changes(in, values)
				if len(problems) > 0 {
					t.Fatal(problems)
				}
				want := recordedChanges(t, filepath.Join(root, c.file+".snapshot.json"), c.name, entry)
				if diff := cmp.Diff(want, wire(changes)); diff != "" {
					t.Errorf("%s (-AWS +ours):\n%s", entry, diff)
				}
			}
		})
	}
}

func recordedChanges(t *testing.T, file, name, entry string) []any {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Content map[string]json.RawMessage `json:"recorded-content"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for key, c := range all {
		if !strings.HasSuffix(key, "::"+name) {
			continue
		}
		var answer struct {
			Changes []struct{ ResourceChange map[string]any }
		}
		if err := json.Unmarshal(c.Content[entry], &answer); err != nil {
			t.Fatal(err)
		}
		out := []any{}
		for _, ch := range answer.Changes {
			if ch.ResourceChange["Action"] == "Add" { // AWS sets it for some additions, and not for others
				delete(ch.ResourceChange, "Replacement")
			}
			byText(ch.ResourceChange["Details"].([]any))
			out = append(out, ch.ResourceChange)
		}
		return out
	}
	t.Fatalf("no recorded case %s", name)
	return nil
}

// byText sorts details, whose order AWS does not keep.
func byText(details []any) {
	sort.Slice(details, func(i, j int) bool { return fmt.Sprint(details[i]) < fmt.Sprint(details[j]) })
}

// wire is changes as the API's JSON has them.
func wire(changes []plan.Change) []any {
	out := []any{}
	for _, c := range changes {
		m := leaveOut(map[string]any{"Action": c.Action, "LogicalResourceId": c.LogicalResourceID, "PhysicalResourceId": c.PhysicalResourceID,
			"ResourceType": c.ResourceType, "Replacement": c.Replacement, "PolicyAction": c.PolicyAction})
		details, scope := []any{}, []any{}
		for _, s := range c.Scope {
			scope = append(scope, s)
		}
		for _, d := range c.Details {
			x := leaveOut(map[string]any{"Evaluation": d.Evaluation, "ChangeSource": d.ChangeSource, "CausingEntity": d.CausingEntity})
			x["Target"] = leaveOut(map[string]any{"Attribute": d.Target.Attribute, "Name": d.Target.Name, "RequiresRecreation": d.Target.RequiresRecreation,
				"Path": d.Target.Path, "BeforeValue": d.Target.BeforeValue, "AfterValue": d.Target.AfterValue, "AttributeChangeType": d.Target.AttributeChangeType})
			details = append(details, x)
		}
		byText(details)
		m["Details"], m["Scope"] = details, scope
		for name, text := range map[string]string{"BeforeContext": c.BeforeContext, "AfterContext": c.AfterContext} {
			var v any
			if text != "" && json.Unmarshal([]byte(text), &v) == nil {
				m[name] = v
			}
		}
		out = append(out, m)
	}
	return out
}

func leaveOut(m map[string]any) map[string]any {
	for k, v := range m {
		if v == "" {
			delete(m, k)
		}
	}
	return m
}
