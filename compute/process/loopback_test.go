//go:build linux || darwin

package process

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/slipway/slipway/compute"
)

func TestAddressesThatTheHostLacks(t *testing.T) {
	dir := t.TempDir()
	network := func(s system) compute.Network {
		n, err := s.network(dir)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	none := fewAddresses(missing)
	n := network(none)
	if n.Elastic.IsValid() || n.Instances.Bits() != 26 {
		t.Errorf("network %+v, want no elastic addresses", n)
	}
	d := &Driver{system: none, network: n}
	ip := first(n.Instances)
	if err := d.onHost(ip); !errors.Is(err, compute.ErrNoAddress) || !strings.Contains(err.Error(), "sudo ifconfig lo0 alias "+ip.String()+"'") {
		t.Errorf("error %v", err)
	}
	if err := d.assign(nil, ip); !errors.Is(err, compute.ErrUnsupported) {
		t.Errorf("assign: %v", err)
	}
	for i, f := range probeAddresses(none, dir) {
		want := []string{"for n in $(seq 1 62); do ifconfig lo0 alias 127.", "for n in $(seq 1 14); do ifconfig lo0 alias 127."}[i]
		if f.OK || !strings.Contains(f.Remedy, want) {
			t.Errorf("finding %+v, want %q", f, want)
		}
	}
	// One that is lacking is enough for there to be no elastic addresses at all.
	var lacking netip.Addr
	some := fewAddresses(func(ip netip.Addr) error {
		if ip == lacking {
			return missing(ip)
		}
		return nil
	})
	if n = network(some); !n.Elastic.IsValid() {
		t.Errorf("network %+v, want elastic addresses", n)
	}
	for _, f := range probeAddresses(some, dir) {
		if !f.OK || f.Remedy != "" {
			t.Errorf("finding %+v, want it well", f)
		}
	}
	lacking = n.Elastic.Masked().Addr().Next()
	if got := network(some); got.Elastic.IsValid() || got.Instances != n.Instances {
		t.Errorf("network %+v without %s", got, lacking)
	}
}

func TestAliased(t *testing.T) {
	if err := aliased(netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Error(err)
	}
	if err := aliased(netip.MustParseAddr("192.0.2.1")); !errors.Is(err, compute.ErrNoAddress) {
		t.Errorf("an address of no host: %v", err)
	}
}

// pcb is a socket as darwin lists it: its addresses, what is of no interest here,
// and its state.
func pcb(ip string, port uint16, family byte, state uint32) []byte {
	record := func(size, kind uint32) []byte {
		b := make([]byte, (size+7)&^7)
		binary.NativeEndian.PutUint32(b, size)
		binary.NativeEndian.PutUint32(b[4:], kind)
		return b
	}
	addresses, between, tcp := record(104, 0x10), record(76, 0x01), record(204, 0x20)
	binary.BigEndian.PutUint16(addresses[16:], 9999)
	binary.BigEndian.PutUint16(addresses[18:], port)
	addresses[44] = family
	copy(addresses[60:], []byte{192, 0, 2, 9})
	copy(addresses[76:], netip.MustParseAddr(ip).AsSlice())
	binary.NativeEndian.PutUint32(tcp[36:], state)
	return append(append(addresses, between...), tcp...)
}

func TestListeningInDarwinsList(t *testing.T) {
	heading := make([]byte, 24)
	binary.NativeEndian.PutUint32(heading, 24)
	binary.NativeEndian.PutUint32(heading[4:], 5) // how many follow
	list := append([]byte{}, heading...)
	for _, s := range [][]byte{
		pcb("127.16.0.4", 8080, 1, 1),
		pcb("127.16.0.4", 8081, 1, 4), // connected
		pcb("127.16.0.5", 8082, 1, 1), // another's
		pcb("127.16.0.4", 8083, 2, 1), // IPv6
		pcb("127.16.0.4", 22, 1, 1),
	} {
		list = append(list, s...)
	}
	list = append(list, heading...)
	got := listeningIn(list, netip.MustParseAddr("127.16.0.4"))
	if len(got) != 2 || !got[8080] || !got[22] {
		t.Errorf("listening on %v, want 22 and 8080", got)
	}
	for cut := range list { // whatever is cut off, the parser ends
		if n := len(listeningIn(list[:cut], netip.MustParseAddr("127.16.0.4"))); n > 2 {
			t.Fatalf("%d ports in %d bytes", n, cut)
		}
	}
}
