//go:build linux

package sandbox

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

// inNetworkOf runs a function on a thread in the network namespace of an instance.
func inNetworkOf(t *testing.T, pid int, do func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in that namespace
		ns, err := netns.GetFromPath("/proc/" + strconv.Itoa(pid) + "/ns/net")
		if err == nil {
			err = netns.Set(ns)
			_ = ns.Close()
		}
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// box is an instance with a server on each of two ports, which tells its callers
// who they are.
type box struct {
	t *testing.T

	h    compute.Handle
	addr netip.Addr
	pid  int
}

func newBox(t *testing.T, w *computetest.World, address, subnet string) *box {
	t.Helper()
	spec := w.Spec("")
	if address != "" {
		spec.Address, spec.Subnet = netip.MustParseAddr(address), netip.MustParsePrefix(subnet)
	}
	b := &box{t: t, h: w.Launch(spec), addr: spec.Address}
	b.pid = w.Driver.(*Driver).FirstProcess(b.h.ID)
	for _, port := range []int{80, 81} {
		var ln net.Listener
		inNetworkOf(t, b.pid, func() {
			var err error
			if ln, err = net.Listen("tcp4", ":"+strconv.Itoa(port)); err != nil {
				t.Error(err)
			}
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = fmt.Fprint(c, netip.MustParseAddrPort(c.RemoteAddr().String()).Addr())
				_ = c.Close()
			}
		}()
		t.Cleanup(func() { _ = ln.Close(); <-done })
	}
	return b
}

// call connects from inside the instance and gives what the server answered, ""
// where no connection came about.
func (b *box) call(to netip.Addr, port uint16) string {
	b.t.Helper()
	var got string
	inNetworkOf(b.t, b.pid, func() { got = dial(to, port) })
	return got
}

func dial(to netip.Addr, port uint16) string {
	c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(to, port).String(), 400*time.Millisecond)
	if err != nil {
		return ""
	}
	defer c.Close()
	got, _ := io.ReadAll(c)
	return string(got)
}

