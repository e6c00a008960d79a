package platform

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	ssm "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// play is one recorded case, and the stack that it is about.
type play struct {
	*replay.Case
	w         *recordedWorld
	stack, id string
}

// play plays a case by its steps. The stack is called by the case's name.
func (w *recordedWorld) play(t *testing.T, file, name string, steps func(p *play)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		c := w.open(t, file, name)
		p := &play{Case: c, w: w, stack: "replay-" + strings.NewReplacer("_", "-", "[", "-", "]", "", ":", "", ".", "-").Replace(name)}
		c.Bind("<stack-name:1>", p.stack)
		c.Blank(physicalID)
		steps(p)
		if p.id != "" && !t.Failed() {
			c.Call("", w.ctx, &cloudformation.DeleteStackInput{StackName: p.id})
			w.settled(c, p.id)
		}
	})
}

var allCapabilities = []string{"CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}

// deploy makes the stack by a change set, as the recordings' own tools do.
func (p *play) deploy(body string, parameters ...string) {
	p.Helper()
	p.change("CREATE", body, allCapabilities, parameters...)
}

func (p *play) change(kind, body string, capabilities []string, parameters ...string) {
	p.Helper()
	p.id = p.review(kind, body, capabilities, parameters...)
	p.Call("", p.w.ctx, &cloudformation.ExecuteChangeSetInput{StackName: p.stack, ChangeSetName: "replay"})
	p.w.settled(p.Case, p.id)
	if status := p.w.describe(p.Case, p.id).Stacks[0].StackStatus; status != kind+"_COMPLETE" {
		for _, e := range p.allEvents() {
			p.Log(e.(map[string]any)["LogicalResourceId"], e.(map[string]any)["ResourceStatus"], e.(map[string]any)["ResourceStatusReason"])
		}
		p.Fatalf("the stack is %s", status)
	}
}

// review makes a change set and waits for it.
func (p *play) review(kind, body string, capabilities []string, parameters ...string) (stack string) {
	p.Helper()
	out := replay.As[cloudformation.CreateChangeSetOutput](p.Call("", p.w.ctx, &cloudformation.CreateChangeSetInput{
		StackName: p.stack, ChangeSetName: "replay", ChangeSetType: kind, TemplateBody: body, Parameters: parametersOf(parameters), Capabilities: capabilities,
	}))
	p.w.until(p.Case, "the change set", func() string {
		return replay.As[cloudformation.DescribeChangeSetOutput](p.Call("", p.w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: out.Id})).Status
	})
	return out.StackId
}

func (p *play) create(body string, parameters ...string) {
	p.Helper()
	p.id = replay.As[cloudformation.CreateStackOutput](p.Call("", p.w.ctx, &cloudformation.CreateStackInput{
		StackName: p.stack, TemplateBody: body, Parameters: parametersOf(parameters), Capabilities: allCapabilities,
	})).StackId
	p.w.settled(p.Case, p.id)
}

