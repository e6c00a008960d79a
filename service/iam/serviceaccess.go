package iam

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth/policy"
)

// ListPoliciesGrantingServiceAccess lists, for each service, the policies of a
// user (and its groups), group or role that allow something of it.
func (s *Service) ListPoliciesGrantingServiceAccess(ctx context.Context, in *api.ListPoliciesGrantingServiceAccessInput) (*api.ListPoliciesGrantingServiceAccessOutput, error) {
	if in.Marker != "" {
		return nil, badMarker(in.Marker) // one page holds them all
	}
	held, err := s.holdings(ctx, in.Arn)
	if err != nil {
		return nil, err
	}
	out := &api.ListPoliciesGrantingServiceAccessOutput{PoliciesGrantingServiceAccess: []api.ListPoliciesGrantingServiceAccessEntry{}, IsTruncated: new(false)}
	for _, service := range in.ServiceNamespaces {
		entry := api.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: service, Policies: []api.PolicyGrantingServiceAccess{}}
		for _, h := range held.policies {
			if h.text == "" {
				continue // of AWS's, and not known: it grants nothing
			}
			d, err := s.docs.Parse(h.text, policy.Identity)
			if err != nil {
				return nil, err
			}
			if !reaches(d, service) {
				continue
			}
			p := api.PolicyGrantingServiceAccess{PolicyName: h.name, PolicyType: api.PolicyTypeManaged, PolicyArn: h.arn}
			if h.arn == "" {
				p.PolicyType, p.EntityType, p.EntityName = api.PolicyTypeInline, strings.ToUpper(h.entity), h.owner
			}
			entry.Policies = append(entry.Policies, p)
		}
		out.PoliciesGrantingServiceAccess = append(out.PoliciesGrantingServiceAccess, entry)
	}
	return out, nil
}

// reaches says whether a policy allows any action of a service.
func reaches(d *policy.Document, service string) bool {
	of := func(action string) (name string, ok bool) {
		if action == "*" {
			return "*", true
		}
		vendor, name, _ := strings.Cut(action, ":")
		return name, strings.EqualFold(vendor, service)
	}
	for i := range d.Statements {
		st := &d.Statements[i]
		if st.Deny {
			continue
		}
		for _, a := range st.Actions {
			if _, ok := of(a); ok {
				return true
			}
		}
		excepted := len(st.NotActions) == 0
		for _, a := range st.NotActions {
			if name, ok := of(a); ok && name == "*" {
				excepted = true
			}
		}
		if !excepted {
			return true
		}
	}
	return false
}
