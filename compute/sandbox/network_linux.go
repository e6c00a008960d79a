package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

// network is the host's side: a bridge, the ranges behind it, the way out.
// What it changed on the host is in its file, so that Clean can change it back.
type network struct {
	path   string
	log    *slog.Logger
	bridge string // name of the bridge and of the nftables table
	index  int
	mac    net.HardwareAddr
	mtu    int
	saved  savedNetwork

	// routed says that the kernel filters and translates; guards, that it does so
	// on bridges.
	routed, guards bool

	applying sync.Mutex
	applied  string // the policy in force, as text; "" before the first
	policy   *compute.Policy
	own      ownPorts
	admitted []uint16 // ports of the gateway that instances reach; see AdmitToHost
}

// networkFile is the network's, in the driver's folder.
const networkFile = "network.json"

type savedNetwork struct {
	Instances netip.Prefix `json:"instances"`
	Elastic   netip.Prefix `json:"elastic"`
	// Enclosures are the addresses of functions' environments, which are in no VPC.
	Enclosures netip.Prefix `json:"enclosures,omitzero"`
	// Forwarding is the interfaces on which forwarding was off before.
	Forwarding []string `json:"forwarding,omitempty"`
	// Enforced says that there was a policy: without its table nothing passes
	// until there is one again.
	Enforced bool `json:"enforced,omitempty"`
}

var metadataAddress = netip.MustParseAddrPort("169.254.169.254:80")

// metadataTable is the routing table, shared by all drivers on a host, that
// makes the metadata address local for what comes in on their bridges only:
// the host's own metadata service, if it has one, stays reachable.
const metadataTable, metadataPriority = 25416, 5416

func openNetwork(path, tag string, log *slog.Logger) (*network, error) {
	n := &network{path: path, log: log, bridge: bridgePrefix + tag}
	// Two Slipways that start at the same time must not take the same range.
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "slipway-network.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &n.saved)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := n.chooseRanges(); err != nil {
		return nil, err
	}
	if err := n.makeBridge(); err != nil {
		return nil, err
	}
	if err := n.makeRoutes(); err != nil {
		return nil, err
	}
	if err := n.openFilter(); err != nil {
		n.log.Warn("security groups are not enforced, and there are no VPCs but the default one", "error", err)
	}
	if err := n.openOutbound(); err != nil {
		n.log.Warn("instances have no way out of this host", "error", err)
	}
	return n, n.save()
}

// Ranges are the addresses of a driver's folder, for a backup; none where it was
// never opened.
func Ranges(dir string) (compute.Ranges, error) {
	var saved savedNetwork
	b, err := os.ReadFile(filepath.Join(dir, networkFile))
	if err == nil {
		err = json.Unmarshal(b, &saved)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return compute.Ranges{Instances: saved.Instances, Elastic: saved.Elastic}, err
}

func (n *network) save() error {
	b, err := json.Marshal(n.saved)
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.path+".tmp", b, 0o600); err != nil {
		return err
	}
	return os.Rename(n.path+".tmp", n.path)
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), bits), ok
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (n *network) gateway() netip.Addr { return n.saved.Instances.Addr().Next() }

func (n *network) offer() compute.Network {
	return compute.Network{
		Instances: n.saved.Instances, Elastic: n.saved.Elastic, Gateway: n.gateway(), Metadata: metadataAddress, Routed: n.routed,
	}
}

// usable refuses an address that no instance can have: what the host itself uses
// cannot be an instance's, too.
func (n *network) usable(ip netip.Addr, subnet netip.Prefix) error {
	own := n.saved.Instances
	if own.Contains(ip) {
		if ip == n.gateway() || ip == own.Addr() {
			return fmt.Errorf("address %s is the host's own", ip)
		}
		return nil
	}
	if !n.routed || !ip.Is4() || !subnet.IsValid() || !subnet.Contains(ip) || !ip.IsPrivate() && !sharedSpace.Contains(ip) {
		return fmt.Errorf("address %s is not one for instances in %s", ip, own)
	}
	used, err := n.inUse()
	if err != nil {
		return err
	}
	for _, u := range used {
		if u.Contains(ip) {
			return fmt.Errorf("address %s is in %s, which the host uses: %w", ip, u, compute.ErrAddressBusy)
		}
	}
	return nil
}

