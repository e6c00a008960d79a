package iam

import (
	"testing"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// What AWS's own resource types were recorded to make.
func TestRecorded(t *testing.T) {
	svc, lookup := newTypes(t)
	records := replay.Open(t, "iam/resource_providers/test_iam", api.Describe(), svc)
	call := auth.Call{Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: "us-east-1"}}
	ctx := auth.With(t.Context(), call)

	c := records.Case(t, "test_iam_user_access_key")
	c.Call("", ctx, &api.CreateUserInput{UserName: "u"})
	typ := lookup("AWS::IAM::AccessKey")
	create := func(token string, props cfn.Properties) cfn.Result {
		t.Helper()
		made, err := typ.Create(auth.WithToken(ctx, token), request(token, "", props, nil))
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	metadata := func(id string) map[string]any {
		t.Helper()
		out := replay.As[api.ListAccessKeysOutput](c.Call("", ctx, &api.ListAccessKeysInput{UserName: "u"}))
		for _, k := range out.AccessKeyMetadata {
			if k.AccessKeyId == id {
				return map[string]any{"AccessKeyId": k.AccessKeyId, "CreateDate": k.CreateDate.String(), "Status": k.Status, "UserName": k.UserName}
			}
		}
		t.Fatalf("no key %s", id)
		return nil
	}
	first := create("1", cfn.Properties{"UserName": "u", "Serial": int64(1), "Status": "Active"})
	c.Hold("key_outputs", map[string]any{"AccessKeyId": first.PhysicalID, "SecretAccessKey": first.Attributes["SecretAccessKey"]})
	c.Hold("access_key", metadata(first.PhysicalID))
	other := create("2", cfn.Properties{"UserName": "u", "Serial": int64(2), "Status": "Inactive"})
	c.Hold("access_key_updated", metadata(other.PhysicalID))

	c = records.Case(t, "test_managed_policy_with_empty_resource")
	c.Leave("outputs", "DynamoDB is not built")
	policy, err := lookup("AWS::IAM::ManagedPolicy").Create(auth.WithToken(ctx, "3"), request("3", "", cfn.Properties{"PolicyDocument": document(nil, "dynamodb:*")}, nil))
	if err != nil {
		t.Fatal(err)
	}
	c.Call("managed_policy", ctx, &api.GetPolicyInput{PolicyArn: policy.PhysicalID})
}
