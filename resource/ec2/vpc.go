package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const vpcTypeName = "AWS::EC2::VPC"

type vpcProperties struct {
	CidrBlock          string         `json:"CidrBlock,omitempty"`
	EnableDnsHostnames *bool          `json:"EnableDnsHostnames,omitempty"`
	EnableDnsSupport   *bool          `json:"EnableDnsSupport,omitempty"`
	InstanceTenancy    string         `json:"InstanceTenancy,omitempty"`
	Tags               []resource.Tag `json:"Tags,omitempty"`
}

type vpcHandler struct{ svc api.Service }

func vpcType(svc api.Service) cfn.Type {
	h := vpcHandler{svc}
	return cfn.Type{Name: vpcTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h vpcHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p vpcProperties
	if err := resource.Decode(vpcTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateVpc(ctx, &api.CreateVpcInput{
		CidrBlock: p.CidrBlock, InstanceTenancy: p.InstanceTenancy, TagSpecifications: specs(resource.Tags(r, p.Tags), "vpc"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	result := cfn.Result{PhysicalID: out.Vpc.VpcId}
	if err := h.set(ctx, out.Vpc.VpcId, p); err != nil {
		return result, err
	}
	result.Attributes, err = h.attributes(ctx, out.Vpc)
	return result, err
}

// set changes the attributes that the template names.
func (h vpcHandler) set(ctx context.Context, id string, p vpcProperties) error {
	for _, in := range []*api.ModifyVpcAttributeInput{
		{EnableDnsSupport: boolean(p.EnableDnsSupport)}, {EnableDnsHostnames: boolean(p.EnableDnsHostnames)},
	} {
		if in.EnableDnsSupport == nil && in.EnableDnsHostnames == nil {
			continue
		}
		in.VpcId = id
		if _, err := h.svc.ModifyVpcAttribute(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func boolean(b *bool) *api.AttributeBooleanValue {
	if b == nil {
		return nil
	}
	return &api.AttributeBooleanValue{Value: b}
}

func (h vpcHandler) find(ctx context.Context, id string) (*api.Vpc, error) {
	out, err := h.svc.DescribeVpcs(ctx, &api.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, vpcTypeName, id, fault.InvalidVpcIDNotFound)
	}
	return &out.Vpcs[0], nil
}

// attributes are what Fn::GetAtt finds.
func (h vpcHandler) attributes(ctx context.Context, v *api.Vpc) (cfn.Properties, error) {
	groups, err := h.svc.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{Filters: []api.Filter{
		{Name: "vpc-id", Values: []string{v.VpcId}}, {Name: "group-name", Values: []string{"default"}},
	}})
	if err != nil {
		return nil, err
	}
	acls, err := h.svc.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{Filters: []api.Filter{
		{Name: "vpc-id", Values: []string{v.VpcId}}, {Name: "default", Values: []string{"true"}},
	}})
	if err != nil {
		return nil, err
	}
	blocks := []any{}
	for _, b := range v.CidrBlockAssociationSet {
		blocks = append(blocks, b.AssociationId)
	}
	out := cfn.Properties{"VpcId": v.VpcId, "CidrBlock": v.CidrBlock, "CidrBlockAssociations": blocks, "Ipv6CidrBlocks": []any{}}
	if len(groups.SecurityGroups) > 0 {
		out["DefaultSecurityGroup"] = groups.SecurityGroups[0].GroupId
	}
	if len(acls.NetworkAcls) > 0 {
		out["DefaultNetworkAcl"] = acls.NetworkAcls[0].NetworkAclId
	}
	return out, nil
}

func (h vpcHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	v, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := vpcProperties{CidrBlock: v.CidrBlock, InstanceTenancy: v.InstanceTenancy, Tags: resource.OwnTags(tagMap(v.Tags))}
	for name, field := range map[string]**bool{"enableDnsSupport": &p.EnableDnsSupport, "enableDnsHostnames": &p.EnableDnsHostnames} {
		a, err := h.svc.DescribeVpcAttribute(ctx, &api.DescribeVpcAttributeInput{VpcId: v.VpcId, Attribute: name})
		if err != nil {
			return nil, err
		}
		for _, b := range []*api.AttributeBooleanValue{a.EnableDnsSupport, a.EnableDnsHostnames} {
			if b != nil {
				*field = b.Value
			}
		}
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	attributes, err := h.attributes(ctx, v)
	for k, a := range attributes {
		out[k] = a
	}
	return out, err
}

func (h vpcHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior vpcProperties
	if err := resource.Decode(vpcTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(vpcTypeName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	v, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.InstanceTenancy != prior.InstanceTenancy && p.InstanceTenancy != "" {
		if _, err := h.svc.ModifyVpcTenancy(ctx, &api.ModifyVpcTenancyInput{VpcId: v.VpcId, InstanceTenancy: p.InstanceTenancy}); err != nil {
			return cfn.Result{}, err
		}
	}
	// What the template no longer names has the default again.
	if p.EnableDnsSupport == nil && prior.EnableDnsSupport != nil {
		p.EnableDnsSupport = ptr(true)
	}
	if p.EnableDnsHostnames == nil && prior.EnableDnsHostnames != nil {
		p.EnableDnsHostnames = ptr(false)
	}
	if err := h.set(ctx, v.VpcId, p); err != nil {
		return cfn.Result{}, err
	}
	result := cfn.Result{PhysicalID: r.PhysicalID}
	if result.Attributes, err = h.attributes(ctx, v); err != nil {
		return result, err
	}
	return result, retag(ctx, h.svc, v.VpcId, v.Tags, resource.Tags(r, p.Tags))
}

func (h vpcHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteVpc(ctx, &api.DeleteVpcInput{VpcId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidVpcIDNotFound)
}

func (h vpcHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeVpcs(ctx, &api.DescribeVpcsInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range out.Vpcs {
		ids = append(ids, v.VpcId)
	}
	return ids, nil
}
