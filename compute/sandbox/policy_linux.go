package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
)

var _ compute.Fabric = (*Driver)(nil)

// ApplyPolicy replaces what passes between instances. See ruleset for how.
func (d *Driver) ApplyPolicy(ctx context.Context, p compute.Policy) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.net.applying.Lock()
	defer d.net.applying.Unlock()
	text, intact := p.String(), d.net.intact()
	if d.net.applied == text && intact {
		return nil
	}
	if d.net.applied != "" && !intact {
		d.net.log.Warn("the network policy was removed from this host's kernel: apply it again")
	}
	if err := errors.Join(d.net.passForward(), d.net.replaceTable(&p), d.guardAll(), d.net.noteEnforced()); err != nil {
		return fmt.Errorf("sandbox: apply the network policy: %w", err)
	}
	d.net.applied, d.net.policy = text, &p
	return nil
}

// Taken tells what of a prefix the host itself uses.
func (d *Driver) Taken(p netip.Prefix) (netip.Prefix, error) {
	used, err := d.net.inUse()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("sandbox: %w", err)
	}
	used = append(used, d.net.saved.Elastic, d.net.saved.Enclosures, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"))
	for _, u := range used {
		// A single address is most likely an instance of another Slipway.
		if u.Bits() < 32 && u.Overlaps(p) {
			return u, nil
		}
	}
	return netip.Prefix{}, nil
}

// Offsets in headers.
const (
	sourceOffset      = 12 // IPv4
	destinationOffset = 16 // IPv4
	portOffset        = 2  // destination port of TCP, UDP, UDP-Lite and SCTP
)

// Protocols whose headers have what rules compare.
const (
	protocolICMP = 1
	protocolTCP  = 6
	protocolUDP  = 17
	protocolSCTP = 132
)

// elementsAtOnce keeps a message of set elements within netlink's 64 KiB.
const elementsAtOnce = 200

// ruleset builds the driver's table. The kernel takes it in one transaction, so
// no packet meets half of a policy.
//
// A new connection of an instance passes the forward hook, where its own address
// leads to the chain of its route table and of its groups' rules for egress, and
// then the postrouting hook, where the receiver's address leads to its groups'
// rules for ingress. What the host itself sends to public addresses passes the
// last, too: by these the host is the internet. By private addresses it is the
// cloud's own services, which no group stops.
//
// Public addresses are translated within the instances (translate), never here:
// where br_netfilter is loaded, the bridge itself would hand on what an answer's
// translation changed, past the routing that isolated ports need.
type ruleset struct {
	net    *network
	conn   *nftables.Conn
	table  *nftables.Table
	chains map[string]*nftables.Chain
	sets   map[string]*nftables.Set
	err    error
}

func (n *network) newRuleset(conn *nftables.Conn) *ruleset {
	return &ruleset{
		net: n, conn: conn, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.bridge},
		chains: map[string]*nftables.Chain{}, sets: map[string]*nftables.Set{},
	}
}

// changeTables is a connection whose changes are no news to us.
func (n *network) changeTables() (*nftables.Conn, error) {
	return nftables.New(roomForAnswers, nftables.WithSockOptions(n.own.note))
}

// replaceTable makes the table anew. Without a policy, instances are free to
// reach each other and the outside.
func (n *network) replaceTable(p *compute.Policy) error {
	conn, err := n.changeTables()
	if err != nil {
		return err
	}
	r := n.newRuleset(conn)
	conn.AddTable(r.table)
	conn.DelTable(r.table)
	conn.AddTable(r.table)
	if p != nil {
		r.policy(*p)
	}
	r.base(p != nil)
	if r.err != nil {
		return r.err
	}
	return conn.Flush()
}

