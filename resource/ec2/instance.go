package ec2

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const instanceName = "AWS::EC2::Instance"

// instanceProperties are those of AWS::EC2::Instance that instances here have.
// Some values of them are refused by EC2 itself, by name.
type instanceProperties struct {
	AvailabilityZone                  string                 `json:"AvailabilityZone,omitempty"`
	BlockDeviceMappings               []blockDevice          `json:"BlockDeviceMappings,omitempty"`
	CreditSpecification               *creditSpecification   `json:"CreditSpecification,omitempty"`
	DisableApiTermination             *bool                  `json:"DisableApiTermination,omitempty"`
	EbsOptimized                      *bool                  `json:"EbsOptimized,omitempty"`
	EnclaveOptions                    *enclaveOptions        `json:"EnclaveOptions,omitempty"`
	HibernationOptions                *hibernationOptions    `json:"HibernationOptions,omitempty"`
	IamInstanceProfile                string                 `json:"IamInstanceProfile,omitempty"`
	ImageId                           string                 `json:"ImageId,omitempty"`
	InstanceInitiatedShutdownBehavior string                 `json:"InstanceInitiatedShutdownBehavior,omitempty"`
	InstanceType                      string                 `json:"InstanceType,omitempty"`
	KeyName                           string                 `json:"KeyName,omitempty"`
	LaunchTemplate                    *templateReference     `json:"LaunchTemplate,omitempty"`
	MetadataOptions                   *metadataOptions       `json:"MetadataOptions,omitempty"`
	Monitoring                        *bool                  `json:"Monitoring,omitempty"`
	NetworkInterfaces                 []networkInterface     `json:"NetworkInterfaces,omitempty"`
	PrivateDnsNameOptions             *privateDNSNameOptions `json:"PrivateDnsNameOptions,omitempty"`
	PrivateIpAddress                  string                 `json:"PrivateIpAddress,omitempty"`
	PropagateTagsToVolumeOnCreation   *bool                  `json:"PropagateTagsToVolumeOnCreation,omitempty"`
	SecurityGroupIds                  []string               `json:"SecurityGroupIds,omitempty"`
	SecurityGroups                    []string               `json:"SecurityGroups,omitempty"`
	SourceDestCheck                   *bool                  `json:"SourceDestCheck,omitempty"`
	SubnetId                          string                 `json:"SubnetId,omitempty"`
	Tags                              []resource.Tag         `json:"Tags,omitempty"`
	Tenancy                           string                 `json:"Tenancy,omitempty"`
	UserData                          string                 `json:"UserData,omitempty"`
}

type blockDevice struct {
	DeviceName  string     `json:"DeviceName"`
	VirtualName string     `json:"VirtualName,omitempty"`
	NoDevice    *struct{}  `json:"NoDevice,omitempty"`
	Ebs         *ebsDevice `json:"Ebs,omitempty"`
}

type ebsDevice struct {
	DeleteOnTermination *bool  `json:"DeleteOnTermination,omitempty"`
	Encrypted           *bool  `json:"Encrypted,omitempty"`
	Iops                *int32 `json:"Iops,omitempty"`
	KmsKeyId            string `json:"KmsKeyId,omitempty"`
	SnapshotId          string `json:"SnapshotId,omitempty"`
	VolumeSize          *int32 `json:"VolumeSize,omitempty"`
	VolumeType          string `json:"VolumeType,omitempty"`
}

type templateReference struct {
	LaunchTemplateId   string `json:"LaunchTemplateId,omitempty"`
	LaunchTemplateName string `json:"LaunchTemplateName,omitempty"`
	Version            string `json:"Version,omitempty"`
}

type creditSpecification struct {
	CPUCredits string `json:"CPUCredits,omitempty"`
}

type enclaveOptions struct {
	Enabled *bool `json:"Enabled,omitempty"`
}

type hibernationOptions struct {
	Configured *bool `json:"Configured,omitempty"`
}

