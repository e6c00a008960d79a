package iam

import (
	"context"
	"net/url"
	"slices"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// inlinePolicy is a policy that stands in a role, user or group.
type inlinePolicy struct {
	PolicyName     string            `json:"PolicyName"`
	PolicyDocument resource.Document `json:"PolicyDocument"`
}

// granted are the policies that a template gives a role, user or group.
type granted struct {
	ManagedPolicyArns []string       `json:"ManagedPolicyArns,omitempty"`
	Policies          []inlinePolicy `json:"Policies,omitempty"`
}

// subject is what policies are given to: roles, users or groups, by name.
type subject struct {
	attach, detach func(ctx context.Context, name, arn string) error
	put            func(ctx context.Context, name, policy, text string) error
	drop           func(ctx context.Context, name, policy string) error
	text           func(ctx context.Context, name, policy string) (string, error)
	attached       func(ctx context.Context, name, marker string) (page []api.AttachedPolicy, next string, err error)
	inline         func(ctx context.Context, name, marker string) (page []string, next string, err error)
}

// grant turns the policies of one set of properties into those of another.
func (s subject) grant(ctx context.Context, name string, from, to granted) error {
	for _, arn := range to.ManagedPolicyArns {
		if err := s.attach(ctx, name, arn); err != nil {
			return err
		}
	}
	for _, p := range to.Policies {
		if err := s.put(ctx, name, p.PolicyName, p.PolicyDocument.Text); err != nil {
			return err
		}
	}
	for _, arn := range from.ManagedPolicyArns {
		if slices.Contains(to.ManagedPolicyArns, arn) {
			continue
		}
		if err := resource.Gone(s.detach(ctx, name, arn), fault.NoSuchEntity); err != nil {
			return err
		}
	}
	for _, p := range from.Policies {
		if slices.ContainsFunc(to.Policies, func(q inlinePolicy) bool { return q.PolicyName == p.PolicyName }) {
			continue
		}
		if err := resource.Gone(s.drop(ctx, name, p.PolicyName), fault.NoSuchEntity); err != nil {
			return err
		}
	}
	return nil
}

// read finds the policies that a subject has.
func (s subject) read(ctx context.Context, name string) (granted, error) {
	var g granted
	for marker := ""; ; {
		page, next, err := s.attached(ctx, name, marker)
		if err != nil {
			return g, err
		}
		for _, p := range page {
			g.ManagedPolicyArns = append(g.ManagedPolicyArns, p.PolicyArn)
		}
		if marker = next; marker == "" {
			break
		}
	}
	for marker := ""; ; {
		page, next, err := s.inline(ctx, name, marker)
		if err != nil {
			return g, err
		}
		for _, policy := range page {
			text, err := s.text(ctx, name, policy)
			if err != nil {
				return g, err
			}
			g.Policies = append(g.Policies, inlinePolicy{policy, resource.Document{Text: text}})
		}
		if marker = next; marker == "" {
			return g, nil
		}
	}
}

func roleSubject(svc api.Service) subject {
	return subject{
		attach: func(ctx context.Context, name, arn string) error {
			_, err := svc.AttachRolePolicy(ctx, &api.AttachRolePolicyInput{RoleName: name, PolicyArn: arn})
			return err
		},
		detach: func(ctx context.Context, name, arn string) error {
			_, err := svc.DetachRolePolicy(ctx, &api.DetachRolePolicyInput{RoleName: name, PolicyArn: arn})
			return err
		},
		put: func(ctx context.Context, name, policy, text string) error {
			_, err := svc.PutRolePolicy(ctx, &api.PutRolePolicyInput{RoleName: name, PolicyName: policy, PolicyDocument: text})
			return err
		},
		drop: func(ctx context.Context, name, policy string) error {
			_, err := svc.DeleteRolePolicy(ctx, &api.DeleteRolePolicyInput{RoleName: name, PolicyName: policy})
			return err
		},
		text: func(ctx context.Context, name, policy string) (string, error) {
			out, err := svc.GetRolePolicy(ctx, &api.GetRolePolicyInput{RoleName: name, PolicyName: policy})
			if err != nil {
				return "", err
			}
			return url.PathUnescape(out.PolicyDocument)
		},
		attached: func(ctx context.Context, name, marker string) ([]api.AttachedPolicy, string, error) {
			out, err := svc.ListAttachedRolePolicies(ctx, &api.ListAttachedRolePoliciesInput{RoleName: name, Marker: marker})
			if err != nil {
				return nil, "", err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
		inline: func(ctx context.Context, name, marker string) ([]string, string, error) {
			out, err := svc.ListRolePolicies(ctx, &api.ListRolePoliciesInput{RoleName: name, Marker: marker})
			if err != nil {
				return nil, "", err
			}
			return out.PolicyNames, out.Marker, nil
		},
	}
}

func userSubject(svc api.Service) subject {
	return subject{
		attach: func(ctx context.Context, name, arn string) error {
			_, err := svc.AttachUserPolicy(ctx, &api.AttachUserPolicyInput{UserName: name, PolicyArn: arn})
			return err
		},
		detach: func(ctx context.Context, name, arn string) error {
			_, err := svc.DetachUserPolicy(ctx, &api.DetachUserPolicyInput{UserName: name, PolicyArn: arn})
			return err
		},
		put: func(ctx context.Context, name, policy, text string) error {
			_, err := svc.PutUserPolicy(ctx, &api.PutUserPolicyInput{UserName: name, PolicyName: policy, PolicyDocument: text})
			return err
		},
		drop: func(ctx context.Context, name, policy string) error {
			_, err := svc.DeleteUserPolicy(ctx, &api.DeleteUserPolicyInput{UserName: name, PolicyName: policy})
			return err
		},
		text: func(ctx context.Context, name, policy string) (string, error) {
			out, err := svc.GetUserPolicy(ctx, &api.GetUserPolicyInput{UserName: name, PolicyName: policy})
			if err != nil {
				return "", err
			}
			return url.PathUnescape(out.PolicyDocument)
		},
		attached: func(ctx context.Context, name, marker string) ([]api.AttachedPolicy, string, error) {
			out, err := svc.ListAttachedUserPolicies(ctx, &api.ListAttachedUserPoliciesInput{UserName: name, Marker: marker})
			if err != nil {
				return nil, "", err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
		inline: func(ctx context.Context, name, marker string) ([]string, string, error) {
			out, err := svc.ListUserPolicies(ctx, &api.ListUserPoliciesInput{UserName: name, Marker: marker})
			if err != nil {
				return nil, "", err
			}
			return out.PolicyNames, out.Marker, nil
		},
	}
}

func groupSubject(svc api.Service) subject {
	return subject{
		attach: func(ctx context.Context, name, arn string) error {
			_, err := svc.AttachGroupPolicy(ctx, &api.AttachGroupPolicyInput{GroupName: name, PolicyArn: arn})
			return err
		},
		detach: func(ctx context.Context, name, arn string) error {
			_, err := svc.DetachGroupPolicy(ctx, &api.DetachGroupPolicyInput{GroupName: name, PolicyArn: arn})
			return err
		},
		put: func(ctx context.Context, name, policy, text string) error {
			_, err := svc.PutGroupPolicy(ctx, &api.PutGroupPolicyInput{GroupName: name, PolicyName: policy, PolicyDocument: text})
			return err
		},
		drop: func(ctx context.Context, name, policy string) error {
			_, err := svc.DeleteGroupPolicy(ctx, &api.DeleteGroupPolicyInput{GroupName: name, PolicyName: policy})
			return err
		},
		text: func(ctx context.Context, name, policy string) (string, error) {
			out, err := svc.GetGroupPolicy(ctx, &api.GetGroupPolicyInput{GroupName: name, PolicyName: policy})
			if err != nil {
				return "", err
			}
			return url.PathUnescape(out.PolicyDocument)
		},
		attached: func(ctx context.Context, name, marker string) ([]api.AttachedPolicy, string, error) {
			out, err := svc.ListAttachedGroupPolicies(ctx, &api.ListAttachedGroupPoliciesInput{GroupName: name, Marker: marker})
			if err != nil {
				return nil, "", err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
		inline: func(ctx context.Context, name, marker string) ([]string, string, error) {
			out, err := svc.ListGroupPolicies(ctx, &api.ListGroupPoliciesInput{GroupName: name, Marker: marker})
			if err != nil {
				return nil, "", err
			}
			return out.PolicyNames, out.Marker, nil
		},
	}
}
