package sandbox

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The guard is a table on the bridge itself: what enters by an instance's port must
// come from an address of that instance. All rules further on trust the source
// address for that.

func (n *network) guardTable() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyBridge, Name: n.bridge}
}

func (n *network) guardedPorts() *nftables.Set {
	return &nftables.Set{Table: n.guardTable(), Name: "ports", KeyType: nftables.TypeIFName, DataType: nftables.TypeVerdict, IsMap: true}
}

// hasGuard says whether the kernel has the table.
func (n *network) hasGuard() bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	_, err = c.ListTableOfFamily(n.bridge, nftables.TableFamilyBridge)
	return err == nil
}

// openGuard makes the table, or finds it.
func (n *network) openGuard() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	if n.hasGuard() {
		return nil
	}
	table, ports := n.guardTable(), n.guardedPorts()
	ports.ID = 1 // its number in this transaction; the library's own counter is shared by all and races
	c.AddTable(table)
	if err := c.AddSet(ports, nil); err != nil {
		return err
	}
	chain := c.AddChain(&nftables.Chain{
		Name: "prerouting", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRef(-200),
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Lookup{SourceRegister: 1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: ports.Name, SetID: ports.ID},
	}})
	return c.Flush()
}

func portKey(port string) []byte {
	key := make([]byte, unix.IFNAMSIZ)
	copy(key, port)
	return key
}

// guard lets only these source addresses in by the port. A host whose kernel has
// no nftables for bridges goes without: Probe says so.
func (n *network) guard(port string, addrs ...netip.Addr) error {
	if !n.guards {
		return nil
	}
	c, err := n.changeTables()
	if err != nil {
		return err
	}
	chain := c.AddChain(&nftables.Chain{Name: port, Table: n.guardTable()})
	c.FlushChain(chain)
	add := func(parts ...[]expr.Any) {
		var all []expr.Any
		for _, p := range parts {
			all = append(all, p...)
		}
		c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: all})
	}
	add([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0x08, 0x00}}, // not IPv4
	}, verdict(expr.VerdictAccept))
	for _, a := range addrs {
		add(within(sourceOffset, netip.PrefixFrom(a, 32)), verdict(expr.VerdictAccept))
	}
	add(verdict(expr.VerdictDrop))
	err = c.SetAddElements(n.guardedPorts(), []nftables.SetElement{{
		Key: portKey(port), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: port},
	}})
	if err != nil {
		return err
	}
	return c.Flush()
}

// unguard forgets a port; one that is not known is no error.
func (n *network) unguard(port string) {
	if !n.guards {
		return
	}
	c, err := n.changeTables()
	if err != nil {
		return
	}
	if err := c.SetDeleteElements(n.guardedPorts(), []nftables.SetElement{{
		Key: portKey(port), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: port},
	}}); err != nil {
		return
	}
	c.DelChain(&nftables.Chain{Name: port, Table: n.guardTable()})
	_ = c.Flush() // fails as a whole where the port is not there
}
