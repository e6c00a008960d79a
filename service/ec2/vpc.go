package ec2

import (
	"context"
	"net/netip"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of VPCs ("Amazon VPC quotas").
const (
	maxVPCs      = 5
	maxVPCBlocks = 5
)

// block is one CIDR block of a VPC.
type block struct {
	Association string       `json:"association"`
	Prefix      netip.Prefix `json:"prefix"`
}

// vpc is a virtual network. Its addresses are the host's, too: of two VPCs with
// one range, each gets addresses that the other has not.
type vpc struct {
	ID       string  `json:"id"`
	Blocks   []block `json:"blocks"` // the primary one first
	Default  bool    `json:"default,omitempty"`
	DHCP     string  `json:"dhcp"`
	DNS      bool    `json:"dns"`
	DNSNames bool    `json:"dnsNames"`
	Metrics  bool    `json:"metrics,omitempty"`
	ACL      string  `json:"acl"`
}

var vpcs = noun[vpc]{
	prefix: prefixVPC, kept: store.NewCollection[vpc]("ec2/vpc"), id: func(v *vpc) string { return v.ID },
	inDefault: func(n network) []*vpc {
		return []*vpc{{
			ID: n.VPC, Blocks: []block{{arn.IDFrom(prefixBlock, n.VPC), n.Prefix}}, Default: true, DHCP: n.DHCP, DNS: true, DNSNames: true, ACL: n.ACL,
		}}
	},
}

func (v *vpc) contains(p netip.Prefix) bool {
	return slices.ContainsFunc(v.Blocks, func(b block) bool { return b.Prefix.Bits() <= p.Bits() && b.Prefix.Contains(p.Addr()) })
}

func (v *vpc) overlaps(p netip.Prefix) bool {
	return slices.ContainsFunc(v.Blocks, func(b block) bool { return b.Prefix.Overlaps(p) })
}

// vpcSpaces are where VPCs can be: the private ranges. AWS takes others, too;
// here they would hide what they belong to from the host.
var vpcSpaces = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
}

// checkBlock reads the CIDR block of a VPC.
func checkBlock(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return p, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", clip(s, 64))
	}
	p = p.Masked()
	if p.Bits() < 16 || p.Bits() > 28 {
		return p, fault.New(fault.InvalidVpcRange, "The CIDR '%s' is invalid.", p)
	}
	if !slices.ContainsFunc(vpcSpaces, func(space netip.Prefix) bool { return space.Contains(p.Addr()) }) {
		return p, fault.New(fault.InvalidVpcRange, "The CIDR '%s' is invalid. On this host VPCs are in the private ranges 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and 100.64.0.0/10.", p)
	}
	return p, nil
}

// routed refuses what needs networks apart from each other where the host has
// but one.
func (s *Service) routed() error {
	if s.cfg.Driver.Network().Routed {
		return nil
	}
	return fault.New(fault.UnsupportedOperation,
		"The compute driver '%s' has the default VPC only, as this host gives it. The sandbox driver on Linux with nftables has others; 'slipway doctor' says what is missing.", s.cfg.Driver.Name())
}

