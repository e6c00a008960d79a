package ssm

import (
	"cmp"
	"context"
	"crypto/subtle"
	"maps"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// "Working with shared parameters", AWS Systems Manager User Guide: an advanced
// parameter's policy opens it to other accounts.
const (
	maxResourcePolicies   = 10
	maxResourcePolicySize = 20480
)

// shared are the actions that a policy can open.
var shared = []string{"ssm:GetParameter", "ssm:GetParameters", "ssm:GetParameterHistory", "ssm:DescribeParameters"}

// permit lets callers of other accounts have what a parameter's policies open to
// them. To others it does not exist.
func permit(call auth.Call, scope arn.Scope, p *parameter) error {
	if call.Scope.Account == scope.Account {
		return nil
	}
	ask := call.Requests(nil)[0]
	allowed := false
	for _, text := range p.Shared {
		doc, err := policy.Parse(text, policy.Resource)
		if err != nil {
			return err
		}
		switch doc.Decide(call.Principal.Caller(), policy.Request{Action: ask.Action, Resource: parameterARN(scope, p.Name), Context: ask.Context}) {
		case policy.Denied:
			return notFound(p.Name)
		case policy.Allowed:
			allowed = true
		}
	}
	if !allowed || !slices.Contains(shared, ask.Action) {
		return notFound(p.Name)
	}
	return nil
}

func policyHash(text string) string { return arn.Hash(text) }

// shareable finds the parameter that a policy is for.
func (s *Service) shareable(ctx context.Context, tx store.Tx, resource string) (*parameter, error) {
	scope := auth.From(ctx).Scope
	ref, err := parseReference(scope, resource)
	if err != nil || !strings.HasPrefix(resource, "arn:") || ref.account != "" || ref.selector != "" {
		return nil, fault.New(fault.ResourcePolicyInvalidParameter, "The resource ARN %s is not that of a parameter of this account.", resource)
	}
	p, err := s.find(tx, scope, ref.name)
	if fault.Is(err, fault.ParameterNotFound) {
		p, err = s.find(tx, scope, ref.alias)
	}
	if fault.Is(err, fault.ParameterNotFound) {
		return nil, fault.New(fault.ResourceNotFoundException, "The parameter %s does not exist.", resource)
	}
	return p, err
}

// PutResourcePolicy opens an advanced parameter to other accounts.
func (s *Service) PutResourcePolicy(ctx context.Context, in *api.PutResourcePolicyInput) (*api.PutResourcePolicyOutput, error) {
	if len(in.Policy) > maxResourcePolicySize {
		return nil, fault.New(fault.ResourcePolicyLimitExceeded, "A resource policy has at most %d bytes.", maxResourcePolicySize)
	}
	if _, err := policy.Parse(in.Policy, policy.Resource); err != nil {
		return nil, fault.New(fault.MalformedResourcePolicy, "%s", err)
	}
	out := &api.PutResourcePolicyOutput{}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p, err := s.shareable(ctx, tx, in.ResourceArn)
		if err != nil {
			return err
		}
		id := cmp.Or(in.PolicyId, arn.IDFrom("p-", in.ResourceArn+in.Policy))
		old, there := p.Shared[id]
		switch {
		case p.Latest.Tier != api.ParameterTierAdvanced:
			return fault.New(fault.ResourcePolicyInvalidParameter, "Only parameters of the advanced tier can have resource policies.")
		case in.PolicyId != "" && !there:
			return fault.New(fault.ResourcePolicyNotFound, "There is no policy %s.", id)
		case in.PolicyId != "" && subtle.ConstantTimeCompare([]byte(policyHash(old)), []byte(in.PolicyHash)) != 1:
			return fault.New(fault.ResourcePolicyConflict, "The hash provided in the call doesn't match the stored hash: the policy has changed since.")
		case !there && len(p.Shared) >= maxResourcePolicies:
			return fault.New(fault.ResourcePolicyLimitExceeded, "A parameter has at most %d resource policies.", maxResourcePolicies)
		}
		if p.Shared == nil {
			p.Shared = map[string]string{}
		}
		p.Shared[id] = in.Policy
		out.PolicyId, out.PolicyHash = id, policyHash(in.Policy)
		return parameters.Put(tx, parameterKey(auth.From(ctx).Scope, p.Name), p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetResourcePolicies lists a parameter's policies. The token is the last id.
func (s *Service) GetResourcePolicies(ctx context.Context, in *api.GetResourcePoliciesInput) (*api.GetResourcePoliciesOutput, error) {
	limit := pageSize(in.MaxResults, maxResourcePolicies, 50)
	var out *api.GetResourcePoliciesOutput
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, err := s.shareable(ctx, tx, in.ResourceArn)
		if err != nil {
			return err
		}
		out = &api.GetResourcePoliciesOutput{Policies: []api.GetResourcePoliciesResponseEntry{}}
		for _, id := range slices.Sorted(maps.Keys(p.Shared)) {
			if id <= in.NextToken {
				continue
			}
			if len(out.Policies) == limit {
				out.NextToken = out.Policies[limit-1].PolicyId
				break
			}
			text := p.Shared[id]
			out.Policies = append(out.Policies, api.GetResourcePoliciesResponseEntry{PolicyId: id, PolicyHash: policyHash(text), Policy: text})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteResourcePolicy closes a parameter again.
func (s *Service) DeleteResourcePolicy(ctx context.Context, in *api.DeleteResourcePolicyInput) (*api.DeleteResourcePolicyOutput, error) {
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p, err := s.shareable(ctx, tx, in.ResourceArn)
		if err != nil {
			return err
		}
		text, there := p.Shared[in.PolicyId]
		switch {
		case !there:
			return fault.New(fault.ResourcePolicyNotFound, "There is no policy %s.", in.PolicyId)
		case subtle.ConstantTimeCompare([]byte(policyHash(text)), []byte(in.PolicyHash)) != 1:
			return fault.New(fault.ResourcePolicyConflict, "The hash provided in the call doesn't match the stored hash: the policy has changed since.")
		}
		delete(p.Shared, in.PolicyId)
		return parameters.Put(tx, parameterKey(auth.From(ctx).Scope, p.Name), p)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteResourcePolicyOutput{}, nil
}
