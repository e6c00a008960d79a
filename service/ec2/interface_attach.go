package ec2

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxAttachedInterfaces bounds the network interfaces of an instance, the primary one too.
const maxAttachedInterfaces = 15

// joinNetworks adds to an instance's view what the networks have of it.
func (s *Service) joinNetworks(tx store.Tx, v *instanceView) error {
	sub, err := subnets.get(s, tx, v.Scope, v.Subnet)
	if err != nil {
		return err
	}
	home, err := vpcs.get(s, tx, v.Scope, v.VPC)
	if err != nil {
		return err
	}
	v.subnetCIDR, v.vpcCIDR = sub.Prefix, home.Blocks[0].Prefix
	if v.elastics, err = associationsOf(tx, v.Scope, v.Interface); err != nil {
		return err
	}
	list, err := attachedTo(tx, v.instance)
	if err != nil {
		return err
	}
	for _, i := range list {
		o, err := s.ownView(tx, i)
		if err != nil {
			return err
		}
		v.further = append(v.further, o)
	}
	return nil
}

// asInstances is an attached interface as DescribeInstances has it.
func asInstances(i api.NetworkInterface) api.InstanceNetworkInterface {
	o := api.InstanceNetworkInterface{
		NetworkInterfaceId: i.NetworkInterfaceId, OwnerId: i.OwnerId, Status: i.Status, InterfaceType: i.InterfaceType, SubnetId: i.SubnetId, VpcId: i.VpcId,
		MacAddress: i.MacAddress, Description: i.Description, PrivateIpAddress: i.PrivateIpAddress, PrivateDnsName: i.PrivateDnsName,
		SourceDestCheck: i.SourceDestCheck, Groups: i.Groups, Ipv6Addresses: []api.InstanceIpv6Address{}, Association: asInstancesHas(i.Association),
	}
	if a := i.Attachment; a != nil {
		o.Attachment = &api.InstanceNetworkInterfaceAttachment{
			AttachmentId: a.AttachmentId, AttachTime: a.AttachTime, DeleteOnTermination: a.DeleteOnTermination, DeviceIndex: a.DeviceIndex,
			Status: a.Status, NetworkCardIndex: a.NetworkCardIndex,
		}
	}
	for _, p := range i.PrivateIpAddresses {
		o.PrivateIpAddresses = append(o.PrivateIpAddresses, api.InstancePrivateIpAddress{
			Primary: p.Primary, PrivateIpAddress: p.PrivateIpAddress, PrivateDnsName: p.PrivateDnsName, Association: asInstancesHas(p.Association),
		})
	}
	return o
}

func asInstancesHas(a *api.NetworkInterfaceAssociation) *api.InstanceNetworkInterfaceAssociation {
	if a == nil {
		return nil
	}
	return &api.InstanceNetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicIp: a.PublicIp, PublicDnsName: a.PublicDnsName}
}

// unplug takes a dead instance's further interfaces off it.
func (s *Service) unplug(tx store.Tx, in *instance) error {
	list, err := attachedTo(tx, in)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.DeleteOnTermination {
			if err := s.dropInterface(tx, i); err != nil {
				return err
			}
			continue
		}
		i.Instance, i.Attachment, i.Device = "", "", 0
		if err := interfaces.put(tx, i.Scope, i); err != nil {
			return err
		}
	}
	return nil
}

// replug makes the interfaces of a running instance what the records say. Where
// that fails the records stand, and the loop goes on with it.
func (s *Service) replug(ctx context.Context, scope arn.Scope, id string) error {
	err := s.enforce(context.WithoutCancel(ctx))
	if err == nil {
		err = s.setInterfaces(context.WithoutCancel(ctx), scope, id)
	}
	if err != nil {
		s.watch.placed.Store(false)
		s.loop.Wake()
	}
	return err
}

func (s *Service) setInterfaces(ctx context.Context, scope arn.Scope, id string) error {
	unlock, err := s.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	return s.setInterfacesOf(ctx, scope, id)
}

// setInterfacesOf is setInterfaces for one that has the instance's lock.
func (s *Service) setInterfacesOf(ctx context.Context, scope arn.Scope, id string) (err error) {
	driver, ok := s.cfg.Driver.(compute.Fabric)
	if !ok {
		return nil
	}
	var in *instance
	var list []compute.Interface
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		if in, err = loadInstance(tx, scope, id); err != nil {
			return err
		}
		list, err = s.furtherInterfaces(tx, in)
		return err
	})
	if err != nil || in.State != running || in.Handle == nil {
		return err // another gets them when it starts
	}
	err = driver.SetInterfaces(ctx, *in.Handle, list)
	if errors.Is(err, compute.ErrGone) {
		return nil
	}
	return err
}

