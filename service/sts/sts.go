// Package sts implements the STS API, which hands out temporary credentials. It
// may import api/iam, api/sts, arn, auth and fault. It keeps no state: a
// session's token carries what its verification needs. It starts no goroutine.
package sts

import (
	"context"
	"strings"
	"time"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// Trust decides whether a caller may begin a session of a role. *auth.IAM is one.
type Trust interface {
	Trusted(ctx context.Context, r auth.Request, trust *policy.Document, owner string, unbound bool) (bool, error)
}

// Config is what the service stands on.
type Config struct {
	IAM      iamapi.Service // asked for roles, policies and providers, as Slipway itself
	Sessions *auth.Sessions
	Trust    Trust
	Devices  auth.Devices  // verifies one-time codes; nil: nobody has a device
	Keys     auth.Keys     // whose account an access key is of
	Ring     *keyring.Ring // opens the messages of refusals
	Now      func() time.Time
}

// Service is the STS API.
type Service struct {
	api.Unimplemented
	cfg     Config
	issuers issuers
	trusts  policy.Cache
}

var _ api.Service = (*Service)(nil)

// New makes the service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, issuers: issuers{now: cfg.Now}}
}

// GetCallerIdentity tells the caller who it is.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	p := auth.From(ctx).Principal
	return &api.GetCallerIdentityOutput{Account: p.Account, Arn: p.ARN, UserId: p.UserID}, nil
}

// GetSessionToken gives a user or the root temporary credentials of its own.
func (s *Service) GetSessionToken(ctx context.Context, in *api.GetSessionTokenInput) (*api.GetSessionTokenOutput, error) {
	p := auth.From(ctx).Principal
	if err := longTerm(p, "GetSessionToken"); err != nil {
		return nil, err
	}
	seconds, err := duration(in.DurationSeconds, 43200, 900, 129600)
	if err != nil {
		return nil, err
	}
	if p.Kind == auth.Root {
		seconds = min(seconds, 3600) // of the root user, whatever it asks for
	}
	at, err := s.secondFactor(ctx, p, in.SerialNumber, in.TokenCode)
	if err != nil {
		return nil, err
	}
	p.Session = &auth.Session{Own: true, MFA: at}
	creds, err := s.issue(p, seconds)
	if err != nil {
		return nil, err
	}
	return &api.GetSessionTokenOutput{Credentials: creds}, nil
}

// longTerm refuses callers without keys of their own.
func longTerm(p auth.Principal, operation string) error {
	if p.Kind != auth.User && p.Kind != auth.Root || p.Session != nil || strings.HasPrefix(p.AccessKeyID, "ASIA") {
		return fault.New(fault.AccessDenied, "Cannot call %s with session credentials", operation)
	}
	return nil
}

// GetAccessKeyInfo tells whose account an access key is of.
func (s *Service) GetAccessKeyInfo(ctx context.Context, in *api.GetAccessKeyInfoInput) (*api.GetAccessKeyInfoOutput, error) {
	if arn.IsAccount(in.AccessKeyId) {
		return &api.GetAccessKeyInfoOutput{Account: in.AccessKeyId}, nil
	}
	if s.cfg.Keys != nil {
		key, err := s.cfg.Keys.Key(ctx, in.AccessKeyId)
		if err == nil {
			return &api.GetAccessKeyInfoOutput{Account: key.Principal.Account}, nil
		}
	}
	if account, ok := auth.SessionAccount(in.AccessKeyId); ok {
		return &api.GetAccessKeyInfoOutput{Account: account}, nil
	}
	return nil, fault.New(fault.ValidationError, "The access key with id %s cannot be found.", in.AccessKeyId)
}

// DecodeAuthorizationMessage opens what a refusal of EC2 holds, for callers of the
// account that was refused.
func (s *Service) DecodeAuthorizationMessage(ctx context.Context, in *api.DecodeAuthorizationMessageInput) (*api.DecodeAuthorizationMessageOutput, error) {
	if s.cfg.Ring != nil {
		if text, ok := auth.DecodeDenial(s.cfg.Ring, auth.From(ctx).Principal.Account, in.EncodedMessage); ok {
			return &api.DecodeAuthorizationMessageOutput{DecodedMessage: text}, nil
		}
	}
	return nil, fault.New(fault.InvalidAuthorizationMessage, "Message is not valid")
}

// issue makes the credentials of a session, which p.Session describes.
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
