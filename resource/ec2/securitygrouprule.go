package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	ingressName = "AWS::EC2::SecurityGroupIngress"
	egressName  = "AWS::EC2::SecurityGroupEgress"
)

// ruleProperties of a rule that stands for itself in a template.
type standingRule struct {
	ruleProperty
	GroupId   string `json:"GroupId,omitempty"`
	GroupName string `json:"GroupName,omitempty"`
}

// ruleHandler is either of the two types: their physical id is the rule's.
type ruleHandler struct {
	groups groupHandler
	name   string
	egress bool
}

func ingressType(svc api.Service) cfn.Type {
	return ruleType(ruleHandler{groupHandler{svc}, ingressName, false})
}

func egressType(svc api.Service) cfn.Type {
	return ruleType(ruleHandler{groupHandler{svc}, egressName, true})
}

func ruleType(h ruleHandler) cfn.Type {
	return cfn.Type{Name: h.name, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete}
}

func (h ruleHandler) decode(from cfn.Properties) (standingRule, error) {
	var p standingRule
	err := resource.Decode(h.name, from, &p)
	return p, err
}

// group finds the group that the rule belongs to.
func (h ruleHandler) group(ctx context.Context, p standingRule) (*api.SecurityGroup, error) {
	name := p.GroupId
	if name == "" {
		name = p.GroupName
	}
	if name == "" {
		return nil, fault.New(fault.ValidationError, "%s: GroupId or GroupName must be given", h.name)
	}
	return h.groups.find(ctx, name)
}

func (h ruleHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := h.decode(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	g, err := h.group(ctx, p)
	if err != nil {
		return cfn.Result{}, err
	}
	var made []api.SecurityGroupRule
	list := []api.IpPermission{p.permission()}
	if h.egress {
		out, err := h.groups.svc.AuthorizeSecurityGroupEgress(ctx, &api.AuthorizeSecurityGroupEgressInput{GroupId: g.GroupId, IpPermissions: list})
		if err != nil {
			return cfn.Result{}, err
		}
		made = out.SecurityGroupRules
	} else {
		out, err := h.groups.svc.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: list})
		if err != nil {
			return cfn.Result{}, err
		}
		made = out.SecurityGroupRules
	}
	return ruleResult(made[0].SecurityGroupRuleId), nil
}

func ruleResult(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id}}
}

func (h ruleHandler) find(ctx context.Context, id string) (*api.SecurityGroupRule, error) {
	out, err := h.groups.svc.DescribeSecurityGroupRules(ctx, &api.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, h.name, id, fault.InvalidRuleIDNotFound, "InvalidSecurityGroupRuleId.Malformed")
	}
	if len(out.SecurityGroupRules) == 0 {
		return nil, resource.Missing(h.name, id)
	}
	return &out.SecurityGroupRules[0], nil
}

func (h ruleHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	rule, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := standingRule{GroupId: rule.GroupId, ruleProperty: ruleProperty{
		IpProtocol: rule.IpProtocol, FromPort: rule.FromPort, ToPort: rule.ToPort,
		CidrIp: rule.CidrIpv4, CidrIpv6: rule.CidrIpv6, Description: rule.Description,
	}}
	if g := rule.ReferencedGroupInfo; g != nil {
		if h.egress {
			p.DestinationSecurityGroupId = g.GroupId
		} else {
			p.SourceSecurityGroupId, p.SourceSecurityGroupOwnerId = g.GroupId, g.UserId
		}
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Id"] = rule.SecurityGroupRuleId
	return out, nil
}

// update changes the description: all else is create-only.
func (h ruleHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := h.decode(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	rule, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	list := []api.SecurityGroupRuleDescription{{SecurityGroupRuleId: r.PhysicalID, Description: p.Description}}
	if h.egress {
		_, err = h.groups.svc.UpdateSecurityGroupRuleDescriptionsEgress(ctx, &api.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: rule.GroupId, SecurityGroupRuleDescriptions: list})
	} else {
		_, err = h.groups.svc.UpdateSecurityGroupRuleDescriptionsIngress(ctx, &api.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: rule.GroupId, SecurityGroupRuleDescriptions: list})
	}
	return ruleResult(r.PhysicalID), err
}

func (h ruleHandler) delete(ctx context.Context, r cfn.Request) error {
	rule, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	ids := []string{r.PhysicalID}
	if h.egress {
		_, err = h.groups.svc.RevokeSecurityGroupEgress(ctx, &api.RevokeSecurityGroupEgressInput{GroupId: rule.GroupId, SecurityGroupRuleIds: ids})
	} else {
		_, err = h.groups.svc.RevokeSecurityGroupIngress(ctx, &api.RevokeSecurityGroupIngressInput{GroupId: rule.GroupId, SecurityGroupRuleIds: ids})
	}
	return resource.Gone(err, fault.InvalidRuleIDNotFound, fault.InvalidGroupNotFound)
}