type metadataOptions struct {
	HttpEndpoint            string `json:"HttpEndpoint,omitempty"`
	HttpProtocolIpv6        string `json:"HttpProtocolIpv6,omitempty"`
	HttpPutResponseHopLimit *int32 `json:"HttpPutResponseHopLimit,omitempty"`
	HttpTokens              string `json:"HttpTokens,omitempty"`
	InstanceMetadataTags    string `json:"InstanceMetadataTags,omitempty"`
}

type networkInterface struct {
	AssociatePublicIpAddress       *bool              `json:"AssociatePublicIpAddress,omitempty"`
	DeleteOnTermination            *bool              `json:"DeleteOnTermination,omitempty"`
	Description                    string             `json:"Description,omitempty"`
	DeviceIndex                    string             `json:"DeviceIndex"`
	GroupSet                       []string           `json:"GroupSet,omitempty"`
	NetworkInterfaceId             string             `json:"NetworkInterfaceId,omitempty"`
	PrivateIpAddress               string             `json:"PrivateIpAddress,omitempty"`
	PrivateIpAddresses             []interfaceAddress `json:"PrivateIpAddresses,omitempty"`
	SecondaryPrivateIpAddressCount *int32             `json:"SecondaryPrivateIpAddressCount,omitempty"`
	SubnetId                       string             `json:"SubnetId,omitempty"`
}

type privateDNSNameOptions struct {
	EnableResourceNameDnsAAAARecord *bool  `json:"EnableResourceNameDnsAAAARecord,omitempty"`
	EnableResourceNameDnsARecord    *bool  `json:"EnableResourceNameDnsARecord,omitempty"`
	HostnameType                    string `json:"HostnameType,omitempty"`
}

type instanceHandler struct{ svc api.Service }

func instanceType(svc api.Service) cfn.Type {
	h := instanceHandler{svc}
	return cfn.Type{
		Name: instanceName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list,
		Replaces: replacesInstance, Signals: true,
	}
}

// replacesInstance says which changes that the schema leaves open need a new
// instance. Type, user data and security groups change in place.
func replacesInstance(property string, _, _ cfn.Properties) bool {
	switch strings.TrimPrefix(property, "/properties/") {
	case "InstanceType", "UserData", "SecurityGroupIds", "EbsOptimized":
		return false
	}
	return true
}

