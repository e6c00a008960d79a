package platform

import (
	"context"
	"fmt"
	"time"

	ec2api "github.com/slipway/slipway/api/ec2"
	stsapi "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/dataplane/metadata"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/lambda"
)

// credentialLife is how long an instance's credentials last; the metadata
// service makes new ones at every request.
const credentialLife = time.Hour

// stackIDTag is the tag by which CloudFormation marks what it makes.
const stackIDTag = "aws:cloudformation:stack-id"

// insiders are the calls that Slipway's own parts make as AWS services do.
type insiders struct {
	sts      stsapi.Service
	ec2      ec2api.Service
	sessions *auth.Sessions
	now      func() time.Time
}

// as is a context in which an AWS service ("ec2.amazonaws.com") calls.
func (i *insiders) as(ctx context.Context, principal string, scope arn.Scope, service, operation string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Account: scope.Account, Name: principal, ARN: principal, UserID: principal},
		Scope:     scope, Service: service, Operation: operation, Time: i.now(),
		RequestID: arn.NewID("req-"), SourceIP: principal, UserAgent: principal,
	})
}

// roleCredentials are those of an instance's role, which must trust EC2.
func (i *insiders) roleCredentials(ctx context.Context, scope arn.Scope, roleARN, instanceID string) (metadata.Credentials, error) {
	out, err := i.sts.AssumeRole(i.as(ctx, "ec2.amazonaws.com", scope, "sts", "AssumeRole"),
		&stsapi.AssumeRoleInput{RoleArn: roleARN, RoleSessionName: instanceID})
	if err != nil {
		return metadata.Credentials{}, err
	}
	c := out.Credentials
	return metadata.Credentials{
		AccessKeyID: c.AccessKeyId, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		Expiration: *c.Expiration, Issued: i.now(),
	}, nil
}

// executionCredentials are those of a function's role, which must trust Lambda. The
// function's name names the session.
func (i *insiders) executionCredentials(ctx context.Context, scope arn.Scope, roleARN, name string) (lambda.Credentials, error) {
	out, err := i.sts.AssumeRole(i.as(ctx, "lambda.amazonaws.com", scope, "sts", "AssumeRole"),
		&stsapi.AssumeRoleInput{RoleArn: roleARN, RoleSessionName: name})
	if err != nil {
		return lambda.Credentials{}, err
	}
	c := out.Credentials
	return lambda.Credentials{
		AccessKeyID: c.AccessKeyId, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: *c.Expiration,
	}, nil
}

// executionRole is the principal of a function's role, which must trust Lambda.
// Policies bind it.
func (i *insiders) executionRole(ctx context.Context, scope arn.Scope, roleARN, name string) (auth.Principal, error) {
	out, err := i.sts.AssumeRole(i.as(ctx, "lambda.amazonaws.com", scope, "sts", "AssumeRole"),
		&stsapi.AssumeRoleInput{RoleArn: roleARN, RoleSessionName: name})
	if err != nil {
		return auth.Principal{}, err
	}
	role, err := arn.Parse(roleARN)
	return auth.Principal{
		Kind: auth.AssumedRole, Account: role.Account, ARN: out.AssumedRoleUser.Arn, UserID: out.AssumedRoleUser.AssumedRoleId,
		Name: nameOf(role.Resource), Enforced: true,
	}, err
}

// handlerCredentials are those of the role of a registered type's handler, which must
// trust the service.
func (i *insiders) handlerCredentials(ctx context.Context, roleARN, service string) (cfn.Credentials, error) {
	out, err := i.sts.AssumeRole(i.as(ctx, service, auth.From(ctx).Scope, "sts", "AssumeRole"),
		&stsapi.AssumeRoleInput{RoleArn: roleARN, RoleSessionName: "CloudFormationHandler"})
	if err != nil {
		return cfn.Credentials{}, err
	}
	c := out.Credentials
	return cfn.Credentials{AccessKeyID: c.AccessKeyId, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
}

// instanceCredentials prove which instance calls, and allow no more than the
// few calls that an instance may make as itself.
func (i *insiders) instanceCredentials(_ context.Context, scope arn.Scope, instanceID string) (metadata.Credentials, error) {
	now := i.now()
	c, err := i.sessions.Issue(auth.Principal{
		Kind: auth.Instance, Account: scope.Account, Name: instanceID, UserID: scope.Account + ":" + instanceID,
		ARN: scope.Global("sts", "assumed-role/aws:ec2-instance/"+instanceID).String(),
	}, credentialLife, now)
	return metadata.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expiration: c.Expires, Issued: now,
	}, err
}

// assumeRole is the principal of a stack's service role, which must trust
// CloudFormation. It is bound by policies where the caller is.
func (i *insiders) assumeRole(ctx context.Context, roleARN string) (auth.Principal, error) {
	return i.assumeAs(ctx, roleARN, "cloudformation.amazonaws.com")
}

// assumeAs is the principal of a role that trusts a service.
func (i *insiders) assumeAs(ctx context.Context, roleARN, service string) (auth.Principal, error) {
	caller := auth.From(ctx)
	out, err := i.sts.AssumeRole(i.as(ctx, service, caller.Scope, "sts", "AssumeRole"),
		&stsapi.AssumeRoleInput{RoleArn: roleARN, RoleSessionName: "AWSCloudFormation"})
	if err != nil {
		return auth.Principal{}, err
	}
	a, err := arn.Parse(out.AssumedRoleUser.Arn)
	if err != nil {
		return auth.Principal{}, err
	}
	if a.Account != caller.Scope.Account {
		return auth.Principal{}, fault.New(fault.ValidationError, "Cross-account pass role is not allowed.")
	}
	role, err := arn.Parse(roleARN)
	if err != nil {
		return auth.Principal{}, err
	}
	return auth.Principal{
		Kind: auth.AssumedRole, Account: a.Account, ARN: out.AssumedRoleUser.Arn, UserID: out.AssumedRoleUser.AssumedRoleId,
		Name: nameOf(role.Resource), Enforced: caller.Principal.Enforced,
	}, nil
}

// nameOf is the last part of a resource with a path.
func nameOf(resource string) string {
	for i := len(resource) - 1; i >= 0; i-- {
		if resource[i] == '/' {
			return resource[i+1:]
		}
	}
	return resource
}

// instanceStack is the stack that made an instance, "" for none.
func (i *insiders) instanceStack(ctx context.Context, instanceID string) (string, error) {
	scope := auth.From(ctx).Scope
	out, err := i.ec2.DescribeTags(i.as(ctx, "cloudformation.amazonaws.com", scope, "ec2", "DescribeTags"), &ec2api.DescribeTagsInput{
		Filters: []ec2api.Filter{{Name: "resource-id", Values: []string{instanceID}}, {Name: "key", Values: []string{stackIDTag}}},
	})
	if err != nil {
		return "", fmt.Errorf("stack of %s: %w", instanceID, err)
	}
	for _, t := range out.Tags {
		return t.Value, nil
	}
	return "", nil
}
