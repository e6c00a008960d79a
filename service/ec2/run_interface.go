package ec2

import (
	"net/netip"
	"slices"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// nic is a network interface that a launch asks for.
type nic struct {
	device      int32
	id          string // of one that is there already
	subnet      string // "" is where the first one is
	groups      []string
	asked       netip.Addr
	others      []netip.Addr // secondary addresses
	count       int          // how many more are asked for
	description string
	keep        bool // when the instance ends
}

// firstInterface is what an instance's record keeps of its primary network
// interface so that this can outlive it.
type firstInterface struct {
	Keep      bool      `json:"keep,omitempty"` // when the instance ends
	Requester string    `json:"requester,omitempty"`
	Created   time.Time `json:"created"`
	Hash      string    `json:"hash,omitempty"` // of the request that made it, with a client token
}

// keepsFirst says that the primary interface outlives the instance.
func (in *instance) keepsFirst() bool { return in.First != nil && in.First.Keep }

// checkInterfaces decides the first interface and the further ones of a launch.
func (s *Service) checkInterfaces(in *api.RunInstancesInput, r *runRequest) error {
	conflict := func(what string) error {
		return fault.New(fault.InvalidParameterCombination, "Network interfaces and an instance-level %s may not be specified on the same request", what)
	}
	switch {
	case in.SubnetId != "":
		return conflict("subnet ID")
	case len(in.SecurityGroupIds)+len(in.SecurityGroups) > 0:
		return conflict("security groups")
	case in.PrivateIpAddress != "":
		return conflict("private address")
	}
	r.subnet, r.groupIDs, r.groupNames = "", nil, nil
	taken := map[int32]bool{}
	for n := range in.NetworkInterfaces {
		spec := &in.NetworkInterfaces[n]
		w, err := s.checkInterface(spec, n+1)
		if err != nil {
			return err
		}
		if taken[w.device] {
			return fault.New(fault.InvalidParameterCombination, "Network interfaces must have unique device indexes: %d is there twice", w.device)
		}
		taken[w.device] = true
		if r.max > 1 && (w.id != "" || w.asked.IsValid() || len(w.others) > 0) {
			return fault.New(fault.InvalidParameterCombination, "Network interfaces and private addresses may not be named when launching more than one instance")
		}
		if public := spec.AssociatePublicIpAddress; public != nil {
			if err := s.checkPublic(*public, w, len(in.NetworkInterfaces)); err != nil {
				return err
			}
			r.public = public
		}
		if w.device > 0 {
			r.further = append(r.further, w)
			continue
		}
		r.first, r.subnet, r.groupIDs = w, w.subnet, w.groups
		r.asked, r.others, r.secondary, r.model.Description = w.asked, w.others, w.count, w.description
	}
	if !taken[0] {
		return fault.New(fault.InvalidParameterCombination, "One of the network interfaces must have device index 0")
	}
	slices.SortFunc(r.further, func(a, b nic) int { return int(a.device - b.device) })
	return nil
}

// checkPublic refuses AssociatePublicIpAddress where AWS does ("Assign a public
// IPv4 address at launch"): it is for one new interface at device 0.
func (s *Service) checkPublic(asked bool, w nic, interfaces int) error {
	switch {
	case w.id != "":
		return fault.New(fault.InvalidParameterCombination, "You may not specify both a network interface ID and associatePublicIpAddress")
	case interfaces > 1:
		return fault.New(fault.InvalidParameterCombination, "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.")
	case w.device > 0:
		return fault.New(fault.InvalidParameterCombination, "The associatePublicIPAddress parameter can only be specified for the network interface with DeviceIndex 0.")
	case asked && !s.cfg.Driver.Network().Elastic.IsValid():
		return fault.New(fault.UnsupportedOperation, "AssociatePublicIpAddress: this host has no range of public addresses")
	}
	return nil
}

// checkInterface reads one of a launch's interfaces, the nth.
func (s *Service) checkInterface(i *api.InstanceNetworkInterfaceSpecification, n int) (nic, error) {
	if i.DeviceIndex == nil {
		return nic{}, fault.New(fault.MissingParameter, "Each network interface requires a device index.")
	}
	at := "NetworkInterface." + itoa(n) + "."
	err := refuse([]refusal{
		{at + "AssociateCarrierIpAddress", value(i.AssociateCarrierIpAddress, false)},
		{at + "ConnectionTrackingSpecification", i.ConnectionTrackingSpecification != nil},
		{at + "EnaSrdSpecification", i.EnaSrdSpecification != nil},
		{at + "EnaQueueCount", i.EnaQueueCount != nil},
		{at + "InterfaceType", i.InterfaceType != "" && i.InterfaceType != "interface"},
		{at + "Ipv4Prefix", len(i.Ipv4Prefixes) > 0 || value(i.Ipv4PrefixCount, 0) > 0},
		{at + "Ipv6Prefix", len(i.Ipv6Prefixes) > 0 || value(i.Ipv6PrefixCount, 0) > 0},
		{at + "Ipv6Addresses", len(i.Ipv6Addresses) > 0 || value(i.Ipv6AddressCount, 0) > 0},
		{at + "NetworkCardIndex", value(i.NetworkCardIndex, 0) != 0},
		{at + "PrimaryIpv6", value(i.PrimaryIpv6, false)},
	})
	if err != nil {
		return nic{}, err
	}
	w := nic{
		device: *i.DeviceIndex, id: i.NetworkInterfaceId, subnet: i.SubnetId, groups: i.Groups, description: i.Description,
		count: int(value(i.SecondaryPrivateIpAddressCount, 0)), keep: !value(i.DeleteOnTermination, i.NetworkInterfaceId == ""),
	}
	if w.device < 0 || w.device >= maxAttachedInterfaces {
		return w, fault.New(fault.InvalidParameterValue, "Value (%d) for parameter deviceIndex is invalid. Expecting a value between 0 and %d.", w.device, maxAttachedInterfaces-1)
	}
	if len(i.PrivateIpAddresses) == 1 && i.PrivateIpAddress == "" {
		w.asked, err = askedAddress(i.PrivateIpAddresses[0].PrivateIpAddress)
	} else {
		w.asked, w.others, err = specifiedAddresses(i.PrivateIpAddress, i.PrivateIpAddresses)
	}
	if err != nil {
		return w, err
	}
	if len(w.others) > 0 && w.count > 0 {
		return w, fault.New(fault.InvalidParameterCombination, "Secondary addresses may not be named together with secondaryPrivateIpAddressCount")
	}
	if w.id != "" {
		if err := checkID(prefixInterface, w.id); err != nil {
			return w, err
		}
		if w.subnet != "" || len(w.groups) > 0 || w.asked.IsValid() || len(w.others) > 0 || w.count > 0 || w.description != "" || value(i.DeleteOnTermination, false) {
			return w, fault.New(fault.InvalidParameterCombination, "A network interface may not specify a network interface ID together with a subnet ID, security groups, private addresses, a description or deletion on termination")
		}
	}
	if w.subnet != "" {
		if err := checkID(prefixSubnet, w.subnet); err != nil {
			return w, err
		}
	}
	if w.id != "" || w.device > 0 || w.keep || w.count > 0 || len(w.others) > 0 {
		return w, s.routed()
	}
	return w, nil
}

// takeFirst gives a new instance its primary interface: the one that is there, or
// addresses for a new one.
func (s *Service) takeFirst(tx store.Tx, sub subnet, r *runRequest, in *instance) (err error) {
	if r.first.id != "" {
		return s.absorb(tx, in, r.first.id)
	}
	if r.first.keep {
		in.First = &firstInterface{Keep: true, Requester: in.Requester, Created: in.Created}
	}
	own := claim{in.Scope, in.ID}
	if in.Private, err = s.takePrivate(tx, sub, r.asked, own); err != nil {
		return err
	}
	in.Secondary, err = s.takeSecondary(tx, sub, slices.Clone(r.others), r.secondary, own)
	return err
}

// freeInterface finds an interface that a launch is to have.
func (s *Service) freeInterface(tx store.Tx, scope arn.Scope, id string) (*netInterface, error) {
	i, err := s.ownInterface(tx, scope, id)
	if err == nil && (i == nil || i.Instance != "") {
		err = fault.New(fault.InvalidNetworkInterfaceInUse, "Interface: [%s] in use.", id)
	}
	return i, err
}

// absorb makes an interface a new instance's primary one, which is part of the
// instance's record from now on. Its tags and elastic IPs stay.
func (s *Service) absorb(tx store.Tx, in *instance, id string) error {
	i, err := s.freeInterface(tx, in.Scope, id)
	if err != nil {
		return err
	}
	in.Interface, in.Private, in.Secondary, in.Groups = i.ID, i.Private, i.Secondary, i.Groups
	in.Description, in.SourceCheck, in.Fixed, in.MapPublic = i.Description, i.SourceCheck, true, false
	in.First = &firstInterface{Keep: true, Requester: i.Requester, Created: i.Created, Hash: i.Hash}
	if err := reclaim(tx, i.addresses(), claim{in.Scope, in.ID}); err != nil {
		return err
	}
	elastics, err := associatedWith(tx, in.Scope, i.ID)
	if err != nil {
		return err
	}
	for _, a := range elastics {
		a.Instance = in.ID
		if a.Private == in.Private {
			in.Elastic = &elastic{IP: a.IP, Allocation: a.ID, Association: a.Association}
		}
		if err := a.save(tx); err != nil {
			return err
		}
	}
	return interfaces.kept.Delete(tx, interfaces.key(i.Scope, i.ID))
}

// letGo makes a dead instance's primary interface one of its own again.
func (s *Service) letGo(tx store.Tx, in *instance) error {
	i := &netInterface{
		Scope: in.Scope, ID: in.Interface, VPC: in.VPC, Subnet: in.Subnet, Zone: in.Zone, Private: in.Private, Secondary: in.Secondary,
		Groups: in.Groups, Description: in.Description, SourceCheck: in.SourceCheck,
		Requester: in.First.Requester, Created: in.First.Created, Hash: in.First.Hash,
	}
	elastics, err := associatedWith(tx, in.Scope, i.ID)
	if err != nil {
		return err
	}
	for _, a := range elastics {
		a.Instance = ""
		if err := a.save(tx); err != nil {
			return err
		}
	}
	return firstError(reclaim(tx, i.addresses(), claim{i.Scope, i.ID}), interfaces.put(tx, i.Scope, i))
}

// reclaim gives claimed addresses to another owner.
func reclaim(tx store.Tx, list []netip.Addr, c claim) error {
	for _, a := range list {
		if err := claims.Put(tx, claimKey(a), &c); err != nil {
			return err
		}
	}
	return nil
}

// takeFurther attaches the further interfaces of a launch to a new instance.
func (s *Service) takeFurther(tx store.Tx, r *runRequest, in *instance) error {
	for _, w := range r.further {
		i, err := s.furtherOf(tx, r, in, w)
		if err != nil {
			return err
		}
		if err := fits(tx, in, i, w.device); err != nil {
			return err
		}
		i.Instance, i.Attachment, i.Device, i.Attached = in.ID, arn.IDFrom(prefixAttachment, in.ID+"/"+i.ID), w.device, in.Created
		i.DeleteOnTermination = !w.keep
		if err := interfaces.put(tx, i.Scope, i); err != nil {
			return err
		}
	}
	return nil
}

// furtherOf is one of a launch's further interfaces, made where it is not there.
func (s *Service) furtherOf(tx store.Tx, r *runRequest, in *instance, w nic) (*netInterface, error) {
	if w.id != "" {
		return s.freeInterface(tx, in.Scope, w.id)
	}
	i := &netInterface{
		Scope: in.Scope, ID: arn.IDFrom(prefixInterface, in.ID+"/"+itoa(int(w.device))), Subnet: w.subnet, Description: w.description,
		SourceCheck: true, Requester: in.Requester, Created: in.Created,
	}
	if i.Subnet == "" {
		i.Subnet = in.Subnet
	}
	if err := s.equip(tx, i, w.groups, w.asked, slices.Clone(w.others), w.count); err != nil {
		return nil, err
	}
	return i, putTags(tx, i.Scope, "network-interface", i.ID, r.tags["network-interface"])
}
