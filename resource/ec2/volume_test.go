package ec2

import (
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// A volume and its attachment as templates write them, each step twice as after
// a crash.
func TestVolumes(t *testing.T) {
	f := newFixture(t)
	host := f.create("Instance", instance(cfn.Properties{"AvailabilityZone": "us-east-1a"})).PhysicalID
	before := cfn.Properties{"AvailabilityZone": "us-east-1a", "Size": int64(2), "VolumeType": "gp3", "Tags": []any{map[string]any{"Key": "Name", "Value": "data"}}}
	made := f.create("Volume", before)
	if !strings.HasPrefix(made.PhysicalID, "vol-") || made.Attributes["VolumeId"] != made.PhysicalID {
		t.Errorf("made %+v", made)
	}
	if p := f.read("Volume", made.PhysicalID); p["Size"] != int64(2) || p["Iops"] != int64(3000) || p["AutoEnableIO"] != false || len(p["Tags"].([]any)) != 1 {
		t.Errorf("read %v", p)
	}
	at := cfn.Properties{"VolumeId": made.PhysicalID, "InstanceId": host, "Device": "/dev/sdf"}
	attachment := f.create("VolumeAttachment", at)
	if attachment.PhysicalID != made.PhysicalID+"|"+host {
		t.Errorf("attachment %s", attachment.PhysicalID)
	}
	if p := f.read("VolumeAttachment", attachment.PhysicalID); p["Device"] != "/dev/sdf" {
		t.Errorf("attached: %v", p)
	}
	after := cfn.Properties{"AvailabilityZone": "us-east-1a", "Size": int64(5), "VolumeType": "gp3", "Iops": int64(3000), "Throughput": int64(250), "AutoEnableIO": true}
	f.update("Volume", made.PhysicalID, before, after)
	if p := f.read("Volume", made.PhysicalID); p["Size"] != int64(5) || p["Throughput"] != int64(250) || p["AutoEnableIO"] != true || p["Tags"] != nil {
		t.Errorf("updated to %v", p)
	}
	f.sound()
	ctx, r := f.request(cfn.Properties{"AvailabilityZone": "us-east-1b", "Size": int64(5)})
	r.PhysicalID, r.Prior = made.PhysicalID, after
	if _, err := f.kind("Volume").Update(ctx, r); !fault.Is(err, fault.ValidationError) || !strings.Contains(err.Error(), "AvailabilityZone") {
		t.Errorf("moving a volume to another zone: %v", err)
	}
	ctx, r = f.request(nil)
	r.PhysicalID = made.PhysicalID
	if err := f.kind("Volume").Delete(ctx, r); !fault.Is(err, "VolumeInUse") {
		t.Errorf("deleting an attached volume: %v", err)
	}
	for kind, want := range map[string]string{"Volume": made.PhysicalID, "VolumeAttachment": attachment.PhysicalID} {
		ids, err := f.kind(kind).List(f.ctx)
		if err != nil || !strings.Contains(strings.Join(ids, " "), want) {
			t.Errorf("listed %v, %v", ids, err)
		}
	}
	f.delete("VolumeAttachment", attachment.PhysicalID)
	ctx, r = f.request(nil)
	r.PhysicalID = made.PhysicalID
	snapshot, err := f.kind("Volume").Snapshot(ctx, r)
	again, err2 := f.kind("Volume").Snapshot(ctx, r)
	if err != nil || err2 != nil || !strings.HasPrefix(snapshot, "snap-") || again != snapshot {
		t.Errorf("snapshot %q, %v; with the same token %q, %v", snapshot, err, again, err2)
	}
	f.delete("Volume", made.PhysicalID)
	ctx, gone := f.request(nil)
	gone.PhysicalID = made.PhysicalID
	if id, err := f.kind("Volume").Snapshot(ctx, gone); id != "" || err != nil {
		t.Errorf("snapshot of nothing: %q, %v", id, err)
	}
	f.delete("VolumeAttachment", attachment.PhysicalID)
	f.delete("Instance", host)
	f.sound()
}

func TestVolumeRefusesWhatIsNotBuilt(t *testing.T) {
	f := newFixture(t)
	for name, v := range map[string]any{"Encrypted": true, "MultiAttachEnabled": true, "SourceVolumeId": "vol-0123456789abcdef0", "OutpostArn": "arn"} {
		ctx, r := f.request(cfn.Properties{"AvailabilityZone": "us-east-1a", "Size": int64(1), name: v})
		if _, err := f.kind("Volume").Create(ctx, r); !fault.Is(err, fault.NotImplemented) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
