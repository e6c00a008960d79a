package ssm

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/slipway/slipway/api/secretsmanager"
	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store/storetest"
)

// TestSecrets reads secrets by the names that Parameter Store has for them.
func TestSecrets(t *testing.T) {
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var asked secretsmanager.GetSecretValueInput
	s := New(Config{Store: storetest.New(t), Secrets: func(_ context.Context, in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error) {
		asked = *in
		switch in.SecretId {
		case "prod/db":
			return &secretsmanager.GetSecretValueOutput{ARN: "arn:secret", Name: "prod/db", VersionId: "v", VersionStages: []string{"AWSCURRENT"}, SecretString: "hidden", CreatedDate: &made}, nil
		case "theirs":
			return nil, fault.New(fault.AccessDeniedException, "not yours")
		}
		return nil, fault.New(fault.ResourceNotFoundException, "Secrets Manager can't find the specified secret.")
	}})
	ctx := auth.With(t.Context(), auth.Call{Principal: auth.RootOf("111111111111"), Scope: arn.Scope{Account: "111111111111", Region: "us-east-1"}})
	get := func(name string, decrypt bool) (*api.GetParameterOutput, error) {
		return s.GetParameter(ctx, &api.GetParameterInput{Name: name, WithDecryption: &decrypt})
	}
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	for _, c := range []struct {
		name, selector string
		want           secretsmanager.GetSecretValueInput
	}{
		{secretPrefix + "prod/db", "", secretsmanager.GetSecretValueInput{SecretId: "prod/db"}},
		{secretPrefix + "prod/db:AWSPREVIOUS", ":AWSPREVIOUS", secretsmanager.GetSecretValueInput{SecretId: "prod/db", VersionStage: "AWSPREVIOUS"}},
		{secretPrefix + "prod/db:" + id, ":" + id, secretsmanager.GetSecretValueInput{SecretId: "prod/db", VersionId: id}},
	} {
		out, err := get(c.name, true)
		if err != nil {
			t.Fatal(err)
		}
		var source struct {
			SecretString string
			CreatedDate  float64
		}
		p := out.Parameter
		if err := json.Unmarshal([]byte(p.SourceResult), &source); err != nil {
			t.Fatal(err)
		}
		if p.Name != secretPrefix+"prod/db" || p.Selector != c.selector || p.Value != "hidden" || p.Type != "SecureString" || *p.Version != 0 || p.ARN != "arn:secret" ||
			source.SecretString != "hidden" || source.CreatedDate != float64(made.Unix()) || asked != c.want {
			t.Errorf("%s: %+v by %+v", c.name, p, asked)
		}
	}
	for name, c := range map[string]struct {
		decrypt bool
		want    string
	}{
		"prod/db":  {false, fault.ValidationException},
		"prod/db:": {true, fault.ValidationException},
		"none":     {true, fault.ParameterNotFound},
		"theirs":   {true, fault.AccessDeniedException},
	} {
		if _, err := get(secretPrefix+name, c.decrypt); !fault.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	out, err := s.GetParameters(ctx, &api.GetParametersInput{Names: []string{secretPrefix + "none", secretPrefix + "prod/db", "plain"}, WithDecryption: new(true)})
	if err != nil || len(out.Parameters) != 1 || out.Parameters[0].Value != "hidden" || len(out.InvalidParameters) != 2 {
		t.Errorf("several: %+v, %v", out, err)
	}
	if _, err := s.PutParameter(ctx, &api.PutParameterInput{Name: secretPrefix + "x", Value: "v", Type: "String"}); err == nil {
		t.Error("a parameter is put at a secret's name")
	}
}
