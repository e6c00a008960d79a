package ec2

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	groupTypeName = "AWS::EC2::SecurityGroup"
	maxGroupName  = 255
)

type groupProperties struct {
	GroupDescription     string         `json:"GroupDescription"`
	GroupName            string         `json:"GroupName,omitempty"`
	SecurityGroupEgress  []ruleProperty `json:"SecurityGroupEgress,omitempty"`
	SecurityGroupIngress []ruleProperty `json:"SecurityGroupIngress,omitempty"`
	Tags                 []resource.Tag `json:"Tags,omitempty"`
	VpcId                string         `json:"VpcId,omitempty"`
}

// ruleProperty is a rule of either direction, as templates write it.
type ruleProperty struct {
	CidrIp                     string `json:"CidrIp,omitempty"`
	CidrIpv6                   string `json:"CidrIpv6,omitempty"`
	Description                string `json:"Description,omitempty"`
	FromPort                   *int32 `json:"FromPort,omitempty"`
	IpProtocol                 string `json:"IpProtocol"`
	ToPort                     *int32 `json:"ToPort,omitempty"`
	SourcePrefixListId         string `json:"SourcePrefixListId,omitempty"`
	SourceSecurityGroupId      string `json:"SourceSecurityGroupId,omitempty"`
	SourceSecurityGroupName    string `json:"SourceSecurityGroupName,omitempty"`
	SourceSecurityGroupOwnerId string `json:"SourceSecurityGroupOwnerId,omitempty"`
	DestinationPrefixListId    string `json:"DestinationPrefixListId,omitempty"`
	DestinationSecurityGroupId string `json:"DestinationSecurityGroupId,omitempty"`
}

// everything is the egress rule that a group has whose template names none.
var everything = ruleProperty{CidrIp: "0.0.0.0/0", IpProtocol: "-1"}

// permission is the rule in the terms of EC2.
func (p ruleProperty) permission() api.IpPermission {
	out := api.IpPermission{IpProtocol: p.IpProtocol, FromPort: p.FromPort, ToPort: p.ToPort}
	if p.CidrIp != "" {
		out.IpRanges = []api.IpRange{{CidrIp: p.CidrIp, Description: p.Description}}
	}
	if p.CidrIpv6 != "" {
		out.Ipv6Ranges = []api.Ipv6Range{{CidrIpv6: p.CidrIpv6, Description: p.Description}}
	}
	for _, list := range []string{p.SourcePrefixListId, p.DestinationPrefixListId} {
		if list != "" {
			out.PrefixListIds = append(out.PrefixListIds, api.PrefixListId{PrefixListId: list, Description: p.Description})
		}
	}
	for _, g := range []string{p.SourceSecurityGroupId, p.SourceSecurityGroupName, p.DestinationSecurityGroupId} {
		if g == "" {
			continue
		}
		pair := api.UserIdGroupPair{UserId: p.SourceSecurityGroupOwnerId, Description: p.Description}
		if ids, _ := splitGroups([]string{g}); len(ids) == 1 {
			pair.GroupId = g
		} else {
			pair.GroupName = g
		}
		out.UserIdGroupPairs = append(out.UserIdGroupPairs, pair)
	}
	return out
}

// traffic is the rule without its description.
func (p ruleProperty) traffic() string {
	d := p
	d.Description = ""
	b, _ := resource.Encode(d) // a struct of strings and numbers always encodes
	return strings.ToLower(resource.Text(ptr(b)))
}

// egress are the outgoing rules, the default one where the template names none.
func (p groupProperties) egress() []ruleProperty {
	if len(p.SecurityGroupEgress) == 0 {
		return []ruleProperty{everything}
	}
	return p.SecurityGroupEgress
}

type groupHandler struct{ svc api.Service }

