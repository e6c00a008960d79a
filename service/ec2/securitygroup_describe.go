package ec2

import (
	"context"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// groupView is a group with its tags.
type groupView struct {
	*group
	tags tagMap
}

func groupFields(v groupView, name string) ([]string, bool) {
	g := v.group
	if g == nil {
		g = &group{}
	}
	switch name {
	case "description":
		return one(g.Description)
	case "group-id":
		return one(g.ID)
	case "group-name":
		return one(g.Name)
	case "owner-id":
		return one(g.Scope.Account)
	case "vpc-id":
		return one(g.VPC)
	}
	if field, ok := strings.CutPrefix(name, "egress.ip-permission."); ok {
		return permissionFields(g, true, field)
	}
	if field, ok := strings.CutPrefix(name, "ip-permission."); ok {
		return permissionFields(g, false, field)
	}
	return tagFields(v.tags, name)
}

func permissionFields(g *group, egress bool, name string) (values []string, ok bool) {
	read := map[string]func(rule) string{
		"cidr":           func(r rule) string { return r.CIDR },
		"ipv6-cidr":      func(r rule) string { return r.CIDR6 },
		"from-port":      func(r rule) string { return strconv.Itoa(int(r.From)) },
		"to-port":        func(r rule) string { return strconv.Itoa(int(r.To)) },
		"protocol":       func(r rule) string { return r.Protocol },
		"group-id":       func(r rule) string { return r.Group },
		"group-name":     func(rule) string { return "" }, // pairs name groups by id
		"prefix-list-id": func(r rule) string { return r.List },
		"user-id": func(r rule) string {
			if r.Group == "" {
				return ""
			}
			return g.Scope.Account
		},
	}[name]
	if read == nil {
		return nil, false
	}
	for _, r := range g.Rules {
		if s := read(r); r.Egress == egress && s != "" {
			values = append(values, s)
		}
	}
	return values, true
}

// DescribeSecurityGroups lists the caller's groups.
func (s *Service) DescribeSecurityGroups(ctx context.Context, in *api.DescribeSecurityGroupsInput) (*api.DescribeSecurityGroupsOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, groupFields)
	if err != nil {
		return nil, err
	}
	ids, err := newIDSet(prefixGroup, in.GroupIds)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []groupView
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = found[:0]
		all, err := s.allGroups(tx, scope)
		if err != nil {
			return err
		}
		tags, err := allTags(tx, scope, prefixGroup)
		if err != nil {
			return err
		}
		names, known := map[string]bool{}, map[string]bool{}
		for _, g := range all {
			names[g.Name], known[g.ID] = true, true
			v := groupView{g, tags[g.ID]}
			named := ids == nil && len(in.GroupNames) == 0 || ids[g.ID] || contains(in.GroupNames, g.Name)
			if named && m.match(v) {
				found = append(found, v)
			}
		}
		if lost := missing(in.GroupIds, func(id string) bool { return known[id] }); len(lost) > 0 {
			return notFound(prefixGroup, lost...)
		}
		if lost := missing(in.GroupNames, func(name string) bool { return names[name] }); len(lost) > 0 {
			return fault.New(fault.InvalidGroupNotFound, "The security group '%s' does not exist in default VPC '%s'", clip(lost[0], 255), s.network(scope).VPC)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(found, func(v groupView) string { return v.ID }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeSecurityGroupsOutput{NextToken: next}
	for _, v := range page {
		out.SecurityGroups = append(out.SecurityGroups, v.view())
	}
	return out, nil
}

func (v groupView) view() api.SecurityGroup {
	g := v.group
	return api.SecurityGroup{
		GroupId: g.ID, GroupName: g.Name, Description: g.Description, OwnerId: g.Scope.Account, VpcId: g.VPC,
		SecurityGroupArn:    g.arn(),
		IpPermissions:       permissions(g.Rules, false, g.Scope.Account),
		IpPermissionsEgress: permissions(g.Rules, true, g.Scope.Account),
		Tags:                v.tags.list(),
	}
}

// ruleView is a rule with its group and tags.
type ruleView struct {
	rule
	group *group
	tags  tagMap
}

func ruleFields(v ruleView, name string) ([]string, bool) {
	switch name {
	case "group-id":
		if v.group == nil {
			return nil, true
		}
		return one(v.group.ID)
	case "security-group-rule-id":
		return one(v.ID)
	}
	return tagFields(v.tags, name)
}

// DescribeSecurityGroupRules lists the rules of the caller's groups.
func (s *Service) DescribeSecurityGroupRules(ctx context.Context, in *api.DescribeSecurityGroupRulesInput) (*api.DescribeSecurityGroupRulesOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, ruleFields)
	if err != nil {
		return nil, err
	}
	ids, err := newIDSet(prefixRule, in.SecurityGroupRuleIds)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []ruleView
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = found[:0]
		all, err := s.allGroups(tx, scope)
		if err != nil {
			return err
		}
		tags, err := allTags(tx, scope, prefixRule)
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for _, g := range all {
			for _, r := range g.Rules {
				known[r.ID] = true
				if v := (ruleView{r, g, tags[r.ID]}); ids.wants(r.ID) && m.match(v) {
					found = append(found, v)
				}
			}
		}
		if lost := missing(in.SecurityGroupRuleIds, func(id string) bool { return known[id] }); len(lost) > 0 {
			return notFound(prefixRule, lost...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(found, func(v ruleView) string { return v.ID }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeSecurityGroupRulesOutput{NextToken: next}
	for _, v := range page {
		out.SecurityGroupRules = append(out.SecurityGroupRules, v.rule.view(v.group, v.tags))
	}
	return out, nil
}
