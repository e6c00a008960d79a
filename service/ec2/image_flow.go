package ec2

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// The workflows of an image.
const (
	flowImage       = "ec2.image-create"
	flowImportImage = "ec2.image-import"
)

// imageChange is what a workflow of an image is told.
type imageChange struct {
	Scope      arn.Scope
	ID         string
	Instance   string `json:",omitempty"`
	Generation int64  `json:",omitempty"` // of the instance
	Reboot     bool   `json:",omitempty"`
}

func (s *Service) registerImages(e *workflow.Engine) {
	workflow.Register(e, flowImage, s.imageFlow)
	workflow.Register(e, flowImportImage, s.importFlow)
}

// imageFlow makes the snapshots of a new image, which are on record, around a
// stop and start of its instance where that was asked for.
func (s *Service) imageFlow(f *workflow.Flow, p imageChange) error {
	of := transition{Scope: p.Scope, ID: p.Instance, Generation: p.Generation}
	var cause error
	if p.Reboot {
		_, cause = workflow.Step(f, "stop", func(ctx context.Context, _ string) (outcome, error) {
			return s.acting(ctx, of, func(ctx context.Context, in *instance) (outcome, error) {
				h, err := s.handle(ctx, in)
				if err != nil || h == nil {
					return outcome{Gone: true}, err
				}
				if err := s.cfg.Driver.Stop(ctx, *h, false); err != nil && !errors.Is(err, compute.ErrGone) {
					return outcome{}, err
				}
				return outcome{}, nil
			})
		}, fewTries...)
		if errors.Is(cause, workflow.ErrInterrupted) {
			return cause
		}
	}
	if cause == nil {
		if cause = s.copyFlow(f, p); errors.Is(cause, workflow.ErrInterrupted) {
			return cause
		}
	}
	if p.Reboot {
		if err := s.startAgain(f, of); err != nil {
			return err
		}
	}
	return s.imageEnds(f, p, cause)
}

// startAgain starts the instance of an image, whatever the image came to.
func (s *Service) startAgain(f *workflow.Flow, p transition) error {
	out, err := workflow.Step(f, "start", func(ctx context.Context, _ string) (outcome, error) {
		return s.acting(ctx, p, func(ctx context.Context, in *instance) (outcome, error) {
			if in.State != running {
				return outcome{Overtaken: true}, nil
			}
			return s.driverStart(ctx, in)
		})
	}, fewTries...)
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	if err == nil && out.Handle != nil {
		if err := s.assertElastic(f, p, out.Handle); err != nil {
			return err
		}
	}
	_, txErr := workflow.Tx(f, "rebooted", func(tx store.Tx) (struct{}, error) { return struct{}{}, s.rebooted(tx, f.ID(), p, out) })
	s.loop.Wake() // what a failed start has left is for the loop to find
	return txErr
}

// copyFlow makes the snapshots of an image that are not complete.
func (s *Service) copyFlow(f *workflow.Flow, p imageChange) error {
	ids, err := workflow.Step(f, "list", func(ctx context.Context, _ string) (ids []string, err error) {
		err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
			v, err := images.kept.Get(tx, images.key(p.Scope, p.ID))
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, m := range v.Mappings {
				snap, err := snapshots.kept.Get(tx, snapshots.key(p.Scope, m.Snapshot))
				if err == nil && snap.State == snapshotPending {
					ids = append(ids, snap.ID)
				}
			}
			return nil
		})
		return ids, err
	})
	if err != nil {
		return err
	}
	var failures []error
	for i, id := range ids {
		change := volumeChange{Scope: p.Scope, ID: id}
		err := f.Parallel(1, workflow.Branch{Name: fmt.Sprintf("snapshot-%d", i), Run: func(f *workflow.Flow) error {
			_, err := workflow.Step(f, "copy", func(ctx context.Context, _ string) (struct{}, error) { return struct{}{}, s.makeSnapshot(ctx, change) }, fewTries...)
			if errors.Is(err, workflow.ErrInterrupted) {
				return err
			}
			return errors.Join(err, s.snapshotEnds(f, change, err))
		}})
		if errors.Is(err, workflow.ErrInterrupted) {
			return err
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// imageEnds records what became of an image.
func (s *Service) imageEnds(f *workflow.Flow, p imageChange, cause error) error {
	if cause != nil {
		s.log.Error("ec2: cannot make an image", "image", p.ID, "error", cause)
	}
	_, err := workflow.Tx(f, "made", func(tx store.Tx) (struct{}, error) {
		v, err := images.kept.Get(tx, images.key(p.Scope, p.ID))
		if errors.Is(err, store.ErrNotFound) {
			return struct{}{}, nil
		}
		if err != nil {
			return struct{}{}, err
		}
		v.State = imageAvailable
		if cause != nil {
			v.State, v.Message = imageFailed, cause.Error()
		}
		return struct{}{}, images.put(tx, v.Scope, v)
	})
	return err
}
