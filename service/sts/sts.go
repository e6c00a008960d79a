// Package sts implements the part of the STS API that hands out temporary
// credentials. It may import api/iam, api/sts, arn, auth and fault. It keeps no
// state: a session's token carries what its verification needs. It starts no
// goroutine.
package sts

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"time"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// Permits asks a caller's own policies: whether they allow an action, and
// whether they deny what a trust policy allows. *auth.IAM is one; nil stands for
// open mode, where they are not asked.
type Permits interface {
	Permits(ctx context.Context, r auth.Request) error
	Forbids(ctx context.Context, r auth.Request) error
}

// Config is what the service stands on.
type Config struct {
	IAM      iamapi.Service // asked for roles, as Slipway itself
	Sessions *auth.Sessions
	Permits  Permits
	Now      func() time.Time
}

// Service is the STS API.
type Service struct {
	api.Unimplemented
	cfg Config
}

var _ api.Service = (*Service)(nil)

// New makes the service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg}
}

// GetCallerIdentity tells the caller who it is.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	p := auth.From(ctx).Principal
	return &api.GetCallerIdentityOutput{Account: p.Account, Arn: p.ARN, UserId: p.UserID}, nil
}

// GetSessionToken gives a user or the root temporary credentials of its own.
func (s *Service) GetSessionToken(ctx context.Context, in *api.GetSessionTokenInput) (*api.GetSessionTokenOutput, error) {
	p := auth.From(ctx).Principal
	if p.Kind != auth.User && p.Kind != auth.Root {
		return nil, fault.New(fault.AccessDenied, "Cannot call GetSessionToken with session credentials")
	}
	if in.SerialNumber != "" || in.TokenCode != "" {
		return nil, fault.New(fault.NotImplemented, "GetSessionToken: SerialNumber and TokenCode are not built.")
	}
	if strings.HasPrefix(p.AccessKeyID, "ASIA") {
		return nil, fault.New(fault.AccessDenied, "Cannot call GetSessionToken with session credentials")
	}
	seconds, err := duration(in.DurationSeconds, 43200, 900, 129600)
	if err != nil {
		return nil, err
	}
	if p.Kind == auth.Root {
		seconds = min(seconds, 3600) // of the root user, whatever it asks for
	}
	creds, err := s.issue(p, seconds)
	if err != nil {
		return nil, err
	}
	return &api.GetSessionTokenOutput{Credentials: creds}, nil
}

