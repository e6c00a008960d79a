package ec2

import (
	"context"
	"errors"
	"net/netip"
	"sort"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// address is an elastic IP.
type address struct {
	Scope       arn.Scope  `json:"scope"`
	ID          string     `json:"id"` // eipalloc-…
	IP          netip.Addr `json:"ip"`
	Association string     `json:"association,omitempty"`
	Instance    string     `json:"instance,omitempty"` // whose primary interface has it; see carrier
	Interface   string     `json:"interface,omitempty"`
	Private     netip.Addr `json:"private"`
	NAT         string     `json:"nat,omitempty"`   // the NAT gateway that has it
	Token       string     `json:"token,omitempty"` // of the durable step that made it
}

var addresses = store.NewCollection("ec2/address",
	store.Index[address]{Name: "association", Keys: func(_ string, a *address) []string {
		if a.Association == "" {
			return nil
		}
		return []string{a.Scope.Key() + "/" + a.Association}
	}},
	store.Index[address]{Name: "interface", Keys: func(_ string, a *address) []string {
		if a.Interface == "" {
			return nil
		}
		return []string{a.Scope.Key() + "/" + a.Interface}
	}},
)

func (a *address) save(tx store.Tx) error { return addresses.Put(tx, a.Scope.Key()+"/"+a.ID, a) }

func (a *address) detach() {
	a.Association, a.Instance, a.Interface, a.NAT, a.Private = "", "", "", "", netip.Addr{}
}

func addressByID(tx store.Tx, scope arn.Scope, id string) (*address, error) {
	if err := checkID(prefixAllocation, id); err != nil {
		return nil, err
	}
	a, err := addresses.Get(tx, scope.Key()+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound(prefixAllocation, id)
	}
	return a, err
}

func addressByIP(tx store.Tx, scope arn.Scope, text string) (*address, error) {
	lost := fault.New(fault.InvalidAddressNotFound, "Address '%s' not found.", clip(text, 64))
	ip, err := netip.ParseAddr(text)
	if err != nil || !ip.Is4() {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter publicIp is invalid. Invalid IPv4 address: '%s'", clip(text, 64), clip(text, 64))
	}
	c, err := claimOf(tx, ip)
	if err != nil {
		return nil, err
	}
	if c == nil || c.Scope != scope || !wellFormed(prefixAllocation, c.Owner) {
		return nil, lost
	}
	return addressByID(tx, scope, c.Owner)
}

// addressBy finds an elastic IP by the one of its names that the caller gave.
func addressBy(tx store.Tx, scope arn.Scope, id, ip string) (*address, error) {
	switch {
	case id != "" && ip != "":
		return nil, fault.New(fault.InvalidParameterCombination, "You may specify public IP or allocation id, but not both in the same call")
	case id != "":
		return addressByID(tx, scope, id)
	case ip != "":
		return addressByIP(tx, scope, ip)
	}
	return nil, fault.New(fault.MissingParameter, "Either 'publicIp' or 'allocationId' must be specified")
}

// AllocateAddress takes an address from the host's elastic range.
func (s *Service) AllocateAddress(ctx context.Context, in *api.AllocateAddressInput) (*api.AllocateAddressOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"CustomerOwnedIpv4Pool", in.CustomerOwnedIpv4Pool != ""},
		{"IpamPoolId", in.IpamPoolId != ""},
		{"PublicIpv4Pool", in.PublicIpv4Pool != "" && in.PublicIpv4Pool != "amazon"},
		{"Domain=standard", in.Domain == "standard"},
	}); err != nil {
		return nil, err
	}
	if in.NetworkBorderGroup != "" && in.NetworkBorderGroup != call.Scope.Region {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter networkBorderGroup is invalid.", clip(in.NetworkBorderGroup, 64))
	}
	tags, err := specTags(call, in.TagSpecifications, "elastic-ip")
	if err != nil {
		return nil, err
	}
	a := &address{Scope: call.Scope, ID: newID(call, prefixAllocation, "address"), Token: call.Token}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if call.Token != "" {
			old, err := addressByID(tx, call.Scope, a.ID)
			if err == nil {
				a = old
				return nil
			}
			if !fault.Is(err, fault.InvalidAllocationIDNotFound) {
				return err
			}
		}
		if a.IP, err = s.takeElastic(tx, a, in.Address); err != nil {
			return err
		}
		if err := a.save(tx); err != nil {
			return err
		}
		if err := putTags(tx, a.Scope, "elastic-ip", a.ID, tags["elastic-ip"]); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &api.AllocateAddressOutput{
		AllocationId: a.ID, PublicIp: a.IP.String(), Domain: "vpc", PublicIpv4Pool: "amazon", NetworkBorderGroup: call.Scope.Region,
	}, nil
}

