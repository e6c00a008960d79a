package process

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// listening is the TCP ports that someone listens on at the address, from the
// list of sockets that netstat(1) reads.
func listening(ip netip.Addr) map[uint16]bool {
	list, err := unix.SysctlRaw("net.inet.tcp.pcblist_n")
	if err != nil {
		return nil
	}
	return listeningIn(list, ip)
}
