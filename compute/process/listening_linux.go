package process

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// listening is the TCP ports that someone listens on at the address, from
// /proc/net/tcp ("proc_pid_net(5)"): state 0A is LISTEN, addresses are
// hexadecimal in the host's byte order.
func listening(ip netip.Addr) map[uint16]bool {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil
	}
	ports := map[uint16]bool{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 4 || f[3] != "0A" {
			continue
		}
		host, port, ok := strings.Cut(f[1], ":")
		raw, err := hex.DecodeString(host)
		if !ok || err != nil || len(raw) != 4 {
			continue
		}
		if littleEndian {
			slices.Reverse(raw)
		}
		if a, _ := netip.AddrFromSlice(raw); a != ip {
			continue
		}
		if n, err := strconv.ParseUint(port, 16, 16); err == nil && n != 0 {
			ports[uint16(n)] = true
		}
	}
	return ports
}
