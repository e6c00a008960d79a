package auth

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// Request is what a caller asks leave for.
type Request struct {
	Principal Principal
	Service   string // "sqs"; decides the form of a refusal
	Action    string // "sqs:SendMessage"
	// Resources are ARNs or "*"; policy.Unknown where only records tell the
	// resource, which only an Allow of every resource covers.
	Resources []string
	// As, where it is set, is what IAM's resource is going to be: its new name, or
	// from a slash on its new path and name.
	As      string
	Context policy.Keys
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
	// role, and the permissions boundary if it has one. ErrGone where the principal
	// is gone, or is another of the same name.
	PoliciesOf(ctx context.Context, p Principal) (identity []*policy.Document, boundary *policy.Document, err error)
	// ManagedPolicy returns the version in force of a managed policy, as a session
	// of the account names it; nil where it does not exist.
	ManagedPolicy(ctx context.Context, account, policyARN string) (*policy.Document, error)
	// PrincipalTags returns the tags of a user or of a session's role.
	PrincipalTags(ctx context.Context, p Principal) (map[string]string, error)
	// FullARN puts the path into the ARN of an IAM role, user, group or instance
	// profile that was named without it. Other ARNs, and those of what does not
	// exist, come back as they are.
	FullARN(ctx context.Context, arn string) (string, error)
}

// Devices verifies the codes of multi-factor devices. Package service/iam does.
type Devices interface {
	// TakeCode takes a one-time code of a device that a user has. None is good twice.
	TakeCode(ctx context.Context, p Principal, serial, code string) (CodeVerdict, error)
}

// CodeVerdict is what becomes of a one-time code.
type CodeVerdict int

// The verdicts.
const (
	NoDevice CodeVerdict = iota // the caller has no such device
	WrongCode
	GoodCode
)

// ErrGone is the error of Policies for a user or role that was deleted since it was
// given its credentials, which end with it.
var ErrGone = errors.New("auth: the principal does not exist any more")

// ResourcePolicies finds the resource-based policies of a service. A service whose
// resources have them implements it and is named in IAM.Resources.
type ResourcePolicies interface {
	// ResourcePolicy returns what bears on a resource, which is named as the table
	// of the service's operations names it. The zero value is that of a resource
	// that does not exist.
	ResourcePolicy(ctx context.Context, resource string) (ResourcePolicy, error)
}

// ResourcePolicy is the resource-based policy of a resource.
type ResourcePolicy struct {
	Document *policy.Document // nil: none
	Owner    string           // the resource's account; "" is the caller's
	// Delegates says that identity-based policies count only where this one lets
	// the account decide.
	Delegates bool
	// Decides says that the service applies the policy itself, too, once the call
	// is there, with what else it has: access control lists and grants. Whom of
	// another account it lets in is then left to it; here the caller's own side is
	// decided.
	Decides bool
	// ARN is the resource's own where it was named by another, such as an alias.
	ARN string
}

// ResourceTags finds the tags of a service's resources, for policies that ask for
// aws:ResourceTag. What does not exist has none.
type ResourceTags interface {
	ResourceTags(ctx context.Context, resource string) (map[string]string, error)
}

// ObjectTags finds the tags of S3's objects, for s3:ExistingObjectTag. An
// object that does not exist has none.
type ObjectTags interface {
	ObjectTags(ctx context.Context, resource, version string) (tags map[string]string, err error)
}

// ResourceKeys tells the condition keys that the record of a resource has, without
// the service's prefix and in lower case. What does not exist has none.
type ResourceKeys interface {
	ResourceKeys(ctx context.Context, resource string) (map[string][]string, error)
}

// Boundaries finds the permissions boundary that an IAM user or role has, for
// iam:PermissionsBoundary; "" is none.
type Boundaries interface {
	BoundaryOf(ctx context.Context, resource string) (policyARN string, err error)
}

// IAM authorizes by all the policies that bear on a request: identity-based and
// resource-based ones, permissions boundaries and session policies.
type IAM struct {
	Policies Policies
	// Resources and Tags are asked by the service in a resource's ARN ("s3").
	Resources map[string]ResourcePolicies
	Tags      map[string]ResourceTags
	Effects   map[string]Effects // by the service's name
	// Organizations tells the service control policies; nil: there are none.
	Organizations Organizations
	// Ring seals the details of EC2's refusals; nil leaves them out.
	Ring *keyring.Ring

	sessions policy.Cache
}

