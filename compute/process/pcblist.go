//go:build linux || darwin

package process

import (
	"encoding/binary"
	"net/netip"
)

// Kinds of records in darwin's net.inet.tcp.pcblist_n, and what of them is read:
// struct xinpcb_n (netinet/in_pcb.h) and struct xtcpcb_n (netinet/tcp_var.h),
// which the kernel packs to words of four bytes.
const (
	kindSocket   = 0x10 // XSO_INPCB: addresses
	kindTCP      = 0x20 // XSO_TCPCB: the state; it comes after its socket's addresses
	localPortAt  = 18   // big-endian
	familyAt     = 44
	localIPv4At  = 76
	tcpStateAt   = 36
	familyIPv4   = 0x1
	stateListens = 1
)

// listeningIn is the TCP ports of the list that someone listens on at the
// address. A list that is cut off, or of another form, has what was read of it.
func listeningIn(list []byte, ip netip.Addr) map[uint16]bool {
	ports := map[uint16]bool{}
	var port uint16
	var here bool
	for first := true; len(list) >= 8; first = false {
		size, kind := binary.NativeEndian.Uint32(list), binary.NativeEndian.Uint32(list[4:])
		if size < 8 || uint64(size) > uint64(len(list)) {
			break
		}
		record := list[:size]
		list = list[min((int(size)+7)&^7, len(list)):]
		switch {
		case first: // a heading, with no kind
		case kind == kindSocket && size >= localIPv4At+4:
			local, _ := netip.AddrFromSlice(record[localIPv4At : localIPv4At+4])
			here = record[familyAt]&familyIPv4 != 0 && local == ip
			port = binary.BigEndian.Uint16(record[localPortAt:])
		case kind == kindTCP && size >= tcpStateAt+4:
			if here && port != 0 && binary.NativeEndian.Uint32(record[tcpStateAt:]) == stateListens {
				ports[port] = true
			}
			here = false
		}
	}
	return ports
}
