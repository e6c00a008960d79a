package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// flowSnapshots makes the snapshots of several volumes at one moment.
const flowSnapshots = "ec2.snapshots-create"

// snapshotSet is what the workflow is told.
type snapshotSet struct {
	Scope arn.Scope
	IDs   []string
}

// CreateSnapshots keeps the volumes of an instance as they are at one moment.
func (s *Service) CreateSnapshots(ctx context.Context, in *api.CreateSnapshotsInput) (*api.CreateSnapshotsOutput, error) {
	call := auth.From(ctx)
	if err := firstError(refuse([]refusal{{"OutpostArn", in.OutpostArn != ""}, {"Location=local", in.Location == "local"}}), checkDescription(in.Description)); err != nil {
		return nil, err
	}
	if in.InstanceSpecification == nil {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter instanceSpecification")
	}
	if in.CopyTagsFromSource != "" && in.CopyTagsFromSource != "volume" {
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter copyTagsFromSource is invalid. Expecting volume.", clip(in.CopyTagsFromSource, 64))
	}
	if _, err := s.disks(); err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	out := &api.CreateSnapshotsOutput{}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		out.Snapshots = nil
		list, err := s.snapshotsOf(tx, call, in)
		if err != nil {
			return err
		}
		made, err := s.newSnapshots(tx, call, in, list, tags["snapshot"])
		if err != nil {
			return err
		}
		for _, v := range made {
			out.Snapshots = append(out.Snapshots, v.info())
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// snapshotsOf are the volumes that a call means.
func (s *Service) snapshotsOf(tx store.Tx, call auth.Call, in *api.CreateSnapshotsInput) ([]*volume, error) {
	spec := in.InstanceSpecification
	of, err := loadInstance(tx, call.Scope, spec.InstanceId)
	if err != nil {
		return nil, err
	}
	if of.State != running && of.State != stopped {
		return nil, wrongState(of, "kept in snapshots")
	}
	all, err := volumesOf(tx, call.Scope, of.ID)
	if err != nil {
		return nil, err
	}
	for _, id := range spec.ExcludeDataVolumeIds {
		at := slices.IndexFunc(all, func(v *volume) bool { return v.ID == id })
		if at < 0 || all[at].Attachment.Root {
			return nil, fault.New(fault.InvalidParameterValue, "The volume '%s' is not a data volume of instance '%s'", clip(id, 64), of.ID)
		}
	}
	list := slices.DeleteFunc(all, func(v *volume) bool {
		return v.Attachment.Root && value(spec.ExcludeBootVolume, false) || contains(spec.ExcludeDataVolumeIds, v.ID)
	})
	if len(list) == 0 {
		return nil, fault.New(fault.InvalidParameterCombination, "No volume of instance '%s' is left to be kept in a snapshot", of.ID)
	}
	slices.SortFunc(list, func(a, b *volume) int { return strings.Compare(a.Attachment.Device, b.Attachment.Device) })
	return list, nil
}

// newSnapshots puts the snapshots on record and begins to make them; a durable step
// that did so before gets what it made.
func (s *Service) newSnapshots(tx store.Tx, call auth.Call, in *api.CreateSnapshotsInput, list []*volume, tags tagMap) ([]taggedSnapshot, error) {
	set := snapshotSet{Scope: call.Scope}
	var out []taggedSnapshot
	for _, v := range list {
		snap := s.snapshotOf(call.Scope, newID(call, prefixSnapshot, "snapshot/"+v.ID), v)
		snap.Description, snap.Token = in.Description, call.Token
		own := tagMap{}
		if in.CopyTagsFromSource != "" {
			has, err := tagsOf(tx, call.Scope, v.ID)
			if err != nil {
				return nil, err
			}
			for k, t := range has {
				if !strings.HasPrefix(k, reservedPrefix) {
					own[k] = t
				}
			}
		}
		maps.Copy(own, tags)
		if old, err := snapshots.kept.Get(tx, snapshots.key(call.Scope, snap.ID)); call.Token != "" && err == nil {
			out = append(out, taggedSnapshot{old, own})
			continue
		}
		if err := firstError(snapshots.put(tx, snap.Scope, snap), putTags(tx, snap.Scope, "snapshot", snap.ID, own)); err != nil {
			return nil, err
		}
		out, set.IDs = append(out, taggedSnapshot{snap, own}), append(set.IDs, snap.ID)
	}
	if len(set.IDs) == 0 {
		return out, nil
	}
	return out, s.cfg.Engine.Begin(tx, flowSnapshots, flowSnapshots+"/"+set.IDs[0], set)
}

// info is a snapshot as CreateSnapshots tells it.
func (t taggedSnapshot) info() api.SnapshotInfo {
	o := snapshotView(t)
	return api.SnapshotInfo{
		Description: o.Description, Encrypted: o.Encrypted, OwnerId: o.OwnerId, Progress: o.Progress, SnapshotId: o.SnapshotId,
		StartTime: o.StartTime, State: o.State, Tags: o.Tags, VolumeId: o.VolumeId, VolumeSize: o.VolumeSize,
	}
}

// snapshotsFlow makes a set of snapshots on the host, all or none.
func (s *Service) snapshotsFlow(f *workflow.Flow, p snapshotSet) error {
	_, cause := workflow.Step(f, "copy", func(ctx context.Context, _ string) (struct{}, error) { return struct{}{}, s.makeSnapshots(ctx, p) }, fewTries...)
	if errors.Is(cause, workflow.ErrInterrupted) {
		return cause
	}
	if cause != nil {
		s.log.Error("ec2: cannot make snapshots", "snapshots", p.IDs, "error", cause)
	}
	for i, id := range p.IDs {
		err := f.Parallel(1, workflow.Branch{Name: fmt.Sprintf("snapshot-%d", i), Run: func(f *workflow.Flow) error {
			return s.snapshotEnds(f, volumeChange{Scope: p.Scope, ID: id}, cause)
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// makeSnapshots acts on the driver for the records that are there.
func (s *Service) makeSnapshots(ctx context.Context, p snapshotSet) error {
	var list []compute.SnapshotOf
	for _, id := range slices.Sorted(slices.Values(p.IDs)) { // in one order, so that nobody waits in a circle
		unlock, err := s.locks.lock(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		snap, err := s.storedSnapshot(ctx, volumeChange{Scope: p.Scope, ID: id})
		if err != nil {
			return err
		}
		if snap != nil {
			list = append(list, compute.SnapshotOf{ID: id, Volume: snap.Volume})
		}
	}
	d, err := s.disks()
	if err != nil || len(list) == 0 {
		return err
	}
	return final(d.CreateSnapshots(ctx, list))
}
