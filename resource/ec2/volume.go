package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const volumeTypeName = "AWS::EC2::Volume"

type volumeProperties struct {
	AutoEnableIO             *bool          `json:"AutoEnableIO,omitempty"`
	AvailabilityZone         string         `json:"AvailabilityZone,omitempty"`
	AvailabilityZoneId       string         `json:"AvailabilityZoneId,omitempty"`
	Encrypted                *bool          `json:"Encrypted,omitempty"`
	Iops                     *int32         `json:"Iops,omitempty"`
	KmsKeyId                 string         `json:"KmsKeyId,omitempty"`
	MultiAttachEnabled       *bool          `json:"MultiAttachEnabled,omitempty"`
	OutpostArn               string         `json:"OutpostArn,omitempty"`
	Size                     *int32         `json:"Size,omitempty"`
	SnapshotId               string         `json:"SnapshotId,omitempty"`
	SourceVolumeId           string         `json:"SourceVolumeId,omitempty"`
	Tags                     []resource.Tag `json:"Tags,omitempty"`
	Throughput               *int32         `json:"Throughput,omitempty"`
	VolumeInitializationRate *int32         `json:"VolumeInitializationRate,omitempty"`
	VolumeType               string         `json:"VolumeType,omitempty"`
}

// volumeHandler is AWS::EC2::Volume. Size, type, speed and tags change in place;
// as in AWS, a change of the rest is refused, for a new volume would be empty.
type volumeHandler struct{ svc api.Service }

func volumeType(svc api.Service) cfn.Type {
	h := volumeHandler{svc}
	return cfn.Type{Name: volumeTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, Snapshot: h.snapshot, List: h.list}
}

func (h volumeHandler) decode(given cfn.Properties) (volumeProperties, error) {
	var p volumeProperties
	err := resource.Decode(volumeTypeName, given, &p)
	if err == nil && p.SourceVolumeId != "" {
		err = fault.New(fault.NotImplemented, "%s: the property SourceVolumeId is not built in Slipway yet", volumeTypeName)
	}
	return p, err
}

