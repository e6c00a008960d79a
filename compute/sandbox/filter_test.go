//go:build linux

package sandbox

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

func TestNetworkACLsFilterPacketByPacket(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a, near, b := newBox(t, w, "10.77.1.10", "10.77.1.0/24"), newBox(t, w, "10.77.1.11", "10.77.1.0/24"), newBox(t, w, "10.77.2.10", "10.77.2.0/24")
	public := w.Driver.Network().Elastic.Addr().Next()
	w.Do(w.Driver.AssignAddress(t.Context(), a.h, public, netip.Addr{}))
	rule := func(pass bool, protocol, from, to int, prefix string) compute.FilterRule {
		return compute.FilterRule{Protocol: protocol, From: from, To: to, Prefix: netip.MustParsePrefix(prefix), Pass: pass}
	}
	every := []compute.FilterRule{rule(true, compute.AnyProtocol, 0, 0, "0.0.0.0/0")}
	answers := rule(true, 6, 1024, 65535, "0.0.0.0/0")
	type list = []compute.FilterRule
	for _, tt := range []struct {
		name    string
		in, out list    // of a's subnet
		want    [4]bool // a is called at 80 and 81, calls b at 80, is called at 80 by the host's public side
	}{
		{"everything passes", every, every, [4]bool{true, true, true, true}},
		{"without rules nothing does", nil, nil, [4]bool{}},
		{"answers are not let out", every, nil, [4]bool{}},
		{"answers are let out", list{rule(true, 6, 80, 80, "0.0.0.0/0")}, list{answers}, [4]bool{true, false, false, true}},
		{"answers are not let in", list{rule(true, 6, 80, 80, "0.0.0.0/0")}, every, [4]bool{true, false, false, true}},
		{"answers are let in", list{rule(true, 6, 80, 80, "0.0.0.0/0"), answers}, every, [4]bool{true, false, true, true}},
		{"the first rule decides", list{rule(false, 6, 80, 80, "10.77.2.0/24"), rule(true, compute.AnyProtocol, 0, 0, "0.0.0.0/0")}, every, [4]bool{false, true, true, true}},
		{"a rule before another", list{rule(true, 6, 80, 80, "10.77.2.0/24"), rule(false, 6, 0, 65535, "0.0.0.0/0"), rule(true, compute.AnyProtocol, 0, 0, "0.0.0.0/0")}, every, [4]bool{true, false, false, false}},
		{"another protocol", list{rule(true, 17, 0, 65535, "0.0.0.0/0")}, every, [4]bool{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			local := []compute.Route{
				{To: netip.MustParsePrefix("10.77.0.0/16"), Via: compute.ViaNetwork, Network: "vpc"}, {To: everywhere[0], Via: compute.ViaInternet},
			}
			apply(t, w, compute.Policy{
				Endpoints: []compute.Endpoint{
					{Address: a.addr, Public: public, Network: "vpc", Table: "rtb", Groups: []string{"sg"}, Filter: "acl", Subnet: "one"},
					{Address: near.addr, Network: "vpc", Table: "rtb", Groups: []string{"sg"}, Filter: "acl", Subnet: "one"},
					{Address: b.addr, Network: "vpc", Table: "rtb", Groups: []string{"sg"}},
				},
				Groups:  []compute.Group{{ID: "sg", In: anything(), Out: anything()}},
				Tables:  []compute.Table{{ID: "rtb", Routes: local}},
				Filters: []compute.Filter{{ID: "acl", In: tt.in, Out: tt.out}},
			})
			got := [4]bool{b.call(a.addr, 80) != "", b.call(a.addr, 81) != "", a.call(b.addr, 80) != "", dial(public, 80) != ""}
			if got != tt.want {
				t.Errorf("answered: %v, want %v", got, tt.want)
			}
			if near.call(a.addr, 81) == "" {
				t.Error("within the subnet something was filtered")
			}
			if dial(b.addr, 80) == "" || dial(a.addr, 80) == "" {
				t.Error("the host cannot reach an instance by its private address")
			}
		})
	}
}

func TestInstancesAreToldTheirResolvers(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	for name, tt := range map[string]struct {
		resolver *compute.Resolver
		want     string
	}{
		"own":  {&compute.Resolver{Servers: []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.6")}, Search: "a.example b.example"}, "search a.example b.example|nameserver 10.0.0.5|nameserver 10.0.0.6|."},
		"none": {&compute.Resolver{}, "."},
	} {
		t.Run(name, func(t *testing.T) {
			spec := w.Spec("#!/bin/sh\ntr '\\n' '|' < /etc/resolv.conf; echo .; echo told\n")
			spec.Resolver = tt.resolver
			if got := w.Console(w.Launch(spec), "told\n"); !strings.Contains(got, "\n"+tt.want+"\n") {
				t.Errorf("resolv.conf: %q", got)
			}
		})
	}
}
