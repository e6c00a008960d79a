//go:build linux

package sandbox

import (
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/slipway/slipway/compute"
)

// BenchmarkPolicy replaces the policy of many instances in 10 groups, as each
// launch does: it is part of the time from RunInstances to running.
func BenchmarkPolicy(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	d, err := New(Config{Dir: b.TempDir(), Slipway: exe})
	if err != nil {
		b.Skip(err)
	}
	defer d.Close()
	defer d.Clean(b.Context())
	for _, endpoints := range []int{40, 1000} {
		b.Run(strconv.Itoa(endpoints), func(b *testing.B) {
			p := compute.Policy{Tables: []compute.Table{{ID: "rtb", Routes: []compute.Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: compute.ViaNetwork, Network: "vpc"}}}}}
			for i := range 10 {
				p.Groups = append(p.Groups, compute.Group{ID: "sg-" + strconv.Itoa(i), In: []compute.PolicyRule{tcp(80, everywhere), tcp(81, nil, "sg-0")}, Out: anything()})
			}
			address := netip.MustParseAddr("10.77.0.10")
			for i := range endpoints {
				p.Endpoints = append(p.Endpoints, compute.Endpoint{Address: address, Network: "vpc", Table: "rtb", Groups: []string{"sg-" + strconv.Itoa(i%10)}})
				address = address.Next()
			}
			for i := 0; b.Loop(); i++ {
				p.Groups[0].In[0].To = 80 + i%2 // another policy each time
				if err := d.(compute.Fabric).ApplyPolicy(b.Context(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
