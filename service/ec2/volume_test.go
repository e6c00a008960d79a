package ec2

import (
	"context"
	"errors"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/fake"
	"github.com/slipway/slipway/fault"
)

const zoneA = "us-east-1a"

// volume makes a volume and waits until it is available.
func (c *cloud) volume(change ...func(*api.CreateVolumeInput)) string {
	c.t.Helper()
	in := &api.CreateVolumeInput{AvailabilityZone: zoneA, Size: ptr(int32(10)), VolumeType: "gp3"}
	for _, f := range change {
		f(in)
	}
	out, err := c.CreateVolume(c.ctx, in)
	if err != nil {
		c.t.Fatalf("CreateVolume: %v", err)
	}
	c.volumeIs(out.VolumeId, volumeAvailable)
	return out.VolumeId
}

func (c *cloud) describeVolume(id string) api.Volume {
	c.t.Helper()
	out, err := c.DescribeVolumes(c.ctx, &api.DescribeVolumesInput{VolumeIds: []string{id}})
	if err != nil {
		c.t.Fatalf("DescribeVolumes: %v", err)
	}
	return out.Volumes[0]
}

func (c *cloud) volumeIs(id, state string) {
	c.t.Helper()
	c.until("volume "+id+" is "+state, func() bool { return c.describeVolume(id).State == state })
}

func (c *cloud) attachmentIs(id, state string) {
	c.t.Helper()
	c.until("attachment of "+id+" is "+state, func() bool {
		v := c.describeVolume(id)
		return len(v.Attachments) == 1 && v.Attachments[0].State == state
	})
}

func (c *cloud) gone(id string) {
	c.t.Helper()
	c.until("volume "+id+" is gone", func() bool {
		_, err := c.DescribeVolumes(c.ctx, &api.DescribeVolumesInput{VolumeIds: []string{id}})
		return fault.Is(err, fault.InvalidVolumeNotFound)
	})
	if _, err := c.driver.StatVolume(c.ctx, id); !errors.Is(err, compute.ErrGone) {
		c.t.Errorf("%s is still on the host: %v", id, err)
	}
}

func inZoneA(in *api.RunInstancesInput) { in.Placement = &api.Placement{AvailabilityZone: zoneA} }

func TestAVolumesLife(t *testing.T) {
	c := newCloud(t)
	i := c.run(inZoneA)
	id := c.volume(func(in *api.CreateVolumeInput) {
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "volume", Tags: []api.Tag{{Key: "Name", Value: "data"}}}}
	})
	v := c.describeVolume(id)
	if *v.Size != 10 || *v.Iops != 3000 || *v.Throughput != 125 || v.Tags[0].Value != "data" || *v.Encrypted {
		t.Errorf("the volume is %+v", v)
	}
	out := must(c.AttachVolume(c.ctx, &api.AttachVolumeInput{VolumeId: id, InstanceId: i.InstanceId, Device: "sdf"}))(t)
	if out.State != attaching || out.Device != "/dev/sdf" {
		t.Errorf("attaching answers %+v", out)
	}
	c.attachmentIs(id, attached)
	if st, err := c.driver.StatVolume(c.ctx, id); err != nil || !st.Attached {
		t.Errorf("on the host %+v, %v", st, err)
	}
	if n := len(c.describe(i.InstanceId).BlockDeviceMappings); n != 2 {
		t.Errorf("%d block devices", n)
	}
	_, err := c.AttachVolume(c.ctx, &api.AttachVolumeInput{VolumeId: id, InstanceId: i.InstanceId, Device: "/dev/sdg"})
	wantFault(t, err, fault.VolumeInUse, "")
	_, err = c.DeleteVolume(c.ctx, &api.DeleteVolumeInput{VolumeId: id})
	wantFault(t, err, fault.VolumeInUse, "")

	// It stays over a stop and a start.
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, stopped)
	must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, running)
	if st, err := c.driver.StatVolume(c.ctx, id); err != nil || !st.Attached {
		t.Errorf("after a stop and a start %+v, %v", st, err)
	}
	must(c.DetachVolume(c.ctx, &api.DetachVolumeInput{VolumeId: id}))(t)
	c.volumeIs(id, volumeAvailable)
	if st, err := c.driver.StatVolume(c.ctx, id); err != nil || st.Attached {
		t.Errorf("after detaching %+v, %v", st, err)
	}
	must(c.DeleteVolume(c.ctx, &api.DeleteVolumeInput{VolumeId: id}))(t)
	c.gone(id)
	c.sound()
}

