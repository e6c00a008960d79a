package ec2

import (
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// EC2's recorded cases whose calls are built: those of VPN gateways, flow logs and
// endpoints are not.
func TestRecorded(t *testing.T) {
	c := newCloud(t)
	records := replay.Open(t, "ec2/test_ec2", api.Describe(), c.Service)

	const number = "AWS numbers the zones of each account by chance"
	zones := records.Case(t, "test_describe_availability_zones_filter_with_zone_names")
	zones.Except("availability_zones/AvailabilityZones/0/ZoneId", number)
	zones.Call("availability_zones", c.ctx, &api.DescribeAvailabilityZonesInput{ZoneNames: []string{"us-east-1a"}})
	zones = records.Case(t, "test_describe_availability_zones_filters")
	zones.Except("availability_zones/AvailabilityZones/0/ZoneId", number)
	zones.Call("availability_zones", c.ctx, &api.DescribeAvailabilityZonesInput{Filters: []api.Filter{{Name: "zone-name", Values: []string{"us-east-1a"}}}})

	volume := records.Case(t, "test_raise_create_volume_without_size")
	volume.Call("request-missing-size", c.ctx, &api.CreateVolumeInput{AvailabilityZone: "us-east-1a"})
}

func TestRecordedRouteTableAssociation(t *testing.T) {
	c := newCloud(t)
	r := replay.Open(t, "ec2/test_ec2", api.Describe(), c.Service).Case(t, "test_create_route_table_association")
	vpc := replay.As[api.CreateVpcOutput](r.Call("", c.ctx, &api.CreateVpcInput{CidrBlock: "10.0.0.0/16"})).Vpc.VpcId
	subnet := replay.As[api.CreateSubnetOutput](r.Call("", c.ctx, &api.CreateSubnetInput{VpcId: vpc, CidrBlock: "10.0.0.0/24"})).Subnet.SubnetId
	table := replay.As[api.CreateRouteTableOutput](r.Call("", c.ctx, &api.CreateRouteTableInput{VpcId: vpc})).RouteTable.RouteTableId
	of := replay.As[api.AssociateRouteTableOutput](r.Call("", c.ctx, &api.AssociateRouteTableInput{RouteTableId: table, SubnetId: subnet})).AssociationId
	for entry, id := range map[string]string{"vpc_id": vpc, "subnet_id": subnet, "route_table_id": table, "association_id": of} {
		r.Hold(entry, id)
	}
	out := replay.As[api.DescribeRouteTablesOutput](r.Call("", c.ctx, &api.DescribeRouteTablesInput{RouteTableIds: []string{table}}))
	r.Hold("route_tables", replay.Tree(api.Describe(), "DescribeRouteTables", out)["RouteTables"])
}

func TestRecordedPeeringOfTwoRegions(t *testing.T) {
	c := newCloud(t)
	r := replay.Open(t, "ec2/test_ec2", api.Describe(), c.Service).Case(t, "test_vcp_peering_difference_regions")
	call := auth.From(c.ctx)
	call.Scope.Region = "eu-west-1"
	there := auth.With(t.Context(), call)
	own := replay.As[api.CreateVpcOutput](r.Call("", c.ctx, &api.CreateVpcInput{CidrBlock: "192.168.1.0/24"})).Vpc.VpcId
	other := replay.As[api.CreateVpcOutput](r.Call("", there, &api.CreateVpcInput{CidrBlock: "192.168.2.0/24"})).Vpc.VpcId
	r.Hold("vpc1", map[string]any{"region": "us-east-1", "vpc-id": own})
	r.Hold("vpc2", map[string]any{"region": "eu-west-1", "vpc-id": other})
	made := replay.As[api.CreateVpcPeeringConnectionOutput](r.Call("", c.ctx, &api.CreateVpcPeeringConnectionInput{VpcId: own, PeerVpcId: other, PeerRegion: "eu-west-1"}))
	id := made.VpcPeeringConnection.VpcPeeringConnectionId
	r.Hold("peering-connection-id", id)
	describe := &api.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{id}}
	r.Call("pending-acceptance", there, describe)
	r.Call("", there, &api.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: id})
	r.Call("requester-peer", c.ctx, describe)
	r.Call("accepter-peer", there, describe)
}
