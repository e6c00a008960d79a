package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeInstanceAttribute tells one attribute of an instance.
func (s *Service) DescribeInstanceAttribute(ctx context.Context, in *api.DescribeInstanceAttributeInput) (*api.DescribeInstanceAttributeOutput, error) {
	i, err := s.oneInstance(ctx, in.InstanceId)
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	out := &api.DescribeInstanceAttributeOutput{InstanceId: i.ID}
	textValue := func(v string) *api.AttributeValue { return &api.AttributeValue{Value: v} }
	flag := func(b bool) *api.AttributeBooleanValue { return &api.AttributeBooleanValue{Value: ptr(b)} }
	switch in.Attribute {
	case "instanceType":
		out.InstanceType = textValue(i.Type)
	case "userData":
		out.UserData = textValue(encodeBase64(i.UserData))
	case "disableApiTermination":
		out.DisableApiTermination = flag(i.KeepAlive)
	case "disableApiStop":
		out.DisableApiStop = flag(i.KeepRunning)
	case "instanceInitiatedShutdownBehavior":
		out.InstanceInitiatedShutdownBehavior = textValue(i.OnShutdown)
	case "rootDeviceName":
		out.RootDeviceName = textValue(rootDevice)
	case "blockDeviceMapping":
		out.BlockDeviceMappings = devicesOf(i.volumes)
	case "sourceDestCheck":
		out.SourceDestCheck = flag(i.SourceCheck)
	case "ebsOptimized":
		out.EbsOptimized = flag(i.Optimized)
	case "enaSupport":
		out.EnaSupport = flag(true)
	case "enclaveOptions":
		out.EnclaveOptions = &api.EnclaveOptions{Enabled: ptr(false)}
	case "kernel":
		out.KernelId = textValue("")
	case "ramdisk":
		out.RamdiskId = textValue("")
	case "sriovNetSupport":
		out.SriovNetSupport = textValue("simple")
	case "productCodes":
		out.ProductCodes = []api.ProductCode{}
	case "groupSet":
		out.Groups, err = s.groupIdentifiers(ctx, i)
	default:
		err = fault.New(fault.InvalidParameterValue, "Value (%s) for parameter attribute is invalid. Unknown attribute.", clip(in.Attribute, 64))
	}
	return out, err
}

func (s *Service) groupIdentifiers(ctx context.Context, in *instance) ([]api.GroupIdentifier, error) {
	var out []api.GroupIdentifier
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		views, err := s.views(tx, in.Scope, []*instance{in})
		if err == nil {
			out = views[0].groups
		}
		return err
	})
	return out, err
}

// alteration changes one attribute of an instance.
type alteration struct {
	name  string
	still bool // the instance must be stopped
	apply func(tx store.Tx, in *instance) error
}

