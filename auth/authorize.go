package auth

import (
	"context"
	"strconv"
	"strings"

	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// Request is what a caller asks leave for.
type Request struct {
	Principal Principal
	Service   string // "sqs"; decides the form of a refusal
	Action    string // "sqs:SendMessage"
	// Resources are ARNs or "*"; policy.Unknown where an operation's resource
	// has no builder yet, which only an Allow of every resource covers.
	Resources []string
	Context   policy.Keys
}

// Authorizer decides whether a principal may act. A refusal is a *fault.Error
// in the form of the request's service; any other error is internal.
type Authorizer interface {
	Authorize(ctx context.Context, r Request) error
}

// Everyone is the authorizer of open mode: it refuses nothing.
type Everyone struct{}

// Authorize allows the request.
func (Everyone) Authorize(context.Context, Request) error { return nil }

// Policies finds the policies of a principal. Package service/iam has them.
type Policies interface {
	// PoliciesOf returns the identity-based documents of a user or an assumed
	// role, and the permissions boundary if it has one. A principal that is gone
	// has none.
	PoliciesOf(ctx context.Context, p Principal) (identity []*policy.Document, boundary *policy.Document, err error)
	// FullARN puts the path into the ARN of an IAM role, user, group or instance
	// profile that was named without it. Other ARNs, and those of what does not
	// exist, come back as they are.
	FullARN(ctx context.Context, arn string) (string, error)
}

// IAM authorizes by identity-based policies and permissions boundaries.
type IAM struct{ Policies Policies }

// unconditional are the actions that need no permission ("GetCallerIdentity",
// "GetSessionToken": AWS STS API Reference), and AssumeRole, which package
// service/sts decides together with the role's trust policy.
var unconditional = map[string]bool{
	"sts:GetCallerIdentity": true,
	"sts:GetSessionToken":   true,
	"sts:AssumeRole":        true,
	// These prove who calls by what they carry, not by a signature.
	"sts:AssumeRoleWithSAML":        true,
	"sts:AssumeRoleWithWebIdentity": true,
}

// instanceActions are what an instance may do by its identity alone, without a
// role: report the state of its own stack resource.
var instanceActions = map[string]bool{
	"cloudformation:DescribeStackResource": true,
	"cloudformation:SignalResource":        true,
}

// Authorize allows what the principal's policies allow on every resource.
func (a *IAM) Authorize(ctx context.Context, r Request) error {
	if unconditional[r.Action] {
		return nil
	}
	switch r.Principal.Kind {
	case Root, Service:
		return nil
	case Instance:
		if instanceActions[r.Action] {
			return nil
		}
		return Denied(r, policy.Unknown, policy.NoMatch)
	}
	return a.Permits(ctx, r)
}

// Permits is Authorize by the principal's policies alone: nothing is exempt but
// the account's root user.
func (a *IAM) Permits(ctx context.Context, r Request) error {
	if r.Principal.Kind == Root {
		return nil
	}
	identity, boundary, err := a.Policies.PoliciesOf(ctx, r.Principal)
	if err != nil {
		return err
	}
	resources := r.Resources
	if len(resources) == 0 {
		resources = []string{policy.Unknown}
	}
	for _, resource := range resources {
		if strings.HasPrefix(resource, "arn:aws:iam:") {
			if resource, err = a.Policies.FullARN(ctx, resource); err != nil {
				return err
			}
		}
		ask := policy.Request{Action: r.Action, Resource: resource, Context: r.Context}
		if d := policy.Evaluate(identity, ask); d != policy.Allowed {
			return Denied(r, resource, d)
		}
		if boundary == nil {
			continue
		}
		if d := policy.Evaluate([]*policy.Document{boundary}, ask); d != policy.Allowed {
			return deniedBy(r, resource, d, "a permissions boundary", "no permissions boundary allows")
		}
	}
	return nil
}

// Forbids refuses what the principal's policies or boundary deny by a statement, where
// something else than these policies allows it.
func (a *IAM) Forbids(ctx context.Context, r Request) error {
	if r.Principal.Kind == Root || r.Principal.Kind == Service {
		return nil
	}
	identity, boundary, err := a.Policies.PoliciesOf(ctx, r.Principal)
	if err != nil {
		return err
	}
	for _, resource := range r.Resources {
		ask := policy.Request{Action: r.Action, Resource: resource, Context: r.Context}
		if d := policy.Evaluate(identity, ask); d == policy.Denied {
			return Denied(r, resource, d)
		}
		if boundary == nil {
			continue
		}
		if d := policy.Evaluate([]*policy.Document{boundary}, ask); d == policy.Denied {
			return deniedBy(r, resource, d, "a permissions boundary", "no permissions boundary allows")
		}
	}
	return nil
}

// Denied is the refusal of a request on one of its resources.
func Denied(r Request, resource string, d policy.Decision) *fault.Error {
	return deniedBy(r, resource, d, "an identity-based policy", "no identity-based policy allows")
}

func deniedBy(r Request, resource string, d policy.Decision, denier, missing string) *fault.Error {
	if resource == policy.Unknown {
		resource = "*"
	}
	var b strings.Builder
	if familyOf(r.Service) == familyEC2 {
		b.WriteString("You are not authorized to perform this operation. ")
	}
	b.WriteString("User: " + r.Principal.ARN + " is not authorized to perform: " + r.Action + " on resource: " + resource)
	if d == policy.Denied {
		b.WriteString(" with an explicit deny in " + denier)
	} else {
		b.WriteString(" because " + missing + " the " + r.Action + " action")
	}
	f := familyOf(r.Service)
	return fault.New(f.code(fault.AccessDenied, fault.AccessDeniedException, fault.UnauthorizedOperation, fault.AccessDenied), "%s", b.String())
}

// Guard returns the place where every operation of every service is authorized,
// in the form of api.Interceptor. The context carries the call.
func Guard(a Authorizer) func(ctx context.Context, service, operation string, input any, call func(context.Context) (any, error)) (any, error) {
	return func(ctx context.Context, service, operation string, input any, call func(context.Context) (any, error)) (any, error) {
		c := From(ctx)
		c.Service, c.Operation = service, operation
		for _, r := range c.Requests(input) {
			if err := a.Authorize(ctx, r); err != nil {
				return nil, err
			}
		}
		return call(With(ctx, c))
	}
}

// conditionContext is what every call tells of itself ("AWS global condition
// context keys", IAM User Guide).
func (c Call) conditionContext() policy.Context {
	one := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	p := c.Principal
	principalARN := p.ARN
	out := policy.Context{
		"aws:userid":           one(p.UserID),
		"aws:principalaccount": one(p.Account),
		"aws:requestedregion":  one(c.Scope.Region),
		"aws:sourceip":         one(c.SourceIP),
		"aws:useragent":        one(c.UserAgent),
		"aws:securetransport":  {strconv.FormatBool(strings.HasPrefix(c.Endpoint, "https:"))},
		"aws:principaltype":    one(string(p.Kind)),
		"aws:username":         nil,
	}
	if p.Kind == Root {
		out["aws:principaltype"] = []string{"Account"}
	}
	if p.Kind == User {
		out["aws:username"] = one(p.Name)
	}
	// A role's session goes by the role's ARN, whose path is not known here.
	if p.Kind != AssumedRole {
		out["aws:principalarn"] = one(principalARN)
	}
	return out
}