func securityGroupType(svc api.Service) cfn.Type {
	h := groupHandler{svc}
	return cfn.Type{Name: groupTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h groupHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p groupProperties
	if err := resource.Decode(groupTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	name := resource.Name(r, p.GroupName, maxGroupName)
	out, err := h.svc.CreateSecurityGroup(ctx, &api.CreateSecurityGroupInput{
		GroupName: name, Description: p.GroupDescription, VpcId: p.VpcId,
		TagSpecifications: specs(resource.Tags(r, p.Tags), "security-group"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	// AWS names a group that is in no VPC of the template's by its name.
	result := cfn.Result{PhysicalID: out.GroupId}
	if p.VpcId == "" {
		result.PhysicalID = name
	}
	g, err := h.find(ctx, out.GroupId)
	if err != nil {
		return result, err
	}
	result.Attributes = groupAttributes(g, result.PhysicalID)
	if err := h.setRules(ctx, out.GroupId, nil, p.SecurityGroupIngress, false); err != nil {
		return result, err
	}
	return result, h.setRules(ctx, out.GroupId, []ruleProperty{everything}, p.egress(), true)
}

func groupAttributes(g *api.SecurityGroup, physicalID string) cfn.Properties {
	return cfn.Properties{"GroupId": g.GroupId, "Id": physicalID, "VpcId": g.VpcId}
}

// find reads a group by its physical id: an id or a name.
func (h groupHandler) find(ctx context.Context, physicalID string) (*api.SecurityGroup, error) {
	in := &api.DescribeSecurityGroupsInput{}
	in.GroupIds, in.GroupNames = splitGroups([]string{physicalID})
	out, err := h.svc.DescribeSecurityGroups(ctx, in)
	if err != nil {
		return nil, resource.Found(err, groupTypeName, physicalID, fault.InvalidGroupNotFound, fault.InvalidGroupIDMalformed)
	}
	if len(out.SecurityGroups) == 0 {
		return nil, resource.Missing(groupTypeName, physicalID)
	}
	return &out.SecurityGroups[0], nil
}

// setRules takes a group from the rules that a template gave it to those that it
// gives it now. Rules of other origin stay. Repeated, it finds its work done.
func (h groupHandler) setRules(ctx context.Context, id string, before, after []ruleProperty, egress bool) error {
	has, wants := map[string]ruleProperty{}, map[string]ruleProperty{}
	for _, r := range before {
		has[r.traffic()] = r
	}
	for _, r := range after {
		wants[r.traffic()] = r
	}
	for _, r := range after {
		old, ok := has[r.traffic()]
		var err error
		switch {
		case !ok:
			err = h.authorize(ctx, id, r.permission(), egress)
		case old.Description != r.Description:
			err = h.describe(ctx, id, r.permission(), egress)
		}
		if err != nil {
			return err
		}
	}
	for _, r := range before {
		if _, stays := wants[r.traffic()]; stays {
			continue
		}
		if err := resource.Gone(h.revoke(ctx, id, r.permission(), egress), fault.InvalidPermissionNotFound); err != nil {
			return err
		}
	}
	return nil
}

func (h groupHandler) authorize(ctx context.Context, id string, p api.IpPermission, egress bool) error {
	var err error
	if egress {
		_, err = h.svc.AuthorizeSecurityGroupEgress(ctx, &api.AuthorizeSecurityGroupEgressInput{GroupId: id, IpPermissions: []api.IpPermission{p}})
	} else {
		_, err = h.svc.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: []api.IpPermission{p}})
	}
	return err
}

func (h groupHandler) revoke(ctx context.Context, id string, p api.IpPermission, egress bool) error {
	var err error
	if egress {
		_, err = h.svc.RevokeSecurityGroupEgress(ctx, &api.RevokeSecurityGroupEgressInput{GroupId: id, IpPermissions: []api.IpPermission{p}})
	} else {
		_, err = h.svc.RevokeSecurityGroupIngress(ctx, &api.RevokeSecurityGroupIngressInput{GroupId: id, IpPermissions: []api.IpPermission{p}})
	}
	return err
}

func (h groupHandler) describe(ctx context.Context, id string, p api.IpPermission, egress bool) error {
	var err error
	if egress {
		_, err = h.svc.UpdateSecurityGroupRuleDescriptionsEgress(ctx, &api.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: id, IpPermissions: []api.IpPermission{p}})
	} else {
		_, err = h.svc.UpdateSecurityGroupRuleDescriptionsIngress(ctx, &api.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: id, IpPermissions: []api.IpPermission{p}})
	}
	return err
}

func (h groupHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior groupProperties
	if err := resource.Decode(groupTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(groupTypeName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	g, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if err := h.setRules(ctx, g.GroupId, prior.SecurityGroupIngress, p.SecurityGroupIngress, false); err != nil {
		return cfn.Result{}, err
	}
	if err := h.setRules(ctx, g.GroupId, prior.egress(), p.egress(), true); err != nil {
		return cfn.Result{}, err
	}
	result := cfn.Result{PhysicalID: r.PhysicalID, Attributes: groupAttributes(g, r.PhysicalID)}
	return result, retag(ctx, h.svc, g.GroupId, g.Tags, resource.Tags(r, p.Tags))
}

func (h groupHandler) delete(ctx context.Context, r cfn.Request) error {
	in := &api.DeleteSecurityGroupInput{}
	if ids, _ := splitGroups([]string{r.PhysicalID}); len(ids) == 1 {
		in.GroupId = r.PhysicalID
	} else {
		in.GroupName = r.PhysicalID
	}
	_, err := h.svc.DeleteSecurityGroup(ctx, in)
	return resource.Gone(err, fault.InvalidGroupNotFound, fault.InvalidGroupIDMalformed)
}

func (h groupHandler) list(ctx context.Context) ([]string, error) {
	in := &api.DescribeSecurityGroupsInput{}
	var ids []string
	for {
		out, err := h.svc.DescribeSecurityGroups(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, g := range out.SecurityGroups {
			ids = append(ids, g.GroupId)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return ids, nil
		}
	}
}

func (h groupHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	g, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := groupProperties{
		GroupDescription: g.Description, GroupName: g.GroupName, VpcId: g.VpcId, Tags: resource.OwnTags(tagMap(g.Tags)),
		SecurityGroupIngress: ruleProperties(g.IpPermissions, false), SecurityGroupEgress: ruleProperties(g.IpPermissionsEgress, true),
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["GroupId"], out["Id"] = g.GroupId, r.PhysicalID
	return out, nil
}

// ruleProperties are EC2's permissions as a template would write them.
func ruleProperties(list []api.IpPermission, egress bool) []ruleProperty {
	var out []ruleProperty
	for _, p := range list {
		base := ruleProperty{IpProtocol: p.IpProtocol, FromPort: p.FromPort, ToPort: p.ToPort}
		for _, c := range p.IpRanges {
			r := base
			r.CidrIp, r.Description = c.CidrIp, c.Description
			out = append(out, r)
		}
		for _, c := range p.Ipv6Ranges {
			r := base
			r.CidrIpv6, r.Description = c.CidrIpv6, c.Description
			out = append(out, r)
		}
		for _, g := range p.UserIdGroupPairs {
			r := base
			r.Description = g.Description
			if egress {
				r.DestinationSecurityGroupId = g.GroupId
			} else {
				r.SourceSecurityGroupId, r.SourceSecurityGroupOwnerId = g.GroupId, g.UserId
			}
			out = append(out, r)
		}
	}
	return out
}
