package ec2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// The workflows of a volume. As those of an instance, each belongs to one
// generation of the record.
const (
	flowCreateVolume = "ec2.volume-create"
	flowDeleteVolume = "ec2.volume-delete"
	flowAttach       = "ec2.volume-attach"
	flowDetach       = "ec2.volume-detach"
	flowModifyVolume = "ec2.volume-modify"
)

// volumeChange is what a workflow of a volume is told.
type volumeChange struct {
	Scope      arn.Scope
	ID         string
	Generation int64
}

func (s *Service) registerVolumes(e *workflow.Engine) {
	workflow.Register(e, flowCreateVolume, s.createVolumeFlow)
	workflow.Register(e, flowDeleteVolume, s.deleteVolumeFlow)
	workflow.Register(e, flowAttach, s.attachFlow)
	workflow.Register(e, flowDetach, s.detachFlow)
	workflow.Register(e, flowModifyVolume, s.modifyVolumeFlow)
}

func (s *Service) volumeFlow(tx store.Tx, flow string, v *volume) error {
	return s.cfg.Engine.Begin(tx, flow, flowID(flow, v.ID, v.Generation), volumeChange{v.Scope, v.ID, v.Generation})
}

// currentVolume reads the record for a workflow, nil where it was overtaken.
func currentVolume(tx store.Tx, p volumeChange) (*volume, error) {
	v, err := volumes.kept.Get(tx, volumes.key(p.Scope, p.ID))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil || v.Generation != p.Generation {
		return nil, err
	}
	return v, nil
}

// volumeTx changes the record, unless the workflow was overtaken.
func volumeTx(f *workflow.Flow, name string, p volumeChange, change func(store.Tx, *volume) error) error {
	_, err := workflow.Tx(f, name, func(tx store.Tx) (struct{}, error) {
		v, err := currentVolume(tx, p)
		if err != nil || v == nil {
			return struct{}{}, err
		}
		return struct{}{}, change(tx, v)
	})
	return err
}

// final says that no repetition of a step changes its error.
func final(err error) error {
	for _, lasting := range []error{compute.ErrUnsupported, compute.ErrGone, compute.ErrFull, compute.ErrBadArchive, compute.ErrNoAddress} {
		if errors.Is(err, lasting) {
			return workflow.Permanent(err)
		}
	}
	return err
}

func (s *Service) createVolumeFlow(f *workflow.Flow, p volumeChange) error {
	_, err := workflow.Step(f, "create", func(ctx context.Context, _ string) (struct{}, error) {
		return struct{}{}, s.actOnVolume(ctx, p, func(v *volume, d compute.Disks) error {
			return d.CreateVolume(ctx, compute.Volume{ID: v.ID, Bytes: v.Kind.GiB << 30, Snapshot: v.Snapshot})
		})
	}, fewTries...)
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	if err != nil {
		s.log.Error("ec2: cannot create a volume", "volume", p.ID, "error", err)
	}
	return volumeTx(f, "created", p, func(tx store.Tx, v *volume) error {
		v.State = volumeAvailable
		if err != nil {
			v.State = volumeError
		}
		return volumes.put(tx, v.Scope, v)
	})
}

// actOnVolume acts on the driver, unless the workflow was overtaken.
func (s *Service) actOnVolume(ctx context.Context, p volumeChange, act func(*volume, compute.Disks) error) error {
	unlock, err := s.locks.lock(ctx, p.ID)
	if err != nil {
		return err
	}
	defer unlock()
	var v *volume
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err = currentVolume(tx, p)
		return err
	})
	if err != nil || v == nil {
		return err
	}
	d, err := s.disks()
	if err != nil {
		return err
	}
	return final(act(v, d))
}

func (s *Service) deleteVolumeFlow(f *workflow.Flow, p volumeChange) error {
	_, err := workflow.Step(f, "delete", func(ctx context.Context, _ string) (struct{}, error) {
		return struct{}{}, s.actOnVolume(ctx, p, func(v *volume, d compute.Disks) error {
			if err := s.copied(ctx, v); err != nil {
				return err
			}
			return d.DeleteVolume(ctx, v.ID)
		})
	})
	if err != nil {
		return err
	}
	return volumeTx(f, "deleted", p, func(tx store.Tx, v *volume) error { return volumes.remove(tx, v.Scope, v.ID) })
}

// copied is nil once no snapshot of a volume is still to be made: what was asked
// for before the volume's end is kept.
func (s *Service) copied(ctx context.Context, v *volume) error {
	return s.cfg.Store.View(ctx, func(tx store.Tx) error {
		for e, err := range snapshots.kept.Scan(tx, v.Scope.Key()+"/") {
			if err != nil {
				return err
			}
			if e.Value.Volume == v.ID && e.Value.State == snapshotPending {
				return fmt.Errorf("snapshot %s of %s is not complete", e.Value.ID, v.ID)
			}
		}
		return nil
	})
}

// outcome of an act on a volume in an instance.
type volumeOutcome struct {
	Busy  bool   `json:",omitempty"` // a process uses it
	Error string `json:",omitempty"`
}

