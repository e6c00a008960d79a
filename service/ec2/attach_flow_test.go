package ec2

import (
	"context"
	"slices"
	"testing"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/fake"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// prepareVolume puts a volume beside the running instance: attached to it, or
// free.
func (w *flowWorld) prepareVolume(t testing.TB, s store.Store, has bool) {
	t.Helper()
	w.prepare(t, s)
	in := w.load(t, s)
	v := &volume{Scope: testScope, ID: testVolume, Zone: in.Zone, Kind: volumeKind{Type: "gp3", GiB: 3}, State: volumeAvailable}
	err := w.driver.CreateVolume(context.Background(), compute.Volume{ID: v.ID, Bytes: 3 << 30})
	if err == nil && has {
		v.State, v.Attachment = volumeInUse, &attachment{Instance: in.ID, Device: "/dev/sdf", State: attached}
		err = w.driver.AttachVolume(context.Background(), *in.Handle, compute.Attachment{Volume: v.ID, Device: "/dev/sdf"})
	}
	if err == nil {
		err = s.Update(context.Background(), func(tx store.Tx) error { return volumes.put(tx, testScope, v) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// wantVolume checks the record of the volume and what the host has of it.
func (w *flowWorld) wantVolume(t testing.TB, s store.Store, state, attachmentState string) {
	t.Helper()
	var v *volume
	err := s.View(context.Background(), func(tx store.Tx) (err error) {
		v, err = volumes.kept.Get(tx, volumes.key(testScope, testVolume))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if v.Attachment != nil {
		got = v.Attachment.State
	}
	if v.State != state || got != attachmentState {
		t.Errorf("the volume is %s (%q), want %s (%q)", v.State, got, state, attachmentState)
	}
	st, err := w.driver.StatVolume(context.Background(), testVolume)
	if err != nil || st.Attached != (attachmentState != "") {
		t.Errorf("on the host: %+v, %v", st, err)
	}
}

func TestAttachmentsSurvive(t *testing.T) {
	for _, tc := range []struct {
		flow        string
		has         bool
		change      func(v *volume, in *instance)
		state, then string
	}{
		{flowAttach, false, func(v *volume, in *instance) {
			v.State, v.Attachment = volumeInUse, &attachment{Instance: in.ID, Device: "/dev/sdf", State: attaching}
		}, volumeInUse, attached},
		{flowDetach, true, func(v *volume, _ *instance) { v.Attachment.State = detaching }, volumeAvailable, ""},
	} {
		t.Run(tc.flow, func(t *testing.T) {
			workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
				w := &flowWorld{driver: fake.New(fake.Config{})}
				w.prepareVolume(t, s, tc.has)
				sound := w.expect(running, nil)
				return workflowtest.Scenario{
					Register: w.register(s),
					Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
						in, err := loadInstance(tx, testScope, w.id)
						if err != nil {
							return "", err
						}
						v, err := volumes.kept.Get(tx, volumes.key(testScope, testVolume))
						if err != nil {
							return "", err
						}
						tc.change(v, in)
						return flowID(tc.flow, v.ID, v.Generation+1), w.service.askVolume(tx, tc.flow, v)
					},
					Check: func(t testing.TB, s store.Store, st workflow.Status) {
						sound(t, s, st)
						w.wantVolume(t, s, tc.state, tc.then)
					},
				}
			}})
		})
	}
}

// wantSnapshots checks that so many snapshots are complete, and on the host.
func (w *flowWorld) wantSnapshots(t testing.TB, s store.Store, want int) {
	t.Helper()
	_, have, err := w.driver.ListDisks(context.Background())
	if err != nil || len(have) != want {
		t.Errorf("the host has %v, %v, want %d snapshots", have, err, want)
	}
	err = s.View(context.Background(), func(tx store.Tx) error {
		n := 0
		for e, err := range snapshots.kept.Scan(tx, "") {
			if err != nil {
				return err
			}
			if n++; e.Value.State != snapshotCompleted || !slices.Contains(have, e.Value.ID) {
				t.Errorf("snapshot %s is %s (%s)", e.Value.ID, e.Value.State, e.Value.Message)
			}
		}
		if n != want {
			t.Errorf("%d snapshots are on record, want %d", n, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSnapshotSurvives(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		w := &flowWorld{driver: fake.New(fake.Config{})}
		w.prepareVolume(t, s, true)
		sound := w.expect(running, nil)
		return workflowtest.Scenario{
			Register: w.register(s),
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				v, err := volumes.kept.Get(tx, volumes.key(testScope, testVolume))
				if err != nil {
					return "", err
				}
				snap := w.service.snapshotOf(testScope, "snap-0123456789abcdef0", v)
				_, err = w.service.newSnapshot(tx, auth.Call{Scope: testScope}, snap, nil)
				return flowSnapshot + "/" + snap.ID, err
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				sound(t, s, st)
				w.wantSnapshots(t, s, 1)
			},
		}
	}})
}

// TestImageSurvives: the instance runs again afterwards, whatever came between.
func TestImageSurvives(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		w := &flowWorld{driver: fake.New(fake.Config{})}
		w.prepareVolume(t, s, true)
		sound := w.expect(running, func(t testing.TB, in *instance) {
			if in.Rebooting != "" {
				t.Errorf("the record still names %s", in.Rebooting)
			}
		})
		const id = "ami-0123456789abcdef0"
		return workflowtest.Scenario{
			Register: w.register(s),
			Begin: func(tx store.Tx, e *workflow.Engine) (string, error) {
				in, err := loadInstance(tx, testScope, w.id)
				if err != nil {
					return "", err
				}
				v := w.service.imageOf(auth.Call{Scope: testScope}, "golden", "")
				v.ID, v.Instance = id, in.ID
				made, _, err := w.service.newImage(tx, v, nil)
				if err != nil {
					return "", err
				}
				in.Rebooting = flowImage + "/" + id
				return in.Rebooting, firstError(w.service.imageSnapshots(tx, made, in, nil, nil), in.save(tx),
					e.Begin(tx, flowImage, in.Rebooting, imageChange{Scope: testScope, ID: id, Instance: in.ID, Generation: in.Generation, Reboot: true}))
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				sound(t, s, st)
				w.wantSnapshots(t, s, 1)
				w.wantVolume(t, s, volumeInUse, attached)
				var v *image
				err := s.View(context.Background(), func(tx store.Tx) (err error) {
					v, err = images.kept.Get(tx, images.key(testScope, id))
					return err
				})
				if err != nil || v.State != imageAvailable {
					t.Errorf("the image is %+v, %v", v, err)
				}
			},
		}
	}})
}

// TestASnapshotOutlivesItsVolume: one that was asked for is made, though the
// volume's end was asked for right after it.
func TestASnapshotOutlivesItsVolume(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		w := &flowWorld{driver: fake.New(fake.Config{})}
		w.prepareVolume(t, s, false)
		return workflowtest.Scenario{
			Register: w.register(s),
			Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
				v, err := volumes.kept.Get(tx, volumes.key(testScope, testVolume))
				if err != nil {
					return "", err
				}
				snap := w.service.snapshotOf(testScope, "snap-0123456789abcdef0", v)
				if _, err := w.service.newSnapshot(tx, auth.Call{Scope: testScope}, snap, nil); err != nil {
					return "", err
				}
				v.State = volumeDeleting
				return flowID(flowDeleteVolume, v.ID, v.Generation+1), w.service.askVolume(tx, flowDeleteVolume, v)
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				if st.State != workflow.Done {
					t.Errorf("the run is %s: %v", st.State, st.Err)
				}
				w.wantSnapshots(t, s, 1)
			},
		}
	}})
}