func (s *Service) issue(p auth.Principal, seconds int32) (*api.Credentials, error) {
	c, err := s.cfg.Sessions.Issue(p, time.Duration(seconds)*time.Second, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	return &api.Credentials{AccessKeyId: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expiration: &c.Expires}, nil
}

func duration(asked *int32, byDefault, least, most int32) (int32, error) {
	if asked == nil {
		return byDefault, nil
	}
	if *asked < least || *asked > most {
		bound, word := least, "greater"
		if *asked > most {
			bound, word = most, "less"
		}
		return 0, fault.New(fault.ValidationError, "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: "+
			"Member must have value %s than or equal to %d", *asked, word, bound)
	}
	return *asked, nil
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// AssumeRole gives a caller whom the role trusts the role's credentials.
func (s *Service) AssumeRole(ctx context.Context, in *api.AssumeRoleInput) (*api.AssumeRoleOutput, error) {
	if err := checkAssume(in); err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	a, err := arn.Parse(in.RoleArn)
	if err != nil || a.Service != "iam" || !arn.IsAccount(a.Account) || !strings.HasPrefix(a.Resource, "role/") {
		return nil, fault.New(fault.ValidationError, "%s is invalid", in.RoleArn)
	}
	role, err := s.role(ctx, a)
	if err != nil {
		return nil, err
	}
	if role == nil {
		return nil, refused(call, in.RoleArn)
	}
	if err := s.trusted(ctx, call, role, a, in); err != nil {
		return nil, err
	}
	most := int32(3600)
	if role.MaxSessionDuration != nil {
		most = *role.MaxSessionDuration
	}
	if call.Principal.Kind == auth.AssumedRole {
		most = min(most, 3600) // role chaining
	}
	if in.DurationSeconds != nil && *in.DurationSeconds > most {
		if call.Principal.Kind == auth.AssumedRole {
			return nil, fault.New(fault.ValidationError, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
		}
		return nil, fault.New(fault.ValidationError, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	seconds, err := duration(in.DurationSeconds, 3600, 900, 43200)
	if err != nil {
		return nil, err
	}
	p := auth.Principal{
		Kind: auth.AssumedRole, Account: a.Account, Name: role.RoleName, UserID: role.RoleId + ":" + in.RoleSessionName,
		ARN: arn.Scope{Account: a.Account}.Global("sts", "assumed-role/"+role.RoleName+"/"+in.RoleSessionName).String(),
	}
	creds, err := s.issue(p, seconds)
	if err != nil {
		return nil, err
	}
	return &api.AssumeRoleOutput{Credentials: creds, AssumedRoleUser: &api.AssumedRoleUser{Arn: p.ARN, AssumedRoleId: p.UserID}}, nil
}

// checkAssume refuses what is wrong, and by name what would narrow or mark the
// session: a session must not be wider than its caller asked.
func checkAssume(in *api.AssumeRoleInput) error {
	if !sessionName.MatchString(in.RoleSessionName) {
		return fault.New(fault.ValidationError, "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: [\\w+=,.@-]*", in.RoleSessionName)
	}
	keys := map[string]bool{}
	for _, t := range in.Tags {
		k := strings.ToLower(t.Key)
		if keys[k] {
			return fault.New(fault.InvalidParameterValue, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		keys[k] = true
	}
	for _, k := range in.TransitiveTagKeys {
		if !keys[strings.ToLower(k)] {
			return fault.New(fault.InvalidParameterValue, "The specified transitive tag key must be included in the requested tags.")
		}
	}
	for _, m := range []struct {
		name string
		set  bool
	}{
		{"Policy", in.Policy != ""}, {"PolicyArns", len(in.PolicyArns) > 0}, {"Tags", len(in.Tags) > 0},
		{"SerialNumber", in.SerialNumber != ""}, {"TokenCode", in.TokenCode != ""},
		{"SourceIdentity", in.SourceIdentity != ""}, {"ProvidedContexts", len(in.ProvidedContexts) > 0},
	} {
		if m.set {
			return fault.New(fault.NotImplemented, "AssumeRole: %s is not built.", m.name)
		}
	}
	return nil
}

// role finds the role as its own account sees it; nil where it does not exist.
func (s *Service) role(ctx context.Context, a arn.ARN) (*iamapi.Role, error) {
	call := auth.From(ctx)
	call.Scope.Account = a.Account
	call.Principal = auth.Principal{Kind: auth.Service, Account: a.Account, ARN: "sts.amazonaws.com", Name: "sts.amazonaws.com", UserID: a.Account}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	out, err := s.cfg.IAM.GetRole(auth.With(ctx, call), &iamapi.GetRoleInput{RoleName: name})
	if fault.Is(err, fault.NoSuchEntity) || err == nil && out.Role.Arn != a.String() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Role, nil
}

// trusted decides by the role's trust policy and, where that trusts an account,
// by the caller's own policies.
func (s *Service) trusted(ctx context.Context, call auth.Call, role *iamapi.Role, a arn.ARN, in *api.AssumeRoleInput) error {
	p := call.Principal
	// In open mode the caller is the root of whatever account it named; the
	// trust policy is evaluated all the same.
	text, err := url.PathUnescape(role.AssumeRolePolicyDocument)
	if err != nil {
		return err
	}
	doc, err := policy.Parse(text, policy.Trust)
	if err != nil {
		return err
	}
	if p.Kind == auth.Instance { // by its identity alone it is nobody in IAM
		return refused(call, in.RoleArn)
	}
	call.Service, call.Operation = "sts", "AssumeRole"
	r := call.Requests(in)[0]
	keys := r.Context.(policy.Context)
	keys["sts:externalid"], keys["sts:rolesessionname"] = nil, []string{in.RoleSessionName}
	if in.ExternalId != "" {
		keys["sts:externalid"] = []string{in.ExternalId}
	}
	if p.Kind == auth.Service {
		keys["aws:sourceaccount"] = []string{p.Account}
	}
	how, decision := doc.Trusts(p.Caller(), r.Action, r.Context)
	if decision != policy.Allowed {
		return refused(call, in.RoleArn)
	}
	switch how {
	case policy.ByName, policy.ByRole:
		if p.Account == a.Account {
			if s.cfg.Permits == nil {
				return nil
			}
			return s.cfg.Permits.Forbids(ctx, r)
		}
	case policy.ByAccount:
	default:
		return refused(call, in.RoleArn)
	}
	if s.cfg.Permits == nil {
		return nil
	}
	return s.cfg.Permits.Permits(ctx, r)
}

func refused(call auth.Call, roleARN string) error {
	return fault.New(fault.AccessDenied, "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", call.Principal.ARN, roleARN)
}
