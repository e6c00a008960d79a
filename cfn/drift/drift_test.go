package drift

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/model"
)

func properties(t *testing.T, text string) cfn.Properties {
	t.Helper()
	if text == "" {
		return nil
	}
	var p cfn.Properties
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompare(t *testing.T) {
	catalog := schema.New(model.ResourceTypeNames(), model.Schema, func(string) bool { return true })
	const queue, role, user, group, function = "AWS::SQS::Queue", "AWS::IAM::Role", "AWS::IAM::User", "AWS::EC2::SecurityGroup", "AWS::Lambda::Function"
	for _, c := range []struct {
		name, typeName, expected, shown, actual, want string
	}{
		{"the same", queue, `{"DelaySeconds": 5}`, "", `{"DelaySeconds": 5, "VisibilityTimeout": 30}`, ""},
		{"numbers and their texts", queue, `{"DelaySeconds": "5", "FifoQueue": "true"}`, "", `{"DelaySeconds": 5, "FifoQueue": true}`, ""},
		{"another value", queue, `{"DelaySeconds": 5}`, "", `{"DelaySeconds": 7}`, "NOT_EQUAL /DelaySeconds 5 7"},
		{"a value that is gone", queue, `{"KmsMasterKeyId": "alias/k"}`, "", `{}`, "REMOVE /KmsMasterKeyId alias/k null"},
		{"nothing and none", queue, `{"Tags": [], "KmsMasterKeyId": ""}`, "", `{}`, ""},
		{"inside an object", queue, `{"RedrivePolicy": {"maxReceiveCount": 3, "deadLetterTargetArn": "a"}}`, "",
			`{"RedrivePolicy": {"deadLetterTargetArn": "a", "maxReceiveCount": 9}}`, "NOT_EQUAL /RedrivePolicy/maxReceiveCount 3 9"},
		{"text and object", queue, `{"RedrivePolicy": "{\"maxReceiveCount\": 3}"}`, "", `{"RedrivePolicy": {"maxReceiveCount": 3}}`, ""},
		{"the order of tags", queue, `{"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}`, "",
			`{"Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]}`, ""},
		{"tags", queue, `{"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}`, "",
			`{"Tags": [{"Key": "c", "Value": "3"}, {"Key": "a", "Value": "9"}]}`,
			`ADD /Tags/0 null {"Key":"c","Value":"3"};NOT_EQUAL /Tags/0/Value 1 9;REMOVE /Tags/1 {"Key":"b","Value":"2"} null`},
		{"an unordered list", role, `{"ManagedPolicyArns": ["p", "q"]}`, "", `{"ManagedPolicyArns": ["r", "p"]}`,
			"ADD /ManagedPolicyArns/0 null r;REMOVE /ManagedPolicyArns/1 q null"},
		{"one and a list of one in a document", role, `{"AssumeRolePolicyDocument": {"Statement": [{"Action": "sts:AssumeRole"}]}}`, "",
			`{"AssumeRolePolicyDocument": {"Statement": [{"Action": ["sts:AssumeRole"]}]}}`, ""},
		{"what was put into a document", role, `{"AssumeRolePolicyDocument": {"Statement": []}}`, "",
			`{"AssumeRolePolicyDocument": {"Statement": [], "Id": "x"}}`, "ADD /AssumeRolePolicyDocument/Id null x"},
		{"write-only", user, `{"LoginProfile": {"Password": "p", "PasswordResetRequired": true}}`, "", `{"LoginProfile": {"PasswordResetRequired": true}}`, ""},
		{"all of it write-only", function, `{"Code": {"ZipFile": "x"}, "Timeout": 3}`, "", `{"Timeout": 3}`, ""},
		{"beside what is write-only", function, `{"Code": {"ZipFile": "x"}, "Timeout": 3}`, "", `{"Timeout": 4}`, "NOT_EQUAL /Timeout 3 4"},
		{"an object that is gone", function, `{"Environment": {"Variables": {"A": "b"}}}`, "", `{}`, `REMOVE /Environment {"Variables":{"A":"b"}} null`},
		{"a dynamic reference", queue, `{"KmsMasterKeyId": "{{resolve:ssm:k}}"}`, "", `{"KmsMasterKeyId": "x"}`, ""},
		{"masked and the same", group, `{"GroupDescription": "s3cret"}`, `{"GroupDescription": "****"}`, `{"GroupDescription": "s3cret"}`, ""},
		{"masked and another", group, `{"GroupDescription": "s3cret"}`, `{"GroupDescription": "****"}`, `{"GroupDescription": "other"}`,
			"NOT_EQUAL /GroupDescription **** ****"},
		{"rules in another order", group, `{"SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}, {"IpProtocol": "-1", "CidrIp": "10.0.0.0/8"}]}`, "",
			`{"SecurityGroupIngress": [{"IpProtocol": "-1", "CidrIp": "10.0.0.0/8"}, {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}]}`, ""},
		{"a range's bits of the host", group, `{"SecurityGroupIngress": [{"IpProtocol": "-1", "CidrIp": "10.1.2.3/8"}]}`, "",
			`{"SecurityGroupIngress": [{"IpProtocol": "-1", "CidrIp": "10.0.0.0/8"}]}`, ""},
		{"no schema", "Custom::X", `{"A": [1, 2]}`, "", `{"A": [2, 1]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := catalog.Lookup(c.typeName)
			if err != nil {
				t.Fatal(err)
			}
			r := Compare(s, properties(t, c.expected), properties(t, c.shown), properties(t, c.actual))
			var got []string
			for _, d := range r.Differences {
				got = append(got, fmt.Sprintf("%s %s %s %s", d.Kind, d.Path, d.Expected, d.Actual))
			}
			if g := strings.Join(got, ";"); g != c.want {
				t.Errorf("found %q, want %q", g, c.want)
			}
			if all := cfn.Text(r.Expected) + cfn.Text(r.Actual) + fmt.Sprint(r.Differences); strings.Contains(all, "s3cret") || c.shown != "" && strings.Contains(all, "other") {
				t.Errorf("shows what is masked: %s", all)
			}
		})
	}
}

// What is there, in the template's words as far as they say it.
func TestLive(t *testing.T) {
	catalog := schema.New(model.ResourceTypeNames(), model.Schema, func(string) bool { return true })
	const queue, role, user, group, function = "AWS::SQS::Queue", "AWS::IAM::Role", "AWS::IAM::User", "AWS::EC2::SecurityGroup", "AWS::Lambda::Function"
	for _, c := range []struct{ name, typeName, expected, actual, want, untold string }{
		{"in other words", queue, `{"DelaySeconds": "5", "RedrivePolicy": "{\"maxReceiveCount\": 3}"}`, `{"DelaySeconds": 5, "RedrivePolicy": {"maxReceiveCount": 3}, "VisibilityTimeout": 30}`,
			`{"DelaySeconds":"5","RedrivePolicy":"{\"maxReceiveCount\": 3}"}`, ""},
		{"another value", queue, `{"DelaySeconds": 5, "QueueName": "q"}`, `{"DelaySeconds": 7, "QueueName": "q"}`, `{"DelaySeconds":7,"QueueName":"q"}`, ""},
		{"gone", queue, `{"KmsMasterKeyId": "k", "QueueName": "q"}`, `{"QueueName": "q"}`, `{"QueueName":"q"}`, ""},
		{"one rule more", group, `{"SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.1.2.3/8"}]}`,
			`{"SecurityGroupIngress": [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}, {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.0.0.0/8"}]}`,
			`{"SecurityGroupIngress":[{"CidrIp":"10.1.2.3/8","FromPort":80,"IpProtocol":"tcp","ToPort":80},{"CidrIp":"0.0.0.0/0","IpProtocol":"-1"}]}`, ""},
		{"put into a document", role, `{"AssumeRolePolicyDocument": {"Statement": []}}`, `{"AssumeRolePolicyDocument": {"Statement": [], "Id": "x"}}`,
			`{"AssumeRolePolicyDocument":{"Id":"x","Statement":[]}}`, ""},
		{"what nobody can tell", user, `{"LoginProfile": {"Password": "p", "PasswordResetRequired": true}}`, `{"LoginProfile": {"PasswordResetRequired": false}}`,
			`{"LoginProfile":{"Password":"p","PasswordResetRequired":false}}`, "/LoginProfile/Password"},
		{"all of it", function, `{"Code": {"ZipFile": "x"}, "Timeout": 3}`, `{"Timeout": 4}`, `{"Code":{"ZipFile":"x"},"Timeout":4}`, "/Code/ZipFile"},
		{"a dynamic reference", queue, `{"KmsMasterKeyId": "{{resolve:ssm:k}}"}`, `{"KmsMasterKeyId": "x"}`, `{"KmsMasterKeyId":"{{resolve:ssm:k}}"}`, ""},
		{"no schema", "Custom::X", `{"A": [1, 2]}`, `{"A": [2, 1, 3]}`, `{"A":[1,2,3]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := catalog.Lookup(c.typeName)
			if err != nil {
				t.Fatal(err)
			}
			expected := properties(t, c.expected)
			if got := cfn.Text(Live(s, expected, properties(t, c.actual))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := strings.Join(WriteOnly(s, expected), " "); got != c.untold {
				t.Errorf("nobody can tell %s, want %s", got, c.untold)
			}
		})
	}
}
