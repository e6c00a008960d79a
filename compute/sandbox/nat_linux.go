package sandbox

import (
	"errors"
	"net/netip"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/keeper"
)

// roomForAnswers lets the kernel's answers to a large table wait in the socket:
// it answers each rule before the first answer is read.
var roomForAnswers = nftables.WithSockOptions(func(c *netlink.Conn) error {
	return errors.Join(c.SetReadBuffer(16<<20), c.SetWriteBuffer(16<<20))
})

// hasTable says whether the kernel has the driver's table.
func (n *network) hasTable() bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	_, err = c.ListTableOfFamily(n.bridge, nftables.TableFamilyIPv4)
	return err == nil
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

// insideTable is the table that the driver keeps in instances' own namespaces.
const insideTable = "slipway"

// translate has what comes to an instance's elastic addresses arrive at its
// private one, as on EC2: a server that listens on that alone answers, too. What it
// sends to others' elastic addresses comes from its own. They are the instance's
// own addresses all the same, so where the kernel has no translation, or root
// inside removes it, servers on all addresses answer.
func (n *network) translate(pid int, rec keeper.Record) {
	if err := n.translateInside(pid, rec); err != nil && len(rec.Elastic) > 0 {
		n.log.Warn("only servers on all addresses of the instance answer at its elastic addresses", "address", rec.Spec.Address.String(), "error", err)
	}
}

func (n *network) translateInside(pid int, rec keeper.Record) error {
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
	if len(rec.Elastic) > 0 {
		c.AddTable(table)
		for name, hook := range map[string]*nftables.ChainHook{"prerouting": nftables.ChainHookPrerouting, "output": nftables.ChainHookOutput} {
			chain := c.AddChain(&nftables.Chain{
				Name: name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest,
			})
			for _, ip := range rec.Elastic {
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: arriveAt(ip, rec.Private(ip))})
			}
		}
		post := c.AddChain(&nftables.Chain{
			Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
		})
		for _, ip := range rec.Elastic {
			from := append(within(destinationOffset, n.saved.Elastic), within(sourceOffset, netip.PrefixFrom(rec.Private(ip), 32))...)
			c.AddRule(&nftables.Rule{Table: table, Chain: post, Exprs: append(from,
				&expr.Immediate{Register: 1, Data: ip.AsSlice()},
				&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
			)})
		}
	}
	return c.Flush()
}

// arriveAt changes the destination of packets to ip.
func arriveAt(ip, private netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: destinationOffset, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ip.AsSlice()},
		&expr.Immediate{Register: 1, Data: private.AsSlice()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
	}
}

// removeTables removes the driver's tables; unix.ENOENT where there is none.
func (n *network) removeTables() error {
	var errs []error
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyBridge} {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		c.DelTable(&nftables.Table{Family: family, Name: n.bridge})
		errs = append(errs, c.Flush())
	}
	if errors.Is(errs[0], unix.ENOENT) && (errs[1] == nil || errors.Is(errs[1], unix.ENOENT)) {
		return unix.ENOENT
	}
	if errors.Is(errs[1], unix.ENOENT) || errors.Is(errs[1], unix.EOPNOTSUPP) {
		errs = errs[:1]
	}
	return errors.Join(errs...)
}