func (h volumeHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := h.decode(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateVolume(ctx, &api.CreateVolumeInput{
		AvailabilityZone: p.AvailabilityZone, AvailabilityZoneId: p.AvailabilityZoneId, Encrypted: p.Encrypted, Iops: p.Iops, KmsKeyId: p.KmsKeyId,
		MultiAttachEnabled: p.MultiAttachEnabled, OutpostArn: p.OutpostArn, Size: p.Size, SnapshotId: p.SnapshotId, Throughput: p.Throughput,
		VolumeInitializationRate: p.VolumeInitializationRate, VolumeType: p.VolumeType, TagSpecifications: specs(resource.Tags(r, p.Tags), "volume"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	r.Initiated(out.VolumeId)
	if _, err := h.settled(ctx, out.VolumeId); err != nil {
		return volumeResult(out.VolumeId), err
	}
	return volumeResult(out.VolumeId), h.setAutoIO(ctx, out.VolumeId, p.AutoEnableIO)
}

func volumeResult(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"VolumeId": id}}
}

// settled waits until a volume that is being made is there.
func (h volumeHandler) settled(ctx context.Context, id string) (v *api.Volume, err error) {
	err = poll(ctx, func() (bool, error) {
		v, err = findVolume(ctx, h.svc, volumeTypeName, id)
		if err == nil && v.State == "error" {
			err = fault.New(fault.IncorrectState, "The volume %s is in the state error instead of available; the server's log says why", id)
		}
		return err == nil && v.State != "creating", err
	})
	return v, err
}

// findVolume looks at a volume for a type that it belongs to.
func findVolume(ctx context.Context, svc api.Service, kind, id string) (*api.Volume, error) {
	out, err := svc.DescribeVolumes(ctx, &api.DescribeVolumesInput{VolumeIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, kind, id, fault.InvalidVolumeNotFound)
	}
	if len(out.Volumes) == 0 {
		return nil, resource.Missing(kind, id)
	}
	return &out.Volumes[0], nil
}

func (h volumeHandler) setAutoIO(ctx context.Context, id string, on *bool) error {
	if on == nil {
		return nil
	}
	_, err := h.svc.ModifyVolumeAttribute(ctx, &api.ModifyVolumeAttributeInput{VolumeId: id, AutoEnableIO: boolean(on)})
	return err
}

func (h volumeHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	v, err := findVolume(ctx, h.svc, volumeTypeName, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	auto, err := h.svc.DescribeVolumeAttribute(ctx, &api.DescribeVolumeAttributeInput{VolumeId: v.VolumeId, Attribute: "autoEnableIO"})
	if err != nil {
		return nil, resource.Found(err, volumeTypeName, r.PhysicalID, fault.InvalidVolumeNotFound)
	}
	out, err := resource.Encode(volumeProperties{
		AutoEnableIO: auto.AutoEnableIO.Value, AvailabilityZone: v.AvailabilityZone, AvailabilityZoneId: v.AvailabilityZoneId, Encrypted: v.Encrypted,
		Iops: v.Iops, MultiAttachEnabled: v.MultiAttachEnabled, Size: v.Size, SnapshotId: v.SnapshotId, Throughput: v.Throughput,
		VolumeType: v.VolumeType, Tags: resource.OwnTags(tagMap(v.Tags)),
	})
	if err != nil {
		return nil, err
	}
	out["VolumeId"] = v.VolumeId
	return out, nil
}

func (h volumeHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := h.decode(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	prior, err := h.decode(r.Prior)
	if err != nil {
		return cfn.Result{}, err
	}
	for name, changed := range map[string]bool{
		"AvailabilityZone": p.AvailabilityZone != prior.AvailabilityZone, "AvailabilityZoneId": p.AvailabilityZoneId != prior.AvailabilityZoneId,
		"Encrypted": value(p.Encrypted) != value(prior.Encrypted), "KmsKeyId": p.KmsKeyId != prior.KmsKeyId,
		"MultiAttachEnabled": value(p.MultiAttachEnabled) != value(prior.MultiAttachEnabled), "OutpostArn": p.OutpostArn != prior.OutpostArn,
		"SnapshotId": p.SnapshotId != prior.SnapshotId,
	} {
		if changed {
			return cfn.Result{}, fault.New(fault.ValidationError,
				"%s: the property %s of a volume cannot be changed; give the resource another logical name for a new volume", volumeTypeName, name)
		}
	}
	v, err := h.settled(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if err := h.modify(ctx, v, p); err != nil {
		return cfn.Result{}, err
	}
	if p.AutoEnableIO == nil && prior.AutoEnableIO != nil {
		p.AutoEnableIO = ptr(false)
	}
	if err := h.setAutoIO(ctx, v.VolumeId, p.AutoEnableIO); err != nil {
		return cfn.Result{}, err
	}
	return volumeResult(v.VolumeId), retag(ctx, h.svc, v.VolumeId, v.Tags, resource.Tags(r, p.Tags))
}

// modify brings size, type and speed to what is asked for, and waits until they
// are. One that a killed Slipway began is waited for first.
func (h volumeHandler) modify(ctx context.Context, v *api.Volume, p volumeProperties) error {
	if _, err := h.lastModification(ctx, v.VolumeId); err != nil {
		return err
	}
	v, err := findVolume(ctx, h.svc, volumeTypeName, v.VolumeId)
	if err != nil {
		return err
	}
	in := &api.ModifyVolumeInput{VolumeId: v.VolumeId}
	if p.Size != nil && *p.Size != value(v.Size) {
		in.Size = p.Size
	}
	if p.VolumeType != "" && p.VolumeType != v.VolumeType {
		in.VolumeType, in.Iops, in.Throughput = p.VolumeType, p.Iops, p.Throughput
	}
	if p.Iops != nil && *p.Iops != value(v.Iops) {
		in.Iops = p.Iops
	}
	if p.Throughput != nil && *p.Throughput != value(v.Throughput) {
		in.Throughput = p.Throughput
	}
	if in.Size == nil && in.VolumeType == "" && in.Iops == nil && in.Throughput == nil {
		return nil
	}
	if _, err := h.svc.ModifyVolume(ctx, in); err != nil {
		return err
	}
	m, err := h.lastModification(ctx, v.VolumeId)
	if err == nil && m != nil && m.ModificationState == "failed" {
		err = fault.New(fault.IncorrectState, "The volume %s could not be modified: %s", v.VolumeId, m.StatusMessage)
	}
	return err
}

// lastModification waits until no modification of the volume is under way.
func (h volumeHandler) lastModification(ctx context.Context, id string) (last *api.VolumeModification, err error) {
	byID := []api.Filter{{Name: "volume-id", Values: []string{id}}}
	err = poll(ctx, func() (bool, error) {
		out, err := h.svc.DescribeVolumesModifications(ctx, &api.DescribeVolumesModificationsInput{Filters: byID})
		if err != nil || len(out.VolumesModifications) == 0 {
			return err == nil, err
		}
		last = &out.VolumesModifications[0]
		return last.ModificationState != "modifying", nil
	})
	return last, err
}

func (h volumeHandler) delete(ctx context.Context, r cfn.Request) error {
	// One that could not be made is deleted like any other.
	if _, err := h.settled(ctx, r.PhysicalID); fault.Is(err, cfn.NotFound) {
		return nil
	}
	if _, err := h.svc.DeleteVolume(ctx, &api.DeleteVolumeInput{VolumeId: r.PhysicalID}); err != nil {
		return resource.Gone(err, fault.InvalidVolumeNotFound)
	}
	return resource.Gone(poll(ctx, func() (bool, error) {
		_, err := findVolume(ctx, h.svc, volumeTypeName, r.PhysicalID)
		return false, err
	}), cfn.NotFound)
}

// snapshot keeps what is on a volume that its stack deletes. One that is gone has
// nothing to keep.
func (h volumeHandler) snapshot(ctx context.Context, r cfn.Request) (string, error) {
	if _, err := h.settled(ctx, r.PhysicalID); err != nil {
		return "", resource.Gone(err, cfn.NotFound)
	}
	out, err := h.svc.CreateSnapshot(ctx, &api.CreateSnapshotInput{
		VolumeId: r.PhysicalID, Description: "What " + r.LogicalID + " of the stack " + r.StackName + " held when it was deleted",
		TagSpecifications: specs(resource.Tags(r, nil), "snapshot"),
	})
	if err != nil {
		return "", resource.Gone(err, fault.InvalidVolumeNotFound)
	}
	return out.SnapshotId, poll(ctx, func() (bool, error) {
		all, err := h.svc.DescribeSnapshots(ctx, &api.DescribeSnapshotsInput{SnapshotIds: []string{out.SnapshotId}})
		if err == nil && all.Snapshots[0].State == "error" {
			err = fault.New(fault.IncorrectState, "The snapshot %s of the volume %s failed; the server's log says why", out.SnapshotId, r.PhysicalID)
		}
		return err == nil && all.Snapshots[0].State == "completed", err
	})
}

func (h volumeHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeVolumes(ctx, &api.DescribeVolumesInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range out.Volumes {
		ids = append(ids, v.VolumeId)
	}
	return ids, nil
}
