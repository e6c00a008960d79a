package sandbox

import (
	"bytes"
	"errors"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// forwardDrops are the chains of others that drop what the host forwards unless a
// rule of theirs lets it through, as Docker's does. What they drop no other table
// can let through.
func forwardDrops(c *nftables.Conn) ([]*nftables.Chain, error) {
	var out []*nftables.Chain
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, err
		}
		for _, chain := range chains {
			drops := chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop
			if drops && chain.Type == nftables.ChainTypeFilter && chain.Hooknum != nil && *chain.Hooknum == *nftables.ChainHookForward {
				out = append(out, chain)
			}
		}
	}
	return out, nil
}

// passForward adds rules to such chains that let through what the driver's own
// table has decided about. Clean removes them.
func (n *network) passForward() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	chains, err := forwardDrops(c)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		own, err := n.ownRules(c, chain)
		if err != nil {
			return err
		}
		if len(own) > 0 {
			continue
		}
		for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
			c.InsertRule(&nftables.Rule{
				Table: chain.Table, Chain: chain, UserData: []byte(n.bridge), Exprs: append(n.isBridge(key), verdict(expr.VerdictAccept)...),
			})
		}
		if err := c.Flush(); err != nil {
			return err
		}
		n.log.Info("let instances' packets through a firewall that drops what it does not know", "table", chain.Table.Name, "chain", chain.Name)
	}
	return nil
}

// ownRules are those of a chain that passForward added.
func (n *network) ownRules(c *nftables.Conn, chain *nftables.Chain) ([]*nftables.Rule, error) {
	all, err := c.GetRules(chain.Table, chain)
	if err != nil {
		return nil, err
	}
	var own []*nftables.Rule
	for _, r := range all {
		if bytes.Equal(r.UserData, []byte(n.bridge)) {
			own = append(own, r)
		}
	}
	return own, nil
}

// unpassForward removes what passForward added; unix.ENOENT where there is none.
func (n *network) unpassForward() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	chains, err := forwardDrops(c)
	if err != nil {
		return err
	}
	removed := 0
	for _, chain := range chains {
		own, err := n.ownRules(c, chain)
		if err != nil {
			return err
		}
		for _, r := range own {
			if err := c.DelRule(r); err != nil {
				return err
			}
			removed++
		}
	}
	if removed == 0 {
		return unix.ENOENT
	}
	return c.Flush()
}
