package sts

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"sync"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

var sessionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{2,64}$`) })

// AssumeRole gives a caller whom the role trusts the role's credentials.
func (s *Service) AssumeRole(ctx context.Context, in *api.AssumeRoleInput) (*api.AssumeRoleOutput, error) {
	if err := checkAssume(in); err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	a, err := roleNamed(in.RoleArn)
	if err != nil {
		return nil, err
	}
	if call.Principal.Kind == auth.Root && call.Principal.Enforced {
		return nil, fault.New(fault.AccessDenied, "Roles may not be assumed by root accounts.")
	}
	at, err := s.secondFactor(ctx, call.Principal, in.SerialNumber, in.TokenCode)
	if err != nil {
		return nil, err
	}
	session := &auth.Session{SourceIdentity: in.SourceIdentity}
	if err := tag(session, call.Principal.Session, in.Tags, in.TransitiveTagKeys); err != nil {
		return nil, err
	}
	role, err := s.role(ctx, a)
	if err != nil {
		return nil, err
	}
	if role == nil {
		return nil, refused(call, "sts:AssumeRole", in.RoleArn)
	}
	if err := keepSource(call, session); err != nil {
		return nil, err
	}
	if err := s.trusted(ctx, shown(call, at), role, a, session, in); err != nil {
		return nil, err
	}
	seconds, err := sessionSeconds(in.DurationSeconds, role, call.Principal.Kind == auth.AssumedRole)
	if err != nil {
		return nil, err
	}
	if err := s.narrow(ctx, session, a.Account, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	size, err := packed(session)
	if err != nil {
		return nil, err
	}
	creds, who, err := s.begin(role, a.Account, in.RoleSessionName, session, seconds)
	if err != nil {
		return nil, err
	}
	return &api.AssumeRoleOutput{Credentials: creds, AssumedRoleUser: who, PackedPolicySize: size, SourceIdentity: session.SourceIdentity}, nil
}

// begin issues the credentials of a role's session.
func (s *Service) begin(role *iamapi.Role, account, name string, session *auth.Session, seconds int32) (*api.Credentials, *api.AssumedRoleUser, error) {
	p := auth.Principal{
		Kind: auth.AssumedRole, Account: account, Name: role.RoleName, UserID: role.RoleId + ":" + name, Session: session,
		ARN: arn.Scope{Account: account}.Global("sts", "assumed-role/"+role.RoleName+"/"+name).String(),
	}
	creds, err := s.issue(p, seconds)
	return creds, &api.AssumedRoleUser{Arn: p.ARN, AssumedRoleId: p.UserID}, err
}

func roleNamed(name string) (arn.ARN, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || !arn.IsAccount(a.Account) || !strings.HasPrefix(a.Resource, "role/") {
		return a, fault.New(fault.ValidationError, "%s is invalid", name)
	}
	return a, nil
}

// sessionSeconds is how long a session of the role lasts.
func sessionSeconds(asked *int32, role *iamapi.Role, chained bool) (int32, error) {
	most := int32(3600)
	if role.MaxSessionDuration != nil {
		most = *role.MaxSessionDuration
	}
	if asked != nil {
		if chained && *asked > 3600 {
			return 0, fault.New(fault.ValidationError, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
		}
		if *asked > most && *asked <= 43200 {
			return 0, fault.New(fault.ValidationError, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
		}
	}
	return duration(asked, 3600, 900, 43200)
}

// checkAssume refuses what is wrong, and by name what is not built: a session must
// not be wider than its caller asked.
func checkAssume(in *api.AssumeRoleInput) error {
	if err := checkName("roleSessionName", in.RoleSessionName); err != nil {
		return err
	}
	if in.SourceIdentity != "" {
		if err := checkName("sourceIdentity", in.SourceIdentity); err != nil {
			return err
		}
	}
	if strings.HasPrefix(strings.ToLower(in.SourceIdentity), "aws:") {
		return fault.New(fault.ValidationError, "SourceIdentity values that begin with aws: are reserved for internal AWS use.")
	}
	if len(in.ProvidedContexts) > 0 {
		return fault.New(fault.NotImplemented, "AssumeRole: ProvidedContexts is not built.")
	}
	return nil
}

func checkName(member, value string) error {
	if !sessionName().MatchString(value) {
		return fault.New(fault.ValidationError, "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: [\\w+=,.@-]*", value, member)
	}
	return nil
}

// keepSource keeps the source identity of the session that asks: once set, it
// stays ("Monitor and control actions taken with assumed roles", IAM User Guide).
func keepSource(call auth.Call, session *auth.Session) error {
	from := call.Principal.Session
	if from == nil || from.SourceIdentity == "" {
		return nil
	}
	if session.SourceIdentity != "" && session.SourceIdentity != from.SourceIdentity {
		return fault.New(fault.AccessDenied, "Cannot change the source identity of a session.")
	}
	session.SourceIdentity = from.SourceIdentity
	return nil
}

// role finds the role as its own account sees it; nil where it does not exist.
func (s *Service) role(ctx context.Context, a arn.ARN) (*iamapi.Role, error) {
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	out, err := s.cfg.IAM.GetRole(s.itself(ctx, a.Account, "GetRole"), &iamapi.GetRoleInput{RoleName: name})
	if fault.Is(err, fault.NoSuchEntity) || err == nil && out.Role.Arn != a.String() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Role, nil
}

// trusted decides by the role's trust policy and the caller's own policies. To
// tag a session and to set its source identity needs leave, too.
func (s *Service) trusted(ctx context.Context, call auth.Call, role *iamapi.Role, a arn.ARN, session *auth.Session, in *api.AssumeRoleInput) error {
	doc, err := s.trustOf(role)
	if err != nil {
		return err
	}
	p := call.Principal
	if p.Kind == auth.Instance { // by its identity alone it is nobody in IAM
		return refused(call, "sts:AssumeRole", in.RoleArn)
	}
	call.Service, call.Operation = "sts", "AssumeRole"
	if p.Kind == auth.Service && call.SourceAccount == "" {
		call.SourceAccount = p.Account
	}
	actions := []string{"sts:AssumeRole"}
	if len(session.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if session.SourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	r := call.Requests(in)[0]
	for _, action := range actions {
		r.Action = action
		// In open mode the caller's own policies are not asked; the trust policy is
		// evaluated all the same.
		ok, err := s.cfg.Trust.Trusted(ctx, r, doc, a.Account, !p.Enforced)
		if err != nil {
			return err
		}
		if !ok {
			return refused(call, action, in.RoleArn)
		}
	}
	return nil
}

func (s *Service) trustOf(role *iamapi.Role) (*policy.Document, error) {
	text, err := url.PathUnescape(role.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	return s.trusts.Parse(text, policy.Trust)
}

func refused(call auth.Call, action, roleARN string) error {
	return fault.New(fault.AccessDenied, "User: %s is not authorized to perform: %s on resource: %s", call.Principal.ARN, action, roleARN)
}