func apply(t *testing.T, w *computetest.World, p compute.Policy) {
	t.Helper()
	if err := w.Driver.(compute.Fabric).ApplyPolicy(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}

func tcp(port int, prefixes []netip.Prefix, groups ...string) compute.PolicyRule {
	return compute.PolicyRule{Protocol: 6, From: port, To: port, Prefixes: prefixes, Groups: groups}
}

func anything() []compute.PolicyRule {
	return []compute.PolicyRule{{Protocol: compute.AnyProtocol, Prefixes: everywhere}}
}

func TestGroupsDecideWhoReachesAnInstance(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a, b := newBox(t, w, "10.77.1.10", "10.77.1.0/24"), newBox(t, w, "10.77.2.10", "10.77.2.0/24")
	if got := a.call(b.addr, 80); got != a.addr.String() {
		t.Errorf("without a policy: %q", got)
	}
	local := compute.Table{ID: "rtb", Routes: []compute.Route{{To: netip.MustParsePrefix("10.77.0.0/16"), Via: compute.ViaNetwork, Network: "vpc"}}}
	policy := func(in []compute.PolicyRule, out []compute.PolicyRule) compute.Policy {
		return compute.Policy{
			Endpoints: []compute.Endpoint{
				{Address: a.addr, Network: "vpc", Table: "rtb", Groups: []string{"sg-a"}},
				{Address: b.addr, Network: "vpc", Table: "rtb", Groups: []string{"sg-b"}},
			},
			Groups: []compute.Group{{ID: "sg-a", Out: out}, {ID: "sg-b", In: in, Out: anything()}},
			Tables: []compute.Table{local},
		}
	}
	for _, tt := range []struct {
		name    string
		in, out []compute.PolicyRule
		want    [2]bool // ports 80 and 81
	}{
		{"no rule lets in", nil, anything(), [2]bool{}},
		{"one port from everywhere", []compute.PolicyRule{tcp(80, everywhere)}, anything(), [2]bool{true, false}},
		{"members of a group", []compute.PolicyRule{tcp(81, nil, "sg-a")}, anything(), [2]bool{false, true}},
		{"members of another group", []compute.PolicyRule{tcp(81, nil, "sg-b")}, anything(), [2]bool{}},
		{"a prefix with the sender", []compute.PolicyRule{tcp(80, []netip.Prefix{netip.MustParsePrefix("10.77.1.0/28")})}, anything(), [2]bool{true, false}},
		{"a prefix without it", []compute.PolicyRule{tcp(80, []netip.Prefix{netip.MustParsePrefix("10.77.2.0/24")})}, anything(), [2]bool{}},
		{"all traffic", anything(), anything(), [2]bool{true, true}},
		{"another protocol", []compute.PolicyRule{{Protocol: 17, From: 0, To: 65535, Prefixes: everywhere}}, anything(), [2]bool{}},
		{"nothing out", anything(), nil, [2]bool{}},
		{"one port out", anything(), []compute.PolicyRule{tcp(81, nil, "sg-b")}, [2]bool{false, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			apply(t, w, policy(tt.in, tt.out))
			got := [2]bool{a.call(b.addr, 80) != "", a.call(b.addr, 81) != ""}
			if got != tt.want {
				t.Errorf("ports 80 and 81 answered: %v, want %v", got, tt.want)
			}
		})
	}
	// The host's own services reach an instance whatever its groups say.
	apply(t, w, policy(nil, nil))
	if dial(b.addr, 80) == "" {
		t.Error("the host cannot reach the instance by its private address")
	}
}

func TestNetworksAreApart(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	// Two networks of one range, as two accounts have them.
	a, b, c := newBox(t, w, "10.77.1.10", "10.77.1.0/24"), newBox(t, w, "10.77.1.11", "10.77.1.0/24"), newBox(t, w, "", "")
	host := w.Driver.Network()
	public := []netip.Addr{host.Elastic.Addr().Next(), host.Elastic.Addr().Next().Next()}
	w.Do(w.Driver.AssignAddress(t.Context(), a.h, public[0], netip.Addr{}))
	w.Do(w.Driver.AssignAddress(t.Context(), c.h, public[1], netip.Addr{}))
	own := func(id, network, prefix string) compute.Table {
		return compute.Table{ID: id, Routes: []compute.Route{{To: netip.MustParsePrefix(prefix), Via: compute.ViaNetwork, Network: network}}}
	}
	p := compute.Policy{
		Endpoints: []compute.Endpoint{
			{Address: a.addr, Public: public[0], Network: "vpc-1", Table: "rtb-1", Groups: []string{"sg"}},
			{Address: b.addr, Network: "vpc-2", Table: "rtb-2", Groups: []string{"sg"}},
			{Address: c.addr, Public: public[1], Network: "vpc-3", Table: "rtb-3", Groups: []string{"sg"}},
		},
		Groups: []compute.Group{{ID: "sg", In: anything(), Out: anything()}},
		Tables: []compute.Table{own("rtb-1", "vpc-1", "10.77.0.0/16"), own("rtb-2", "vpc-2", "10.77.0.0/16"), own("rtb-3", "vpc-3", host.Instances.String())},
	}
	reach := func(what string, from *box, to netip.Addr, want string) {
		t.Helper()
		if got := from.call(to, 80); got != want {
			t.Errorf("%s: answered %q, want %q", what, got, want)
		}
	}
	apply(t, w, p)
	reach("another network of the same range", a, b.addr, "")
	reach("another network", a, c.addr, "")
	reach("a public address without a way out", a, public[1], "")
	if dial(public[0], 80) != "" {
		t.Error("a public address answers without a route to the internet")
	}
	internet := compute.Route{To: everywhere[0], Via: compute.ViaInternet}
	p.Tables[0].Routes = append(p.Tables[0].Routes, internet)
	p.Tables[1].Routes = append(p.Tables[1].Routes, internet)
	p.Tables[2].Routes = append(p.Tables[2].Routes, internet)
	apply(t, w, p)
	reach("a public address", a, public[1], public[0].String())
	reach("a private address is not on the internet", a, c.addr, "")
	reach("an internet gateway without a public address", b, public[1], "")
	if got := dial(public[0], 80); got == "" {
		t.Error("the host cannot reach a public address")
	}
	p.Tables[1].Routes[1].Via = compute.ViaTranslate
	p.Endpoints[1].Translated = host.Elastic.Addr().Next().Next().Next()
	apply(t, w, p)
	reach("by way of a NAT gateway", b, public[1], b.addr.String())
	p.Tables[1].Routes = append(p.Tables[1].Routes, compute.Route{To: host.Instances, Via: compute.ViaNetwork, Network: "vpc-3"})
	p.Tables[2].Routes = append(p.Tables[2].Routes, compute.Route{To: netip.MustParsePrefix("10.77.0.0/16"), Via: compute.ViaNetwork, Network: "vpc-2"})
	apply(t, w, p)
	reach("a peer", b, c.addr, b.addr.String())
	reach("back", c, b.addr, c.addr.String())
	reach("not the peer's namesake", c, a.addr, "")
	p.Tables[1].Routes[2].Via = compute.ViaNothing
	apply(t, w, p)
	reach("a blackhole", b, c.addr, "")
}

// TestNobodySendsAsAnother: an instance's packets carry its own address or go
// nowhere, so groups that trust a neighbour do not trust it.
func TestNobodySendsAsAnother(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	d := w.Driver.(*Driver)
	if !d.net.guards {
		t.Skip("this host's kernel has no nftables for bridges")
	}
	a, b, c := newBox(t, w, "10.77.1.10", "10.77.1.0/24"), newBox(t, w, "10.77.1.11", "10.77.1.0/24"), newBox(t, w, "10.77.1.12", "10.77.1.0/24")
	heard := make(chan string, 4)
	var ln net.PacketConn
	inNetworkOf(t, c.pid, func() {
		var err error
		if ln, err = net.ListenPacket("udp4", ":9000"); err != nil {
			t.Error(err)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64)
		for {
			n, _, err := ln.ReadFrom(buf)
			if err != nil {
				return
			}
			heard <- string(buf[:n])
		}
	}()
	defer func() { _ = ln.Close(); <-done }()
	send := func(from *box, as netip.Addr, word string) {
		t.Helper()
		inNetworkOf(t, from.pid, func() {
			conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(as, 0)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.addr, 9000)))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(word))
		})
	}
	w.Do(d.net.addElastic(a.pid, b.addr)) // a takes b's address
	send(a, b.addr, "a as b")
	send(a, a.addr, "a")
	if got := <-heard; got != "a" {
		t.Errorf("heard %q", got)
	}
	send(b, b.addr, "b")
	if got := <-heard; got != "b" {
		t.Errorf("heard %q", got)
	}
}

