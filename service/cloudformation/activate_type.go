package cloudformation

import (
	"cmp"
	"context"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
)

// The hook of AWS's own that any account can activate ("Lambda Hooks", AWS
// CloudFormation Hooks User Guide).
const (
	lambdaHook            = "AWS::Hooks::LambdaHook"
	guardHook             = "AWS::Hooks::GuardHook"
	hooksPublisher        = "aws-hooks"
	lambdaHookDescription = "Has a Lambda function evaluate resources and stacks before CloudFormation provisions them."

	// hooksService is whom a hook's execution role must trust.
	hooksService = "hooks.cloudformation.amazonaws.com"
)

// lambdaHookSchema says what the properties of a Lambda hook's configuration are.
const lambdaHookSchema = `{"typeName":"AWS::Hooks::LambdaHook","description":"` + lambdaHookDescription + `",` +
	`"typeConfiguration":{"properties":{"LambdaFunction":{"type":"string","minLength":1,"maxLength":170}},"required":["LambdaFunction"],"additionalProperties":false},` +
	`"handlers":{"preCreate":{"targetNames":["*"],"permissions":["lambda:InvokeFunction"]},"preUpdate":{"targetNames":["*"],"permissions":["lambda:InvokeFunction"]},` +
	`"preDelete":{"targetNames":["*"],"permissions":["lambda:InvokeFunction"]}},"required":[],"additionalProperties":false}`

// originalARN is that of a public hook.
func originalARN(region, name string) string {
	return arn.Scope{Region: region}.ARN("cloudformation", "type/hook/"+hooksPublisher+"/"+strings.ReplaceAll(name, "::", "-")).String()
}

// ActivateType gives a Lambda hook a name in the account and region. Extensions of
// third-party publishers are not implemented.
func (s *Service) ActivateType(ctx context.Context, in *api.ActivateTypeInput) (*api.ActivateTypeOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.PublicTypeArn})
	switch {
	case err != nil:
		return nil, err
	case n.Kind == hookKind && n.Name == guardHook:
		return nil, fault.New(fault.NotImplemented, "ActivateType of %s is not implemented: the Guard language is not built; a Lambda hook (%s) can do the same", guardHook, lambdaHook)
	case n.Kind != hookKind || n.Name != lambdaHook || in.PublisherId != "" && in.PublisherId != hooksPublisher:
		return nil, fault.New(fault.NotImplemented, "ActivateType of %s is not implemented: only %s can be activated", n.Name, lambdaHook)
	case in.LoggingConfig != nil:
		return nil, fault.New(fault.NotImplemented, "LoggingConfig of a Lambda hook is not implemented: the function has a log of its own")
	case in.MajorVersion != nil || in.VersionBump != "":
		return nil, fault.New(fault.NotImplemented, "MajorVersion and VersionBump are not implemented")
	case in.ExecutionRoleArn == "":
		return nil, fault.New(fault.CFNRegistry, "ExecutionRoleArn is required to activate %s", lambdaHook)
	}
	if err := s.assumable(ctx, in.ExecutionRoleArn, hooksService); err != nil {
		return nil, err
	}
	var made *extension
	err = s.update(ctx, func(l *apply.Ledger) error {
		e := extension{Kind: hookKind, Name: cmp.Or(in.TypeNameAlias, lambdaHook), Scope: c.Scope, Original: lambdaHook, Publisher: hooksPublisher}
		old, err := getExtension(l.Tx, c.Scope, hookKind, e.Name)
		if err != nil {
			return err
		}
		if old != nil && !old.Deprecated {
			return fault.New(fault.CFNRegistry, "Extension %s is already registered or activated with the name %s", lambdaHook, e.Name)
		}
		v := extensionVersion{Description: lambdaHookDescription, Schema: lambdaHookSchema, Role: in.ExecutionRoleArn}
		made, err = addVersion(l.Tx, e, v, s.cfg.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.ActivateTypeOutput{Arn: made.arn("")}, nil
}

// assumable checks that an execution role exists and trusts a service.
func (s *Service) assumable(ctx context.Context, roleARN, service string) error {
	if s.cfg.AssumeAs == nil {
		return fault.New(fault.NotImplemented, "execution roles (ExecutionRoleArn) are not implemented")
	}
	if _, err := s.cfg.AssumeAs(ctx, roleARN, service); err != nil {
		return fault.New(fault.CFNRegistry, "Role %s is invalid or cannot be assumed by %s", roleARN, service).Because(err)
	}
	return nil
}

// DeactivateType takes the name of an activated extension away, and its
// configuration.
func (s *Service) DeactivateType(ctx context.Context, in *api.DeactivateTypeInput) (*api.DeactivateTypeOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.Arn})
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(l *apply.Ledger) error {
		e, err := live(l.Tx, c.Scope, n)
		if err == nil && e.Original == "" {
			err = fault.New(fault.CFNRegistry, "Extension %s is registered, not activated: use DeregisterType", n.Name)
		}
		if err != nil {
			return err
		}
		return forgetExtension(l.Tx, e)
	})
	return &api.DeactivateTypeOutput{}, err
}