func TestVolumesAreRefused(t *testing.T) {
	c := newCloud(t)
	for name, tc := range map[string]struct {
		change func(*api.CreateVolumeInput)
		code   string
	}{
		"encrypted":       {func(in *api.CreateVolumeInput) { in.Encrypted = ptr(true) }, fault.NotImplemented},
		"no zone":         {func(in *api.CreateVolumeInput) { in.AvailabilityZone = "" }, fault.MissingParameter},
		"other zone":      {func(in *api.CreateVolumeInput) { in.AvailabilityZone = "eu-west-1a" }, fault.InvalidZoneNotFound},
		"no size":         {func(in *api.CreateVolumeInput) { in.Size = nil }, fault.MissingParameter},
		"no bytes":        {func(in *api.CreateVolumeInput) { in.Size = ptr(int32(0)) }, fault.InvalidParameterValue},
		"too large":       {func(in *api.CreateVolumeInput) { in.Size = ptr(int32(70000)) }, fault.InvalidParameterValue},
		"type":            {func(in *api.CreateVolumeInput) { in.VolumeType = "gp9" }, fault.InvalidParameterValue},
		"st1 is large":    {func(in *api.CreateVolumeInput) { in.VolumeType = "st1" }, fault.InvalidParameterValue},
		"io1 needs iops":  {func(in *api.CreateVolumeInput) { in.VolumeType = "io1" }, fault.MissingParameter},
		"iops of gp2":     {func(in *api.CreateVolumeInput) { in.VolumeType, in.Iops = "gp2", ptr(int32(100)) }, fault.InvalidParameterCombination},
		"few iops":        {func(in *api.CreateVolumeInput) { in.Iops = ptr(int32(100)) }, fault.InvalidParameterValue},
		"iops by size":    {func(in *api.CreateVolumeInput) { in.Iops = ptr(int32(16000)) }, fault.InvalidParameterValue},
		"throughput":      {func(in *api.CreateVolumeInput) { in.Throughput = ptr(int32(5000)) }, fault.InvalidParameterValue},
		"lost snapshot":   {func(in *api.CreateVolumeInput) { in.SnapshotId = "snap-0123456789abcdef0" }, fault.InvalidSnapshotNotFound},
		"broken snapshot": {func(in *api.CreateVolumeInput) { in.SnapshotId = "snap" }, fault.InvalidSnapshotIDMalformed},
		"dry run":         {func(in *api.CreateVolumeInput) { in.DryRun = ptr(true) }, fault.DryRunOperation},
	} {
		in := &api.CreateVolumeInput{AvailabilityZone: zoneA, Size: ptr(int32(10)), VolumeType: "gp3"}
		tc.change(in)
		if _, err := c.CreateVolume(c.ctx, in); !fault.Is(err, tc.code) {
			t.Errorf("%s: %v, want %s", name, err, tc.code)
		}
	}
	if out := must(c.DescribeVolumes(c.ctx, &api.DescribeVolumesInput{}))(t); len(out.Volumes) > 0 {
		t.Errorf("refused calls left %+v", out.Volumes)
	}
}

