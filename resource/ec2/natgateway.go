package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const natTypeName = "AWS::EC2::NatGateway"

type natProperties struct {
	AllocationId     string         `json:"AllocationId,omitempty"`
	ConnectivityType string         `json:"ConnectivityType,omitempty"`
	PrivateIpAddress string         `json:"PrivateIpAddress,omitempty"`
	SubnetId         string         `json:"SubnetId,omitempty"`
	Tags             []resource.Tag `json:"Tags,omitempty"`
}

type natHandler struct{ svc api.Service }

func natType(svc api.Service) cfn.Type {
	h := natHandler{svc}
	return cfn.Type{Name: natTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h natHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p natProperties
	if err := resource.Decode(natTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateNatGateway(ctx, &api.CreateNatGatewayInput{
		AllocationId: p.AllocationId, ConnectivityType: p.ConnectivityType, PrivateIpAddress: p.PrivateIpAddress, SubnetId: p.SubnetId,
		TagSpecifications: specs(resource.Tags(r, p.Tags), "natgateway"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return natResult(out.NatGateway), nil
}

func natResult(n *api.NatGateway) cfn.Result {
	return cfn.Result{PhysicalID: n.NatGatewayId, Attributes: cfn.Properties{
		"NatGatewayId": n.NatGatewayId, "EniId": n.NatGatewayAddresses[0].NetworkInterfaceId, "VpcId": n.VpcId,
	}}
}

func (h natHandler) find(ctx context.Context, id string) (*api.NatGateway, error) {
	out, err := h.svc.DescribeNatGateways(ctx, &api.DescribeNatGatewaysInput{NatGatewayIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, natTypeName, id, fault.NatGatewayNotFound)
	}
	if n := &out.NatGateways[0]; n.State == "available" {
		return n, nil
	}
	return nil, resource.Missing(natTypeName, id)
}

func (h natHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	n, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	a := n.NatGatewayAddresses[0]
	out, err := resource.Encode(natProperties{
		AllocationId: a.AllocationId, ConnectivityType: n.ConnectivityType, PrivateIpAddress: a.PrivateIp, SubnetId: n.SubnetId, Tags: resource.OwnTags(tagMap(n.Tags)),
	})
	if err != nil {
		return nil, err
	}
	for k, v := range natResult(n).Attributes {
		out[k] = v
	}
	return out, nil
}

func (h natHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p natProperties
	if err := resource.Decode(natTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	n, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return natResult(n), retag(ctx, h.svc, n.NatGatewayId, n.Tags, resource.Tags(r, p.Tags))
}

func (h natHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteNatGateway(ctx, &api.DeleteNatGatewayInput{NatGatewayId: r.PhysicalID})
	return resource.Gone(err, fault.NatGatewayNotFound)
}

func (h natHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeNatGateways(ctx, &api.DescribeNatGatewaysInput{Filter: []api.Filter{{Name: "state", Values: []string{"available"}}}})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range out.NatGateways {
		ids = append(ids, n.NatGatewayId)
	}
	return ids, nil
}
