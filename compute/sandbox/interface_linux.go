package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute/keeper"
)

// port is the name of the host's end of the instance's cable.
func (n *network) port(id string) string {
	return "slv" + arn.Hash(n.bridge + id)[:12]
}

// connect gives the process's network namespace its interface: a cable to the
// bridge, addresses and routes. It begins anew where a crash left half of it.
func (n *network) connect(id string, pid int, own netip.Prefix, rec keeper.Record) error {
	ip, elastic := own.Addr(), rec.Elastic
	n.disconnect(id)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex, attrs.Flags = n.port(id), n.mtu, n.index, net.FlagUp
	cable := &netlink.Veth{
		LinkAttrs: attrs, PeerName: "eth0", PeerMTU: uint32(n.mtu),
		PeerHardwareAddr: hardware(ip), PeerNamespace: netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("cable to %s: %w", n.bridge, err)
	}
	host, err := netlink.LinkByName(n.port(id))
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(host); err != nil {
		return err
	}
	if err := n.pin(host, ip); err != nil {
		return err
	}
	if err := n.guard(n.port(id), append([]netip.Addr{ip}, elastic...)...); err != nil {
		return fmt.Errorf("guard the port: %w", err)
	}
	if err := n.inside(pid, func(h *netlink.Handle) error { return n.configure(h, own, elastic) }); err != nil {
		return err
	}
	n.translate(pid, rec)
	return nil
}

// pin ties the addresses to the port: the host never asks who has the IP
// address, and the bridge never learns the hardware address elsewhere. An
// instance that takes another's address gets no answer, so it cannot pose as
// the other before the metadata service.
func (n *network) pin(port netlink.Link, ip netip.Addr) error {
	if err := netlink.LinkSetLearning(port, false); err != nil {
		return fmt.Errorf("switch off learning: %w", err)
	}
	// No port leads to another: all that passes between instances is routed, and
	// so filtered, by the host.
	if err := netlink.LinkSetIsolated(port, true); err != nil {
		return fmt.Errorf("isolate: %w", err)
	}
	for _, entry := range []*netlink.Neigh{
		{LinkIndex: port.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP, Flags: netlink.NTF_MASTER},
		{LinkIndex: n.index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: ip.AsSlice()},
	} {
		entry.HardwareAddr = hardware(ip)
		if err := netlink.NeighSet(entry); err != nil {
			return fmt.Errorf("pin %s: %w", ip, err)
		}
	}
	if n.saved.Instances.Contains(ip) {
		return nil
	}
	err := netlink.RouteReplace(n.routeTo(ip))
	if err != nil {
		return fmt.Errorf("route to %s: %w", ip, err)
	}
	return nil
}

// routeTo leads to an address outside of the default VPC's range.
func (n *network) routeTo(ip netip.Addr) *netlink.Route {
	return &netlink.Route{
		Dst: ipNet(netip.PrefixFrom(ip, 32)), LinkIndex: n.index, Scope: netlink.SCOPE_LINK, Src: n.gateway().AsSlice(), Table: unix.RT_TABLE_MAIN,
	}
}

// inside opens a netlink socket in the process's network namespace.
func (n *network) inside(pid int, do func(*netlink.Handle) error) error {
	ns, err := netns.GetFromPath("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return fmt.Errorf("network namespace of %d: %w", pid, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	return do(h)
}

// configure sets up the interfaces within the instance.
func (n *network) configure(h *netlink.Handle, own netip.Prefix, elastic []netip.Addr) error {
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := h.LinkSetUp(lo); err != nil {
		return err
	}
	eth, err := h.LinkByName("eth0")
	if err != nil {
		return err
	}
	// It shows its subnet's mask, but reaches its neighbours through the host.
	addr := &netlink.Addr{IPNet: ipNet(own), Flags: unix.IFA_F_NOPREFIXROUTE}
	if err := h.AddrAdd(eth, addr); err != nil {
		return fmt.Errorf("address %s: %w", own, err)
	}
	for _, e := range elastic {
		if err := h.AddrReplace(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(e, 32))}); err != nil {
			return fmt.Errorf("address %s: %w", e, err)
		}
	}
	if err := h.LinkSetUp(eth); err != nil {
		return err
	}
	// No other instance can pose as the gateway, and so as the metadata service.
	err = h.NeighSet(&netlink.Neigh{
		LinkIndex: eth.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: n.gateway().AsSlice(), HardwareAddr: n.mac,
	})
	if err != nil {
		return fmt.Errorf("pin the gateway: %w", err)
	}
	err = h.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Dst: ipNet(netip.PrefixFrom(n.gateway(), 32)), Scope: netlink.SCOPE_LINK})
	if err != nil {
		return fmt.Errorf("route to the gateway: %w", err)
	}
	err = h.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: n.gateway().AsSlice(), Src: own.Addr().AsSlice()})
	if err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	return nil
}

// disconnect removes the cable. The kernel does so, too, some time after the
// instance's last process; a new one must not wait for it.
func (n *network) disconnect(id string) {
	if link, err := netlink.LinkByName(n.port(id)); err == nil {
		_ = netlink.LinkDel(link)
		n.unguard(n.port(id))
	}
}

// forget lets the host forget the instance's hardware address.
func (n *network) forget(ip netip.Addr) {
	if ip.Is4() {
		_ = netlink.NeighDel(&netlink.Neigh{LinkIndex: n.index, IP: ip.AsSlice(), Family: unix.AF_INET})
		if !n.saved.Instances.Contains(ip) {
			_ = netlink.RouteDel(n.routeTo(ip))
		}
	}
}

// routeElastic sends the elastic address to the instance that has the address
// "to"; an invalid one makes it unreachable. Replacing is atomic.
func (n *network) routeElastic(ip, to netip.Addr) error {
	route := &netlink.Route{Dst: ipNet(netip.PrefixFrom(ip, 32)), Table: unix.RT_TABLE_MAIN}
	if !to.IsValid() {
		if err := netlink.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("route of %s: %w", ip, err)
		}
		return nil
	}
	route.LinkIndex, route.Gw, route.Src = n.index, to.AsSlice(), n.gateway().AsSlice()
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route of %s: %w", ip, err)
	}
	return nil
}

// addElastic makes the address one of the instance's own.
func (n *network) addElastic(pid int, ip netip.Addr) error {
	return n.inside(pid, func(h *netlink.Handle) error {
		eth, err := h.LinkByName("eth0")
		if err != nil {
			return err
		}
		return h.AddrReplace(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(ip, 32))})
	})
}

// removeElastic takes it away; one that is not there is no error.
func (n *network) removeElastic(pid int, ip netip.Addr) error {
	return n.inside(pid, func(h *netlink.Handle) error {
		eth, err := h.LinkByName("eth0")
		if err != nil {
			return err
		}
		err = h.AddrDel(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(ip, 32))})
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil
		}
		return err
	})
}

// ListenMetadata listens where instances of this driver find the metadata
// service: on 169.254.169.254:80 of its bridge, and nowhere else on the host.
func (d *Driver) ListenMetadata(ctx context.Context) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		control := func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1); err == nil {
				err = unix.BindToDevice(int(fd), d.net.bridge)
			}
		}
		return errors.Join(c.Control(control), err)
	}}
	ln, err := lc.Listen(ctx, "tcp4", metadataAddress.String())
	if err != nil {
		return nil, fmt.Errorf("sandbox: listen for metadata requests: %w", err)
	}
	return ln, nil
}
