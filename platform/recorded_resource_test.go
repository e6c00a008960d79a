package platform

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slipway/slipway/api"
	cloudformation "github.com/slipway/slipway/api/cloudformation"
	ec2 "github.com/slipway/slipway/api/ec2"
	logs "github.com/slipway/slipway/api/logs"
	secretsmanager "github.com/slipway/slipway/api/secretsmanager"
	sns "github.com/slipway/slipway/api/sns"
	ssm "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// answer is an answer of any service, as the records have it. The error ends the
// test.
func (p *play) answer(svc *api.Service, operation string, out any, err error) map[string]any {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", operation, err)
	}
	tree := replay.Tree(svc, operation, out)
	tree["ResponseMetadata"] = map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": 200.0}
	return tree
}

// resources plays the cases that are about a resource type: what the service has
// that a template made.
func (w *recordedWorld) resources(t *testing.T) {
	of := w.p.services
	w.play(t, "resource_providers/ssm/test_parameter", "TestBasicCRD::test_black_box", func(p *play) {
		p.deploy(`{"Resources": {"MyResource": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "abc123"}}}, "Outputs": {"MyRef": {"Value": {"Ref": "MyResource"}}}}`)
		name := p.outputs()["MyRef"].(string)
		p.Bind("<parameter>", name)
		out, err := of.ssm.GetParameter(w.ctx, &ssm.GetParameterInput{Name: name})
		p.Hold("describe-resource", p.answer(ssm.Describe(), "GetParameter", out, err))
		p.remove()
		_, err = of.ssm.GetParameter(w.ctx, &ssm.GetParameterInput{Name: name})
		p.Hold("deleted-resource", map[string]any{"error-message": absent(err)})
	})
	w.play(t, "engine/test_update_policy", "test_update_replace_policy_deletion", func(p *play) {
		named := func(name string) string {
			return `{"Resources": {"P": {"Type": "AWS::SSM::Parameter", "UpdateReplacePolicy": "Delete", "Properties": {"Type": "String", "Value": "a", "Name": "` + name + `"}}}}`
		}
		p.create(named("replay-first"))
		p.Call("", w.ctx, &cloudformation.UpdateStackInput{StackName: p.stack, TemplateBody: named("replay-second")})
		w.settled(p.Case, p.id)
		_, err := of.ssm.GetParameter(w.ctx, &ssm.GetParameterInput{Name: "replay-first"})
		p.Hold("error", map[string]any{"message": absent(err)})
	})
	w.play(t, "resources/test_logs", "test_cfn_handle_log_group_resource", func(p *play) {
		p.deploy(recordedTemplate(p, "logs_group.yml"), "LogGroupName", "replayed-group")
		out, err := of.logs.DescribeLogGroups(w.ctx, &logs.DescribeLogGroupsInput{LogGroupNamePrefix: "replayed-group"})
		p.Except("describe_log_groups/logGroups/0/deletionProtectionEnabled", "younger than the record")
		p.Hold("describe_log_groups", timeless(p.answer(logs.Describe(), "DescribeLogGroups", out, err)))
	})
	w.play(t, "resources/test_logs", "test_logstream", func(p *play) {
		p.deploy(`{"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}, "Stream": {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": "Group"}}}},
			"Outputs": {"LogGroupNameOutput": {"Value": {"Ref": "Group"}}, "LogStreamNameOutput": {"Value": {"Ref": "Stream"}}}}`)
		p.Hold("outputs", p.outputs())
		out, err := of.logs.DescribeLogStreams(w.ctx, &logs.DescribeLogStreamsInput{LogGroupName: p.outputs()["LogGroupNameOutput"].(string)})
		p.Hold("describe_log_streams", timeless(p.answer(logs.Describe(), "DescribeLogStreams", out, err))["logStreams"])
	})
	w.play(t, "resource_providers/ec2/test_ec2_resource_provider", "test_deploy_security_group_with_tags", func(p *play) {
		p.deploy(recordedTemplate(p, "ec2_security_group_with_tags.yml"))
		p.Bind("<stack-id>", p.id)
		p.Bind("<stack-name>", p.stack)
		out, err := of.ec2.DescribeSecurityGroups(w.ctx, &ec2.DescribeSecurityGroupsInput{GroupNames: []string{p.physical("SecurityGroup")}})
		group := p.answer(ec2.Describe(), "DescribeSecurityGroups", out, err)["SecurityGroups"].([]any)[0].(map[string]any)
		slices.SortFunc(group["Tags"].([]any), func(a, b any) int {
			return strings.Compare(a.(map[string]any)["Key"].(string), b.(map[string]any)["Key"].(string))
		})
		p.Hold("security-group", group)
	})
	w.play(t, "resources/test_cloudwatch", "test_alarm_creation", func(p *play) {
		p.deploy(`{"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1,
			"MetricName": "m", "Namespace": "n", "Period": 60, "Statistic": "Sum", "Threshold": 1}}},
			"Outputs": {"AlarmName": {"Value": {"Ref": "Alarm"}}, "AlarmArnFromAtt": {"Value": {"Fn::GetAtt": ["Alarm", "Arn"]}}}}`)
		p.Hold("alarm_outputs", p.outputs())
	})
	w.play(t, "resources/test_sns", "test_sns_topic_policy_resets_to_default", func(p *play) {
		const topic = `{"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "replayed-policy"}}`
		p.Bind("<topic-name>", "replayed-policy")
		p.create(topic + `}}`)
		p.Hold("default-topic-attributes", p.topicPolicy())
		p.update(topic + `, "Policy": {"Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
			{"Sid": "0", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sns:Publish", "Resource": {"Ref": "Topic"},
			"Condition": {"StringEquals": {"aws:SourceAccount": "111111111111"}}}]}}}}}`)
		p.Hold("modified-topic-attributes", p.topicPolicy())
		p.update(topic + `}}`)
		p.Hold("reverted-topic-attributes", p.topicPolicy())
	})
	w.play(t, "resources/test_secretsmanager", "test_cfn_secretsmanager_gen_secret", func(p *play) {
		p.secret("replayed-generated")
	})
	w.play(t, "resources/test_secretsmanager", "test_cfn_handle_secretsmanager_secret", func(p *play) {
		id := p.secret("replayed-handled")
		p.remove()
		_, err := of.secretsmanager.DescribeSecret(w.ctx, &secretsmanager.DescribeSecretInput{SecretId: id})
		e, _ := fault.As(err)
		p.Hold("exception", map[string]any{"Error": map[string]any{"Code": e.Code, "Message": e.Message}, "Message": e.Message,
			"ResponseMetadata": map[string]any{"HTTPHeaders": map[string]any{}, "HTTPStatusCode": 400.0}})
	})
}

