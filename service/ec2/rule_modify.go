package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ModifySecurityGroupRules rewrites rules under their ids. A rule keeps its
// direction and the kind of its peer, as in AWS.
func (s *Service) ModifySecurityGroupRules(ctx context.Context, in *api.ModifySecurityGroupRulesInput) (*api.ModifySecurityGroupRulesOutput, error) {
	call := auth.From(ctx)
	if len(in.SecurityGroupRules) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter securityGroupRules")
	}
	err := s.update(ctx, func(tx store.Tx) error {
		g, err := s.groupByID(tx, call.Scope, in.GroupId)
		if err != nil {
			return err
		}
		for _, u := range in.SecurityGroupRules {
			if err := s.rewrite(tx, call.Scope, g, u); err != nil {
				return err
			}
		}
		if err := groups.Put(tx, groupKey(g.Scope, g.ID), g); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifySecurityGroupRulesOutput{Return: ptr(true)}, nil
}

func (s *Service) rewrite(tx store.Tx, scope arn.Scope, g *group, u api.SecurityGroupRuleUpdate) error {
	old, err := g.ruleByID(u.SecurityGroupRuleId)
	if err != nil {
		return err
	}
	if u.SecurityGroupRule == nil {
		return fault.New(fault.MissingParameter, "The request must contain the parameter securityGroupRule")
	}
	n := u.SecurityGroupRule
	p := api.IpPermission{IpProtocol: n.IpProtocol, FromPort: n.FromPort, ToPort: n.ToPort}
	if n.CidrIpv4 != "" {
		p.IpRanges = []api.IpRange{{CidrIp: n.CidrIpv4, Description: n.Description}}
	}
	if n.CidrIpv6 != "" {
		p.Ipv6Ranges = []api.Ipv6Range{{CidrIpv6: n.CidrIpv6, Description: n.Description}}
	}
	if n.ReferencedGroupId != "" {
		p.UserIdGroupPairs = []api.UserIdGroupPair{{GroupId: n.ReferencedGroupId, Description: n.Description}}
	}
	if n.PrefixListId != "" {
		p.PrefixListIds = []api.PrefixListId{{PrefixListId: n.PrefixListId}}
	}
	rules, err := permissionRules(p, old.Egress, func(pair api.UserIdGroupPair) (string, error) { return s.resolvePair(tx, scope, pair) })
	if err != nil {
		return err
	}
	if err == nil {
		err = s.checkLists(tx, scope, rules)
	}
	if err != nil {
		return err
	}
	if len(rules) != 1 {
		return fault.New(fault.InvalidParameterCombination, "A rule must name exactly one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId")
	}
	w := rules[0]
	if (w.CIDR == "") != (old.CIDR == "") || (w.CIDR6 == "") != (old.CIDR6 == "") || (w.Group == "") != (old.Group == "") || (w.List == "") != (old.List == "") {
		return fault.New(fault.InvalidParameterValue, "The type of source or destination of security group rule %s cannot be changed", old.ID)
	}
	if twin := g.find(w); twin != nil && twin.ID != old.ID {
		return fault.New(fault.InvalidPermissionDuplicate, "the specified rule %q already exists", w.String())
	}
	w.ID, w.Token = old.ID, old.Token
	*old = w
	return nil
}

func (g *group) ruleByID(id string) (*rule, error) {
	if err := checkID(prefixRule, id); err != nil {
		return nil, err
	}
	for i := range g.Rules {
		if g.Rules[i].ID == id {
			return &g.Rules[i], nil
		}
	}
	return nil, notFound(prefixRule, id)
}

// UpdateSecurityGroupRuleDescriptionsIngress changes what rules say of themselves.
func (s *Service) UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, in *api.UpdateSecurityGroupRuleDescriptionsIngressInput) (*api.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	r := ruleRequest{group: in.GroupId, name: in.GroupName, permissions: in.IpPermissions, dry: in.DryRun}
	if err := s.redescribe(ctx, r, in.SecurityGroupRuleDescriptions); err != nil {
		return nil, err
	}
	return &api.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: ptr(true)}, nil
}

// UpdateSecurityGroupRuleDescriptionsEgress changes what rules say of themselves.
func (s *Service) UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, in *api.UpdateSecurityGroupRuleDescriptionsEgressInput) (*api.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	r := ruleRequest{group: in.GroupId, name: in.GroupName, egress: true, permissions: in.IpPermissions, dry: in.DryRun}
	if err := s.redescribe(ctx, r, in.SecurityGroupRuleDescriptions); err != nil {
		return nil, err
	}
	return &api.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: ptr(true)}, nil
}

func (s *Service) redescribe(ctx context.Context, r ruleRequest, byID []api.SecurityGroupRuleDescription) error {
	call := auth.From(ctx)
	if (len(r.permissions) == 0) == (len(byID) == 0) {
		return fault.New(fault.InvalidParameterCombination, "The request must contain exactly one of the parameters ipPermissions and securityGroupRuleDescriptions")
	}
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		g, err := s.groupBy(tx, call.Scope, r.group, r.name)
		if err != nil {
			return err
		}
		wanted, err := s.resolveRules(tx, call.Scope, r)
		if err != nil {
			return err
		}
		for _, w := range wanted {
			old := g.find(w)
			if old == nil {
				return fault.New(fault.InvalidPermissionNotFound, "The specified rule does not exist in this security group.")
			}
			old.Description = w.Description
		}
		for _, d := range byID {
			old, err := g.ruleByID(d.SecurityGroupRuleId)
			if err != nil {
				return err
			}
			if err := checkRuleDescription(d.Description); err != nil {
				return err
			}
			old.Description = d.Description
		}
		if err := groups.Put(tx, groupKey(g.Scope, g.ID), g); err != nil {
			return err
		}
		return dryRun(r.dry)
	})
}
