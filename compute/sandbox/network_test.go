//go:build linux

package sandbox

import (
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/slipway/slipway/compute/computetest"
)

func TestChooseTakesTheFirstFreeRange(t *testing.T) {
	p := netip.MustParsePrefix
	from := []netip.Prefix{p("172.31.0.0/16"), p("172.30.0.0/16"), p("10.231.0.0/16")}
	for _, tt := range []struct {
		used []netip.Prefix
		want string
	}{
		{nil, "172.31.0.0/16"},
		{[]netip.Prefix{p("192.168.0.0/16")}, "172.31.0.0/16"},
		{[]netip.Prefix{p("172.31.7.0/24")}, "172.30.0.0/16"},
		{[]netip.Prefix{p("172.16.0.0/12")}, "10.231.0.0/16"},
		{[]netip.Prefix{p("172.16.0.0/12"), p("10.0.0.0/8")}, ""},
	} {
		got, err := choose(from, tt.used)
		if (err != nil) != (tt.want == "") || err == nil && got.String() != tt.want {
			t.Errorf("with %v: %v, %v, want %s", tt.used, got, err, tt.want)
		}
	}
	instances, elastic := candidates()
	if instances[0] != p("172.31.0.0/16") || !elastic[0].Overlaps(p("198.18.0.0/16")) || elastic[31] != p("198.19.240.0/20") {
		t.Errorf("candidates %v ... and %v ... %v", instances[0], elastic[0], elastic[31])
	}
}

// outside is another machine as far as instances can tell: a network namespace
// that this host has a cable to, and that knows of no instances.
type outside struct {
	ns       netns.NsHandle
	addr     netip.Addr
	instance chan netip.Addr // what outside dials
	dialed   chan error
}

// newOutside makes it. Its one thread accepts connections and tells each who it
// is, and dials what it is told to.
func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{addr: netip.MustParseAddr("203.0.113.2"), instance: make(chan netip.Addr), dialed: make(chan error)}
	made, done := make(chan error), make(chan struct{})
	var ln net.Listener
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the namespace ends with the thread
		own, err := netns.Get()
		if err == nil {
			o.ns, err = netns.New()
		}
		if err == nil {
			err = cable(own, o.ns)
		}
		if err == nil {
			ln, err = net.Listen("tcp4", netip.AddrPortFrom(o.addr, 7000).String())
		}
		made <- err
		for ip := range o.instance {
			c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(ip, 8080).String(), 300*time.Millisecond)
			if err == nil {
				_ = c.Close()
			}
			o.dialed <- err
		}
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "you are "+netip.MustParseAddrPort(c.RemoteAddr().String()).Addr().String()+"\n")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-accepted
		close(o.instance)
		<-done
		if link, err := netlink.LinkByName("slt-host"); err == nil {
			_ = netlink.LinkDel(link)
		}
		_ = o.ns.Close()
	})
	return o
}

// cable connects the namespaces: 203.0.113.1 here, 203.0.113.2 there.
func cable(here, there netns.NsHandle) error {
	h, err := netlink.NewHandleAt(here)
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "slt-host"
	if err := h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(there)}); err != nil {
		return err
	}
	up := func(h *netlink.Handle, name, addr string) error {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		if err := h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(addr))}); err != nil {
			return err
		}
		return h.LinkSetUp(link)
	}
	if err := up(h, "slt-host", "203.0.113.1/24"); err != nil {
		return err
	}
	t, err := netlink.NewHandleAt(there)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := up(t, "eth0", "203.0.113.2/24"); err != nil {
		return err
	}
	eth, err := t.LinkByName("eth0")
	if err != nil {
		return err
	}
	return t.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: net.IPv4(203, 0, 113, 1)})
}

func TestTheWayOutIsOneWay(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	o := newOutside(t)
	if err := write("/proc/sys/net/ipv4/conf/slt-host/forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	spec := w.Spec(`#!/bin/bash
cat < /dev/tcp/` + o.addr.String() + `/7000
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 8080, Listen => 1) or die; print STDERR "listening\n"; sleep 1000'
`)
	h := w.Launch(spec)
	w.Console(h, "you are 203.0.113.1\n") // the host's address, as nobody out there knows the instance's
	w.Console(h, "listening\n")
	o.instance <- spec.Address
	if err := <-o.dialed; err == nil {
		t.Error("from outside the host a connection to the instance was made")
	}
	if c, err := net.Dial("tcp4", netip.AddrPortFrom(spec.Address, 8080).String()); err != nil {
		t.Errorf("from the host: %v", err)
	} else {
		_ = c.Close()
	}
}

// TestNobodyPosesAsAnother: an instance that takes a neighbour's address, and
// its hardware address too, gets none of the neighbour's metadata.
func TestNobodyPosesAsAnother(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	victim := w.Spec("#!/bin/sh\necho this is for the victim only\n")
	h := w.Launch(victim)
	w.Console(h, "victim only\n")
	thief := w.Spec(`#!/bin/bash
fetch='perl -MIO::Socket::INET -e '"'"'$s = IO::Socket::INET->new(PeerAddr => "169.254.169.254:80", Timeout => 2, @ARGV) or die "no answer\n";
	print $s "PUT /latest/api/token HTTP/1.0\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"; print "stolen\n" if <$s> =~ / 200 /'"'"
eval "$fetch" | sed s/stolen/own/
ip addr add ` + victim.Address.String() + `/16 dev eth0
eval "timeout 5 $fetch LocalAddr ` + victim.Address.String() + `"
ip link set eth0 down
ip link set eth0 address ` + hardware(victim.Address).String() + `
ip link set eth0 up
ip addr flush dev eth0
ip addr add ` + victim.Address.String() + `/16 dev eth0
ip route add default via ` + w.Driver.Network().Gateway.String() + `
eval "timeout 5 $fetch"
echo tried twice
`)
	th := w.Launch(thief)
	got := w.Console(th, "tried twice\n")
	if !strings.Contains(got, "own\n") || strings.Contains(got, "stolen") {
		t.Errorf("console:\n%s", got)
	}
}
