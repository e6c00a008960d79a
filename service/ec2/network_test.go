package ec2

import (
	"net/netip"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func TestTheDefaultVPC(t *testing.T) {
	c := newCloud(t)
	vpc := must(c.DescribeVpcs(c.ctx, &api.DescribeVpcsInput{Filters: []api.Filter{{Name: "isDefault", Values: []string{"true"}}}}))(t).Vpcs[0]
	if vpc.CidrBlock != "172.31.0.0/16" || !*vpc.IsDefault {
		t.Errorf("got %+v", vpc)
	}
	subnets := must(c.DescribeSubnets(c.ctx, &api.DescribeSubnetsInput{Filters: []api.Filter{{Name: "vpc-id", Values: []string{vpc.VpcId}}}}))(t).Subnets
	var got []string
	for _, s := range subnets {
		got = append(got, s.AvailabilityZone+" "+s.AvailabilityZoneId+" "+s.CidrBlock)
	}
	want := []string{"us-east-1a use1-az1 172.31.0.0/20", "us-east-1b use1-az2 172.31.16.0/20", "us-east-1c use1-az3 172.31.32.0/20"}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("subnets %v, want %v", got, want)
	}
	if *subnets[1].AvailableIpAddressCount != 4091 {
		t.Errorf("%d addresses", *subnets[1].AvailableIpAddressCount)
	}
	c.run(func(in *api.RunInstancesInput) { in.SubnetId = subnets[1].SubnetId })
	again := must(c.DescribeSubnets(c.ctx, &api.DescribeSubnetsInput{SubnetIds: []string{subnets[1].SubnetId}}))(t)
	if *again.Subnets[0].AvailableIpAddressCount != 4090 {
		t.Errorf("%d addresses with one instance", *again.Subnets[0].AvailableIpAddressCount)
	}
	routes := must(c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{}))(t).RouteTables[0]
	gateway := must(c.DescribeInternetGateways(c.ctx, &api.DescribeInternetGatewaysInput{}))(t).InternetGateways[0]
	if routes.Routes[1].GatewayId != gateway.InternetGatewayId || routes.Routes[0].GatewayId != "local" {
		t.Errorf("routes %+v", routes.Routes)
	}
	_, err := c.CreateDefaultVpc(c.ctx, &api.CreateDefaultVpcInput{})
	wantFault(t, err, fault.DefaultVpcAlreadyExists, "")
	_, err = c.CreateDefaultSubnet(c.ctx, &api.CreateDefaultSubnetInput{AvailabilityZoneId: "use1-az1"})
	wantFault(t, err, fault.NotImplemented, "")
	_, err = c.CreateVpc(c.ctx, &api.CreateVpcInput{})
	wantFault(t, err, fault.MissingParameter, "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	_, err = c.DescribeVpcs(c.ctx, &api.DescribeVpcsInput{VpcIds: []string{"vpc-00000000"}})
	wantFault(t, err, fault.InvalidVpcIDNotFound, "The vpc ID 'vpc-00000000' does not exist")
	attribute := must(c.DescribeVpcAttribute(c.ctx, &api.DescribeVpcAttributeInput{VpcId: vpc.VpcId, Attribute: "enableDnsHostnames"}))(t)
	if !*attribute.EnableDnsHostnames.Value {
		t.Errorf("got %+v", attribute)
	}
}

// Accounts and regions share the host's network: their ids differ, their
// addresses never meet.
func TestAccountsAreApartAndShareNoAddress(t *testing.T) {
	c := newCloud(t)
	other := auth.With(t.Context(), auth.Call{Principal: auth.Principal{Account: "222222222222"}, Scope: arn.Scope{Account: "222222222222", Region: "eu-west-1"}})
	i := c.run(func(in *api.RunInstancesInput) { in.PrivateIpAddress = "172.31.5.5" })
	in := request()
	in.ImageId, in.PrivateIpAddress = BuiltinImage(arn.Scope{Region: "eu-west-1"}), "172.31.5.5"
	_, err := c.RunInstances(other, in)
	wantFault(t, err, fault.InvalidIPAddressInUse, "Address 172.31.5.5 is in use.")
	out := must(c.DescribeInstances(other, &api.DescribeInstancesInput{}))(t)
	if len(out.Reservations) != 0 {
		t.Errorf("another account sees %+v", out.Reservations)
	}
	_, err = c.TerminateInstances(other, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}})
	wantFault(t, err, fault.InvalidInstanceIDNotFound, "")
	if c.network(testScope).VPC == c.network(auth.From(other).Scope).VPC {
		t.Error("two accounts have one VPC id")
	}
	if got := privateDNS("eu-west-1", netip.MustParseAddr("172.31.5.5")); got != "ip-172-31-5-5.eu-west-1.compute.internal" {
		t.Errorf("private name %s", got)
	}
	if got := publicDNS("eu-west-1", netip.MustParseAddr("198.18.0.9")); got != "ec2-198-18-0-9.eu-west-1.compute.amazonaws.com" {
		t.Errorf("public name %s", got)
	}
}

