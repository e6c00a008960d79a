package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
)

// fabric brings the records of networks to the driver, as one policy for the host.
type fabric struct {
	asked atomic.Int64 // calls of enforce so far
	mu    sync.Mutex   // held by the one that applies
	done  int64        // the calls that the policy in force has seen
	last  error
}

// enforce makes the driver pass just what the records say by now. Callers that wait
// for each other share one application.
func (s *Service) enforce(ctx context.Context) error {
	driver, ok := s.cfg.Driver.(compute.Fabric)
	if !ok || !s.cfg.Driver.Network().Routed {
		return nil
	}
	f := &s.fabric
	mine := f.asked.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done >= mine {
		return f.last
	}
	seen := f.asked.Load()
	var p compute.Policy
	f.last = s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		p, err = s.policy(tx)
		return err
	})
	if f.last == nil {
		f.last = driver.ApplyPolicy(ctx, p)
	}
	if ctx.Err() == nil {
		f.done = seen
	}
	return f.last
}

// placed is all that the driver is told of an instance, with its place in the
// networks. The policy that names it is in force before the driver starts it.
func (s *Service) placed(ctx context.Context, in *instance) (compute.Spec, error) {
	spec := s.spec(in)
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		sub, err := subnets.get(s, tx, in.Scope, in.Subnet)
		if err != nil {
			return err
		}
		v, err := vpcs.get(s, tx, in.Scope, in.VPC)
		if err != nil {
			return err
		}
		if !v.Default {
			spec.Subnet = sub.Prefix
		}
		if err := s.resolve(tx, in, v, &spec); err != nil {
			return err
		}
		spec.Interfaces, err = s.furtherInterfaces(tx, in)
		return err
	})
	if err != nil {
		return spec, err
	}
	return spec, s.enforce(ctx)
}

// update changes records of networks and then the host. Where the host fails the
// records stand, and the loop goes on with it.
func (s *Service) update(ctx context.Context, change func(tx store.Tx) error) error {
	if err := s.cfg.Store.Update(ctx, change); err != nil {
		return err
	}
	if err := s.enforce(context.WithoutCancel(ctx)); err != nil {
		s.log.Error("the host does not have the last change to its networks yet", "error", err)
		s.loop.Wake()
	}
	return nil
}

// policy decides, from the records of all accounts and regions, which traffic
// passes.
func (s *Service) policy(tx store.Tx) (compute.Policy, error) {
	var p compute.Policy
	byScope := map[arn.Scope]*scopePolicy{}
	of := func(scope arn.Scope) (*scopePolicy, error) {
		if sp := byScope[scope]; sp != nil {
			return sp, nil
		}
		sp, err := s.scopePolicy(tx, scope)
		byScope[scope] = sp
		return sp, err
	}
	for e, err := range instances.Scan(tx, "") {
		if err != nil {
			return p, err
		}
		in := e.Value
		if in.State == terminated || !in.Private.IsValid() {
			continue
		}
		sp, err := of(in.Scope)
		if err != nil {
			return p, err
		}
		p.Endpoints = append(p.Endpoints, sp.endpoint(in.Private, in.public(), in.VPC, in.Subnet, in.Groups))
		for _, a := range in.Secondary {
			p.Endpoints = append(p.Endpoints, sp.endpoint(a, sp.publics[a], in.VPC, in.Subnet, in.Groups))
		}
	}
	for e, err := range interfaces.kept.Scan(tx, "") {
		if err != nil {
			return p, err
		}
		i := e.Value
		if i.Instance == "" {
			continue
		}
		sp, err := of(i.Scope)
		if err != nil {
			return p, err
		}
		for _, a := range i.addresses() {
			p.Endpoints = append(p.Endpoints, sp.endpoint(a, sp.publics[a], i.VPC, i.Subnet, i.Groups))
		}
	}
	for _, sp := range byScope {
		for _, g := range sp.groups {
			p.Groups = append(p.Groups, sp.group(g))
		}
		for _, t := range sp.tables {
			p.Tables = append(p.Tables, sp.table(t))
		}
		for _, f := range sp.filters {
			p.Filters = append(p.Filters, *f)
		}
	}
	slices.SortFunc(p.Groups, func(a, b compute.Group) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(p.Filters, func(a, b compute.Filter) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(p.Tables, func(a, b compute.Table) int { return strings.Compare(a.ID, b.ID) })
	return p, nil
}

// scopePolicy is what the networks of one account and region add to the policy.
type scopePolicy struct {
	ways
	tables  []*routeTable
	groups  []*group
	ofOwn   map[string]*routeTable     // subnet -> its own table
	ofMain  map[string]*routeTable     // VPC -> its main table
	returns map[string]bool            // peering/VPC: that side has a route over it
	publics map[netip.Addr]netip.Addr  // private -> elastic
	filters map[string]*compute.Filter // network ACLs that do not let everything pass
	ofACL   map[string]string          // subnet, or VPC for its default -> network ACL
}

func (s *Service) scopePolicy(tx store.Tx, scope arn.Scope) (*scopePolicy, error) {
	sp := &scopePolicy{
		ofOwn: map[string]*routeTable{}, ofMain: map[string]*routeTable{}, returns: map[string]bool{},
		publics: map[netip.Addr]netip.Addr{}, filters: map[string]*compute.Filter{}, ofACL: map[string]string{},
	}
	for e, err := range addresses.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return nil, err
		}
		if a := e.Value; a.NAT == "" && a.Private.IsValid() {
			sp.publics[a.Private] = a.IP
		}
	}
	var err error
	if sp.ways, err = s.waysOf(tx, scope); err != nil {
		return nil, err
	}
	if sp.tables, err = routeTables.all(s, tx, scope); err != nil {
		return nil, err
	}
	if sp.groups, err = s.allGroups(tx, scope); err != nil {
		return nil, err
	}
	for _, t := range sp.tables {
		if t.Main != "" {
			sp.ofMain[t.VPC] = t
		}
		for _, a := range t.Associations {
			sp.ofOwn[a.Subnet] = t
		}
	}
	if err := s.readFilters(tx, scope, sp); err != nil {
		return nil, err
	}
	seen := map[arn.Scope]bool{}
	for _, c := range sp.peerings {
		for _, d := range []side{c.Requester, c.Accepter} {
			if seen[d.Scope] {
				continue
			}
			seen[d.Scope] = true
			there, err := routeTables.all(s, tx, d.Scope)
			if err != nil {
				return nil, err
			}
			for _, t := range there {
				for _, r := range t.Routes {
					if r.Peering != "" {
						sp.returns[r.Peering+"/"+t.VPC] = true
					}
				}
			}
		}
	}
	return sp, nil
}

