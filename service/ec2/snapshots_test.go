package ec2

import (
	"context"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/fake"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

func TestSnapshotsOfAnInstance(t *testing.T) {
	c := newCloud(t)
	i := c.run(inZoneA, func(in *api.RunInstancesInput) {
		in.BlockDeviceMappings = []api.BlockDeviceMapping{
			{DeviceName: "/dev/sdf", Ebs: &api.EbsBlockDevice{VolumeSize: ptr(int32(2)), VolumeType: "gp3"}},
			{DeviceName: "/dev/sdg", Ebs: &api.EbsBlockDevice{VolumeSize: ptr(int32(3)), VolumeType: "gp3"}},
		}
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "volume", Tags: []api.Tag{{Key: "team", Value: "web"}}}}
	})
	byDevice := map[string]string{}
	for _, m := range i.BlockDeviceMappings {
		byDevice[m.DeviceName] = m.Ebs.VolumeId
	}
	ask := func(change func(*api.CreateSnapshotsInput)) ([]api.SnapshotInfo, error) {
		in := &api.CreateSnapshotsInput{InstanceSpecification: &api.InstanceSpecification{InstanceId: i.InstanceId}, Description: "nightly", CopyTagsFromSource: "volume",
			TagSpecifications: []api.TagSpecification{{ResourceType: "snapshot", Tags: []api.Tag{{Key: "kept", Value: "week"}}}}}
		change(in)
		out, err := c.CreateSnapshots(c.ctx, in)
		if err != nil {
			return nil, err
		}
		return out.Snapshots, nil
	}
	all := must(ask(func(*api.CreateSnapshotsInput) {}))(t)
	if len(all) != 3 || all[0].VolumeId != byDevice["/dev/sdf"] || *all[0].VolumeSize != 2 || all[0].State != snapshotPending || len(all[0].Tags) != 2 {
		t.Errorf("made %+v", all)
	}
	data := must(ask(func(in *api.CreateSnapshotsInput) {
		in.InstanceSpecification.ExcludeBootVolume, in.InstanceSpecification.ExcludeDataVolumeIds = ptr(true), []string{byDevice["/dev/sdg"]}
	}))(t)
	if len(data) != 1 || data[0].VolumeId != byDevice["/dev/sdf"] {
		t.Errorf("without two of them: %+v", data)
	}
	for _, s := range append(all, data...) {
		c.until(s.SnapshotId+" is completed", func() bool {
			got := must(c.DescribeSnapshots(c.ctx, &api.DescribeSnapshotsInput{SnapshotIds: []string{s.SnapshotId}}))(t).Snapshots[0]
			return got.State == snapshotCompleted && got.Description == "nightly"
		})
	}
	for name, test := range map[string]struct {
		change func(*api.CreateSnapshotsInput)
		code   string
	}{
		"another's volume": {func(in *api.CreateSnapshotsInput) {
			in.InstanceSpecification.ExcludeDataVolumeIds = []string{"vol-0123456789abcdef0"}
		}, fault.InvalidParameterValue},
		"the root as data": {func(in *api.CreateSnapshotsInput) {
			in.InstanceSpecification.ExcludeDataVolumeIds = []string{byDevice[rootDevice]}
		}, fault.InvalidParameterValue},
		"nothing left": {func(in *api.CreateSnapshotsInput) {
			in.InstanceSpecification.ExcludeBootVolume, in.InstanceSpecification.ExcludeDataVolumeIds = ptr(true), []string{byDevice["/dev/sdf"], byDevice["/dev/sdg"]}
		}, fault.InvalidParameterCombination},
		"no instance": {func(in *api.CreateSnapshotsInput) { in.InstanceSpecification.InstanceId = "i-0123456789abcdef0" }, fault.InvalidInstanceIDNotFound},
		"tags of":     {func(in *api.CreateSnapshotsInput) { in.CopyTagsFromSource = "instance" }, fault.InvalidParameterValue},
		"dry":         {func(in *api.CreateSnapshotsInput) { in.DryRun = ptr(true) }, fault.DryRunOperation},
	} {
		_, err := ask(test.change)
		if !fault.Is(err, test.code) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	c.sound()
}

func TestSnapshotSetsSurvive(t *testing.T) {
	ids := []string{"snap-0123456789abcdef0", "snap-0123456789abcdef1"}
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, s store.Store) workflowtest.Scenario {
		w := &volumeWorld{driver: fake.New(fake.Config{})}
		w.prepare(t, s, volumeAvailable)
		if err := w.driver.CreateVolume(context.Background(), compute.Volume{ID: "vol-0123456789abcdef1", Bytes: 3 << 30}); err != nil {
			t.Fatal(err)
		}
		return workflowtest.Scenario{
			Register: w.register(s),
			Begin: func(tx store.Tx, e *workflow.Engine) (string, error) {
				for i, id := range ids {
					volume := []string{testVolume, "vol-0123456789abcdef1"}[i]
					if err := snapshots.put(tx, testScope, &snapshot{Scope: testScope, ID: id, Volume: volume, State: snapshotPending}); err != nil {
						return "", err
					}
				}
				return "set", e.Begin(tx, flowSnapshots, "set", snapshotSet{testScope, ids})
			},
			Check: func(t testing.TB, s store.Store, st workflow.Status) {
				if st.State != workflow.Done {
					t.Errorf("the run is %s: %v", st.State, st.Err)
				}
				_, have, err := w.driver.ListDisks(context.Background())
				if err != nil || len(have) != 2 {
					t.Errorf("on the host %v, %v", have, err)
				}
				err = s.View(context.Background(), func(tx store.Tx) error {
					for _, id := range ids {
						snap, err := snapshots.kept.Get(tx, snapshots.key(testScope, id))
						if err != nil {
							return err
						}
						if snap.State != snapshotCompleted {
							t.Errorf("%s is %s", id, snap.State)
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			},
		}
	}})
}

// TestForceReachesTheDriver, also where a detachment waits already.
func TestForceReachesTheDriver(t *testing.T) {
	c := newCloud(t)
	c.driver.Config.DetachVolume = func(ctx context.Context, h compute.Handle, a compute.Attachment, force bool) error {
		if !force {
			return compute.ErrInUse
		}
		return c.driver.RealDetachVolume(ctx, h, a, force)
	}
	i, id := c.run(inZoneA), c.volume()
	must(c.AttachVolume(c.ctx, &api.AttachVolumeInput{VolumeId: id, InstanceId: i.InstanceId, Device: "/dev/sdf"}))(t)
	c.attachmentIs(id, attached)
	must(c.DetachVolume(c.ctx, &api.DetachVolumeInput{VolumeId: id}))(t)
	c.attachmentIs(id, busy)
	must(c.DetachVolume(c.ctx, &api.DetachVolumeInput{VolumeId: id, Force: ptr(true)}))(t)
	c.volumeIs(id, volumeAvailable)
	c.sound()
}
