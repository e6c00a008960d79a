package sts

import (
	"context"

	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// GetFederationToken gives a user credentials for somebody else, who may do what
// both the user's and the given policies allow.
func (s *Service) GetFederationToken(ctx context.Context, in *api.GetFederationTokenInput) (*api.GetFederationTokenOutput, error) {
	p := auth.From(ctx).Principal
	if err := longTerm(p, "GetFederationToken"); err != nil {
		return nil, err
	}
	if !sessionName().MatchString(in.Name) || len(in.Name) > 32 {
		return nil, fault.New(fault.ValidationError, "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: [\\w+=,.@-]*", in.Name)
	}
	seconds, err := duration(in.DurationSeconds, 43200, 900, 129600)
	if err != nil {
		return nil, err
	}
	if p.Kind == auth.Root {
		seconds = min(seconds, 3600)
	}
	issuer := p
	issuer.AccessKeyID = ""
	session := &auth.Session{Issuer: &issuer}
	if err := tag(session, nil, in.Tags, nil); err != nil {
		return nil, err
	}
	if err := s.narrow(ctx, session, p.Account, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	size, err := packed(session)
	if err != nil {
		return nil, err
	}
	who := auth.Principal{
		Kind: auth.FederatedUser, Account: p.Account, Name: in.Name, UserID: p.Account + ":" + in.Name, Session: session,
		ARN: arn.Scope{Account: p.Account}.Global("sts", "federated-user/"+in.Name).String(),
	}
	creds, err := s.issue(who, seconds)
	if err != nil {
		return nil, err
	}
	return &api.GetFederationTokenOutput{
		Credentials: creds, PackedPolicySize: size,
		FederatedUser: &api.FederatedUser{Arn: who.ARN, FederatedUserId: who.UserID},
	}, nil
}