// takeElastic claims an address: the one asked for, where it is free, or any.
func (s *Service) takeElastic(tx store.Tx, a *address, asked string) (netip.Addr, error) {
	lower, upper, ok := elasticPools(s.cfg.Driver.Network())
	if !ok {
		return netip.Addr{}, fault.New(fault.UnsupportedOperation, "This host has no range of public addresses; run 'slipway doctor' for what it lacks.")
	}
	c := claim{a.Scope, a.ID}
	if asked != "" {
		ip, err := netip.ParseAddr(asked)
		if err != nil || !ip.Is4() {
			return netip.Addr{}, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter address is invalid. Invalid IPv4 address.", clip(asked, 64))
		}
		lost := fault.New(fault.InvalidAddressNotFound, "Address '%s' not found.", asked)
		if !lower.contains(ip) && !upper.contains(ip) {
			return netip.Addr{}, lost
		}
		if ok, err := grab(tx, ip, c); err != nil || !ok {
			return netip.Addr{}, errors.Join(err, lost)
		}
		return ip, nil
	}
	for _, p := range []pool{lower, upper} {
		if ip, ok, err := p.take(tx, c); ok || err != nil {
			return ip, err
		}
	}
	return netip.Addr{}, fault.New(fault.AddressLimitExceeded, "The maximum number of addresses has been reached.")
}

// ReleaseAddress gives an address back that is on no instance.
func (s *Service) ReleaseAddress(ctx context.Context, in *api.ReleaseAddressInput) (*api.ReleaseAddressOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		a, err := addressBy(tx, scope, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		if in.NetworkBorderGroup != "" && in.NetworkBorderGroup != scope.Region {
			return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter networkBorderGroup is invalid.", clip(in.NetworkBorderGroup, 64))
		}
		if a.Association != "" {
			return fault.New(fault.InvalidIPAddressInUse, "Address %s is in use.", a.IP)
		}
		if err := errors.Join(release(tx, a.IP, a.ID), dropTags(tx, scope, a.ID), addresses.Delete(tx, scope.Key()+"/"+a.ID)); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &api.ReleaseAddressOutput{}, nil
}

type addressView struct {
	address
	subnet string
	tags   tagMap
}

func addressFields(v addressView, name string) ([]string, bool) {
	switch name {
	case "allocation-id":
		return one(v.ID)
	case "association-id":
		return one(v.Association)
	case "domain":
		return one("vpc")
	case "instance-id":
		return one(v.Instance)
	case "network-border-group":
		return one(v.Scope.Region)
	case "network-interface-id":
		return one(v.Interface)
	case "network-interface-owner-id":
		if v.Interface == "" {
			return nil, true
		}
		return one(v.Scope.Account)
	case "private-ip-address":
		return one(text(v.Private))
	case "public-ip":
		return one(text(v.IP))
	}
	return tagFields(v.tags, name)
}

// text is an address in text, "" for none.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// DescribeAddresses lists the caller's elastic IPs; it has no pages.
func (s *Service) DescribeAddresses(ctx context.Context, in *api.DescribeAddressesInput) (*api.DescribeAddressesOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, addressFields)
	if err != nil {
		return nil, err
	}
	ids, err := newIDSet(prefixAllocation, in.AllocationIds)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	var found []addressView
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = found[:0]
		tags, err := allTags(tx, scope, prefixAllocation)
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for e, err := range addresses.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			v := addressView{address: *e.Value, tags: tags[e.Value.ID]}
			known[v.ID], known[v.IP.String()] = true, true
			if err := s.locate(tx, &v); err != nil {
				return err
			}
			named := ids == nil && len(in.PublicIps) == 0 || ids[v.ID] || contains(in.PublicIps, v.IP.String())
			if named && m.match(v) {
				found = append(found, v)
			}
		}
		if lost := missing(in.AllocationIds, func(n string) bool { return known[n] }); len(lost) > 0 {
			return notFound(prefixAllocation, lost...)
		}
		if lost := missing(in.PublicIps, func(n string) bool { return known[n] }); len(lost) > 0 {
			return fault.New(fault.InvalidAddressNotFound, "Address '%s' not found.", clip(lost[0], 64))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(found, func(i, j int) bool { return found[i].IP.Less(found[j].IP) })
	out := &api.DescribeAddressesOutput{}
	for _, v := range found {
		out.Addresses = append(out.Addresses, v.view())
	}
	return out, nil
}

// locate adds where an elastic IP is by now: the interface may be on another
// instance than before.
func (s *Service) locate(tx store.Tx, v *addressView) error {
	if v.Instance != "" {
		in, err := instances.Get(tx, instanceKey(v.Scope, v.Instance))
		if err == nil {
			v.subnet = in.Subnet
		}
		return known(err)
	}
	i, err := interfaces.kept.Get(tx, interfaces.key(v.Scope, v.Interface))
	if err == nil {
		v.Instance, v.subnet = i.Instance, i.Subnet
	}
	return known(err)
}

// known passes over what is not there.
func known(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (v addressView) view() api.Address {
	a := api.Address{
		AllocationId: v.ID, PublicIp: v.IP.String(), Domain: "vpc", PublicIpv4Pool: "amazon", NetworkBorderGroup: v.Scope.Region,
		AssociationId: v.Association, InstanceId: v.Instance, NetworkInterfaceId: v.Interface,
		PrivateIpAddress: text(v.Private), SubnetId: v.subnet, Tags: v.tags.list(),
	}
	if v.Interface != "" {
		a.NetworkInterfaceOwnerId = v.Scope.Account
	}
	return a
}