// absent is what the AWS SDK for Python says of a parameter that is not there. AWS
// gives no message; Slipway says which parameter.
func absent(err error) string {
	e, ok := fault.As(err)
	if !ok {
		return "the parameter is there"
	}
	return "An error occurred (" + e.Code + ") when calling the GetParameter operation: "
}

// update makes the stack another.
func (p *play) update(body string) {
	p.Helper()
	p.Call("", p.w.ctx, &cloudformation.UpdateStackInput{StackName: p.stack, TemplateBody: body})
	p.w.settled(p.Case, p.id)
}

// topicPolicy is the policy of the stack's topic.
func (p *play) topicPolicy() any {
	p.Helper()
	out, err := p.w.p.services.sns.GetTopicAttributes(p.w.ctx, &sns.GetTopicAttributesInput{TopicArn: p.physical("Topic")})
	if err != nil {
		p.Fatal(err)
	}
	return out.Attributes["Policy"]
}

// remove deletes the stack before the case is over.
func (p *play) remove() {
	p.Helper()
	p.Call("", p.w.ctx, &cloudformation.DeleteStackInput{StackName: p.id})
	p.w.settled(p.Case, p.id)
	p.id = ""
}

// physical is the id of the stack's resource.
func (p *play) physical(logicalID string) string {
	p.Helper()
	out := replay.As[cloudformation.DescribeStackResourceOutput](p.Call("", p.w.ctx, &cloudformation.DescribeStackResourceInput{StackName: p.id, LogicalResourceId: logicalID}))
	return out.StackResourceDetail.PhysicalResourceId
}

// recordedID are the ids that the records of secrets have left as they were.
var recordedID = regexp.MustCompile(`stack-[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// tagPlace is the place of one of CloudFormation's tags in the records.
func tagPlace(tag any) int {
	return slices.Index([]string{"aws:cloudformation:stack-name", "aws:cloudformation:logical-id", "aws:cloudformation:stack-id"}, tag.(map[string]any)["Key"].(string))
}

// secret makes a secret of a generated password, and holds it against the record.
func (p *play) secret(name string) (id string) {
	p.Helper()
	p.deploy(`{"Parameters": {"SecretName": {"Type": "String"}}, "Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Description": "Aurora Password",
		"Name": {"Ref": "SecretName"}, "GenerateSecretString": {"SecretStringTemplate": "{\"username\": \"localstack-user\"}", "GenerateStringKey": "password", "PasswordLength": 30,
		"ExcludePunctuation": true}}}}, "Outputs": {"SecretARN": {"Value": {"Ref": "Secret"}}}}`, "SecretName", name)
	id = p.outputs()["SecretARN"].(string)
	p.Bind("<secret-id>", strings.TrimPrefix(id, "arn:aws:secretsmanager:us-east-1:111111111111:secret:"))
	out, err := p.w.p.services.secretsmanager.DescribeSecret(p.w.ctx, &secretsmanager.DescribeSecretInput{SecretId: id})
	p.Blank(recordedID)
	secret := p.answer(secretsmanager.Describe(), "DescribeSecret", out, err)
	slices.SortFunc(secret["Tags"].([]any), func(a, b any) int { return tagPlace(a) - tagPlace(b) })
	for recorded := range p.Entry("secret").(map[string]any)["VersionIdsToStages"].(map[string]any) {
		for id, stages := range secret["VersionIdsToStages"].(map[string]any) {
			secret["VersionIdsToStages"] = map[string]any{recorded: stages}
			p.Logf("version %s stands for the recorded one", id)
		}
	}
	p.Hold("secret", secret)
	return id
}

// timeless is a tree with the word that the records have for the times of
// CloudWatch Logs, which are numbers.
func timeless(tree map[string]any) map[string]any {
	for name, v := range tree {
		switch v := v.(type) {
		case map[string]any:
			timeless(v)
		case []any:
			for _, x := range v {
				if m, ok := x.(map[string]any); ok {
					timeless(m)
				}
			}
		case float64:
			if strings.HasSuffix(name, "Time") {
				tree[name] = "timestamp"
			}
		}
	}
	return tree
}
