package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ruleRequest is what the authorize and revoke operations have in common.
type ruleRequest struct {
	group, name string
	egress      bool
	permissions []api.IpPermission
	rules       []string // ids, of a revocation
	tags        []api.TagSpecification
	dry         *bool
}

// flat is the older form of a request, with one permission spread over its parameters.
type flat struct {
	protocol, cidr, group, owner string
	from, to                     *int32
}

// merge joins the older form to the permissions. Both together are refused.
func merge(list []api.IpPermission, f flat) ([]api.IpPermission, error) {
	if f == (flat{}) {
		return list, nil
	}
	if len(list) > 0 {
		return nil, fault.New(fault.InvalidParameterCombination, "The parameter ipPermissions may not be used in combination with cidrIp, ipProtocol, fromPort, toPort or a source security group")
	}
	p := api.IpPermission{IpProtocol: f.protocol, FromPort: f.from, ToPort: f.to}
	if f.cidr != "" {
		p.IpRanges = []api.IpRange{{CidrIp: f.cidr}}
	}
	if f.group != "" {
		p.UserIdGroupPairs = []api.UserIdGroupPair{{GroupName: f.group, UserId: f.owner}}
		if p.IpProtocol == "" {
			p.IpProtocol = "-1"
		}
	}
	return []api.IpPermission{p}, nil
}

// AuthorizeSecurityGroupIngress lets traffic in.
func (s *Service) AuthorizeSecurityGroupIngress(ctx context.Context, in *api.AuthorizeSecurityGroupIngressInput) (*api.AuthorizeSecurityGroupIngressOutput, error) {
	list, err := merge(in.IpPermissions, flat{in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId, in.FromPort, in.ToPort})
	if err != nil {
		return nil, err
	}
	made, err := s.authorize(ctx, ruleRequest{group: in.GroupId, name: in.GroupName, permissions: list, tags: in.TagSpecifications, dry: in.DryRun})
	if err != nil {
		return nil, err
	}
	return &api.AuthorizeSecurityGroupIngressOutput{Return: ptr(true), SecurityGroupRules: made}, nil
}

// AuthorizeSecurityGroupEgress lets traffic out.
func (s *Service) AuthorizeSecurityGroupEgress(ctx context.Context, in *api.AuthorizeSecurityGroupEgressInput) (*api.AuthorizeSecurityGroupEgressOutput, error) {
	list, err := merge(in.IpPermissions, flat{in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId, in.FromPort, in.ToPort})
	if err != nil {
		return nil, err
	}
	made, err := s.authorize(ctx, ruleRequest{group: in.GroupId, egress: true, permissions: list, tags: in.TagSpecifications, dry: in.DryRun})
	if err != nil {
		return nil, err
	}
	return &api.AuthorizeSecurityGroupEgressOutput{Return: ptr(true), SecurityGroupRules: made}, nil
}

func (s *Service) authorize(ctx context.Context, r ruleRequest) ([]api.SecurityGroupRule, error) {
	call := auth.From(ctx)
	if len(r.permissions) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter ipPermissions")
	}
	tags, err := specTags(call, r.tags, "security-group-rule")
	if err != nil {
		return nil, err
	}
	var made []api.SecurityGroupRule
	err = s.update(ctx, func(tx store.Tx) error {
		made = nil
		g, err := s.groupBy(tx, call.Scope, r.group, r.name)
		if err != nil {
			return err
		}
		wanted, err := s.resolveRules(tx, call.Scope, r)
		if err != nil {
			return err
		}
		for _, w := range wanted {
			if old := g.find(w); old != nil {
				if call.Token == "" || old.Token != call.Token {
					return fault.New(fault.InvalidPermissionDuplicate, "the specified rule %q already exists", w.String())
				}
				made = append(made, old.view(g, tags["security-group-rule"]))
				continue
			}
			w.ID, w.Token = newID(call, prefixRule, g.ID+w.String()), call.Token
			if w.Egress {
				w.ID = newID(call, prefixRule, g.ID+"out"+w.String())
			}
			g.Rules = append(g.Rules, w)
			if err := putTags(tx, call.Scope, "security-group-rule", w.ID, tags["security-group-rule"]); err != nil {
				return err
			}
			made = append(made, w.view(g, tags["security-group-rule"]))
		}
		if g.count(r.egress) > maxRules {
			return fault.New(fault.RulesPerGroupLimitExceeded, "The maximum number of rules per security group has been reached.")
		}
		if err := groups.Put(tx, groupKey(g.Scope, g.ID), g); err != nil {
			return err
		}
		return dryRun(r.dry)
	})
	return made, err
}

// resolveRules reads a request's permissions as single rules, each once.
func (s *Service) resolveRules(tx store.Tx, scope arn.Scope, r ruleRequest) ([]rule, error) {
	var out []rule
	for _, p := range r.permissions {
		rules, err := permissionRules(p, r.egress, func(pair api.UserIdGroupPair) (string, error) {
			return s.resolvePair(tx, scope, pair)
		})
		if err == nil {
			err = s.checkLists(tx, scope, rules)
		}
		if err != nil {
			return nil, err
		}
		for _, w := range rules {
			for _, o := range out {
				if o.same(w) {
					return nil, fault.New(fault.InvalidPermissionDuplicate, "The same permission must not appear multiple times")
				}
			}
			out = append(out, w)
		}
	}
	return out, nil
}

