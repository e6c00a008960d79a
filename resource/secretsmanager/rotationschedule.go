package secretsmanager

import (
	"context"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const scheduleName = "AWS::SecretsManager::RotationSchedule"

type scheduleProperties struct {
	ID                string         `json:"Id,omitempty"`
	SecretID          string         `json:"SecretId"`
	RotationLambdaARN string         `json:"RotationLambdaARN,omitempty"`
	RotationRules     *scheduleRules `json:"RotationRules,omitempty"`
	Immediately       *bool          `json:"RotateImmediatelyOnUpdate,omitempty"`
	Hosted            any            `json:"HostedRotationLambda,omitempty"`
	External          any            `json:"ExternalSecretRotationMetadata,omitempty"`
	ExternalRole      string         `json:"ExternalSecretRotationRoleArn,omitempty"`
}

type scheduleRules struct {
	AutomaticallyAfterDays *int64 `json:"AutomaticallyAfterDays,omitempty"`
	Duration               string `json:"Duration,omitempty"`
	ScheduleExpression     string `json:"ScheduleExpression,omitempty"`
}

// scheduleHandler keeps how one secret is rotated; the secret's ARN is its id.
type scheduleHandler struct{ svc api.Service }

func scheduleType(svc api.Service) cfn.Type {
	h := scheduleHandler{svc}
	return cfn.Type{Name: scheduleName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete}
}

// put rotates at once, unless the template says otherwise, and does not wait for
// the function, as on AWS.
func (h scheduleHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p scheduleProperties
	if err := resource.Decode(scheduleName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if p.Hosted != nil || p.External != nil || p.ExternalRole != "" {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: HostedRotationLambda and external secrets are not built: give a RotationLambdaARN.", scheduleName)
	}
	in := &api.RotateSecretInput{
		SecretId: p.SecretID, ClientRequestToken: versionID(r.Token), RotationLambdaARN: p.RotationLambdaARN, RotateImmediately: p.Immediately,
	}
	if rules := p.RotationRules; rules != nil {
		in.RotationRules = &api.RotationRulesType{AutomaticallyAfterDays: rules.AutomaticallyAfterDays, Duration: rules.Duration, ScheduleExpression: rules.ScheduleExpression}
	}
	out, err := h.svc.RotateSecret(ctx, in)
	if err != nil {
		return cfn.Result{}, err
	}
	return result(out.ARN), nil
}

func (h scheduleHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.DescribeSecret(ctx, &api.DescribeSecretInput{SecretId: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, scheduleName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	if out.RotationEnabled == nil || !*out.RotationEnabled {
		return nil, resource.Missing(scheduleName, r.PhysicalID)
	}
	p := scheduleProperties{ID: out.ARN, SecretID: out.ARN, RotationLambdaARN: out.RotationLambdaARN}
	if rules := out.RotationRules; rules != nil && *rules != (api.RotationRulesType{}) {
		p.RotationRules = &scheduleRules{rules.AutomaticallyAfterDays, rules.Duration, rules.ScheduleExpression}
	}
	return resource.Encode(p)
}

func (h scheduleHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.CancelRotateSecret(ctx, &api.CancelRotateSecretInput{SecretId: r.PhysicalID})
	// A secret that is to be deleted is rotated no more.
	return resource.Gone(err, fault.ResourceNotFoundException, fault.InvalidRequestException)
}
