package compute

import (
	"fmt"
	"net/netip"
	"strings"
)

// Filter is a network ACL: what passes into and out of subnets, packet by packet.
// Answers need rules of their own. Within a subnet nothing is filtered.
type Filter struct {
	ID      string
	In, Out []FilterRule // the first that fits decides; where none does, nothing passes
}

// FilterRule passes or drops one kind of packet from (or to) a prefix. Protocol,
// From and To are those of PolicyRule.
type FilterRule struct {
	Protocol int
	From, To int
	Prefix   netip.Prefix
	Pass     bool
}

// String is the rule as text.
func (r FilterRule) String() string {
	what := "drop "
	if r.Pass {
		what = "pass "
	}
	return what + PolicyRule{Protocol: r.Protocol, From: r.From, To: r.To, Prefixes: []netip.Prefix{r.Prefix}}.String()
}

func (f Filter) text(b *strings.Builder) {
	for _, r := range f.In {
		fmt.Fprintf(b, "filter %s in %s\n", f.ID, r)
	}
	for _, r := range f.Out {
		fmt.Fprintf(b, "filter %s out %s\n", f.ID, r)
	}
	if len(f.In)+len(f.Out) == 0 {
		fmt.Fprintf(b, "filter %s\n", f.ID)
	}
}
