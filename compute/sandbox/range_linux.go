package sandbox

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// candidates are ranges for instances and elastic addresses, best first: the
// default VPC's own, then others; elastic ones are of RFC 2544's test range.
func candidates() (instances, elastic []netip.Prefix) {
	for i := 31; i >= 16; i-- {
		instances = append(instances, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(i)}), 16))
	}
	for i := 231; i >= 200; i-- {
		instances = append(instances, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16))
	}
	for i := range 32 {
		elastic = append(elastic, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18 + byte(i/16), byte(i % 16 * 16)}), 20))
	}
	return instances, elastic
}

// choose takes the first range that overlaps none in use.
func choose(from, used []netip.Prefix) (netip.Prefix, error) {
	for _, p := range from {
		free := true
		for _, u := range used {
			free = free && !u.Overlaps(p)
		}
		if free {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("all of %d address ranges from %v on are in use on this host", len(from), from[0])
}

// chooseRanges keeps the ranges of the last time: as long as the bridge is there,
// instances may live in them; later only unless they were taken since.
func (n *network) chooseRanges() (err error) {
	used, err := n.inUse()
	if err != nil {
		return err
	}
	instances, elastic := candidates()
	if _, err := netlink.LinkByName(n.bridge); err == nil && n.saved.Instances.IsValid() {
		n.chooseEnclosures(used)
		return nil
	}
	if n.saved.Instances.IsValid() {
		instances = append([]netip.Prefix{n.saved.Instances}, instances...)
		elastic = append([]netip.Prefix{n.saved.Elastic}, elastic...)
	}
	if n.saved.Instances, err = choose(instances, used); err != nil {
		return err
	}
	if n.saved.Elastic, err = choose(elastic, used); err != nil {
		return err
	}
	n.chooseEnclosures(used)
	return nil
}

// chooseEnclosures keeps the range of functions' environments, or takes another: of
// the test range, too, but from its other end, and of 510 addresses. A host that has
// none left runs no functions, and all else.
func (n *network) chooseEnclosures(used []netip.Prefix) {
	from := []netip.Prefix{}
	if n.saved.Enclosures.IsValid() {
		from = append(from, n.saved.Enclosures)
	}
	for i := 254; i >= 128; i -= 2 {
		from = append(from, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 19, byte(i)}), 23))
	}
	p, err := choose(from, append(used, n.saved.Elastic))
	if err != nil {
		n.log.Warn("there is no address range for functions", "error", err)
	}
	n.saved.Enclosures = p
}

// inUse is what the host routes or has addresses in, but for our own bridge
// and the claims that belong to it.
func (n *network) inUse() ([]netip.Prefix, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, 0)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	own := -1
	if link, err := netlink.LinkByName(n.bridge); err == nil {
		own = link.Attrs().Index
	}
	var used []netip.Prefix
	for _, r := range routes {
		p, ok := prefixOf(r.Dst)
		if !ok || p.Bits() == 0 || r.LinkIndex == own && own >= 0 || p == n.saved.Elastic || p == n.saved.Enclosures {
			continue
		}
		used = append(used, p)
	}
	return used, nil
}
