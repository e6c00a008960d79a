package ec2

import (
	"context"
	"net/netip"
	"regexp"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// dhcpOptions is a set of DHCP options. Instances get its domain and name servers
// when they start; the other options are for clients that ask for them, and no
// instance has such a client: its clock is the host's.
type dhcpOptions struct {
	ID      string       `json:"id"`
	Configs []dhcpConfig `json:"configs"`
}

type dhcpConfig struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// noOptions stands for no set at all: instances are told no name servers.
const noOptions = "default"

// resolverName stands for the resolver of the cloud itself.
const resolverName = "AmazonProvidedDNS"

// maxServers bounds each list of servers ("DHCP option sets in Amazon VPC").
const maxServers = 4

var dhcps = noun[dhcpOptions]{
	prefix: prefixDHCP, kept: store.NewCollection[dhcpOptions]("ec2/dhcp"), id: func(d *dhcpOptions) string { return d.ID },
	inDefault: func(n network) []*dhcpOptions {
		return []*dhcpOptions{{ID: n.DHCP, Configs: []dhcpConfig{
			{"domain-name", []string{domainOf(n.Scope.Region)}}, {"domain-name-servers", []string{resolverName}},
		}}}
	},
}

func domainOf(region string) string {
	if region == arn.DefaultRegion {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

// domains are one or more domain names: they stand in files of instances.
var domains = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?( [A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)*$`)

// check refuses values that an option cannot have.
func (d dhcpConfig) check() error {
	bad := func(v string) error {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter %s is invalid.", clip(v, 64), d.Key)
	}
	addresses := func(others ...string) error {
		if len(d.Values) > maxServers {
			return fault.New(fault.InvalidParameterValue, "At most %d values may be specified for %s.", maxServers, d.Key)
		}
		for _, v := range d.Values {
			if a, err := netip.ParseAddr(v); (err != nil || !a.Is4()) && !slices.Contains(others, v) {
				return bad(v)
			}
		}
		return nil
	}
	if len(d.Values) == 0 {
		return fault.New(fault.MissingParameter, "The request must contain a value of the option %s", clip(d.Key, 64))
	}
	switch d.Key {
	case "domain-name":
		if len(d.Values) > 1 || len(d.Values[0]) > 253 || !domains.MatchString(d.Values[0]) {
			return bad(d.Values[0])
		}
		return nil
	case "domain-name-servers":
		return addresses(resolverName)
	case "ntp-servers", "netbios-name-servers":
		return addresses()
	case "netbios-node-type":
		if len(d.Values) > 1 || !contains([]string{"1", "2", "4", "8"}, d.Values[0]) {
			return bad(d.Values[0])
		}
		return nil
	case "ipv6-address-preferred-lease-time":
		return notBuilt("DhcpConfiguration ipv6-address-preferred-lease-time (instances have no IPv6)")
	}
	return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter dhcpConfiguration is invalid. Unknown DHCP option.", clip(d.Key, 64))
}

// CreateDhcpOptions makes a set of options.
func (s *Service) CreateDhcpOptions(ctx context.Context, in *api.CreateDhcpOptionsInput) (*api.CreateDhcpOptionsOutput, error) {
	call := auth.From(ctx)
	if err := s.routed(); err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "dhcp-options")
	if err != nil {
		return nil, err
	}
	d := &dhcpOptions{ID: newID(call, prefixDHCP, "dhcp")}
	for _, c := range in.DhcpConfigurations {
		o := dhcpConfig{c.Key, c.Values}
		if slices.ContainsFunc(d.Configs, func(have dhcpConfig) bool { return have.Key == o.Key }) {
			return nil, fault.New(fault.InvalidParameterValue, "The option %s is there twice", clip(o.Key, 64))
		}
		if err := o.check(); err != nil {
			return nil, err
		}
		d.Configs = append(d.Configs, o)
	}
	if len(d.Configs) == 0 {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter dhcpConfiguration")
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		d, err = dhcps.made(tx, call, d, tags)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := d.view(call.Scope, tags["dhcp-options"])
	return &api.CreateDhcpOptionsOutput{DhcpOptions: &o}, nil
}

// DeleteDhcpOptions removes a set that no VPC has.
func (s *Service) DeleteDhcpOptions(ctx context.Context, in *api.DeleteDhcpOptionsInput) (*api.DeleteDhcpOptionsOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		d, err := dhcps.get(s, tx, scope, in.DhcpOptionsId)
		if err != nil {
			return err
		}
		used, err := vpcs.which(s, tx, scope, func(v *vpc) bool { return v.DHCP == d.ID })
		if err != nil {
			return err
		}
		if len(used) > 0 {
			return fault.New(fault.DependencyViolation, "The dhcpOptions '%s' has dependencies and cannot be deleted.", d.ID)
		}
		if d.ID == s.network(scope).DHCP {
			return fault.New(fault.NotImplemented, "Deleting the first set of DHCP options is not built in this version of Slipway: new VPCs have it.")
		}
		return firstError(dhcps.remove(tx, scope, d.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteDhcpOptionsOutput{}, nil
}

// AssociateDhcpOptions gives a VPC another set, or none. Its instances have it
// from their next start on.
func (s *Service) AssociateDhcpOptions(ctx context.Context, in *api.AssociateDhcpOptionsInput) (*api.AssociateDhcpOptionsOutput, error) {
	scope := auth.From(ctx).Scope
	if err := s.routed(); err != nil {
		return nil, err
	}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := vpcs.get(s, tx, scope, in.VpcId)
		if err != nil {
			return err
		}
		if in.DhcpOptionsId != noOptions {
			if _, err := dhcps.get(s, tx, scope, in.DhcpOptionsId); err != nil {
				return err
			}
		}
		v.DHCP = in.DhcpOptionsId
		return firstError(vpcs.put(tx, scope, v), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.AssociateDhcpOptionsOutput{}, nil
}

// resolve tells a new or starting instance its VPC's name servers and domain.
func (s *Service) resolve(tx store.Tx, in *instance, v *vpc, spec *compute.Spec) error {
	if v.DHCP == s.network(in.Scope).DHCP {
		return nil // what every instance has
	}
	spec.Resolver = &compute.Resolver{}
	if v.DHCP == noOptions {
		return nil
	}
	d, err := dhcps.get(s, tx, in.Scope, v.DHCP)
	if err != nil {
		return err
	}
	for _, c := range d.Configs {
		switch c.Key {
		case "domain-name":
			spec.Resolver.Search = c.Values[0]
		case "domain-name-servers":
			for _, text := range c.Values {
				if a, err := netip.ParseAddr(text); err == nil {
					spec.Resolver.Servers = append(spec.Resolver.Servers, a)
				} else if len(s.cfg.DNS) > 0 {
					spec.Resolver.Servers = append(spec.Resolver.Servers, s.cfg.DNS...)
				} else {
					spec.Resolver.Servers = append(spec.Resolver.Servers, s.cfg.Driver.Network().Gateway)
				}
			}
		}
	}
	return nil
}

func dhcpFields(t tagged[dhcpOptions], name string) ([]string, bool) {
	d := t.orZero()
	switch name {
	case "dhcp-options-id":
		return one(d.ID)
	case "key", "value":
		var out []string
		for _, c := range d.Configs {
			if name == "key" {
				out = append(out, c.Key)
			} else {
				out = append(out, c.Values...)
			}
		}
		return out, true
	}
	return tagFields(t.tags, name)
}

// DescribeDhcpOptions lists the caller's sets of options.
func (s *Service) DescribeDhcpOptions(ctx context.Context, in *api.DescribeDhcpOptionsInput) (*api.DescribeDhcpOptionsOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[tagged[dhcpOptions]]{
		prefix: prefixDHCP, ids: in.DhcpOptionsIds, filters: in.Filters, fields: owned(scope, dhcpFields), dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(t tagged[dhcpOptions]) string { return t.it.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]tagged[dhcpOptions], error) {
			all, err := dhcps.all(s, tx, scope)
			return withTags(tx, scope, dhcps, all, err)
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeDhcpOptionsOutput{NextToken: next, DhcpOptions: []api.DhcpOptions{}}
	for _, t := range page {
		out.DhcpOptions = append(out.DhcpOptions, t.it.view(scope, t.tags))
	}
	return out, nil
}

func (d *dhcpOptions) view(scope arn.Scope, tags tagMap) api.DhcpOptions {
	o := api.DhcpOptions{DhcpOptionsId: d.ID, OwnerId: scope.Account, Tags: tags.list()}
	for _, c := range d.Configs {
		v := api.DhcpConfiguration{Key: c.Key}
		for _, text := range c.Values {
			v.Values = append(v.Values, api.AttributeValue{Value: text})
		}
		o.DhcpConfigurations = append(o.DhcpConfigurations, v)
	}
	return o
}
