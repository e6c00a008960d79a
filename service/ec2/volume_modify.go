package ec2

import (
	"context"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// States of a modification ("Monitor the progress of volume modifications").
const (
	modifying = "modifying"
	completed = "completed"
	failed    = "failed"
)

// modification is a volume's last change of size, type or speed.
type modification struct {
	Count    int64      `json:"count"` // of the volume's modifications
	State    string     `json:"state"`
	Message  string     `json:"message,omitempty"`
	Original volumeKind `json:"original"`
	Target   volumeKind `json:"target"`
	Started  time.Time  `json:"started"`
	Ended    time.Time  `json:"ended,omitzero"`
}

// ModifyVolume changes a volume's type or speed, or makes it larger, in use or
// not. The file system in it grows with it.
func (s *Service) ModifyVolume(ctx context.Context, in *api.ModifyVolumeInput) (*api.ModifyVolumeOutput, error) {
	scope := auth.From(ctx).Scope
	if err := refuse([]refusal{{"MultiAttachEnabled", value(in.MultiAttachEnabled, false)}}); err != nil {
		return nil, err
	}
	var v *volume
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
		if v, err = volumes.get(s, tx, scope, in.VolumeId); err != nil {
			return err
		}
		if v.State != volumeAvailable && v.State != volumeInUse {
			return fault.New(fault.IncorrectState, "The volume '%s' is '%s'.", v.ID, v.State)
		}
		if m := v.Modification; m != nil && m.State == modifying {
			return fault.New("IncorrectModificationState", "The volume '%s' is already being modified.", v.ID)
		}
		target, err := v.Kind.changed(in)
		if err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		v.Modification = &modification{Count: 1 + v.modifications(), State: modifying, Original: v.Kind, Target: target, Started: s.now()}
		// Its own generation would overtake an attachment that is under way.
		return firstError(volumes.put(tx, scope, v), s.cfg.Engine.Begin(tx, flowModifyVolume, flowID(flowModifyVolume, v.ID, v.Modification.Count), volumeChange{Scope: scope, ID: v.ID}))
	})
	if err != nil {
		return nil, err
	}
	o := modificationView(v)
	return &api.ModifyVolumeOutput{VolumeModification: &o}, nil
}

func (v *volume) modifications() int64 {
	if v.Modification == nil {
		return 0
	}
	return v.Modification.Count
}

// changed is a kind after a request.
func (k volumeKind) changed(in *api.ModifyVolumeInput) (volumeKind, error) {
	to := k
	if in.VolumeType != "" && in.VolumeType != k.Type {
		to = volumeKind{Type: in.VolumeType, GiB: k.GiB}
	}
	if in.Size != nil {
		to.GiB = int64(*in.Size)
	}
	if in.Iops != nil {
		to.IOPS = in.Iops
	}
	if in.Throughput != nil {
		to.Throughput = in.Throughput
	}
	if to.GiB < k.GiB {
		return to, fault.New(fault.InvalidParameterValue, "New size cannot be smaller than existing size")
	}
	return to, to.settle()
}

func (s *Service) modifyVolumeFlow(f *workflow.Flow, p volumeChange) error {
	_, err := workflow.Step(f, "grow", func(ctx context.Context, _ string) (struct{}, error) { return struct{}{}, s.grow(ctx, p) }, fewTries...)
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	_, txErr := workflow.Tx(f, "modified", func(tx store.Tx) (struct{}, error) {
		v, getErr := volumes.kept.Get(tx, volumes.key(p.Scope, p.ID))
		if errors.Is(getErr, store.ErrNotFound) {
			return struct{}{}, nil
		}
		if getErr != nil || v.Modification == nil {
			return struct{}{}, getErr
		}
		m := v.Modification
		m.Ended = s.now()
		if m.State = completed; err != nil {
			m.State, m.Message = failed, err.Error()
		} else {
			v.Kind = m.Target
		}
		return struct{}{}, volumes.put(tx, v.Scope, v)
	})
	return txErr
}