// sharedSpace is that of RFC 6598, which VPCs may have.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// prefixIn is an instance's address with the mask of its subnet.
func (n *network) prefixIn(spec compute.Spec) netip.Prefix {
	bits := n.saved.Instances.Bits()
	if spec.Subnet.IsValid() {
		bits = spec.Subnet.Bits()
	}
	return netip.PrefixFrom(spec.Address, bits)
}

// makeBridge makes the bridge or finds it, with the gateway's address.
func (n *network) makeBridge() error {
	n.mtu = defaultMTU()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = n.bridge, n.mtu
	attrs.HardwareAddr = hardware(n.gateway())
	link := netlink.Link(&netlink.Bridge{LinkAttrs: attrs})
	if err := netlink.LinkAdd(link); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make bridge %s: %w", n.bridge, err)
	}
	link, err := netlink.LinkByName(n.bridge)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", n.bridge, err)
	}
	n.index, n.mac = link.Attrs().Index, link.Attrs().HardwareAddr
	// No router advertisements, no link-local chatter, no redirects towards
	// instances that would then bypass elastic addresses.
	for file, value := range map[string]string{
		"ipv6/conf/" + n.bridge + "/disable_ipv6":   "1",
		"ipv4/conf/" + n.bridge + "/send_redirects": "0",
		"ipv4/conf/" + n.bridge + "/forwarding":     "1",
	} {
		if err := write("/proc/sys/net/"+file, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("bridge %s: %w", n.bridge, err)
		}
	}
	addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(n.gateway(), n.saved.Instances.Bits()))}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("address %s of bridge %s: %w", addr, n.bridge, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bridge %s up: %w", n.bridge, err)
	}
	return nil
}

// makeRoutes claims the elastic range, so that an address that nobody has is
// answered at once with "unreachable", and makes the metadata address local
// for what comes in on the bridge.
func (n *network) makeRoutes() error {
	claim := &netlink.Route{Dst: ipNet(n.saved.Elastic), Type: unix.RTN_UNREACHABLE, Table: unix.RT_TABLE_MAIN}
	if err := netlink.RouteReplace(claim); err != nil {
		return fmt.Errorf("claim %s: %w", n.saved.Elastic, err)
	}
	if n.saved.Enclosures.IsValid() {
		claim.Dst = ipNet(n.saved.Enclosures)
		if err := netlink.RouteReplace(claim); err != nil {
			return fmt.Errorf("claim %s: %w", n.saved.Enclosures, err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	local := &netlink.Route{
		Dst: ipNet(netip.PrefixFrom(metadataAddress.Addr(), 32)), Type: unix.RTN_LOCAL,
		Scope: netlink.SCOPE_HOST, LinkIndex: lo.Attrs().Index, Table: metadataTable,
	}
	if err := netlink.RouteReplace(local); err != nil {
		return fmt.Errorf("route of the metadata address: %w", err)
	}
	if err := netlink.RuleAdd(n.metadataRule()); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("rule for the metadata address: %w", err)
	}
	return nil
}

// removeMetadataRoute removes the route that drivers share, once no rule of theirs
// leads to it; unix.ESRCH where there is nothing to remove.
func removeMetadataRoute() error {
	rules, err := netlink.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rules, func(r netlink.Rule) bool { return r.Table == metadataTable }) {
		return unix.ESRCH
	}
	return netlink.RouteDel(&netlink.Route{
		Dst: ipNet(netip.PrefixFrom(metadataAddress.Addr(), 32)), Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST, Table: metadataTable,
	})
}

func (n *network) metadataRule() *netlink.Rule {
	r := netlink.NewRule()
	r.Family = unix.AF_INET
	r.IifName, r.Dst = n.bridge, ipNet(netip.PrefixFrom(metadataAddress.Addr(), 32))
	r.Table, r.Priority = metadataTable, metadataPriority
	return r
}

// hardware derives the hardware address from the IP address, as a locally
// administered one: a moved or restarted instance keeps its.
func hardware(ip netip.Addr) net.HardwareAddr {
	b := ip.As4()
	return net.HardwareAddr{0x02, 0x5c, b[0], b[1], b[2], b[3]}
}

// defaultMTU is that of the way out, so that no packet has to be cut there.
func defaultMTU() int {
	mtu := 1500
	for _, link := range outbound() {
		mtu = min(mtu, link.Attrs().MTU)
	}
	return mtu
}

// outbound is the interfaces of the host's default routes.
func outbound() []netlink.Link {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil
	}
	var links []netlink.Link
	for _, r := range routes {
		if p, ok := prefixOf(r.Dst); r.Dst != nil && (!ok || p.Bits() != 0) {
			continue
		}
		if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			links = append(links, link)
		}
	}
	return links
}

