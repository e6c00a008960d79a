package ec2

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// keptDevices reads, for each device, whether its volume goes with the instance:
// the one thing that can change of the volume of an instance.
func keptDevices(in []api.InstanceBlockDeviceMappingSpecification) (map[string]bool, error) {
	out := map[string]bool{}
	for _, m := range in {
		if m.Ebs == nil || m.Ebs.DeleteOnTermination == nil || m.NoDevice != "" || m.VirtualName != "" || m.Ebs.VolumeId != "" {
			return nil, notBuilt("BlockDeviceMapping without Ebs.DeleteOnTermination, or with anything else")
		}
		if m.DeviceName == "" {
			return nil, fault.New(fault.MissingParameter, "The request must contain the parameter deviceName")
		}
		device := m.DeviceName
		if contains(rootDevices, device) {
			device = rootDevice
		}
		out[device] = *m.Ebs.DeleteOnTermination
	}
	return out, nil
}

func keepDevices(tx store.Tx, in *instance, ends map[string]bool) error {
	list, err := volumesOf(tx, in.Scope, in.ID)
	if err != nil {
		return err
	}
	for device, end := range ends {
		i := slices.IndexFunc(list, func(v *volume) bool { return v.Attachment != nil && v.Attachment.Device == device })
		if i < 0 {
			return fault.New(fault.InvalidInstanceAttributeValue, "No device is currently mapped at %s", clip(device, 64))
		}
		list[i].Attachment.Delete = end
		if err := volumes.put(tx, in.Scope, list[i]); err != nil {
			return err
		}
	}
	return nil
}

// ResetInstanceAttribute brings an attribute back to its default. Kernels and RAM
// disks are not built.
func (s *Service) ResetInstanceAttribute(ctx context.Context, in *api.ResetInstanceAttributeInput) (*api.ResetInstanceAttributeOutput, error) {
	switch in.Attribute {
	case "sourceDestCheck":
	case "kernel", "ramdisk":
		return nil, notBuilt("Attribute=" + in.Attribute)
	default:
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter attribute is invalid. Only kernel, ramdisk and sourceDestCheck can be reset.", clip(in.Attribute, 64))
	}
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		i, err := loadInstance(tx, scope, in.InstanceId)
		if err != nil {
			return err
		}
		if i.State.ending() {
			return fault.New(fault.IncorrectInstanceState, "The instance '%s' is not in a state from which its attributes can be modified.", i.ID)
		}
		i.SourceCheck = true
		return firstError(i.save(tx), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ResetInstanceAttributeOutput{}, nil
}
