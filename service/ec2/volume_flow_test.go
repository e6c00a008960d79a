package ec2

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/fake"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// volumeWorld is what a scenario about a volume stands in.
type volumeWorld struct {
	driver  *fake.Driver
	service *Service
}

const testVolume = "vol-0123456789abcdef0"

func (w *volumeWorld) register(s store.Store) func(e *workflow.Engine) {
	return func(e *workflow.Engine) {
		w.service = New(Config{Store: s, Engine: e, Driver: w.driver, Boot: "boot", Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	}
}

// prepare puts a volume in the state on record; one that was made is on the host.
func (w *volumeWorld) prepare(t testing.TB, s store.Store, state string) {
	t.Helper()
	w.register(s)(workflow.New(workflow.Config{Store: s}))
	v := &volume{Scope: testScope, ID: testVolume, Zone: zoneA, Kind: volumeKind{Type: "gp3", GiB: 3}, State: state}
	err := s.Update(context.Background(), func(tx store.Tx) error { return volumes.put(tx, testScope, v) })
	if err == nil && state != volumeCreating {
		err = w.driver.CreateVolume(context.Background(), compute.Volume{ID: testVolume, Bytes: 3 << 30})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestVolumeWorkflowsSurvive(t *testing.T) {
	for _, tc := range []struct {
		name, state, flow string
		change            func(*volume)
		check             func(t testing.TB, v *volume, d *fake.Driver)
	}{
		{"create", volumeCreating, flowCreateVolume, func(*volume) {}, func(t testing.TB, v *volume, _ *fake.Driver) {
			if v == nil || v.State != volumeAvailable {
				t.Errorf("the volume is %+v", v)
			}
		}},
		{"delete", volumeAvailable, flowDeleteVolume, func(v *volume) { v.State = volumeDeleting }, func(t testing.TB, v *volume, d *fake.Driver) {
			if _, err := d.StatVolume(context.Background(), testVolume); v != nil || !errors.Is(err, compute.ErrGone) {
				t.Errorf("the volume is %+v, on the host %v", v, err)
			}
		}},
		{"modify", volumeAvailable, flowModifyVolume, func(v *volume) {
			to := v.Kind
			to.GiB = 9
			v.Modification = &modification{State: modifying, Original: v.Kind, Target: to}
		}, func(t testing.TB, v *volume, _ *fake.Driver) {
			if v == nil || v.Kind.GiB != 9 || v.Modification.State != completed {
				t.Errorf("the volume is %+v", v)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
				w := &volumeWorld{driver: fake.New(fake.Config{})}
				w.prepare(t, s, tc.state)
				return workflowtest.Scenario{
					Register: w.register(s),
					Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
						v, err := volumes.kept.Get(tx, volumes.key(testScope, testVolume))
						if err != nil {
							return "", err
						}
						tc.change(v)
						return flowID(tc.flow, v.ID, v.Generation+1), w.service.askVolume(tx, tc.flow, v)
					},
					Check: func(t testing.TB, s store.Store, st workflow.Status) {
						if st.State != workflow.Done {
							t.Errorf("the run is %s: %v", st.State, st.Err)
						}
						var v *volume
						err := s.View(context.Background(), func(tx store.Tx) (err error) {
							if v, err = volumes.kept.Get(tx, volumes.key(testScope, testVolume)); errors.Is(err, store.ErrNotFound) {
								v, err = nil, nil
							}
							return errors.Join(err, checkVolumes(context.Background(), tx, nil, w.driver))
						})
						if err != nil {
							t.Error(err)
						}
						tc.check(t, v, w.driver)
					},
				}
			}})
		})
	}
}
