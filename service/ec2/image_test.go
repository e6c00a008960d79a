package ec2

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func (c *cloud) snapshot(volume string) string {
	c.t.Helper()
	out, err := c.CreateSnapshot(c.ctx, &api.CreateSnapshotInput{VolumeId: volume, Description: "kept"})
	if err != nil {
		c.t.Fatalf("CreateSnapshot: %v", err)
	}
	if out.State != snapshotPending || out.Progress != "0%" {
		c.t.Errorf("a new snapshot is %s at %s", out.State, out.Progress)
	}
	c.until("snapshot "+out.SnapshotId+" is complete", func() bool {
		got := must(c.DescribeSnapshots(c.ctx, &api.DescribeSnapshotsInput{SnapshotIds: []string{out.SnapshotId}}))(c.t)
		return got.Snapshots[0].State == snapshotCompleted && got.Snapshots[0].Progress == "100%"
	})
	return out.SnapshotId
}

func (c *cloud) describeImage(id string) api.Image {
	c.t.Helper()
	out, err := c.DescribeImages(c.ctx, &api.DescribeImagesInput{ImageIds: []string{id}})
	if err != nil || len(out.Images) != 1 {
		c.t.Fatalf("DescribeImages %s: %+v, %v", id, out, err)
	}
	return out.Images[0]
}

func (c *cloud) imageIs(id, state string) api.Image {
	c.t.Helper()
	var v api.Image
	c.until("image "+id+" is "+state, func() bool { v = c.describeImage(id); return v.State == state })
	return v
}

// as is a context of another account.
func (c *cloud) as(account string) context.Context {
	scope := arn.Scope{Account: account, Region: testScope.Region}
	return auth.With(c.ctx, auth.Call{Principal: auth.Principal{Kind: auth.Root, Account: account, UserID: account}, Scope: scope})
}

func TestSnapshots(t *testing.T) {
	c := newCloud(t)
	vol := c.volume()
	snap := c.snapshot(vol)
	restored := c.volume(func(in *api.CreateVolumeInput) { in.SnapshotId, in.Size = snap, nil })
	if v := c.describeVolume(restored); *v.Size != 10 || v.SnapshotId != snap {
		t.Errorf("restored %+v", v)
	}
	_, err := c.CreateVolume(c.ctx, &api.CreateVolumeInput{AvailabilityZone: zoneA, SnapshotId: snap, Size: ptr(int32(5))})
	wantFault(t, err, fault.InvalidParameterValue, "")

	// Another account sees it once it is shared.
	other := c.as("222222222222")
	_, err = c.DescribeSnapshots(other, &api.DescribeSnapshotsInput{SnapshotIds: []string{snap}})
	wantFault(t, err, fault.InvalidSnapshotNotFound, "")
	must(c.ModifySnapshotAttribute(c.ctx, &api.ModifySnapshotAttributeInput{
		SnapshotId: snap, Attribute: "createVolumePermission", OperationType: "add", UserIds: []string{"222222222222"},
	}))(t)
	if got := must(c.DescribeSnapshots(other, &api.DescribeSnapshotsInput{RestorableByUserIds: []string{"self"}}))(t); len(got.Snapshots) != 1 {
		t.Errorf("shared: %+v", got.Snapshots)
	}
	_, err = c.DeleteSnapshot(other, &api.DeleteSnapshotInput{SnapshotId: snap})
	wantFault(t, err, fault.InvalidSnapshotNotFound, "")
	copied := must(c.CopySnapshot(other, &api.CopySnapshotInput{SourceRegion: testScope.Region, SourceSnapshotId: snap}))(t).SnapshotId
	c.until("the copy is complete", func() bool {
		got := must(c.DescribeSnapshots(other, &api.DescribeSnapshotsInput{OwnerIds: []string{"self"}}))(t)
		return len(got.Snapshots) == 1 && got.Snapshots[0].SnapshotId == copied && got.Snapshots[0].State == snapshotCompleted
	})
	must(c.DeleteSnapshot(c.ctx, &api.DeleteSnapshotInput{SnapshotId: snap}))(t)
	c.until("the snapshot is off the host", func() bool {
		_, have, err := c.driver.ListDisks(c.ctx)
		return err == nil && len(have) == 1 && have[0] == copied
	})
}