// readFilters reads the network ACLs that narrow anything.
func (s *Service) readFilters(tx store.Tx, scope arn.Scope, sp *scopePolicy) error {
	acls, err := networkACLs.all(s, tx, scope) // one without a record lets everything pass
	if err != nil || len(acls) == 0 {
		return err
	}
	for _, a := range acls {
		if f := a.filter(); f != nil {
			sp.filters[a.ID] = f
		}
		if a.Default {
			sp.ofACL[a.VPC] = a.ID
		}
	}
	subs, err := subnets.all(s, tx, scope)
	for _, n := range subs {
		sp.ofACL[n.ID] = n.ACL
	}
	return err
}

// filterOf is the network ACL of a subnet, nil where everything passes.
func (sp *scopePolicy) filterOf(vpc, subnet string) *compute.Filter {
	if id := sp.ofACL[subnet]; id != "" {
		return sp.filters[id]
	}
	return sp.filters[sp.ofACL[vpc]]
}

// tableFor is the route table of a subnet.
func (sp *scopePolicy) tableFor(vpc, subnet string) *routeTable {
	if t := sp.ofOwn[subnet]; t != nil {
		return t
	}
	return sp.ofMain[vpc]
}

func (sp *scopePolicy) endpoint(a, public netip.Addr, vpc, subnet string, members []string) compute.Endpoint {
	e := compute.Endpoint{Address: a, Public: public, Network: vpc, Groups: slices.Sorted(slices.Values(members))}
	t := sp.tableFor(vpc, subnet)
	if t == nil {
		return e
	}
	e.Table = t.ID
	if f := sp.filterOf(vpc, subnet); f != nil {
		e.Filter, e.Subnet = f.ID, subnet
	}
	for _, r := range t.Routes {
		if sp.translates(t, r) && !e.Translated.IsValid() {
			e.Translated = sp.nats[r.NAT].Public
		}
	}
	return e
}

// translates says whether a route leads out by a NAT gateway that itself has a
// way out.
func (sp *scopePolicy) translates(t *routeTable, r route) bool {
	if r.NAT == "" || !sp.active(t, r) {
		return false
	}
	n := sp.nats[r.NAT]
	own := sp.tableFor(n.VPC, n.Subnet)
	return own != nil && slices.ContainsFunc(own.Routes, func(o route) bool { return o.Gateway != "" && sp.active(own, o) })
}

func (sp *scopePolicy) table(t *routeTable) compute.Table {
	out := compute.Table{ID: t.ID}
	if v := sp.vpcs[t.VPC]; v != nil {
		for _, b := range v.Blocks {
			out.Routes = append(out.Routes, compute.Route{To: b.Prefix, Via: compute.ViaNetwork, Network: v.ID})
		}
	}
	for _, r := range t.Routes {
		way := compute.Route{To: r.To, Via: compute.ViaNothing}
		switch {
		case !sp.active(t, r):
		case r.Gateway != "":
			way.Via = compute.ViaInternet
		case sp.translates(t, r):
			way.Via = compute.ViaTranslate
		case r.Peering != "":
			if other := sp.peerings[r.Peering].other(t.VPC); sp.returns[r.Peering+"/"+other.VPC] {
				way.Via, way.Network = compute.ViaNetwork, other.VPC
			}
		}
		if r.List == "" {
			out.Routes = append(out.Routes, way)
			continue
		}
		if l := sp.lists[r.List]; l != nil {
			for _, to := range l.prefixes() {
				way.To = to
				out.Routes = append(out.Routes, way)
			}
		}
	}
	return out
}

func (sp *scopePolicy) group(g *group) compute.Group {
	out := compute.Group{ID: g.ID}
	for _, r := range g.Rules {
		if r.CIDR6 != "" || r.Protocol == "icmpv6" {
			continue // instances have no IPv6
		}
		rule := compute.PolicyRule{Protocol: protocolNumber(r.Protocol), From: int(r.From), To: int(r.To)}
		if p, err := netip.ParsePrefix(r.CIDR); err == nil {
			rule.Prefixes = []netip.Prefix{p}
		}
		if r.Group != "" {
			rule.Groups = []string{r.Group}
		}
		if l := sp.lists[r.List]; l != nil {
			rule.Prefixes = l.prefixes()
		}
		if r.Egress {
			out.Out = append(out.Out, rule)
		} else {
			out.In = append(out.In, rule)
		}
	}
	return out
}

// protocolNumber is the IANA number of a rule's protocol.
func protocolNumber(p string) int {
	switch p {
	case "tcp":
		return 6
	case "udp":
		return 17
	case "icmp":
		return 1
	case "icmpv6":
		return 58
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return compute.AnyProtocol
	}
	return n
}
