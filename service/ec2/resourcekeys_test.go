package ec2

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
)

// TestResourceKeys are the condition keys that records tell.
func TestResourceKeys(t *testing.T) {
	c := newCloud(t)
	in := c.run(func(r *api.RunInstancesInput) { r.InstanceType = "t3.nano" })
	vol := must(c.CreateVolume(c.ctx, &api.CreateVolumeInput{AvailabilityZone: "us-east-1a", Size: ptr(int32(3)), VolumeType: "gp3"}))(t)
	c.volumeIs(vol.VolumeId, volumeAvailable)
	snap := must(c.CreateSnapshot(c.ctx, &api.CreateSnapshotInput{VolumeId: vol.VolumeId}))(t)
	must(c.CreateKeyPair(c.ctx, &api.CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}))(t)
	eip := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
	nobody := arn.Scope{Region: testScope.Region}
	at := func(kind, id string) string { return testScope.ARN("ec2", kind+"/"+id).String() }
	image := nobody.ARN("ec2", "image/"+in.ImageId).String()
	for _, k := range []struct{ resource, key, want string }{
		{at("instance", in.InstanceId), "instancetype", "t3.nano"},
		{at("instance", in.InstanceId), "availabilityzone", in.Placement.AvailabilityZone},
		{at("instance", in.InstanceId), "metadatahttptokens", in.MetadataOptions.HttpTokens},
		{at("instance", in.InstanceId), "ebsoptimized", "false"},
		{at("instance", in.InstanceId), "instanceprofile", ""},
		{at("instance", "i-0123456789abcdef0"), "instancetype", ""},
		{at("volume", vol.VolumeId), "volumesize", "3"},
		{at("volume", vol.VolumeId), "volumetype", "gp3"},
		{at("volume", vol.VolumeId), "encrypted", "false"},
		{nobody.ARN("ec2", "snapshot/"+snap.SnapshotId).String(), "parentvolume", at("volume", vol.VolumeId)},
		{nobody.ARN("ec2", "snapshot/"+snap.SnapshotId).String(), "owner", testScope.Account},
		{image, "owner", "amazon"}, {image, "public", "true"},
		{at("subnet", in.SubnetId), "vpc", at("vpc", in.VpcId)},
		{at("security-group", in.SecurityGroups[0].GroupId), "vpc", at("vpc", in.VpcId)},
		{at("network-interface", in.NetworkInterfaces[0].NetworkInterfaceId), "subnet", at("subnet", in.SubnetId)},
		{at("vpc", in.VpcId), "tenancy", "default"},
		{at("key-pair", "k"), "keypairtype", "ed25519"},
		{at("elastic-ip", eip.AllocationId), "publicipaddress", eip.PublicIp},
		{at("elastic-ip", "eipalloc-none"), "publicipaddress", ""},
	} {
		got, err := c.ResourceKeys(c.ctx, k.resource)
		if v := strings.Join(got[k.key], " "); err != nil || v != k.want {
			t.Errorf("%s of %s is %q, %v; want %q", k.key, k.resource, v, err, k.want)
		}
	}
}
