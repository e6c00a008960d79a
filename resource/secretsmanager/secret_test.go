package secretsmanager

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/kms"
	"github.com/slipway/slipway/service/secretsmanager"
	"github.com/slipway/slipway/store/storetest"
)

func as(t *testing.T, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf("123456789012"), Scope: arn.Scope{Account: "123456789012", Region: "us-east-1"}, Token: token,
	})
}

func request(token, physicalID string, properties, prior cfn.Properties) cfn.Request {
	return cfn.Request{
		StackName: "stack", LogicalID: "Secret", PhysicalID: physicalID, Token: token, Name: "stack-Secret-ABCDEF123456",
		Properties: properties, Prior: prior, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"},
		Progress: func(string) {}, Initiated: func(string) {},
	}
}

func newService(t *testing.T) (*secretsmanager.Service, []cfn.Type) {
	st := storetest.New(t)
	svc := secretsmanager.New(secretsmanager.Config{Store: st, KMS: kms.New(kms.Config{Store: st, Ring: keyring.Ephemeral(), Now: time.Now})})
	return svc, Types(svc)
}

func value(t *testing.T, svc api.Service, id, stage string) string {
	t.Helper()
	out, err := svc.GetSecretValue(as(t, ""), &api.GetSecretValueInput{SecretId: id, VersionStage: stage})
	if err != nil {
		t.Fatal(err)
	}
	return out.SecretString
}

