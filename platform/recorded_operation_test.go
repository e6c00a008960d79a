package platform

import (
	"fmt"
	"strings"
	"testing"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// operations plays the cases of stacks in which something is beside the one stack:
// other stacks, parameters that templates take values of, a policy in a bucket.
func (w *recordedWorld) operations(t *testing.T) {
	const imports = `{"Resources": {"MyFoo": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ImportValue": "replay-export"}}}}}`
	const exports = `{"Resources": {"P": ` + parameterA + `}, "Outputs": {"O": {"Value": {"Ref": "P"}, "Export": {"Name": "replay-export"}}}}`
	for _, name := range []string{"", "_non_existent_export", "_non_existent_export_then_create"} {
		w.play(t, "test_change_set_exports_imports", "TestChangeSetImportExport::test_describe_change_set_import"+name, func(p *play) {
			p.stack = strings.TrimSuffix("replay-import"+strings.ReplaceAll(name, "_", "-"), "-")
			p.Bind("<stack-name:1>", p.stack)
			p.Bind("<change-set-name:1>", "replay")
			p.Bind("<export-name>", "replay-export")
			exporter := ""
			export := func() {
				exporter = replay.As[cloudformation.CreateStackOutput](p.Call("", w.ctx, &cloudformation.CreateStackInput{StackName: "replay-exporter", TemplateBody: exports})).StackId
				w.settled(p.Case, exporter)
			}
			if name == "" {
				export()
			}
			p.id = p.review("CREATE", imports, nil)
			yes := true
			p.Call("describe", w.ctx, &cloudformation.DescribeChangeSetInput{StackName: p.stack, ChangeSetName: "replay"})
			p.Call("describe_with_values", w.ctx, &cloudformation.DescribeChangeSetInput{StackName: p.stack, ChangeSetName: "replay", IncludePropertyValues: &yes})
			if strings.HasSuffix(name, "create") {
				export()
			}
			p.Call("", w.ctx, &cloudformation.ExecuteChangeSetInput{StackName: p.stack, ChangeSetName: "replay"})
			w.settled(p.Case, p.id)
			p.Hold("post-deploy-stack-describe", w.stack(p.Case, p.id))
			p.remove()
			if exporter != "" {
				p.Call("", w.ctx, &cloudformation.DeleteStackInput{StackName: exporter})
				w.settled(p.Case, exporter)
			}
		})
	}
	w.play(t, "test_change_sets", "test_list_change_sets", func(p *play) {
		p.Bind("<change-set-name:1>", "replay")
		p.id = p.review("CREATE", `{"Resources": {"A": `+parameterA+`}}`, nil)
		p.Call("change-sets", w.ctx, &cloudformation.ListChangeSetsInput{StackName: p.stack})
	})
	w.play(t, "test_template_engine", "TestImportValues::test_cfn_with_exports", func(p *play) {
		var outputs []string
		for i := range 3 {
			outputs = append(outputs, fmt.Sprintf(`"O%d": {"Value": "test", "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-TestExport-%d"}}}`, i, i))
		}
		p.create(`{"Resources": {"A": ` + parameterA + `}, "Outputs": {` + strings.Join(outputs, ", ") + `}}`)
		p.Bind("<stack-id>", p.id)
		p.Bind("<stack-name>", p.stack)
		out := replay.As[cloudformation.ListExportsOutput](p.Call("", w.ctx, &cloudformation.ListExportsInput{}))
		p.Hold("exports", replay.Tree(cloudformation.Describe(), "ListExports", out)["Exports"])
	})
	w.play(t, "test_template_engine", "TestPseudoParameters::test_stack_id", func(p *play) {
		p.create(`{"Resources": {"A": ` + parameterA + `}, "Outputs": {"StackId": {"Value": {"Ref": "AWS::StackId"}}}}`)
		p.Bind("<stack-id>", p.id)
		p.Hold("StackId", p.outputs()["StackId"])
	})
	w.play(t, "test_template_engine", "TestSsmParameters::test_create_stack_with_ssm_parameters", func(p *play) {
		w.put(p, "replay-parameter", "resolved")
		p.deploy(`{"Parameters": {"parameter123": {"Type": "AWS::SSM::Parameter::Value<String>"}}, "Resources": {"topic": {"Type": "AWS::SNS::Topic", "Properties":
			{"Tags": [{"Key": "param-value", "Value": {"Fn::Sub": "param ${parameter123}"}}]}}}}`, "parameter123", "replay-parameter")
		p.Hold("stack-details", w.stack(p.Case, p.id))
		p.Leave("topic-tags", "held in package resource/sns")
	})
	for _, toggle := range []string{"yes", "no"} {
		w.play(t, "engine/test_conditions", "TestCloudFormationConditions::test_references_to_disabled_resources["+toggle+"]", func(p *play) {
			p.deploy(recordedTemplate(p, "references_to_conditions.yml"), "Toggle", toggle, "ParameterValue", "replayed")
			p.describe("stack-description")
			p.Call("resources-description", w.ctx, &cloudformation.DescribeStackResourcesInput{StackName: p.stack})
		})
	}
	for _, which := range []string{"prod-bucket-policy", "prod-nobucket-nopolicy"} {
		w.play(t, "engine/test_conditions", "TestCloudFormationConditions::test_nested_conditions["+which+"]", func(p *play) {
			parameters := []string{"EnvType", "prod"}
			if which == "prod-bucket-policy" {
				parameters = append(parameters, "BucketName", "replayed-bucket")
			}
			p.nested(recordedTemplate(p, "conditions/nested-conditions.yaml"), parameters)
		})
	}
	w.play(t, "api/test_resources", "test_describe_failed_resource", func(p *play) {
		p.create(`{"Resources": {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ImportValue": "replay-none"}}}}}`)
		p.Bind("<stack-name>", p.stack)
		w.refused(p.Case, "error", &cloudformation.DescribeStackResourceInput{StackName: p.stack, LogicalResourceId: "Parameter"})
	})
	w.play(t, "api/test_update_stack", "test_update_with_resource_types", func(p *play) {
		p.create(`{"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}`)
		update := `{"Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "a"}}}}`
		w.refused(p.Case, "invalid_type_error", &cloudformation.UpdateStackInput{StackName: p.stack, TemplateBody: update, ResourceTypes: []string{"AWS::EC2:*"}})
		w.refused(p.Case, "resource_not_allowed", &cloudformation.UpdateStackInput{StackName: p.stack, TemplateBody: update, ResourceTypes: []string{"AWS::EC2::*"}})
	})
}

// nested holds each answer about a stack that a change set makes.
func (p *play) nested(body string, parameters []string) {
	p.Helper()
	p.Bind("<change-set-name:1>", "replay")
	made := replay.As[cloudformation.CreateChangeSetOutput](p.Call("create_cs_result", p.w.ctx, &cloudformation.CreateChangeSetInput{
		StackName: p.stack, ChangeSetName: "replay", ChangeSetType: "CREATE", TemplateBody: body, Parameters: parametersOf(parameters),
	}))
	p.id = made.StackId
	p.w.until(p.Case, "the change set", func() string {
		return replay.As[cloudformation.DescribeChangeSetOutput](p.Call("", p.w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id})).Status
	})
	p.Call("describe_changeset_result", p.w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id})
	p.Call("", p.w.ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: made.Id})
	p.w.settled(p.Case, p.id)
	p.Call("stack_resources", p.w.ctx, &cloudformation.DescribeStackResourcesInput{StackName: p.id})
	p.Hold("stack_events", map[string]any{"StackEvents": p.allEvents(), "ResponseMetadata": map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": 200.0}})
	p.describe("describe_stack_result")
}
