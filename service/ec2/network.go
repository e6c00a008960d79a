package ec2

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
)

// zoneLetters are the availability zones of every region.
var zoneLetters = []string{"a", "b", "c"}

// defaultVPC is the prefix that AWS gives default VPCs; a driver that names no
// other gets it.
var defaultVPC = netip.MustParsePrefix("172.31.0.0/16")

// network is the default VPC of a scope and what belongs to it. None of it is
// stored until it is changed (noun.go): ids follow from the scope, addresses from
// the driver. All accounts and regions stand on the host's one network, so an
// address is handed out once over all of them (claim.go).
type network struct {
	Scope      arn.Scope
	VPC        string
	Prefix     netip.Prefix
	Subnets    []subnet
	RouteTable string
	Gateway    string // internet gateway
	ACL        string
	DHCP       string
	Group      string // default security group
	MapPublic  bool   // instances get a public address unless they say no
}

func (s *Service) network(scope arn.Scope) network {
	seed := "ec2/default/" + scope.Key() + "/"
	host := s.cfg.Driver.Network()
	n := network{
		Scope:      scope,
		VPC:        arn.IDFrom(prefixVPC, seed+"vpc"),
		Prefix:     vpcPrefix(host),
		RouteTable: arn.IDFrom(prefixRouteTable, seed+"rtb"),
		Gateway:    arn.IDFrom(prefixGateway, seed+"igw"),
		ACL:        arn.IDFrom(prefixACL, seed+"acl"),
		DHCP:       arn.IDFrom(prefixDHCP, seed+"dopt"),
		Group:      arn.IDFrom(prefixGroup, seed+"sg"),
		MapPublic:  host.Elastic.IsValid(),
	}
	for i, letter := range zoneLetters {
		n.Subnets = append(n.Subnets, subnet{
			ID:   arn.IDFrom(prefixSubnet, seed+"subnet/"+letter),
			Zone: scope.Region + letter,
			VPC:  n.VPC, Prefix: subnetPrefix(n.Prefix, i), Default: true, MapPublic: n.MapPublic,
		})
	}
	return n
}

func vpcPrefix(host compute.Network) netip.Prefix {
	if host.Instances.IsValid() {
		return host.Instances.Masked()
	}
	return defaultVPC
}

// subnetPrefix cuts the VPC into sixteen, as AWS does (a /16 into /20s), and
// takes one; a VPC too small for that is cut into four.
func subnetPrefix(vpc netip.Prefix, i int) netip.Prefix {
	bits := vpc.Bits() + 4
	if bits > 28 {
		bits = vpc.Bits() + 2
	}
	base := binary.BigEndian.Uint32(vpc.Masked().Addr().AsSlice())
	return netip.PrefixFrom(addrOf(base+uint32(i)<<(32-bits)), bits)
}

func addrOf(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

func numberOf(a netip.Addr) uint32 { return binary.BigEndian.Uint32(a.AsSlice()) }

// size is how many addresses a prefix has.
func size(p netip.Prefix) uint64 { return 1 << (32 - p.Bits()) }

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	return addrOf(numberOf(p.Masked().Addr()) + uint32(size(p)-1))
}

// pickSubnet is the default subnet of a zone, or of the first zone.
func (n network) pickSubnet(zone string) (subnet, error) {
	if zone == "" {
		return n.Subnets[0], nil
	}
	for _, s := range n.Subnets {
		if s.Zone == zone {
			return s, nil
		}
	}
	return subnet{}, fault.New(fault.InvalidParameterValue, "Invalid availability zone: [%s]", clip(zone, 64))
}

// privateDNS is the name of a private address ("Amazon EC2 instance hostname
// types", IP name).
func privateDNS(region string, ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	dashed := strings.ReplaceAll(ip.String(), ".", "-")
	if region == arn.DefaultRegion {
		return "ip-" + dashed + ".ec2.internal"
	}
	return "ip-" + dashed + "." + region + ".compute.internal"
}

// publicDNS is the name of a public address.
func publicDNS(region string, ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	dashed := strings.ReplaceAll(ip.String(), ".", "-")
	if region == arn.DefaultRegion {
		return "ec2-" + dashed + ".compute-1.amazonaws.com"
	}
	return "ec2-" + dashed + "." + region + ".compute.amazonaws.com"
}

// macOf is the hardware address that the sandbox driver gives an interface: it is
// locally administered and follows from the private address, so it stays
// for as long as the interface is there.
func macOf(ip netip.Addr) string {
	b := ip.As4()
	return fmt.Sprintf("02:5c:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}
