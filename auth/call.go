// Package auth says who calls and what they may do: Signature Version 4,
// principals, and the authorization of each operation. It may import arn, fault
// and store. It starts no goroutine.
package auth

import (
	"context"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
)

// Kind is the kind of a principal.
type Kind string

// The kinds of principals that make calls.
const (
	Root          Kind = "Root"
	User          Kind = "User"
	AssumedRole   Kind = "AssumedRole"
	FederatedUser Kind = "FederatedUser" // a session that a user made by GetFederationToken
	Instance      Kind = "Instance"      // an instance by its identity credentials, not by its role
	// WebIdentity is somebody whom an identity provider knows, on the way to a role.
	WebIdentity Kind = "WebIdentityUser"
	Anonymous   Kind = "Anonymous" // without a signature, where an operation needs none
	Service     Kind = "Service"   // a part of Slipway that acts on a user's behalf
)

// Principal is who calls.
type Principal struct {
	Kind        Kind
	Account     string // 12 digits
	ARN         string // arn:aws:iam::123456789012:root, arn:aws:sts::…:assumed-role/role/session
	UserID      string // "AIDA…", "AROA…:session", or the account for root
	AccessKeyID string
	Name        string // user name; role name of an assumed role; instance id

	// Session is what a session was begun with; nil for long-term keys.
	Session *Session `json:",omitempty"`

	// Enforced says that policies decide what this principal may do: it came in
	// where authorization is on. What acts on its behalf later is bound alike.
	Enforced bool

	known *known
}

// known is what IAM's records tell of a principal. Services that decide by a
// policy of their own within a transaction have it with the call.
type known struct {
	arn  string // a role's own, with its path, for its sessions
	tags map[string]string
}

// Know returns the principal with what IAM's records tell of it for conditions.
func (a *IAM) Know(ctx context.Context, p Principal) (Principal, error) {
	who := p
	if p.Kind == FederatedUser && p.Session != nil && p.Session.Issuer != nil {
		who = *p.Session.Issuer
	}
	if a.Policies == nil || who.Kind != User && who.Kind != AssumedRole {
		return p, nil
	}
	k := &known{arn: who.ARN}
	var err error
	if k.tags, err = a.Policies.PrincipalTags(ctx, who); err != nil {
		return p, err
	}
	if p.Kind == AssumedRole {
		k.arn, err = a.Policies.FullARN(ctx, roleARN(&p))
	}
	p.known = k
	return p, err
}

func roleARN(p *Principal) string {
	return arn.ARN{Service: "iam", Account: p.Account, Resource: "role/" + p.Name}.String()
}

// Session is what temporary credentials carry beside who they are for.
type Session struct {
	Issued time.Time
	// Own says that a user asked these credentials for itself (GetSessionToken).
	Own bool `json:",omitempty"`
	// MFA is when the caller showed a code of a multi-factor device; zero: not at all.
	MFA time.Time `json:",omitzero"`
	// Policy and PolicyARNs narrow what the session may do.
	Policy     string   `json:",omitempty"`
	PolicyARNs []string `json:",omitempty"`
	// Tags are the session's; those in Transitive stay with sessions that are
	// begun by this one.
	Tags           map[string]string `json:",omitempty"`
	Transitive     []string          `json:",omitempty"`
	SourceIdentity string            `json:",omitempty"`
	// Provider vouched for the session, by Claims such as "issuer:sub".
	Provider string              `json:",omitempty"`
	Claims   map[string][]string `json:",omitempty"` // keys in lower case
	// Issuer is the user, or the root, behind a federated user.
	Issuer *Principal `json:",omitempty"`
}

// Caller is the principal as trust and resource policies name it.
func (p Principal) Caller() policy.Caller {
	who := policy.Caller{Account: p.Account, ARN: p.ARN}
	switch p.Kind {
	// The ids of all others begin with the account, which is not theirs alone.
	case User:
		who.UniqueID = p.UserID
	case AssumedRole:
		who.UniqueID, _, _ = strings.Cut(p.UserID, ":")
		who.RoleName = p.Name
	case Service:
		who.Service = p.Name
	case Anonymous:
		return policy.Caller{}
	case WebIdentity:
		return policy.Caller{Provider: p.Session.Provider}
	case FederatedUser:
		if p.Session != nil && p.Session.Issuer != nil {
			who.UserARN = p.Session.Issuer.ARN
		}
	}
	return who
}

// Call is the context that every call into a service carries, whether it came
// over the wire or from another part of Slipway.
type Call struct {
	Principal Principal
	Scope     arn.Scope // the account and region that the call acts in
	RequestID string
	Service   string // "cloudformation"
	Operation string // "CreateStack"
	Time      time.Time
	SourceIP  string
	UserAgent string
	Referer   string

	// Via are the services through which the call was made, by their host names,
	// the first first.
	Via []string

	// Endpoint is the base URL by which the caller reached Slipway
	// ("http://127.0.0.1:4566"); URLs in answers begin with it.
	Endpoint string

	// SignedFor is the region that the request's own signature names; "" for a call
	// that another part of Slipway makes, and for one without a signature.
	SignedFor string

	// Signature is how the caller signed; the zero value as with SignedFor.
	Signature Signature

	// TLS is the version by which the request came ("1.3"); "" without.
	TLS string

	// SourceARN and SourceAccount are the resource, and its account, on whose
	// behalf an AWS service calls for itself.
	SourceARN, SourceAccount string

	// Token, where it is set, names the durable step that makes this call. A
	// service that creates a record keeps it, and answers a second create with
	// the same token with what the first one made instead of "already exists".
	Token string
}

// Signature is what condition keys tell of a request's signature.
type Signature struct {
	Type    string    // "REST-HEADER", "REST-QUERY-STRING", or "POST" for a browser's form
	Time    time.Time // when it was made; zero where the request does not say
	Payload string    // the hash that the request states of its body, or "UNSIGNED-PAYLOAD" and its like
}

type callKey struct{}

// With returns a context that carries the call.
func With(ctx context.Context, c Call) context.Context { return Carry(ctx, &c) }

// Carry is With of a call that does not change any more.
func Carry(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// From returns the call that ctx carries. It panics where there is none: a
// service was called without a principal, which is a bug in the wiring.
func From(ctx context.Context) Call {
	c, ok := ctx.Value(callKey{}).(*Call)
	if !ok {
		panic("auth: context carries no call; call services through auth.With")
	}
	return *c
}

// WithToken returns a context whose call carries the durable step's token.
func WithToken(ctx context.Context, token string) context.Context {
	c := From(ctx)
	c.Token = token
	return With(ctx, c)
}
