//go:build linux

package sandbox

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

// serveHere listens on the host, and says "host" to who connects.
func serveHere(t *testing.T, address string) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("host"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return uint16(ln.Addr().(*net.TCPAddr).Port)
}

// What listens on the host refuses instances, but for what was admitted, with a
// policy and without one.
func TestTheHostsServersRefuseInstances(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a := newBox(t, w, "", "")
	d := w.Driver.(*Driver)
	gateway := d.Network().Gateway
	everywhere, own, api := serveHere(t, "0.0.0.0:0"), serveHere(t, gateway.String()+":0"), serveHere(t, gateway.String()+":0")
	hosts := []netip.Addr{gateway}
	for _, link := range outbound() {
		addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range addrs {
			p, _ := prefixOf(addr.IPNet)
			hosts = append(hosts, p.Addr())
		}
	}
	look := func(when string, admitted bool) {
		t.Helper()
		for _, host := range hosts {
			if got := a.call(host, everywhere); got != "" {
				t.Errorf("%s: a server on all addresses answers at %s: %q", when, host, got)
			}
		}
		if got := a.call(gateway, own); got != "" {
			t.Errorf("%s: a server on the gateway's address answers: %q", when, got)
		}
		if got := a.call(gateway, api); (got == "host") != admitted {
			t.Errorf("%s: the admitted port answers %q", when, got)
		}
		if dial(gateway, own) != "host" || dial(a.addr, 80) == "" {
			t.Errorf("%s: the host does not reach itself, or its instance", when)
		}
	}
	look("at first", false)
	w.Do(d.AdmitToHost(t.Context(), api))
	look("admitted", true)
	apply(t, w, compute.Policy{Endpoints: []compute.Endpoint{{Address: a.addr, Network: "vpc"}}})
	look("with a policy", true)
	w.Do(d.AdmitToHost(t.Context(), api))
	look("again", true)
}

// Networks of others on the host are not the internet.
func TestOtherBridgesAreOutOfReach(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a := newBox(t, w, "", "")
	o := newOutside(t)
	if err := write("/proc/sys/net/ipv4/conf/slt-host/forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	within := time.Now().Add(10 * time.Second) // the cable's ends take a moment to be up
	for a.call(o.addr, 7000) == "" {
		if time.Now().After(within) {
			t.Fatal("outside is out of reach")
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "slt-bridge"
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = netlink.LinkDel(bridge) }()
	host, err := netlink.LinkByName("slt-host")
	if err != nil {
		t.Fatal(err)
	}
	addr := &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("203.0.113.1/24"))}
	for _, err := range []error{
		netlink.AddrDel(host, addr), netlink.LinkSetMaster(host, bridge), netlink.LinkSetUp(bridge),
		netlink.AddrAdd(bridge, addr), write("/proc/sys/net/ipv4/conf/slt-bridge/forwarding", "1"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for dial(o.addr, 7000) == "" {
		if time.Now().After(within) {
			t.Fatal("the host itself does not reach it")
		}
	}
	if got := a.call(o.addr, 7000); got != "" {
		t.Errorf("by another bridge: %q", got)
	}
}

// dropTables does what a firewall does that starts again.
func dropTables(t *testing.T, n *network) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	c.DelTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.bridge})
	if n.guards {
		c.DelTable(n.guardTable())
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// emptyTable removes all rules of the table, and leaves it.
func emptyTable(t *testing.T, n *network) {
	t.Helper()
	c, err := nftables.New()
	if err == nil {
		c.FlushTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: n.bridge})
		err = c.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A policy holds though another removes the tables: within a second while Slipway
// runs; at the next start nothing passes before there is one.
func TestThePolicyOutlivesItsTables(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a, b := newBox(t, w, "10.77.1.10", "10.77.1.0/24"), newBox(t, w, "10.77.1.11", "10.77.1.0/24")
	p := compute.Policy{
		Endpoints: []compute.Endpoint{
			{Address: a.addr, Network: "vpc", Table: "rtb", Groups: []string{"sg"}},
			{Address: b.addr, Network: "vpc", Table: "rtb", Groups: []string{"sg"}},
		},
		Groups: []compute.Group{{ID: "sg", In: []compute.PolicyRule{tcp(80, everywhere)}, Out: anything()}},
		Tables: []compute.Table{{ID: "rtb", Routes: []compute.Route{{To: netip.MustParsePrefix("10.77.0.0/16"), Via: compute.ViaNetwork, Network: "vpc"}}}},
	}
	look := func(when string, want80, want81 bool) {
		t.Helper()
		if got := [2]bool{a.call(b.addr, 80) != "", a.call(b.addr, 81) != ""}; got != [2]bool{want80, want81} {
			t.Errorf("%s: ports 80 and 81 answer %v", when, got)
		}
	}
	apply(t, w, p)
	look("applied", true, false)
	n := w.Driver.(*Driver).net
	for _, how := range []struct {
		what string
		do   func(t *testing.T, n *network)
	}{{"removed", dropTables}, {"emptied", emptyTable}, {"removed again", dropTables}} {
		how.do(t, n)
		back := func() bool { // and the repair is done
			n.applying.Lock()
			defer n.applying.Unlock()
			return n.intact()
		}
		for began := time.Now(); !back(); {
			if time.Since(began) > time.Second {
				t.Fatalf("the tables were %s and are not back after a second", how.what)
			}
			select {
			case <-t.Context().Done():
			case <-time.After(time.Millisecond):
			}
		}
		look(how.what, true, false)
	}
	if n.guards {
		c, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		ports, err := c.GetSetElements(n.guardedPorts())
		if err != nil || len(ports) != 2 {
			t.Errorf("%d ports are guarded, %v", len(ports), err)
		}
	}
	w.Close()
	look("while no Slipway runs", true, false)
	w.Open()
	look("after a start", true, false)
	w.Close()
	dropTables(t, n)
	w.Open()
	look("after a start without tables", false, false)
	apply(t, w, p)
	look("after that", true, false)
}
