package sandbox

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/slipway/slipway/compute"
)

// filters adds network ACLs. They see each packet before connection tracking lets
// those of established connections pass: in the forward hook on the way out of the
// sender's subnet and into the receiver's, and where the host itself, which is the
// internet by public addresses, receives or sends.
func (r *ruleset) filters(p compute.Policy) {
	filters := map[string]compute.Filter{}
	for _, f := range p.Filters {
		filters[f.ID] = f
	}
	members := map[string][]nftables.SetElement{}
	for _, e := range p.Endpoints {
		if _, ok := filters[e.Filter]; ok {
			members["subnet "+e.Subnet] = append(members["subnet "+e.Subnet], nftables.SetElement{Key: e.Address.AsSlice()})
		}
	}
	if len(members) == 0 {
		return
	}
	for name, list := range members {
		r.set(&nftables.Set{Name: setName(name), KeyType: nftables.TypeIPAddr}, list)
	}
	var out, in []nftables.SetElement
	for _, e := range p.Endpoints {
		f, ok := filters[e.Filter]
		if !ok {
			continue
		}
		leaves, enters := r.subnetFilter(f.ID, e.Subnet, "leaves ", f.Out, destinationOffset), r.subnetFilter(f.ID, e.Subnet, "enters ", f.In, sourceOffset)
		out, in = append(out, passes(e.Address.AsSlice(), leaves)), append(in, passes(e.Address.AsSlice(), enters))
		if e.Public.IsValid() {
			out, in = append(out, passes(e.Public.AsSlice(), leaves)), append(in, passes(e.Public.AsSlice(), enters))
		}
	}
	r.verdicts("leaves", out)
	r.verdicts("enters", in)
	first := func(base *nftables.ChainPriority) *nftables.ChainPriority {
		return nftables.ChainPriorityRef(*base - 10)
	}
	forward := r.hook("filter-forward", nftables.ChainTypeFilter, nftables.ChainHookForward, first(nftables.ChainPriorityFilter))
	r.rule(forward, r.net.isBridge(expr.MetaKeyIIFNAME), load(sourceOffset), r.decide("leaves"))
	r.rule(forward, r.net.isBridge(expr.MetaKeyOIFNAME), load(destinationOffset), r.decide("enters"))
	input := r.hook("filter-input", nftables.ChainTypeFilter, nftables.ChainHookInput, first(nftables.ChainPriorityFilter))
	r.rule(input, r.net.isBridge(expr.MetaKeyIIFNAME), within(sourceOffset, r.net.saved.Elastic), load(sourceOffset), r.decide("leaves"))
	output := r.hook("filter-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, first(nftables.ChainPriorityFilter))
	r.rule(output, within(destinationOffset, r.net.saved.Elastic), load(destinationOffset), r.decide("enters"))
}

// subnetFilter is the chain of one direction of an ACL for a subnet; it returns for
// what passes.
func (r *ruleset) subnetFilter(id, subnet, direction string, rules []compute.FilterRule, offset uint32) *nftables.Chain {
	c, fresh := r.shared(direction + id + " " + subnet)
	if !fresh {
		return c
	}
	r.rule(c, load(offset), r.member("subnet "+subnet), verdict(expr.VerdictReturn))
	for _, rule := range rules {
		kind := expr.VerdictDrop
		if rule.Pass {
			kind = expr.VerdictReturn
		}
		r.rule(c, traffic(compute.PolicyRule{Protocol: rule.Protocol, From: rule.From, To: rule.To}), within(offset, rule.Prefix), verdict(kind))
	}
	r.rule(c, verdict(expr.VerdictDrop))
	return c
}

func passes(key []byte, by *nftables.Chain) nftables.SetElement {
	return nftables.SetElement{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: by.Name}}
}