func (s *Service) attachFlow(f *workflow.Flow, p volumeChange) error {
	_, err := workflow.Step(f, "attach", func(ctx context.Context, _ string) (struct{}, error) {
		return struct{}{}, s.withInstance(ctx, p, func(in *instance, v *volume, d compute.Disks) error {
			if in.State != running || in.Handle == nil {
				return nil // it gets the volume when it starts
			}
			err := d.AttachVolume(ctx, *in.Handle, compute.Attachment{Volume: v.ID, Device: v.Attachment.Device})
			if errors.Is(err, compute.ErrGone) {
				if _, lost := d.StatVolume(ctx, v.ID); lost == nil {
					return nil // the instance has just ended
				}
			}
			return err
		})
	}, fewTries...)
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	if err != nil {
		s.log.Error("ec2: cannot attach a volume", "volume", p.ID, "error", err)
	}
	return volumeTx(f, "attached", p, func(tx store.Tx, v *volume) error {
		if err != nil {
			v.State, v.Attachment = volumeAvailable, nil
		} else {
			v.Attachment.State = attached
		}
		return volumes.put(tx, v.Scope, v)
	})
}

// withInstance acts on a volume and the instance that has it, under the
// instance's lock.
func (s *Service) withInstance(ctx context.Context, p volumeChange, act func(*instance, *volume, compute.Disks) error) error {
	var v *volume
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = currentVolume(tx, p)
		return err
	})
	if err != nil || v == nil || v.Attachment == nil {
		return err
	}
	unlock, err := s.locks.lock(ctx, v.Attachment.Instance)
	if err != nil {
		return err
	}
	defer unlock()
	return s.actOnVolume(ctx, p, func(v *volume, d compute.Disks) error {
		if v.Attachment == nil {
			return nil
		}
		var in *instance
		err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
			in, err = instances.Get(tx, instanceKey(v.Scope, v.Attachment.Instance))
			return err
		})
		if errors.Is(err, store.ErrNotFound) || err == nil && in.State == terminated {
			return nil
		}
		if err != nil {
			return err
		}
		return act(in, v, d)
	})
}

// A detachment looks this often whether processes have left the volume.
const (
	detachTries = 60
	detachPause = 2 * time.Second
)

func (s *Service) detachFlow(f *workflow.Flow, p volumeChange) error {
	for try := range detachTries {
		out, err := workflow.Step(f, fmt.Sprintf("detach-%d", try), func(ctx context.Context, _ string) (volumeOutcome, error) {
			err := s.withInstance(ctx, p, func(in *instance, v *volume, d compute.Disks) error {
				if in.Handle == nil {
					return nil
				}
				err := d.DetachVolume(ctx, *in.Handle, compute.Attachment{Volume: v.ID, Device: v.Attachment.Device}, v.Attachment.Force)
				if errors.Is(err, compute.ErrGone) {
					return nil
				}
				return err
			})
			if errors.Is(err, compute.ErrInUse) {
				return volumeOutcome{Busy: true}, nil
			}
			return volumeOutcome{}, err
		})
		if err != nil {
			return err
		}
		if !out.Busy {
			return volumeTx(f, "detached", p, func(tx store.Tx, v *volume) error {
				v.State, v.Attachment = volumeAvailable, nil
				return volumes.put(tx, v.Scope, v)
			})
		}
		if try == 0 {
			if err := s.attachmentIs(f, p, busy); err != nil {
				return err
			}
		}
		if err := f.Sleep(fmt.Sprintf("wait-%d", try), detachPause); err != nil {
			return err
		}
	}
	return s.attachmentIs(f, p, attached) // it still is; the caller may ask again
}

func (s *Service) attachmentIs(f *workflow.Flow, p volumeChange, state string) error {
	return volumeTx(f, "is-"+state, p, func(tx store.Tx, v *volume) error {
		v.Attachment.State = state
		if state == attached {
			v.Attachment.Force = false
		}
		return volumes.put(tx, v.Scope, v)
	})
}

// releaseVolumes ends what a terminated instance had: volumes go with it or
// become available.
func (s *Service) releaseVolumes(tx store.Tx, in *instance) error {
	list, err := volumesOf(tx, in.Scope, in.ID)
	if err != nil {
		return err
	}
	for _, v := range list {
		v.Generation++
		if v.Attachment.Delete {
			err = volumes.remove(tx, v.Scope, v.ID)
		} else {
			v.State, v.Attachment = volumeAvailable, nil
			err = volumes.put(tx, v.Scope, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteWith removes from the host the volumes that go with an instance.
func (s *Service) deleteWith(ctx context.Context, in *instance) error {
	d, err := s.disks()
	if fault.Is(err, fault.UnsupportedOperation) {
		return nil // the instance has no volumes
	}
	for _, v := range in.volumes {
		if err == nil && v.Attachment.Delete {
			err = d.DeleteVolume(ctx, v.ID)
		}
	}
	return err
}

// specVolumes tells the driver of an instance's volumes.
func (s *Service) specVolumes(spec *compute.Spec, in *instance) {
	if _, err := s.disks(); err != nil {
		return
	}
	for _, v := range in.volumes {
		if !v.Attachment.Root {
			spec.Volumes = append(spec.Volumes, compute.Attachment{Volume: v.ID, Device: v.Attachment.Device})
			continue
		}
		spec.Root = compute.Volume{ID: v.ID, Bytes: v.Kind.GiB << 30}
		if v.Snapshot != v.Lower { // else it is the image itself, and the volume begins empty
			spec.Root.Snapshot = v.Snapshot
		}
	}
}

// makeVolumes makes the volumes of an instance that is launched, but for the
// root volume, which the driver makes.
func (s *Service) makeVolumes(ctx context.Context, in *instance) error {
	for _, v := range in.volumes {
		if v.Attachment.Root {
			continue
		}
		d, err := s.disks()
		if err != nil {
			return err
		}
		if err := d.CreateVolume(ctx, compute.Volume{ID: v.ID, Bytes: v.Kind.GiB << 30, Snapshot: v.Snapshot}); err != nil {
			return final(err)
		}
	}
	return nil
}