// unconditional are the actions that need no permission ("GetCallerIdentity",
// "GetSessionToken": AWS STS API Reference), and those that package service/sts
// decides together with the role's trust policy.
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

// Authorize allows what the policies allow, on every resource.
func (a *IAM) Authorize(ctx context.Context, r Request) error {
	if err := restricted(&r); err != nil {
		return err
	}
	if unconditional[r.Action] {
		return nil
	}
	switch r.Principal.Kind {
	case Service:
		return nil
	case Anonymous:
		if anonymousActions[r.Action] {
			return nil
		}
	case Instance:
		if instanceActions[r.Action] {
			return nil
		}
		return Denied(r, policy.Unknown, policy.NoMatch)
	}
	return a.Permits(ctx, r)
}

// restricted refuses what sessions that users make for themselves and for others
// may never call ("Comparing the AWS STS API operations", IAM User Guide).
func restricted(r *Request) error {
	p := &r.Principal
	if p.Kind != FederatedUser && (p.Session == nil || !p.Session.Own) {
		return nil
	}
	service, operation, _ := strings.Cut(r.Action, ":")
	switch {
	case r.Service == "iam" && service == "iam" && (p.Session == nil || p.Session.MFA.IsZero()):
		return fault.New(fault.InvalidClientTokenID, "The security token included in the request is invalid")
	case r.Service == "sts" && operation != "GetCallerIdentity" && (operation != "AssumeRole" || p.Kind == FederatedUser):
		return fault.New(fault.AccessDenied, "Cannot call %s with session credentials", operation)
	}
	return nil
}

// Permits is Authorize by policies alone: nothing is exempt.
func (a *IAM) Permits(ctx context.Context, r Request) error {
	resources := r.Resources
	if len(resources) == 0 {
		resources = []string{policy.Unknown}
	}
	q, err := a.inquiry(ctx, r.Principal)
	if errors.Is(err, ErrGone) {
		return badToken(r.Service)
	}
	if err != nil {
		return err
	}
	for _, resource := range resources {
		if err := a.permits(ctx, &r, q, resource); err != nil {
			return err
		}
	}
	return nil
}

func (a *IAM) permits(ctx context.Context, r *Request, q policy.Inquiry, resource string) (err error) {
	if strings.HasPrefix(resource, "arn:aws:iam:") && a.Policies != nil {
		if resource, err = a.Policies.FullARN(ctx, resource); err != nil {
			return err
		}
		resource = renamed(resource, r.As)
	}
	held, err := a.heldBy(ctx, r, resource)
	if err != nil {
		return err
	}
	if held.Decides && held.Owner != r.Principal.Account {
		held.Document, held.Owner = nil, ""
	}
	if held.ARN != "" {
		resource = held.ARN
	}
	q.Attached, q.Owner, q.Delegates = held.Document, held.Owner, held.Delegates
	if r.Principal.Kind == Root && held.Owner == r.Principal.Account && rootKeeps[r.Action] {
		return nil
	}
	q.Request = policy.Request{Action: r.Action, Resource: resource, Context: r.Context}
	if k, ok := r.Context.(*requestKeys); ok {
		q.Context = k.at(ctx, a, resource, held.Owner)
	}
	if v := q.Decide(); v.Decision != policy.Allowed {
		return a.denied(r, resource, v, q.Context)
	}
	return nil
}

// renamed is the ARN of one of IAM's resources under another name or path.
func renamed(resource, as string) string {
	switch {
	case as == "":
		return resource
	case as[0] == '/':
		return resource[:strings.IndexByte(resource, '/')] + as
	}
	return resource[:strings.LastIndexByte(resource, '/')+1] + as
}

// rootKeeps are what the root user of a resource's account may always do, or
// nobody could take a policy back that denies everybody.
var rootKeeps = map[string]bool{
	"s3:GetBucketPolicy": true, "s3:PutBucketPolicy": true, "s3:DeleteBucketPolicy": true,
	"sqs:GetQueueAttributes": true, "sqs:SetQueueAttributes": true,
}

func (a *IAM) heldBy(ctx context.Context, r *Request, resource string) (ResourcePolicy, error) {
	rest, ok := strings.CutPrefix(resource, "arn:aws:")
	if !ok || len(a.Resources) == 0 {
		return ResourcePolicy{}, nil
	}
	if strings.HasPrefix(r.Action, "kms:") && strings.HasSuffix(r.Action, "Alias") && strings.Contains(rest, ":alias/") {
		return ResourcePolicy{}, nil // acts on the alias itself, not on its key
	}
	service, _, _ := strings.Cut(rest, ":")
	source := a.Resources[service]
	if source == nil {
		return ResourcePolicy{}, nil
	}
	return source.ResourcePolicy(ctx, resource)
}