// openFilter makes the tables of nftables. One that is there has the policy of
// before, which is in force until the next is known.
func (n *network) openFilter() error {
	if !n.hasTable() {
		var closed *compute.Policy
		if n.saved.Enforced {
			closed = &compute.Policy{}
		}
		if err := n.replaceTable(closed); err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
	}
	n.routed = true
	if err := n.passForward(); err != nil {
		n.log.Warn("a firewall on this host may drop what instances send", "error", err)
	}
	if err := n.openGuard(); err != nil {
		n.log.Warn("instances are not kept from sending under others' addresses", "error", err)
		return nil
	}
	n.guards = true
	return nil
}

// noteEnforced keeps for the next start that there is a policy.
func (n *network) noteEnforced() error {
	if n.saved.Enforced {
		return nil
	}
	n.saved.Enforced = true
	return n.save()
}

// openOutbound lets instances out under the host's address.
func (n *network) openOutbound() error {
	links := outbound()
	if len(links) == 0 {
		return errors.New("this host has no default route")
	}
	if !n.routed {
		return errors.New("this host has no nftables")
	}
	for _, link := range links {
		path := "/proc/sys/net/ipv4/conf/" + link.Attrs().Name + "/forwarding"
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(b)) == "1" {
			continue
		}
		// Written down first: a crash in between must not lose it.
		n.saved.Forwarding = append(n.saved.Forwarding, link.Attrs().Name)
		if err := n.save(); err != nil {
			return err
		}
		if err := write(path, "1"); err != nil {
			return err
		}
	}
	return nil
}

// remove takes the host's side away and says what it was.
func (n *network) remove() (removed []string, err error) {
	removed, err = n.takeAway()
	if fileErr := os.Remove(n.path); fileErr == nil {
		removed = append(removed, n.path)
	} else if !errors.Is(fileErr, fs.ErrNotExist) {
		err = errors.Join(err, fileErr)
	}
	return removed, err
}

func (n *network) takeAway() (removed []string, err error) {
	var errs []error
	note := func(what string, err error) {
		switch {
		case err == nil:
			removed = append(removed, what)
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV):
			errs = append(errs, fmt.Errorf("remove %s: %w", what, err))
		}
	}
	for _, name := range n.saved.Forwarding {
		note("forwarding on "+name, write("/proc/sys/net/ipv4/conf/"+name+"/forwarding", "0"))
	}
	note("rules for "+n.bridge+" in firewalls of this host", n.unpassForward())
	note("nftables tables "+n.bridge, n.removeTables())
	note("rule for the metadata address", netlink.RuleDel(n.metadataRule()))
	note("route of the metadata address", removeMetadataRoute())
	for _, claimed := range []netip.Prefix{n.saved.Elastic, n.saved.Enclosures} {
		if claimed.IsValid() {
			note("claim of "+claimed.String(), netlink.RouteDel(&netlink.Route{
				Dst: ipNet(claimed), Type: unix.RTN_UNREACHABLE, Table: unix.RT_TABLE_MAIN}))
		}
	}
	if link, err := netlink.LinkByName(n.bridge); err == nil {
		note("bridge "+n.bridge, netlink.LinkDel(link))
	}
	return removed, errors.Join(errs...)
}
