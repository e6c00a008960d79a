package wire

import (
	"strings"
	"testing"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/fault"
)

func TestValidate(t *testing.T) {
	long := strings.Repeat("a", 129)
	tests := []struct {
		name, operation string
		svc             *api.Service
		input           any
		code, message   string
	}{
		{"nothing wrong", "CreateStack", cloudformation.Describe(), &cloudformation.CreateStackInput{StackName: "s"}, "", ""},
		{"missing", "CreateStack", cloudformation.Describe(), &cloudformation.CreateStackInput{}, "ValidationError",
			"1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null"},
		{"an element's length", "CreateStack", cloudformation.Describe(),
			&cloudformation.CreateStackInput{StackName: "s", Tags: []cloudformation.Tag{{Key: "k", Value: "v"}, {Key: long, Value: "v"}}}, "ValidationError",
			"1 validation error detected: Value '" + long + "' at 'tags.2.member.key' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{"a list of an enum", "CreateStack", cloudformation.Describe(), &cloudformation.CreateStackInput{StackName: "s", Capabilities: []string{"X"}}, "ValidationError",
			"1 validation error detected: Value '[X]' at 'capabilities' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]]"},
		{"two problems", "CreateStack", cloudformation.Describe(), &cloudformation.CreateStackInput{OnFailure: "X", StackName: "s", TimeoutInMinutes: ptr(int32(0))}, "ValidationError",
			"2 validation errors detected: Value '0' at 'timeoutInMinutes' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
				"Value 'X' at 'onFailure' failed to satisfy constraint: Member must satisfy enum value set: [DO_NOTHING, ROLLBACK, DELETE]"},
		{"a pattern must match whole", "CreateRole", iam.Describe(), &iam.CreateRoleInput{RoleName: "a b", AssumeRolePolicyDocument: "{}"}, "ValidationError",
			`1 validation error detected: Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+`},
		{"JSON's code", "PutParameter", ssm.Describe(), &ssm.PutParameterInput{Name: "n"}, "ValidationException",
			"1 validation error detected: Value null at 'value' failed to satisfy constraint: Member must not be null"},
		{"a secret is not repeated", "PutParameter", ssm.Describe(), &ssm.PutParameterInput{Name: "n", Value: "v", KeyId: "spaces here"}, "ValidationException",
			"1 validation error detected: Value 'spaces here' at 'keyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([a-zA-Z0-9:/_-]+)$"},
		{"EC2, missing", "AttachVolume", ec2.Describe(), &ec2.AttachVolumeInput{Device: "d", VolumeId: "v"}, "MissingParameter", "The request must contain the parameter InstanceId"},
		{"EC2, out of range", "DescribeVpcs", ec2.Describe(), &ec2.DescribeVpcsInput{MaxResults: ptr(int32(1))}, "InvalidParameterValue",
			"Value ( 1 ) for parameter maxResults is invalid. Expecting a value greater than or equal to 5."},
		{"SQS, missing", "SendMessage", sqs.Describe(), &sqs.SendMessageInput{QueueUrl: "u"}, "MissingParameter", "The request must contain the parameter MessageBody."},
		{"S3, missing in a header", "CopyObject", s3.Describe(), &s3.CopyObjectInput{Bucket: "b", Key: "k"}, "InvalidRequest", "Missing required parameter for this request: 'x-amz-copy-source'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Validate(tt.svc, tt.operation, tt.input)
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e, ok := fault.As(err)
			if !ok || e.Code != tt.code || e.Message != tt.message {
				t.Errorf("got  %v\nwant %s: %s", err, tt.code, tt.message)
			}
		})
	}
}

// An empty string is not a missing one: over the wire the two are told apart.
func TestEmptyIsNotMissing(t *testing.T) {
	h := New(testConfig((&answering{}).mount(iam.Describe()), (&answering{}).mount(ssm.Describe())))
	w := do(h, request("POST", "/", "Action=GetRole&Version=2010-05-08&RoleName=", signed("iam"), formType))
	mustContain(t, w.Body.String(), "<Code>ValidationError</Code>", "Value '' at 'roleName' failed to satisfy constraint: ", "Member must have length greater than or equal to 1")
	w = do(h, request("POST", "/", `{"Name":""}`, signed("ssm"), json11, "X-Amz-Target: AmazonSSM.GetParameter"))
	mustContain(t, w.Body.String(), "Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1")
}

// A value in a message is bounded, however long the input is.
func TestMessagesAreBounded(t *testing.T) {
	tags := make([]cloudformation.Tag, 1_000)
	key := strings.Repeat("é", 10_000)
	for i := range tags {
		tags[i] = cloudformation.Tag{Key: key}
	}
	err := Validate(cloudformation.Describe(), "CreateStack", &cloudformation.CreateStackInput{StackName: "s", Tags: tags})
	if n := len(err.Error()); n > (maxBroken+2)*(maxRender+300) {
		t.Errorf("a message of %d bytes", n)
	}
}
