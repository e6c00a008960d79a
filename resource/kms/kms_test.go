package kms

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/kms"
	"github.com/slipway/slipway/store/storetest"
)

const account = "111111111111"

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Key", PhysicalID: physicalID, Token: token, Name: "stack-Key-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack", "team": "web"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

func newService(t *testing.T) api.Service {
	return kms.New(kms.Config{Store: storetest.New(t), Ring: keyring.Ephemeral(), Now: time.Now})
}

func TestKey(t *testing.T) {
	svc := newService(t)
	keys := Types(svc)[0]
	props := cfn.Properties{"Description": "first", "EnableKeyRotation": true, "RotationPeriodInDays": 90, "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}}
	var id string
	for range 2 { // the second is the step repeated after a crash
		got, err := keys.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil {
			t.Fatal(err)
		}
		if id != "" && id != got.PhysicalID {
			t.Fatalf("a repeated step made %s and %s", id, got.PhysicalID)
		}
		id = got.PhysicalID
		want := cfn.Properties{"Arn": "arn:aws:kms:us-east-1:" + account + ":key/" + id, "KeyId": id}
		if d := cmp.Diff(want, got.Attributes); d != "" {
			t.Error(d)
		}
	}
	read := func() cfn.Properties {
		t.Helper()
		got, err := keys.Read(as(t, ""), request("", id, props, nil))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := read()
	tags := []any{map[string]any{"Key": "k", "Value": "v"}, map[string]any{"Key": "team", "Value": "web"}}
	if got["EnableKeyRotation"] != true || got["Enabled"] != true || got["Description"] != "first" || cmp.Diff(tags, got["Tags"]) != "" {
		t.Errorf("read %v", got)
	}
	next := cfn.Properties{"Description": "second", "Enabled": false}
	for range 2 {
		if _, err := keys.Update(as(t, "update"), request("update", id, next, props)); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(); got["EnableKeyRotation"] != false || got["Enabled"] != false || got["Description"] != "second" {
		t.Errorf("read after the update: %v", got)
	}
	_, err := keys.Update(as(t, "spec"), request("spec", id, cfn.Properties{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, next))
	if !fault.Is(err, fault.ValidationException) {
		t.Errorf("another spec: %v", err)
	}
	for range 2 {
		if err := keys.Delete(as(t, "delete"), request("delete", id, cfn.Properties{"PendingWindowInDays": 7}, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keys.Read(as(t, ""), request("", id, props, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
	out, err := svc.DescribeKey(as(t, ""), &api.DescribeKeyInput{KeyId: id})
	if err != nil || out.KeyMetadata.KeyState != "PendingDeletion" {
		t.Errorf("the deleted key is %+v, %v", out, err)
	}
}

func TestAlias(t *testing.T) {
	svc := newService(t)
	aliases := Types(svc)[1]
	var ids []string
	for range 2 {
		out, err := svc.CreateKey(as(t, ""), &api.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, out.KeyMetadata.KeyId)
	}
	props := cfn.Properties{"AliasName": "alias/app", "TargetKeyId": ids[0]}
	for range 2 {
		got, err := aliases.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil || got.PhysicalID != "alias/app" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if _, err := aliases.Create(as(t, "another"), request("another", "", props, nil)); !fault.Is(err, fault.AlreadyExistsException) {
		t.Errorf("another step: %v", err)
	}
	next := cfn.Properties{"AliasName": "alias/app", "TargetKeyId": ids[1]}
	if _, err := aliases.Update(as(t, "update"), request("update", "alias/app", next, props)); err != nil {
		t.Fatal(err)
	}
	got, err := aliases.Read(as(t, ""), request("", "alias/app", next, nil))
	if d := cmp.Diff(next, got); d != "" || err != nil {
		t.Error(d, err)
	}
	for range 2 {
		if err := aliases.Delete(as(t, "delete"), request("delete", "alias/app", next, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := aliases.Read(as(t, ""), request("", "alias/app", next, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
}
