package ec2

import (
	"context"
	"errors"
	"fmt"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// States of a volume ("Amazon EBS volume lifecycle").
const (
	volumeCreating  = "creating"
	volumeAvailable = "available"
	volumeInUse     = "in-use"
	volumeDeleting  = "deleting"
	volumeError     = "error"
)

// States of an attachment. A busy one waits for a process to leave the volume.
const (
	attaching = "attaching"
	attached  = "attached"
	detaching = "detaching"
	busy      = "busy"
)

// maxVolumes bounds the volumes of an account in a region.
const maxVolumes = 5000

// attachment is the instance that has a volume.
type attachment struct {
	Instance string    `json:"instance"`
	Device   string    `json:"device"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Delete   bool      `json:"delete,omitempty"` // with the instance
	Root     bool      `json:"root,omitempty"`
	Force    bool      `json:"force,omitempty"` // its detachment ends processes that use it
}

// volume is the record of a volume, an instance's root volume too.
type volume struct {
	Scope      arn.Scope   `json:"scope"`
	ID         string      `json:"id"`
	Zone       string      `json:"zone"`
	Kind       volumeKind  `json:"kind"`
	Snapshot   string      `json:"snapshot,omitempty"` // what it began as
	Lower      string      `json:"lower,omitempty"`    // of a root volume: the image that it changes
	Created    time.Time   `json:"created"`
	Token      string      `json:"token,omitempty"` // of the call that made it
	State      string      `json:"state"`
	Attachment *attachment `json:"attachment,omitempty"`
	AutoIO     bool        `json:"autoIO,omitempty"`
	// Generation counts what was asked for: a workflow acts for its own only.
	Generation   int64         `json:"generation"`
	Modification *modification `json:"modification,omitempty"`
}

var volumes = noun[volume]{
	prefix: prefixVolume, id: func(v *volume) string { return v.ID },
	kept: store.NewCollection("ec2/volume", store.Index[volume]{Name: "instance", Keys: func(_ string, v *volume) []string {
		if v.Attachment == nil {
			return nil
		}
		return []string{instanceKey(v.Scope, v.Attachment.Instance)}
	}}),
}

// volumesOf lists what an instance has, the root volume first.
func volumesOf(tx store.Tx, scope arn.Scope, instance string) ([]*volume, error) {
	var out []*volume
	for e, err := range volumes.kept.ByIndex(tx, "instance", instanceKey(scope, instance)) {
		if err != nil {
			return nil, err
		}
		if e.Value.Attachment.Root {
			out = append([]*volume{e.Value}, out...)
			continue
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// disks is the driver's volumes, or why there are none.
func (s *Service) disks() (compute.Disks, error) {
	d, ok := s.cfg.Driver.(compute.Disks)
	if !ok {
		return nil, fault.New(fault.UnsupportedOperation,
			"Instances are processes of this host, which have no volumes. Run Slipway as root for instances in sandboxes.")
	}
	if err := d.Volumes(); err != nil {
		return nil, fault.New(fault.UnsupportedOperation, "This host has no volumes: %s. `slipway doctor` says what to do about it.", err.Error())
	}
	return d, nil
}

// CreateVolume makes a volume, empty or from a snapshot.
func (s *Service) CreateVolume(ctx context.Context, in *api.CreateVolumeInput) (*api.CreateVolumeOutput, error) {
	call := auth.From(ctx)
	v, tags, err := s.checkCreateVolume(call, in)
	if err != nil {
		return nil, err
	}
	var view taggedVolume
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		made := *v
		old, err := s.volumeOfToken(tx, &made)
		if err != nil {
			return err
		}
		if old != nil {
			if old.Token != v.Token {
				return fault.New(fault.IdempotentParameterMatch, "The client token you have provided is associated with a resource that has other parameters.")
			}
			have, err := tagsOf(tx, call.Scope, old.ID)
			view = taggedVolume{old, have}
			return err
		}
		view = taggedVolume{&made, tags}
		return firstError(s.newVolume(tx, call, &made, tags), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := volumeView(view)
	return &api.CreateVolumeOutput{
		VolumeId: o.VolumeId, Size: o.Size, SnapshotId: o.SnapshotId, AvailabilityZone: o.AvailabilityZone, AvailabilityZoneId: o.AvailabilityZoneId,
		State: o.State, CreateTime: o.CreateTime, VolumeType: o.VolumeType, Iops: o.Iops, Throughput: o.Throughput, Tags: o.Tags,
		Encrypted: o.Encrypted, MultiAttachEnabled: o.MultiAttachEnabled, Attachments: o.Attachments,
	}, nil
}

// volumeOfToken finds the volume that was made under v's token, or gives v an id
// that no volume ever had: one that is gone leaves its token to another one,
// whose workflows must not be taken for its own.
func (s *Service) volumeOfToken(tx store.Tx, v *volume) (*volume, error) {
	for {
		old, err := volumes.kept.Get(tx, volumes.key(v.Scope, v.ID))
		if !errors.Is(err, store.ErrNotFound) {
			return old, err
		}
		_, err = s.cfg.Engine.Get(tx, flowID(flowCreateVolume, v.ID, v.Generation))
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		v.ID = arn.IDFrom(prefixVolume, v.ID)
	}
}

// newVolume puts a volume on record and begins to make it.
func (s *Service) newVolume(tx store.Tx, call auth.Call, v *volume, tags tagMap) error {
	if v.Snapshot != "" {
		snap, err := s.usableSnapshot(tx, call.Scope, v.Snapshot)
		if err != nil {
			return err
		}
		if v.Kind.GiB == 0 {
			v.Kind.GiB = snap.GiB
		}
		if v.Kind.GiB < snap.GiB {
			return fault.New(fault.InvalidParameterValue, "The size of a volume can't be less than the size of its snapshot, %d GiB.", snap.GiB)
		}
		v.Lower = snap.Lower
	}
	if err := v.Kind.settle(); err != nil {
		return err
	}
	n := 0
	for _, err := range volumes.kept.Scan(tx, call.Scope.Key()+"/") {
		if n++; err != nil {
			return err
		}
	}
	if n >= maxVolumes {
		return fault.New("VolumeLimitExceeded", "The maximum number of volumes (%d) has been reached.", maxVolumes)
	}
	return firstError(
		volumes.put(tx, v.Scope, v), putTags(tx, v.Scope, "volume", v.ID, tags), s.volumeFlow(tx, flowCreateVolume, v),
	)
}

// checkCreateVolume reads what a request alone tells.
func (s *Service) checkCreateVolume(call auth.Call, in *api.CreateVolumeInput) (*volume, tagMap, error) {
	if _, err := s.disks(); err != nil {
		return nil, nil, err
	}
	if err := refuse([]refusal{
		{"Encrypted", value(in.Encrypted, false)}, {"KmsKeyId", in.KmsKeyId != ""}, {"OutpostArn", in.OutpostArn != ""},
		{"MultiAttachEnabled", value(in.MultiAttachEnabled, false)}, {"VolumeInitializationRate", in.VolumeInitializationRate != nil},
		{"Operator", in.Operator != nil},
	}); err != nil {
		return nil, nil, err
	}
	if len(in.ClientToken) > 64 {
		return nil, nil, fault.New(fault.InvalidParameterValue, "Value for parameter clientToken is invalid. It must be at most 64 characters long.")
	}
	zone, err := zoneNamed(call.Scope.Region, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, nil, err
	}
	if in.Size == nil && in.SnapshotId == "" {
		return nil, nil, fault.New(fault.MissingParameter, "The request must contain the parameter size/snapshot")
	}
	if in.SnapshotId != "" {
		if err := checkID(prefixSnapshot, in.SnapshotId); err != nil {
			return nil, nil, err
		}
	}
	v := &volume{
		Scope: call.Scope, ID: newID(call, prefixVolume, "volume"), Zone: zone, Snapshot: in.SnapshotId, Created: s.now(), State: volumeCreating,
		Kind: volumeKind{Type: in.VolumeType, GiB: int64(value(in.Size, 0)), IOPS: in.Iops, Throughput: in.Throughput},
	}
	if in.Size != nil || v.Kind.Type != "" {
		if err := v.Kind.check(in.Size != nil); err != nil {
			return nil, nil, err
		}
	}
	if v.Token = call.Token; in.ClientToken != "" {
		v.ID = arn.IDFrom(prefixVolume, call.Scope.Key()+"/client/"+in.ClientToken)
		v.Token = arn.Hash(fmt.Sprintf("%s/%+v/%v/%v/%s", in.ClientToken, v.Kind.Type, value(in.Size, 0), value(in.Iops, 0), in.SnapshotId+"/"+zone))
	}
	tags, err := specTags(call, in.TagSpecifications, "volume")
	return v, tags["volume"], err
}

// zoneNamed finds a zone by its name or id.
func zoneNamed(region, name, id string) (string, error) {
	if name == "" && id == "" {
		return "", fault.New(fault.MissingParameter, "The request must contain the parameter AvailabilityZone")
	}
	if name != "" && id != "" {
		return "", fault.New(fault.InvalidParameterCombination, "AvailabilityZone and AvailabilityZoneId cannot be specified together")
	}
	for _, z := range zonesOf(region) {
		if z.Name == name || z.ID == id {
			return z.Name, nil
		}
	}
	return "", fault.New(fault.InvalidZoneNotFound, "The zone '%s' does not exist.", clip(name+id, 64))
}

// DeleteVolume removes a volume that no instance has.
func (s *Service) DeleteVolume(ctx context.Context, in *api.DeleteVolumeInput) (*api.DeleteVolumeOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := volumes.get(s, tx, scope, in.VolumeId)
		if err != nil {
			return err
		}
		switch v.State {
		case volumeAvailable, volumeError:
		case volumeInUse:
			return fault.New(fault.VolumeInUse, "Volume %s is currently attached to %s", v.ID, v.Attachment.Instance)
		case volumeDeleting:
			return nil
		default:
			return fault.New(fault.IncorrectState, "The volume '%s' is '%s'.", v.ID, v.State)
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		v.State = volumeDeleting
		return s.askVolume(tx, flowDeleteVolume, v)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteVolumeOutput{}, nil
}

// askVolume saves a volume's new state and begins the workflow that reaches it.
func (s *Service) askVolume(tx store.Tx, flow string, v *volume) error {
	v.Generation++
	return firstError(volumes.put(tx, v.Scope, v), s.volumeFlow(tx, flow, v))
}
