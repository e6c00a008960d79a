package compute

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Fabric is a driver that gives instances addresses of any private subnet and
// passes only the traffic that a policy lets through. A driver without it puts
// all instances on one open network.
type Fabric interface {
	// Taken tells what of the prefix the host itself uses, which no instance can
	// have; an invalid prefix is nothing.
	Taken(p netip.Prefix) (netip.Prefix, error)
	// ApplyPolicy replaces the policy as a whole. Connections that an earlier one
	// let through go on. Until the first call everything passes.
	ApplyPolicy(ctx context.Context, p Policy) error
	// SetInterfaces makes a running instance's further interfaces and addresses
	// just these; see Spec.Interfaces.
	SetInterfaces(ctx context.Context, h Handle, list []Interface) error
}

// Interface is a network interface of an instance beside its first, or, with the
// index 0, further addresses of the first.
type Interface struct {
	Index     int // eth1, eth2 ...
	Address   netip.Addr
	Subnet    netip.Prefix
	Secondary []netip.Addr
}

// Addresses are all of the interface's.
func (i Interface) Addresses() []netip.Addr {
	if !i.Address.IsValid() {
		return i.Secondary
	}
	return append([]netip.Addr{i.Address}, i.Secondary...)
}

// Policy is which traffic passes between instances and between them and the
// outside: a snapshot, never changed once it is made. It is about IPv4.
type Policy struct {
	Endpoints []Endpoint
	Groups    []Group
	Tables    []Table
	Filters   []Filter
}

// Endpoint is one private address of an instance.
type Endpoint struct {
	Address netip.Addr
	// Public is the address that stands for it outside, one to one. Translated is
	// the address of the NAT gateway that its table leads to. What leaves the host
	// has the host's own address in either case. On the host, who it sends to by
	// way of a NAT gateway sees its private address.
	Public     netip.Addr
	Translated netip.Addr
	Network    string // its VPC: addresses of one can reach each other
	Table      string // route table of its subnet
	Groups     []string
	// Filter is the network ACL of its subnet; "" passes everything. Subnet is only
	// needed where there is one.
	Filter, Subnet string
}

// Group is a security group: what its members may receive and send.
type Group struct {
	ID      string
	In, Out []PolicyRule
}

// AnyProtocol, as a rule's protocol, is all of them.
const AnyProtocol = -1

// PolicyRule lets through one kind of traffic from (or to) any of the prefixes and
// all members of the groups.
type PolicyRule struct {
	Protocol int // IP protocol number, or AnyProtocol
	// From and To bound the port of the receiver for TCP, UDP and SCTP. For ICMP
	// they are type and code, -1 for any. Other protocols have none.
	From, To int
	Prefixes []netip.Prefix
	Groups   []string
}

// Via is where a route leads.
type Via string

// Ways of a route.
const (
	ViaNetwork   Via = "network"   // to addresses of Route.Network: its own VPC or a peer
	ViaInternet  Via = "internet"  // out, for endpoints with a public address
	ViaTranslate Via = "translate" // out, under a NAT gateway's address
	ViaNothing   Via = "blackhole"
)

// Route is one way of a table.
type Route struct {
	To      netip.Prefix
	Via     Via
	Network string
}

// Table is a route table; the longest prefix that fits decides.
type Table struct {
	ID     string
	Routes []Route
}

// Ordered is the table's routes with the longest prefixes first.
func (t Table) Ordered() []Route {
	out := slices.Clone(t.Routes)
	slices.SortStableFunc(out, func(a, b Route) int { return b.To.Bits() - a.To.Bits() })
	return out
}

// Internet says whether the table has a way to the internet and back.
func (t Table) Internet() bool {
	return slices.ContainsFunc(t.Routes, func(r Route) bool { return r.Via == ViaInternet })
}

// String is the policy as text, the same for the same policy.
func (p Policy) String() string {
	var b strings.Builder
	for _, e := range p.Endpoints {
		fmt.Fprintf(&b, "endpoint %s in %s by %s", e.Address, e.Network, e.Table)
		if e.Public.IsValid() {
			fmt.Fprintf(&b, " public %s", e.Public)
		}
		if e.Translated.IsValid() {
			fmt.Fprintf(&b, " translated %s", e.Translated)
		}
		fmt.Fprintf(&b, " groups %s", strings.Join(e.Groups, ","))
		if e.Filter != "" {
			fmt.Fprintf(&b, " filter %s subnet %s", e.Filter, e.Subnet)
		}
		b.WriteByte('\n')
	}
	for _, t := range p.Tables {
		for _, r := range t.Ordered() {
			fmt.Fprintf(&b, "route %s %s %s %s\n", t.ID, r.To, r.Via, r.Network)
		}
	}
	for _, g := range p.Groups {
		for _, r := range g.In {
			fmt.Fprintf(&b, "group %s in %s\n", g.ID, r)
		}
		for _, r := range g.Out {
			fmt.Fprintf(&b, "group %s out %s\n", g.ID, r)
		}
	}
	for _, f := range p.Filters {
		f.text(&b)
	}
	return b.String()
}

// String is the rule as text.
func (r PolicyRule) String() string {
	var peers []string
	for _, p := range r.Prefixes {
		peers = append(peers, p.String())
	}
	what := "all"
	if r.Protocol != AnyProtocol {
		what = fmt.Sprintf("protocol %d %d-%d", r.Protocol, r.From, r.To)
	}
	return what + " " + strings.Join(append(peers, r.Groups...), ",")
}
