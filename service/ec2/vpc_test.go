package ec2

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

// site is a VPC with a public and a private subnet.
type site struct {
	vpc, public, private, gateway, table string
}

func (c *cloud) site(t *testing.T) site {
	t.Helper()
	var s site
	s.vpc = must(c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.0.0.0/16"}))(t).Vpc.VpcId
	s.public = must(c.CreateSubnet(c.ctx, &api.CreateSubnetInput{VpcId: s.vpc, CidrBlock: "10.0.1.0/24", AvailabilityZone: "us-east-1b"}))(t).Subnet.SubnetId
	s.private = must(c.CreateSubnet(c.ctx, &api.CreateSubnetInput{VpcId: s.vpc, CidrBlock: "10.0.2.0/24"}))(t).Subnet.SubnetId
	s.gateway = must(c.CreateInternetGateway(c.ctx, &api.CreateInternetGatewayInput{}))(t).InternetGateway.InternetGatewayId
	must(c.AttachInternetGateway(c.ctx, &api.AttachInternetGatewayInput{InternetGatewayId: s.gateway, VpcId: s.vpc}))(t)
	s.table = must(c.CreateRouteTable(c.ctx, &api.CreateRouteTableInput{VpcId: s.vpc}))(t).RouteTable.RouteTableId
	must(c.AssociateRouteTable(c.ctx, &api.AssociateRouteTableInput{RouteTableId: s.table, SubnetId: s.public}))(t)
	must(c.CreateRoute(c.ctx, &api.CreateRouteInput{RouteTableId: s.table, DestinationCidrBlock: "0.0.0.0/0", GatewayId: s.gateway}))(t)
	must(c.ModifySubnetAttribute(c.ctx, &api.ModifySubnetAttributeInput{SubnetId: s.public, MapPublicIpOnLaunch: &api.AttributeBooleanValue{Value: ptr(true)}}))(t)
	return s
}

// policyLines are the lines of the policy in force that begin with the words.
func (c *cloud) policyLines(prefix string) []string {
	var out []string
	for _, l := range strings.Split(c.driver.Policy().String(), "\n") {
		if strings.HasPrefix(l, prefix) {
			out = append(out, l)
		}
	}
	return out
}

func TestInstancesStandInTheirSubnets(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	pub := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.public })
	priv := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.private; in.PrivateIpAddress = "10.0.2.9" })
	if !strings.HasPrefix(pub.PrivateIpAddress, "10.0.1.") || pub.PublicIpAddress == "" || pub.VpcId != s.vpc || pub.Placement.AvailabilityZone != "us-east-1b" {
		t.Errorf("in the public subnet: %+v", pub)
	}
	if priv.PrivateIpAddress != "10.0.2.9" || priv.PublicIpAddress != "" {
		t.Errorf("in the private subnet: %+v", priv)
	}
	if got := pub.SecurityGroups[0].GroupName; got != "default" {
		t.Errorf("group %s", got)
	}
	subs := must(c.DescribeSubnets(c.ctx, &api.DescribeSubnetsInput{SubnetIds: []string{s.private}}))(t).Subnets
	if *subs[0].AvailableIpAddressCount != 250 {
		t.Errorf("%d addresses are left, want 256 without 5 of AWS's and one", *subs[0].AvailableIpAddressCount)
	}
	main := must(c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{Filters: []api.Filter{
		{Name: "vpc-id", Values: []string{s.vpc}}, {Name: "association.main", Values: []string{"true"}},
	}}))(t).RouteTables[0].RouteTableId
	group := pub.SecurityGroups[0].GroupId
	want := "endpoint " + pub.PrivateIpAddress + " in " + s.vpc + " by " + s.table + " public " + pub.PublicIpAddress + " groups " + group
	if got := c.policyLines("endpoint " + pub.PrivateIpAddress); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.policyLines("endpoint 10.0.2.9"); got[0] != "endpoint 10.0.2.9 in "+s.vpc+" by "+main+" groups "+group {
		t.Errorf("got %q", got)
	}
	if got := c.policyLines("route " + s.table); len(got) != 2 || got[0] != "route "+s.table+" 10.0.0.0/16 network "+s.vpc || got[1] != "route "+s.table+" 0.0.0.0/0 internet " {
		t.Errorf("routes %q", got)
	}
	if got := c.policyLines("group " + group); len(got) != 2 || got[0] != "group "+group+" in all "+group || got[1] != "group "+group+" out all 0.0.0.0/0" {
		t.Errorf("rules %q", got)
	}
	must(c.AuthorizeSecurityGroupIngress(c.ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: group, IpProtocol: "tcp", FromPort: ptr(int32(80)), ToPort: ptr(int32(80)), CidrIp: "10.0.1.0/24"}))(t)
	if got := c.policyLines("group " + group + " in protocol"); len(got) != 1 || got[0] != "group "+group+" in protocol 6 80-80 10.0.1.0/24" {
		t.Errorf("after a rule was added: %q", got)
	}
	must(c.RevokeSecurityGroupIngress(c.ctx, &api.RevokeSecurityGroupIngressInput{GroupId: group, IpProtocol: "tcp", FromPort: ptr(int32(80)), ToPort: ptr(int32(80)), CidrIp: "10.0.1.0/24"}))(t)
	if got := c.policyLines("group " + group + " in protocol"); len(got) != 0 {
		t.Errorf("after it was revoked: %q", got)
	}
	c.sound()
}

