package sts

import (
	"context"
	"strings"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// AssumeRoleWithWebIdentity gives the role's credentials to whom an OpenID Connect
// provider of the role's account vouches for, if the role trusts the provider.
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, in *api.AssumeRoleWithWebIdentityInput) (*api.AssumeRoleWithWebIdentityOutput, error) {
	if err := checkName("roleSessionName", in.RoleSessionName); err != nil {
		return nil, err
	}
	if in.ProviderId != "" {
		return nil, fault.New(fault.NotImplemented, "AssumeRoleWithWebIdentity: ProviderId, of OAuth 2.0 access tokens, is not built.")
	}
	a, err := roleNamed(in.RoleArn)
	if err != nil {
		return nil, err
	}
	token, provider, err := s.vouched(ctx, a.Account, in.WebIdentityToken)
	if err != nil {
		return nil, err
	}
	session := &auth.Session{Provider: provider, Claims: token.conditionKeys(), SourceIdentity: token.SourceIdentity}
	if err := tag(session, nil, token.tags(), token.Tags.Transitive); err != nil {
		return nil, err
	}
	role, err := s.role(ctx, a)
	if err != nil {
		return nil, err
	}
	if role == nil {
		return nil, notAuthorized("sts:AssumeRoleWithWebIdentity")
	}
	if err := s.trustsProvider(ctx, role, a, session, token.tags(), in); err != nil {
		return nil, err
	}
	seconds, err := sessionSeconds(in.DurationSeconds, role, false)
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
	return &api.AssumeRoleWithWebIdentityOutput{
		Credentials: creds, AssumedRoleUser: who, PackedPolicySize: size, SubjectFromWebIdentityToken: token.Subject,
		Provider: provider, Audience: token.audience(), SourceIdentity: session.SourceIdentity,
	}, nil
}

// vouched checks a token against the provider of the account that its issuer is,
// and returns the provider's ARN.
func (s *Service) vouched(ctx context.Context, account, text string) (*token, string, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, "", err
	}
	host, ok := strings.CutPrefix(t.Issuer, "https://")
	if !ok || host == "" {
		return nil, "", invalidToken("Issuer must be a valid URL")
	}
	provider := arn.Scope{Account: account}.Global("iam", "oidc-provider/"+strings.TrimSuffix(host, "/")).String()
	known, err := s.cfg.IAM.GetOpenIDConnectProvider(s.itself(ctx, account, "GetOpenIDConnectProvider"),
		&iamapi.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: provider})
	if fault.Is(err, fault.NoSuchEntity) {
		return nil, "", invalidToken("No OpenIDConnect provider found in your account for %s", t.Issuer)
	}
	if err != nil {
		return nil, "", err
	}
	if err := t.check(s.cfg.Now(), known.ClientIDList); err != nil {
		return nil, "", err
	}
	return t, provider, s.issuers.verify(ctx, t, known.ThumbprintList)
}

// trustsProvider decides by the role's trust policy alone: who calls has no
// policies yet.
func (s *Service) trustsProvider(ctx context.Context, role *iamapi.Role, a arn.ARN, session *auth.Session, tags []api.Tag,
	in *api.AssumeRoleWithWebIdentityInput) error {
	doc, err := s.trustOf(role)
	if err != nil {
		return err
	}
	call := auth.From(ctx)
	call.Principal = auth.Principal{Kind: auth.WebIdentity, Session: session}
	call.Service, call.Operation = "sts", "AssumeRoleWithWebIdentity"
	actions := []string{"sts:AssumeRoleWithWebIdentity"}
	if len(session.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if session.SourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	// The token asks for the tags and the source identity, not the call.
	r := call.Requests(&vouchedInput{
		RoleArn: in.RoleArn, RoleSessionName: in.RoleSessionName, DurationSeconds: in.DurationSeconds,
		Tags: tags, SourceIdentity: session.SourceIdentity, TransitiveTagKeys: session.Transitive,
	})[0]
	for _, action := range actions {
		r.Action = action
		ok, err := s.cfg.Trust.Trusted(ctx, r, doc, a.Account, true)
		if err != nil {
			return err
		}
		if !ok {
			return notAuthorized(action)
		}
	}
	return nil
}

// vouchedInput is what a call with a token asks for, in the names of AssumeRole's.
type vouchedInput struct {
	RoleArn, RoleSessionName, SourceIdentity string
	DurationSeconds                          *int32
	Tags                                     []api.Tag
	TransitiveTagKeys                        []string
}

func notAuthorized(action string) error {
	return fault.New(fault.AccessDenied, "Not authorized to perform %s", action)
}
