package platform

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	iam "github.com/slipway/slipway/api/iam"
	lambda "github.com/slipway/slipway/api/lambda"
	sqs "github.com/slipway/slipway/api/sqs"
)

const functionRole = `"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
	{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}}}`

// functions plays the cases of Lambda's resource types. Their functions run.
func (w *recordedWorld) functions(t *testing.T) {
	const file = "resources/test_lambda"
	w.play(t, file, "test_multiple_lambda_permissions_for_singlefn", func(p *play) {
		permission := func(service string) string {
			return `{"Type": "AWS::Lambda::Permission", "Properties": {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "Function"}, "Principal": "` + service + `.amazonaws.com"}}`
		}
		p.deploy(`{"Resources": {` + functionRole + `, "Function": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "python3.12", "Handler": "index.handler",
			"Role": {"Fn::GetAtt": "Role.Arn"}, "Code": {"ZipFile": "def handler(event, context):\n    return event\n"}}},
			"PermissionLambda": ` + permission("lambda") + `, "PermissionStates": ` + permission("states") + `},
			"Outputs": {"LambdaName": {"Value": {"Ref": "Function"}}, "PermissionLambda": {"Value": {"Ref": "PermissionLambda"}}, "PermissionStates": {"Value": {"Ref": "PermissionStates"}}}}`)
		outputs := p.outputs()
		for placeholder, output := range map[string]string{"<p1-sid>": "PermissionLambda", "<p2-sid>": "PermissionStates", "<fn-name>": "LambdaName"} {
			p.Bind(placeholder, outputs[output].(string))
		}
		out, err := w.p.services.lambda.GetPolicy(w.ctx, &lambda.GetPolicyInput{FunctionName: outputs["LambdaName"].(string)})
		policy := p.answer(lambda.Describe(), "GetPolicy", out, err)
		policy["Policy"] = bySid(policy["Policy"])
		p.Hold("policy", policy)
	})
	w.play(t, file, "test_lambda_function_tags", func(p *play) {
		// What AWS::Serverless makes of the record's template.
		p.deploy(`{"Resources": {` + functionRole + `, "TestFunction": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "replayed-tags", "Runtime": "python3.11", "Handler": "index.handler",
			"Role": {"Fn::GetAtt": "Role.Arn"}, "Code": {"ZipFile": "def handler(event, context):\n    return event\n"},
			"Tags": [{"Key": "lambda:createdBy", "Value": "SAM"}, {"Key": "Environment", "Value": "replayed"}]}}}}`)
		p.Bind("<stack-name>", p.stack)
		p.Bind("<environment>", "replayed")
		out, err := w.p.services.lambda.GetFunction(w.ctx, &lambda.GetFunctionInput{FunctionName: "replayed-tags"})
		p.Hold("get_function_result", p.answer(lambda.Describe(), "GetFunction", out, err))
	})
	w.play(t, file, "test_lambda_cfn_dead_letter_config_async_invocation", func(p *play) {
		p.deploy(`{"Resources": {"DLQ": {"Type": "AWS::SQS::Queue"}, "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
				{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}, "Policies": [{"PolicyName": "send", "PolicyDocument": {"Version": "2012-10-17",
				"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": "DLQ.Arn"}}]}}]}},
			"Function": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "python3.12", "Handler": "index.handler", "Role": {"Fn::GetAtt": "Role.Arn"},
				"DeadLetterConfig": {"TargetArn": {"Fn::GetAtt": "DLQ.Arn"}}, "Code": {"ZipFile": "def handler(event, context):\n    raise RuntimeError('as is wanted')\n"}}},
			"Once": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": 0}}},
			"Outputs": {"LambdaName": {"Value": {"Ref": "Function"}}, "DLQName": {"Value": {"Ref": "DLQ"}}}}`)
		if _, err := w.p.services.lambda.Invoke(w.ctx, &lambda.InvokeInput{FunctionName: p.outputs()["LambdaName"].(string), InvocationType: "Event", Payload: []byte(`{}`)}); err != nil {
			p.Fatal(err)
		}
		var message sqs.Message
		for deadline := time.Now().Add(time.Minute); message.MessageId == "" && time.Now().Before(deadline); {
			out, err := w.p.services.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{QueueUrl: p.outputs()["DLQName"].(string), VisibilityTimeout: new(int32), WaitTimeSeconds: new(int32(5))})
			if err != nil {
				p.Fatal(err)
			}
			for _, m := range out.Messages {
				message = m
			}
		}
		p.Hold("failed-async-lambda", p.answer(sqs.Describe(), "ReceiveMessage", &sqs.ReceiveMessageOutput{Messages: []sqs.Message{message}}, nil))
	})
	w.play(t, file, "TestCfnLambdaIntegrations::test_cfn_lambda_sqs_source", w.queueSource)
}