// CreateVpc makes a VPC with its main route table, default security group and
// default network ACL.
func (s *Service) CreateVpc(ctx context.Context, in *api.CreateVpcInput) (*api.CreateVpcOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"AmazonProvidedIpv6CidrBlock", value(in.AmazonProvidedIpv6CidrBlock, false)}, {"Ipv6CidrBlock", in.Ipv6CidrBlock != ""},
		{"Ipv6Pool", in.Ipv6Pool != ""}, {"Ipv6IpamPoolId", in.Ipv6IpamPoolId != ""}, {"Ipv6NetmaskLength", in.Ipv6NetmaskLength != nil},
		{"Ipv6CidrBlockNetworkBorderGroup", in.Ipv6CidrBlockNetworkBorderGroup != ""},
		{"Ipv4IpamPoolId", in.Ipv4IpamPoolId != ""}, {"Ipv4NetmaskLength", in.Ipv4NetmaskLength != nil},
		{"VpcEncryptionControl", in.VpcEncryptionControl != nil},
	}); err != nil {
		return nil, err
	}
	if err := checkTenancy(in.InstanceTenancy); err != nil {
		return nil, err
	}
	if in.CidrBlock == "" {
		return nil, fault.New(fault.MissingParameter, "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	}
	p, err := checkBlock(in.CidrBlock)
	if err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "vpc")
	if err != nil {
		return nil, err
	}
	if err := s.routed(); err != nil {
		return nil, err
	}
	var view tagged[vpc]
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v := &vpc{ID: newID(call, prefixVPC, "vpc"), DHCP: s.network(call.Scope).DHCP, DNS: true}
		v.Blocks = []block{{arn.IDFrom(prefixBlock, v.ID), p}}
		v.ACL = arn.IDFrom(prefixACL, v.ID)
		if v, err = vpcs.made(tx, call, v, tags); err != nil {
			return err
		}
		all, err := vpcs.all(s, tx, call.Scope)
		if err != nil {
			return err
		}
		if len(all) > maxVPCs {
			return fault.New(fault.VpcLimitExceeded, "The maximum number of VPCs has been reached.")
		}
		view = tagged[vpc]{v, tags["vpc"]}
		return firstError(s.furnish(tx, call.Scope, v), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := vpcView(call.Scope, view)
	return &api.CreateVpcOutput{Vpc: &o}, nil
}

func checkTenancy(tenancy string) error {
	switch tenancy {
	case "", "default":
		return nil
	case "dedicated", "host":
		return fault.New(fault.NotImplemented, "InstanceTenancy=%s is not built: all instances share this one host.", tenancy)
	}
	return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter instanceTenancy is invalid.", clip(tenancy, 64))
}

// furnish makes what every VPC has from the start.
func (s *Service) furnish(tx store.Tx, scope arn.Scope, v *vpc) error {
	t := &routeTable{ID: arn.IDFrom(prefixRouteTable, v.ID), VPC: v.ID}
	t.Main = arn.IDFrom(prefixRouteAssoc, t.ID)
	if _, err := routeTables.kept.Get(tx, routeTables.key(scope, t.ID)); err == nil {
		return nil // by this step, the first time
	}
	g := standardGroup(scope, arn.IDFrom(prefixGroup, v.ID), v.ID)
	return firstError(routeTables.put(tx, scope, t), groups.Put(tx, groupKey(scope, g.ID), g))
}

// DeleteVpc removes a VPC that has nothing in it but what it had from the start.
func (s *Service) DeleteVpc(ctx context.Context, in *api.DeleteVpcInput) (*api.DeleteVpcOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		v, err := vpcs.get(s, tx, scope, in.VpcId)
		if err != nil {
			return err
		}
		if v.Default {
			return fault.New(fault.NotImplemented, "Deleting the default VPC is not built in this version of Slipway: it is the host's own network.")
		}
		used, err := s.vpcUsed(tx, scope, v.ID)
		if err != nil {
			return err
		}
		if used {
			return fault.New(fault.DependencyViolation, "The vpc '%s' has dependencies and cannot be deleted.", v.ID)
		}
		main := arn.IDFrom(prefixRouteTable, v.ID)
		if t, err := s.mainTable(tx, scope, v.ID); err == nil {
			main = t.ID
		}
		group := arn.IDFrom(prefixGroup, v.ID)
		return firstError(routeTables.remove(tx, scope, main), groups.Delete(tx, groupKey(scope, group)), dropTags(tx, scope, group),
			networkACLs.remove(tx, scope, v.ACL), vpcs.remove(tx, scope, v.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteVpcOutput{}, nil
}

// vpcUsed says whether anything was made in a VPC.
func (s *Service) vpcUsed(tx store.Tx, scope arn.Scope, id string) (bool, error) {
	subs, err := subnets.which(s, tx, scope, func(n *subnet) bool { return n.VPC == id })
	if err != nil || len(subs) > 0 {
		return true, err
	}
	tables, err := routeTables.which(s, tx, scope, func(t *routeTable) bool { return t.VPC == id && t.Main == "" })
	if err != nil || len(tables) > 0 {
		return true, err
	}
	gates, err := gateways.which(s, tx, scope, func(g *gateway) bool { return g.VPC == id })
	if err != nil || len(gates) > 0 {
		return true, err
	}
	acls, err := networkACLs.which(s, tx, scope, func(a *networkACL) bool { return a.VPC == id && !a.Default })
	if err != nil || len(acls) > 0 {
		return true, err
	}
	peers, err := peeringsOf(tx, scope)
	if err != nil {
		return false, err
	}
	for _, p := range peers {
		if p.active() && p.has(id) {
			return true, nil
		}
	}
	all, err := s.allGroups(tx, scope)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(g *group) bool { return g.VPC == id && g.Name != defaultGroupName }), nil
}

func vpcFields(t tagged[vpc], name string) ([]string, bool) {
	v := t.orZero()
	each := func(read func(block) string) ([]string, bool) {
		var out []string
		for _, b := range v.Blocks {
			out = append(out, read(b))
		}
		return out, true
	}
	switch name {
	case "cidr", "cidr-block", "cidrBlock":
		if len(v.Blocks) == 0 {
			return nil, true
		}
		return one(v.Blocks[0].Prefix.String())
	case "cidr-block-association.cidr-block":
		return each(func(b block) string { return b.Prefix.String() })
	case "cidr-block-association.association-id":
		return each(func(b block) string { return b.Association })
	case "cidr-block-association.state":
		return one("associated")
	case "dhcp-options-id", "dhcpOptionsId":
		return one(v.DHCP)
	case "is-default", "isDefault":
		return oneBool(v.Default)
	case "state":
		return one("available")
	case "vpc-id":
		return one(v.ID)
	case "ipv6-cidr-block-association.ipv6-cidr-block", "ipv6-cidr-block-association.ipv6-pool",
		"ipv6-cidr-block-association.association-id", "ipv6-cidr-block-association.state":
		return nil, true
	}
	return tagFields(t.tags, name)
}

// owned adds the filter that all resources of an account answer alike.
func owned[V any](scope arn.Scope, f fields[V]) fields[V] {
	return func(v V, name string) ([]string, bool) {
		if name == "owner-id" {
			return one(scope.Account)
		}
		return f(v, name)
	}
}

// DescribeVpcs lists the caller's VPCs.
func (s *Service) DescribeVpcs(ctx context.Context, in *api.DescribeVpcsInput) (*api.DescribeVpcsOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[tagged[vpc]]{
		prefix: prefixVPC, ids: in.VpcIds, filters: in.Filters, fields: owned(scope, vpcFields), dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(v tagged[vpc]) string { return v.it.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]tagged[vpc], error) {
			all, err := vpcs.all(s, tx, scope)
			return withTags(tx, scope, vpcs, all, err)
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeVpcsOutput{NextToken: next, Vpcs: []api.Vpc{}}
	for _, v := range page {
		out.Vpcs = append(out.Vpcs, vpcView(scope, v))
	}
	return out, nil
}

func vpcView(scope arn.Scope, v tagged[vpc]) api.Vpc {
	o := api.Vpc{
		VpcId: v.it.ID, OwnerId: scope.Account, CidrBlock: v.it.Blocks[0].Prefix.String(), State: "available", IsDefault: ptr(v.it.Default),
		InstanceTenancy: "default", DhcpOptionsId: v.it.DHCP, Tags: v.tags.list(),
	}
	for _, b := range v.it.Blocks {
		o.CidrBlockAssociationSet = append(o.CidrBlockAssociationSet, *b.view())
	}
	return o
}

func (b block) view() *api.VpcCidrBlockAssociation {
	return &api.VpcCidrBlockAssociation{AssociationId: b.Association, CidrBlock: b.Prefix.String(), CidrBlockState: &api.VpcCidrBlockState{State: "associated"}}
}

// CreateDefaultVpc finds that there is one: it cannot be deleted.
func (s *Service) CreateDefaultVpc(ctx context.Context, in *api.CreateDefaultVpcInput) (*api.CreateDefaultVpcOutput, error) {
	n := s.network(auth.From(ctx).Scope)
	return nil, fault.New(fault.DefaultVpcAlreadyExists, "A Default VPC already exists for this account in this region: %s", n.VPC)
}