func TestNATGatewaysLetPrivateSubnetsOut(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	eip := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
	in := &api.CreateNatGatewayInput{SubnetId: s.public, AllocationId: eip.AllocationId, ClientToken: "once"}
	nat := must(c.CreateNatGateway(c.ctx, in))(t).NatGateway
	again := must(c.CreateNatGateway(c.ctx, in))(t).NatGateway
	if nat.NatGatewayId != again.NatGatewayId || nat.State != "available" || nat.NatGatewayAddresses[0].PublicIp != eip.PublicIp {
		t.Errorf("got %+v, then %+v", nat, again)
	}
	in.SubnetId = s.private
	_, err := c.CreateNatGateway(c.ctx, in)
	wantFault(t, err, fault.IdempotentParameterMatch, "")
	_, err = c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: eip.AllocationId})
	wantFault(t, err, fault.InvalidIPAddressInUse, "")
	main := must(c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{Filters: []api.Filter{
		{Name: "vpc-id", Values: []string{s.vpc}}, {Name: "association.main", Values: []string{"true"}},
	}}))(t).RouteTables[0].RouteTableId
	must(c.CreateRoute(c.ctx, &api.CreateRouteInput{RouteTableId: main, DestinationCidrBlock: "0.0.0.0/0", NatGatewayId: nat.NatGatewayId}))(t)
	c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.private; in.PrivateIpAddress = "10.0.2.9" })
	if got := c.policyLines("endpoint 10.0.2.9"); !strings.Contains(got[0], " translated "+eip.PublicIp+" ") {
		t.Errorf("got %q", got)
	}
	_, err = c.DeleteSubnet(c.ctx, &api.DeleteSubnetInput{SubnetId: s.private})
	wantFault(t, err, fault.DependencyViolation, "")
	must(c.DeleteNatGateway(c.ctx, &api.DeleteNatGatewayInput{NatGatewayId: nat.NatGatewayId}))(t)
	routes := must(c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{RouteTableIds: []string{main}}))(t).RouteTables[0].Routes
	if routes[1].State != "blackhole" {
		t.Errorf("route to a deleted gateway: %+v", routes[1])
	}
	if got := c.policyLines("route " + main); got[1] != "route "+main+" 0.0.0.0/0 blackhole " {
		t.Errorf("got %q", got)
	}
	must(c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: eip.AllocationId}))(t)
	c.sound()
}