func TestAttachmentsAreRefused(t *testing.T) {
	c := newCloud(t)
	a, b := c.run(inZoneA), c.run(func(in *api.RunInstancesInput) { in.Placement = &api.Placement{AvailabilityZone: "us-east-1b"} })
	id, other := c.volume(), c.volume()
	must(c.AttachVolume(c.ctx, &api.AttachVolumeInput{VolumeId: other, InstanceId: a.InstanceId, Device: "/dev/sdf"}))(t)
	c.attachmentIs(other, attached)
	for name, tc := range map[string]struct {
		in   api.AttachVolumeInput
		code string
	}{
		"no device":    {api.AttachVolumeInput{VolumeId: id, InstanceId: a.InstanceId}, fault.MissingParameter},
		"a path":       {api.AttachVolumeInput{VolumeId: id, InstanceId: a.InstanceId, Device: "/dev/../etc"}, fault.InvalidParameterValue},
		"the root":     {api.AttachVolumeInput{VolumeId: id, InstanceId: a.InstanceId, Device: "/dev/xvda"}, fault.InvalidParameterValue},
		"taken":        {api.AttachVolumeInput{VolumeId: id, InstanceId: a.InstanceId, Device: "/dev/sdf"}, fault.InvalidParameterValue},
		"another zone": {api.AttachVolumeInput{VolumeId: id, InstanceId: b.InstanceId, Device: "/dev/sdf"}, fault.InvalidVolumeZoneMismatch},
		"no volume":    {api.AttachVolumeInput{VolumeId: "vol-0123456789abcdef0", InstanceId: a.InstanceId, Device: "/dev/sdg"}, fault.InvalidVolumeNotFound},
		"no instance":  {api.AttachVolumeInput{VolumeId: id, InstanceId: "i-0123456789abcdef0", Device: "/dev/sdg"}, fault.InvalidInstanceIDNotFound},
	} {
		if _, err := c.AttachVolume(c.ctx, &tc.in); !fault.Is(err, tc.code) {
			t.Errorf("%s: %v, want %s", name, err, tc.code)
		}
	}
	root := a.BlockDeviceMappings[0].Ebs.VolumeId
	_, err := c.DetachVolume(c.ctx, &api.DetachVolumeInput{VolumeId: root})
	wantFault(t, err, fault.OperationNotPermitted, "")
	_, err = c.DetachVolume(c.ctx, &api.DetachVolumeInput{VolumeId: id})
	wantFault(t, err, fault.IncorrectState, "")
	_, err = c.DetachVolume(c.ctx, &api.DetachVolumeInput{VolumeId: other, InstanceId: b.InstanceId})
	wantFault(t, err, fault.InvalidAttachmentNotFound, "")
}

// TestABusyVolumeWaits: the detachment goes on once the last process has left.
func TestABusyVolumeWaits(t *testing.T) {
	c := newCloud(t)
	left := make(chan struct{})
	c.driver.Config.DetachVolume = func(ctx context.Context, h compute.Handle, a compute.Attachment, force bool) error {
		select {
		case <-left:
			return c.driver.RealDetachVolume(ctx, h, a, force)
		default:
			return compute.ErrInUse
		}
	}
	i, id := c.run(inZoneA), c.volume()
	must(c.AttachVolume(c.ctx, &api.AttachVolumeInput{VolumeId: id, InstanceId: i.InstanceId, Device: "/dev/sdf"}))(t)
	c.attachmentIs(id, attached)
	must(c.DetachVolume(c.ctx, &api.DetachVolumeInput{VolumeId: id}))(t)
	c.attachmentIs(id, busy)
	close(left)
	c.volumeIs(id, volumeAvailable)
}

func TestVolumesOfALaunch(t *testing.T) {
	c := newCloud(t)
	i := c.run(inZoneA, func(in *api.RunInstancesInput) {
		in.BlockDeviceMappings = []api.BlockDeviceMapping{
			{DeviceName: "/dev/sda1", Ebs: &api.EbsBlockDevice{VolumeSize: ptr(int32(20)), DeleteOnTermination: ptr(false)}},
			{DeviceName: "/dev/sdf", Ebs: &api.EbsBlockDevice{VolumeSize: ptr(int32(2)), VolumeType: "gp3"}},
		}
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "volume", Tags: []api.Tag{{Key: "team", Value: "web"}}}}
	})
	found := must(c.DescribeVolumes(c.ctx, &api.DescribeVolumesInput{Filters: []api.Filter{
		{Name: "attachment.instance-id", Values: []string{i.InstanceId}}, {Name: "tag:team", Values: []string{"web"}},
	}}))(t)
	if len(found.Volumes) != 2 {
		t.Fatalf("found %+v", found.Volumes)
	}
	var root, data string
	for _, v := range found.Volumes {
		if v.Attachments[0].Device == rootDevice {
			root = v.VolumeId
			if *v.Size != 20 || *v.Attachments[0].DeleteOnTermination {
				t.Errorf("the root volume is %+v", v)
			}
		} else {
			data = v.VolumeId
		}
		if v.Attachments[0].State != attached {
			t.Errorf("%s is %s", v.VolumeId, v.Attachments[0].State)
		}
	}
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, terminated)
	c.volumeIs(root, volumeAvailable)
	c.gone(data)
	c.sound()
}