// queueSource holds each part of a function that a queue feeds.
func (w *recordedWorld) queueSource(p *play) {
	of := w.p.services
	p.deploy(recordedTemplate(p, "cfn_lambda_sqs_source.yaml"))
	outputs := p.outputs()
	name, queue := outputs["FunctionName"].(string), outputs["QueueUrl"].(string)
	p.Bind("<iam-policy-physicalid>", p.physical("fnServiceRoleDefaultPolicy0ED5D3E5"))
	p.Except("stack_resources/StackResources/4/PhysicalResourceId", "the queue's URL is this server's")
	p.Call("stack_resources", w.ctx, &cloudformation.DescribeStackResourcesInput{StackName: p.id})
	function, err := of.lambda.GetFunction(w.ctx, &lambda.GetFunctionInput{FunctionName: name})
	p.Hold("get_function_result", p.answer(lambda.Describe(), "GetFunction", function, err))
	role := p.physical("fnServiceRole5D180AFD")
	source, err := of.lambda.GetEventSourceMapping(w.ctx, &lambda.GetEventSourceMappingInput{UUID: outputs["ESMId"].(string)})
	p.Hold("get_esm_result", p.answer(lambda.Describe(), "GetEventSourceMapping", source, err))
	attributes, err := of.sqs.GetQueueAttributes(w.ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []string{"All"}})
	p.Hold("get_queue_atts_result", p.answer(sqs.Describe(), "GetQueueAttributes", attributes, err))
	found, err := of.iam.GetRole(w.ctx, &iam.GetRoleInput{RoleName: role})
	p.Except("get_role_result/Role/Description", "CloudFormation gives roles an empty description; here they have none")
	p.Except("get_role_result/Role/Tags", "the stack's tags are on roles, too")
	p.Hold("get_role_result", p.answer(iam.Describe(), "GetRole", found, err))
	attached, err := of.iam.ListAttachedRolePolicies(w.ctx, &iam.ListAttachedRolePoliciesInput{RoleName: role})
	p.Hold("list_attached_role_policies_result", p.answer(iam.Describe(), "ListAttachedRolePolicies", attached, err))
	inline, err := of.iam.ListRolePolicies(w.ctx, &iam.ListRolePoliciesInput{RoleName: role})
	p.Hold("list_inline_role_policies_result", p.answer(iam.Describe(), "ListRolePolicies", inline, err))
	policy, err := of.iam.GetRolePolicy(w.ctx, &iam.GetRolePolicyInput{RoleName: role, PolicyName: inline.PolicyNames[0]})
	answer := p.answer(iam.Describe(), "GetRolePolicy", policy, err)
	answer["ResponseMetadata"] = "<response-metadata>"
	p.Hold("role_policies", map[string]any{"policies": []any{answer}})
}

// bySid is a policy whose statements are in the order of their names.
func bySid(policy any) any {
	var v map[string]any
	if json.Unmarshal([]byte(policy.(string)), &v) != nil {
		return policy
	}
	slices.SortFunc(v["Statement"].([]any), func(a, b any) int {
		return strings.Compare(a.(map[string]any)["Sid"].(string), b.(map[string]any)["Sid"].(string))
	})
	return v
}
