package ec2

import (
	"context"
	"regexp"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// deviceName is what a volume can be attached as ("Device names for volumes on
// Amazon EC2 instances"). The root's names are taken.
var deviceName = regexp.MustCompile(`^(/dev/)?(sd[b-z]([1-9]|1[0-5])?|xvd[b-z]|xvd[b-d][a-z])$`)

// maxAttachedVolumes bounds the volumes of one instance.
const maxAttachedVolumes = 27

// AttachVolume gives a volume to an instance of its zone. Its files are below
// the device's name in the instance.
func (s *Service) AttachVolume(ctx context.Context, in *api.AttachVolumeInput) (*api.AttachVolumeOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{{"EbsCardIndex", value(in.EbsCardIndex, 0) != 0}}); err != nil {
		return nil, err
	}
	if _, err := s.disks(); err != nil {
		return nil, err
	}
	device, err := checkDevice(in.Device)
	if err != nil {
		return nil, err
	}
	var v *volume
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		var i *instance
		if v, i, err = s.volumeAndInstance(tx, call.Scope, in.VolumeId, in.InstanceId); err != nil {
			return err
		}
		if a := v.Attachment; a != nil && call.Token != "" && a.Instance == i.ID && a.Device == device {
			return nil // this durable step's own
		}
		if err := s.attachable(tx, v, i, device); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		v.State = volumeInUse
		v.Attachment = &attachment{Instance: i.ID, Device: device, State: attaching, Since: s.now()}
		return s.askVolume(tx, flowAttach, v)
	})
	if err != nil {
		return nil, err
	}
	o := attachmentView(v)
	return &api.AttachVolumeOutput{
		VolumeId: o.VolumeId, InstanceId: o.InstanceId, Device: o.Device, State: o.State, AttachTime: o.AttachTime, DeleteOnTermination: o.DeleteOnTermination,
	}, nil
}

func (s *Service) volumeAndInstance(tx store.Tx, scope arn.Scope, volumeID, instanceID string) (*volume, *instance, error) {
	v, err := volumes.get(s, tx, scope, volumeID)
	if err != nil {
		return nil, nil, err
	}
	i, err := loadInstance(tx, scope, instanceID)
	return v, i, err
}

// checkDevice takes "sdf" for "/dev/sdf".
func checkDevice(name string) (string, error) {
	if name == "" {
		return "", fault.New(fault.MissingParameter, "The request must contain the parameter device")
	}
	if !deviceName.MatchString(name) {
		return "", fault.New(fault.InvalidParameterValue, "Value (%s) for parameter device is invalid. %s is not a valid EBS device name.", clip(name, 64), clip(name, 64))
	}
	if name[0] != '/' {
		name = "/dev/" + name
	}
	return name, nil
}

// attachable refuses what AWS does.
func (s *Service) attachable(tx store.Tx, v *volume, i *instance, device string) error {
	switch {
	case v.State == volumeInUse:
		return fault.New(fault.VolumeInUse, "%s is already attached to an instance", v.ID)
	case v.State != volumeAvailable:
		return fault.New(fault.IncorrectState, "%s is not 'available'.", v.ID)
	case i.State != running && i.State != stopped:
		return fault.New(fault.IncorrectState, "Instance '%s' is not 'running'.", i.ID)
	case v.Zone != i.Zone:
		return fault.New(fault.InvalidVolumeZoneMismatch, "The volume '%s' is not in the same availability zone as instance '%s'", v.ID, i.ID)
	}
	have, err := volumesOf(tx, i.Scope, i.ID)
	if err != nil {
		return err
	}
	for _, other := range have {
		if other.Attachment.Device == device {
			return fault.New(fault.InvalidParameterValue, "Invalid value '%s' for unixDevice. Attachment point %s is already in use", device, device)
		}
	}
	if len(have) >= maxAttachedVolumes {
		return fault.New("AttachmentLimitExceeded", "The instance '%s' has its maximum number of volumes (%d).", i.ID, maxAttachedVolumes)
	}
	return nil
}

// DetachVolume takes a volume from its instance, once no process there uses it.
// Force ends those that do: what they have not written is lost.
func (s *Service) DetachVolume(ctx context.Context, in *api.DetachVolumeInput) (*api.DetachVolumeOutput, error) {
	call := auth.From(ctx)
	var o api.VolumeAttachment
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := volumes.get(s, tx, call.Scope, in.VolumeId)
		if err != nil {
			return err
		}
		if err := s.detachable(tx, call, v, in); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if value(in.Force, false) && !v.Attachment.Force {
			// A detachment that waits for processes sees it when it looks again.
			v.Attachment.Force = true
			if err := volumes.put(tx, v.Scope, v); err != nil {
				return err
			}
		}
		if v.Attachment.State != detaching && v.Attachment.State != busy {
			v.Attachment.State = detaching
			if err := s.askVolume(tx, flowDetach, v); err != nil {
				return err
			}
		}
		o = attachmentView(v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DetachVolumeOutput{
		VolumeId: o.VolumeId, InstanceId: o.InstanceId, Device: o.Device, State: o.State, AttachTime: o.AttachTime, DeleteOnTermination: o.DeleteOnTermination,
	}, nil
}

func (s *Service) detachable(tx store.Tx, call auth.Call, v *volume, in *api.DetachVolumeInput) error {
	a := v.Attachment
	if a == nil {
		return fault.New(fault.IncorrectState, "Volume '%s' is in the '%s' state.", v.ID, v.State)
	}
	if in.InstanceId != "" {
		if _, err := loadInstance(tx, call.Scope, in.InstanceId); err != nil {
			return err
		}
	}
	if in.InstanceId != "" && in.InstanceId != a.Instance || in.Device != "" && in.Device != a.Device && "/dev/"+in.Device != a.Device {
		return fault.New(fault.InvalidAttachmentNotFound, "The volume '%s' is not attached to instance '%s' as device '%s'.", v.ID, clip(in.InstanceId, 64), clip(in.Device, 64))
	}
	i, err := loadInstance(tx, call.Scope, a.Instance)
	if err != nil {
		return err
	}
	switch {
	case a.Root && i.State == running:
		return fault.New(fault.OperationNotPermitted, "Unable to detach root volume '%s' from instance '%s'", v.ID, i.ID)
	case a.Root:
		return notBuilt("VolumeId of a root volume (an instance keeps its own)")
	case a.State == attaching:
		return fault.New(fault.IncorrectState, "Volume '%s' is still attaching to instance '%s'.", v.ID, i.ID)
	}
	return nil
}

func attachmentView(v *volume) api.VolumeAttachment {
	a := v.Attachment
	return api.VolumeAttachment{
		VolumeId: v.ID, InstanceId: a.Instance, Device: a.Device, State: a.State, AttachTime: ptr(a.Since), DeleteOnTermination: ptr(a.Delete),
	}
}