func TestFurtherInterfacesAppearInTheInstance(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a, b := newBox(t, w, "10.77.1.10", "10.77.1.0/24"), newBox(t, w, "10.77.1.20", "10.77.1.0/24")
	fabric := w.Driver.(compute.Fabric)
	second, third, further := netip.MustParseAddr("10.77.2.10"), netip.MustParseAddr("10.77.2.11"), netip.MustParseAddr("10.77.1.11")
	set := func(list ...compute.Interface) {
		t.Helper()
		w.Do(fabric.SetInterfaces(t.Context(), a.h, list))
	}
	answers := func(what string, to netip.Addr, want bool) {
		t.Helper()
		if got := b.call(to, 80) != ""; got != want {
			t.Errorf("%s: %s answered: %t, want %t", what, to, got, want)
		}
		if got := dial(to, 80) != ""; got != want {
			t.Errorf("%s: %s answered the host: %t, want %t", what, to, got, want)
		}
	}
	eth1 := compute.Interface{Index: 1, Address: second, Subnet: netip.MustParsePrefix("10.77.2.0/24"), Secondary: []netip.Addr{third}}
	set(compute.Interface{Secondary: []netip.Addr{further}}, eth1)
	set(compute.Interface{Secondary: []netip.Addr{further}}, eth1)
	for _, to := range []netip.Addr{a.addr, second, third, further} {
		answers("attached", to, true)
	}
	inNetworkOf(t, a.pid, func() {
		link, err := net.InterfaceByName("eth1")
		if err != nil || link.HardwareAddr.String() != hardware(second).String() {
			t.Errorf("eth1: %+v, %v", link, err)
		}
	})
	eth1.Secondary = nil
	set(eth1)
	answers("the second keeps its first address", second, true)
	answers("unassigned", third, false)
	answers("unassigned", further, false)
	set()
	answers("detached", second, false)
	answers("detached", a.addr, true)
	inNetworkOf(t, a.pid, func() {
		if _, err := net.InterfaceByName("eth1"); err == nil {
			t.Error("eth1 is still there")
		}
	})
}

