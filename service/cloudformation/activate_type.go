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

// The hooks of AWS's own that any account can activate ("Lambda Hooks" and "Guard
// Hooks", AWS CloudFormation Hooks User Guide).
const (
	lambdaHook     = "AWS::Hooks::LambdaHook"
	guardHook      = "AWS::Hooks::GuardHook"
	hooksPublisher = "aws-hooks"

	// hooksService is whom a hook's execution role must trust.
	hooksService = "hooks.cloudformation.amazonaws.com"
)

// ownHook is one of them. The schema says what the properties of its configuration are.
type ownHook struct{ name, description, schema string }

var ownHooks = []ownHook{
	makeOwnHook(guardHook, "Evaluates rules of CloudFormation Guard over resources, stacks and change sets before CloudFormation provisions them.",
		`"ruleLocation":{"type":["string","object"]},"logBucket":{"type":"string","minLength":3,"maxLength":63},`+
			`"options":{"type":"object","properties":{"inputParams":{"type":["string","object","array"]}},"additionalProperties":false}`,
		"ruleLocation", "s3:ListBucket", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"),
	makeOwnHook(lambdaHook, "Has a Lambda function evaluate resources and stacks before CloudFormation provisions them.",
		`"LambdaFunction":{"type":"string","minLength":1,"maxLength":170}`, "LambdaFunction", "lambda:InvokeFunction"),
}

func makeOwnHook(name, description, properties, required string, permissions ...string) ownHook {
	handler := `{"targetNames":["*"],"permissions":["` + strings.Join(permissions, `","`) + `"]}`
	return ownHook{name, description, `{"typeName":"` + name + `","description":"` + description + `",` +
		`"typeConfiguration":{"properties":{` + properties + `},"required":["` + required + `"],"additionalProperties":false},` +
		`"handlers":{"preCreate":` + handler + `,"preUpdate":` + handler + `,"preDelete":` + handler + `},"required":[],"additionalProperties":false}`}
}

// ownHookNamed finds one; nil: there is none.
func ownHookNamed(name string) *ownHook {
	for i := range ownHooks {
		if ownHooks[i].name == name {
			return &ownHooks[i]
		}
	}
	return nil
}

// originalARN is that of a public hook.
func originalARN(region, name string) string {
	return arn.Scope{Region: region}.ARN("cloudformation", "type/hook/"+hooksPublisher+"/"+strings.ReplaceAll(name, "::", "-")).String()
}

// ActivateType gives a hook of AWS's own a name in the account and region. Extensions
// of third-party publishers are not implemented.
func (s *Service) ActivateType(ctx context.Context, in *api.ActivateTypeInput) (*api.ActivateTypeOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	n, err := extensionNamed(c.Scope, named{Kind: in.Type, Name: in.TypeName, ARN: in.PublicTypeArn})
	own := ownHookNamed(n.Name)
	switch {
	case err != nil:
		return nil, err
	case n.Kind != hookKind || own == nil || in.PublisherId != "" && in.PublisherId != hooksPublisher:
		return nil, fault.New(fault.NotImplemented, "ActivateType of %s is not implemented: only %s and %s can be activated", n.Name, guardHook, lambdaHook)
	case in.LoggingConfig != nil:
		return nil, fault.New(fault.NotImplemented, "LoggingConfig of %s is not implemented: Lambda functions have a log of their own, and Guard hooks a logBucket", n.Name)
	case in.MajorVersion != nil || in.VersionBump != "":
		return nil, fault.New(fault.NotImplemented, "MajorVersion and VersionBump are not implemented")
	case in.ExecutionRoleArn == "":
		return nil, fault.New(fault.CFNRegistry, "ExecutionRoleArn is required to activate %s", n.Name)
	}
	if err := s.assumable(ctx, in.ExecutionRoleArn, hooksService); err != nil {
		return nil, err
	}
	var made *extension
	err = s.update(ctx, func(l *apply.Ledger) error {
		e := extension{Kind: hookKind, Name: cmp.Or(in.TypeNameAlias, own.name), Scope: c.Scope, Original: own.name, Publisher: hooksPublisher}
		old, err := getExtension(l.Tx, c.Scope, hookKind, e.Name)
		if err != nil {
			return err
		}
		if old != nil && !old.Deprecated {
			return fault.New(fault.CFNRegistry, "Extension %s is already registered or activated with the name %s", own.name, e.Name)
		}
		v := extensionVersion{Description: own.description, Schema: own.schema, Role: in.ExecutionRoleArn}
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
