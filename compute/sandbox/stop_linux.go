package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
)

// Stop ends the instance's processes and keeps its files.
func (d *Driver) Stop(ctx context.Context, h compute.Handle, force bool) error {
	in, release, err := d.take(ctx, h)
	if err != nil {
		return fmt.Errorf("sandbox: stop: %w", err)
	}
	defer release()
	if err := d.stop(ctx, in, force); err != nil {
		return fmt.Errorf("sandbox: stop %s: %w", h.ID, err)
	}
	return nil
}

// stop ends the first process, with which the kernel ends all others.
func (d *Driver) stop(ctx context.Context, in *instance, force bool) error {
	rec := in.snapshot()
	if rec.Process.Alive() {
		in.mu.Lock()
		in.asked = true
		exited := in.exited
		in.mu.Unlock()
		if err := d.end(ctx, rec, exited, force); err != nil {
			in.mu.Lock()
			in.asked = false
			in.mu.Unlock()
			return err
		}
		if err := in.save(); err != nil {
			return err
		}
	}
	d.net.disconnect(in.id)
	d.net.forget(rec.Spec.Address)
	for _, ip := range rec.Elastic {
		// Unreachable while it is stopped, as on EC2; Start brings it back.
		if d.holder(ip) == in {
			_ = d.net.routeElastic(ip, noAddress)
		}
	}
	return d.removeGroups(ctx, append(d.cgroups.folders(in.id), rec.Cgroup...))
}

func (d *Driver) end(ctx context.Context, rec record, exited <-chan struct{}, force bool) error {
	if !force {
		if err := rec.Process.Signal(unix.SIGTERM); err != nil {
			return err
		}
		grace := time.NewTimer((boot.Grace + 5) * time.Second)
		defer grace.Stop()
		select {
		case <-exited:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-grace.C:
		}
	}
	if err := rec.Process.Signal(unix.SIGKILL); err != nil {
		return err
	}
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// removeGroups waits the moment that the kernel needs to let go of the last
// process, for as long as the caller does.
func (d *Driver) removeGroups(ctx context.Context, dirs []string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := removeGroups(dirs)
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Reboot stops and starts the instance; its addresses stay its own.
func (d *Driver) Reboot(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
	in, release, err := d.take(ctx, h)
	if err != nil {
		return h, fmt.Errorf("sandbox: reboot: %w", err)
	}
	defer release()
	spec.ID = h.ID
	if err := d.stop(ctx, in, false); err != nil {
		return h, fmt.Errorf("sandbox: reboot %s: %w", h.ID, err)
	}
	if err := d.start(ctx, in, spec); err != nil {
		return h, fmt.Errorf("sandbox: reboot %s: %w", h.ID, err)
	}
	return h, nil
}

// Terminate removes all that Launch made.
func (d *Driver) Terminate(ctx context.Context, h compute.Handle) error {
	in, release, err := d.take(ctx, h)
	if errors.Is(err, compute.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sandbox: terminate: %w", err)
	}
	defer release()
	// What it has on its disk is given up, so nothing is gained by waiting longer.
	if err := d.stop(ctx, in, true); err != nil {
		return fmt.Errorf("sandbox: terminate %s: %w", h.ID, err)
	}
	if err := d.discard(in); err != nil {
		return fmt.Errorf("sandbox: terminate %s: %w", h.ID, err)
	}
	return nil
}

// discard removes the instance's folder. It is renamed first, so that an
// interrupted removal is never mistaken for an instance.
func (d *Driver) discard(in *instance) error {
	trash := d.path("trash")
	if err := os.MkdirAll(trash, 0o700); err != nil {
		return err
	}
	doomed, err := os.MkdirTemp(trash, in.id+"-")
	if err != nil {
		return err
	}
	if err := os.Rename(in.dir, filepath.Join(doomed, "instance")); err != nil {
		return err
	}
	d.mu.Lock()
	in.mu.Lock()
	delete(d.owners, in.base)
	in.rec, in.base, in.asked = record{}, 0, false
	in.mu.Unlock()
	d.mu.Unlock()
	return os.RemoveAll(doomed)
}

// Clean removes every instance and what the driver set up on the host. The
// driver is of no use afterwards; open a new one.
func (d *Driver) Clean(ctx context.Context) ([]string, error) {
	hs, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	var removed []string
	var errs []error
	for _, h := range hs {
		if err := d.Terminate(ctx, h); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "instance "+h.ID)
	}
	if len(errs) > 0 {
		return removed, errors.Join(errs...)
	}
	more, err := d.net.remove()
	removed = append(removed, more...)
	errs = append(errs, err)
	for _, parent := range d.cgroups.parents {
		errs = append(errs, removeGroups([]string{parent}))
		removed = append(removed, "cgroup "+parent)
	}
	for _, dir := range []string{"base", "stage", "trash", "instances"} {
		errs = append(errs, os.RemoveAll(d.path(dir)))
	}
	return removed, errors.Join(errs...)
}
