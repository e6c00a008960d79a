package ec2

import (
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// defaultRootGiB is the root volume's size of the built-in image.
const defaultRootGiB = 8

// mapping is one block device of an image, or of a request that changes the
// image's.
type mapping struct {
	Device   string     `json:"device"`
	Snapshot string     `json:"snapshot,omitempty"`
	Kind     volumeKind `json:"kind"`
	Keep     bool       `json:"keep,omitempty"` // after the instance's end
	none     bool       // the device is to be left out
	asked    *bool      // DeleteOnTermination of the request
}

// checkMappings reads the block device mappings of a request. size and type are
// checked when the image's are known, too.
func checkMappings(in []api.BlockDeviceMapping) ([]mapping, error) {
	var out []mapping
	for _, b := range in {
		if b.NoDevice == "" && b.Ebs == nil && instanceStore.MatchString(b.VirtualName) {
			continue
		}
		device := b.DeviceName
		if contains(rootDevices, device) {
			device = rootDevice // whatever name the caller knows it by
		} else {
			var err error
			if device, err = checkDevice(device); err != nil {
				return nil, fault.New(fault.InvalidBlockDeviceMapping, "Invalid device name %s", clip(b.DeviceName, 64))
			}
		}
		if slices.ContainsFunc(out, func(m mapping) bool { return m.Device == device }) {
			return nil, fault.New(fault.InvalidBlockDeviceMapping, "The device '%s' is used in more than one block-device mapping", device)
		}
		m := mapping{Device: device, none: b.NoDevice != ""}
		switch {
		case m.none && device == rootDevice:
			return nil, fault.New(fault.InvalidBlockDeviceMapping, "The root device cannot be left out")
		case m.none:
		case b.VirtualName != "" || b.Ebs == nil:
			return nil, fault.New(fault.InvalidBlockDeviceMapping, "The block-device mapping of '%s' has neither Ebs nor NoDevice", device)
		default:
			if err := m.read(b.Ebs); err != nil {
				return nil, err
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func (m *mapping) read(e *api.EbsBlockDevice) error {
	if err := refuse([]refusal{
		{"BlockDeviceMapping.Ebs.Encrypted", value(e.Encrypted, false)},
		{"BlockDeviceMapping.Ebs.KmsKeyId", e.KmsKeyId != ""},
		{"BlockDeviceMapping.Ebs.OutpostArn", e.OutpostArn != ""},
		{"BlockDeviceMapping.Ebs.VolumeInitializationRate", e.VolumeInitializationRate != nil},
		{"BlockDeviceMapping.Ebs.EbsCardIndex", value(e.EbsCardIndex, 0) != 0},
	}); err != nil {
		return err
	}
	if e.SnapshotId != "" {
		if err := checkID(prefixSnapshot, e.SnapshotId); err != nil {
			return err
		}
	}
	m.Snapshot, m.asked = e.SnapshotId, e.DeleteOnTermination
	m.Kind = volumeKind{Type: e.VolumeType, GiB: int64(value(e.VolumeSize, 0)), IOPS: e.Iops, Throughput: e.Throughput}
	m.Keep = e.DeleteOnTermination != nil && !*e.DeleteOnTermination
	if e.VolumeSize == nil && e.VolumeType == "" {
		return nil
	}
	k := m.Kind
	return k.check(e.VolumeSize != nil)
}

// mergeMappings puts a request's mappings over the image's.
func mergeMappings(image, request []mapping) []mapping {
	out := slices.Clone(image)
	for _, r := range request {
		i := slices.IndexFunc(out, func(m mapping) bool { return m.Device == r.Device })
		switch {
		case i < 0 && !r.none:
			out = append(out, r)
		case i >= 0 && r.none:
			out = slices.Delete(out, i, i+1)
		case i >= 0:
			out[i] = out[i].changed(r)
		}
	}
	return out
}

func (m mapping) changed(r mapping) mapping {
	if r.Snapshot != "" {
		m.Snapshot = r.Snapshot
	}
	if r.Kind.Type != "" && r.Kind.Type != m.Kind.Type {
		m.Kind = volumeKind{Type: r.Kind.Type, GiB: m.Kind.GiB}
	}
	if r.Kind.GiB != 0 {
		m.Kind.GiB = r.Kind.GiB
	}
	if r.Kind.IOPS != nil {
		m.Kind.IOPS = r.Kind.IOPS
	}
	if r.Kind.Throughput != nil {
		m.Kind.Throughput = r.Kind.Throughput
	}
	if r.asked != nil {
		m.Keep = !*r.asked
	}
	return m
}

// resolveMappings decides the volumes of a launch from its image and request.
func (s *Service) resolveMappings(tx store.Tx, scope arn.Scope, img *image, request []mapping) ([]mapping, error) {
	out := mergeMappings(img.Mappings, request)
	for i := range out {
		m := &out[i]
		root := m.Device == rootDevice
		if root && m.Snapshot != img.rootSnapshot() {
			return nil, notBuilt("BlockDeviceMapping.Ebs.SnapshotId of the root device (register an image of the snapshot)")
		}
		if !root {
			if _, err := s.disks(); err != nil {
				return nil, err
			}
		}
		if m.Snapshot != "" {
			find := s.usableSnapshot
			if slices.ContainsFunc(img.Mappings, func(o mapping) bool { return o.Snapshot == m.Snapshot }) {
				find = s.imageSnapshot // shared with the image
			}
			snap, err := find(tx, scope, m.Snapshot)
			if err != nil {
				return nil, err
			}
			if m.Kind.GiB == 0 {
				m.Kind.GiB = snap.GiB
			}
			if m.Kind.GiB < snap.GiB {
				return nil, fault.New(fault.InvalidBlockDeviceMapping, "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", m.Kind.GiB, snap.ID, snap.GiB)
			}
		}
		if m.Kind.GiB == 0 {
			return nil, fault.New(fault.MissingParameter, "The request must contain the parameter size/snapshot")
		}
		if err := m.Kind.settle(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// imageSnapshot finds a snapshot that an image uses, whoever owns it.
func (s *Service) imageSnapshot(tx store.Tx, scope arn.Scope, id string) (*snapshot, error) {
	for e, err := range snapshots.kept.ByIndex(tx, "id", scope.Region+"/"+id) {
		return e.Value, err
	}
	return nil, notFound(prefixSnapshot, id)
}

// plug puts the volumes of a new instance on record. The instance's own
// workflow makes them on the host.
func (s *Service) plug(tx store.Tx, in *instance, disks []mapping, tags tagMap) error {
	for _, m := range disks {
		v := &volume{
			Scope: in.Scope, ID: arn.IDFrom(prefixVolume, in.ID+m.Device), Zone: in.Zone, Kind: m.Kind, Snapshot: m.Snapshot,
			Created: in.Created, State: volumeInUse,
			Attachment: &attachment{Instance: in.ID, Device: m.Device, State: attaching, Since: in.Created, Delete: !m.Keep},
		}
		if m.Device == rootDevice {
			v.ID, v.Lower, v.Attachment.Root = in.Root.ID, in.Lower, true
		}
		if err := firstError(volumes.put(tx, v.Scope, v), putTags(tx, v.Scope, "volume", v.ID, tags)); err != nil {
			return err
		}
	}
	return nil
}

// plugged records that an instance that runs has its volumes.
func (s *Service) plugged(tx store.Tx, in *instance) error {
	list, err := volumesOf(tx, in.Scope, in.ID)
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.Attachment.State != attaching {
			continue
		}
		v.Attachment.State = attached
		if err := volumes.put(tx, v.Scope, v); err != nil {
			return err
		}
	}
	return nil
}

// mappingViews are the mappings as an image shows them.
func mappingViews(list []mapping) []api.BlockDeviceMapping {
	out := []api.BlockDeviceMapping{}
	for _, m := range list {
		out = append(out, api.BlockDeviceMapping{DeviceName: m.Device, Ebs: &api.EbsBlockDevice{
			DeleteOnTermination: ptr(!m.Keep), SnapshotId: m.Snapshot, VolumeSize: ptr(int32(m.Kind.GiB)), VolumeType: m.Kind.Type,
			Iops: m.Kind.IOPS, Throughput: m.Kind.Throughput, Encrypted: ptr(false),
		}})
	}
	return out
}

// resolveImage looks up the image that a request names, and decides the volumes.
func (s *Service) resolveImage(tx store.Tx, scope arn.Scope, r *runRequest, m *instance) error {
	img, err := s.launchImage(tx, scope, m.Image)
	if err != nil {
		return err
	}
	r.image = img
	m.Lower = img.Lower
	if r.disks, err = s.resolveMappings(tx, scope, img, r.mappings); err != nil {
		return err
	}
	for _, d := range r.disks {
		if d.Device == rootDevice {
			m.Root.GiB, m.Root.Type = d.Kind.GiB, d.Kind.Type
		}
	}
	return nil
}