func (s *Service) resolvePair(tx store.Tx, scope arn.Scope, pair api.UserIdGroupPair) (string, error) {
	if pair.UserId != "" && pair.UserId != scope.Account {
		return "", fault.New(fault.NotImplemented, "Security groups of other accounts (UserId) are not built in this version.")
	}
	if pair.VpcPeeringConnectionId != "" {
		return "", fault.New(fault.NotImplemented, "VPC peering (VpcPeeringConnectionId) is not built in this version.")
	}
	g, err := s.groupBy(tx, scope, pair.GroupId, pair.GroupName)
	if err != nil {
		return "", err
	}
	return g.ID, nil
}

// checkLists refuses prefix lists that are not there.
func (s *Service) checkLists(tx store.Tx, scope arn.Scope, rules []rule) error {
	for _, r := range rules {
		if r.List == "" {
			continue
		}
		if _, err := prefixLists.get(s, tx, scope, r.List); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) find(w rule) *rule {
	for i := range g.Rules {
		if g.Rules[i].same(w) {
			return &g.Rules[i]
		}
	}
	return nil
}

func (g *group) count(egress bool) int {
	n := 0
	for _, r := range g.Rules {
		if r.Egress == egress {
			n++
		}
	}
	return n
}

// RevokeSecurityGroupIngress takes rules away, all or none.
func (s *Service) RevokeSecurityGroupIngress(ctx context.Context, in *api.RevokeSecurityGroupIngressInput) (*api.RevokeSecurityGroupIngressOutput, error) {
	list, err := merge(in.IpPermissions, flat{in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId, in.FromPort, in.ToPort})
	if err != nil {
		return nil, err
	}
	gone, err := s.revoke(ctx, ruleRequest{group: in.GroupId, name: in.GroupName, permissions: list, rules: in.SecurityGroupRuleIds, dry: in.DryRun})
	if err != nil {
		return nil, err
	}
	return &api.RevokeSecurityGroupIngressOutput{Return: ptr(true), RevokedSecurityGroupRules: gone}, nil
}

// RevokeSecurityGroupEgress takes rules away, all or none.
func (s *Service) RevokeSecurityGroupEgress(ctx context.Context, in *api.RevokeSecurityGroupEgressInput) (*api.RevokeSecurityGroupEgressOutput, error) {
	list, err := merge(in.IpPermissions, flat{in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.SourceSecurityGroupOwnerId, in.FromPort, in.ToPort})
	if err != nil {
		return nil, err
	}
	gone, err := s.revoke(ctx, ruleRequest{group: in.GroupId, egress: true, permissions: list, rules: in.SecurityGroupRuleIds, dry: in.DryRun})
	if err != nil {
		return nil, err
	}
	return &api.RevokeSecurityGroupEgressOutput{Return: ptr(true), RevokedSecurityGroupRules: gone}, nil
}

func (s *Service) revoke(ctx context.Context, r ruleRequest) ([]api.RevokedSecurityGroupRule, error) {
	call := auth.From(ctx)
	if len(r.permissions) == 0 && len(r.rules) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter ipPermissions or securityGroupRuleIds")
	}
	if len(r.permissions) > 0 && len(r.rules) > 0 {
		return nil, fault.New(fault.InvalidParameterCombination, "The parameter ipPermissions may not be used in combination with securityGroupRuleIds")
	}
	var gone []api.RevokedSecurityGroupRule
	err := s.update(ctx, func(tx store.Tx) error {
		gone = nil
		g, err := s.groupBy(tx, call.Scope, r.group, r.name)
		if err != nil {
			return err
		}
		doomed, err := s.doomed(tx, call.Scope, g, r)
		if err != nil {
			return err
		}
		var left []rule
		for _, have := range g.Rules {
			if !doomed[have.ID] {
				left = append(left, have)
				continue
			}
			gone = append(gone, have.revoked(g))
			if err := dropTags(tx, g.Scope, have.ID); err != nil {
				return err
			}
		}
		g.Rules = left
		if err := groups.Put(tx, groupKey(g.Scope, g.ID), g); err != nil {
			return err
		}
		return dryRun(r.dry)
	})
	return gone, err
}

// doomed are the ids of the rules that a revocation names.
func (s *Service) doomed(tx store.Tx, scope arn.Scope, g *group, r ruleRequest) (map[string]bool, error) {
	out := map[string]bool{}
	for _, id := range r.rules {
		if err := checkID(prefixRule, id); err != nil {
			return nil, err
		}
		known := false
		for _, have := range g.Rules {
			known = known || have.ID == id && have.Egress == r.egress
		}
		if !known {
			return nil, notFound(prefixRule, id)
		}
		out[id] = true
	}
	wanted, err := s.resolveRules(tx, scope, r)
	if err != nil {
		return nil, err
	}
	for _, w := range wanted {
		old := g.find(w)
		if old == nil {
			return nil, fault.New(fault.InvalidPermissionNotFound, "The specified rule does not exist in this security group.")
		}
		out[old.ID] = true
	}
	return out, nil
}

func (r rule) revoked(g *group) api.RevokedSecurityGroupRule {
	return api.RevokedSecurityGroupRule{
		SecurityGroupRuleId: r.ID, GroupId: g.ID, IsEgress: ptr(r.Egress), IpProtocol: r.Protocol,
		FromPort: ptr(r.From), ToPort: ptr(r.To), CidrIpv4: r.CIDR, CidrIpv6: r.CIDR6,
		ReferencedGroupId: r.Group, PrefixListId: r.List, Description: r.Description,
	}
}
