package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxSubnets bounds the subnets of a VPC ("Amazon VPC quotas").
const maxSubnets = 200

// subnet is one subnet of a VPC.
type subnet struct {
	ID        string       `json:"id"`
	VPC       string       `json:"vpc"`
	Zone      string       `json:"zone"` // us-east-1a
	Prefix    netip.Prefix `json:"prefix"`
	Default   bool         `json:"default,omitempty"`
	MapPublic bool         `json:"mapPublic,omitempty"` // instances get a public address unless they say no
	// ACL is its network ACL; "" is the VPC's default one.
	ACL            string `json:"acl,omitempty"`
	ACLAssociation string `json:"aclAssociation,omitempty"`
}

var subnets = noun[subnet]{
	prefix: prefixSubnet, kept: store.NewCollection[subnet]("ec2/subnet"), id: func(n *subnet) string { return n.ID },
	inDefault: func(n network) []*subnet {
		out := make([]*subnet, 0, len(n.Subnets))
		for i := range n.Subnets {
			out = append(out, &n.Subnets[i])
		}
		return out
	},
}

// CreateSubnet makes a subnet within a VPC's CIDR blocks.
func (s *Service) CreateSubnet(ctx context.Context, in *api.CreateSubnetInput) (*api.CreateSubnetOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"Ipv6CidrBlock", in.Ipv6CidrBlock != ""}, {"Ipv6Native", value(in.Ipv6Native, false)}, {"OutpostArn", in.OutpostArn != ""},
		{"Ipv4IpamPoolId", in.Ipv4IpamPoolId != ""}, {"Ipv4NetmaskLength", in.Ipv4NetmaskLength != nil},
		{"Ipv6IpamPoolId", in.Ipv6IpamPoolId != ""}, {"Ipv6NetmaskLength", in.Ipv6NetmaskLength != nil},
	}); err != nil {
		return nil, err
	}
	n := &subnet{ID: newID(call, prefixSubnet, "subnet"), VPC: in.VpcId}
	var err error
	if n.Zone, err = zoneFor(call.Scope.Region, in.AvailabilityZone, in.AvailabilityZoneId); err != nil {
		return nil, err
	}
	if in.CidrBlock == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter cidrBlock")
	}
	p, err := netip.ParsePrefix(in.CidrBlock)
	if err != nil || !p.Addr().Is4() {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", clip(in.CidrBlock, 64))
	}
	n.Prefix = p.Masked()
	tags, err := specTags(call, in.TagSpecifications, "subnet")
	if err != nil {
		return nil, err
	}
	var view subnetView
	err = s.update(ctx, func(tx store.Tx) error {
		old := n
		if n, err = subnets.made(tx, call, n, tags); err != nil {
			return err
		}
		if n == old {
			if err := s.checkSubnet(tx, call.Scope, n); err != nil {
				return err
			}
		}
		view = subnetView{tagged: tagged[subnet]{n, tags["subnet"]}}
		view.free, err = privatePool(s.cfg.Driver.Network(), n.Prefix).free(tx)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := view.view(call.Scope)
	return &api.CreateSubnetOutput{Subnet: &o}, nil
}

// zoneFor is the zone that a call names, the first one where it names none.
func zoneFor(region, name, id string) (string, error) {
	zones := zonesOf(region)
	for _, z := range zones {
		if z.Name == name && (id == "" || z.ID == id) || name == "" && z.ID == id {
			return z.Name, nil
		}
	}
	switch {
	case name != "":
		return "", fault.New(fault.InvalidParameterValue, "Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s, %s, %s.", clip(name, 64), zones[0].Name, zones[1].Name, zones[2].Name)
	case id != "":
		return "", fault.New(fault.InvalidParameterValue, "Value (%s) for parameter availabilityZoneId is invalid.", clip(id, 64))
	}
	return zones[0].Name, nil
}

// checkSubnet refuses a subnet that does not fit into its VPC, or onto the host.
func (s *Service) checkSubnet(tx store.Tx, scope arn.Scope, n *subnet) error {
	v, err := vpcs.get(s, tx, scope, n.VPC)
	if err != nil {
		return err
	}
	if n.Prefix.Bits() < 16 || n.Prefix.Bits() > 28 || !v.contains(n.Prefix) {
		return fault.New(fault.InvalidSubnetRange, "The CIDR '%s' is invalid.", n.Prefix)
	}
	mates, err := subnets.which(s, tx, scope, func(o *subnet) bool { return o.VPC == n.VPC && o.ID != n.ID })
	if err != nil {
		return err
	}
	for _, o := range mates {
		if o.Prefix.Overlaps(n.Prefix) {
			return fault.New(fault.InvalidSubnetConflict, "The CIDR '%s' conflicts with another subnet", n.Prefix)
		}
	}
	if len(mates) >= maxSubnets {
		return fault.New(fault.SubnetLimitExceeded, "The maximum number of subnets has been reached.")
	}
	fabric, ok := s.cfg.Driver.(compute.Fabric)
	if !ok || v.Default {
		return nil
	}
	taken, err := fabric.Taken(n.Prefix)
	if err == nil && taken.IsValid() {
		err = fault.New(fault.InvalidSubnetRange, "The CIDR '%s' is invalid: the host that Slipway runs on uses %s itself. Choose another range.", n.Prefix, taken)
	}
	return err
}

// DeleteSubnet removes a subnet that nothing is in.
func (s *Service) DeleteSubnet(ctx context.Context, in *api.DeleteSubnetInput) (*api.DeleteSubnetOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		n, err := subnets.get(s, tx, scope, in.SubnetId)
		if err != nil {
			return err
		}
		if n.Default {
			return fault.New(fault.NotImplemented, "Deleting a default subnet is not built in this version of Slipway: it is part of the host's own network.")
		}
		used, err := s.subnetUsed(tx, scope, n.ID)
		if err != nil {
			return err
		}
		if used {
			return fault.New(fault.DependencyViolation, "The subnet '%s' has dependencies and cannot be deleted.", n.ID)
		}
		tables, err := routeTables.which(s, tx, scope, func(t *routeTable) bool { return t.VPC == n.VPC })
		if err != nil {
			return err
		}
		for _, t := range tables {
			if at := t.of(n.ID); at >= 0 {
				t.Associations = slices.Delete(t.Associations, at, at+1)
				if err := routeTables.put(tx, scope, t); err != nil {
					return err
				}
			}
		}
		return firstError(subnets.remove(tx, scope, n.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteSubnetOutput{}, nil
}

// subnetUsed says whether a network interface is in a subnet.
func (s *Service) subnetUsed(tx store.Tx, scope arn.Scope, id string) (bool, error) {
	list, err := allInstances(tx, scope)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(list, func(in *instance) bool { return in.State != terminated && in.Subnet == id }) {
		return true, nil
	}
	own, err := interfaces.which(s, tx, scope, func(i *netInterface) bool { return i.Subnet == id })
	return len(own) > 0, err
}

// ModifySubnetAttribute changes whether instances get a public address.
func (s *Service) ModifySubnetAttribute(ctx context.Context, in *api.ModifySubnetAttributeInput) (*api.ModifySubnetAttributeOutput, error) {
	scope := auth.From(ctx).Scope
	on := func(a *api.AttributeBooleanValue) bool { return a != nil && value(a.Value, false) }
	if err := refuse([]refusal{
		{"AssignIpv6AddressOnCreation=true", on(in.AssignIpv6AddressOnCreation)}, {"MapCustomerOwnedIpOnLaunch=true", on(in.MapCustomerOwnedIpOnLaunch)},
		{"CustomerOwnedIpv4Pool", in.CustomerOwnedIpv4Pool != ""}, {"EnableDns64=true", on(in.EnableDns64)},
		{"PrivateDnsHostnameTypeOnLaunch=" + in.PrivateDnsHostnameTypeOnLaunch, in.PrivateDnsHostnameTypeOnLaunch != "" && in.PrivateDnsHostnameTypeOnLaunch != "ip-name"},
		{"EnableResourceNameDnsARecordOnLaunch=true", on(in.EnableResourceNameDnsARecordOnLaunch)},
		{"EnableResourceNameDnsAAAARecordOnLaunch=true", on(in.EnableResourceNameDnsAAAARecordOnLaunch)},
		{"EnableLniAtDeviceIndex", in.EnableLniAtDeviceIndex != nil}, {"DisableLniAtDeviceIndex", on(in.DisableLniAtDeviceIndex)},
	}); err != nil {
		return nil, err
	}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		n, err := subnets.get(s, tx, scope, in.SubnetId)
		if err != nil || in.MapPublicIpOnLaunch == nil {
			return err
		}
		n.MapPublic = on(in.MapPublicIpOnLaunch)
		if n.MapPublic && !s.cfg.Driver.Network().Elastic.IsValid() {
			return fault.New(fault.UnsupportedOperation, "MapPublicIpOnLaunch: this host has no range of public addresses")
		}
		return subnets.put(tx, scope, n)
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifySubnetAttributeOutput{}, nil
}

// CreateDefaultSubnet finds that there is one in each zone.
func (s *Service) CreateDefaultSubnet(ctx context.Context, in *api.CreateDefaultSubnetInput) (*api.CreateDefaultSubnetOutput, error) {
	if err := refuse([]refusal{
		{"Ipv6Native", value(in.Ipv6Native, false)}, {"AvailabilityZoneId", in.AvailabilityZoneId != ""},
	}); err != nil {
		return nil, err
	}
	sub, err := s.network(auth.From(ctx).Scope).pickSubnet(in.AvailabilityZone)
	if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.DefaultSubnetAlreadyExists, "'%s' already has a default subnet: %s", sub.Zone, sub.ID)
}

// subnetView is a subnet with what else its description needs.
type subnetView struct {
	tagged[subnet]
	free int
}

func subnetFields(v subnetView, name string) ([]string, bool) {
	n := v.orZero()
	switch name {
	case "availability-zone", "availabilityZone":
		return one(n.Zone)
	case "availability-zone-id", "availabilityZoneId":
		return one(zoneID(n.Zone))
	case "available-ip-address-count":
		return []string{strconv.Itoa(v.free)}, true
	case "cidr-block", "cidr", "cidrBlock":
		return one(n.Prefix.String())
	case "default-for-az", "defaultForAz":
		return oneBool(n.Default)
	case "map-public-ip-on-launch":
		return oneBool(n.MapPublic)
	case "state":
		return one("available")
	case "subnet-id":
		return one(n.ID)
	case "vpc-id":
		return one(n.VPC)
	case "private-dns-name-options-on-launch.hostname-type":
		return one("ip-name")
	case "ipv6-native", "enable-dns64", "map-customer-owned-ip-on-launch", "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
		"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record":
		return oneBool(false)
	case "outpost-arn", "customer-owned-ipv4-pool", "enable-lni-at-device-index", "ipv6-cidr-block-association.ipv6-cidr-block",
		"ipv6-cidr-block-association.association-id", "ipv6-cidr-block-association.state":
		return nil, true
	}
	return tagFields(v.tags, name)
}

func subnetARN(scope arn.Scope, id string) string { return scope.ARN("ec2", "subnet/"+id).String() }

// DescribeSubnets lists the caller's subnets.
func (s *Service) DescribeSubnets(ctx context.Context, in *api.DescribeSubnetsInput) (*api.DescribeSubnetsOutput, error) {
	scope := auth.From(ctx).Scope
	filter := func(v subnetView, name string) ([]string, bool) {
		if name == "subnet-arn" {
			return one(subnetARN(scope, v.orZero().ID))
		}
		return subnetFields(v, name)
	}
	page, next, err := list(ctx, s, listing[subnetView]{
		prefix: prefixSubnet, ids: in.SubnetIds, filters: in.Filters, fields: owned(scope, filter), dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(v subnetView) string { return v.it.ID }, load: s.subnetViews,
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeSubnetsOutput{NextToken: next, Subnets: []api.Subnet{}}
	slices.SortStableFunc(page, func(a, b subnetView) int {
		return strings.Compare(a.it.VPC+a.it.Zone, b.it.VPC+b.it.Zone)
	})
	for _, v := range page {
		out.Subnets = append(out.Subnets, v.view(scope))
	}
	return out, nil
}

func (s *Service) subnetViews(tx store.Tx, scope arn.Scope) ([]subnetView, error) {
	all, err := subnets.all(s, tx, scope)
	list, err := withTags(tx, scope, subnets, all, err)
	if err != nil {
		return nil, err
	}
	var out []subnetView
	for _, t := range list {
		free, err := privatePool(s.cfg.Driver.Network(), t.it.Prefix).free(tx)
		if err != nil {
			return nil, err
		}
		out = append(out, subnetView{t, free})
	}
	return out, nil
}

func (v subnetView) view(scope arn.Scope) api.Subnet {
	return api.Subnet{
		SubnetId: v.it.ID, VpcId: v.it.VPC, OwnerId: scope.Account, SubnetArn: subnetARN(scope, v.it.ID), CidrBlock: v.it.Prefix.String(),
		AvailabilityZone: v.it.Zone, AvailabilityZoneId: zoneID(v.it.Zone), AvailableIpAddressCount: ptr(int32(v.free)),
		DefaultForAz: ptr(v.it.Default), MapPublicIpOnLaunch: ptr(v.it.MapPublic), State: "available", Tags: v.tags.list(),
		AssignIpv6AddressOnCreation: ptr(false), EnableDns64: ptr(false), Ipv6Native: ptr(false), MapCustomerOwnedIpOnLaunch: ptr(false),
		Ipv6CidrBlockAssociationSet: []api.SubnetIpv6CidrBlockAssociation{},
		PrivateDnsNameOptionsOnLaunch: &api.PrivateDnsNameOptionsOnLaunch{
			HostnameType: "ip-name", EnableResourceNameDnsARecord: ptr(false), EnableResourceNameDnsAAAARecord: ptr(false),
		},
	}
}
