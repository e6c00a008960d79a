package ec2

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// interfaceFields reads what DescribeNetworkInterfaces filters by.
func interfaceFields(i api.NetworkInterface, name string) ([]string, bool) {
	if values, ok := attachmentFields(i.Attachment, name); ok {
		return values, true
	}
	if values, ok := addressesFields(i, name); ok {
		return values, true
	}
	switch name {
	case "availability-zone":
		return one(i.AvailabilityZone)
	case "availability-zone-id":
		return one(zoneID(i.AvailabilityZone))
	case "description":
		return one(i.Description)
	case "group-id", "group-name":
		var out []string
		for _, g := range i.Groups {
			out = append(out, map[bool]string{true: g.GroupId, false: g.GroupName}[name == "group-id"])
		}
		return out, true
	case "interface-type":
		return one(i.InterfaceType)
	case "mac-address":
		return one(i.MacAddress)
	case "network-interface-id":
		return one(i.NetworkInterfaceId)
	case "owner-id":
		return one(i.OwnerId)
	case "private-dns-name":
		return one(i.PrivateDnsName)
	case "private-ip-address":
		return one(i.PrivateIpAddress)
	case "requester-id":
		return one(i.RequesterId)
	case "requester-managed":
		return oneBool(value(i.RequesterManaged, false))
	case "source-dest-check":
		return oneBool(value(i.SourceDestCheck, true))
	case "status":
		return one(i.Status)
	case "subnet-id":
		return one(i.SubnetId)
	case "vpc-id":
		return one(i.VpcId)
	case "operator.managed":
		return oneBool(false)
	case "ipv6-addresses.ipv6-address", "operator.principal", "outpost-arn":
		return nil, true
	}
	tags := tagMap{}
	for _, t := range i.TagSet {
		tags[t.Key] = t.Value
	}
	return tagFields(tags, name)
}

func attachmentFields(a *api.NetworkInterfaceAttachment, name string) ([]string, bool) {
	there := a != nil
	if !there {
		a = &api.NetworkInterfaceAttachment{AttachTime: &time.Time{}}
	}
	read := map[string]func() string{
		"attachment.attach-time":           func() string { return value(a.AttachTime, time.Time{}).UTC().Format(time.RFC3339) },
		"attachment.attachment-id":         func() string { return a.AttachmentId },
		"attachment.delete-on-termination": func() string { return strconv.FormatBool(value(a.DeleteOnTermination, false)) },
		"attachment.device-index":          func() string { return itoa(int(value(a.DeviceIndex, 0))) },
		"attachment.network-card-index":    func() string { return itoa(int(value(a.NetworkCardIndex, 0))) },
		"attachment.instance-id":           func() string { return a.InstanceId },
		"attachment.instance-owner-id":     func() string { return a.InstanceOwnerId },
		"attachment.nat-gateway-id":        func() string { return "" },
		"attachment.status":                func() string { return a.Status },
	}[name]
	if read == nil {
		return nil, false
	}
	if !there {
		return nil, true
	}
	return one(read())
}

// addressesFields are the filters about addresses and what they are associated with.
func addressesFields(i api.NetworkInterface, name string) ([]string, bool) {
	var out []string
	each := func(read func(api.NetworkInterfacePrivateIpAddress) string) ([]string, bool) {
		for _, a := range i.PrivateIpAddresses {
			if s := read(a); s != "" {
				out = append(out, s)
			}
		}
		return out, true
	}
	associated := func(read func(*api.NetworkInterfaceAssociation) string) ([]string, bool) {
		return each(func(a api.NetworkInterfacePrivateIpAddress) string {
			if a.Association == nil {
				return ""
			}
			return read(a.Association)
		})
	}
	switch name {
	case "addresses.private-ip-address":
		return each(func(a api.NetworkInterfacePrivateIpAddress) string { return a.PrivateIpAddress })
	case "addresses.primary":
		return each(func(a api.NetworkInterfacePrivateIpAddress) string {
			return strconv.FormatBool(value(a.Primary, false))
		})
	case "addresses.association.public-ip", "association.public-ip":
		return associated(func(a *api.NetworkInterfaceAssociation) string { return a.PublicIp })
	case "addresses.association.owner-id", "association.ip-owner-id", "association.owner-id":
		return associated(func(a *api.NetworkInterfaceAssociation) string { return a.IpOwnerId })
	case "association.public-dns-name":
		return associated(func(a *api.NetworkInterfaceAssociation) string { return a.PublicDnsName })
	case "association.allocation-id":
		return associated(func(a *api.NetworkInterfaceAssociation) string { return a.AllocationId })
	case "association.association-id":
		return associated(func(a *api.NetworkInterfaceAssociation) string { return a.AssociationId })
	case "association.carrier-ip", "association.customer-owned-ip":
		return nil, true
	}
	return nil, false
}

