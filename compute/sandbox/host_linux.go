package sandbox

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

var _ compute.HostGuard = (*Driver)(nil)

// AdmitToHost lets instances reach a TCP port of the gateway. What else listens on
// the host refuses them: its SSH, databases, other Slipways.
func (d *Driver) AdmitToHost(ctx context.Context, port uint16) error {
	if err := ctx.Err(); err != nil || !d.net.routed {
		return err
	}
	d.net.applying.Lock()
	defer d.net.applying.Unlock()
	if !slices.Contains(d.net.admitted, port) {
		d.net.admitted = append(d.net.admitted, port)
	}
	conn, err := d.net.changeTables()
	if err != nil {
		return fmt.Errorf("sandbox: admit to port %d: %w", port, err)
	}
	r := d.net.newRuleset(conn)
	conn.AddTable(r.table)
	r.input(true)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("sandbox: admit to port %d: %w", port, err)
	}
	return nil
}

// input adds the chain for what instances send to the host itself; anew says that
// it may be there already.
func (r *ruleset) input(anew bool) {
	input := r.hook("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	if anew {
		r.conn.FlushChain(input)
	}
	gateway := netip.PrefixFrom(r.net.gateway(), 32)
	r.rule(input, r.net.notBridge(expr.MetaKeyIIFNAME), verdict(expr.VerdictAccept))
	r.rule(input, established(), verdict(expr.VerdictAccept))
	r.rule(input, within(destinationOffset, netip.PrefixFrom(metadataAddress.Addr(), 32)), toPort(metadataAddress.Port()), verdict(expr.VerdictAccept))
	for _, port := range r.net.admitted {
		r.rule(input, within(destinationOffset, gateway), toPort(port), verdict(expr.VerdictAccept))
	}
	r.rule(input, within(destinationOffset, gateway), protocol(protocolICMP), octet(0, 8), verdict(expr.VerdictAccept))
	// An answer at once, as from a host where nothing listens.
	r.rule(input, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 3}})
}

// toPort matches one TCP port of the receiver.
func toPort(port uint16) []expr.Any {
	return append(protocol(protocolTCP),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)})
}

// metaOutKind is the kind of the interface that a packet leaves by, as "ip link"
// has it: NFT_META_OIFKIND, Linux 5.1.
const metaOutKind = expr.MetaKey(27)

// otherBridges matches what would leave by a bridge that is no way out of the
// host: networks of Docker, of virtual machines, of other Slipways. They are the
// host's own, and not the internet.
func (n *network) otherBridges() []expr.Any {
	match := n.notBridge(expr.MetaKeyOIFNAME)
	for _, link := range outbound() {
		match = append(match,
			&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: portKey(link.Attrs().Name)})
	}
	return append(match,
		&expr.Meta{Key: metaOutKind, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: portKey("bridge")})
}

// intact says whether the driver's tables are in the kernel. Firewalls remove all
// tables when they start again.
func (n *network) intact() bool {
	return n.hasTable() && n.filters() && (!n.guards || n.hasGuard())
}

// filters says whether the table has rules: some empty all tables that are not theirs.
func (n *network) filters() bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.bridge}
	rules, err := c.GetRules(table, &nftables.Chain{Name: "forward", Table: table})
	return err == nil && len(rules) > 0
}

// guardAll makes the table on the bridge anew, where it is gone, with the ports of
// all instances.
func (d *Driver) guardAll() error {
	if !d.net.guards || d.net.hasGuard() {
		return nil
	}
	if err := d.net.openGuard(); err != nil {
		return err
	}
	for _, in := range d.All() {
		rec := in.Record()
		if !rec.Process.Alive() {
			continue
		}
		if err := d.net.guard(d.net.port(in.ID), allowed(rec)...); err != nil {
			return err
		}
		for _, i := range rec.Spec.Interfaces {
			if i.Index == 0 {
				continue
			}
			if err := d.net.guard(d.net.port(furtherID(in.ID, i.Index)), allowed(rec)...); err != nil {
				return err
			}
		}
	}
	return d.guardEnclosed()
}