// base adds the chains that the kernel enters.
func (r *ruleset) base(policy bool) {
	r.input(false)
	forward := r.hook("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	r.rule(forward, established(), verdict(expr.VerdictAccept))
	r.rule(forward, r.net.isBridge(expr.MetaKeyOIFNAME), r.net.notBridge(expr.MetaKeyIIFNAME), verdict(expr.VerdictDrop))
	r.rule(forward, r.net.notBridge(expr.MetaKeyIIFNAME), verdict(expr.VerdictAccept))
	r.rule(forward, r.net.otherBridges(), verdict(expr.VerdictDrop))
	if policy {
		if own := r.net.saved.Enclosures; own.IsValid() {
			// Functions are in no VPC: the outside is theirs, and what is public of
			// instances, whose groups decide further on.
			r.rule(forward, within(sourceOffset, own), r.net.notBridge(expr.MetaKeyOIFNAME), verdict(expr.VerdictAccept))
			r.rule(forward, within(sourceOffset, own), within(destinationOffset, r.net.saved.Elastic), verdict(expr.VerdictAccept))
		}
		r.rule(forward, load(sourceOffset), r.decide("egress"))
		r.rule(forward, verdict(expr.VerdictDrop))
	}
	nat := r.hook("translate", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	// By the interface, not by the source: another Slipway on this host may have
	// had the range before.
	r.rule(nat, r.net.isBridge(expr.MetaKeyIIFNAME), r.net.notBridge(expr.MetaKeyOIFNAME), []expr.Any{&expr.Masq{}})
	post := r.hook("postrouting", nftables.ChainTypeFilter, nftables.ChainHookPostrouting, nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource+10))
	// Instances must not be told to send directly to each other: no port of the
	// bridge leads to another.
	r.rule(post, r.net.isBridge(expr.MetaKeyOIFNAME), protocol(protocolICMP), octet(0, 5), verdict(expr.VerdictDrop))
	if policy {
		r.rule(post, established(), verdict(expr.VerdictAccept))
		r.rule(post, r.net.notBridge(expr.MetaKeyOIFNAME), verdict(expr.VerdictAccept))
		in := r.chain("in")
		r.rule(in, load(destinationOffset), r.decide("ingress"))
		r.rule(in, verdict(expr.VerdictDrop))
		r.rule(post, r.net.isBridge(expr.MetaKeyIIFNAME), enter(in))
		r.rule(post, within(destinationOffset, r.net.saved.Elastic), enter(in))
	}
}

// policy adds the sets and chains of a policy.
func (r *ruleset) policy(p compute.Policy) {
	members := map[string][]nftables.SetElement{"private": nil}
	for _, t := range p.Tables {
		for _, route := range t.Routes {
			if route.Via == compute.ViaNetwork {
				members["vpc "+route.Network] = nil
			}
		}
	}
	for _, g := range p.Groups {
		members["group "+g.ID] = nil
	}
	tables := map[string]compute.Table{}
	for _, t := range p.Tables {
		tables[t.ID] = t
	}
	for _, e := range p.Endpoints {
		key := e.Address.AsSlice()
		for _, name := range append([]string{"private", "vpc " + e.Network}, prefixed("group ", e.Groups)...) {
			members[name] = append(members[name], nftables.SetElement{Key: key})
		}
	}
	for name, list := range members {
		r.set(&nftables.Set{Name: setName(name), KeyType: nftables.TypeIPAddr}, list)
	}
	for _, g := range p.Groups {
		r.group(g)
	}
	r.endpoints(p, tables)
	r.filters(p)
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, prefix+name)
	}
	return out
}

// setName keeps names to the characters that nft itself would take.
func setName(name string) string {
	kind, id, ok := strings.Cut(name, " ")
	if !ok {
		return name
	}
	return kind + "_" + arn.Hash(id)[:16]
}

// endpoints adds the maps from addresses to chains. Endpoints of one kind share
// their chains.
func (r *ruleset) endpoints(p compute.Policy, tables map[string]compute.Table) {
	var egress, ingress []nftables.SetElement
	for _, e := range p.Endpoints {
		groups := strings.Join(e.Groups, ",")
		routes := r.routes(tables[e.Table], e.Public.IsValid(), e.Translated.IsValid())
		out, fresh := r.shared("out " + routes.Name + " " + groups)
		if fresh {
			r.rule(out, call(routes))
			for _, g := range e.Groups {
				r.rule(out, call(r.chain(setName("sends "+g))))
			}
			r.rule(out, verdict(expr.VerdictDrop))
		}
		in, fresh := r.shared("in " + groups)
		if fresh {
			for _, g := range e.Groups {
				r.rule(in, call(r.chain(setName("receives "+g))))
			}
			r.rule(in, verdict(expr.VerdictDrop))
		}
		egress = append(egress, leads(e.Address, out))
		ingress = append(ingress, leads(e.Address, in))
		if e.Public.IsValid() {
			egress = append(egress, leads(e.Public, out))
			if tables[e.Table].Internet() {
				ingress = append(ingress, leads(e.Public, in))
			}
		}
	}
	r.verdicts("egress", egress)
	r.verdicts("ingress", ingress)
}

// verdicts adds a map from addresses to what becomes of their packets.
func (r *ruleset) verdicts(name string, elements []nftables.SetElement) {
	r.set(&nftables.Set{Name: name, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict, IsMap: true}, elements)
}

func leads(a netip.Addr, to *nftables.Chain) nftables.SetElement {
	return nftables.SetElement{Key: a.AsSlice(), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: to.Name}}
}

