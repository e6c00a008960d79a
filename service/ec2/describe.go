package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// instanceView is an instance with what else its description needs.
type instanceView struct {
	*instance
	tags   tagMap
	worn   tagMap // of its network interface
	groups []api.GroupIdentifier
	disks  []*volume
	// further are its network interfaces beside the primary one.
	further []api.NetworkInterface
	// elastics are the associations of its primary interface's addresses.
	elastics            map[netip.Addr]*api.NetworkInterfaceAssociation
	subnetCIDR, vpcCIDR netip.Prefix
}

// views joins instances with their tags and the names of their groups.
func (s *Service) views(tx store.Tx, scope arn.Scope, list []*instance) ([]instanceView, error) {
	names := map[string]string{}
	out := make([]instanceView, 0, len(list))
	for _, in := range list {
		v := instanceView{instance: in}
		var err error
		if v.tags, err = tagsOf(tx, scope, in.ID); err != nil {
			return nil, err
		}
		if in.State != terminated {
			if v.worn, err = tagsOf(tx, scope, in.Interface); err != nil {
				return nil, err
			}
			if v.disks, err = volumesOf(tx, scope, in.ID); err != nil {
				return nil, err
			}
			for _, id := range in.Groups {
				if names[id] == "" {
					g, err := s.groupByID(tx, scope, id)
					if err != nil {
						return nil, err
					}
					names[id] = g.Name
				}
				v.groups = append(v.groups, api.GroupIdentifier{GroupId: id, GroupName: names[id]})
			}
			if err := s.joinNetworks(tx, &v); err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// reservation groups instances that one call launched.
func reservation(views []instanceView) api.Reservation {
	if len(views) == 0 {
		return api.Reservation{}
	}
	r := api.Reservation{ReservationId: views[0].Reservation, OwnerId: views[0].Scope.Account, Groups: []api.GroupIdentifier{}}
	for _, v := range views {
		r.Instances = append(r.Instances, v.view())
	}
	return r
}

// DescribeInstances lists the caller's instances by reservation.
func (s *Service) DescribeInstances(ctx context.Context, in *api.DescribeInstancesInput) (*api.DescribeInstancesOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, instanceFields)
	if err != nil {
		return nil, err
	}
	if err := noPagesOfIDs("instancesSet", in.InstanceIds, in.MaxResults); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	found, err := s.selectInstances(ctx, scope, in.InstanceIds, m)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(found, instanceView.order, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstancesOutput{NextToken: next, Reservations: []api.Reservation{}}
	for from := 0; from < len(page); {
		to := from + 1
		for to < len(page) && page[to].Reservation == page[from].Reservation {
			to++
		}
		out.Reservations = append(out.Reservations, reservation(page[from:to]))
		from = to
	}
	return out, nil
}

// order puts older instances first, and those of one reservation together.
func (v instanceView) order() string {
	return fmt.Sprintf("%s/%s/%05d", v.Created.UTC().Format("20060102150405.000"), v.Reservation, v.Index)
}

func noPagesOfIDs(set string, ids []string, maxResults *int32) error {
	if len(ids) > 0 && maxResults != nil {
		return fault.New(fault.InvalidParameterCombination, "The parameter %s cannot be used with the parameter maxResults", set)
	}
	return nil
}

// selectInstances reads the instances of the given ids, or all, that a matcher lets through.
func (s *Service) selectInstances(ctx context.Context, scope arn.Scope, ids []string, m matcher[instanceView]) ([]instanceView, error) {
	var found []instanceView
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		found = nil
		var list []*instance
		var err error
		if len(ids) > 0 {
			list, err = loadInstances(tx, scope, ids)
		} else {
			list, err = allInstances(tx, scope)
		}
		if err != nil {
			return err
		}
		views, err := s.views(tx, scope, list)
		if err != nil {
			return err
		}
		for _, v := range views {
			if m.match(v) {
				found = append(found, v)
			}
		}
		return nil
	})
	return found, err
}

func allInstances(tx store.Tx, scope arn.Scope) ([]*instance, error) {
	var out []*instance
	for e, err := range instances.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// view is the instance as DescribeInstances has it.
func (v instanceView) view() api.Instance {
	t, _ := findType(v.Type)
	o := api.Instance{
		InstanceId: v.ID, ImageId: v.Image, InstanceType: v.Type, KeyName: v.Key, AmiLaunchIndex: ptr(v.Index),
		State: v.State.view(), StateTransitionReason: v.Transition, LaunchTime: ptr(v.Launched), ClientToken: v.ClientToken,
		Architecture: hostArch(), EbsOptimized: ptr(v.Optimized), EnaSupport: ptr(true), Hypervisor: "xen", VirtualizationType: "hvm",
		RootDeviceName: rootDevice, RootDeviceType: "ebs",
		Placement:      &api.Placement{AvailabilityZone: v.Zone, AvailabilityZoneId: zoneID(v.Zone), GroupName: "", Tenancy: "default"},
		Monitoring:     &api.Monitoring{State: v.monitoring()},
		SecurityGroups: v.groups, Tags: v.tags.list(), ProductCodes: []api.ProductCode{},
		CapacityReservationSpecification: &api.CapacityReservationSpecificationResponse{CapacityReservationPreference: "open"},
		HibernationOptions:               &api.HibernationOptions{Configured: ptr(false)},
		EnclaveOptions:                   &api.EnclaveOptions{Enabled: ptr(false)},
		MetadataOptions:                  v.metadataView(),
		PlatformDetails:                  "Linux/UNIX", UsageOperation: "RunInstances", UsageOperationUpdateTime: ptr(v.Created),
		CurrentInstanceBootMode: "legacy-bios",
	}
	if t.family != nil {
		o.CpuOptions = &api.CpuOptions{CoreCount: ptr(max(1, t.VCPU/t.family.threads)), ThreadsPerCore: ptr(t.family.threads)}
	}
	if v.Reason != nil {
		o.StateReason = &api.StateReason{Code: v.Reason.Code, Message: v.Reason.Message}
	}
	if v.State == terminated {
		o.BlockDeviceMappings, o.NetworkInterfaces = []api.InstanceBlockDeviceMapping{}, []api.InstanceNetworkInterface{}
		return o
	}
	if v.Profile != nil {
		o.IamInstanceProfile = &api.IamInstanceProfile{Arn: v.Profile.ARN, Id: v.Profile.ID}
	}
	o.VpcId, o.SubnetId, o.SourceDestCheck = v.VPC, v.Subnet, ptr(v.SourceCheck)
	o.PrivateIpAddress, o.PrivateDnsName = text(v.Private), privateDNS(v.Scope.Region, v.Private)
	o.PublicIpAddress, o.PublicDnsName = text(v.public()), publicDNS(v.Scope.Region, v.public())
	o.PrivateDnsNameOptions = &api.PrivateDnsNameOptionsResponse{
		HostnameType: "ip-name", EnableResourceNameDnsARecord: ptr(false), EnableResourceNameDnsAAAARecord: ptr(false),
	}
	o.BlockDeviceMappings = devicesOf(v.disks)
	o.NetworkInterfaces = []api.InstanceNetworkInterface{v.interfaceView()}
	for _, i := range v.further {
		o.NetworkInterfaces = append(o.NetworkInterfaces, asInstances(i))
	}
	return o
}

func (in *instance) monitoring() string {
	if in.Monitored {
		return "enabled"
	}
	return "disabled"
}

func (in *instance) metadataView() *api.InstanceMetadataOptionsResponse {
	return &api.InstanceMetadataOptionsResponse{
		State: "applied", HttpTokens: in.Metadata.Tokens, HttpEndpoint: in.Metadata.Endpoint, InstanceMetadataTags: in.Metadata.Tags,
		HttpPutResponseHopLimit: ptr(in.Metadata.HopLimit), HttpProtocolIpv6: "disabled",
	}
}

func (v instanceView) interfaceView() api.InstanceNetworkInterface {
	i := api.InstanceNetworkInterface{
		NetworkInterfaceId: v.Interface, OwnerId: v.Scope.Account, Status: "in-use", InterfaceType: "interface",
		SubnetId: v.Subnet, VpcId: v.VPC, MacAddress: macOf(v.Private), Description: v.Description,
		PrivateIpAddress: text(v.Private), PrivateDnsName: privateDNS(v.Scope.Region, v.Private),
		SourceDestCheck: ptr(v.SourceCheck), Groups: v.groups, Ipv6Addresses: []api.InstanceIpv6Address{},
		Attachment: &api.InstanceNetworkInterfaceAttachment{
			AttachmentId: v.Attachment, AttachTime: ptr(v.Created), DeleteOnTermination: ptr(!v.keepsFirst()), DeviceIndex: ptr(int32(0)),
			Status: "attached", NetworkCardIndex: ptr(int32(0)),
		},
	}
	if p := v.public(); p.IsValid() {
		owner := "amazon"
		if v.Elastic != nil {
			owner = v.Scope.Account
		}
		i.Association = &api.InstanceNetworkInterfaceAssociation{IpOwnerId: owner, PublicIp: p.String(), PublicDnsName: publicDNS(v.Scope.Region, p)}
	}
	i.PrivateIpAddresses = []api.InstancePrivateIpAddress{{
		Primary: ptr(true), PrivateIpAddress: i.PrivateIpAddress, PrivateDnsName: i.PrivateDnsName, Association: i.Association,
	}}
	for _, a := range v.Secondary {
		i.PrivateIpAddresses = append(i.PrivateIpAddresses, api.InstancePrivateIpAddress{
			Primary: ptr(false), PrivateIpAddress: a.String(), PrivateDnsName: privateDNS(v.Scope.Region, a),
			Association: asInstancesHas(v.elastics[a]),
		})
	}
	return i
}

// alikeFields are the filters that all instances answer alike.
var alikeFields = map[string][]string{
	"architecture":                   {hostArch()},
	"ena-support":                    {"true"},
	"enclave-options.enabled":        {"false"},
	"hibernation-options.configured": {"false"},
	"hypervisor":                     {"xen"},
	"platform-details":               {"Linux/UNIX"},
	"root-device-name":               {rootDevice},
	"root-device-type":               {"ebs"},
	"tenancy":                        {"default"},
	"usage-operation":                {"RunInstances"},
	"virtualization-type":            {"hvm"},
	"current-instance-boot-mode":     {"legacy-bios"},
	"operator.managed":               {"false"},
	"capacity-reservation-specification.capacity-reservation-preference": {"open"},
	// What no instance has.
	"affinity": nil, "capacity-reservation-id": nil, "host-id": nil, "instance-lifecycle": nil, "ipv6-address": nil, "kernel-id": nil,
	"outpost-arn": nil, "placement-group-name": nil, "placement-partition-number": nil, "platform": nil, "product-code": nil,
	"boot-mode": nil, "maintenance-options.auto-recovery": nil, "network-performance-options.bandwidth-weighting": nil, "operator.principal": nil,
	"tpm-support": nil, "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id": nil,
	"capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn": nil,
	"product-code.type": nil, "ramdisk-id": nil, "requester-id": nil, "spot-instance-request-id": nil,
}

// instanceFields reads what DescribeInstances filters by. The zero view has no
// instance.
func instanceFields(v instanceView, name string) ([]string, bool) {
	if v.instance == nil {
		v.instance = &instance{}
	}
	if rest, ok := strings.CutPrefix(name, "network-interface."); ok {
		return ownInterfaceFields(v, rest)
	}
	if values, ok := placeFields(v, name); ok {
		return values, true
	}
	if values, ok := alikeFields[name]; ok {
		return values, true
	}
	switch name {
	case "client-token":
		return one(v.ClientToken)
	case "ebs-optimized":
		return oneBool(v.Optimized)
	case "image-id":
		return one(v.Image)
	case "instance-id":
		return one(v.ID)
	case "instance-state-code":
		return oneInt(v.State.code())
	case "instance-state-name":
		return one(string(v.State))
	case "instance-type":
		return one(v.Type)
	case "key-name":
		return one(v.Key)
	case "launch-index":
		return oneInt(v.Index)
	case "launch-time":
		return one(v.Launched.UTC().Format("2006-01-02T15:04:05.000Z"))
	case "monitoring-state":
		return one(v.monitoring())
	case "owner-id":
		return one(v.Scope.Account)
	case "reason":
		return one(v.Transition)
	case "reservation-id":
		return one(v.Reservation)
	case "state-reason-code", "state-reason-message":
		return reasonFields(v.Reason, name)
	}
	if values, ok := optionFields(v, name); ok {
		return values, true
	}
	return tagFields(v.tags, name)
}

func reasonFields(r *reason, name string) ([]string, bool) {
	if r == nil {
		return nil, true
	}
	if name == "state-reason-code" {
		return one(r.Code)
	}
	return one(r.Message)
}

// placeFields are the filters about where an instance is and how it is reached.
func placeFields(v instanceView, name string) ([]string, bool) {
	switch name {
	case "availability-zone":
		return one(v.Zone)
	case "availability-zone-id":
		return one(zoneID(v.Zone))
	}
	gone := v.State == terminated
	known := func(s string) ([]string, bool) {
		if gone {
			return nil, true
		}
		return one(s)
	}
	switch name {
	case "dns-name":
		return known(publicDNS(v.Scope.Region, v.public()))
	case "ip-address":
		return known(text(v.public()))
	case "private-dns-name":
		return known(privateDNS(v.Scope.Region, v.Private))
	case "private-ip-address":
		return known(text(v.Private))
	case "subnet-id":
		return known(v.Subnet)
	case "vpc-id":
		return known(v.VPC)
	case "instance.group-id", "group-id":
		return groupNames(v, true)
	case "instance.group-name", "group-name":
		return groupNames(v, false)
	case "source-dest-check":
		return oneBool(v.SourceCheck)
	case "iam-instance-profile.arn":
		if v.Profile == nil {
			return nil, true
		}
		return known(v.Profile.ARN)
	case "iam-instance-profile.id":
		if v.Profile == nil {
			return nil, true
		}
		return known(v.Profile.ID)
	}
	return nil, false
}

func groupNames(v instanceView, ids bool) ([]string, bool) {
	var out []string
	for _, g := range v.groups {
		if ids {
			out = append(out, g.GroupId)
		} else {
			out = append(out, g.GroupName)
		}
	}
	return out, true
}

func optionFields(v instanceView, name string) ([]string, bool) {
	if values, ok := deviceFields(v.disks, name); ok {
		return values, true
	}
	switch name {
	case "metadata-options.http-endpoint":
		return one(v.Metadata.Endpoint)
	case "metadata-options.http-tokens":
		return one(v.Metadata.Tokens)
	case "metadata-options.instance-metadata-tags":
		return one(v.Metadata.Tags)
	case "metadata-options.http-put-response-hop-limit":
		return oneInt(v.Metadata.HopLimit)
	case "metadata-options.http-protocol-ipv4": // by which the endpoint answers
		return one(v.Metadata.Endpoint)
	case "metadata-options.http-protocol-ipv6":
		return one("disabled")
	case "usage-operation-update-time":
		return one(stamp(v.Created))
	case "metadata-options.state":
		return one("applied")
	case "private-dns-name-options.hostname-type":
		return one("ip-name")
	case "private-dns-name-options.enable-resource-name-dns-a-record", "private-dns-name-options.enable-resource-name-dns-aaaa-record":
		return oneBool(false)
	}
	return nil, false
}