func TestPoolsGiveEachAddressOnce(t *testing.T) {
	c := newCloud(t)
	host := compute.Network{Instances: netip.MustParsePrefix("10.9.0.0/26"), Gateway: netip.MustParseAddr("10.9.0.5")}
	p := privatePool(host, subnetPrefix(host.Instances, 0)) // a /28: 16 less 5 of AWS less the gateway
	err := c.store.Update(c.ctx, func(tx store.Tx) error {
		if free, err := p.free(tx); err != nil || free != 10 {
			t.Errorf("%d free, %v", free, err)
		}
		seen := map[netip.Addr]bool{}
		for range 10 {
			a, ok, err := p.take(tx, claim{testScope, "i-x"})
			if err != nil || !ok || seen[a] || a == host.Gateway || !p.contains(a) {
				t.Errorf("took %s, %t, %v", a, ok, err)
			}
			seen[a] = true
		}
		if a, ok, err := p.take(tx, claim{testScope, "i-x"}); ok || err != nil {
			t.Errorf("took %s from an empty pool, %v", a, err)
		}
		if err := release(tx, netip.MustParseAddr("10.9.0.7"), "i-other"); err != nil {
			t.Error(err)
		}
		if _, ok, _ := p.take(tx, claim{testScope, "i-x"}); ok {
			t.Error("an address was released by one who does not own it")
		}
		if err := release(tx, netip.MustParseAddr("10.9.0.7"), "i-x"); err != nil {
			t.Error(err)
		}
		if a, ok, err := p.take(tx, claim{testScope, "i-y"}); !ok || a.String() != "10.9.0.7" {
			t.Errorf("took %s, %t, %v", a, ok, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImages(t *testing.T) {
	c := newCloud(t)
	id := BuiltinImage(testScope)
	if id != BuiltinImage(arn.Scope{Account: "other", Region: testScope.Region}) || id == BuiltinImage(arn.Scope{Region: "eu-west-1"}) {
		t.Error("the built-in image's id must differ by region only")
	}
	arch := map[string]string{x86: "amd64", arm: "arm64"}[hostArch()]
	for name, in := range map[string]*api.DescribeImagesInput{
		"all":          {},
		"id":           {ImageIds: []string{id}},
		"amazon":       {Owners: []string{"amazon"}},
		"amazon linux": {Owners: []string{"137112412989"}, Filters: []api.Filter{{Name: "name", Values: []string{"al2023-ami-2023.*-" + hostArch()}}}},
		"debian":       {Owners: []string{"136693071363"}, Filters: []api.Filter{{Name: "name", Values: []string{"debian-12-" + arch + "-*"}}, {Name: "virtualization-type", Values: []string{"hvm"}}}},
		"everybody's":  {ExecutableUsers: []string{"all"}},
	} {
		out, err := c.DescribeImages(c.ctx, in)
		if err != nil || len(out.Images) != 1 || out.Images[0].ImageId != id {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	for name, in := range map[string]*api.DescribeImagesInput{
		"mine":       {Owners: []string{"self"}},
		"windows":    {Filters: []api.Filter{{Name: "platform", Values: []string{"windows"}}}},
		"other name": {Filters: []api.Filter{{Name: "name", Values: []string{"fedora-*"}}}},
	} {
		if out := must(c.DescribeImages(c.ctx, in))(t); len(out.Images) != 0 {
			t.Errorf("%s: %+v", name, out.Images)
		}
	}
}

func TestTypesAndZones(t *testing.T) {
	c := newCloud(t)
	for name, want := range map[string][2]int64{"t3.micro": {2, 1024}, "m5.2xlarge": {8, 32768}, "c5.9xlarge": {36, 73728}, "t2.small": {1, 2048}, "t4g.nano": {2, 512}} {
		if got, ok := findType(name); !ok || int64(got.VCPU) != want[0] || got.MiB != want[1] {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
	out := must(c.DescribeInstanceTypes(c.ctx, &api.DescribeInstanceTypesInput{InstanceTypes: []string{hostType()}}))(t)
	if i := out.InstanceTypes[0]; *i.MemoryInfo.SizeInMiB != 1024 || *i.VCpuInfo.DefaultVCpus != 2 {
		t.Errorf("got %+v", i)
	}
	_, err := c.DescribeInstanceTypes(c.ctx, &api.DescribeInstanceTypesInput{InstanceTypes: []string{"t9.huge"}})
	wantFault(t, err, fault.InvalidInstanceType, "The following supplied instance types do not exist: [t9.huge]")
	offers := must(c.DescribeInstanceTypeOfferings(c.ctx, &api.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone", Filters: []api.Filter{{Name: "instance-type", Values: []string{hostType()}}}}))(t)
	if len(offers.InstanceTypeOfferings) != 3 || offers.InstanceTypeOfferings[2].Location != "us-east-1c" {
		t.Errorf("got %+v", offers.InstanceTypeOfferings)
	}
	// As AWS answered it (recorded case test_describe_availability_zones_filters),
	// but for the zone's id, which AWS gives each account in another order.
	zones := must(c.DescribeAvailabilityZones(c.ctx, &api.DescribeAvailabilityZonesInput{Filters: []api.Filter{{Name: "zone-name", Values: []string{"us-east-1a"}}}}))(t)
	z := zones.AvailabilityZones[0]
	if len(zones.AvailabilityZones) != 1 || z.GroupLongName != "US East (N. Virginia) 1" || z.GroupName != "us-east-1-zg-1" || z.NetworkBorderGroup != "us-east-1" ||
		z.OptInStatus != "opt-in-not-required" || z.State != "available" || z.ZoneType != "availability-zone" {
		t.Errorf("got %+v", z)
	}
	regions := must(c.DescribeRegions(c.ctx, &api.DescribeRegionsInput{RegionNames: []string{"eu-west-1"}}))(t)
	if r := regions.Regions[0]; r.Endpoint != "ec2.eu-west-1.amazonaws.com" {
		t.Errorf("got %+v", r)
	}
}