func TestSecret(t *testing.T) {
	svc, types := newService(t)
	secret := types[0]
	props := cfn.Properties{
		"Description": "d", "Tags": []any{map[string]any{"Key": "k", "Value": "v"}},
		"GenerateSecretString": map[string]any{
			"SecretStringTemplate": `{"username": "admin", "port": 5432}`, "GenerateStringKey": "password", "PasswordLength": int64(20), "ExcludeCharacters": `"@/\`,
		},
	}
	var made cfn.Result
	for n := range 2 { // the second is the step repeated after a crash
		got, err := secret.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 && got.PhysicalID != made.PhysicalID {
			t.Fatalf("made %s and %s", made.PhysicalID, got.PhysicalID)
		}
		made = got
	}
	if !strings.Contains(made.PhysicalID, ":secret:Secret-") || made.Attributes["Id"] != made.PhysicalID {
		t.Errorf("made %+v", made)
	}
	first := value(t, svc, made.PhysicalID, "")
	var members struct {
		Username, Password string
		Port               int
	}
	if err := json.Unmarshal([]byte(first), &members); err != nil || members.Username != "admin" || members.Port != 5432 || len(members.Password) != 20 {
		t.Errorf("generated %d bytes, %v", len(first), err)
	}
	read, err := secret.Read(as(t, ""), request("", made.PhysicalID, props, nil))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := read["Name"].(string)
	if d := cmp.Diff(cfn.Properties{"Id": made.PhysicalID, "Name": name, "Description": "d", "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}}, read); d != "" {
		t.Error(d)
	}

	if read, err = secret.Read(as(t, ""), request("", made.PhysicalID, cfn.Properties{"KmsKeyId": defaultKey}, nil)); err != nil || read["KmsKeyId"] != defaultKey {
		t.Errorf("the default key by name: %v, %v", read, err)
	}

	update := func(token string, next, prior cfn.Properties) {
		t.Helper()
		for range 2 {
			if _, err := secret.Update(as(t, token), request(token, made.PhysicalID, next, prior)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What the value is made of stays: the value does.
	next := cfn.Properties{"Description": "e", "GenerateSecretString": props["GenerateSecretString"]}
	update("tags", next, props)
	if now := value(t, svc, made.PhysicalID, ""); now != first {
		t.Error("the value has changed")
	}
	described, err := svc.DescribeSecret(as(t, ""), &api.DescribeSecretInput{SecretId: made.PhysicalID})
	if err != nil || described.Description != "e" || len(described.Tags) != 1 || described.Tags[0].Key != "aws:cloudformation:stack-name" {
		t.Errorf("described %+v, %v", described, err)
	}
	fixed := cfn.Properties{"Description": "e", "SecretString": "fixed"}
	update("fixed", fixed, next)
	if now, before := value(t, svc, made.PhysicalID, ""), value(t, svc, made.PhysicalID, "AWSPREVIOUS"); now != "fixed" || before != first {
		t.Errorf("now %s", now)
	}
	update("generated", cfn.Properties{"Description": "e", "GenerateSecretString": map[string]any{}}, fixed)
	if now := value(t, svc, made.PhysicalID, ""); len(now) != 32 || value(t, svc, made.PhysicalID, "AWSPREVIOUS") != "fixed" {
		t.Errorf("%d bytes", len(now))
	}

	if ids, err := secret.List(as(t, "")); err != nil || len(ids) != 1 || ids[0] != made.PhysicalID {
		t.Errorf("listed %v, %v", ids, err)
	}
	for range 2 {
		if err := secret.Delete(as(t, "delete"), request("delete", made.PhysicalID, nil, nil)); err != nil {
			t.Error(err)
		}
	}
	if _, err := secret.Read(as(t, ""), request("", made.PhysicalID, nil, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
}

func TestSecretRefusals(t *testing.T) {
	_, types := newService(t)
	for code, props := range map[string]cfn.Properties{
		"NotImplemented ReplicaRegions":   {"ReplicaRegions": []any{map[string]any{"Region": "eu-west-1"}}},
		"InvalidRequestException both":    {"SecretString": "x", "GenerateSecretString": map[string]any{}},
		"InvalidRequestException parse":   {"GenerateSecretString": map[string]any{"SecretStringTemplate": "[]", "GenerateStringKey": "k"}},
		"InvalidRequestException neither": {"GenerateSecretString": map[string]any{"GenerateStringKey": "k"}},
	} {
		code, says, _ := strings.Cut(code, " ")
		_, err := types[0].Create(as(t, "c"), request("c", "", props, nil))
		if f, ok := fault.As(err); !ok || f.Code != code || !strings.Contains(f.Message, says) {
			t.Errorf("%v: %v", props, err)
		}
	}
}

func TestResourcePolicy(t *testing.T) {
	svc, types := newService(t)
	out, err := svc.CreateSecret(as(t, ""), &api.CreateSecretInput{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	document := func(action string) map[string]any {
		return map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"AWS": "arn:aws:iam::123456789012:root"}, "Action": action, "Resource": "*",
		}}}
	}
	policy := types[1]
	props := cfn.Properties{"SecretId": out.ARN, "ResourcePolicy": document("secretsmanager:GetSecretValue"), "BlockPublicPolicy": true}
	for range 2 {
		got, err := policy.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil || got.PhysicalID != out.ARN || got.Attributes["Id"] != out.ARN {
			t.Fatal(got, err)
		}
	}
	read, err := policy.Read(as(t, ""), request("", out.ARN, props, nil))
	if d := cmp.Diff(cfn.Properties{"Id": out.ARN, "SecretId": out.ARN, "ResourcePolicy": document("secretsmanager:GetSecretValue")}, read); err != nil || d != "" {
		t.Error(err, d)
	}
	next := cfn.Properties{"SecretId": out.ARN, "ResourcePolicy": document("secretsmanager:DescribeSecret")}
	if _, err := policy.Update(as(t, "update"), request("update", out.ARN, next, props)); err != nil {
		t.Fatal(err)
	}
	if got, err := svc.GetResourcePolicy(as(t, ""), &api.GetResourcePolicyInput{SecretId: "a"}); err != nil || !strings.Contains(got.ResourcePolicy, "DescribeSecret") {
		t.Errorf("%+v, %v", got, err)
	}
	for range 2 {
		if err := policy.Delete(as(t, "delete"), request("delete", out.ARN, next, nil)); err != nil {
			t.Error(err)
		}
	}
	if _, err := policy.Read(as(t, ""), request("", out.ARN, next, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after the deletion: %v", err)
	}
}
