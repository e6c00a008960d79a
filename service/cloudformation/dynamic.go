package cloudformation

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/fault"
)

// dynamic resolves a dynamic reference as the caller that ctx carries ("Get values
// stored in other services using dynamic references", CloudFormation User Guide).
func (s *Service) dynamic(ctx context.Context, service, reference string) (string, error) {
	switch {
	case (service == "ssm" || service == "ssm-secure") && s.cfg.SSM != nil:
		return s.parameterAt(ctx, reference, service == "ssm-secure")
	case service == "secretsmanager" && s.cfg.Secrets != nil:
		return s.secretAt(ctx, reference)
	}
	return "", fault.New(fault.NotImplemented, "Dynamic references to %s are not implemented", service)
}

// parameterAt is the value of a parameter.
func (s *Service) parameterAt(ctx context.Context, reference string, decrypt bool) (string, error) {
	out, err := s.cfg.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: reference, WithDecryption: &decrypt})
	if err != nil {
		return "", err
	}
	if !decrypt && out.Parameter.Type == "SecureString" {
		return "", fault.New(fault.ValidationError, "SSM Secure reference is not supported in: [ssm:%s]; use ssm-secure", reference)
	}
	return out.Parameter.Value, nil
}

// secretReference is secret-id:SecretString:json-key:version-stage:version-id, of
// which all but the first may be left out.
type secretReference struct{ id, key, stage, version string }

// arnParts are the colons of a secret's ARN, and one.
const arnParts = 7

func parseSecretReference(text string) (r secretReference, err error) {
	parts, id := strings.Split(text, ":"), 1
	if parts[0] == "arn" {
		id = min(arnParts, len(parts))
	}
	r.id = strings.Join(parts[:id], ":")
	rest := append(parts[id:], "", "", "", "")
	r.key, r.stage, r.version = rest[1], rest[2], rest[3]
	switch {
	case r.id == "" || len(parts)-id > 4:
		err = fault.New(fault.ValidationError, "Incorrect format is used in the following SecretsManager reference: [%s]", text)
	case rest[0] != "" && rest[0] != "SecretString":
		err = fault.New(fault.ValidationError, "Only SecretString is supported in a SecretsManager reference, not %s: [%s]", rest[0], text)
	case r.stage != "" && r.version != "":
		err = fault.New(fault.ValidationError, "A SecretsManager reference has a version-stage or a version-id, not both: [%s]", text)
	}
	return r, err
}

// secretAt is the value of a secret, or of a member of its JSON. No error repeats
// any of it.
func (s *Service) secretAt(ctx context.Context, reference string) (string, error) {
	r, err := parseSecretReference(reference)
	if err != nil {
		return "", err
	}
	out, err := s.cfg.Secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: r.id, VersionStage: r.stage, VersionId: r.version})
	switch {
	case err != nil:
		return "", err
	case out.SecretString == "":
		return "", fault.New(fault.ValidationError, "The secret has no SecretString: [secretsmanager:%s]", reference)
	case r.key == "":
		return out.SecretString, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(out.SecretString), &members) != nil {
		return "", fault.New(fault.ValidationError, "Could not parse SecretString JSON: [secretsmanager:%s]", reference)
	}
	raw, ok := members[r.key]
	if !ok || string(raw) == "null" {
		return "", fault.New(fault.ValidationError, "Could not find a value associated with JSONKey in SecretString: [secretsmanager:%s]", reference)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	return string(raw), nil
}
