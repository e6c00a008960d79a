package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/boot"
	"github.com/slipway/slipway/compute/keeper"
)

// Stop ends the instance's processes and keeps its files.
func (d *Driver) Stop(ctx context.Context, h compute.Handle, force bool) error {
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return fmt.Errorf("sandbox: stop: %w", err)
	}
	defer release()
	if err := d.stop(ctx, in, force); err != nil {
		return fmt.Errorf("sandbox: stop %s: %w", h.ID, err)
	}
	return nil
}

// stop ends the first process, with which the kernel ends all others, and takes
// down what the host had for it.
func (d *Driver) stop(ctx context.Context, in *keeper.Instance, force bool) error {
	if err := in.End(ctx, force, (boot.Grace+5)*time.Second); err != nil {
		return err
	}
	rec := in.Record()
	d.net.disconnect(in.ID)
	for _, i := range rec.Spec.Interfaces {
		d.net.disconnect(furtherID(in.ID, i.Index))
	}
	for _, a := range own(rec.Spec) {
		d.net.forget(a)
	}
	for _, ip := range rec.Elastic {
		// Unreachable while it is stopped, as on EC2; Start brings it back.
		if err := d.unroute(in, ip); err != nil {
			return err
		}
	}
	return emptyGroups(ctx, append(d.cgroups.folders(in.ID), rec.Groups...))
}

// emptyGroups removes groups, and waits the moment that the kernel needs to let go of the last
// process, for as long as the caller does.
func emptyGroups(ctx context.Context, dirs []string) error {
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
	in, release, err := d.Take(ctx, h)
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
	in, release, err := d.Take(ctx, h)
	if errors.Is(err, compute.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sandbox: terminate: %w", err)
	}
	defer release()
	// Its disk is given up, so waiting for a polite end gains nothing.
	err = d.stop(ctx, in, true)
	if err == nil {
		err = d.dropOwnRoot(in)
	}
	if err == nil {
		err = d.Discard(in)
	}
	if err != nil {
		return fmt.Errorf("sandbox: terminate %s: %w", h.ID, err)
	}
	d.unclaim(in.ID)
	d.Forget(in)
	return nil
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
	parents := d.parentGroups()
	for _, h := range hs {
		if err := d.Terminate(ctx, h); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "instance "+h.ID)
	}
	enclosed, err := d.endEnclosed(ctx)
	removed, errs = append(removed, enclosed...), append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return removed, err
	}
	d.mender.stop() // or it makes again what is removed here
	d.making.Wait()
	more, err := d.net.remove()
	removed = append(removed, more...)
	errs = append(errs, err)
	for _, parent := range parents {
		if _, err := os.Stat(parent); err != nil {
			continue
		}
		if err := removeGroups([]string{parent}); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "cgroup "+parent)
	}
	for _, dir := range []string{"base", "stage", "trash", "instances", "templates", enclosures} {
		errs = append(errs, os.RemoveAll(d.Path(dir)))
	}
	return removed, errors.Join(errs...)
}

// parentGroups are the groups that hold the instances' groups: now, and where
// Slipway stood when it started them.
func (d *Driver) parentGroups() []string {
	parents := slices.Collect(maps.Values(d.cgroups.parents))
	if d.cgroups.unified != "" {
		parents = append(parents, d.cgroups.unified)
	}
	for _, in := range d.All() {
		for _, group := range in.Record().Groups {
			parents = append(parents, filepath.Dir(group))
		}
	}
	slices.Sort(parents)
	return slices.Compact(parents)
}