// routes is the chain of a route table for endpoints that have these addresses. It
// returns where there is a way, and drops where there is none.
func (r *ruleset) routes(t compute.Table, public, translated bool) *nftables.Chain {
	c, fresh := r.shared(fmt.Sprintf("routes %s %t %t", t.ID, public, translated))
	if !fresh {
		return c
	}
	for _, route := range t.Ordered() {
		to := within(destinationOffset, route.To)
		switch {
		case route.Via == compute.ViaNetwork:
			r.rule(c, to, load(destinationOffset), r.member("vpc "+route.Network), verdict(expr.VerdictReturn))
		case route.Via == compute.ViaInternet && public, route.Via == compute.ViaTranslate && translated:
			r.rule(c, to, load(destinationOffset), r.member("private"), verdict(expr.VerdictDrop))
			r.rule(c, to, verdict(expr.VerdictReturn))
		}
		r.rule(c, to, verdict(expr.VerdictDrop))
	}
	r.rule(c, verdict(expr.VerdictDrop))
	return c
}

// group adds the chains of a security group.
func (r *ruleset) group(g compute.Group) {
	for _, side := range []struct {
		chain  string
		rules  []compute.PolicyRule
		offset uint32
	}{{"sends ", g.Out, destinationOffset}, {"receives ", g.In, sourceOffset}} {
		c := r.chain(setName(side.chain + g.ID))
		for _, rule := range side.rules {
			what := traffic(rule)
			for _, p := range rule.Prefixes {
				r.rule(c, what, within(side.offset, p), verdict(expr.VerdictAccept))
			}
			for _, peer := range rule.Groups {
				if r.sets[setName("group "+peer)] != nil {
					r.rule(c, what, load(side.offset), r.member("group "+peer), verdict(expr.VerdictAccept))
				}
			}
		}
	}
}

// traffic matches a rule's protocol and ports.
func traffic(rule compute.PolicyRule) []expr.Any {
	if rule.Protocol == compute.AnyProtocol {
		return nil
	}
	match := protocol(byte(rule.Protocol))
	switch rule.Protocol {
	case protocolTCP, protocolUDP, protocolSCTP:
		if rule.From <= 0 && rule.To >= 65535 {
			return match
		}
		return append(match,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2},
			&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: binaryutil.BigEndian.PutUint16(uint16(rule.From)), ToData: binaryutil.BigEndian.PutUint16(uint16(rule.To))})
	case protocolICMP:
		if rule.From >= 0 {
			match = append(match, octet(0, byte(rule.From))...)
		}
		if rule.To >= 0 {
			match = append(match, octet(1, byte(rule.To))...)
		}
	}
	return match
}

// The builders of chains, sets and rules. The first error is kept.

func (r *ruleset) hook(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	return r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: priority})
}

// chain finds a chain, or adds it.
func (r *ruleset) chain(name string) *nftables.Chain {
	if r.chains[name] == nil {
		r.chains[name] = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table})
	}
	return r.chains[name]
}

// shared is a chain by what makes it; fresh says that it is still empty.
func (r *ruleset) shared(key string) (c *nftables.Chain, fresh bool) {
	name := setName(key)
	fresh = r.chains[name] == nil
	return r.chain(name), fresh
}

func (r *ruleset) set(s *nftables.Set, elements []nftables.SetElement) {
	s.Table = r.table
	r.sets[s.Name] = s
	s.ID = uint32(len(r.sets)) // its number in this transaction; the library's own counter is shared by all and races
	r.err = errors.Join(r.err, r.conn.AddSet(s, nil))
	seen := map[string]bool{}
	var list []nftables.SetElement
	for _, e := range elements {
		if !seen[string(e.Key)] {
			seen[string(e.Key)] = true
			list = append(list, e)
		}
	}
	for from := 0; from < len(list); from += elementsAtOnce {
		r.err = errors.Join(r.err, r.conn.SetAddElements(s, list[from:min(from+elementsAtOnce, len(list))]))
	}
}

func (r *ruleset) rule(c *nftables.Chain, parts ...[]expr.Any) {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: c, Exprs: all})
}

// member matches an address loaded before against a set.
func (r *ruleset) member(name string) []expr.Any {
	s := r.sets[setName(name)]
	return []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

// decide goes where a map of verdicts leads an address loaded before.
func (r *ruleset) decide(name string) []expr.Any {
	s := r.sets[name]
	return []expr.Any{&expr.Lookup{SourceRegister: 1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: s.Name, SetID: s.ID}}
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func call(c *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: c.Name}}
}

func enter(c *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: c.Name}}
}

// load puts an address of the packet where lookups find it.
func load(offset uint32) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}}
}

// within matches packets whose address at the offset is in the range.
func within(offset uint32, p netip.Prefix) []expr.Any {
	if p.Bits() == 0 {
		return nil
	}
	return append(load(offset),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: ipNet(p).Mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()})
}

func protocol(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

// octet compares one byte of the transport header.
func octet(offset uint32, value byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{value}},
	}
}

// established matches packets of connections that were let through.
func established() []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4, Xor: binaryutil.NativeEndian.PutUint32(0),
			Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(0)},
	}
}
