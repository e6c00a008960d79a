package ec2

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
)

// checkVolumes finds volumes that no living instance has and are not free, that
// are still on their way, or that the host has lost.
func checkVolumes(ctx context.Context, tx store.Tx, living map[string]*instance, driver compute.Driver) error {
	var errs []error
	known := map[string]bool{}
	d, keeps := driver.(compute.Disks)
	keeps = keeps && d.Volumes() == nil
	for e, err := range volumes.kept.Scan(tx, "") {
		if err != nil {
			return err
		}
		v := e.Value
		known[v.ID] = true
		switch a := v.Attachment; {
		case v.State != volumeAvailable && v.State != volumeInUse && v.State != volumeError:
			errs = append(errs, fmt.Errorf("ec2: %s is still %s", v.ID, v.State))
		case (a != nil) != (v.State == volumeInUse):
			errs = append(errs, fmt.Errorf("ec2: %s is %s with the attachment %+v", v.ID, v.State, a))
		case a != nil && living[a.Instance] == nil:
			errs = append(errs, fmt.Errorf("ec2: %s is attached to %s, which is gone", v.ID, a.Instance))
		case a != nil && a.State != attached:
			errs = append(errs, fmt.Errorf("ec2: %s is still %s", v.ID, a.State))
		}
		if !keeps || v.State == volumeError {
			continue
		}
		st, err := d.StatVolume(ctx, v.ID)
		if err != nil {
			errs = append(errs, err)
		} else if st.Bytes < v.Kind.GiB<<30 {
			errs = append(errs, fmt.Errorf("ec2: %s has %d bytes on the host and %d GiB on record", v.ID, st.Bytes, v.Kind.GiB))
		}
	}
	if !keeps {
		return errors.Join(errs...)
	}
	have, _, err := d.ListDisks(ctx)
	for _, id := range have {
		if wellFormed(prefixVolume, id) && !known[id] {
			errs = append(errs, fmt.Errorf("ec2: volume %s is on the host and on no record", id))
		}
	}
	return errors.Join(append(errs, err)...)
}
