package platform

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recordedTemplate is one of the templates behind the records.
func recordedTemplate(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "corpus", "recorded-templates", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func newChangeSet(body string, parameters ...string) *cloudformation.CreateChangeSetInput {
	in := &cloudformation.CreateChangeSetInput{StackName: "replay-refused", ChangeSetName: "replay", ChangeSetType: "CREATE", TemplateBody: body}
	in.Parameters = parametersOf(parameters)
	return in
}

// parametersOf are keys and their values, in turn.
func parametersOf(parameters []string) []cloudformation.Parameter {
	var out []cloudformation.Parameter
	for i := 0; i+1 < len(parameters); i += 2 {
		out = append(out, cloudformation.Parameter{ParameterKey: parameters[i], ParameterValue: parameters[i+1]})
	}
	return out
}

const parameterA = `{"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "a"}}`

// refusals plays the cases in which AWS refuses. A template's problems have, on
// further lines, their places; AWS tells the first problem only.
func (w *recordedWorld) refusals(t *testing.T) {
	policy := func(statement string) *cloudformation.SetStackPolicyInput {
		return &cloudformation.SetStackPolicyInput{StackName: "replay-there", StackPolicyBody: statement}
	}
	for _, r := range []struct {
		file, name, entry string
		in                func(t testing.TB) any
	}{
		{"api/test_changesets", "test_describe_change_set_nonexisting", "exception", func(testing.TB) any {
			return &cloudformation.DescribeChangeSetInput{StackName: "somestack", ChangeSetName: "DoesNotExist"}
		}},
		{"api/test_changesets", "test_using_pseudoparameters_in_places[parameter]", "error", func(testing.TB) any {
			return newChangeSet(`{"Parameters": {"AWS::NoValue": {"Type": "String"}}, "Resources": {"A": ` + parameterA + `}}`)
		}},
		{"api/test_resources", "test_describe_non_existent_resource", "error", func(testing.TB) any {
			return &cloudformation.DescribeStackResourceInput{StackName: "replay-there", LogicalResourceId: "not-a-valid-resource"}
		}},
		{"api/test_resources", "test_invalid_logical_resource_id", "error", func(testing.TB) any {
			return newChangeSet(`{"Resources": {"my-bad-resource-id": ` + parameterA + `}}`)
		}},
		{"api/test_stack_policies", "test_invalid_policy", "error", func(testing.TB) any { return policy(`{"ThisIsNotAPolicy": true}`) }},
		{"api/test_stack_policies", "test_not_json_policy", "error", func(testing.TB) any { return policy("short string") }},
		{"api/test_stack_policies", "test_different_principal_attribute", "error", func(testing.TB) any {
			return policy(`{"Statement": [{"Effect": "Deny", "Action": "Update:*", "Principal": "short", "Resource": "*"}]}`)
		}},
		{"api/test_stack_policies", "test_different_action_attribute", "error", func(testing.TB) any {
			return policy(`{"Statement": [{"Effect": "Deny", "Action": "Delete:short", "Principal": "*", "Resource": "*"}]}`)
		}},
		{"api/test_stacks", "test_describe_stack_events_errors", "describe_stack_events_stack_not_found", func(testing.TB) any {
			return &cloudformation.DescribeStackEventsInput{StackName: "does-not-exist"}
		}},
		{"api/test_stacks", "test_no_parameters_given", "deploy-error", func(testing.TB) any {
			return newChangeSet(`{"Parameters": {"Input": {"Type": "String"}}, "Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "Input"}}}}}`)
		}},
		{"api/test_templates", "test_validate_invalid_json_template_should_fail", "validate-invalid-json", func(testing.TB) any {
			return &cloudformation.ValidateTemplateInput{TemplateBody: `{"this is invalid JSON"="bobbins"}`}
		}},
		{"api/test_templates", "test_create_stack_from_s3_template_url[s3_url]", "create-error", func(testing.TB) any {
			return &cloudformation.CreateStackInput{StackName: "replay-refused", TemplateURL: "s3://bucket/key.yaml"}
		}},
		{"api/test_templates", "test_get_template_missing_resources_stack", "stack-error", func(testing.TB) any {
			return &cloudformation.GetTemplateInput{StackName: "does-not-exist"}
		}},
		{"api/test_templates", "test_get_template_missing_resources_change_set_id", "change-set-error", func(testing.TB) any {
			return &cloudformation.GetTemplateInput{ChangeSetName: "arn:aws:cloudformation:us-east-1:111111111111:changeSet/none/11111111-1111-1111-1111-111111111111"}
		}},
		{"api/test_templates", "test_get_template_summary_no_resources", "error", func(testing.TB) any {
			return &cloudformation.GetTemplateSummaryInput{TemplateBody: `{"Parameters": {"A": {"Type": "String"}}}`}
		}},
		{"api/test_update_stack", "test_no_template_error", "error", func(testing.TB) any {
			return &cloudformation.UpdateStackInput{StackName: "replay-there"}
		}},
		{"api/test_validations", "test_invalid_output_structure[none-value]", "validation-error", func(testing.TB) any {
			return newChangeSet(`{"Resources": {"A": ` + parameterA + `}, "Outputs": {"MyOutput": {"Value": null}}}`)
		}},
		{"api/test_validations", "test_missing_resources_block", "validation-error", func(testing.TB) any {
			return newChangeSet(`{"Outputs": {"MyOutput": {"Value": "a"}}}`)
		}},
		{"api/test_validations", "test_resources_blocks[invalid-key]", "validation-error", func(testing.TB) any {
			return newChangeSet(`{"Resources": {"A": {"Type": "AWS::SSM::Parameter", "Invalid": 1, "Properties": {"Type": "String", "Value": "a"}}}}`)
		}},
		{"engine/test_conditions", "test_validate_equals_args_len", "error", func(testing.TB) any {
			return newChangeSet(`{"Conditions": {"C": {"Fn::Equals": ["a", "b", "c"]}}, "Resources": {"A": ` + parameterA + `}}`)
		}},
		{"engine/test_mappings", "test_mapping_with_invalid_refs", "mapping_invalid_ref_exc", func(testing.TB) any {
			return newChangeSet(`{"Parameters": {"P": {"Type": "String", "Default": "a"}}, "Mappings": {"MyMap": {"A": {"value": {"Ref": "P"}}}}, "Resources": {"A": ` + parameterA + `}}`)
		}},
		{"engine/test_mappings", "test_async_mapping_error_first_level_v2", "error", func(t testing.TB) any {
			return newChangeSet(recordedTemplate(t, "mappings/simple-mapping.yaml"), "TopicName", "replayed", "TopicNameSuffixSelector", "C")
		}},
		{"engine/test_references", "test_useful_error_when_invalid_ref", "validation_error", func(testing.TB) any {
			return newChangeSet(`{"Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "InvalidRef"}}}}}`)
		}},
		{"test_change_set_conditions", "test_missing_condition", "error", func(testing.TB) any {
			return newChangeSet(`{"Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::If": ["MissingCondition", "a", "b"]}}}}}`)
		}},
		{"test_change_set_fn_get_attr", "test_invalid_structure[getatt_validation2.yml]", "error", func(t testing.TB) any {
			return newChangeSet(recordedTemplate(t, "getatt_validation2.yml"), "MyParameterValue", "a")
		}},
		{"test_change_set_fn_select", "test_invalid_select_index_type[index-out-of-range]", "error", func(testing.TB) any {
			return newChangeSet(`{"Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::Select": [5, ["a", "b"]]}}}}}`)
		}},
		{"test_change_set_parameters", "test_invalid_parameter_type", "error", func(testing.TB) any {
			return newChangeSet(`{"Parameters": {"Value": {"Type": "Number"}}, "Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "Value"}}}}}`, "Value", "ten")
		}},
		{"test_template_engine", "test_no_type", "error", func(testing.TB) any {
			return newChangeSet(`{"Resources": {"Foo": {"Properties": {"Type": "String", "Value": "a"}}}}`)
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := w.open(t, r.file, r.name)
			w.there(c)
			w.refused(c, r.entry, r.in(c))
		})
	}
}

// there is a stack that is there, with one parameter.
func (w *recordedWorld) there(c *replay.Case) {
	c.Helper()
	const name = "replay-there"
	if _, err := w.p.services.cloudformation.DescribeStacks(w.ctx, &cloudformation.DescribeStacksInput{StackName: name}); err != nil {
		out := replay.As[cloudformation.CreateStackOutput](c.Call("", w.ctx, &cloudformation.CreateStackInput{StackName: name, TemplateBody: `{"Resources": {"A": ` + parameterA + `}}`}))
		w.settled(c, out.StackId)
	}
}

// refused makes a call, and holds its refusal against an entry: an answer, the
// error in it, or the text that the AWS SDK for Python makes of it.
func (w *recordedWorld) refused(c *replay.Case, entry string, in any) {
	c.Helper()
	name := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
	e, status := c.Refusal(w.ctx, in)
	message, _, _ := strings.Cut(e.Message, "\n")
	refusal := map[string]any{"Code": e.Code, "Message": message, "Type": "Sender"}
	switch want := c.Entry(entry).(type) {
	case string:
		c.Hold(entry, "An error occurred ("+e.Code+") when calling the "+name+" operation: "+message)
	case map[string]any:
		if _, whole := want["Error"]; !whole {
			c.Hold(entry, refusal)
			return
		}
		c.Hold(entry, map[string]any{"Error": refusal, "ResponseMetadata": map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": float64(status)}})
	}
}
