package ec2

import (
	"context"
	"slices"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/resource"
)

func (h instanceHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	i, err := h.living(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := instanceProperties{
		AvailabilityZone: i.Placement.AvailabilityZone, EbsOptimized: i.EbsOptimized, ImageId: i.ImageId, InstanceType: i.InstanceType,
		KeyName: i.KeyName, Monitoring: ptr(i.Monitoring.State == "enabled"), PrivateIpAddress: i.PrivateIpAddress,
		SourceDestCheck: i.SourceDestCheck, SubnetId: i.SubnetId, Tags: resource.OwnTags(tagMap(i.Tags)), Tenancy: i.Placement.Tenancy,
		IamInstanceProfile: profileName(i.IamInstanceProfile),
		MetadataOptions: &metadataOptions{
			HttpEndpoint: i.MetadataOptions.HttpEndpoint, HttpProtocolIpv6: i.MetadataOptions.HttpProtocolIpv6,
			HttpPutResponseHopLimit: i.MetadataOptions.HttpPutResponseHopLimit, HttpTokens: i.MetadataOptions.HttpTokens,
			InstanceMetadataTags: i.MetadataOptions.InstanceMetadataTags,
		},
	}
	for _, g := range i.SecurityGroups {
		p.SecurityGroupIds = append(p.SecurityGroupIds, g.GroupId)
		p.SecurityGroups = append(p.SecurityGroups, g.GroupName)
	}
	slices.Sort(p.SecurityGroupIds)
	if err := h.readAttributes(ctx, r.PhysicalID, &p); err != nil {
		return nil, err
	}
	if err := h.readParts(ctx, r, i, &p); err != nil {
		return nil, err
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	for k, v := range instanceAttributes(i) {
		out[k] = v
	}
	return out, nil
}

// readAttributes reads what DescribeInstances does not tell.
func (h instanceHandler) readAttributes(ctx context.Context, id string, p *instanceProperties) error {
	read := func(attribute string) (*api.DescribeInstanceAttributeOutput, error) {
		return h.svc.DescribeInstanceAttribute(ctx, &api.DescribeInstanceAttributeInput{InstanceId: id, Attribute: attribute})
	}
	data, err := read("userData")
	if err != nil {
		return err
	}
	protected, err := read("disableApiTermination")
	if err != nil {
		return err
	}
	behaviour, err := read("instanceInitiatedShutdownBehavior")
	if err != nil {
		return err
	}
	p.UserData, p.DisableApiTermination = data.UserData.Value, protected.DisableApiTermination.Value
	p.InstanceInitiatedShutdownBehavior = behaviour.InstanceInitiatedShutdownBehavior.Value
	credits, err := h.svc.DescribeInstanceCreditSpecifications(ctx, &api.DescribeInstanceCreditSpecificationsInput{InstanceIds: []string{id}})
	if err != nil {
		return err
	}
	for _, c := range credits.InstanceCreditSpecifications {
		p.CreditSpecification = &creditSpecification{CPUCredits: c.CpuCredits}
	}
	return nil
}

// readParts reads the volumes and interfaces that the template names; others came
// with the image or by attachments of their own. What an instance was launched by,
// and cannot get otherwise later, is what the template says.
func (h instanceHandler) readParts(ctx context.Context, r cfn.Request, i *api.Instance, p *instanceProperties) error {
	var want instanceProperties
	if err := resource.Decode(instanceName, r.Properties, &want); err != nil {
		return err
	}
	p.LaunchTemplate, p.EnclaveOptions, p.HibernationOptions = want.LaunchTemplate, want.EnclaveOptions, want.HibernationOptions
	if o := i.PrivateDnsNameOptions; o != nil {
		p.PrivateDnsNameOptions = &privateDNSNameOptions{
			HostnameType: o.HostnameType, EnableResourceNameDnsARecord: o.EnableResourceNameDnsARecord,
			EnableResourceNameDnsAAAARecord: o.EnableResourceNameDnsAAAARecord,
		}
	}
	for _, n := range want.NetworkInterfaces {
		if seen := interfaceAt(i, n); seen != nil {
			p.NetworkInterfaces = append(p.NetworkInterfaces, *seen)
		}
	}
	for _, b := range want.BlockDeviceMappings {
		if b.Ebs == nil {
			p.BlockDeviceMappings = append(p.BlockDeviceMappings, b)
			continue
		}
		seen, err := h.deviceAt(ctx, i, b.DeviceName)
		if err != nil {
			return err
		}
		if seen != nil {
			p.BlockDeviceMappings = append(p.BlockDeviceMappings, *seen)
		}
	}
	return nil
}

// interfaceAt is the interface at the place of one of the template, nil if none is.
func interfaceAt(i *api.Instance, want networkInterface) *networkInterface {
	for _, n := range i.NetworkInterfaces {
		if n.Attachment == nil || n.Attachment.DeviceIndex == nil || strconv.Itoa(int(*n.Attachment.DeviceIndex)) != want.DeviceIndex {
			continue
		}
		seen := &networkInterface{
			AssociatePublicIpAddress: want.AssociatePublicIpAddress, // of the launch; elastic IPs come and go
			DeleteOnTermination:      n.Attachment.DeleteOnTermination, Description: n.Description, DeviceIndex: want.DeviceIndex,
			NetworkInterfaceId: n.NetworkInterfaceId, PrivateIpAddress: n.PrivateIpAddress, SubnetId: n.SubnetId,
		}
		for _, g := range n.Groups {
			seen.GroupSet = append(seen.GroupSet, g.GroupId)
		}
		for _, a := range n.PrivateIpAddresses {
			seen.PrivateIpAddresses = append(seen.PrivateIpAddresses, interfaceAddress{Primary: a.Primary != nil && *a.Primary, PrivateIpAddress: a.PrivateIpAddress})
		}
		if want.SecondaryPrivateIpAddressCount != nil {
			seen.SecondaryPrivateIpAddressCount = ptr(int32(len(seen.PrivateIpAddresses) - 1))
		}
		return seen
	}
	return nil
}

// deviceAt is the volume that is attached under a device's name, nil for none.
func (h instanceHandler) deviceAt(ctx context.Context, i *api.Instance, name string) (*blockDevice, error) {
	at := slices.IndexFunc(i.BlockDeviceMappings, func(m api.InstanceBlockDeviceMapping) bool { return m.DeviceName == name && m.Ebs != nil })
	if at < 0 {
		return nil, nil
	}
	attached := i.BlockDeviceMappings[at].Ebs
	out, err := h.svc.DescribeVolumes(ctx, &api.DescribeVolumesInput{VolumeIds: []string{attached.VolumeId}})
	if err != nil {
		return nil, err
	}
	v := out.Volumes[0]
	return &blockDevice{DeviceName: name, Ebs: &ebsDevice{
		DeleteOnTermination: attached.DeleteOnTermination, Encrypted: v.Encrypted, Iops: v.Iops, KmsKeyId: v.KmsKeyId,
		SnapshotId: v.SnapshotId, VolumeSize: v.Size, VolumeType: v.VolumeType,
	}}, nil
}
