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
	tableTypeName            = "AWS::EC2::RouteTable"
	routeTypeName            = "AWS::EC2::Route"
	tableAssociationTypeName = "AWS::EC2::SubnetRouteTableAssociation"
)

type tableProperties struct {
	Tags  []resource.Tag `json:"Tags,omitempty"`
	VpcId string         `json:"VpcId"`
}

type tableHandler struct{ svc api.Service }

func tableType(svc api.Service) cfn.Type {
	h := tableHandler{svc}
	return cfn.Type{Name: tableTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h tableHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p tableProperties
	if err := resource.Decode(tableTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateRouteTable(ctx, &api.CreateRouteTableInput{VpcId: p.VpcId, TagSpecifications: specs(resource.Tags(r, p.Tags), "route-table")})
	if err != nil {
		return cfn.Result{}, err
	}
	return tableResult(out.RouteTable.RouteTableId), nil
}

func tableResult(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"RouteTableId": id}}
}

func findTable(ctx context.Context, svc api.Service, name, id string) (*api.RouteTable, error) {
	out, err := svc.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{RouteTableIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, name, id, fault.InvalidRouteTableIDNotFound)
	}
	return &out.RouteTables[0], nil
}

func (h tableHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	t, err := findTable(ctx, h.svc, tableTypeName, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(tableProperties{VpcId: t.VpcId, Tags: resource.OwnTags(tagMap(t.Tags))})
	if err != nil {
		return nil, err
	}
	out["RouteTableId"] = t.RouteTableId
	return out, nil
}

func (h tableHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p tableProperties
	if err := resource.Decode(tableTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	t, err := findTable(ctx, h.svc, tableTypeName, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return tableResult(t.RouteTableId), retag(ctx, h.svc, t.RouteTableId, t.Tags, resource.Tags(r, p.Tags))
}

func (h tableHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteRouteTable(ctx, &api.DeleteRouteTableInput{RouteTableId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidRouteTableIDNotFound)
}

func (h tableHandler) list(ctx context.Context) ([]string, error) {
	all, err := allTables(ctx, h.svc)
	var ids []string
	for _, t := range all {
		ids = append(ids, t.RouteTableId)
	}
	return ids, err
}

func allTables(ctx context.Context, svc api.Service) ([]api.RouteTable, error) {
	out, err := svc.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{})
	if err != nil {
		return nil, err
	}
	return out.RouteTables, nil
}

type routeProperties struct {
	DestinationCidrBlock        string `json:"DestinationCidrBlock,omitempty"`
	DestinationIpv6CidrBlock    string `json:"DestinationIpv6CidrBlock,omitempty"`
	DestinationPrefixListId     string `json:"DestinationPrefixListId,omitempty"`
	EgressOnlyInternetGatewayId string `json:"EgressOnlyInternetGatewayId,omitempty"`
	GatewayId                   string `json:"GatewayId,omitempty"`
	InstanceId                  string `json:"InstanceId,omitempty"`
	NatGatewayId                string `json:"NatGatewayId,omitempty"`
	NetworkInterfaceId          string `json:"NetworkInterfaceId,omitempty"`
	RouteTableId                string `json:"RouteTableId"`
	TransitGatewayId            string `json:"TransitGatewayId,omitempty"`
	VpcEndpointId               string `json:"VpcEndpointId,omitempty"`
	VpcPeeringConnectionId      string `json:"VpcPeeringConnectionId,omitempty"`
}

func (p routeProperties) destination() string {
	return p.DestinationCidrBlock + p.DestinationIpv6CidrBlock + p.DestinationPrefixListId
}

func (p routeProperties) result() cfn.Result {
	return cfn.Result{PhysicalID: p.RouteTableId + "|" + p.destination(), Attributes: cfn.Properties{"CidrBlock": p.destination(), "RouteTableId": p.RouteTableId}}
}

// routeHandler is AWS::EC2::Route: its physical id is "rtb-…|destination".
type routeHandler struct{ svc api.Service }

func routeType(svc api.Service) cfn.Type {
	h := routeHandler{svc}
	return cfn.Type{Name: routeTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h routeHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p routeProperties
	if err := resource.Decode(routeTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in := p.input()
	if _, err := h.svc.CreateRoute(ctx, &in); err != nil {
		return cfn.Result{}, err
	}
	return p.result(), nil
}

func (p routeProperties) input() api.CreateRouteInput {
	return api.CreateRouteInput{
		RouteTableId: p.RouteTableId, DestinationCidrBlock: p.DestinationCidrBlock, DestinationIpv6CidrBlock: p.DestinationIpv6CidrBlock,
		DestinationPrefixListId: p.DestinationPrefixListId, EgressOnlyInternetGatewayId: p.EgressOnlyInternetGatewayId, GatewayId: p.GatewayId,
		InstanceId: p.InstanceId, NatGatewayId: p.NatGatewayId, NetworkInterfaceId: p.NetworkInterfaceId, TransitGatewayId: p.TransitGatewayId,
		VpcEndpointId: p.VpcEndpointId, VpcPeeringConnectionId: p.VpcPeeringConnectionId,
	}
}

func (h routeHandler) find(ctx context.Context, id string) (routeProperties, error) {
	table, destination, _ := strings.Cut(id, "|")
	t, err := findTable(ctx, h.svc, routeTypeName, table)
	if err != nil {
		return routeProperties{}, err
	}
	for _, r := range t.Routes {
		if r.Origin == "CreateRoute" && r.DestinationCidrBlock+r.DestinationPrefixListId == destination {
			return routeProperties{
				RouteTableId: table, DestinationCidrBlock: r.DestinationCidrBlock, DestinationPrefixListId: r.DestinationPrefixListId,
				GatewayId: r.GatewayId, NatGatewayId: r.NatGatewayId, VpcPeeringConnectionId: r.VpcPeeringConnectionId,
			}, nil
		}
	}
	return routeProperties{}, resource.Missing(routeTypeName, id)
}

func (h routeHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	p, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["CidrBlock"] = p.destination()
	return out, nil
}

func (h routeHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p routeProperties
	if err := resource.Decode(routeTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in := p.input()
	_, err := h.svc.ReplaceRoute(ctx, &api.ReplaceRouteInput{
		RouteTableId: in.RouteTableId, DestinationCidrBlock: in.DestinationCidrBlock, DestinationIpv6CidrBlock: in.DestinationIpv6CidrBlock,
		DestinationPrefixListId: in.DestinationPrefixListId, EgressOnlyInternetGatewayId: in.EgressOnlyInternetGatewayId, GatewayId: in.GatewayId,
		InstanceId: in.InstanceId, NatGatewayId: in.NatGatewayId, NetworkInterfaceId: in.NetworkInterfaceId, TransitGatewayId: in.TransitGatewayId,
		VpcEndpointId: in.VpcEndpointId, VpcPeeringConnectionId: in.VpcPeeringConnectionId,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return p.result(), nil
}

func (h routeHandler) delete(ctx context.Context, r cfn.Request) error {
	table, destination, _ := strings.Cut(r.PhysicalID, "|")
	in := &api.DeleteRouteInput{RouteTableId: table, DestinationCidrBlock: destination}
	if strings.HasPrefix(destination, "pl-") {
		in.DestinationCidrBlock, in.DestinationPrefixListId = "", destination
	}
	_, err := h.svc.DeleteRoute(ctx, in)
	return resource.Gone(err, fault.InvalidRouteNotFound, fault.InvalidRouteTableIDNotFound)
}

func (h routeHandler) list(ctx context.Context) ([]string, error) {
	all, err := allTables(ctx, h.svc)
	var ids []string
	for _, t := range all {
		for _, r := range t.Routes {
			if r.Origin == "CreateRoute" {
				ids = append(ids, t.RouteTableId+"|"+r.DestinationCidrBlock+r.DestinationPrefixListId)
			}
		}
	}
	return ids, err
}

type tableAssociationProperties struct {
	RouteTableId string `json:"RouteTableId"`
	SubnetId     string `json:"SubnetId"`
}

// tableAssociationHandler is AWS::EC2::SubnetRouteTableAssociation; all of it is
// create-only. A new one is made before the old one goes, so it takes the place of
// what is there.
type tableAssociationHandler struct{ svc api.Service }

func tableAssociationType(svc api.Service) cfn.Type {
	h := tableAssociationHandler{svc}
	return cfn.Type{Name: tableAssociationTypeName, Create: h.create, Read: h.read, Delete: h.delete, List: h.list}
}

func (h tableAssociationHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p tableAssociationProperties
	if err := resource.Decode(tableAssociationTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	id := ""
	out, err := h.svc.AssociateRouteTable(ctx, &api.AssociateRouteTableInput{RouteTableId: p.RouteTableId, SubnetId: p.SubnetId})
	switch {
	case err == nil:
		id = out.AssociationId
	case fault.Is(err, fault.ResourceAlreadyAssociated):
		if id, err = h.replace(ctx, p); err != nil {
			return cfn.Result{}, err
		}
	default:
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id}}, nil
}

func (h tableAssociationHandler) replace(ctx context.Context, p tableAssociationProperties) (string, error) {
	all, err := allTables(ctx, h.svc)
	if err != nil {
		return "", err
	}
	for _, t := range all {
		for _, a := range t.Associations {
			if a.SubnetId != p.SubnetId {
				continue
			}
			out, err := h.svc.ReplaceRouteTableAssociation(ctx, &api.ReplaceRouteTableAssociationInput{AssociationId: a.RouteTableAssociationId, RouteTableId: p.RouteTableId})
			if err != nil {
				return "", err
			}
			return out.NewAssociationId, nil
		}
	}
	return "", resource.Missing(tableAssociationTypeName, p.SubnetId)
}

func (h tableAssociationHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	all, err := allTables(ctx, h.svc)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		for _, a := range t.Associations {
			if a.RouteTableAssociationId == r.PhysicalID {
				return cfn.Properties{"Id": r.PhysicalID, "RouteTableId": t.RouteTableId, "SubnetId": a.SubnetId}, nil
			}
		}
	}
	return nil, resource.Missing(tableAssociationTypeName, r.PhysicalID)
}

func (h tableAssociationHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DisassociateRouteTable(ctx, &api.DisassociateRouteTableInput{AssociationId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidAssociationIDNotFound)
}

func (h tableAssociationHandler) list(ctx context.Context) ([]string, error) {
	all, err := allTables(ctx, h.svc)
	var ids []string
	for _, t := range all {
		for _, a := range t.Associations {
			if a.SubnetId != "" {
				ids = append(ids, a.RouteTableAssociationId)
			}
		}
	}
	return ids, err
}