// DescribeNetworkInterfaces lists the network interfaces of the caller: those of
// instances, those that were made, and those of NAT gateways.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, in *api.DescribeNetworkInterfacesInput) (*api.DescribeNetworkInterfacesOutput, error) {
	if err := noPagesOfIDs("networkInterfaceIds", in.NetworkInterfaceIds, in.MaxResults); err != nil {
		return nil, err
	}
	page, next, err := list(ctx, s, listing[api.NetworkInterface]{
		prefix: prefixInterface, ids: in.NetworkInterfaceIds, filters: in.Filters, fields: interfaceFields, dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pagesOf1000,
		id: func(i api.NetworkInterface) string { return i.NetworkInterfaceId }, load: s.networkInterfaces,
	})
	if err != nil {
		return nil, err
	}
	if page == nil {
		page = []api.NetworkInterface{}
	}
	return &api.DescribeNetworkInterfacesOutput{NextToken: next, NetworkInterfaces: page}, nil
}

func (s *Service) networkInterfaces(tx store.Tx, scope arn.Scope) ([]api.NetworkInterface, error) {
	tags, err := allTags(tx, scope, prefixInterface)
	if err != nil {
		return nil, err
	}
	all, err := allInstances(tx, scope)
	if err != nil {
		return nil, err
	}
	views, err := s.views(tx, scope, all)
	if err != nil {
		return nil, err
	}
	var out []api.NetworkInterface
	for _, v := range views {
		if v.State == terminated {
			continue
		}
		v.tags = tags[v.Interface]
		out = append(out, v.networkInterface())
	}
	own, err := interfaces.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	for _, i := range own {
		o, err := s.ownView(tx, i)
		if err != nil {
			return nil, err
		}
		o.TagSet = tags[i.ID].list()
		out = append(out, o)
	}
	managed, err := nats.which(s, tx, scope, (*nat).available)
	if err != nil {
		return nil, err
	}
	for _, n := range managed {
		o, err := s.natInterface(tx, scope, n)
		if err != nil {
			return nil, err
		}
		o.TagSet = tags[n.Interface].list()
		out = append(out, o)
	}
	return out, nil
}

func (s *Service) natInterface(tx store.Tx, scope arn.Scope, n *nat) (api.NetworkInterface, error) {
	i := &netInterface{
		Scope: scope, ID: n.Interface, VPC: n.VPC, Subnet: n.Subnet, Private: n.Private, Description: "Interface for NAT Gateway " + n.ID,
	}
	sub, err := subnets.get(s, tx, scope, n.Subnet)
	if err != nil {
		return api.NetworkInterface{}, err
	}
	i.Zone = sub.Zone
	o, err := s.ownView(tx, i)
	o.Status, o.InterfaceType, o.RequesterManaged, o.RequesterId = "in-use", "nat_gateway", ptr(true), "amazon-aws"
	o.Association = &api.NetworkInterfaceAssociation{
		AllocationId: n.Allocation, AssociationId: n.Association, IpOwnerId: scope.Account, PublicIp: n.Public.String(), PublicDnsName: publicDNS(scope.Region, n.Public),
	}
	o.PrivateIpAddresses[0].Association = o.Association
	return o, err
}