// ModifyInstanceAttribute changes one attribute. Type and user data can change
// only while the instance is stopped.
func (s *Service) ModifyInstanceAttribute(ctx context.Context, in *api.ModifyInstanceAttributeInput) (*api.ModifyInstanceAttributeOutput, error) {
	call := auth.From(ctx)
	list, err := s.alterations(in)
	if err != nil {
		return nil, err
	}
	switch {
	case len(list) == 0:
		return nil, fault.New(fault.MissingParameter, "The request must contain an attribute to modify")
	case len(list) > 1:
		return nil, fault.New(fault.InvalidParameterCombination, "Fields for multiple attribute types specified: %s, %s", list[0].name, list[1].name)
	}
	a := list[0]
	err = s.update(ctx, func(tx store.Tx) error {
		i, err := loadInstance(tx, call.Scope, in.InstanceId)
		if err != nil {
			return err
		}
		if i.State.ending() {
			return fault.New(fault.IncorrectInstanceState, "The instance '%s' is not in a state from which its attributes can be modified.", i.ID)
		}
		if a.still && i.State != stopped {
			return fault.New(fault.IncorrectInstanceState, "The instance '%s' is not in the 'stopped' state.", i.ID)
		}
		if err := a.apply(tx, i); err != nil {
			return err
		}
		return firstError(i.save(tx), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyInstanceAttributeOutput{}, nil
}

// alterations are the attributes that a request names, by parameter or by the
// older pair of attribute and value.
func (s *Service) alterations(in *api.ModifyInstanceAttributeInput) ([]alteration, error) {
	if err := refuse([]refusal{
		{"Attribute=blockDeviceMapping (name the devices by BlockDeviceMapping)", in.Attribute == "blockDeviceMapping" && len(in.BlockDeviceMappings) == 0},
		{"Kernel", in.Kernel != nil || in.Attribute == "kernel"},
		{"Ramdisk", in.Ramdisk != nil || in.Attribute == "ramdisk"},
		{"SriovNetSupport", in.SriovNetSupport != nil || in.Attribute == "sriovNetSupport"},
		{"EnaSupport", in.EnaSupport != nil || in.Attribute == "enaSupport"},
		{"SourceDestCheck=false (instances pass on no packets of others)", in.SourceDestCheck != nil && !value(in.SourceDestCheck.Value, true) ||
			in.Attribute == "sourceDestCheck" && in.Value == "false"},
	}); err != nil {
		return nil, err
	}
	var list []alteration
	flag := func(name string, v *api.AttributeBooleanValue, field func(*instance) *bool) error {
		set := v != nil && v.Value != nil
		b := set && *v.Value
		if in.Attribute == name {
			switch in.Value {
			case "true", "false":
				set, b = true, in.Value == "true"
			default:
				return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter value is invalid. Expecting true or false.", clip(in.Value, 64))
			}
		}
		if set {
			list = append(list, alteration{name: name, apply: func(_ store.Tx, i *instance) error { *field(i) = b; return nil }})
		}
		return nil
	}
	if err := firstError(
		flag("disableApiTermination", in.DisableApiTermination, func(i *instance) *bool { return &i.KeepAlive }),
		flag("disableApiStop", in.DisableApiStop, func(i *instance) *bool { return &i.KeepRunning }),
		flag("sourceDestCheck", in.SourceDestCheck, func(i *instance) *bool { return &i.SourceCheck }),
		flag("ebsOptimized", in.EbsOptimized, func(i *instance) *bool { return &i.Optimized }),
	); err != nil {
		return nil, err
	}
	for i := range list {
		list[i].still = list[i].name == "ebsOptimized"
	}
	return s.valueAlterations(in, list)
}

func (s *Service) valueAlterations(in *api.ModifyInstanceAttributeInput, list []alteration) ([]alteration, error) {
	named := func(name string, v *api.AttributeValue) (string, bool) {
		if in.Attribute == name {
			return in.Value, true
		}
		if v != nil {
			return v.Value, true
		}
		return "", false
	}
	if t, ok := named("instanceType", in.InstanceType); ok {
		if err := checkType(t); err != nil {
			return nil, err
		}
		list = append(list, alteration{"instanceType", true, func(_ store.Tx, i *instance) error { i.Type = t; return nil }})
	}
	if b, ok := named("instanceInitiatedShutdownBehavior", in.InstanceInitiatedShutdownBehavior); ok {
		if b != onShutdownStop && b != onShutdownTerminate {
			return nil, badShutdown(b)
		}
		list = append(list, alteration{"instanceInitiatedShutdownBehavior", false, func(_ store.Tx, i *instance) error { i.OnShutdown = b; return nil }})
	}
	if in.UserData != nil || in.Attribute == "userData" {
		data, err := modifiedUserData(in)
		if err != nil {
			return nil, err
		}
		list = append(list, alteration{"userData", true, func(_ store.Tx, i *instance) error { i.UserData = data; return nil }})
	}
	if len(in.Groups) > 0 {
		list = append(list, alteration{"groupSet", false, func(tx store.Tx, i *instance) (err error) {
			i.Groups, err = s.resolveGroups(tx, i.Scope, i.VPC, in.Groups, nil)
			return err
		}})
	}
	if len(in.BlockDeviceMappings) > 0 {
		keep, err := keptDevices(in.BlockDeviceMappings)
		if err != nil {
			return nil, err
		}
		list = append(list, alteration{"blockDeviceMapping", false, func(tx store.Tx, i *instance) error { return keepDevices(tx, i, keep) }})
	}
	if in.Attribute != "" && len(list) == 0 {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter attribute is invalid. Unknown attribute.", clip(in.Attribute, 64))
	}
	return list, nil
}

// modifiedUserData reads user data: the blob comes decoded, the older value in base64.
func modifiedUserData(in *api.ModifyInstanceAttributeInput) ([]byte, error) {
	if in.UserData == nil {
		return decodeUserData(in.Value)
	}
	return in.UserData.Value, checkUserDataSize(in.UserData.Value)
}

// ModifyInstanceMetadataOptions changes the switches of the metadata service; it
// heeds them from its next request on.
func (s *Service) ModifyInstanceMetadataOptions(ctx context.Context, in *api.ModifyInstanceMetadataOptionsInput) (*api.ModifyInstanceMetadataOptionsOutput, error) {
	call := auth.From(ctx)
	out := &api.ModifyInstanceMetadataOptionsOutput{InstanceId: in.InstanceId}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		i, err := loadInstance(tx, call.Scope, in.InstanceId)
		if err != nil {
			return err
		}
		if i.State.ending() {
			return fault.New(fault.IncorrectInstanceState, "The instance '%s' is not in a state from which its metadata options can be modified.", i.ID)
		}
		if err := i.Metadata.set(in.HttpTokens, in.HttpEndpoint, in.InstanceMetadataTags, in.HttpProtocolIpv6, in.HttpPutResponseHopLimit); err != nil {
			return err
		}
		own, err := settingsOf(tx, call.Scope)
		if err != nil {
			return err
		}
		if in.HttpTokens != "" {
			if err := own.permits(i.Metadata); err != nil {
				return err
			}
		}
		out.InstanceMetadataOptions = i.metadataView()
		return firstError(i.save(tx), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeInstanceCreditSpecifications tells the CPU credit option of burstable
// instances.
func (s *Service) DescribeInstanceCreditSpecifications(ctx context.Context, in *api.DescribeInstanceCreditSpecificationsInput) (*api.DescribeInstanceCreditSpecificationsOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, func(v instanceView, name string) ([]string, bool) {
		if name != "instance-id" {
			return nil, false
		}
		return instanceFields(v, name)
	})
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	all, err := s.selectInstances(ctx, scope, in.InstanceIds, m)
	if err != nil {
		return nil, err
	}
	var found []instanceView
	for _, v := range all {
		if v.Credits != "" && v.State != terminated && (len(in.InstanceIds) > 0 || v.Credits == "unlimited") {
			found = append(found, v)
		}
	}
	page, next, err := paginate(found, instanceView.order, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstanceCreditSpecificationsOutput{NextToken: next}
	for _, v := range page {
		out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications, api.InstanceCreditSpecification{InstanceId: v.ID, CpuCredits: v.Credits})
	}
	return out, nil
}
