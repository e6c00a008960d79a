package platform

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	cloudwatch "github.com/slipway/slipway/api/cloudwatch"
	ec2 "github.com/slipway/slipway/api/ec2"
	iam "github.com/slipway/slipway/api/iam"
	s3 "github.com/slipway/slipway/api/s3"
	secretsmanager "github.com/slipway/slipway/api/secretsmanager"
	sns "github.com/slipway/slipway/api/sns"
	ssm "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// refusal is an error of any service, as the records have it.
func refusal(err error, status int, more map[string]any) map[string]any {
	e, ok := fault.As(err)
	if !ok {
		return map[string]any{"no refusal": fmt.Sprint(err)}
	}
	said := map[string]any{"Code": e.Code, "Message": e.Message}
	for k, v := range more {
		said[k] = v
	}
	return map[string]any{"Error": said, "ResponseMetadata": map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": float64(status)}}
}

// services plays the cases in which buckets, secrets, alarms, keys and roles stand
// beside the stack.
func (w *recordedWorld) services(t *testing.T) {
	of := w.p.services
	w.upload(t, "replayed-files", "empty.json", `{}`)
	w.upload(t, "replayed-files", "invalid.json", `{"ThisIsNotAPolicy": true}`)
	w.upload(t, "replayed-files", "topic.json", `{"Parameters": {"TopicName": {"Type": "String"}}, "Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "TopicName"}}}}}`)
	const files = "https://replayed-files.s3.amazonaws.com/"
	w.play(t, "api/test_stack_policies", "TestStackPolicy::test_set_empty_policy_with_url", func(p *play) {
		p.create(`{"Resources": {"A": ` + parameterA + `}}`)
		p.Call("", w.ctx, &cloudformation.SetStackPolicyInput{StackName: p.stack, StackPolicyURL: files + "empty.json"})
		p.Call("policy", w.ctx, &cloudformation.GetStackPolicyInput{StackName: p.stack})
	})
	w.play(t, "api/test_stack_policies", "TestStackPolicy::test_set_invalid_policy_with_url", func(p *play) {
		p.create(`{"Resources": {"A": ` + parameterA + `}}`)
		w.refused(p.Case, "error", &cloudformation.SetStackPolicyInput{StackName: p.stack, StackPolicyURL: files + "invalid.json"})
	})
	w.play(t, "api/test_templates", "test_create_stack_from_s3_template_url[http_host]", func(p *play) {
		p.Bind("<topic_name>", "replayed-by-url")
		p.id = replay.As[cloudformation.CreateStackOutput](p.Call("", w.ctx, &cloudformation.CreateStackInput{
			StackName: p.stack, TemplateURL: files + "topic.json", Parameters: parametersOf([]string{"TopicName", "replayed-by-url"}),
		})).StackId
		w.settled(p.Case, p.id)
		out, err := of.sns.ListTopics(w.ctx, &sns.ListTopicsInput{})
		if err != nil {
			p.Fatal(err)
		}
		var matching []any
		for _, topic := range out.Topics {
			if strings.HasSuffix(topic.TopicArn, ":replayed-by-url") {
				matching = append(matching, map[string]any{"TopicArn": topic.TopicArn})
			}
		}
		p.Hold("matching-topic", matching)
	})
	w.play(t, "api/test_stacks", "test_update_termination_protection", func(p *play) {
		p.deploy(`{"Parameters": {"ApiName": {"Type": "String"}}, "Resources": {"A": `+parameterA+`}}`, "ApiName", "replayed")
		for i, protect := range []bool{true, false} {
			p.Call("", w.ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: p.stack, EnableTerminationProtection: &protect})
			p.describe(fmt.Sprintf("describe-stack-%d", i+1))
		}
	})
	w.play(t, "api/test_validations", "test_invalid_output_structure[missing-def]", func(p *play) {
		w.refused(p.Case, "validation-error", newChangeSet(`{"Resources": {"Foo": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"MyOutput": {"Value": null, "AnotherValue": null}}}`))
	})
	w.play(t, "test_change_sets", "test_single_resource_static_update", w.staticUpdate)
	w.play(t, "engine/test_references", "TestFnSub::test_fn_sub_cases", func(p *play) {
		p.deploy(substitutions, "Param1", "Param1Value")
		p.Hold("outputs", p.outputs())
	})
	w.play(t, "resource_providers/ec2/test_ec2_resource_provider", "test_deploy_instance_with_key_pair", func(p *play) {
		p.deploy(recordedTemplate(p, "ec2_keypair.yml"))
		name := p.outputs()["KeyPairName"].(string)
		out, err := of.ec2.DescribeKeyPairs(w.ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{name}})
		p.Except("key_pair/KeyPairs/0/Tags", "the stack's tags are on key pairs, too")
		p.Hold("key_pair", p.answer(ec2.Describe(), "DescribeKeyPairs", out, err))
		p.remove()
		_, err = of.ec2.DescribeKeyPairs(w.ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{name}})
		p.Hold("key_pair_deleted", refusal(err, 400, nil))
	})
	w.play(t, "resources/test_ec2", "test_keypair_create_import", func(p *play) {
		// The public key is that of the record, which has its fingerprint.
		p.deploy(`{"Resources": {"Made": {"Type": "AWS::EC2::KeyPair", "Properties": {"KeyName": "replayed-made", "KeyType": "rsa"}}, "Imported": {"Type": "AWS::EC2::KeyPair",
			"Properties": {"KeyName": "replayed-imported", "PublicKeyMaterial": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILR+zNQbYY5ORuhYXGMTSnjRLzS9C5dUdWRKdlqi20q2"}}},
			"Outputs": {"GeneratedKeyPairName": {"Value": {"Ref": "Made"}}, "GeneratedKeyPairFingerprint": {"Value": {"Fn::GetAtt": ["Made", "KeyFingerprint"]}},
			"ImportedKeyPairName": {"Value": {"Ref": "Imported"}}, "ImportedKeyPairFingerprint": {"Value": {"Fn::GetAtt": ["Imported", "KeyFingerprint"]}}}}`)
		out, err := of.ec2.DescribeKeyPairs(w.ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{"replayed-made"}})
		if err != nil {
			p.Fatal(err)
		}
		for placeholder, text := range map[string]string{"<fingerprint>": out.KeyPairs[0].KeyFingerprint, "<generated-key-name>": "replayed-made", "<imported-key-name>": "replayed-imported"} {
			p.Bind(placeholder, text)
		}
		p.Hold("outputs", p.outputs())
	})
	w.play(t, "resources/test_cloudformation", "test_waitcondition", w.waitCondition)
	w.play(t, "resources/test_s3", "test_cfn_handle_s3_notification_configuration", func(p *play) {
		p.deploy(`{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, "Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17",
				"Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}},
			"Bucket": {"Type": "AWS::S3::Bucket", "DependsOn": "Policy", "Properties": {"NotificationConfiguration": {"QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}}},
			"Outputs": {"BucketName": {"Value": {"Ref": "Bucket"}}}}`)
		bucket := p.outputs()["BucketName"].(string)
		out, err := of.s3.GetBucketNotificationConfiguration(w.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
		p.Hold("get_bucket_notification_configuration", p.answer(s3.Describe(), "GetBucketNotificationConfiguration", out, err))
		p.remove()
		_, err = of.s3.GetBucketNotificationConfiguration(w.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
		p.Hold("get_bucket_notification_configuration_error", refusal(err, 404, map[string]any{"BucketName": bucket}))
	})
	w.play(t, "resources/test_secretsmanager", "test_cdk_deployment_generates_secret_value_if_no_value_is_provided", func(p *play) {
		p.deploy(`{"Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": {}}}}, "Outputs": {"SecretARN": {"Value": {"Ref": "Secret"}}}}`)
		out, err := of.secretsmanager.GetSecretValue(w.ctx, &secretsmanager.GetSecretValueInput{SecretId: p.outputs()["SecretARN"].(string)})
		p.Bind("<secret_arn>", p.outputs()["SecretARN"].(string))
		value := p.answer(secretsmanager.Describe(), "GetSecretValue", out, err)
		if len(out.SecretString) == 32 {
			value["SecretString"] = "secret-string" // as the record has it
		}
		p.Hold("generated_key", value)
	})
	w.play(t, "resources/test_secretsmanager", "test_cfn_secret_policy[true]", func(p *play) {
		p.deploy(`{"Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": {}}}, "Policy": {"Type": "AWS::SecretsManager::ResourcePolicy",
			"Properties": {"BlockPublicPolicy": true, "SecretId": {"Ref": "Secret"}, "ResourcePolicy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
				"Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}, "Action": "secretsmanager:ReplicateSecretToRegions", "Resource": "*"}]}}}},
			"Outputs": {"SecretId": {"Value": {"Ref": "Secret"}}, "SecretPolicyArn": {"Value": {"Ref": "Policy"}}}}`)
		id := p.outputs()["SecretId"].(string)
		p.Bind("<secret-name>", id[strings.LastIndex(id, ":")+1:])
		p.Hold("outputs", p.outputs())
		out, err := of.secretsmanager.GetResourcePolicy(w.ctx, &secretsmanager.GetResourcePolicyInput{SecretId: id})
		p.Hold("resource_policy", p.answer(secretsmanager.Describe(), "GetResourcePolicy", out, err))
	})
	w.play(t, "resources/test_cloudwatch", "test_composite_alarm_creation", func(p *play) {
		alarm := func(name, description, treat string) string {
			return `"` + name + `": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "` + name + `", "AlarmDescription": "` + description + `", "ComparisonOperator": "GreaterThanThreshold",
				"EvaluationPeriods": 1, "MetricName": "MemoryUsage", "Namespace": "CustomNamespace", "Period": 60, "Statistic": "Average", "Threshold": 65, "TreatMissingData": "` + treat + `"}}`
		}
		p.deploy(`{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}, ` + alarm("HighCPUUsage", "CPU usage is high", "notBreaching") + `, ` + alarm("HighMemoryUsage", "Memory usage is high", "breaching") + `,
			"All": {"Type": "AWS::CloudWatch::CompositeAlarm", "DependsOn": ["HighCPUUsage", "HighMemoryUsage"], "Properties": {"AlarmName": "HighResourceUsage", "AlarmActions": [{"Ref": "Topic"}],
				"AlarmDescription": "Indicates that the system resource usage is high while no known deployment is in progress", "AlarmRule": "(ALARM(HighCPUUsage) OR ALARM(HighMemoryUsage))"}}}}`)
		for entry, in := range map[string]*cloudwatch.DescribeAlarmsInput{
			"composite_alarm": {AlarmNames: []string{"HighResourceUsage"}, AlarmTypes: []string{"CompositeAlarm"}},
			"metric_alarm":    {AlarmNames: []string{"HighMemoryUsage"}, AlarmTypes: []string{"MetricAlarm"}},
		} {
			out, err := of.cloudwatch.DescribeAlarms(w.ctx, in)
			answer := p.answer(cloudwatch.Describe(), "DescribeAlarms", out, err)
			p.Hold(entry, answer[map[string]string{"composite_alarm": "CompositeAlarms", "metric_alarm": "MetricAlarms"}[entry]])
		}
	})
	w.play(t, "resources/test_stack_sets", "test_create_stack_set_with_stack_instances", func(p *play) {
		w.stackSetRoles(p)
		const body = `{"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}`
		p.Call("create_stack_set", w.ctx, &cloudformation.CreateStackSetInput{StackSetName: "replayed-set", TemplateBody: body})
		here := []string{replay.Account}
		out := replay.As[cloudformation.CreateStackInstancesOutput](p.Call("create_stack_instances", w.ctx, &cloudformation.CreateStackInstancesInput{
			StackSetName: "replayed-set", Accounts: here, Regions: []string{"us-east-1"}}))
		w.stackSetOperation(p, out.OperationId)
		again := replay.As[cloudformation.CreateStackInstancesOutput](p.Call("", w.ctx, &cloudformation.CreateStackInstancesInput{StackSetName: "replayed-set", Accounts: here, Regions: []string{"us-east-1"}}))
		w.stackSetOperation(p, again.OperationId)
		no := false
		gone := replay.As[cloudformation.DeleteStackInstancesOutput](p.Call("", w.ctx, &cloudformation.DeleteStackInstancesInput{StackSetName: "replayed-set", Accounts: here, Regions: []string{"us-east-1"}, RetainStacks: &no}))
		w.stackSetOperation(p, gone.OperationId)
		p.Call("", w.ctx, &cloudformation.DeleteStackSetInput{StackSetName: "replayed-set"})
	})
}

// stackSetRoles makes the roles that stack sets with permissions of one's own use.
func (w *recordedWorld) stackSetRoles(p *play) {
	p.Helper()
	trust := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {%s}, "Action": "sts:AssumeRole"}]}`
	for _, r := range [][2]string{
		{"AWSCloudFormationStackSetAdministrationRole", `"Service": "cloudformation.amazonaws.com"`},
		{"AWSCloudFormationStackSetExecutionRole", `"AWS": "arn:aws:iam::` + replay.Account + `:role/AWSCloudFormationStackSetAdministrationRole"`},
	} {
		if _, err := w.p.services.iam.CreateRole(w.ctx, &iam.CreateRoleInput{RoleName: r[0], AssumeRolePolicyDocument: fmt.Sprintf(trust, r[1])}); err != nil {
			p.Fatal(err)
		}
		if _, err := w.p.services.iam.PutRolePolicy(w.ctx, &iam.PutRolePolicyInput{RoleName: r[0], PolicyName: "all",
			PolicyDocument: `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`}); err != nil {
			p.Fatal(err)
		}
	}
}

// stackSetOperation waits until an operation has succeeded.
func (w *recordedWorld) stackSetOperation(p *play, id string) {
	p.Helper()
	status := ""
	for deadline := time.Now().Add(time.Minute); status != "SUCCEEDED" && time.Now().Before(deadline); {
		out := replay.As[cloudformation.DescribeStackSetOperationOutput](p.Call("", w.ctx, &cloudformation.DescribeStackSetOperationInput{StackSetName: "replayed-set", OperationId: id}))
		if status = out.StackSetOperation.Status; status == "FAILED" {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if status != "SUCCEEDED" {
		p.Fatalf("the operation is %s", status)
	}
}

// staticUpdate changes a parameter by a change set.
func (w *recordedWorld) staticUpdate(p *play) {
	template := func(value string) string {
		return `{"Resources": {"MyParameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "replayed-static", "Type": "String", "Value": "` + value + `"}}}}`
	}
	for i, value := range []string{"foo", "bar"} {
		n, kind := string(rune('1'+i)), []string{"CREATE", "UPDATE"}[i]
		set := replay.As[cloudformation.CreateChangeSetOutput](p.Call("", w.ctx, &cloudformation.CreateChangeSetInput{StackName: p.stack, ChangeSetName: "replay-" + n, ChangeSetType: kind, TemplateBody: template(value)}))
		p.id = set.StackId
		w.until(p.Case, "the change set", func() string {
			return replay.As[cloudformation.DescribeChangeSetOutput](p.Call("", w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: set.Id})).Status
		})
		p.Call("describe-"+n, w.ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: set.Id})
		p.Call("", w.ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: set.Id})
		w.settled(p.Case, p.id)
		out, err := w.p.services.ssm.GetParameter(w.ctx, &ssm.GetParameterInput{Name: "replayed-static"})
		p.Hold("parameter-"+n, p.answer(ssm.Describe(), "GetParameter", out, err)["Parameter"])
	}
}