// run is the call that launches the instance.
func (p instanceProperties) run(r cfn.Request) (*api.RunInstancesInput, error) {
	tagged := []string{"instance"}
	if value(p.PropagateTagsToVolumeOnCreation) {
		tagged = append(tagged, "volume")
	}
	in := &api.RunInstancesInput{
		MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)), ImageId: p.ImageId, InstanceType: p.InstanceType, KeyName: p.KeyName,
		SubnetId: p.SubnetId, PrivateIpAddress: p.PrivateIpAddress, UserData: p.UserData,
		DisableApiTermination: p.DisableApiTermination, EbsOptimized: p.EbsOptimized,
		InstanceInitiatedShutdownBehavior: p.InstanceInitiatedShutdownBehavior,
		TagSpecifications:                 specs(resource.Tags(r, p.Tags), tagged...),
	}
	in.SecurityGroupIds, in.SecurityGroups = splitGroups(slices.Concat(p.SecurityGroupIds, p.SecurityGroups))
	if p.AvailabilityZone != "" || p.Tenancy != "" {
		in.Placement = &api.Placement{AvailabilityZone: p.AvailabilityZone, Tenancy: p.Tenancy}
	}
	if t := p.LaunchTemplate; t != nil {
		in.LaunchTemplate = &api.LaunchTemplateSpecification{LaunchTemplateId: t.LaunchTemplateId, LaunchTemplateName: t.LaunchTemplateName, Version: t.Version}
	}
	if p.Monitoring != nil {
		in.Monitoring = &api.RunInstancesMonitoringEnabled{Enabled: p.Monitoring}
	}
	if p.IamInstanceProfile != "" {
		in.IamInstanceProfile = &api.IamInstanceProfileSpecification{Name: p.IamInstanceProfile}
	}
	if p.CreditSpecification != nil {
		in.CreditSpecification = &api.CreditSpecificationRequest{CpuCredits: p.CreditSpecification.CPUCredits}
	}
	if p.EnclaveOptions != nil {
		in.EnclaveOptions = &api.EnclaveOptionsRequest{Enabled: p.EnclaveOptions.Enabled}
	}
	if p.HibernationOptions != nil {
		in.HibernationOptions = &api.HibernationOptionsRequest{Configured: p.HibernationOptions.Configured}
	}
	if o := p.MetadataOptions; o != nil {
		in.MetadataOptions = &api.InstanceMetadataOptionsRequest{
			HttpEndpoint: o.HttpEndpoint, HttpProtocolIpv6: o.HttpProtocolIpv6, HttpPutResponseHopLimit: o.HttpPutResponseHopLimit,
			HttpTokens: o.HttpTokens, InstanceMetadataTags: o.InstanceMetadataTags,
		}
	}
	if o := p.PrivateDnsNameOptions; o != nil {
		in.PrivateDnsNameOptions = &api.PrivateDnsNameOptionsRequest{
			HostnameType: o.HostnameType, EnableResourceNameDnsARecord: o.EnableResourceNameDnsARecord,
			EnableResourceNameDnsAAAARecord: o.EnableResourceNameDnsAAAARecord,
		}
	}
	for _, b := range p.BlockDeviceMappings {
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, b.mapping())
	}
	for _, i := range p.NetworkInterfaces {
		spec, err := i.spec()
		if err != nil {
			return nil, err
		}
		in.NetworkInterfaces = append(in.NetworkInterfaces, spec)
	}
	return in, nil
}

func (b blockDevice) mapping() api.BlockDeviceMapping {
	m := api.BlockDeviceMapping{DeviceName: b.DeviceName, VirtualName: b.VirtualName}
	if b.NoDevice != nil {
		m.NoDevice = b.DeviceName
	}
	if e := b.Ebs; e != nil {
		m.Ebs = &api.EbsBlockDevice{
			DeleteOnTermination: e.DeleteOnTermination, Encrypted: e.Encrypted, Iops: e.Iops, KmsKeyId: e.KmsKeyId,
			SnapshotId: e.SnapshotId, VolumeSize: e.VolumeSize, VolumeType: e.VolumeType,
		}
	}
	return m
}

func (i networkInterface) spec() (api.InstanceNetworkInterfaceSpecification, error) {
	index, err := strconv.ParseInt(i.DeviceIndex, 10, 32)
	if err != nil {
		return api.InstanceNetworkInterfaceSpecification{}, fault.New(fault.ValidationError, "%s: DeviceIndex %q is not a number", instanceName, i.DeviceIndex)
	}
	spec := api.InstanceNetworkInterfaceSpecification{
		AssociatePublicIpAddress: i.AssociatePublicIpAddress, DeleteOnTermination: i.DeleteOnTermination, Description: i.Description,
		DeviceIndex: ptr(int32(index)), Groups: i.GroupSet, NetworkInterfaceId: i.NetworkInterfaceId, PrivateIpAddress: i.PrivateIpAddress,
		SecondaryPrivateIpAddressCount: i.SecondaryPrivateIpAddressCount, SubnetId: i.SubnetId,
	}
	for _, a := range i.PrivateIpAddresses {
		spec.PrivateIpAddresses = append(spec.PrivateIpAddresses, api.PrivateIpAddressSpecification{Primary: ptr(a.Primary), PrivateIpAddress: a.PrivateIpAddress})
	}
	return spec, nil
}

