package ec2

import (
	"context"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// one resource of the default VPC, with its tags.
type netView struct {
	network
	subnet subnet
	free   int
	tags   tagMap
}

// netTags reads the tags of one resource of the default VPC.
func (s *Service) netTags(ctx context.Context, scope arn.Scope, id string) (tagMap, error) {
	var tags tagMap
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		tags, err = tagsOf(tx, scope, id)
		return err
	})
	return tags, err
}

// singleton describes what a scope has one of. found is false where the call's
// filters or ids leave it out.
func (s *Service) singleton(ctx context.Context, prefix string, pick func(network) string, ids []string, filters []api.Filter, f fields[netView], dry *bool) (netView, bool, error) {
	scope := auth.From(ctx).Scope
	v := netView{network: s.network(scope)}
	m, err := newMatcher(filters, f)
	if err != nil {
		return v, false, err
	}
	set, err := newIDSet(prefix, ids)
	if err != nil {
		return v, false, err
	}
	id := pick(v.network)
	if lost := missing(ids, func(n string) bool { return n == id }); len(lost) > 0 {
		return v, false, notFound(prefix, lost...)
	}
	if err := dryRun(dry); err != nil {
		return v, false, err
	}
	if v.tags, err = s.netTags(ctx, scope, id); err != nil {
		return v, false, err
	}
	return v, set.wants(id) && m.match(v), nil
}

func vpcFields(v netView, name string) ([]string, bool) {
	switch name {
	case "cidr", "cidr-block", "cidrBlock", "cidr-block-association.cidr-block":
		return one(v.Prefix.String())
	case "cidr-block-association.association-id":
		return one(v.cidrAssociation())
	case "cidr-block-association.state":
		return one("associated")
	case "dhcp-options-id":
		return one(v.DHCP)
	case "is-default", "isDefault":
		return oneBool(true)
	case "owner-id":
		return one(v.Scope.Account)
	case "state":
		return one("available")
	case "vpc-id":
		return one(v.VPC)
	case "ipv6-cidr-block-association.ipv6-cidr-block", "ipv6-cidr-block-association.ipv6-pool",
		"ipv6-cidr-block-association.association-id", "ipv6-cidr-block-association.state":
		return nil, true
	}
	return tagFields(v.tags, name)
}

func (n network) cidrAssociation() string { return arn.IDFrom("vpc-cidr-assoc-", n.VPC) }

// DescribeVpcs tells the default VPC.
func (s *Service) DescribeVpcs(ctx context.Context, in *api.DescribeVpcsInput) (*api.DescribeVpcsOutput, error) {
	v, found, err := s.singleton(ctx, prefixVPC, func(n network) string { return n.VPC }, in.VpcIds, in.Filters, vpcFields, in.DryRun)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeVpcsOutput{Vpcs: []api.Vpc{}}
	if found {
		out.Vpcs = append(out.Vpcs, v.vpc())
	}
	return out, nil
}

func (v netView) vpc() api.Vpc {
	return api.Vpc{
		VpcId: v.VPC, OwnerId: v.Scope.Account, CidrBlock: v.Prefix.String(), State: "available", IsDefault: ptr(true),
		InstanceTenancy: "default", DhcpOptionsId: v.DHCP, Tags: v.tags.list(),
		CidrBlockAssociationSet: []api.VpcCidrBlockAssociation{{
			AssociationId: v.cidrAssociation(), CidrBlock: v.Prefix.String(), CidrBlockState: &api.VpcCidrBlockState{State: "associated"},
		}},
	}
}

// CreateDefaultVpc finds that there is one: it cannot be deleted.
func (s *Service) CreateDefaultVpc(ctx context.Context, in *api.CreateDefaultVpcInput) (*api.CreateDefaultVpcOutput, error) {
	n := s.network(auth.From(ctx).Scope)
	return nil, fault.New(fault.DefaultVpcAlreadyExists, "A Default VPC already exists for this account in this region: %s", n.VPC)
}

// CreateDefaultSubnet finds that there is one in each zone.
func (s *Service) CreateDefaultSubnet(ctx context.Context, in *api.CreateDefaultSubnetInput) (*api.CreateDefaultSubnetOutput, error) {
	if err := refuse([]refusal{
		{"Ipv6Native", value(in.Ipv6Native, false)}, {"AvailabilityZoneId", in.AvailabilityZoneId != ""},
	}); err != nil {
		return nil, err
	}
	sub, err := s.network(auth.From(ctx).Scope).pickSubnet("", in.AvailabilityZone)
	if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.DefaultSubnetAlreadyExists, "'%s' already has a default subnet: %s", sub.Zone, sub.ID)
}

