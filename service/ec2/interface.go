package ec2

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of network interfaces ("Amazon VPC quotas").
const (
	maxInterfaces = 5000
	maxSecondary  = 49 // secondary addresses of an interface
)

// netInterface is a network interface that a user made. An instance's primary
// one is part of the instance's record, and lives and ends with it.
type netInterface struct {
	Scope       arn.Scope    `json:"scope"`
	ID          string       `json:"id"`
	VPC         string       `json:"vpc"`
	Subnet      string       `json:"subnet"`
	Zone        string       `json:"zone"`
	Private     netip.Addr   `json:"private"`
	Secondary   []netip.Addr `json:"secondary,omitempty"`
	Groups      []string     `json:"groups"`
	Description string       `json:"description,omitempty"`
	SourceCheck bool         `json:"sourceCheck"`
	Requester   string       `json:"requester,omitempty"`
	Created     time.Time    `json:"created"`
	Hash        string       `json:"hash,omitempty"` // of the request with a client token

	Instance            string    `json:"instance,omitempty"` // where it is attached
	Attachment          string    `json:"attachment,omitempty"`
	Device              int32     `json:"device,omitempty"`
	Attached            time.Time `json:"attached,omitzero"`
	DeleteOnTermination bool      `json:"deleteOnTermination,omitempty"`
}

var interfaces = noun[netInterface]{
	prefix: prefixInterface, id: func(i *netInterface) string { return i.ID },
	kept: store.NewCollection("ec2/interface",
		store.Index[netInterface]{Name: "group", Keys: func(_ string, i *netInterface) []string {
			var keys []string
			for _, g := range i.Groups {
				keys = append(keys, groupKey(i.Scope, g))
			}
			return keys
		}},
		store.Index[netInterface]{Name: "instance", Keys: func(_ string, i *netInterface) []string {
			if i.Instance == "" {
				return nil
			}
			return []string{instanceKey(i.Scope, i.Instance)}
		}},
	),
}

func (i *netInterface) addresses() []netip.Addr {
	return append([]netip.Addr{i.Private}, i.Secondary...)
}

// attachedTo lists the interfaces that an instance has beside its primary one.
func attachedTo(tx store.Tx, in *instance) ([]*netInterface, error) {
	var out []*netInterface
	for e, err := range interfaces.kept.ByIndex(tx, "instance", in.key()) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	slices.SortFunc(out, func(a, b *netInterface) int { return int(a.Device - b.Device) })
	return out, nil
}

// furtherInterfaces is what the driver makes for an instance beside its first address.
func (s *Service) furtherInterfaces(tx store.Tx, in *instance) ([]compute.Interface, error) {
	var out []compute.Interface
	if len(in.Secondary) > 0 {
		out = append(out, compute.Interface{Secondary: in.Secondary})
	}
	list, err := attachedTo(tx, in)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		sub, err := subnets.get(s, tx, i.Scope, i.Subnet)
		if err != nil {
			return nil, err
		}
		out = append(out, compute.Interface{Index: int(i.Device), Address: i.Private, Subnet: sub.Prefix, Secondary: i.Secondary})
	}
	return out, nil
}

// CreateNetworkInterface makes an interface in a subnet.
func (s *Service) CreateNetworkInterface(ctx context.Context, in *api.CreateNetworkInterfaceInput) (*api.CreateNetworkInterfaceOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"Ipv4Prefix", len(in.Ipv4Prefixes) > 0 || value(in.Ipv4PrefixCount, 0) > 0}, {"Ipv6Prefix", len(in.Ipv6Prefixes) > 0 || value(in.Ipv6PrefixCount, 0) > 0},
		{"Ipv6Addresses", len(in.Ipv6Addresses) > 0 || value(in.Ipv6AddressCount, 0) > 0}, {"EnablePrimaryIpv6", value(in.EnablePrimaryIpv6, false)},
		{"InterfaceType=" + in.InterfaceType, in.InterfaceType != "" && in.InterfaceType != "interface"},
		{"ConnectionTrackingSpecification", in.ConnectionTrackingSpecification != nil}, {"Operator", in.Operator != nil},
	}); err != nil {
		return nil, err
	}
	if err := s.routed(); err != nil {
		return nil, err
	}
	asked, others, err := specifiedAddresses(in.PrivateIpAddress, in.PrivateIpAddresses)
	if err != nil {
		return nil, err
	}
	count := int(value(in.SecondaryPrivateIpAddressCount, 0))
	if count > 0 && len(others) > 0 {
		return nil, fault.New(fault.InvalidParameterCombination, "The parameters secondaryPrivateIpAddressCount and privateIpAddresses cannot be used together")
	}
	tags, err := specTags(call, in.TagSpecifications, "network-interface")
	if err != nil {
		return nil, err
	}
	i := &netInterface{
		Scope: call.Scope, ID: newID(call, prefixInterface, "interface"), Subnet: in.SubnetId, Description: in.Description,
		SourceCheck: true, Requester: call.Principal.UserID, Created: s.now(),
	}
	if in.ClientToken != "" {
		i.ID = arn.IDFrom(prefixInterface, call.Scope.Key()+"/client/"+in.ClientToken)
		i.Hash = arn.Hash(in.SubnetId + "/" + in.Description + "/" + in.PrivateIpAddress)
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if done, err := madeBefore(tx, i); done || err != nil {
			return err
		}
		if err := s.equip(tx, i, in.Groups, asked, others, count); err != nil {
			return err
		}
		_, err = interfaces.made(tx, call, i, tags)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	out, err := s.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{i.ID}})
	if err != nil {
		return nil, err
	}
	return &api.CreateNetworkInterfaceOutput{NetworkInterface: &out.NetworkInterfaces[0], ClientToken: in.ClientToken}, nil
}