// allowAll is the identity-based policy of an account's root user.
var allowAll = mustParse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)

// allowNone allows nothing, and denies nothing that another policy allows.
var allowNone = mustParse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"none:None","Resource":"*"}}`)

func mustParse(text string) *policy.Document {
	d, err := policy.Parse(text, policy.Identity)
	if err != nil {
		panic(err)
	}
	return d
}

// inquiry begins an inquiry with what is known of a principal.
func (a *IAM) inquiry(ctx context.Context, p Principal) (q policy.Inquiry, err error) {
	q.Caller = p.Caller()
	switch p.Kind {
	case Service:
		q.Unbound = true
		return q, nil
	case Anonymous, Instance:
		return q, nil
	}
	if q.Control, err = a.control(ctx, p); err != nil {
		return q, err
	}
	switch p.Kind {
	case Root:
		q.Unbound = true
		return q, nil
	case FederatedUser:
		issuer := Principal{}
		if p.Session != nil && p.Session.Issuer != nil {
			issuer = *p.Session.Issuer
		}
		if issuer.Kind == Root {
			q.Identity = []*policy.Document{allowAll}
		} else if q.Identity, q.Boundary, err = a.Policies.PoliciesOf(ctx, issuer); err != nil {
			return q, err
		}
		// Without policies of its own the session may do nothing.
		q.Session, err = a.sessionPolicies(ctx, p)
		q.Session = append(q.Session, allowNone)
		return q, err
	}
	if q.Identity, q.Boundary, err = a.Policies.PoliciesOf(ctx, p); err != nil {
		return q, err
	}
	q.Session, err = a.sessionPolicies(ctx, p)
	return q, err
}

// sessionPolicies are those that the session was begun with; nil where it was
// begun without. A managed policy that is gone allows nothing.
func (a *IAM) sessionPolicies(ctx context.Context, p Principal) ([]*policy.Document, error) {
	s := p.Session
	if s == nil || s.Policy == "" && len(s.PolicyARNs) == 0 {
		return nil, nil
	}
	out := []*policy.Document{allowNone}
	if s.Policy != "" {
		doc, err := a.sessions.Parse(s.Policy, policy.Identity)
		if err != nil {
			return nil, err
		}
		out = append(out, doc)
	}
	for _, name := range s.PolicyARNs {
		doc, err := a.Policies.ManagedPolicy(ctx, p.Account, name)
		if err != nil {
			return nil, err
		}
		if doc != nil {
			out = append(out, doc)
		}
	}
	return out, nil
}

// Trusted decides whether a role's trust policy and the caller's own policies let
// the caller begin a session of the role: the actions are "sts:AssumeRole" and
// its like. unbound is for callers whose own policies are not asked.
func (a *IAM) Trusted(ctx context.Context, r Request, trust *policy.Document, owner string, unbound bool) (bool, error) {
	q := policy.Inquiry{Caller: r.Principal.Caller(), Unbound: true}
	if !unbound {
		var err error
		q, err = a.inquiry(ctx, r.Principal)
		if errors.Is(err, ErrGone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	q.Attached, q.Owner, q.Delegates = trust, owner, true
	q.Request = policy.Request{Action: r.Action, Resource: r.Resources[0], Context: r.Context}
	if k, ok := r.Context.(*requestKeys); ok {
		q.Context = k.at(ctx, a, r.Resources[0], owner)
	}
	return q.Decide().Decision == policy.Allowed, nil
}

// Guard returns the place where every operation of every service is authorized,
// in the form of api.Interceptor. The context carries the call. A call that one
// service makes for the caller of another tells so.
func Guard(a Authorizer) func(ctx context.Context, service, operation string, input any, call func(context.Context) (any, error)) (any, error) {
	return func(ctx context.Context, service, operation string, input any, call func(context.Context) (any, error)) (any, error) {
		c := From(ctx)
		if c.Service != "" && c.Service != service && c.Principal.Kind != Service {
			c.Via = append(slices.Clip(c.Via), c.Service+".amazonaws.com")
		}
		c.Service, c.Operation, c.SignedFor, c.Signature, c.TLS = service, operation, "", Signature{}, ""
		if err := Ask(ctx, a, &c, input); err != nil {
			return nil, err
		}
		return call(Carry(ctx, &c))
	}
}
