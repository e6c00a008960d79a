package ec2

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// aclView is a VPC's default network ACL, which lets everything pass. There are no
// others yet, so nothing narrows it.
type aclView struct {
	id, vpc string
	subnets []string
	tags    tagMap
}

// aclAssociation is the id of a subnet's association with its network ACL.
func aclAssociation(subnet string) string { return arn.IDFrom(prefixACLAssoc, subnet) }

// standardEntries are the rules of a default network ACL.
func standardEntries() []api.NetworkAclEntry {
	var out []api.NetworkAclEntry
	for _, egress := range []bool{true, false} {
		for number, action := range map[int32]string{100: "allow", 32767: "deny"} {
			out = append(out, api.NetworkAclEntry{CidrBlock: "0.0.0.0/0", Egress: ptr(egress), Protocol: "-1", RuleAction: action, RuleNumber: ptr(number)})
		}
	}
	slices.SortFunc(out, func(a, b api.NetworkAclEntry) int {
		if *a.Egress != *b.Egress {
			return map[bool]int{true: -1, false: 1}[*a.Egress]
		}
		return int(*a.RuleNumber - *b.RuleNumber)
	})
	return out
}

func aclFields(v aclView, name string) ([]string, bool) {
	switch name {
	case "association.association-id":
		var out []string
		for _, n := range v.subnets {
			out = append(out, aclAssociation(n))
		}
		return out, true
	case "association.network-acl-id", "network-acl-id":
		return one(v.id)
	case "association.subnet-id":
		return v.subnets, true
	case "default":
		return oneBool(true)
	case "entry.cidr":
		return one("0.0.0.0/0")
	case "entry.protocol":
		return one("-1")
	case "entry.rule-action":
		return []string{"allow", "deny"}, true
	case "entry.egress":
		return []string{"true", "false"}, true
	case "entry.rule-number":
		return []string{"100", "32767"}, true
	case "vpc-id":
		return one(v.vpc)
	case "entry.icmp.code", "entry.icmp.type", "entry.ipv6-cidr", "entry.port-range.from", "entry.port-range.to":
		return nil, true
	}
	return tagFields(v.tags, name)
}

// DescribeNetworkAcls lists the default network ACL of each VPC.
func (s *Service) DescribeNetworkAcls(ctx context.Context, in *api.DescribeNetworkAclsInput) (*api.DescribeNetworkAclsOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[aclView]{
		prefix: prefixACL, ids: in.NetworkAclIds, filters: in.Filters, fields: owned(scope, aclFields), dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(v aclView) string { return v.id }, load: s.aclViews,
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeNetworkAclsOutput{NextToken: next, NetworkAcls: []api.NetworkAcl{}}
	for _, v := range page {
		o := api.NetworkAcl{
			NetworkAclId: v.id, VpcId: v.vpc, OwnerId: scope.Account, IsDefault: ptr(true), Entries: standardEntries(), Tags: v.tags.list(),
			Associations: []api.NetworkAclAssociation{},
		}
		for _, n := range v.subnets {
			o.Associations = append(o.Associations, api.NetworkAclAssociation{NetworkAclAssociationId: aclAssociation(n), NetworkAclId: v.id, SubnetId: n})
		}
		out.NetworkAcls = append(out.NetworkAcls, o)
	}
	return out, nil
}

func (s *Service) aclViews(tx store.Tx, scope arn.Scope) ([]aclView, error) {
	all, err := vpcs.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	subs, err := subnets.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	tags, err := allTags(tx, scope, prefixACL)
	if err != nil {
		return nil, err
	}
	var out []aclView
	for _, v := range all {
		o := aclView{id: v.ACL, vpc: v.ID, tags: tags[v.ACL]}
		for _, n := range subs {
			if n.VPC == v.ID {
				o.subnets = append(o.subnets, n.ID)
			}
		}
		out = append(out, o)
	}
	return out, nil
}
