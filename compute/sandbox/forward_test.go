//go:build linux

package sandbox

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// A firewall such as Docker's drops what it does not know; the driver's rules in it
// are there once, and go again.
func TestAFirewallThatDropsLetsInstancesThrough(t *testing.T) {
	requireHost(t)
	err := elsewhere(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		drop := nftables.ChainPolicyDrop
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "filter"})
		chain := c.AddChain(&nftables.Chain{
			Name: "FORWARD", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop,
		})
		if err := c.Flush(); err != nil {
			return err
		}
		n := &network{bridge: "slw-test", log: slog.New(slog.DiscardHandler)}
		if err := n.unpassForward(); !errors.Is(err, unix.ENOENT) {
			t.Errorf("before: %v", err)
		}
		for range 2 {
			if err := n.passForward(); err != nil {
				return err
			}
		}
		rules, err := c.GetRules(table, chain)
		if err != nil || len(rules) != 2 {
			t.Errorf("%d rules, %v", len(rules), err)
		}
		if err := n.unpassForward(); err != nil {
			return err
		}
		rules, err = c.GetRules(table, chain)
		if err != nil || len(rules) != 0 {
			t.Errorf("%d rules are left, %v", len(rules), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