func TestWhatIsInUseStays(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.public })
	for what, try := range map[string]func() error{
		"vpc": func() error { _, err := c.DeleteVpc(c.ctx, &api.DeleteVpcInput{VpcId: s.vpc}); return err },
		"subnet": func() error {
			_, err := c.DeleteSubnet(c.ctx, &api.DeleteSubnetInput{SubnetId: s.public})
			return err
		},
		"attached gateway": func() error {
			_, err := c.DeleteInternetGateway(c.ctx, &api.DeleteInternetGatewayInput{InternetGatewayId: s.gateway})
			return err
		},
		"gateway of public addresses": func() error {
			_, err := c.DetachInternetGateway(c.ctx, &api.DetachInternetGatewayInput{InternetGatewayId: s.gateway, VpcId: s.vpc})
			return err
		},
		"route table": func() error {
			_, err := c.DeleteRouteTable(c.ctx, &api.DeleteRouteTableInput{RouteTableId: s.table})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) { wantFault(t, try(), fault.DependencyViolation, "") })
	}
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, terminated)
	must(c.DetachInternetGateway(c.ctx, &api.DetachInternetGatewayInput{InternetGatewayId: s.gateway, VpcId: s.vpc}))(t)
	routes := must(c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{RouteTableIds: []string{s.table}}))(t).RouteTables[0].Routes
	if routes[1].State != "blackhole" {
		t.Errorf("route to a detached gateway: %+v", routes[1])
	}
	must(c.DeleteInternetGateway(c.ctx, &api.DeleteInternetGatewayInput{InternetGatewayId: s.gateway}))(t)
	for _, id := range []string{s.public, s.private} {
		must(c.DeleteSubnet(c.ctx, &api.DeleteSubnetInput{SubnetId: id}))(t)
	}
	must(c.DeleteRouteTable(c.ctx, &api.DeleteRouteTableInput{RouteTableId: s.table}))(t)
	must(c.DeleteVpc(c.ctx, &api.DeleteVpcInput{VpcId: s.vpc}))(t)
	_, err := c.DescribeVpcs(c.ctx, &api.DescribeVpcsInput{VpcIds: []string{s.vpc}})
	wantFault(t, err, fault.InvalidVpcIDNotFound, "")
	groups := must(c.DescribeSecurityGroups(c.ctx, &api.DescribeSecurityGroupsInput{Filters: []api.Filter{{Name: "vpc-id", Values: []string{s.vpc}}}}))(t)
	if len(groups.SecurityGroups) != 0 {
		t.Errorf("the default group outlived its VPC: %+v", groups.SecurityGroups)
	}
	c.sound()
}

func TestNetworksAreValidated(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	vpc := func(cidr string) func() error {
		return func() error { _, err := c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: cidr}); return err }
	}
	sub := func(cidr string) func() error {
		return func() error {
			_, err := c.CreateSubnet(c.ctx, &api.CreateSubnetInput{VpcId: s.vpc, CidrBlock: cidr})
			return err
		}
	}
	to := func(in api.CreateRouteInput) func() error {
		in.RouteTableId = s.table
		return func() error { _, err := c.CreateRoute(c.ctx, &in); return err }
	}
	for _, tt := range []struct {
		name          string
		try           func() error
		code, message string
	}{
		{"too large", vpc("10.0.0.0/8"), fault.InvalidVpcRange, "The CIDR '10.0.0.0/8' is invalid."},
		{"too small", vpc("10.0.0.0/29"), fault.InvalidVpcRange, ""},
		{"not private", vpc("8.8.0.0/16"), fault.InvalidVpcRange, ""},
		{"no block", vpc("ten"), fault.InvalidParameterValue, "Value (ten) for parameter cidrBlock is invalid. This is not a valid CIDR block."},
		{"IPv6", func() error {
			_, err := c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.9.0.0/16", AmazonProvidedIpv6CidrBlock: ptr(true)})
			return err
		}, fault.NotImplemented, ""},
		{"dedicated", func() error {
			_, err := c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.9.0.0/16", InstanceTenancy: "dedicated"})
			return err
		}, fault.NotImplemented, ""},
		{"subnet beside", sub("10.1.0.0/24"), fault.InvalidSubnetRange, "The CIDR '10.1.0.0/24' is invalid."},
		{"subnet over another", sub("10.0.1.128/25"), fault.InvalidSubnetConflict, "The CIDR '10.0.1.128/25' conflicts with another subnet"},
		{"subnet of no VPC", func() error {
			_, err := c.CreateSubnet(c.ctx, &api.CreateSubnetInput{VpcId: "vpc-00000000", CidrBlock: "10.0.3.0/24"})
			return err
		}, fault.InvalidVpcIDNotFound, ""},
		{"route twice", to(api.CreateRouteInput{DestinationCidrBlock: "0.0.0.0/0", GatewayId: s.gateway}), fault.RouteAlreadyExists, "The route identified by 0.0.0.0/0 already exists."},
		{"local route", to(api.CreateRouteInput{DestinationCidrBlock: "10.0.0.0/16", GatewayId: s.gateway}), fault.RouteAlreadyExists, ""},
		{"route to nothing", to(api.CreateRouteInput{DestinationCidrBlock: "10.7.0.0/16", GatewayId: "igw-00000000"}), fault.InvalidInternetGatewayIDNotFound, ""},
		{"no target", to(api.CreateRouteInput{DestinationCidrBlock: "10.7.0.0/16"}), fault.InvalidParameterCombination, ""},
		{"transit", to(api.CreateRouteInput{DestinationCidrBlock: "10.7.0.0/16", TransitGatewayId: "tgw-00000000"}), fault.NotImplemented, ""},
		{"no route", func() error {
			_, err := c.DeleteRoute(c.ctx, &api.DeleteRouteInput{RouteTableId: s.table, DestinationCidrBlock: "10.9.0.0/16"})
			return err
		}, fault.InvalidRouteNotFound, ""},
		{"second gateway", func() error {
			g := must(c.CreateInternetGateway(c.ctx, &api.CreateInternetGatewayInput{}))(t).InternetGateway.InternetGatewayId
			_, err := c.AttachInternetGateway(c.ctx, &api.AttachInternetGatewayInput{InternetGatewayId: g, VpcId: s.vpc})
			return err
		}, fault.InvalidParameterValue, "Network " + s.vpc + " already has an internet gateway attached"},
		{"second table", func() error {
			main := must(c.CreateRouteTable(c.ctx, &api.CreateRouteTableInput{VpcId: s.vpc}))(t).RouteTable.RouteTableId
			_, err := c.AssociateRouteTable(c.ctx, &api.AssociateRouteTableInput{RouteTableId: main, SubnetId: s.public})
			return err
		}, fault.ResourceAlreadyAssociated, ""},
		{"dry run", func() error {
			_, err := c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.9.0.0/16", DryRun: ptr(true)})
			return err
		}, fault.DryRunOperation, "Request would have succeeded, but DryRun flag is set."},
		{"the default VPC", func() error {
			_, err := c.DeleteVpc(c.ctx, &api.DeleteVpcInput{VpcId: c.network(testScope).VPC})
			return err
		}, fault.NotImplemented, ""},
		{"group of another VPC", func() error {
			in := request()
			in.SubnetId, in.SecurityGroupIds = s.public, []string{c.network(testScope).Group}
			_, err := c.RunInstances(c.ctx, in)
			return err
		}, fault.InvalidParameter, ""},
	} {
		t.Run(tt.name, func(t *testing.T) { wantFault(t, tt.try(), tt.code, tt.message) })
	}
	for range maxVPCs - 2 {
		must(c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.0.0.0/16"}))(t)
	}
	_, err := c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.0.0.0/16"})
	wantFault(t, err, fault.VpcLimitExceeded, "The maximum number of VPCs has been reached.")
}

