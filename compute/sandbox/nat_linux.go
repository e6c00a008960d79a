package sandbox

import (
	"errors"
	"net/netip"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// masquerade replaces the driver's nftables table: what leaves the host from an
// instance gets the host's address, and nothing from outside the host is
// forwarded to instances but answers.
func (n *network) masquerade() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.bridge}
	c.AddTable(table)
	c.DelTable(table)
	c.AddTable(table)
	post := c.AddChain(&nftables.Chain{
		Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	for _, from := range []netip.Prefix{n.saved.Instances, n.saved.Elastic} {
		rule := append(n.notBridge(expr.MetaKeyOIFNAME), source(from)...)
		c.AddRule(&nftables.Rule{Table: table, Chain: post, Exprs: append(rule, &expr.Masq{})})
	}
	forward := c.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: append(
		append(n.isBridge(expr.MetaKeyOIFNAME), n.notBridge(expr.MetaKeyIIFNAME)...),
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4, Xor: binaryutil.NativeEndian.PutUint32(0),
			Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED),
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)})
	return c.Flush()
}

func (n *network) isBridge(key expr.MetaKey) []expr.Any  { return n.device(key, expr.CmpOpEq) }
func (n *network) notBridge(key expr.MetaKey) []expr.Any { return n.device(key, expr.CmpOpNeq) }

func (n *network) device(key expr.MetaKey, op expr.CmpOp) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, n.bridge)
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: op, Register: 1, Data: name},
	}
}

// source matches packets whose source address is in the range.
func source(p netip.Prefix) []expr.Any {
	const sourceOffset = 12 // in the IPv4 header
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: sourceOffset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: ipNet(p).Mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

// insideTable is the table that the driver keeps in instances' own namespaces.
const insideTable = "slipway"

// translate has what comes to an instance's elastic addresses arrive at its
// private one, as on EC2: a server that listens on that alone answers, too. The
// elastic addresses are the instance's own all the same, so where the kernel has
// no translation, or root inside removes it, servers on all addresses answer.
func (n *network) translate(pid int, private netip.Addr, elastic []netip.Addr) {
	if err := translateInside(pid, private, elastic); err != nil && len(elastic) > 0 {
		n.log.Warn("only servers on all addresses of the instance answer at its elastic addresses", "address", private.String(), "error", err)
	}
}

func translateInside(pid int, private netip.Addr, elastic []netip.Addr) error {
	ns, err := netns.GetFromPath("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return err
	}
	defer ns.Close()
	c, err := nftables.New(nftables.WithNetNSFd(int(ns)))
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: insideTable}
	c.AddTable(table)
	c.DelTable(table)
	if len(elastic) > 0 {
		c.AddTable(table)
		for name, hook := range map[string]*nftables.ChainHook{"prerouting": nftables.ChainHookPrerouting, "output": nftables.ChainHookOutput} {
			chain := c.AddChain(&nftables.Chain{
				Name: name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest,
			})
			for _, ip := range elastic {
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: arriveAt(ip, private)})
			}
		}
	}
	return c.Flush()
}

// arriveAt changes the destination of packets to ip.
func arriveAt(ip, private netip.Addr) []expr.Any {
	const destinationOffset = 16 // in the IPv4 header
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: destinationOffset, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ip.AsSlice()},
		&expr.Immediate{Register: 1, Data: private.AsSlice()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
	}
}

// removeTable removes the table; unix.ENOENT where there is none.
func (n *network) removeTable() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.DelTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.bridge})
	err = c.Flush()
	if err != nil && errors.Is(err, unix.ENOENT) {
		return unix.ENOENT
	}
	return err
}
