package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const subnetTypeName = "AWS::EC2::Subnet"

type subnetProperties struct {
	AssignIpv6AddressOnCreation *bool          `json:"AssignIpv6AddressOnCreation,omitempty"`
	AvailabilityZone            string         `json:"AvailabilityZone,omitempty"`
	AvailabilityZoneId          string         `json:"AvailabilityZoneId,omitempty"`
	CidrBlock                   string         `json:"CidrBlock,omitempty"`
	Ipv6CidrBlock               string         `json:"Ipv6CidrBlock,omitempty"`
	MapPublicIpOnLaunch         *bool          `json:"MapPublicIpOnLaunch,omitempty"`
	Tags                        []resource.Tag `json:"Tags,omitempty"`
	VpcId                       string         `json:"VpcId"`
}

type subnetHandler struct{ svc api.Service }

func subnetType(svc api.Service) cfn.Type {
	h := subnetHandler{svc}
	return cfn.Type{Name: subnetTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h subnetHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p subnetProperties
	if err := resource.Decode(subnetTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateSubnet(ctx, &api.CreateSubnetInput{
		VpcId: p.VpcId, CidrBlock: p.CidrBlock, Ipv6CidrBlock: p.Ipv6CidrBlock, AvailabilityZone: p.AvailabilityZone, AvailabilityZoneId: p.AvailabilityZoneId,
		TagSpecifications: specs(resource.Tags(r, p.Tags), "subnet"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return subnetResult(out.Subnet), h.set(ctx, out.Subnet.SubnetId, p)
}

func subnetResult(n *api.Subnet) cfn.Result {
	return cfn.Result{PhysicalID: n.SubnetId, Attributes: cfn.Properties{
		"SubnetId": n.SubnetId, "VpcId": n.VpcId, "AvailabilityZone": n.AvailabilityZone, "AvailabilityZoneId": n.AvailabilityZoneId,
		"CidrBlock": n.CidrBlock, "Ipv6CidrBlocks": []any{},
	}}
}

func (h subnetHandler) set(ctx context.Context, id string, p subnetProperties) error {
	if p.MapPublicIpOnLaunch == nil && p.AssignIpv6AddressOnCreation == nil {
		return nil
	}
	_, err := h.svc.ModifySubnetAttribute(ctx, &api.ModifySubnetAttributeInput{
		SubnetId: id, MapPublicIpOnLaunch: boolean(p.MapPublicIpOnLaunch), AssignIpv6AddressOnCreation: boolean(p.AssignIpv6AddressOnCreation),
	})
	return err
}

func (h subnetHandler) find(ctx context.Context, id string) (*api.Subnet, error) {
	out, err := h.svc.DescribeSubnets(ctx, &api.DescribeSubnetsInput{SubnetIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, subnetTypeName, id, fault.InvalidSubnetIDNotFound)
	}
	return &out.Subnets[0], nil
}

func (h subnetHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	n, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(subnetProperties{
		AvailabilityZone: n.AvailabilityZone, AvailabilityZoneId: n.AvailabilityZoneId, CidrBlock: n.CidrBlock, VpcId: n.VpcId,
		MapPublicIpOnLaunch: n.MapPublicIpOnLaunch, AssignIpv6AddressOnCreation: n.AssignIpv6AddressOnCreation, Tags: resource.OwnTags(tagMap(n.Tags)),
	})
	if err != nil {
		return nil, err
	}
	out["SubnetId"] = n.SubnetId
	return out, nil
}

func (h subnetHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p subnetProperties
	if err := resource.Decode(subnetTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	n, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.Ipv6CidrBlock != "" {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: the property Ipv6CidrBlock is not built in Slipway yet", subnetTypeName)
	}
	if p.MapPublicIpOnLaunch == nil {
		p.MapPublicIpOnLaunch = ptr(false)
	}
	if err := h.set(ctx, n.SubnetId, p); err != nil {
		return cfn.Result{}, err
	}
	return subnetResult(n), retag(ctx, h.svc, n.SubnetId, n.Tags, resource.Tags(r, p.Tags))
}

func (h subnetHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteSubnet(ctx, &api.DeleteSubnetInput{SubnetId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidSubnetIDNotFound)
}

func (h subnetHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeSubnets(ctx, &api.DescribeSubnetsInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range out.Subnets {
		ids = append(ids, n.SubnetId)
	}
	return ids, nil
}
