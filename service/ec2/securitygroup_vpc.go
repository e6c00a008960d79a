package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeSecurityGroupReferences lists groups of peered VPCs that name these; rules
// name groups of their own account's VPCs only, so it only checks the ids.
func (s *Service) DescribeSecurityGroupReferences(ctx context.Context, in *api.DescribeSecurityGroupReferencesInput) (*api.DescribeSecurityGroupReferencesOutput, error) {
	if len(in.GroupId) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter GroupId")
	}
	if _, err := s.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{GroupIds: in.GroupId}); err != nil {
		return nil, err
	}
	return &api.DescribeSecurityGroupReferencesOutput{}, dryRun(in.DryRun)
}

// GetSecurityGroupsForVpc lists the groups that interfaces in a VPC can have.
func (s *Service) GetSecurityGroupsForVpc(ctx context.Context, in *api.GetSecurityGroupsForVpcInput) (*api.GetSecurityGroupsForVpcOutput, error) {
	scope := auth.From(ctx).Scope
	filter := func(v groupView, name string) ([]string, bool) {
		switch name {
		case "primary-vpc-id":
			name = "vpc-id"
		case "group-id", "description", "group-name", "owner-id":
		default:
			return tagFields(v.tags, name)
		}
		return groupFields(v, name)
	}
	page, next, err := list(ctx, s, listing[groupView]{
		prefix: prefixGroup, filters: in.Filters, fields: filter, dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(v groupView) string { return v.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]groupView, error) {
			if _, err := vpcs.get(s, tx, scope, in.VpcId); err != nil {
				return nil, err
			}
			all, err := s.allGroups(tx, scope)
			if err != nil {
				return nil, err
			}
			tags, err := allTags(tx, scope, prefixGroup)
			var out []groupView
			for _, g := range all {
				if g.VPC == in.VpcId {
					out = append(out, groupView{g, tags[g.ID]})
				}
			}
			return out, err
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.GetSecurityGroupsForVpcOutput{NextToken: next, SecurityGroupForVpcs: []api.SecurityGroupForVpc{}}
	for _, v := range page {
		out.SecurityGroupForVpcs = append(out.SecurityGroupForVpcs, api.SecurityGroupForVpc{
			GroupId: v.ID, GroupName: v.Name, Description: v.Description, OwnerId: scope.Account, PrimaryVpcId: v.VPC, Tags: v.tags.list(),
		})
	}
	return out, nil
}
