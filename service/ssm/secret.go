package ssm

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/secretsmanager"
	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

// secretPrefix begins the names that stand for secrets of Secrets Manager
// ("Referencing AWS Secrets Manager secrets from Parameter Store parameters", AWS
// Systems Manager User Guide).
const secretPrefix = "/aws/reference/secretsmanager/"

func isSecret(name string) bool { return strings.HasPrefix(name, secretPrefix) }

// secret reads the secret that a name stands for, as the caller.
func (s *Service) secret(ctx context.Context, name string, decrypt bool) (out api.Parameter, err error) {
	switch {
	case s.secrets == nil:
		return out, fault.New(fault.NotImplemented, "GetParameter of %s is not implemented: this Slipway has no Secrets Manager", secretPrefix)
	case !decrypt:
		return out, fault.New(fault.ValidationException, "WithDecryption flag must be True for retrieving a Secret Manager secret.")
	}
	id, selector, selected := strings.Cut(strings.TrimPrefix(name, secretPrefix), ":")
	in := &secretsmanager.GetSecretValueInput{SecretId: id}
	switch {
	case id == "", selected && selector == "":
		return out, fault.New(fault.ValidationException, "Invalid parameter name. Please use correct syntax for referencing a version/label <name>:<version/label>")
	case arn.IsUUID(selector):
		in.VersionId = selector
	default:
		in.VersionStage = selector
	}
	got, err := s.secrets(ctx, in)
	if fault.Is(err, fault.ResourceNotFoundException) {
		return out, fault.New(fault.ParameterNotFound, "Secret %s not found.", strings.TrimPrefix(name, secretPrefix)).Because(err)
	}
	if err != nil {
		return out, err
	}
	value := got.SecretString
	if value == "" {
		value = string(got.SecretBinary)
	}
	source, err := json.Marshal(map[string]any{
		"ARN": got.ARN, "Name": got.Name, "VersionId": got.VersionId, "VersionStages": got.VersionStages, "SecretString": got.SecretString,
		"CreatedDate": float64(got.CreatedDate.UnixMilli()) / float64(time.Second/time.Millisecond),
	})
	if selected {
		selector = ":" + selector
	}
	return api.Parameter{
		Name: strings.TrimSuffix(name, selector), Selector: selector, Type: api.ParameterTypeSecureString, Value: value, Version: new(int64(0)),
		ARN: got.ARN, LastModifiedDate: got.CreatedDate, SourceResult: string(source), DataType: "text",
	}, err
}

// takeSecrets reads the secrets among names, and gives the names that are left.
func (s *Service) takeSecrets(ctx context.Context, names []string, decrypt bool, out *api.GetParametersOutput) ([]string, error) {
	var left []string
	for _, name := range names {
		if !isSecret(name) {
			left = append(left, name)
			continue
		}
		p, err := s.secret(ctx, name, decrypt)
		switch {
		case fault.Is(err, fault.ParameterNotFound):
			out.InvalidParameters = append(out.InvalidParameters, name)
		case err != nil:
			return nil, err
		default:
			out.Parameters = append(out.Parameters, p)
		}
	}
	return slices.Clip(left), nil
}
