package kms

import (
	"context"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const (
	policyName    = "default" // the only one that a key has
	maxPolicySize = 32768
)

// defaultPolicy leaves it to the account's IAM policies who may use a key
// ("Default key policy", AWS KMS Developer Guide).
func defaultPolicy(account string) string {
	root := arn.Scope{Account: account}.Global("iam", "root").String()
	return `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "` + root + `"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
}

func badPolicy(format string, args ...any) error {
	return fault.New(fault.MalformedKeyPolicy, format, args...)
}

// newPolicy checks a policy for a key: who sets it must be able to change it
// again, unless the caller waives that.
func (s *Service) newPolicy(ctx context.Context, k *key, text string, bypass bool) (string, error) {
	if text == "" {
		return defaultPolicy(k.Account), nil
	}
	if len(text) > maxPolicySize {
		return "", fault.New(fault.KMSLimitExceeded, "The key policy exceeds the maximum size of %d bytes.", maxPolicySize)
	}
	if _, err := policy.Parse(text, policy.Resource); err != nil {
		return "", badPolicy("%s", err)
	}
	call := auth.From(ctx)
	// A service acts for users who change the policy later themselves.
	if bypass || call.Principal.Kind == auth.Service || call.Principal.ARN == "" {
		return text, nil
	}
	decision, err := s.decide(call, text, k, "", request{operation: "PutKeyPolicy"})
	if err != nil {
		return "", err
	}
	if decision != policy.Allowed {
		return "", badPolicy("The new key policy will not allow you to update the key policy in the future.")
	}
	return text, nil
}

func checkPolicyName(name string) error {
	if name != "" && name != policyName {
		return fault.New(fault.NotFoundException, "No such policy exists")
	}
	return nil
}

// GetKeyPolicy tells a key's policy.
func (s *Service) GetKeyPolicy(ctx context.Context, in *kms.GetKeyPolicyInput) (*kms.GetKeyPolicyOutput, error) {
	k, err := s.read(ctx, in.KeyId, request{operation: "GetKeyPolicy", in: in})
	if err != nil {
		return nil, err
	}
	if err := checkPolicyName(in.PolicyName); err != nil {
		return nil, err
	}
	return &kms.GetKeyPolicyOutput{Policy: k.Policy, PolicyName: policyName}, nil
}

// PutKeyPolicy replaces a key's policy.
func (s *Service) PutKeyPolicy(ctx context.Context, in *kms.PutKeyPolicyInput) (*kms.PutKeyPolicyOutput, error) {
	_, err := s.change(ctx, in.KeyId, request{operation: "PutKeyPolicy", in: in}, func(_ store.Tx, k *key) (err error) {
		if err := checkPolicyName(in.PolicyName); err != nil {
			return err
		}
		if err := k.alive(); err != nil {
			return err
		}
		k.Policy, err = s.newPolicy(ctx, k, in.Policy, yes(in.BypassPolicyLockoutSafetyCheck))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &kms.PutKeyPolicyOutput{}, nil
}

// ListKeyPolicies lists the one policy that a key has.
func (s *Service) ListKeyPolicies(ctx context.Context, in *kms.ListKeyPoliciesInput) (*kms.ListKeyPoliciesOutput, error) {
	if _, err := s.read(ctx, in.KeyId, request{operation: "ListKeyPolicies", in: in}); err != nil {
		return nil, err
	}
	if in.Marker != "" {
		return nil, pageError(store.ErrBadToken)
	}
	return &kms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}, Truncated: new(false)}, nil
}
