package ec2

import (
	"context"
	"strings"

	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// passProfile finds the profile that a caller gives to an instance. Who gives it
// must have leave to pass its role.
func (s *Service) passProfile(ctx context.Context, call auth.Call, name, profileARN string) (*profile, error) {
	p, role, err := s.findProfile(ctx, call.Scope, name, profileARN)
	if err != nil || p == nil {
		return nil, err
	}
	return p, s.cfg.Authorizer.Authorize(ctx, call.PassRole(role, "ec2.amazonaws.com"))
}

// findProfile looks up an instance profile by name or ARN in IAM. Both empty is
// no profile. role is the ARN of the profile's role.
func (s *Service) findProfile(ctx context.Context, scope arn.Scope, name, profileARN string) (p *profile, role string, err error) {
	if name == "" && profileARN == "" {
		return nil, "", nil
	}
	bad := fault.New(fault.InvalidParameterValue, "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", clip(name, 128))
	if profileARN != "" {
		bad = fault.New(fault.InvalidParameterValue, "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", clip(profileARN, 256))
		a, err := arn.Parse(profileARN)
		rest, ok := strings.CutPrefix(a.Resource, "instance-profile/")
		if err != nil || !ok || a.Service != "iam" || a.Account != scope.Account {
			return nil, "", bad
		}
		name = rest[strings.LastIndexByte(rest, '/')+1:]
	}
	if s.cfg.IAM == nil {
		return nil, "", notBuilt("IamInstanceProfile (this Slipway runs without IAM)")
	}
	out, err := s.cfg.IAM.GetInstanceProfile(s.callAs(ctx, scope, "iam", "GetInstanceProfile"), &iam.GetInstanceProfileInput{InstanceProfileName: name})
	if err != nil {
		if _, ok := fault.As(err); ok {
			return nil, "", bad.Because(err)
		}
		return nil, "", err
	}
	found := out.InstanceProfile
	if found == nil || profileARN != "" && found.Arn != profileARN {
		return nil, "", bad
	}
	if len(found.Roles) == 0 {
		return nil, "", fault.New(fault.InvalidParameterValue, "IAM Instance Profile %q has no associated IAM Roles", found.Arn)
	}
	return &profile{ARN: found.Arn, ID: found.InstanceProfileId, Since: s.now()}, found.Roles[0].Arn, nil
}
