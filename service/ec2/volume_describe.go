package ec2

import (
	"context"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// timeLayout is how filters write times.
const timeLayout = "2006-01-02T15:04:05.000Z"

// DescribeVolumes lists the caller's volumes.
func (s *Service) DescribeVolumes(ctx context.Context, in *api.DescribeVolumesInput) (*api.DescribeVolumesOutput, error) {
	if err := noPagesOfIDs("volumesSet", in.VolumeIds, in.MaxResults); err != nil {
		return nil, err
	}
	page, next, err := list(ctx, s, listing[taggedVolume]{
		prefix: prefixVolume, ids: in.VolumeIds, filters: in.Filters, fields: volumeFields, dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pagesOf1000, id: func(v taggedVolume) string { return v.ID }, load: s.taggedVolumes,
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeVolumesOutput{NextToken: next, Volumes: []api.Volume{}}
	for _, v := range page {
		out.Volumes = append(out.Volumes, volumeView(v))
	}
	return out, nil
}

func (s *Service) taggedVolumes(tx store.Tx, scope arn.Scope) ([]taggedVolume, error) {
	all, err := volumes.all(s, tx, scope)
	if err != nil {
		return nil, err
	}
	tags, err := allTags(tx, scope, prefixVolume)
	out := make([]taggedVolume, 0, len(all))
	for _, v := range all {
		out = append(out, taggedVolume{v, tags[v.ID]})
	}
	return out, err
}

// taggedVolume is a volume with its tags.
type taggedVolume struct {
	*volume
	tags tagMap
}

// orZero lets filters be asked what they know where there is no volume.
func (t taggedVolume) orZero() *volume {
	if t.volume == nil {
		return &volume{}
	}
	return t.volume
}

func volumeView(v taggedVolume) api.Volume {
	o := api.Volume{
		VolumeId: v.ID, Size: ptr(int32(v.Kind.GiB)), SnapshotId: v.Snapshot, AvailabilityZone: v.Zone, AvailabilityZoneId: zoneID(v.Zone),
		State: v.State, CreateTime: ptr(v.Created), VolumeType: v.Kind.Type, Iops: v.Kind.iops(), Throughput: v.Kind.Throughput,
		Encrypted: ptr(false), MultiAttachEnabled: ptr(false), Tags: v.tags.list(), Attachments: []api.VolumeAttachment{},
	}
	if v.Attachment != nil {
		o.Attachments = append(o.Attachments, attachmentView(v.volume))
	}
	return o
}

// volumeFields are the filters of DescribeVolumes.
func volumeFields(t taggedVolume, name string) ([]string, bool) {
	v := t.orZero()
	a := v.Attachment
	if a == nil {
		a = &attachment{}
	}
	switch name {
	case "attachment.attach-time":
		if v.Attachment == nil {
			return nil, true
		}
		return one(a.Since.Format(timeLayout))
	case "attachment.delete-on-termination":
		if v.Attachment == nil {
			return nil, true
		}
		return oneBool(a.Delete)
	case "attachment.device":
		return one(a.Device)
	case "attachment.instance-id":
		return one(a.Instance)
	case "attachment.status":
		return one(a.State)
	case "availability-zone":
		return one(v.Zone)
	case "availability-zone-id":
		return one(zoneID(v.Zone))
	case "create-time":
		return one(v.Created.Format(timeLayout))
	case "encrypted", "fast-restored", "multi-attach-enabled":
		return oneBool(false)
	case "size":
		return oneInt(v.Kind.GiB)
	case "snapshot-id":
		return one(v.Snapshot)
	case "source-volume-id", "operator.managed", "operator.principal", "kms-key-id":
		return nil, true
	case "status":
		return one(v.State)
	case "volume-id":
		return one(v.ID)
	case "volume-type":
		return one(v.Kind.Type)
	}
	return tagFields(t.tags, name)
}

// devicesOf are the block devices of an instance.
func devicesOf(list []*volume) []api.InstanceBlockDeviceMapping {
	out := []api.InstanceBlockDeviceMapping{}
	for _, v := range list {
		a := v.Attachment
		out = append(out, api.InstanceBlockDeviceMapping{DeviceName: a.Device, Ebs: &api.EbsInstanceBlockDevice{
			VolumeId: v.ID, Status: a.State, DeleteOnTermination: ptr(a.Delete), AttachTime: ptr(a.Since),
		}})
	}
	return out
}

// deviceFields are an instance's filters about its block devices.
func deviceFields(list []*volume, name string) ([]string, bool) {
	var out []string
	for _, v := range list {
		a := v.Attachment
		out = append(out, map[string]string{
			"block-device-mapping.attach-time":           a.Since.Format(timeLayout),
			"block-device-mapping.delete-on-termination": strconv.FormatBool(a.Delete),
			"block-device-mapping.device-name":           a.Device,
			"block-device-mapping.status":                a.State,
			"block-device-mapping.volume-id":             v.ID,
		}[name])
	}
	switch name {
	case "block-device-mapping.attach-time", "block-device-mapping.delete-on-termination", "block-device-mapping.device-name",
		"block-device-mapping.status", "block-device-mapping.volume-id":
		return out, true
	}
	return nil, false
}
