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
	gatewayTypeName           = "AWS::EC2::InternetGateway"
	gatewayAttachmentTypeName = "AWS::EC2::VPCGatewayAttachment"
)

type gatewayProperties struct {
	Tags []resource.Tag `json:"Tags,omitempty"`
}

type gatewayHandler struct{ svc api.Service }

func gatewayType(svc api.Service) cfn.Type {
	h := gatewayHandler{svc}
	return cfn.Type{Name: gatewayTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h gatewayHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p gatewayProperties
	if err := resource.Decode(gatewayTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateInternetGateway(ctx, &api.CreateInternetGatewayInput{TagSpecifications: specs(resource.Tags(r, p.Tags), "internet-gateway")})
	if err != nil {
		return cfn.Result{}, err
	}
	return gatewayResult(out.InternetGateway.InternetGatewayId), nil
}

func gatewayResult(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"InternetGatewayId": id}}
}

func (h gatewayHandler) find(ctx context.Context, id string) (*api.InternetGateway, error) {
	out, err := h.svc.DescribeInternetGateways(ctx, &api.DescribeInternetGatewaysInput{InternetGatewayIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, gatewayTypeName, id, fault.InvalidInternetGatewayIDNotFound)
	}
	return &out.InternetGateways[0], nil
}

func (h gatewayHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	g, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(gatewayProperties{Tags: resource.OwnTags(tagMap(g.Tags))})
	if err != nil {
		return nil, err
	}
	out["InternetGatewayId"] = g.InternetGatewayId
	return out, nil
}

func (h gatewayHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p gatewayProperties
	if err := resource.Decode(gatewayTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	g, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return gatewayResult(g.InternetGatewayId), retag(ctx, h.svc, g.InternetGatewayId, g.Tags, resource.Tags(r, p.Tags))
}

func (h gatewayHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteInternetGateway(ctx, &api.DeleteInternetGatewayInput{InternetGatewayId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidInternetGatewayIDNotFound)
}

func (h gatewayHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeInternetGateways(ctx, &api.DescribeInternetGatewaysInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, g := range out.InternetGateways {
		ids = append(ids, g.InternetGatewayId)
	}
	return ids, nil
}

type gatewayAttachmentProperties struct {
	InternetGatewayId string `json:"InternetGatewayId,omitempty"`
	VpcId             string `json:"VpcId"`
	VpnGatewayId      string `json:"VpnGatewayId,omitempty"`
}

// attachmentKind is the first half of an attachment's physical id: "IGW|vpc-…".
const attachmentKind = "IGW"

type gatewayAttachmentHandler struct{ svc api.Service }

func gatewayAttachmentType(svc api.Service) cfn.Type {
	h := gatewayAttachmentHandler{svc}
	return cfn.Type{Name: gatewayAttachmentTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h gatewayAttachmentHandler) decode(given cfn.Properties) (gatewayAttachmentProperties, error) {
	var p gatewayAttachmentProperties
	if err := resource.Decode(gatewayAttachmentTypeName, given, &p); err != nil {
		return p, err
	}
	if p.VpnGatewayId != "" {
		return p, fault.New(fault.NotImplemented, "%s: the property VpnGatewayId is not built in Slipway yet", gatewayAttachmentTypeName)
	}
	if p.InternetGatewayId == "" {
		return p, fault.New(fault.InvalidParameterCombination, "%s: Either InternetGatewayId or VpnGatewayId must be specified", gatewayAttachmentTypeName)
	}
	return p, nil
}

func (h gatewayAttachmentHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := h.decode(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	if _, err := h.svc.AttachInternetGateway(ctx, &api.AttachInternetGatewayInput{InternetGatewayId: p.InternetGatewayId, VpcId: p.VpcId}); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: attachmentKind + "|" + p.VpcId, Attributes: cfn.Properties{"AttachmentType": attachmentKind, "VpcId": p.VpcId}}, nil
}

// find reads the gateway that is attached to the VPC of a physical id.
func (h gatewayAttachmentHandler) find(ctx context.Context, id string) (*api.InternetGateway, string, error) {
	vpc := strings.TrimPrefix(id, attachmentKind+"|")
	out, err := h.svc.DescribeInternetGateways(ctx, &api.DescribeInternetGatewaysInput{Filters: []api.Filter{{Name: "attachment.vpc-id", Values: []string{vpc}}}})
	if err != nil {
		return nil, "", err
	}
	if len(out.InternetGateways) == 0 {
		return nil, "", resource.Missing(gatewayAttachmentTypeName, id)
	}
	return &out.InternetGateways[0], vpc, nil
}

func (h gatewayAttachmentHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	g, vpc, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	return cfn.Properties{"AttachmentType": attachmentKind, "VpcId": vpc, "InternetGatewayId": g.InternetGatewayId}, nil
}

// update attaches another gateway to the same VPC.
func (h gatewayAttachmentHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := h.decode(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	g, vpc, err := h.find(ctx, r.PhysicalID)
	if err == nil && g.InternetGatewayId != p.InternetGatewayId {
		_, err = h.svc.DetachInternetGateway(ctx, &api.DetachInternetGatewayInput{InternetGatewayId: g.InternetGatewayId, VpcId: vpc})
	}
	if err != nil && !fault.Is(err, cfn.NotFound) {
		return cfn.Result{}, err
	}
	return h.create(ctx, r)
}

func (h gatewayAttachmentHandler) delete(ctx context.Context, r cfn.Request) error {
	g, vpc, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, err = h.svc.DetachInternetGateway(ctx, &api.DetachInternetGatewayInput{InternetGatewayId: g.InternetGatewayId, VpcId: vpc})
	return resource.Gone(err, fault.GatewayNotAttached, fault.InvalidInternetGatewayIDNotFound, fault.InvalidVpcIDNotFound)
}

func (h gatewayAttachmentHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeInternetGateways(ctx, &api.DescribeInternetGatewaysInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, g := range out.InternetGateways {
		for _, a := range g.Attachments {
			ids = append(ids, attachmentKind+"|"+a.VpcId)
		}
	}
	return ids, nil
}
