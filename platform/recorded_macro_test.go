package platform

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	s3 "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// macroCode does what the records show of each macro, by its name.
const macroCode = `
import json, os

def replaced(node, old, new):
    if isinstance(node, dict):
        return {k: replaced(v, old, new) for k, v in node.items()}
    if isinstance(node, list):
        return [replaced(v, old, new) for v in node]
    return node.replace(old, new) if isinstance(node, str) else node

def handler(event, context):
    name, fragment, params = event["transformId"].split("::")[1], event["fragment"], event["params"]
    out = {"requestId": event["requestId"], "status": params.get("Status", "success")}
    if name == "SubstitutionMacro":
        for key, value in event["templateParameterValues"].items():
            fragment = replaced(fragment, "{" + key + "}", value)
    elif name == "ReplaceString":
        fragment = replaced(fragment, "<replace-this>", params["Input"] + " <replace-this>")
    elif name == "AddTags":
        fragment["Tags"] = {"MacroAdded": "True"}
    elif name == "ConvertTopicToFifo":
        fragment.update({"FifoTopic": True, "ContentBasedDeduplication": True})
    elif name == "GenerateRandom":
        fragment = params["Prefix"] + os.urandom(4).hex()
    elif name == "PrintInternals":
        fragment["Resources"]["Parameter"]["Properties"]["Value"] = json.dumps({"Event": event})
    elif name == "Unsuccessful":
        if out["status"] == "success":
            fragment = "invalid"
        elif "Message" in params:
            out["errorMessage"] = params["Message"]
    out["fragment"] = fragment
    return out
`

