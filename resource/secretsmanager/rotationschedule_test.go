package secretsmanager

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	lambda "github.com/slipway/slipway/api/lambda"
	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/kms"
	"github.com/slipway/slipway/service/secretsmanager"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

func TestRotationSchedule(t *testing.T) {
	st := storetest.New(t)
	engine := workflow.New(workflow.Config{Store: st})
	svc := secretsmanager.New(secretsmanager.Config{
		Store: st, KMS: kms.New(kms.Config{Store: st, Ring: keyring.Ephemeral(), Now: time.Now}), Workflows: engine,
		Invoke: func(context.Context, *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
			return &lambda.InvokeOutput{}, nil
		},
	})
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Stop)
	out, err := svc.CreateSecret(as(t, ""), &api.CreateSecretInput{Name: "s", SecretString: "x", ClientRequestToken: versionID("first")})
	if err != nil {
		t.Fatal(err)
	}
	schedule := scheduleType(svc)
	const function = "arn:aws:lambda:us-east-1:123456789012:function:rotator"
	props := cfn.Properties{"SecretId": out.ARN, "RotationLambdaARN": function, "RotationRules": map[string]any{"AutomaticallyAfterDays": int64(7)}}
	for range 2 { // the second is the step repeated after a crash
		got, err := schedule.Create(as(t, "create"), request("create", "", props, nil))
		if err != nil || got.PhysicalID != out.ARN {
			t.Fatalf("made %+v, %v", got, err)
		}
	}
	want := cfn.Properties{"Id": out.ARN, "SecretId": out.ARN, "RotationLambdaARN": function, "RotationRules": map[string]any{"AutomaticallyAfterDays": int64(7)}}
	got, err := schedule.Read(as(t, ""), request("", out.ARN, nil, nil))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("read %v (-want +got):\n%s", err, diff)
	}
	hosted := cfn.Properties{"SecretId": out.ARN, "HostedRotationLambda": map[string]any{"RotationType": "MySQLSingleUser"}}
	if _, err := schedule.Create(as(t, "hosted"), request("hosted", "", hosted, nil)); !fault.Is(err, fault.NotImplemented) {
		t.Errorf("a hosted function: %v", err)
	}
	for range 2 {
		if err := schedule.Delete(as(t, "delete"), request("delete", out.ARN, props, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := schedule.Read(as(t, ""), request("", out.ARN, nil, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read what is gone: %v", err)
	}
}
