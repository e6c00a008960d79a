package hook

import (
	"strings"
	"testing"

	"github.com/slipway/slipway/fault"
)

func config(text string) string {
	return `{"CloudFormationConfiguration":{"HookConfiguration":` + text + `}}`
}

func TestMeets(t *testing.T) {
	bucket := Target{Operation: Resource, Name: "AWS::S3::Bucket", Action: Create, Stack: "prod-web", Role: "arn:aws:iam::1:role/deploy"}
	stack := Target{Operation: Stack, Action: Delete, Stack: "dev"}
	for _, tt := range []struct {
		name, config  string
		bucket, stack bool
	}{
		{"all resources", `{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL"}`, true, false},
		{"the older form", `{"TargetStacks":"ALL","FailureMode":"WARN"}`, true, false},
		{"of no stacks", `{"TargetStacks":"NONE","FailureMode":"WARN"}`, false, false},
		{"disabled", `{"HookInvocationStatus":"DISABLED","TargetOperations":["RESOURCE","STACK"],"FailureMode":"FAIL"}`, false, false},
		{"stacks", `{"HookInvocationStatus":"ENABLED","TargetOperations":["STACK"],"FailureMode":"FAIL"}`, false, true},
		{"a service", `{"HookInvocationStatus":"ENABLED","TargetOperations":["RESOURCE","STACK"],"FailureMode":"FAIL","TargetFilters":{"TargetNames":["AWS::S3::*"]}}`, true, true},
		{"another service", `{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","TargetFilters":{"TargetNames":["AWS::EC2::*"]}}`, false, false},
		{"an action", `{"HookInvocationStatus":"ENABLED","TargetOperations":["RESOURCE","STACK"],"FailureMode":"FAIL","TargetFilters":{"Actions":["DELETE"]}}`, false, true},
		{"a target", `{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","TargetFilters":{"Targets":[{"TargetName":"AWS::S3::Bucket","Action":"CREATE","InvocationPoint":"PRE_PROVISION"}]}}`, true, false},
		{"a target by another action", `{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","TargetFilters":{"Targets":[{"TargetName":"AWS::S3::Bucket","Action":"UPDATE"}]}}`, false, false},
		{"stack names", `{"HookInvocationStatus":"ENABLED","TargetOperations":["RESOURCE","STACK"],"FailureMode":"FAIL","StackFilters":{"FilteringCriteria":"ALL","StackNames":{"Include":["prod-*"]}}}`, true, false},
		{"excluded", `{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","StackFilters":{"FilteringCriteria":"ALL","StackNames":{"Include":["prod-*"],"Exclude":["*web"]}}}`, false, false},
		{"both filters", `{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","StackFilters":{"FilteringCriteria":"ALL","StackNames":{"Include":["x"]},"StackRoles":{"Include":["*role/deploy"]}}}`, false, false},
		{"one filter of them", `{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","StackFilters":{"FilteringCriteria":"ANY","StackNames":{"Include":["x"]},"StackRoles":{"Include":["*role/deploy"]}}}`, true, false},
	} {
		c, err := Parse(config(tt.config))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if b, s := c.Meets(bucket), c.Meets(stack); b != tt.bucket || s != tt.stack {
			t.Errorf("%s: meets the bucket %t, want %t; the stack %t, want %t", tt.name, b, tt.bucket, s, tt.stack)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ text, code, message string }{
		{`{`, fault.CFNRegistry, "Configuration validation failed"},
		{`{}`, fault.CFNRegistry, "required key [CloudFormationConfiguration/HookConfiguration] not found"},
		{config(`{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL"}`) + "x", fault.CFNRegistry, "behind the JSON object"},
		{config(`{"FailureMode":"FAIL"}`), fault.CFNRegistry, "required key [HookInvocationStatus] not found"},
		{config(`{"HookInvocationStatus":"ENABLED"}`), fault.CFNRegistry, "FailureMode: it must be one of [FAIL, WARN]"},
		{config(`{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","Colour":1}`), fault.CFNRegistry, "Colour"},
		{config(`{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","TargetOperations":["MODULE"]}`), fault.CFNRegistry, "MODULE"},
		{config(`{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","TargetOperations":["MOON"]}`), fault.CFNRegistry, "MOON"},
		{config(`{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","StackFilters":{}}`), fault.CFNRegistry, "FilteringCriteria"},
		{config(`{"HookInvocationStatus":"ENABLED","FailureMode":"FAIL","TargetFilters":{"Actions":["CREATE"],"Targets":[{"TargetName":"x"}]}}`), fault.CFNRegistry, "either Targets or"},
	} {
		_, err := Parse(tt.text)
		if e, ok := fault.As(err); !ok || e.Code != tt.code || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, value string
		want           bool
	}{
		{"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abcd", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"*b*", "abc", true}, {"", "a", false}, {"a**", "a", true}, {"*a*b*c", "xaxbxbxc", true},
	} {
		if got := Match(tt.pattern, tt.value); got != tt.want {
			t.Errorf("Match(%q, %q) = %t", tt.pattern, tt.value, got)
		}
	}
}