// grow makes the volume on the host as large as its modification says.
func (s *Service) grow(ctx context.Context, p volumeChange) error {
	unlock, err := s.locks.lock(ctx, p.ID)
	if err != nil {
		return err
	}
	defer unlock()
	var v *volume
	err = s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = volumes.kept.Get(tx, volumes.key(p.Scope, p.ID))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || v.Modification == nil || v.Modification.Target.GiB == v.Kind.GiB {
		return err
	}
	d, err := s.disks()
	if err != nil {
		return err
	}
	err = d.GrowVolume(ctx, v.ID, v.Modification.Target.GiB<<30)
	if errors.Is(err, compute.ErrUnsupported) {
		return fault.New(fault.UnsupportedOperation, "The volume is in use, and this host cannot grow it then: %s. Stop the instance first.", err.Error())
	}
	return final(err)
}

func modificationView(v *volume) api.VolumeModification {
	m := v.Modification
	o := api.VolumeModification{
		VolumeId: v.ID, ModificationState: m.State, StatusMessage: m.Message, StartTime: ptr(m.Started), Progress: ptr(int64(0)),
		TargetSize: ptr(int32(m.Target.GiB)), TargetVolumeType: m.Target.Type, TargetIops: m.Target.iops(), TargetThroughput: m.Target.Throughput,
		TargetMultiAttachEnabled: ptr(false),
		OriginalSize:             ptr(int32(m.Original.GiB)), OriginalVolumeType: m.Original.Type, OriginalIops: m.Original.iops(),
		OriginalThroughput: m.Original.Throughput, OriginalMultiAttachEnabled: ptr(false),
	}
	if !m.Ended.IsZero() {
		o.EndTime = ptr(m.Ended)
	}
	if m.State == completed {
		o.Progress = ptr(int64(100))
	}
	return o
}

func modificationFields(t taggedVolume, name string) ([]string, bool) {
	v := t.orZero()
	m := v.Modification
	if m == nil {
		m = &modification{}
	}
	switch name {
	case "modification-state":
		return one(m.State)
	case "original-iops":
		return oneInt(value(m.Original.iops(), 0))
	case "original-size":
		return oneInt(m.Original.GiB)
	case "original-volume-type":
		return one(m.Original.Type)
	case "start-time":
		return one(m.Started.Format(timeLayout))
	case "target-iops":
		return oneInt(value(m.Target.iops(), 0))
	case "target-size":
		return oneInt(m.Target.GiB)
	case "target-volume-type":
		return one(m.Target.Type)
	case "volume-id":
		return one(v.ID)
	case "originalMultiAttachEnabled", "targetMultiAttachEnabled":
		return oneBool(false)
	}
	return nil, false
}

// DescribeVolumesModifications lists the last modification of each volume.
func (s *Service) DescribeVolumesModifications(ctx context.Context, in *api.DescribeVolumesModificationsInput) (*api.DescribeVolumesModificationsOutput, error) {
	page, next, err := list(ctx, s, listing[taggedVolume]{
		prefix: prefixVolume, ids: in.VolumeIds, filters: in.Filters, fields: modificationFields, dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pageLimits{1, 500}, id: func(v taggedVolume) string { return v.ID }, load: s.taggedVolumes,
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeVolumesModificationsOutput{NextToken: next, VolumesModifications: []api.VolumeModification{}}
	for _, v := range page {
		if v.Modification != nil {
			out.VolumesModifications = append(out.VolumesModifications, modificationView(v.volume))
		}
	}
	if len(in.VolumeIds) > 0 && len(out.VolumesModifications) == 0 && len(in.Filters) == 0 {
		return nil, fault.New("InvalidVolumeModification.NotFound", "Modification for volume '%s' does not exist.", in.VolumeIds[0])
	}
	return out, nil
}
