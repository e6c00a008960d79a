package logs

import (
	"context"
	"errors"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// resourcePolicy is a policy of an account, which lets services of AWS put events to
// it. It binds nobody else ("PutResourcePolicy", API Reference), and no service of
// Slipway's puts events but as its caller or in its caller's role.
type resourcePolicy struct {
	Name     string
	Document string
	Updated  int64
}

// resourcePolicies are keyed by account, region and name.
var resourcePolicies = store.NewCollection[resourcePolicy]("logs/resourcepolicy")

const maxResourcePolicies = 10

// ofResource refuses what belongs to policies of single resources.
func ofResource(operation, resource, revision string) error {
	if resource != "" || revision != "" {
		return fault.New(fault.NotImplemented, "%s: policies of single log groups (resourceArn, expectedRevisionId) are not built", operation)
	}
	return nil
}

// PutResourcePolicy makes or changes a policy of the account.
func (s *Service) PutResourcePolicy(ctx context.Context, in *api.PutResourcePolicyInput) (*api.PutResourcePolicyOutput, error) {
	if err := ofResource("PutResourcePolicy", in.ResourceArn, in.ExpectedRevisionId); err != nil {
		return nil, err
	}
	if in.PolicyName == "" || in.PolicyDocument == "" || len(in.PolicyName) > maxName {
		return nil, invalid("A resource policy has a policyName, of at most %d characters, and a policyDocument.", maxName)
	}
	if _, err := policy.Parse(in.PolicyDocument, policy.Resource); err != nil {
		return nil, invalid("Invalid resource policy: %s", err)
	}
	at := auth.From(ctx).Scope.Key() + "/"
	p := resourcePolicy{Name: in.PolicyName, Document: in.PolicyDocument, Updated: s.now().UnixMilli()}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		n := 0
		for e, err := range resourcePolicies.Scan(tx, at) {
			if err != nil {
				return err
			}
			if e.Value.Name != p.Name {
				n++
			}
		}
		if n >= maxResourcePolicies {
			return fault.New(fault.LimitExceededException, "Resource limit exceeded.")
		}
		return resourcePolicies.Put(tx, at+p.Name, &p)
	})
	if err != nil {
		return nil, err
	}
	return &api.PutResourcePolicyOutput{ResourcePolicy: p.describe()}, nil
}

const maxName = 512

func (p *resourcePolicy) describe() *api.ResourcePolicy {
	return &api.ResourcePolicy{PolicyName: p.Name, PolicyDocument: p.Document, LastUpdatedTime: &p.Updated, PolicyScope: api.PolicyScopeAccount}
}

// DescribeResourcePolicies lists the account's policies.
func (s *Service) DescribeResourcePolicies(ctx context.Context, in *api.DescribeResourcePoliciesInput) (*api.DescribeResourcePoliciesOutput, error) {
	out := &api.DescribeResourcePoliciesOutput{ResourcePolicies: []api.ResourcePolicy{}}
	if in.ResourceArn != "" || in.PolicyScope == api.PolicyScopeResource {
		return nil, ofResource("DescribeResourcePolicies", "resourceArn", "")
	}
	err := s.store.View(ctx, func(tx store.Tx) error {
		page, next, err := resourcePolicies.Page(tx, auth.From(ctx).Scope.Key()+"/", in.NextToken, limitOf(in.Limit, maxDescribed), nil)
		if err != nil {
			return pageError(err)
		}
		out.NextToken, out.ResourcePolicies = next, out.ResourcePolicies[:0]
		for _, e := range page {
			out.ResourcePolicies = append(out.ResourcePolicies, *e.Value.describe())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteResourcePolicy deletes a policy of the account.
func (s *Service) DeleteResourcePolicy(ctx context.Context, in *api.DeleteResourcePolicyInput) (*api.DeleteResourcePolicyOutput, error) {
	if err := ofResource("DeleteResourcePolicy", in.ResourceArn, in.ExpectedRevisionId); err != nil {
		return nil, err
	}
	key := auth.From(ctx).Scope.Key() + "/" + in.PolicyName
	err := s.store.Update(ctx, func(tx store.Tx) error {
		if _, err := resourcePolicies.Get(tx, key); errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.ResourceNotFoundException, "Policy with name [%s] does not exist.", in.PolicyName)
		} else if err != nil {
			return err
		}
		return resourcePolicies.Delete(tx, key)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteResourcePolicyOutput{}, nil
}
