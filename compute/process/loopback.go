//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

// fewAddresses is a system that has only 127.0.0.1 until its owner adds others.
// The ranges are small there, so that all of them can be added with one command:
// 33 instances, in the default VPC's three subnets, and 14 elastic addresses.
func fewAddresses(has func(netip.Addr) error) system {
	return system{instances: 26, elastic: 28, has: has, bySession: true, marks: true}
}

// aliased tells whether an address is on lo0. Adding one needs root, and changes
// the host's network: that is for the host's owner to do.
func aliased(ip netip.Addr) error {
	l, err := net.Listen("tcp4", netip.AddrPortFrom(ip, 0).String())
	if err == nil {
		return l.Close()
	}
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return missing(ip)
	}
	return err
}

// missing is the error for an address that the host lacks.
func missing(ip netip.Addr) error {
	return fmt.Errorf("%s is not on this host's loopback interface, where only 127.0.0.1 is by default: add it with 'sudo ifconfig lo0 alias %s', "+
		"or all of them with the command that 'slipway doctor' tells: %w", ip, ip, compute.ErrNoAddress)
}

// probeAddresses looks which of a folder's addresses the host lacks.
func probeAddresses(s system, dir string) []compute.Finding {
	n, err := s.networkIn(dir)
	if err != nil {
		return []compute.Finding{{Check: "instances' addresses", Detail: err.Error(), Remedy: "restore the backup on the system that it was made on"}}
	}
	var out []compute.Finding
	for _, r := range []struct {
		check, without string
		prefix         netip.Prefix
	}{
		{"instances' addresses", "instances with one of them cannot start", n.Instances},
		{"elastic addresses", "there are no public addresses", n.Elastic},
	} {
		f := compute.Finding{Check: r.check, OK: true, Detail: fmt.Sprintf("all of %s can be used", r.prefix)}
		all, lacking := 0, 0
		for ip := first(r.prefix); ip != last(r.prefix); ip = ip.Next() {
			all++
			if s.has(ip) != nil {
				lacking++
			}
		}
		if lacking > 0 {
			f.OK, f.Detail = false, fmt.Sprintf("%d of the %d addresses of %s are not on the loopback interface: %s", lacking, all, r.prefix, r.without)
			f.Remedy = aliasCommand(r.prefix) + " (again after each boot of this host), then restart Slipway"
		}
		out = append(out, f)
	}
	return out
}

// aliasCommand adds all of a range that lies within 256 addresses.
func aliasCommand(p netip.Prefix) string {
	from, to := first(p).As4(), last(p).As4()
	return fmt.Sprintf("sudo sh -c 'for n in $(seq %d %d); do ifconfig lo0 alias %d.%d.%d.$n; done'", from[3], to[3]-1, from[0], from[1], from[2])
}
