package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/keeper"
)

// imported reports whether an image is one that was unpacked into a snapshot.
func imported(image string) bool { return image != "" && image != "builtin" }

// checkDisks refuses what this host cannot give an instance.
func (d *Driver) checkDisks(spec compute.Spec) error {
	ids := []string{}
	if spec.Root.ID != "" {
		ids = append(ids, spec.Root.ID)
	}
	if imported(spec.Image) {
		ids = append(ids, spec.Image)
	}
	for _, a := range spec.Volumes {
		if !device.MatchString(a.Device) {
			return fmt.Errorf("%q is not the name of a device", a.Device)
		}
		ids = append(ids, a.Volume)
	}
	if len(ids) == 0 {
		return nil
	}
	return d.usable(ids...)
}

// ownRoot is the volume of an instance that was given none. It goes with it.
func ownRoot(id string) string { return "root-" + id }

// rootVolume finds or makes the volume that an instance writes to; "" is a host
// without volumes, or an instance that was made when it had none.
func (d *Driver) rootVolume(ctx context.Context, in *keeper.Instance, spec compute.Spec) (string, error) {
	if d.volumes.unsupported != nil {
		return "", nil
	}
	if _, err := os.Lstat(in.File("usr")); err == nil {
		return "", nil // its files are in folders
	}
	v := spec.Root
	if v.ID == "" {
		v = compute.Volume{ID: ownRoot(in.ID), Bytes: spec.Limits.Disk}
	}
	for _, id := range append(volumesOf(spec), v.ID) {
		if other := d.user(id); other != nil && other != in {
			return "", fmt.Errorf("%s has %s: %w", other.ID, id, compute.ErrInUse)
		}
	}
	release, err := d.volumes.hold(ctx, v.ID)
	if err != nil {
		return "", err
	}
	defer release()
	if rec := in.Record(); rec.Process.PID == 0 && !rec.Restored {
		// Not on the host's disk yet: its first mount waits for that.
		return v.ID, d.createVolume(ctx, v, disk.Lazily)
	}
	_, err = disk.Size(d.volumePath(v.ID))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("volume %s: %w", v.ID, compute.ErrGone)
	}
	return v.ID, err
}

func volumesOf(spec compute.Spec) []string {
	var ids []string
	for _, a := range spec.Volumes {
		ids = append(ids, a.Volume)
	}
	return ids
}

// openRoot mounts a root volume with the folders of its overlays. On disk they
// belong to user 0: whose files they are is said by the mount, so that a volume
// can come from another instance.
func (d *Driver) openRoot(id string) (*disk.Mount, error) {
	m, err := d.open(id)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"root", "usr", "dpkg"} {
		if err := makeUpper(m.Path()+"/"+name, 0); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return m, nil
}

// dropOwnRoot removes the volume of an instance that was given none.
func (d *Driver) dropOwnRoot(in *keeper.Instance) error {
	return disk.Remove(d.volumePath(ownRoot(in.ID)))
}