// ownView is an interface as DescribeNetworkInterfaces has it, without tags.
func (s *Service) ownView(tx store.Tx, i *netInterface) (api.NetworkInterface, error) {
	region := i.Scope.Region
	o := api.NetworkInterface{
		NetworkInterfaceId: i.ID, OwnerId: i.Scope.Account, Status: "available", InterfaceType: "interface", AvailabilityZone: i.Zone,
		SubnetId: i.Subnet, VpcId: i.VPC, MacAddress: macOf(i.Private), Description: i.Description,
		PrivateIpAddress: i.Private.String(), PrivateDnsName: privateDNS(region, i.Private), SourceDestCheck: ptr(i.SourceCheck),
		RequesterManaged: ptr(false), RequesterId: i.Requester, Groups: []api.GroupIdentifier{}, Ipv6Addresses: []api.NetworkInterfaceIpv6Address{},
	}
	elastics, err := associationsOf(tx, i.Scope, i.ID)
	if err != nil {
		return o, err
	}
	o.Association = elastics[i.Private]
	for n, a := range i.addresses() {
		o.PrivateIpAddresses = append(o.PrivateIpAddresses, api.NetworkInterfacePrivateIpAddress{
			Primary: ptr(n == 0), PrivateIpAddress: a.String(), PrivateDnsName: privateDNS(region, a), Association: elastics[a],
		})
	}
	for _, id := range i.Groups {
		g, err := s.groupByID(tx, i.Scope, id)
		if err != nil {
			return o, err
		}
		o.Groups = append(o.Groups, api.GroupIdentifier{GroupId: id, GroupName: g.Name})
	}
	if i.Instance != "" {
		o.Status = "in-use"
		o.Attachment = &api.NetworkInterfaceAttachment{
			AttachmentId: i.Attachment, AttachTime: ptr(i.Attached), DeleteOnTermination: ptr(i.DeleteOnTermination), DeviceIndex: ptr(i.Device),
			NetworkCardIndex: ptr(int32(0)), InstanceId: i.Instance, InstanceOwnerId: i.Scope.Account, Status: "attached",
		}
	}
	return o, nil
}

// associationsOf are an interface's elastic IPs by the private addresses that they
// stand for.
func associationsOf(tx store.Tx, scope arn.Scope, iface string) (map[netip.Addr]*api.NetworkInterfaceAssociation, error) {
	list, err := associatedWith(tx, scope, iface)
	out := map[netip.Addr]*api.NetworkInterfaceAssociation{}
	for _, a := range list {
		out[a.Private] = &api.NetworkInterfaceAssociation{
			AllocationId: a.ID, AssociationId: a.Association, IpOwnerId: scope.Account, PublicIp: a.IP.String(), PublicDnsName: publicDNS(scope.Region, a.IP),
		}
	}
	return out, err
}

// networkInterface is an instance's primary interface as
// DescribeNetworkInterfaces has it.
func (v instanceView) networkInterface() api.NetworkInterface {
	i := v.interfaceView()
	out := api.NetworkInterface{
		NetworkInterfaceId: v.Interface, OwnerId: i.OwnerId, Status: "in-use", InterfaceType: "interface", AvailabilityZone: v.Zone,
		SubnetId: v.Subnet, VpcId: v.VPC, MacAddress: i.MacAddress, Description: i.Description,
		PrivateIpAddress: i.PrivateIpAddress, PrivateDnsName: i.PrivateDnsName, SourceDestCheck: i.SourceDestCheck,
		RequesterManaged: ptr(false), Groups: v.groups, TagSet: v.tags.list(),
		Attachment: &api.NetworkInterfaceAttachment{
			AttachmentId: v.Attachment, AttachTime: ptr(v.Created), DeleteOnTermination: ptr(!v.keepsFirst()), DeviceIndex: ptr(int32(0)),
			NetworkCardIndex: ptr(int32(0)), InstanceId: v.ID, InstanceOwnerId: v.Scope.Account, Status: "attached",
		},
	}
	if a := i.Association; a != nil {
		out.Association = &api.NetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicIp: a.PublicIp, PublicDnsName: a.PublicDnsName}
		if v.Elastic != nil {
			out.Association.AllocationId, out.Association.AssociationId = v.Elastic.Allocation, v.Elastic.Association
		}
	}
	out.PrivateIpAddresses = []api.NetworkInterfacePrivateIpAddress{{
		Primary: ptr(true), PrivateIpAddress: i.PrivateIpAddress, PrivateDnsName: i.PrivateDnsName, Association: out.Association,
	}}
	for _, a := range v.Secondary {
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, api.NetworkInterfacePrivateIpAddress{
			Primary: ptr(false), PrivateIpAddress: a.String(), PrivateDnsName: privateDNS(v.Scope.Region, a), Association: v.elastics[a],
		})
	}
	return out
}