func TestAnImageOfAnInstance(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	id := must(c.CreateImage(c.ctx, &api.CreateImageInput{InstanceId: i.InstanceId, Name: "golden", Description: "d"}))(t).ImageId
	v := c.imageIs(id, imageAvailable)
	c.await(i.InstanceId, running)
	snap := v.BlockDeviceMappings[0].Ebs.SnapshotId
	if v.SourceInstanceId != i.InstanceId || snap == "" || v.OwnerId != testScope.Account || *v.Public {
		t.Errorf("the image is %+v", v)
	}
	_, err := c.CreateImage(c.ctx, &api.CreateImageInput{InstanceId: i.InstanceId, Name: "golden"})
	wantFault(t, err, fault.InvalidAMINameDuplicate, "")
	_, err = c.DeleteSnapshot(c.ctx, &api.DeleteSnapshotInput{SnapshotId: snap})
	wantFault(t, err, fault.InvalidSnapshotInUse, "")
	made := c.run(func(in *api.RunInstancesInput) { in.ImageId = id })
	if got := c.describeVolume(made.BlockDeviceMappings[0].Ebs.VolumeId); got.SnapshotId != snap || made.ImageId != id {
		t.Errorf("launched with %+v", got)
	}
	_, err = c.RunInstances(c.as("222222222222"), func() *api.RunInstancesInput { in := request(); in.ImageId = id; return in }())
	wantFault(t, err, fault.InvalidAMIIDNotFound, "")

	copied := must(c.CopyImage(c.ctx, &api.CopyImageInput{SourceImageId: id, SourceRegion: testScope.Region, Name: "copy"}))(t).ImageId
	if got := c.imageIs(copied, imageAvailable); got.BlockDeviceMappings[0].Ebs.SnapshotId == snap || got.SourceImageId != id {
		t.Errorf("the copy is %+v", got)
	}
	again := must(c.RegisterImage(c.ctx, &api.RegisterImageInput{
		Name: "again", RootDeviceName: "/dev/sda1",
		BlockDeviceMappings: []api.BlockDeviceMapping{{DeviceName: "/dev/sda1", Ebs: &api.EbsBlockDevice{SnapshotId: snap}}},
	}))(t).ImageId
	c.run(func(in *api.RunInstancesInput) { in.ImageId = again })

	must(c.DisableImage(c.ctx, &api.DisableImageInput{ImageId: copied}))(t)
	_, err = c.RunInstances(c.ctx, func() *api.RunInstancesInput { in := request(); in.ImageId = copied; return in }())
	wantFault(t, err, fault.InvalidAMIIDUnavailable, "")
	must(c.EnableImageDeregistrationProtection(c.ctx, &api.EnableImageDeregistrationProtectionInput{ImageId: id}))(t)
	_, err = c.DeregisterImage(c.ctx, &api.DeregisterImageInput{ImageId: id})
	wantFault(t, err, fault.OperationNotPermitted, "")
	must(c.DisableImageDeregistrationProtection(c.ctx, &api.DisableImageDeregistrationProtectionInput{ImageId: id}))(t)
	out := must(c.DeregisterImage(c.ctx, &api.DeregisterImageInput{ImageId: id, DeleteAssociatedSnapshots: ptr(true)}))(t)
	if len(out.DeleteSnapshotResults) != 1 || out.DeleteSnapshotResults[0].ReturnCode != "skipped" {
		t.Errorf("deregistering answers %+v", out.DeleteSnapshotResults)
	}
	_, err = c.DescribeImages(c.ctx, &api.DescribeImagesInput{ImageIds: []string{id}})
	wantFault(t, err, fault.InvalidAMIIDNotFound, "")
	c.sound()
}

// bucket is an S3 with one object.
type bucket struct {
	s3.Unimplemented
	key  string
	body []byte
}

func (b bucket) HeadObject(_ context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	if in.Key != b.key {
		return nil, fault.New("NoSuchKey", "The specified key does not exist.")
	}
	return &s3.HeadObjectOutput{}, nil
}

func (b bucket) GetObject(context.Context, *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	return &s3.GetObjectOutput{Body: io.NopCloser(bytes.NewReader(b.body))}, nil
}

func TestAnImageOfAnArchive(t *testing.T) {
	c := newCloud(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c.Service.cfg.S3 = bucket{key: "root.tar", body: b.Bytes()}
	_, err := c.RegisterImage(c.ctx, &api.RegisterImageInput{Name: "none", ImageLocation: "b/other.tar"})
	wantFault(t, err, fault.InvalidManifest, "")
	id := must(c.RegisterImage(c.ctx, &api.RegisterImageInput{Name: "mine", ImageLocation: "b/root.tar"}))(t).ImageId
	v := c.imageIs(id, imageAvailable)
	i := c.run(func(in *api.RunInstancesInput) { in.ImageId = id })
	snap := v.BlockDeviceMappings[0].Ebs.SnapshotId
	must(c.DeregisterImage(c.ctx, &api.DeregisterImageInput{ImageId: id}))(t)
	_, err = c.DeleteSnapshot(c.ctx, &api.DeleteSnapshotInput{SnapshotId: snap})
	wantFault(t, err, fault.InvalidSnapshotInUse, "") // the instance stands on it
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, terminated)
	must(c.DeleteSnapshot(c.ctx, &api.DeleteSnapshotInput{SnapshotId: snap}))(t)

	c.Service.cfg.S3 = bucket{key: "root.tar", body: []byte("no archive")}
	id = must(c.RegisterImage(c.ctx, &api.RegisterImageInput{Name: "broken", ImageLocation: "b/root.tar"}))(t).ImageId
	if v := c.imageIs(id, imageFailed); v.StateReason == nil || v.StateReason.Message == "" {
		t.Errorf("a broken archive makes %+v", v)
	}
}
