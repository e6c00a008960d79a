package ssm

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/ssm"
	"github.com/slipway/slipway/store/storetest"
)

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Param", PhysicalID: physicalID, Token: token, Name: "stack-Param-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

func TestParameter(t *testing.T) {
	svc := ssm.New(ssm.Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	param := Types(svc)[0]
	props := cfn.Properties{"Name": "/app/port", "Type": "String", "Value": "80", "Description": "d", "Tags": map[string]any{"k": "v"}}
	for range 2 { // the second is the step repeated after a crash
		got, err := param.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil {
			t.Fatal(err)
		}
		want := cfn.Result{PhysicalID: "/app/port", Attributes: cfn.Properties{"Type": "String", "Value": "80"}}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	}
	read, err := param.Read(as(t, ""), request("", "/app/port", props, nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(cfn.Properties{"Name": "/app/port", "Type": "String", "Value": "80", "Description": "d", "Tier": "Standard", "DataType": "text", "Tags": map[string]any{"k": "v"}}, read); d != "" {
		t.Error(d)
	}
	next := cfn.Properties{"Name": "/app/port", "Type": "String", "Value": "81"}
	for range 2 {
		if _, err := param.Update(as(t, "update"), request("update", "/app/port", next, props)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := svc.GetParameter(as(t, ""), &api.GetParameterInput{Name: "/app/port"})
	if err != nil || got.Parameter.Value != "81" || *got.Parameter.Version != 2 {
		t.Errorf("updated %+v, %v", got, err)
	}
	tags, err := svc.ListTagsForResource(as(t, ""), &api.ListTagsForResourceInput{ResourceType: "Parameter", ResourceId: "/app/port"})
	if err != nil || len(tags.TagList) != 1 || tags.TagList[0].Key != "aws:cloudformation:stack-name" {
		t.Errorf("tags %+v, %v", tags, err)
	}
	if names, err := param.List(as(t, "")); err != nil || len(names) != 1 || names[0] != "/app/port" {
		t.Errorf("listed %v, %v", names, err)
	}
	for range 2 {
		if err := param.Delete(as(t, "delete"), request("delete", "/app/port", next, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := param.Read(as(t, ""), request("", "/app/port", next, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after delete: %v", err)
	}
	if _, err := param.Update(as(t, ""), request("", "/app/port", next, props)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("update after delete: %v", err)
	}
}

func TestParameterNames(t *testing.T) {
	svc := ssm.New(ssm.Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	param := Types(svc)[0]
	props := cfn.Properties{"Type": "StringList", "Value": "a,b"}
	first, err := param.Create(as(t, "c"), request("c", "", props, nil))
	if err != nil || !strings.HasPrefix(first.PhysicalID, "CFN-Param-") {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := param.Create(as(t, "c"), request("c", "", props, nil))
	if err != nil || again.PhysicalID != first.PhysicalID {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	taken := cfn.Properties{"Name": first.PhysicalID, "Type": "String", "Value": "x"}
	if _, err := param.Create(as(t, "other"), request("other", "", taken, nil)); !fault.Is(err, fault.ParameterAlreadyExists) {
		t.Errorf("another resource took the parameter: %v", err)
	}
}

func TestParameterPolicies(t *testing.T) {
	svc := ssm.New(ssm.Config{Store: storetest.New(t), Ring: keyring.Ephemeral()})
	param := Types(svc)[0]
	expires := `[{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2999-12-02T21:34:33.000Z"}}]`
	props := cfn.Properties{"Name": "p", "Type": "String", "Value": "x", "Tier": "Advanced", "Policies": expires}
	if _, err := param.Create(as(t, "c"), request("c", "", props, nil)); err != nil {
		t.Fatal(err)
	}
	version := func() int64 {
		t.Helper()
		got, err := svc.GetParameter(as(t, ""), &api.GetParameterInput{Name: "p"})
		if err != nil {
			t.Fatal(err)
		}
		return *got.Parameter.Version
	}
	if _, err := param.Update(as(t, "same"), request("same", "p", props, props)); err != nil || version() != 1 {
		t.Errorf("an update that changes nothing made version %d (error %v)", version(), err)
	}
	next := cfn.Properties{"Name": "p", "Type": "String", "Value": "x", "Tier": "Advanced"}
	if _, err := param.Update(as(t, "u"), request("u", "p", next, props)); err != nil || version() != 2 {
		t.Errorf("an update made version %d (error %v)", version(), err)
	}
	got, err := param.Read(as(t, ""), request("", "p", next, nil))
	if err != nil || got["Policies"] != nil {
		t.Errorf("read %v, %v", got, err)
	}
}
