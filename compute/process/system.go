//go:build linux || darwin

package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
)

// system is what the driver cannot do in the same way on each system.
type system struct {
	// instances and elastic are the lengths of the prefixes of addresses.
	instances, elastic int
	// has is nil where each address of 127.0.0.0/8 is the host's; elsewhere it
	// tells why one is not.
	has func(netip.Addr) error
	// bySession says that an instance's processes are found by their session
	// (sessions.go); else by a mark in their environment alone (marks_linux.go).
	bySession bool
	// marks says that the mark can be read, at least of some processes.
	marks bool
}

// network is the addresses of a driver's folder that can be used now.
func (s system) network(dir string) (compute.Network, error) {
	n, err := s.networkIn(dir)
	if err != nil || s.has == nil {
		return n, err
	}
	// A Slipway whose instances cannot have public addresses does not offer any.
	for ip := first(n.Elastic); n.Elastic.IsValid() && ip != last(n.Elastic); ip = ip.Next() {
		if s.has(ip) != nil {
			n.Elastic = netip.Prefix{}
		}
	}
	return n, nil
}

// networkOf gives each data folder loopback addresses of its own, so that two
// Slipways of one host seldom meet; where they do, the address is told as busy.
func (s system) networkOf(dir string) compute.Network {
	n, _ := strconv.ParseUint(arn.Hash(dir)[:4], 16, 16)
	second := byte(16 + n%110*2)
	return compute.Network{
		Instances: netip.PrefixFrom(netip.AddrFrom4([4]byte{127, second}), s.instances),
		Elastic:   netip.PrefixFrom(netip.AddrFrom4([4]byte{127, second + 1}), s.elastic),
		Gateway:   netip.AddrFrom4([4]byte{127, 0, 0, 1}),
	}
}

// rangesFile names the addresses of a folder that came out of a backup: those of
// the folder that it was made of.
const rangesFile = "network.json"

// networkIn is the network of a driver's folder.
func (s system) networkIn(dir string) (compute.Network, error) {
	n := s.networkOf(dir)
	b, err := os.ReadFile(filepath.Join(dir, rangesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	var kept compute.Ranges
	if err == nil {
		err = json.Unmarshal(b, &kept)
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	if err == nil && !(loopback.Contains(kept.Instances.Addr()) && loopback.Contains(kept.Elastic.Addr()) &&
		kept.Instances.Bits() == s.instances && kept.Elastic.Bits() == s.elastic) {
		err = fmt.Errorf("%s: addresses %v and %v are not ones of this driver", rangesFile, kept.Instances, kept.Elastic)
	}
	n.Instances, n.Elastic = kept.Instances, kept.Elastic
	return n, err
}

// Ranges are the addresses of a driver's folder, for a backup.
func Ranges(dir string) (compute.Ranges, error) {
	n, err := thisSystem().networkIn(dir)
	return compute.Ranges{Instances: n.Instances, Elastic: n.Elastic}, err
}

// first and last bound the addresses of a prefix that are handed out.
func first(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }

func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// onHost tells why an address cannot be listened on here, where that is so.
func (d *Driver) onHost(ip netip.Addr) error {
	if d.system.has == nil {
		return nil
	}
	return d.system.has(ip)
}
