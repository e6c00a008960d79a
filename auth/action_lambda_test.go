package auth_test

import (
	"slices"
	"testing"

	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// What Lambda's operations need leave for, by the names of functions in all forms.
func TestLambdaAsks(t *testing.T) {
	const (
		f     = "arn:aws:lambda:us-east-1:123456789012:function:f"
		layer = "arn:aws:lambda:us-east-1:123456789012:layer:l"
		role  = "arn:aws:iam::123456789012:role/r"
	)
	for name, c := range map[string]struct {
		operation string
		in        any
		want      []string // "action on resource"
	}{
		"name":      {"Invoke", &lambda.InvokeInput{FunctionName: "f"}, []string{"lambda:InvokeFunction on " + f}},
		"qualifier": {"Invoke", &lambda.InvokeInput{FunctionName: "f", Qualifier: "live"}, []string{"lambda:InvokeFunction on " + f + ":live"}},
		"in name":   {"Invoke", &lambda.InvokeInput{FunctionName: "f:1", Qualifier: "1"}, []string{"lambda:InvokeFunction on " + f + ":1"}},
		"partial":   {"Invoke", &lambda.InvokeInput{FunctionName: "210987654321:function:f"}, []string{"lambda:InvokeFunction on arn:aws:lambda:us-east-1:210987654321:function:f"}},
		"whole":     {"GetFunction", &lambda.GetFunctionInput{FunctionName: f}, []string{"lambda:GetFunction on " + f}},
		"create": {"CreateFunction", &lambda.CreateFunctionInput{FunctionName: "f", Role: role, Layers: []string{layer + ":2"}, Tags: map[string]string{"k": "v"}},
			[]string{"lambda:CreateFunction on " + f, "iam:PassRole on " + role, "lambda:GetLayerVersion on " + layer + ":2", "lambda:TagResource on " + f}},
		"update":  {"UpdateFunctionConfiguration", &lambda.UpdateFunctionConfigurationInput{FunctionName: "f", Role: role}, []string{"lambda:UpdateFunctionConfiguration on " + f, "iam:PassRole on " + role}},
		"layer":   {"GetLayerVersion", &lambda.GetLayerVersionInput{LayerName: "l", VersionNumber: new(int64(2))}, []string{"lambda:GetLayerVersion on " + layer + ":2"}},
		"by ARN":  {"GetLayerVersionByArn", &lambda.GetLayerVersionByArnInput{Arn: layer + ":2"}, []string{"lambda:GetLayerVersion on " + layer + ":2"}},
		"mapping": {"DeleteEventSourceMapping", &lambda.DeleteEventSourceMappingInput{UUID: "u"}, []string{"lambda:DeleteEventSourceMapping on arn:aws:lambda:us-east-1:123456789012:event-source-mapping:u"}},
		"list":    {"ListFunctions", &lambda.ListFunctionsInput{}, []string{"lambda:ListFunctions on *"}},
	} {
		t.Run(name, func(t *testing.T) {
			call := auth.Call{Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Service: "lambda", Operation: c.operation}
			var got []string
			for _, r := range call.Requests(c.in) {
				for _, on := range r.Resources {
					got = append(got, r.Action+" on "+on)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("it asks for %q, want %q", got, c.want)
			}
		})
	}
	// Condition keys.
	call := auth.Call{Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Service: "lambda", Operation: "AddPermission"}
	r := call.Requests(&lambda.AddPermissionInput{FunctionName: "f", Principal: "s3.amazonaws.com", FunctionUrlAuthType: "NONE"})[0]
	for key, want := range map[string]string{"lambda:principal": "s3.amazonaws.com", "lambda:functionurlauthtype": "NONE", "lambda:functionarn": f} {
		if got, known := r.Context.Lookup(key); !known || !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, %v", key, got, known)
		}
	}
	if _, known := r.Context.Lookup("lambda:madeup"); known {
		t.Error("a key that nobody knows is known")
	}
}