func (h instanceHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p instanceProperties
	if err := resource.Decode(instanceName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in, err := p.run(r)
	if err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.RunInstances(ctx, in)
	if err != nil {
		return cfn.Result{}, err
	}
	id := out.Instances[0].InstanceId
	if r.Initiated != nil {
		r.Initiated(id)
	}
	left := cfn.Result{PhysicalID: id}
	if _, err := h.await(ctx, id, "running"); err != nil {
		return left, err
	}
	if p.SourceDestCheck != nil && !*p.SourceDestCheck {
		if err := h.modify(ctx, &api.ModifyInstanceAttributeInput{InstanceId: id, SourceDestCheck: flag(p.SourceDestCheck)}); err != nil {
			return left, err
		}
	}
	return h.result(ctx, id)
}

// await waits until the instance is in the wanted state, and fails once it
// cannot get there.
func (h instanceHandler) await(ctx context.Context, id, want string) (*api.Instance, error) {
	var i *api.Instance
	err := poll(ctx, func() (bool, error) {
		var err error
		if i, err = h.find(ctx, id); err != nil {
			return false, err
		}
		state := i.State.Name
		switch {
		case state == want:
			return true, nil
		case state == "terminated", state == "shutting-down" && want != "terminated", want == "running" && (state == "stopped" || state == "stopping"):
			return false, fault.New(fault.IncorrectInstanceState, "Instance %s is %s instead of %s%s", id, state, want, because(i))
		}
		return false, nil
	})
	return i, err
}

func because(i *api.Instance) string {
	if i.StateReason == nil || i.StateReason.Message == "" {
		return ""
	}
	return ": " + i.StateReason.Message
}

// find reads an instance, terminated or not.
func (h instanceHandler) find(ctx context.Context, id string) (*api.Instance, error) {
	out, err := h.svc.DescribeInstances(ctx, &api.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		return nil, err
	}
	for _, r := range out.Reservations {
		for i := range r.Instances {
			return &r.Instances[i], nil
		}
	}
	return nil, resource.Missing(instanceName, id)
}

func (h instanceHandler) result(ctx context.Context, id string) (cfn.Result, error) {
	i, err := h.find(ctx, id)
	if err != nil {
		return cfn.Result{PhysicalID: id}, err
	}
	return cfn.Result{PhysicalID: id, Attributes: instanceAttributes(i)}, nil
}

func instanceAttributes(i *api.Instance) cfn.Properties {
	return cfn.Properties{
		"InstanceId": i.InstanceId, "PrivateIp": i.PrivateIpAddress, "PublicIp": i.PublicIpAddress,
		"PrivateDnsName": i.PrivateDnsName, "PublicDnsName": i.PublicDnsName, "VpcId": i.VpcId,
		"AvailabilityZone": i.Placement.AvailabilityZone,
		"State":            map[string]any{"Code": strconv.Itoa(int(value(i.State.Code))), "Name": i.State.Name},
	}
}

func (h instanceHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.TerminateInstances(ctx, &api.TerminateInstancesInput{InstanceIds: []string{r.PhysicalID}})
	if err == nil {
		_, err = h.await(ctx, r.PhysicalID, "terminated")
	}
	return resource.Gone(err, fault.InvalidInstanceIDNotFound, fault.InvalidInstanceIDMalformed, cfn.NotFound)
}

func (h instanceHandler) list(ctx context.Context) ([]string, error) {
	in := &api.DescribeInstancesInput{Filters: []api.Filter{{Name: "instance-state-name", Values: []string{"pending", "running", "stopping", "stopped"}}}}
	var ids []string
	for {
		out, err := h.svc.DescribeInstances(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				ids = append(ids, i.InstanceId)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return ids, nil
		}
	}
}

func (h instanceHandler) modify(ctx context.Context, in *api.ModifyInstanceAttributeInput) error {
	_, err := h.svc.ModifyInstanceAttribute(ctx, in)
	return err
}

func flag(b *bool) *api.AttributeBooleanValue {
	return &api.AttributeBooleanValue{Value: ptr(value(b))}
}

func changed(before, after any) bool { return !reflect.DeepEqual(before, after) }