func TestElasticAddressesStandForFurtherAddresses(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a, b := newBox(t, w, "10.77.1.10", "10.77.1.0/24"), newBox(t, w, "10.77.1.20", "10.77.1.0/24")
	second := netip.MustParseAddr("10.77.2.10")
	set := func(list ...compute.Interface) {
		t.Helper()
		w.Do(w.Driver.(compute.Fabric).SetInterfaces(t.Context(), a.h, list))
	}
	first := w.Driver.Network().Elastic.Addr().Next()
	ofFirst, ofSecond, ofOther := first, first.Next(), first.Next().Next()
	if err := w.Driver.AssignAddress(t.Context(), a.h, ofSecond, second); err == nil {
		t.Error("an address that the instance does not have got an elastic one")
	}
	set(compute.Interface{Index: 1, Address: second, Subnet: netip.MustParsePrefix("10.77.2.0/24")})
	w.Do(w.Driver.AssignAddress(t.Context(), a.h, ofFirst, a.addr))
	w.Do(w.Driver.AssignAddress(t.Context(), a.h, ofSecond, second))
	w.Do(w.Driver.AssignAddress(t.Context(), b.h, ofOther, netip.Addr{}))
	// A server on the second address alone, that tells which of its addresses was called.
	var ln net.Listener
	inNetworkOf(t, a.pid, func() {
		var err error
		if ln, err = net.Listen("tcp4", netip.AddrPortFrom(second, 90).String()); err != nil {
			t.Error(err)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprint(c, "second")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	for _, tt := range []struct {
		what string
		got  string
		want string
	}{
		{"the host calls the second's", dial(ofSecond, 90), "second"},
		{"a neighbour calls the second's", b.call(ofSecond, 90), "second"},
		{"a neighbour calls the first's", b.call(ofFirst, 90), ""},
		{"from the first", a.call(ofOther, 80), ofFirst.String()},
		{"from the second", a.callFrom(second, ofOther, 80), ofSecond.String()},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: answered %q, want %q", tt.what, tt.got, tt.want)
		}
	}
	set() // the interface goes, and what stood for it
	if got := dial(ofSecond, 80); got != "" {
		t.Errorf("after the interface was detached: %q", got)
	}
	if got := dial(ofFirst, 80); got == "" {
		t.Error("the first's elastic address does not answer any more")
	}
}

// callFrom is call by way of one of the instance's own addresses.
func (b *box) callFrom(from, to netip.Addr, port uint16) string {
	b.t.Helper()
	var got string
	inNetworkOf(b.t, b.pid, func() {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 400 * time.Millisecond}
		c, err := d.Dial("tcp4", netip.AddrPortFrom(to, port).String())
		if err != nil {
			return
		}
		defer c.Close()
		said, _ := io.ReadAll(c)
		got = string(said)
	})
	return got
}