// madeBefore says whether an earlier call with the same token made the interface,
// which may be an instance's primary one by now.
func madeBefore(tx store.Tx, i *netInterface) (bool, error) {
	hash := ""
	old, err := interfaces.kept.Get(tx, interfaces.key(i.Scope, i.ID))
	if errors.Is(err, store.ErrNotFound) {
		in, lost := instanceByInterface(tx, i.Scope, i.ID)
		if lost != nil || in.First == nil {
			return false, nil
		}
		hash = in.First.Hash
	} else if err != nil {
		return false, err
	} else {
		hash = old.Hash
	}
	if hash != i.Hash {
		return false, fault.New(fault.IdempotentParameterMatch, "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return true, nil
}

// equip gives a new interface its place, groups and addresses.
func (s *Service) equip(tx store.Tx, i *netInterface, groupIDs []string, asked netip.Addr, others []netip.Addr, count int) error {
	sub, err := subnets.get(s, tx, i.Scope, i.Subnet)
	if err != nil {
		return err
	}
	all, err := interfaces.all(s, tx, i.Scope)
	if err != nil {
		return err
	}
	if len(all) >= maxInterfaces {
		return fault.New(fault.NetworkInterfaceLimitExceeded, "The maximum number of network interfaces has been reached.")
	}
	i.VPC, i.Zone = sub.VPC, sub.Zone
	if i.Groups, err = s.resolveGroups(tx, i.Scope, i.VPC, groupIDs, nil); err != nil {
		return err
	}
	if i.Private, err = s.takePrivate(tx, *sub, asked, claim{i.Scope, i.ID}); err != nil {
		return err
	}
	i.Secondary, err = s.takeSecondary(tx, *sub, others, count, claim{i.Scope, i.ID})
	return err
}

// specifiedAddresses reads the addresses that a call asks for: the primary and others.
func specifiedAddresses(primary string, list []api.PrivateIpAddressSpecification) (asked netip.Addr, others []netip.Addr, err error) {
	if asked, err = askedAddress(primary); err != nil {
		return asked, nil, err
	}
	for _, p := range list {
		a, err := askedAddress(p.PrivateIpAddress)
		if err != nil {
			return asked, nil, err
		}
		switch {
		case !a.IsValid():
			return asked, nil, fault.New(fault.MissingParameter, "The request must contain the parameter privateIpAddress")
		case value(p.Primary, false) && asked.IsValid() && asked != a:
			return asked, nil, fault.New(fault.InvalidParameterCombination, "Only one primary private IP address can be specified.")
		case value(p.Primary, false):
			asked = a
		case a != asked:
			others = append(others, a)
		}
	}
	return asked, others, nil
}

// takeSecondary claims further addresses: those asked for, or any.
func (s *Service) takeSecondary(tx store.Tx, sub subnet, asked []netip.Addr, count int, c claim) ([]netip.Addr, error) {
	if len(asked)+count > maxSecondary {
		return nil, fault.New(fault.PrivateIPAddressLimitExceeded, "Number of private addresses will exceed limit of %d.", maxSecondary)
	}
	var out []netip.Addr
	for len(asked) < count {
		asked = append(asked, netip.Addr{})
	}
	for _, want := range asked {
		a, err := s.takePrivate(tx, sub, want, c)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// DeleteNetworkInterface removes an interface that is attached nowhere.
func (s *Service) DeleteNetworkInterface(ctx context.Context, in *api.DeleteNetworkInterfaceInput) (*api.DeleteNetworkInterfaceOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		i, err := s.ownInterface(tx, scope, in.NetworkInterfaceId)
		if err != nil {
			return err
		}
		if i == nil || i.Instance != "" {
			return fault.New(fault.InvalidParameterValue, "Network interface '%s' is currently in use.", in.NetworkInterfaceId)
		}
		return firstError(s.dropInterface(tx, i), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteNetworkInterfaceOutput{}, nil
}

func (s *Service) dropInterface(tx store.Tx, i *netInterface) error {
	for _, a := range i.addresses() {
		if err := release(tx, a, i.ID); err != nil {
			return err
		}
	}
	_, err := loseElastics(tx, i.Scope, i.ID, anyAddress)
	return firstError(err, interfaces.remove(tx, i.Scope, i.ID))
}

// ownInterface finds an interface that a user made; nil is one that belongs to
// an instance or a NAT gateway.
func (s *Service) ownInterface(tx store.Tx, scope arn.Scope, id string) (*netInterface, error) {
	i, err := interfaces.get(s, tx, scope, id)
	if err == nil || !fault.Is(err, fault.InvalidNetworkInterfaceNotFound) {
		return i, err
	}
	if _, other := instanceByInterface(tx, scope, id); other == nil {
		return nil, nil
	}
	managed, other := nats.which(s, tx, scope, func(n *nat) bool { return n.Interface == id && n.available() })
	if other != nil || len(managed) > 0 {
		return nil, other
	}
	return nil, err
}