// recordedStack is the stack that a record has left as it was.
var recordedStack = regexp.MustCompile(`stack-[0-9a-f]{8}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// waitCondition signals a stack's handle, whose URL a parameter tells.
func (w *recordedWorld) waitCondition(p *play) {
	call := auth.From(w.ctx)
	call.Endpoint = w.p.Endpoint()
	p.id = replay.As[cloudformation.CreateStackOutput](p.Call("", auth.With(w.ctx, call), &cloudformation.CreateStackInput{
		StackName: p.stack, TemplateBody: recordedTemplate(p, "cfn_waitcondition.yaml"), Parameters: parametersOf([]string{"ParameterName", "wait-handle-url"}),
	})).StackId
	url := ""
	for deadline := time.Now().Add(time.Minute); url == "" && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if out, err := w.p.services.ssm.GetParameter(w.ctx, &ssm.GetParameterInput{Name: "wait-handle-url"}); err == nil {
			url = out.Parameter.Value
		}
	}
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPut, url, strings.NewReader(`{"Status": "SUCCESS", "Reason": "ready", "UniqueId": "1", "Data": "done"}`))
	if err != nil {
		p.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		p.Fatal(answer.Status, err)
	}
	w.settled(p.Case, p.id)
	p.Blank(recordedStack)
	p.Hold("waitcondition_ref", map[string]any{"WaitConditionName": p.outputs()["WaitConditionRef"]})
}

// substitutions has the forms of Fn::Sub.
const substitutions = `
Parameters: {Param1: {Type: String}}
Resources: {P: {Type: "AWS::SSM::Parameter", Properties: {Type: String, Value: unimportant, Name: !Ref Param1}}}
Outputs:
  StringStatic: {Value: !Sub this is a static string}
  StringRefParam: {Value: !Sub "${Param1}"}
  StringRefResource: {Value: !Sub "${P}"}
  StringRefPseudoParam: {Value: !Sub "${AWS::Region}"}
  StringRefMultiple: {Value: !Sub "${Param1} - ${P}"}
  StringRefGetAtt: {Value: !Sub "${P.Value}"}
  ListStatic: {Value: !Sub [this is a static string, {Unused: x}]}
  ListRefParam: {Value: !Sub ["${Param1}", {Unused: x}]}
  ListRefResourceDirect: {Value: !Sub ["${P}", {Unused: x}]}
  ListRefResourceMappingRef: {Value: !Sub ["${R}", {R: !Ref P}]}
  ListRefPseudoParam: {Value: !Sub ["${AWS::Region}", {Unused: x}]}
  ListRefMultipleMix: {Value: !Sub ["${R}-${AWS::Region}-${Param1}", {R: !Ref P}]}
  ListRefGetAtt: {Value: !Sub ["${P.Value}", {Unused: x}]}
  ListRefGetAttMapping: {Value: !Sub ["${V}", {V: !GetAtt P.Value}]}
  UrlSuffixPseudoParam: {Value: !Sub "${AWS::URLSuffix}"}
`