func TestPeeredNetworksReachEachOther(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	other := must(c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.1.0.0/16"}))(t).Vpc.VpcId
	in := &api.CreateVpcPeeringConnectionInput{VpcId: s.vpc, PeerVpcId: other}
	p := must(c.CreateVpcPeeringConnection(c.ctx, in))(t).VpcPeeringConnection
	if p.Status.Code != "pending-acceptance" || p.AccepterVpcInfo.CidrBlock != "" || p.RequesterVpcInfo.CidrBlock != "10.0.0.0/16" {
		t.Errorf("asked: %+v", p)
	}
	_, err := c.CreateVpcPeeringConnection(c.ctx, in)
	wantFault(t, err, fault.VpcPeeringConnectionAlreadyExists, "")
	must(c.AcceptVpcPeeringConnection(c.ctx, &api.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: p.VpcPeeringConnectionId}))(t)
	must(c.CreateRoute(c.ctx, &api.CreateRouteInput{RouteTableId: s.table, DestinationCidrBlock: "10.1.0.0/16", VpcPeeringConnectionId: p.VpcPeeringConnectionId}))(t)
	c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.public })
	want := "route " + s.table + " 10.1.0.0/16 blackhole "
	if got := c.policyLines("route " + s.table + " 10.1"); got[0] != want {
		t.Errorf("without a way back: %q", got)
	}
	back := must(c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{Filters: []api.Filter{{Name: "vpc-id", Values: []string{other}}}}))(t).RouteTables[0].RouteTableId
	must(c.CreateRoute(c.ctx, &api.CreateRouteInput{RouteTableId: back, DestinationCidrBlock: "10.0.0.0/16", VpcPeeringConnectionId: p.VpcPeeringConnectionId}))(t)
	if got := c.policyLines("route " + s.table + " 10.1"); got[0] != "route "+s.table+" 10.1.0.0/16 network "+other {
		t.Errorf("with one: %q", got)
	}
	must(c.DeleteVpcPeeringConnection(c.ctx, &api.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: p.VpcPeeringConnectionId}))(t)
	if got := c.policyLines("route " + s.table + " 10.1"); got[0] != want {
		t.Errorf("parted: %q", got)
	}
}
