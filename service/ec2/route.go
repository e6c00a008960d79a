package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func routeTableFields(v netView, name string) ([]string, bool) {
	switch name {
	case "association.main":
		return oneBool(true)
	case "association.route-table-association-id":
		return one(v.routeAssociation())
	case "association.route-table-id", "route-table-id":
		return one(v.RouteTable)
	case "owner-id":
		return one(v.Scope.Account)
	case "route.destination-cidr-block":
		return []string{v.Prefix.String(), "0.0.0.0/0"}, true
	case "route.gateway-id":
		return []string{"local", v.Gateway}, true
	case "route.origin":
		return []string{"CreateRouteTable", "CreateRoute"}, true
	case "route.state":
		return one("active")
	case "vpc-id":
		return one(v.VPC)
	case "association.gateway-id", "association.subnet-id", "route.destination-ipv6-cidr-block", "route.destination-prefix-list-id",
		"route.egress-only-internet-gateway-id", "route.instance-id", "route.nat-gateway-id", "route.transit-gateway-id", "route.vpc-peering-connection-id":
		return nil, true
	}
	return tagFields(v.tags, name)
}

func (n network) routeAssociation() string { return arn.IDFrom(prefixRouteAssoc, n.RouteTable) }

// DescribeRouteTables tells the default VPC's main route table.
func (s *Service) DescribeRouteTables(ctx context.Context, in *api.DescribeRouteTablesInput) (*api.DescribeRouteTablesOutput, error) {
	v, found, err := s.singleton(ctx, prefixRouteTable, func(n network) string { return n.RouteTable }, in.RouteTableIds, in.Filters, routeTableFields, in.DryRun)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeRouteTablesOutput{RouteTables: []api.RouteTable{}}
	if found {
		out.RouteTables = append(out.RouteTables, api.RouteTable{
			RouteTableId: v.RouteTable, VpcId: v.VPC, OwnerId: v.Scope.Account, Tags: v.tags.list(), PropagatingVgws: []api.PropagatingVgw{},
			Associations: []api.RouteTableAssociation{{
				Main: ptr(true), RouteTableAssociationId: v.routeAssociation(), RouteTableId: v.RouteTable,
				AssociationState: &api.RouteTableAssociationState{State: "associated"},
			}},
			Routes: []api.Route{
				{DestinationCidrBlock: v.Prefix.String(), GatewayId: "local", Origin: "CreateRouteTable", State: "active"},
				{DestinationCidrBlock: "0.0.0.0/0", GatewayId: v.Gateway, Origin: "CreateRoute", State: "active"},
			},
		})
	}
	return out, nil
}

func gatewayFields(v netView, name string) ([]string, bool) {
	switch name {
	case "attachment.state":
		return one("available")
	case "attachment.vpc-id":
		return one(v.VPC)
	case "internet-gateway-id":
		return one(v.Gateway)
	case "owner-id":
		return one(v.Scope.Account)
	}
	return tagFields(v.tags, name)
}

// DescribeInternetGateways tells the default VPC's gateway: the host.
func (s *Service) DescribeInternetGateways(ctx context.Context, in *api.DescribeInternetGatewaysInput) (*api.DescribeInternetGatewaysOutput, error) {
	v, found, err := s.singleton(ctx, prefixGateway, func(n network) string { return n.Gateway }, in.InternetGatewayIds, in.Filters, gatewayFields, in.DryRun)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInternetGatewaysOutput{InternetGateways: []api.InternetGateway{}}
	if found {
		out.InternetGateways = append(out.InternetGateways, api.InternetGateway{
			InternetGatewayId: v.Gateway, OwnerId: v.Scope.Account, Tags: v.tags.list(),
			Attachments: []api.InternetGatewayAttachment{{State: "available", VpcId: v.VPC}},
		})
	}
	return out, nil
}

func interfaceFields(v instanceView, name string) ([]string, bool) {
	if values, ok := networkFields(v, name); ok {
		return values, true
	}
	return tagFields(v.tags, name)
}

// DescribeNetworkInterfaces lists the network interfaces of the caller's
// instances; there are no others.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, in *api.DescribeNetworkInterfacesInput) (*api.DescribeNetworkInterfacesOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, interfaceFields)
	if err != nil {
		return nil, err
	}
	ids, err := newIDSet(prefixInterface, in.NetworkInterfaceIds)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	all, err := s.selectInstances(ctx, scope, nil, matcher[instanceView]{fields: instanceFields})
	if err != nil {
		return nil, err
	}
	var found []instanceView
	known := map[string]bool{}
	for _, v := range all {
		if v.State == terminated {
			continue
		}
		known[v.Interface] = true
		if !ids.wants(v.Interface) {
			continue
		}
		if v.tags, err = s.netTags(ctx, scope, v.Interface); err != nil {
			return nil, err
		}
		if m.match(v) {
			found = append(found, v)
		}
	}
	if lost := missing(in.NetworkInterfaceIds, func(id string) bool { return known[id] }); len(lost) > 0 {
		return nil, notFound(prefixInterface, lost...)
	}
	page, next, err := paginate(found, func(v instanceView) string { return v.Interface }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeNetworkInterfacesOutput{NextToken: next, NetworkInterfaces: []api.NetworkInterface{}}
	for _, v := range page {
		out.NetworkInterfaces = append(out.NetworkInterfaces, v.networkInterface())
	}
	return out, nil
}

func (v instanceView) networkInterface() api.NetworkInterface {
	i := v.interfaceView()
	out := api.NetworkInterface{
		NetworkInterfaceId: v.Interface, OwnerId: i.OwnerId, Status: "in-use", InterfaceType: "interface", AvailabilityZone: v.Zone,
		SubnetId: v.Subnet, VpcId: v.VPC, MacAddress: i.MacAddress, Description: i.Description,
		PrivateIpAddress: i.PrivateIpAddress, PrivateDnsName: i.PrivateDnsName, SourceDestCheck: i.SourceDestCheck,
		RequesterManaged: ptr(false), Groups: v.groups, TagSet: v.tags.list(),
		Attachment: &api.NetworkInterfaceAttachment{
			AttachmentId: v.Attachment, AttachTime: ptr(v.Created), DeleteOnTermination: ptr(true), DeviceIndex: ptr(int32(0)),
			NetworkCardIndex: ptr(int32(0)), InstanceId: v.ID, InstanceOwnerId: v.Scope.Account, Status: "attached",
		},
	}
	if a := i.Association; a != nil {
		out.Association = &api.NetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicIp: a.PublicIp, PublicDnsName: a.PublicDnsName}
		if v.Elastic != nil {
			out.Association.AllocationId, out.Association.AssociationId = v.Elastic.Allocation, v.Elastic.Association
		}
	}
	out.PrivateIpAddresses = []api.NetworkInterfacePrivateIpAddress{{
		Primary: ptr(true), PrivateIpAddress: i.PrivateIpAddress, PrivateDnsName: i.PrivateDnsName, Association: out.Association,
	}}
	return out
}

// DescribeSecurityGroupReferences lists groups of peered VPCs; there are none, so
// it only checks the ids.
func (s *Service) DescribeSecurityGroupReferences(ctx context.Context, in *api.DescribeSecurityGroupReferencesInput) (*api.DescribeSecurityGroupReferencesOutput, error) {
	if len(in.GroupId) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter GroupId")
	}
	if _, err := s.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{GroupIds: in.GroupId}); err != nil {
		return nil, err
	}
	return &api.DescribeSecurityGroupReferencesOutput{}, dryRun(in.DryRun)
}
