package logs

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/logs"
	"github.com/slipway/slipway/store/storetest"
)

// functions is a Lambda whose functions let themselves be called.
type functions struct{ lambda.Unimplemented }

func (functions) Invoke(context.Context, *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	return &lambda.InvokeOutput{}, nil
}

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Group", PhysicalID: physicalID, Token: token, Name: "stack-Group-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

// run is one resource's life: made twice with one token, read, changed, deleted twice.
func run(t *testing.T, typ cfn.Type, id string, props, next, read, after cfn.Properties) {
	t.Helper()
	for range 2 {
		got, err := typ.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil || got.PhysicalID != id {
			t.Fatalf("%s: made %q, %v", typ.Name, got.PhysicalID, err)
		}
	}
	check := func(props, want cfn.Properties) {
		t.Helper()
		got, err := typ.Read(as(t, ""), request("", id, props, nil))
		if err != nil {
			t.Fatalf("%s: %v", typ.Name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", typ.Name, d)
		}
	}
	check(props, read)
	if next != nil {
		for range 2 {
			if _, err := typ.Update(as(t, "update"), request("update", id, next, props)); err != nil {
				t.Fatalf("%s: %v", typ.Name, err)
			}
		}
		check(next, after)
	}
	if typ.List != nil {
		if ids, err := typ.List(as(t, "")); err != nil || len(ids) != 1 || ids[0] != id {
			t.Errorf("%s: listed %v, %v", typ.Name, ids, err)
		}
	}
	for range 2 {
		if err := typ.Delete(as(t, "delete"), request("delete", id, props, nil)); err != nil {
			t.Errorf("%s: %v", typ.Name, err)
		}
	}
	if _, err := typ.Read(as(t, ""), request("", id, props, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("%s: read after the deletion: %v", typ.Name, err)
	}
}

func TestTypes(t *testing.T) {
	svc := logs.New(logs.Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), Lambda: func() lambda.Service { return functions{} }})
	t.Cleanup(svc.Stop)
	types := Types(svc)
	tags := []any{map[string]any{"Key": "k", "Value": "v"}}
	const id = "stack-Group-ABCDEF123456"
	run(t, types[0], id,
		cfn.Properties{"RetentionInDays": int64(7), "Tags": tags},
		cfn.Properties{"DeletionProtectionEnabled": false},
		cfn.Properties{
			"LogGroupName": id, "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:" + id + ":*", "RetentionInDays": int64(7), "Tags": tags,
			"LogGroupClass": "STANDARD", "DeletionProtectionEnabled": false,
		},
		cfn.Properties{
			"LogGroupName": id, "Arn": "arn:aws:logs:us-east-1:123456789012:log-group:" + id + ":*", "LogGroupClass": "STANDARD", "DeletionProtectionEnabled": false,
		})

	if _, err := svc.CreateLogGroup(as(t, ""), &api.CreateLogGroupInput{LogGroupName: "g"}); err != nil {
		t.Fatal(err)
	}
	stream := cfn.Properties{"LogGroupName": "g", "LogStreamName": "s"}
	run(t, types[1], "s", stream, nil, stream, nil)

	filter := func(value string) cfn.Properties {
		return cfn.Properties{"LogGroupName": "g", "FilterName": "f", "FilterPattern": "ERROR", "MetricTransformations": []any{map[string]any{
			"MetricName": "errors", "MetricNamespace": "app", "MetricValue": value, "Dimensions": []any{map[string]any{"Key": "a", "Value": "$.a"}},
		}}}
	}
	run(t, types[2], "f", filter("1"), filter("$.n"), filter("1"), filter("$.n"))

	policy := func(action string) cfn.Properties {
		return cfn.Properties{"PolicyName": "p", "PolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"Service": "route53.amazonaws.com"}, "Action": action, "Resource": "*",
		}}}}
	}
	run(t, types[3], "p", policy("logs:PutLogEvents"), policy("logs:CreateLogStream"), policy("logs:PutLogEvents"), policy("logs:CreateLogStream"))

	subscription := func(pattern string) cfn.Properties {
		return cfn.Properties{"LogGroupName": "g", "FilterName": "f", "FilterPattern": pattern, "DestinationArn": "arn:aws:lambda:us-east-1:123456789012:function:f", "Distribution": "ByLogStream"}
	}
	run(t, types[4], "f", subscription("ERROR"), subscription("WARN"), subscription("ERROR"), subscription("WARN"))

	_, err := types[0].Create(as(t, "c"), request("c", "", cfn.Properties{"DataProtectionPolicy": map[string]any{}}, nil))
	if f, ok := fault.As(err); !ok || f.Code != fault.NotImplemented {
		t.Errorf("a property that is not built: %v", err)
	}
}