// AttachNetworkInterface gives an instance a further interface.
func (s *Service) AttachNetworkInterface(ctx context.Context, in *api.AttachNetworkInterfaceInput) (*api.AttachNetworkInterfaceOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"NetworkCardIndex", value(in.NetworkCardIndex, 0) != 0}, {"EnaSrdSpecification", in.EnaSrdSpecification != nil}, {"EnaQueueCount", in.EnaQueueCount != nil},
	}); err != nil {
		return nil, err
	}
	if in.DeviceIndex == nil {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter deviceIndex")
	}
	id := newID(call, prefixAttachment, in.NetworkInterfaceId+in.InstanceId)
	var flow string
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		flow = ""
		i, err := s.ownInterface(tx, call.Scope, in.NetworkInterfaceId)
		if err != nil {
			return err
		}
		if i != nil && i.Attachment == id {
			return nil // by this step, the first time
		}
		if i == nil || i.Instance != "" {
			return fault.New(fault.InvalidParameterValue, "Interface: [%s] in use.", in.NetworkInterfaceId)
		}
		target, err := loadInstance(tx, call.Scope, in.InstanceId)
		if err != nil {
			return err
		}
		if err := checkAttach(tx, target, i, *in.DeviceIndex); err != nil {
			return err
		}
		i.Instance, i.Attachment, i.Device, i.Attached, i.DeleteOnTermination = target.ID, id, *in.DeviceIndex, s.now(), false
		if err := interfaces.put(tx, call.Scope, i); err != nil {
			return err
		}
		if flow, err = s.beginElastics(tx, i, ""); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err == nil {
		err = s.replug(ctx, call.Scope, in.InstanceId)
	}
	if err == nil {
		err = s.awaitMoves(ctx, flow)
	}
	if err != nil {
		return nil, err
	}
	return &api.AttachNetworkInterfaceOutput{AttachmentId: id, NetworkCardIndex: ptr(int32(0))}, nil
}

// beginElastics begins to bring the elastic IPs of an interface where the records
// of this transaction say; former is the instance that had the interface.
func (s *Service) beginElastics(tx store.Tx, i *netInterface, former string) (string, error) {
	list, err := associatedWith(tx, i.Scope, i.ID)
	if err != nil || len(list) == 0 {
		return "", err
	}
	var moving []move
	for _, a := range list {
		moving = append(moving, move{IP: a.IP, Former: former, Scope: i.Scope})
	}
	return s.beginMoves(tx, moving...)
}

func checkAttach(tx store.Tx, target *instance, i *netInterface, device int32) error {
	if target.State != running && target.State != stopped {
		return fault.New(fault.IncorrectState, "Instance '%s' is not 'running' or 'stopped'.", target.ID)
	}
	return fits(tx, target, i, device)
}

// fits says whether an instance can have an interface at a device index.
func fits(tx store.Tx, target *instance, i *netInterface, device int32) error {
	if target.Zone != i.Zone {
		return fault.New(fault.InvalidParameterCombination, "You may not attach a network interface to an instance if they are not in the same availability zone")
	}
	if target.VPC != i.VPC {
		return fault.New(fault.InvalidParameterValue, "Network interface %s and instance %s belong to different VPCs", i.ID, target.ID)
	}
	there, err := attachedTo(tx, target)
	if err != nil {
		return err
	}
	if device < 1 || device >= maxAttachedInterfaces || slices.ContainsFunc(there, func(o *netInterface) bool { return o.Device == device }) {
		return fault.New(fault.InvalidParameterValue, "Instance '%s' already has an interface attached at device index '%d', or there can be none.", target.ID, device)
	}
	return nil
}

// DetachNetworkInterface takes a further interface off its instance.
func (s *Service) DetachNetworkInterface(ctx context.Context, in *api.DetachNetworkInterfaceInput) (*api.DetachNetworkInterfaceOutput, error) {
	scope := auth.From(ctx).Scope
	if err := checkID(prefixAttachment, in.AttachmentId); err != nil {
		return nil, err
	}
	var instance, flow string
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		flow = ""
		i, err := s.attached(tx, scope, in.AttachmentId)
		if err != nil {
			return err
		}
		instance = i.Instance
		i.Instance, i.Attachment, i.Device = "", "", 0
		if err := interfaces.put(tx, scope, i); err != nil {
			return err
		}
		if flow, err = s.beginElastics(tx, i, instance); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	if err == nil {
		err = s.awaitMoves(ctx, flow)
	}
	if err == nil {
		err = s.replug(ctx, scope, instance)
	}
	if err != nil {
		return nil, err
	}
	return &api.DetachNetworkInterfaceOutput{}, nil
}

// attached finds an interface by its attachment.
func (s *Service) attached(tx store.Tx, scope arn.Scope, id string) (*netInterface, error) {
	list, err := interfaces.which(s, tx, scope, func(i *netInterface) bool { return i.Attachment == id })
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		return list[0], nil
	}
	all, err := allInstances(tx, scope)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(all, func(in *instance) bool { return in.State != terminated && in.Attachment == id }) {
		return nil, fault.New(fault.OperationNotPermitted, "The network interface at device index 0 cannot be detached.")
	}
	return nil, notFound(prefixAttachment, id)
}