func TestModifyVolume(t *testing.T) {
	c := newCloud(t)
	id := c.volume()
	_, err := c.ModifyVolume(c.ctx, &api.ModifyVolumeInput{VolumeId: id, Size: ptr(int32(5))})
	wantFault(t, err, fault.InvalidParameterValue, "New size cannot be smaller than existing size")
	must(c.ModifyVolume(c.ctx, &api.ModifyVolumeInput{VolumeId: id, Size: ptr(int32(30)), Iops: ptr(int32(4000))}))(t)
	state := func() api.VolumeModification {
		return must(c.DescribeVolumesModifications(c.ctx, &api.DescribeVolumesModificationsInput{VolumeIds: []string{id}}))(t).VolumesModifications[0]
	}
	c.until("the modification is completed", func() bool { return state().ModificationState == completed })
	if v := c.describeVolume(id); *v.Size != 30 || *v.Iops != 4000 {
		t.Errorf("the volume is %+v", v)
	}
	if st, err := c.driver.StatVolume(c.ctx, id); err != nil || st.Bytes != 30<<30 {
		t.Errorf("on the host %+v, %v", st, err)
	}
	// What the host cannot do is told, and the volume is as it was.
	c.driver.Config.GrowVolume = func(context.Context, string, int64) error { return compute.ErrUnsupported }
	must(c.ModifyVolume(c.ctx, &api.ModifyVolumeInput{VolumeId: id, Size: ptr(int32(40))}))(t)
	c.until("the modification has failed", func() bool { return state().ModificationState == failed })
	if m := state(); m.StatusMessage == "" || *c.describeVolume(id).Size != 30 {
		t.Errorf("the modification is %+v", m)
	}
}

func TestVolumeStatusIsLookedAt(t *testing.T) {
	c := newCloud(t)
	id := c.volume()
	status := func() string {
		out := must(c.DescribeVolumeStatus(c.ctx, &api.DescribeVolumeStatusInput{VolumeIds: []string{id}}))(t)
		return out.VolumeStatuses[0].VolumeStatus.Status
	}
	if got := status(); got != "ok" {
		t.Errorf("status %s", got)
	}
	if err := c.driver.DeleteVolume(c.ctx, id); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != "impaired" {
		t.Errorf("without its file the volume is %s", got)
	}
}

func TestAHostWithoutVolumesSaysSo(t *testing.T) {
	c := newCloudOn(t, fake.Config{NoVolumes: errors.New("there is no mkfs.ext4")})
	_, err := c.CreateVolume(c.ctx, &api.CreateVolumeInput{AvailabilityZone: zoneA, Size: ptr(int32(10))})
	wantFault(t, err, fault.UnsupportedOperation, "")
	i := c.run()
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, terminated)
	c.sound()
}

func TestVolumeTokens(t *testing.T) {
	c := newCloud(t)
	token := func(in *api.CreateVolumeInput) { in.ClientToken = "once" }
	if a, b := c.volume(token), c.volume(token); a != b {
		t.Errorf("one token made %s and %s", a, b)
	}
	_, err := c.CreateVolume(c.ctx, &api.CreateVolumeInput{AvailabilityZone: zoneA, Size: ptr(int32(11)), VolumeType: "gp3", ClientToken: "once"})
	wantFault(t, err, fault.IdempotentParameterMatch, "")
	// What is gone gives its token back.
	first := c.volume(token)
	must(c.DeleteVolume(c.ctx, &api.DeleteVolumeInput{VolumeId: first}))(t)
	c.gone(first)
	second := c.volume(token)
	if again := c.volume(token); second == first || again != second {
		t.Errorf("after %s was deleted its token made %s and %s", first, second, again)
	}
}