// macro is a stack's template of a function and the macros that it is.
func macro(t testing.TB, names ...string) string {
	t.Helper()
	resources := map[string]any{
		"Role": map[string]any{"Type": "AWS::IAM::Role", "Properties": map[string]any{"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{
			map[string]any{"Effect": "Allow", "Principal": map[string]any{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}}}},
		"Function": map[string]any{"Type": "AWS::Lambda::Function", "Properties": map[string]any{"Runtime": "python3.12", "Handler": "index.handler", "Timeout": 60,
			"Role": map[string]any{"Fn::GetAtt": "Role.Arn"}, "Code": map[string]any{"ZipFile": macroCode}}},
	}
	for _, name := range names {
		resources[name] = map[string]any{"Type": "AWS::CloudFormation::Macro", "Properties": map[string]any{"Name": name, "FunctionName": map[string]any{"Fn::GetAtt": "Function.Arn"}}}
	}
	b, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// macros plays the cases of macros, and leaves the macros and the included files
// for those of changesets.yaml.
func (w *recordedWorld) macros(t *testing.T) {
	w.play(t, "test_template_engine", "TestMacros::test_error_pass_macro_as_reference", func(p *play) {
		w.refused(p.Case, "error", &cloudformation.CreateStackInput{StackName: p.stack, Parameters: parametersOf([]string{"MacroName", "NonExistent"}), Capabilities: allCapabilities,
			TemplateBody: `{"Parameters": {"MacroName": {"Type": "String"}}, "Resources": {"A": ` + parameterA + `}, "Transform": [{"Name": {"Ref": "MacroName"}}]}`})
	})
	made, err := w.p.services.cloudformation.CreateStack(w.ctx, &cloudformation.CreateStackInput{StackName: "replay-macros", Capabilities: allCapabilities,
		TemplateBody: macro(t, "Substitution", "ReplaceString", "AddTags", "ConvertTopicToFifo", "GenerateRandom", "PrintInternals", "Unsuccessful")})
	if err != nil {
		t.Fatal(err)
	}
	w.play(t, "test_template_engine", "TestMacros::test_macro_deployment", func(p *play) {
		w.settled(p.Case, made.StackId)
		function := replay.As[cloudformation.DescribeStackResourceOutput](p.Call("", w.ctx, &cloudformation.DescribeStackResourceInput{StackName: "replay-macros", LogicalResourceId: "Function"}))
		p.deploy(`{"Parameters": {"FunctionName": {"Type": "String"}}, "Resources": {"Macro": {"Type": "AWS::CloudFormation::Macro", "Properties": {"Name": "SubstitutionMacro",
			"FunctionName": {"Ref": "FunctionName"}}}}, "Outputs": {"MacroRef": {"Value": {"Ref": "Macro"}}}}`, "FunctionName", function.StackResourceDetail.PhysicalResourceId)
		p.Hold("stack_outputs", p.outputs())
		p.Call("stack_resource_descriptions", w.ctx, &cloudformation.DescribeStackResourcesInput{StackName: p.stack})
		p.id = "" // the macro stays for others
	})
	for name, parameters := range map[string]string{
		"return_invalid_template.py":             ``,
		"return_unsuccessful_with_message.py":    `, "Parameters": {"Status": "failed", "Message": "failed because it is a test"}`,
		"return_unsuccessful_without_message.py": `, "Parameters": {"Status": "failed"}`,
	} {
		w.play(t, "test_template_engine", "TestMacros::test_failed_state["+name+"]", func(p *play) {
			p.create(`{"Resources": {"Parameter": ` + parameterA + `}, "Transform": [{"Name": "Unsuccessful"` + parameters + `}]}`)
			for _, e := range p.allEvents() {
				if event := e.(map[string]any); event["ResourceStatus"] == "ROLLBACK_IN_PROGRESS" {
					p.Hold("failed_description", event)
				}
			}
		})
	}
	w.play(t, "test_template_engine", "TestMacros::test_scope_order_and_parameters", func(p *play) {
		p.deploy(recordedTemplate(p, "transformation_multiple_scope_parameter.yml"))
		p.Call("processed_template", w.ctx, &cloudformation.GetTemplateInput{StackName: p.stack, TemplateStage: "Processed"})
	})
	for _, name := range []string{"", "[transformation_snippet_topic.json]"} {
		w.play(t, "test_template_engine", "TestMacros::test_snipped_scope"+name, func(p *play) {
			p.deploy(recordedTemplate(p, "transformation_snippet_topic.json"), "TopicName", "replayed-snippet.fifo")
			if name != "" {
				p.Call("original_template", w.ctx, &cloudformation.GetTemplateInput{StackName: p.stack, TemplateStage: "Original"})
			}
			p.Call("processed_template", w.ctx, &cloudformation.GetTemplateInput{StackName: p.stack, TemplateStage: "Processed"})
		})
	}
	w.play(t, "test_template_engine", "TestMacros::test_validate_lambda_internals", func(p *play) {
		p.create(`{"Parameters": {"ExampleParameter": {"Type": "String", "Default": "example-value"}}, "Resources": {"Parameter": {"Type": "AWS::SSM::Parameter",
			"Properties": {"Value": "<replace-this>", "Type": "String"}}}, "Transform": [{"Name": "PrintInternals", "Parameters": {"Input": "test-input"}}]}`)
		out := replay.As[cloudformation.GetTemplateOutput](p.Call("", w.ctx, &cloudformation.GetTemplateInput{StackName: p.stack, TemplateStage: "Processed"}))
		var body struct {
			Resources map[string]struct{ Properties struct{ Value string } }
		}
		if err := json.Unmarshal([]byte(out.TemplateBody), &body); err != nil {
			p.Fatal(err)
		}
		p.Hold("event", body.Resources["Parameter"].Properties.Value)
	})
	w.upload(t, "replayed-includes", "yml", "Parameter2:\n  Type: AWS::SSM::Parameter\n  Properties: {Name: name-2-bd1e2d36, Type: String, Value: foo}\n")
	w.upload(t, "replayed-includes", "json", `{"Outputs": {"ParameterRef": {"Value": {"Ref": "Parameter"}}}}`)
}

// upload puts an object into a bucket, which it makes where it is not there.
func (w *recordedWorld) upload(t testing.TB, bucket, key, text string) {
	t.Helper()
	of := w.p.services.s3
	if _, err := of.HeadBucket(w.ctx, &s3.HeadBucketInput{Bucket: bucket}); err != nil {
		if _, err := of.CreateBucket(w.ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := of.PutObject(w.ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: io.NopCloser(strings.NewReader(text))}); err != nil {
		t.Fatal(err)
	}
}