// AssignPrivateIpAddresses gives an interface further addresses.
func (s *Service) AssignPrivateIpAddresses(ctx context.Context, in *api.AssignPrivateIpAddressesInput) (*api.AssignPrivateIpAddressesOutput, error) {
	if err := refuse([]refusal{
		{"Ipv4Prefix", len(in.Ipv4Prefixes) > 0 || value(in.Ipv4PrefixCount, 0) > 0}, {"AllowReassignment", value(in.AllowReassignment, false)},
	}); err != nil {
		return nil, err
	}
	count := int(value(in.SecondaryPrivateIpAddressCount, 0))
	if (count == 0) == (len(in.PrivateIpAddresses) == 0) {
		return nil, fault.New(fault.InvalidParameterCombination, "Exactly one of privateIpAddresses and secondaryPrivateIpAddressCount must be specified")
	}
	if err := s.routed(); err != nil {
		return nil, err
	}
	var asked []netip.Addr
	for _, text := range in.PrivateIpAddresses {
		a, err := askedAddress(text)
		if err != nil {
			return nil, err
		}
		asked = append(asked, a)
	}
	out := &api.AssignPrivateIpAddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId}
	err := s.changeAddresses(ctx, in.NetworkInterfaceId, func(tx store.Tx, sub subnet, owner claim, have []netip.Addr) ([]netip.Addr, error) {
		out.AssignedPrivateIpAddresses = nil
		more, err := s.takeSecondary(tx, sub, slices.Clone(asked), count, owner)
		if err == nil && len(have)+len(more) > maxSecondary {
			err = fault.New(fault.PrivateIPAddressLimitExceeded, "Number of private addresses will exceed limit of %d.", maxSecondary)
		}
		for _, a := range more {
			out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, api.AssignedPrivateIpAddress{PrivateIpAddress: a.String()})
		}
		return append(have, more...), err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UnassignPrivateIpAddresses takes further addresses from an interface.
func (s *Service) UnassignPrivateIpAddresses(ctx context.Context, in *api.UnassignPrivateIpAddressesInput) (*api.UnassignPrivateIpAddressesOutput, error) {
	if len(in.Ipv4Prefixes) > 0 {
		return nil, notBuilt("Ipv4Prefix")
	}
	err := s.changeAddresses(ctx, in.NetworkInterfaceId, func(tx store.Tx, _ subnet, owner claim, have []netip.Addr) ([]netip.Addr, error) {
		for _, text := range in.PrivateIpAddresses {
			a, err := askedAddress(text)
			if err != nil {
				return nil, err
			}
			at := slices.Index(have, a)
			if at < 0 {
				return nil, fault.New(fault.InvalidParameterValue, "Some of the specified addresses are not assigned to interface %s", in.NetworkInterfaceId)
			}
			have = slices.Delete(have, at, at+1)
			if err := release(tx, a, owner.Owner); err != nil {
				return nil, err
			}
		}
		return have, nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UnassignPrivateIpAddressesOutput{}, nil
}

// changeAddresses changes the further addresses of an interface, an instance's
// primary one or another.
func (s *Service) changeAddresses(ctx context.Context, id string, change func(store.Tx, subnet, claim, []netip.Addr) ([]netip.Addr, error)) error {
	scope := auth.From(ctx).Scope
	var on, flow string
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		flow = ""
		i, err := s.ownInterface(tx, scope, id)
		if err != nil {
			return err
		}
		if i != nil {
			sub, err := subnets.get(s, tx, scope, i.Subnet)
			if err == nil {
				i.Secondary, err = change(tx, *sub, claim{scope, i.ID}, i.Secondary)
			}
			on = i.Instance
			if err := firstError(err, interfaces.put(tx, scope, i)); err != nil {
				return err
			}
			flow, err = s.beginLosses(tx, scope, i.ID, i.addresses())
			return err
		}
		in, err := instanceByInterface(tx, scope, id)
		if err != nil {
			return fault.New(fault.OperationNotPermitted, "The addresses of %s are managed by its NAT gateway.", id)
		}
		sub, err := subnets.get(s, tx, scope, in.Subnet)
		if err == nil {
			in.Secondary, err = change(tx, *sub, claim{scope, in.ID}, in.Secondary)
		}
		on = in.ID
		if err := firstError(err, in.save(tx)); err != nil {
			return err
		}
		flow, err = s.beginLosses(tx, scope, in.Interface, append([]netip.Addr{in.Private}, in.Secondary...))
		return err
	})
	if err == nil {
		err = s.awaitMoves(ctx, flow)
	}
	if err == nil && on != "" {
		err = s.replug(ctx, scope, on)
	}
	return err
}

// beginLosses begins to take elastic IPs off an interface that has only these
// private addresses left.
func (s *Service) beginLosses(tx store.Tx, scope arn.Scope, iface string, left []netip.Addr) (string, error) {
	list, err := loseElastics(tx, scope, iface, func(a netip.Addr) bool { return !slices.Contains(left, a) })
	if err != nil || len(list) == 0 {
		return "", err
	}
	return s.beginMoves(tx, list...)
}
