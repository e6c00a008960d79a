//go:build linux

package sandbox

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netns"

	"github.com/slipway/slipway/compute/computetest"
	"github.com/slipway/slipway/dataplane/metadata"
)

// dropLastHop has an instance lose what it would not pass on to a container in it:
// packets that may go no further.
func dropLastHop(t *testing.T, pid int) {
	t.Helper()
	ns, err := netns.GetFromPath("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	c, err := nftables.New(nftables.WithNetNSFd(int(ns)))
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "lasthop"})
	chain := c.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	const ttlOffset = 8
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: ttlOffset, Len: 1},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: []byte{2}},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestTokensGoNoFurtherThanTheirHops(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	a := newBox(t, w, "", "")
	dropLastHop(t, a.pid)
	ask := func(method, path string) (text string) {
		inNetworkOf(t, a.pid, func() { // a client of net/http would dial in a goroutine of its own, on the host
			c, err := net.DialTimeout("tcp4", metadataAddress.String(), time.Second)
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, _ = fmt.Fprintf(c, "%s %s HTTP/1.0\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n", method, path)
			b, _ := io.ReadAll(c)
			text = string(b)
		})
		return text
	}
	for hops, want := range map[int]bool{1: false, 2: true} {
		w.Tell(a.addr, func(in *metadata.Instance) { in.HopLimit, in.TokensRequired = hops, false })
		if got := ask(http.MethodPut, "/latest/api/token"); (got != "") != want {
			t.Errorf("with %d hops the token is %q", hops, got)
		}
		if got := ask(http.MethodGet, "/latest/meta-data/instance-id"); got == "" {
			t.Errorf("with %d hops the rest does not arrive", hops)
		}
	}
}
