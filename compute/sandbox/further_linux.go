package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/keeper"
)

// SetInterfaces makes the instance's further interfaces and addresses just these.
func (d *Driver) SetInterfaces(ctx context.Context, h compute.Handle, list []compute.Interface) error {
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return fmt.Errorf("sandbox: interfaces: %w", err)
	}
	defer release()
	if err := d.setInterfaces(in, list); err != nil {
		return fmt.Errorf("sandbox: interfaces of %s: %w", h.ID, err)
	}
	return nil
}

func (d *Driver) setInterfaces(in *keeper.Instance, list []compute.Interface) error {
	had := in.Record().Spec
	if len(list) == 0 && len(had.Interfaces) == 0 {
		return nil
	}
	next := had
	next.Interfaces = list
	if gone := without(had, next); len(gone) > 0 {
		for ip, private := range in.Record().Behind {
			if slices.Contains(gone, private) {
				if err := errors.Join(d.unroute(in, ip), d.drop(in, ip)); err != nil {
					return err
				}
			}
		}
		for _, i := range had.Interfaces {
			if i.Index > 0 && !slices.ContainsFunc(list, func(o compute.Interface) bool { return o.Index == i.Index && o.Address == i.Address }) {
				d.net.disconnect(furtherID(in.ID, i.Index))
			}
		}
		for _, a := range gone {
			d.net.forget(a)
		}
	}
	for _, i := range list {
		for _, a := range i.Addresses() {
			if err := d.net.usable(a, i.Subnet); i.Index > 0 && err != nil {
				return err
			}
		}
	}
	if err := in.Change(func(r *keeper.Record) { r.Spec = next }); err != nil {
		return err
	}
	if !in.Record().Process.Alive() {
		return nil
	}
	return d.extend(in, without(had, next))
}

// own are all private addresses of an instance.
func own(spec compute.Spec) []netip.Addr {
	out := []netip.Addr{spec.Address}
	for _, i := range spec.Interfaces {
		out = append(out, i.Addresses()...)
	}
	return out
}

// without are the addresses of one spec that another lacks.
func without(had, next compute.Spec) []netip.Addr {
	keep := own(next)
	return slices.DeleteFunc(own(had), func(a netip.Addr) bool { return slices.Contains(keep, a) })
}

// furtherID names the cable of an interface beside the first.
func furtherID(id string, index int) string { return id + "/eth" + strconv.Itoa(index) }

// allowed are the addresses that the instance may send from, by any port.
func allowed(rec keeper.Record) []netip.Addr { return append(own(rec.Spec), rec.Elastic...) }

// extend gives a running instance what its record has beside eth0's first address,
// and takes addresses away that it no longer has.
func (d *Driver) extend(in *keeper.Instance, gone []netip.Addr) error {
	rec := in.Record()
	if len(rec.Spec.Interfaces) == 0 && len(gone) == 0 {
		return nil
	}
	n, pid := d.net, rec.Process.PID
	if err := n.guard(n.port(in.ID), allowed(rec)...); err != nil {
		return err
	}
	for _, i := range rec.Spec.Interfaces {
		mac := rec.Spec.Address
		if i.Index > 0 {
			at := furtherID(in.ID, i.Index)
			mac = i.Address
			if err := n.plug(at, pid, i); err != nil {
				return err
			}
			if err := n.guard(n.port(at), allowed(rec)...); err != nil {
				return err
			}
		}
		for _, a := range i.Addresses() {
			if err := n.lead(a, mac); err != nil {
				return err
			}
		}
	}
	return n.inside(pid, func(h *netlink.Handle) error {
		for _, i := range rec.Spec.Interfaces {
			if err := n.addresses(h, i); err != nil {
				return err
			}
		}
		return remove(h, gone)
	})
}

// plug lays the cable of an interface, where it is not there.
func (n *network) plug(at string, pid int, i compute.Interface) error {
	if _, err := netlink.LinkByName(n.port(at)); err == nil {
		return nil
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex = n.port(at), n.mtu, n.index
	cable := &netlink.Veth{
		LinkAttrs: attrs, PeerName: "eth" + strconv.Itoa(i.Index), PeerMTU: uint32(n.mtu),
		PeerHardwareAddr: hardware(i.Address), PeerNamespace: netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("cable to %s: %w", n.bridge, err)
	}
	host, err := netlink.LinkByName(n.port(at))
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(host); err != nil {
		return err
	}
	return n.pin(host, i.Address)
}

// lead has what goes to an address arrive where another's hardware address is.
func (n *network) lead(ip, at netip.Addr) error {
	err := netlink.NeighSet(&netlink.Neigh{
		LinkIndex: n.index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: ip.AsSlice(), HardwareAddr: hardware(at),
	})
	if err == nil && !n.saved.Instances.Contains(ip) {
		err = netlink.RouteReplace(n.routeTo(ip))
	}
	if err != nil {
		return fmt.Errorf("lead to %s: %w", ip, err)
	}
	return nil
}

// addresses gives an interface within the instance its addresses.
func (n *network) addresses(h *netlink.Handle, i compute.Interface) error {
	eth, err := h.LinkByName("eth" + strconv.Itoa(i.Index))
	if err != nil {
		return err
	}
	for _, a := range i.Addresses() {
		bits := 32
		if a == i.Address {
			bits = i.Subnet.Bits()
		}
		addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, bits)), Flags: unix.IFA_F_NOPREFIXROUTE}
		if err := h.AddrReplace(eth, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	return h.LinkSetUp(eth)
}

// remove takes addresses off whatever interface within the instance has them.
func remove(h *netlink.Handle, gone []netip.Addr) error {
	all, err := h.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, a := range all {
		p, ok := prefixOf(a.IPNet)
		if !ok || !slices.Contains(gone, p.Addr()) {
			continue
		}
		link, err := h.LinkByIndex(a.LinkIndex)
		if err != nil {
			continue
		}
		if err := h.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
	}
	return nil
}
