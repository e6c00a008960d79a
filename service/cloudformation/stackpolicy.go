package cloudformation

import (
	"context"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/stackpolicy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// stackPolicy is the policy that a call gives in its body or in a bucket, checked;
// "" where it gives none. member is "StackPolicy" or "StackPolicyDuringUpdate".
func (s *Service) stackPolicy(ctx context.Context, member, body, url string) (string, error) {
	switch {
	case body != "" && url != "":
		return "", fault.New(fault.ValidationError, "You cannot specify both %sURL and %sBody.", member, member)
	case url != "":
		var err error
		if body, err = s.fetch(ctx, url); err != nil {
			return "", err
		}
	case body == "":
		return "", nil
	}
	_, err := stackpolicy.Parse(body)
	return body, err
}

// updatePolicies are the policies that an update is given: one that it alone is
// bound by, and one that the stack has from then on.
type updatePolicies struct{ during, after string }

func (s *Service) updatePolicies(ctx context.Context, in *cloudformation.UpdateStackInput) (updatePolicies, error) {
	during, err := s.stackPolicy(ctx, "StackPolicyDuringUpdate", in.StackPolicyDuringUpdateBody, in.StackPolicyDuringUpdateURL)
	if err != nil {
		return updatePolicies{}, err
	}
	after, err := s.stackPolicy(ctx, "StackPolicy", in.StackPolicyBody, in.StackPolicyURL)
	return updatePolicies{during, after}, err
}

// SetStackPolicy gives a stack a policy, which later updates are bound by. It can
// be replaced, and not taken away.
func (s *Service) SetStackPolicy(ctx context.Context, in *cloudformation.SetStackPolicyInput) (*cloudformation.SetStackPolicyOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := s.stackPolicy(ctx, "StackPolicy", in.StackPolicyBody, in.StackPolicyURL)
	if err != nil {
		return nil, err
	}
	if policy == "" {
		return nil, fault.New(fault.ValidationError, "Either StackPolicyURL or StackPolicyBody must be specified.")
	}
	return &cloudformation.SetStackPolicyOutput{}, s.update(ctx, func(l *apply.Ledger) error {
		st, err := must(l.Tx, c.Scope, in.StackName, noStack)
		if err != nil {
			return err
		}
		if st.Status == apply.DeleteComplete {
			return noStack(in.StackName)
		}
		st.Policy = policy
		return apply.Stacks.Put(l.Tx, st.Key(), st)
	})
}

// GetStackPolicy tells a stack's policy; nothing where it has none.
func (s *Service) GetStackPolicy(ctx context.Context, in *cloudformation.GetStackPolicyInput) (*cloudformation.GetStackPolicyOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.GetStackPolicyOutput{}
	err = s.view(ctx, func(tx store.Tx) error {
		st, err := must(tx, c.Scope, in.StackName, noStack)
		if err == nil {
			out.StackPolicyBody = st.Policy
		}
		return err
	})
	return out, err
}