// DescribeVpcAttribute tells one attribute of the default VPC.
func (s *Service) DescribeVpcAttribute(ctx context.Context, in *api.DescribeVpcAttributeInput) (*api.DescribeVpcAttributeOutput, error) {
	n := s.network(auth.From(ctx).Scope)
	if err := n.checkVPC(in.VpcId); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	out := &api.DescribeVpcAttributeOutput{VpcId: n.VPC}
	switch in.Attribute {
	case "enableDnsHostnames":
		out.EnableDnsHostnames = &api.AttributeBooleanValue{Value: ptr(true)}
	case "enableDnsSupport":
		out.EnableDnsSupport = &api.AttributeBooleanValue{Value: ptr(true)}
	case "enableNetworkAddressUsageMetrics":
		out.EnableNetworkAddressUsageMetrics = &api.AttributeBooleanValue{Value: ptr(false)}
	default:
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter vpcAttribute is invalid. Unknown attribute.", clip(in.Attribute, 64))
	}
	return out, nil
}

func subnetFields(v netView, name string) ([]string, bool) {
	switch name {
	case "availability-zone", "availabilityZone":
		return one(v.subnet.Zone)
	case "availability-zone-id", "availabilityZoneId":
		return one(zoneID(v.subnet.Zone))
	case "available-ip-address-count":
		return []string{strconv.Itoa(v.free)}, true
	case "cidr-block", "cidr", "cidrBlock":
		return one(v.subnet.Prefix.String())
	case "default-for-az", "defaultForAz":
		return oneBool(true)
	case "map-public-ip-on-launch":
		return oneBool(v.MapPublic)
	case "owner-id":
		return one(v.Scope.Account)
	case "state":
		return one("available")
	case "subnet-arn":
		return one(v.subnetARN())
	case "subnet-id":
		return one(v.subnet.ID)
	case "vpc-id":
		return one(v.VPC)
	case "ipv6-native", "enable-dns64", "map-customer-owned-ip-on-launch":
		return oneBool(false)
	case "outpost-arn", "customer-owned-ipv4-pool", "ipv6-cidr-block-association.ipv6-cidr-block",
		"ipv6-cidr-block-association.association-id", "ipv6-cidr-block-association.state":
		return nil, true
	}
	return tagFields(v.tags, name)
}

func (v netView) subnetARN() string { return v.Scope.ARN("ec2", "subnet/"+v.subnet.ID).String() }

// DescribeSubnets lists the default subnets, one in each zone.
func (s *Service) DescribeSubnets(ctx context.Context, in *api.DescribeSubnetsInput) (*api.DescribeSubnetsOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, subnetFields)
	if err != nil {
		return nil, err
	}
	ids, err := newIDSet(prefixSubnet, in.SubnetIds)
	if err != nil {
		return nil, err
	}
	n := s.network(scope)
	if lost := missing(in.SubnetIds, func(id string) bool { _, ok := n.subnet(id); return ok }); len(lost) > 0 {
		return nil, notFound(prefixSubnet, lost...)
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []netView
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = nil
		for _, sub := range n.Subnets {
			v := netView{network: n, subnet: sub}
			if v.tags, err = tagsOf(tx, scope, sub.ID); err != nil {
				return err
			}
			if v.free, err = privatePool(s.cfg.Driver.Network(), sub.Prefix).free(tx); err != nil {
				return err
			}
			if ids.wants(sub.ID) && m.match(v) {
				found = append(found, v)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(found, func(v netView) string { return v.subnet.Zone }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeSubnetsOutput{NextToken: next, Subnets: []api.Subnet{}}
	for _, v := range page {
		out.Subnets = append(out.Subnets, v.subnetView())
	}
	return out, nil
}

func (v netView) subnetView() api.Subnet {
	return api.Subnet{
		SubnetId: v.subnet.ID, VpcId: v.VPC, OwnerId: v.Scope.Account, SubnetArn: v.subnetARN(), CidrBlock: v.subnet.Prefix.String(),
		AvailabilityZone: v.subnet.Zone, AvailabilityZoneId: zoneID(v.subnet.Zone), AvailableIpAddressCount: ptr(int32(v.free)),
		DefaultForAz: ptr(true), MapPublicIpOnLaunch: ptr(v.MapPublic), State: "available", Tags: v.tags.list(),
		AssignIpv6AddressOnCreation: ptr(false), EnableDns64: ptr(false), Ipv6Native: ptr(false), MapCustomerOwnedIpOnLaunch: ptr(false),
		Ipv6CidrBlockAssociationSet: []api.SubnetIpv6CidrBlockAssociation{},
		PrivateDnsNameOptionsOnLaunch: &api.PrivateDnsNameOptionsOnLaunch{
			HostnameType: "ip-name", EnableResourceNameDnsARecord: ptr(false), EnableResourceNameDnsAAAARecord: ptr(false),
		},
	}
}
