package organizations

import (
	"context"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// scp is a service control policy.
type scp struct {
	ID, Name, Description, Content string
	Tags                           map[string]string `json:",omitempty"`
	Token                          string            `json:",omitempty"`
}

// attachment is that a policy is attached to a root, unit or account.
type attachment struct{ Target, Policy string }

// fullAccess is the policy of AWS that is attached to everything where service
// control policies are enabled.
var fullAccess = &scp{
	ID: "p-FullAWSAccess", Name: "FullAWSAccess", Description: "Allows access to every operation",
	Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
}

// Limits of service control policies ("Quotas for AWS Organizations").
const (
	maxPolicy      = 5120 // characters
	maxPolicies    = 10_000
	maxAttachments = 5
)

// onlySCP refuses by name the types of policies that nothing here acts on.
func onlySCP(kind string) error {
	if kind != api.PolicyTypeServiceControlPolicy {
		return fault.New(fault.NotImplemented, "Policies of type %s are not implemented", kind)
	}
	return nil
}

func (p *scp) managed() bool { return p.ID == fullAccess.ID }

func (p *scp) summary(o *organization) *api.PolicySummary {
	out := &api.PolicySummary{
		Id: p.ID, Name: p.Name, Description: p.Description, Type: api.PolicyTypeServiceControlPolicy, AwsManaged: new(p.managed()),
		Arn: o.arnOf("policy", "service_control_policy/"+p.ID),
	}
	if p.managed() {
		out.Arn = "arn:aws:organizations::aws:policy/service_control_policy/" + p.ID
	}
	return out
}

func (p *scp) api(o *organization) *api.Policy {
	return &api.Policy{PolicySummary: p.summary(o), Content: p.Content}
}

func policyOf(tx store.Tx, o *organization, id string) (*scp, error) {
	if id == fullAccess.ID {
		return fullAccess, nil
	}
	p, err := policies.Get(tx, o.ID+"/"+id)
	return p, missing(err, fault.OrganizationsPolicyNotFound, "You specified a policy that doesn't exist.")
}

func checkContent(content string) error {
	if utf8.RuneCountInString(content) > maxPolicy {
		return breaks("POLICY_CONTENT_LIMIT_EXCEEDED", "You have exceeded the maximum size of a policy: %d characters.", maxPolicy)
	}
	if _, err := policy.Parse(content, policy.Identity); err != nil {
		return fault.New(fault.OrganizationsMalformedPolicy, "The provided policy document does not meet the requirements of the specified policy type.").Because(err)
	}
	return nil
}

// CreatePolicy makes a service control policy.
func (s *Service) CreatePolicy(ctx context.Context, in *api.CreatePolicyInput) (*api.CreatePolicyOutput, error) {
	if err := onlySCP(in.Type); err != nil {
		return nil, err
	}
	if err := checkContent(in.Content); err != nil {
		return nil, err
	}
	tags, err := mergeTags(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	token := auth.From(ctx).Token
	out := &api.CreatePolicyOutput{}
	err = s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		if !o.allFeatures() {
			return fault.New(fault.PolicyTypeNotAvailable, "You can't use the specified policy type with the feature set currently enabled for this organization.")
		}
		p := &scp{ID: "p-" + idFrom(token, 8), Name: in.Name, Description: in.Description, Content: in.Content, Tags: tags, Token: token}
		out.Policy = p.api(o)
		if have, err := policies.Get(tx, o.ID+"/"+p.ID); err == nil && token != "" && have.Token == token {
			return nil
		}
		n, err := policyNameIsFree(tx, o, in.Name, "")
		if err != nil {
			return err
		}
		if n >= maxPolicies {
			return breaks("POLICY_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of policies that you can have in an organization.")
		}
		return policies.Put(tx, o.ID+"/"+p.ID, p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func policyNameIsFree(tx store.Tx, o *organization, name, but string) (n int, err error) {
	taken := fault.New(fault.DuplicatePolicy, "A policy with the same name already exists.")
	if name == fullAccess.Name {
		return 0, taken
	}
	for e, err := range policies.Scan(tx, o.ID+"/") {
		if err != nil {
			return n, err
		}
		if n++; e.Value.Name == name && e.Value.ID != but {
			return n, taken
		}
	}
	return n, nil
}

// ownPolicy is policyOf for changes, which AWS's own policy refuses.
func ownPolicy(tx store.Tx, o *organization, id string) (*scp, error) {
	p, err := policyOf(tx, o, id)
	if err == nil && p.managed() {
		err = invalid("IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and can't be modified.")
	}
	return p, err
}

// UpdatePolicy changes a policy, which is in force at once.
func (s *Service) UpdatePolicy(ctx context.Context, in *api.UpdatePolicyInput) (*api.UpdatePolicyOutput, error) {
	if in.Content != "" {
		if err := checkContent(in.Content); err != nil {
			return nil, err
		}
	}
	out := &api.UpdatePolicyOutput{}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		p, err := ownPolicy(tx, o, in.PolicyId)
		if err != nil {
			return err
		}
		if in.Name != "" {
			if _, err := policyNameIsFree(tx, o, in.Name, p.ID); err != nil {
				return err
			}
			p.Name = in.Name
		}
		if in.Description != "" {
			p.Description = in.Description
		}
		if in.Content != "" {
			p.Content = in.Content
		}
		out.Policy = p.api(o)
		return policies.Put(tx, o.ID+"/"+p.ID, p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeletePolicy removes a policy that is attached to nothing.
func (s *Service) DeletePolicy(ctx context.Context, in *api.DeletePolicyInput) (*api.DeletePolicyOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		p, err := ownPolicy(tx, o, in.PolicyId)
		if err != nil {
			return err
		}
		for e, err := range attachments.Scan(tx, o.ID+"/") {
			if err != nil {
				return err
			}
			if e.Value.Policy == p.ID {
				return fault.New(fault.PolicyInUse, "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
			}
		}
		return policies.Delete(tx, o.ID+"/"+p.ID)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeletePolicyOutput{}, nil
}

// DescribePolicy gives a policy with its text.
func (s *Service) DescribePolicy(ctx context.Context, in *api.DescribePolicyInput) (*api.DescribePolicyOutput, error) {
	out := &api.DescribePolicyOutput{}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		p, err := policyOf(tx, o, in.PolicyId)
		if err == nil {
			out.Policy = p.api(o)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListPolicies lists policies; AWS's own comes on the first page.
func (s *Service) ListPolicies(ctx context.Context, in *api.ListPoliciesInput) (*api.ListPoliciesOutput, error) {
	if err := onlySCP(in.Filter); err != nil {
		return nil, err
	}
	out := &api.ListPoliciesOutput{Policies: []api.PolicySummary{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		if in.NextToken == "" && o.allFeatures() {
			out.Policies = append(out.Policies, *fullAccess.summary(o))
		}
		page, next, err := pageOf(tx, policies, o.ID+"/", in.NextToken, in.MaxResults, nil)
		for _, p := range page {
			out.Policies = append(out.Policies, *p.summary(o))
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