// describe holds DescribeStacks against an entry.
func (p *play) describe(entry string) {
	p.Helper()
	p.Hold(entry, map[string]any{"Stacks": []any{p.w.stack(p.Case, p.id)}, "ResponseMetadata": map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": 200.0}})
}

// outputs are the stack's, as the records have them.
func (p *play) outputs() map[string]any {
	p.Helper()
	out := map[string]any{}
	for _, o := range p.w.describe(p.Case, p.id).Stacks[0].Outputs {
		out[o.OutputKey] = o.OutputValue
	}
	return out
}

// put stores a parameter's value.
func (w *recordedWorld) put(t testing.TB, name, value string) {
	t.Helper()
	yes := true
	if _, err := w.p.services.ssm.PutParameter(w.ctx, &ssm.PutParameterInput{Name: name, Value: value, Type: "String", Overwrite: &yes}); err != nil {
		t.Fatal(err)
	}
}

// stacks plays the cases that are about stacks.
func (w *recordedWorld) stacks(t *testing.T) {
	const one = `{"Resources": {"SimpleParam": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "one"}}}}`
	w.play(t, "api/test_changesets", "test_delete_change_set_exception", func(p *play) {
		w.refused(p.Case, "e1", &cloudformation.DeleteChangeSetInput{StackName: "nostack", ChangeSetName: "none"})
		w.refused(p.Case, "e2", &cloudformation.DeleteChangeSetInput{ChangeSetName: "none"})
	})
	w.play(t, "api/test_changesets", "test_create_while_in_review", func(p *play) {
		p.Bind("<change-set-name:1>", "replay")
		p.id = p.review("CREATE", one, nil)
		p.Except("create_stack_while_in_review/OperationId", "younger than the record")
		p.Call("create_stack_while_in_review", w.ctx, &cloudformation.CreateStackInput{StackName: p.stack, TemplateBody: one})
		w.settled(p.Case, p.id)
		p.describe("describe_stack")
		p.Call("describe_change_set", w.ctx, &cloudformation.DescribeChangeSetInput{StackName: p.stack, ChangeSetName: "replay"})
	})
	w.play(t, "api/test_changesets", "test_create_changeset_with_stack_id", func(p *play) {
		p.id = p.review("CREATE", one, nil)
		p.describe("describe_stack")
		p.Call("", w.ctx, &cloudformation.DeleteStackInput{StackName: p.id})
		w.settled(p.Case, p.id)
		w.refused(p.Case, "recreate_deleted_with_id_exception", &cloudformation.CreateChangeSetInput{
			StackName: p.id, ChangeSetName: "revived-stack-changeset", ChangeSetType: "CREATE", TemplateBody: one,
		})
	})
	w.play(t, "api/test_changesets", "test_create_change_set_no_changes", func(p *play) {
		p.Bind("<change-set-name:1>", "replay")
		p.change("CREATE", one, nil)
		p.review("UPDATE", one, nil)
		p.Call("change-set-description", w.ctx, &cloudformation.DescribeChangeSetInput{StackName: p.stack, ChangeSetName: "replay"})
	})
	w.play(t, "api/test_reference_resolving", "test_nested_getatt_ref[TopicArn]", func(p *play) {
		p.deploy(recordedTemplate(p, "cfn_getatt_ref.yaml"), "MyParam", "replay-getatt", "CustomOutputName", "TopicArn")
		p.Bind("<topic-name>", "replay-getatt")
		p.Hold("outputs", p.outputs())
	})
	w.play(t, "api/test_stack_policies", "TestStackPolicy::test_empty_policy", func(p *play) { p.policy(one, `{}`) })
	w.play(t, "api/test_stack_policies", "TestStackPolicy::test_set_policy_with_url", func(p *play) {
		p.policy(one, `{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}`)
	})
	w.play(t, "api/test_stacks", "test_events_resource_types", func(p *play) {
		p.create(`{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}, "Queue": {"Type": "AWS::SQS::Queue"},
			"Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
				{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}},
			"Subscription": {"Type": "AWS::SNS::Subscription", "Properties": {"Protocol": "sqs", "TopicArn": {"Ref": "Topic"}, "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]}}}}}`)
		p.Hold("resource_types", p.types())
	})
	for _, order := range []string{"B-C-A", "C-B-A"} {
		w.play(t, "api/test_stacks", "test_stack_deploy_order["+order+"]", func(p *play) {
			p.create(`{"Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "root"}},
				"B": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "A"}}},
				"C": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "B"}}}}}`)
			p.Call("", w.ctx, &cloudformation.DeleteStackInput{StackName: p.id})
			w.settled(p.Case, p.id)
			p.Hold("events", p.completed())
			p.id = ""
		})
	}
	for _, name := range []string{"changesets", "create_stack"} {
		w.play(t, "api/test_stacks", "TestStacksApi::test_get_template_using_"+name+"[yaml]", func(p *play) {
			make := p.deploy
			if name == "create_stack" {
				make = p.create
			}
			make("Resources:\n  topic69831491:\n    Type: AWS::SNS::Topic\nOutputs:\n  TopicName:\n    Value:\n      Fn::GetAtt:\n        - topic69831491\n        - TopicName\n")
			p.Call("template_original", w.ctx, &cloudformation.GetTemplateInput{StackName: p.stack, TemplateStage: "Original"})
			p.Call("template_processed", w.ctx, &cloudformation.GetTemplateInput{StackName: p.stack, TemplateStage: "Processed"})
		})
	}
	w.play(t, "api/test_templates", "test_get_template_summary", func(p *play) {
		p.Except("template-summary/Parameters", "the record's template has none")
		p.Except("template-summary/Metadata", "AWS's text of it is no JSON")
		p.Except("template-summary/ResourceIdentifierSummaries/0/ResourceIdentifiers", "the record is older than topics' import")
		p.Call("template-summary", w.ctx, &cloudformation.GetTemplateSummaryInput{TemplateBody: recordedTemplate(p, "sns_topic_simple.yaml")})
	})
	w.play(t, "api/test_update_stack", "test_basic_update", func(p *play) {
		p.create(one)
		p.Except("update_response/OperationId", "younger than the record")
		p.Call("update_response", w.ctx, &cloudformation.UpdateStackInput{StackName: p.stack, TemplateBody: strings.ReplaceAll(one, `"one"`, `"two"`)})
		w.settled(p.Case, p.id)
	})
	w.play(t, "api/test_update_stack", "test_diff_after_update", func(p *play) {
		text := func(value string) string {
			return "\nResources:\n    SimpleParam1:\n        Type: AWS::SSM::Parameter\n        Properties:\n            Value: " + value + "\n            Type: String\n"
		}
		p.create(text("before-stack-update"))
		p.Call("", w.ctx, &cloudformation.UpdateStackInput{StackName: p.stack, TemplateBody: text("after-stack-update")})
		w.settled(p.Case, p.id)
		p.Call("get-template-response", w.ctx, &cloudformation.GetTemplateInput{StackName: p.stack})
		w.refused(p.Case, "update-error", &cloudformation.UpdateStackInput{StackName: p.stack, TemplateBody: text("after-stack-update")})
	})
	w.play(t, "engine/test_attributes", "TestResourceAttributes::test_dependency_on_attribute_with_dot_notation", func(p *play) {
		p.deploy(`{"Resources": {"DeadLetterQueue": {"Type": "AWS::SQS::Queue"}, "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"RedrivePolicy":
			{"deadLetterTargetArn": {"Fn::GetAtt": "DeadLetterQueue.Arn"}, "maxReceiveCount": 1}}}}, "Outputs": {"DeadArn": {"Value": {"Fn::GetAtt": "DeadLetterQueue.Arn"}}}}`)
		p.Hold("outputs", p.outputs())
	})
	w.play(t, "test_change_set_fn_select", "test_nested_select_within_other_intrinsics", func(p *play) {
		p.Bind("<repo-name>", "shop")
		p.Bind("<domain>", "amazonaws.com")
		p.create(`{"Parameters": {"Arn": {"Type": "String"}}, "Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::Join": ["", [
			{"Fn::Select": [4, {"Fn::Split": [":", {"Ref": "Arn"}]}]}, ".dkr.ecr.", {"Fn::Select": [3, {"Fn::Split": [":", {"Ref": "Arn"}]}]}, ".", {"Ref": "AWS::URLSuffix"},
			"/", {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "Arn"}]}]}]]}}}}, "Outputs": {"ParameterValue": {"Value": {"Fn::GetAtt": ["P", "Value"]}},
			"RepoName": {"Value": {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "Arn"}]}]}}}}`, "Arn", "arn:aws:ecr:us-east-1:111111111111:repository/shop")
		p.Hold("parameter-value", p.outputs())
	})
	w.play(t, "test_template_engine", "TestIntrinsicFunctions::test_join_no_value_construct", func(p *play) {
		p.deploy(recordedTemplate(p, "engine/join_no_value.yml"))
		p.Hold("join-output", p.outputs())
	})
	w.play(t, "test_template_engine", "TestIntrinsicFunctions::test_fn_select_has_intrinsic_function", func(p *play) {
		p.deploy(recordedTemplate(p, "engine/fn_select_fn_mapp.yml"))
		p.Hold("fn-select-fn-map-output", p.outputs())
	})
	w.play(t, "test_template_engine", "TestSsmParameters::test_resolve_ssm", func(p *play) {
		w.put(p, "replay-value", "resolved")
		p.Bind("<parameter-value>", "resolved")
		p.deploy(recordedTemplate(p, "resolve_ssm.yaml"), "DynamicParameter", "replay-value", "ParameterName", "replay-value")
		p.Hold("results", p.outputs())
	})
	for _, attribute := range []string{"Type", "Value"} {
		w.play(t, "resource_providers/ssm/test_parameter", "TestAttributeAccess::test_getattr["+attribute+"]", func(p *play) {
			p.deploy(`{"Resources": {"MyResource": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "abc123"}}},
				"Outputs": {"MyRef": {"Value": {"Ref": "MyResource"}}, "MyOutput": {"Value": {"Fn::GetAtt": ["MyResource", "` + attribute + `"]}}}}`)
			p.Hold("stack_outputs", p.outputs())
			p.Hold("physical_resource_id", p.outputs()["MyRef"])
		})
	}
}

// value is what a parameter has.
func (w *recordedWorld) value(t testing.TB, name string) string {
	t.Helper()
	out, err := w.p.services.ssm.GetParameter(w.ctx, &ssm.GetParameterInput{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return out.Parameter.Value
}

// policy sets a stack policy, which the stack then has.
func (p *play) policy(template, policy string) {
	p.Helper()
	p.create(template)
	p.Call("", p.w.ctx, &cloudformation.SetStackPolicyInput{StackName: p.stack, StackPolicyBody: policy})
	p.Call("policy", p.w.ctx, &cloudformation.GetStackPolicyInput{StackName: p.stack})
}

func (p *play) allEvents() []any {
	p.Helper()
	out := replay.Tree(cloudformation.Describe(), "DescribeStackEvents",
		replay.As[cloudformation.DescribeStackEventsOutput](p.Call("", p.w.ctx, &cloudformation.DescribeStackEventsInput{StackName: p.id})))
	events := out["StackEvents"].([]any)
	for _, e := range events {
		event := e.(map[string]any)
		delete(event, "OperationId") // younger than the records
		event["EventId"] = eventTime.ReplaceAllString(event["EventId"].(string), "${1}date")
		if text, ok := event["ResourceProperties"].(string); ok {
			var v any
			if json.Unmarshal([]byte(text), &v) == nil {
				event["ResourceProperties"] = v
			}
		}
	}
	return events
}

// types are those of the stack's resources, in order.
func (p *play) types() []any {
	var names []string
	for _, e := range p.allEvents() {
		names = append(names, e.(map[string]any)["ResourceType"].(string))
	}
	slices.Sort(names)
	var out []any
	for _, name := range slices.Compact(names) {
		out = append(out, name)
	}
	return out
}

// completed are the events of resources that are made or gone, the eldest first.
func (p *play) completed() []any {
	var out []any
	for _, e := range slices.Backward(p.allEvents()) {
		event := e.(map[string]any)
		status := event["ResourceStatus"].(string)
		if event["ResourceType"] != "AWS::CloudFormation::Stack" && (status == "CREATE_COMPLETE" || status == "DELETE_COMPLETE") {
			out = append(out, event)
		}
	}
	return out
}
