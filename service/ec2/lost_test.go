package ec2

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/compute"
)

// TestARestoredInstance is stopped and says why, on whichever boot of the host; it
// is started again when its owner asks.
func TestARestoredInstance(t *testing.T) {
	c := newCloud(t)
	id := c.run().InstanceId
	restored := true
	c.Service.Stop()
	c.engine.Stop()
	c.driver.Config.Describe = func(_ context.Context, h compute.Handle) (compute.Status, error) {
		if restored {
			return compute.Status{State: compute.Stopped, Reason: "it was restored from a backup", Restored: true}, nil
		}
		return compute.Status{State: compute.Running}, nil
	}
	c.driver.Config.Start = func(ctx context.Context, spec compute.Spec, h compute.Handle) (compute.Handle, error) {
		restored = false
		return c.driver.RealStart(ctx, spec, h)
	}
	c.boot("boot-2")
	got := c.await(id, stopped)
	if got.StateReason == nil || !strings.Contains(got.StateReason.Message, "restored from a backup") {
		t.Errorf("its reason is %+v", got.StateReason)
	}
	must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: []string{id}}))(t)
	c.await(id, running)
}

// TestLostDisks: records of disks that the host does not have say so, and nothing
// else does.
func TestLostDisks(t *testing.T) {
	c := newCloud(t)
	kept, lost := c.volume(), c.volume()
	snapKept, snapLost := c.snapshot(kept), c.snapshot(kept)
	c.Service.Stop()
	c.engine.Stop()
	if err := c.driver.DeleteVolume(c.ctx, lost); err != nil {
		t.Fatal(err)
	}
	if err := c.driver.DeleteSnapshot(c.ctx, snapLost); err != nil {
		t.Fatal(err)
	}
	c.boot("boot-1")
	c.volumeIs(lost, volumeError)
	state := func(id string) string {
		return must(c.DescribeSnapshots(c.ctx, &api.DescribeSnapshotsInput{SnapshotIds: []string{id}}))(t).Snapshots[0].State
	}
	c.until("the snapshot is an error", func() bool { return state(snapLost) == snapshotError })
	if got := c.describeVolume(kept).State; got != volumeAvailable || state(snapKept) != snapshotCompleted {
		t.Errorf("the volume that is there is %s, the snapshot %s", got, state(snapKept))
	}
	c.sound()
	must(c.DeleteVolume(c.ctx, &api.DeleteVolumeInput{VolumeId: lost}))(t)
	c.gone(lost)
}

// TestAHostWithOtherAddresses: an instance that starts there gets one of its range,
// and gives its own back.
func TestAHostWithOtherAddresses(t *testing.T) {
	c := newCloud(t)
	id := c.run().InstanceId
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{id}}))(t)
	c.await(id, stopped)
	c.Service.Stop()
	c.engine.Stop()
	there := c.driver.Network()
	there.Instances, there.Gateway = netip.MustParsePrefix("172.29.0.0/16"), netip.MustParseAddr("172.29.0.1")
	c.driver.Config.Network = &there
	c.boot("boot-2")
	must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: []string{id}}))(t)
	got := c.await(id, running)
	if !there.Instances.Contains(netip.MustParseAddr(got.PrivateIpAddress)) {
		t.Errorf("its address is %s", got.PrivateIpAddress)
	}
	c.sound()
}
