package ec2

import (
	"context"
	"net/netip"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/dataplane/metadata"
)

func TestMetadataOfAnInstance(t *testing.T) {
	c := newCloud(t)
	key := must(c.CreateKeyPair(c.ctx, &api.CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}))(t)
	i := c.run(func(in *api.RunInstancesInput) {
		in.KeyName, in.UserData = key.KeyName, "aGVsbG8="
		in.IamInstanceProfile = &api.IamInstanceProfileSpecification{Arn: "arn:aws:iam::111111111111:instance-profile/app/web"}
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "instance", Tags: []api.Tag{{Key: "Name", Value: "one"}}}}
		in.MetadataOptions = &api.InstanceMetadataOptionsRequest{InstanceMetadataTags: "enabled"}
	})
	got, ok, err := c.Lookup(c.ctx, netip.MustParseAddr(i.PrivateIpAddress))
	if err != nil || !ok {
		t.Fatalf("Lookup: %t, %v", ok, err)
	}
	if got.ID != i.InstanceId || got.Role != "web-role" || string(got.UserData) != "hello" || got.Zone != "us-east-1a" || got.PublicIP.String() != i.PublicIpAddress ||
		!got.Enabled || !got.TokensRequired || !got.TagsEnabled || got.Tags["Name"] != "one" || got.GroupNames[0] != "default" || got.SubnetCIDR.String() != "172.31.0.0/20" {
		t.Errorf("got %+v", got)
	}
	if _, ok, err := c.Lookup(c.ctx, netip.MustParseAddr("172.31.15.254")); ok || err != nil {
		t.Errorf("a free address has metadata: %t, %v", ok, err)
	}
	if _, ok, err := c.Lookup(c.ctx, netip.MustParseAddr("::1")); ok || err != nil {
		t.Errorf("an IPv6 address has metadata: %t, %v", ok, err)
	}
	must(c.ModifyInstanceMetadataOptions(c.ctx, &api.ModifyInstanceMetadataOptionsInput{InstanceId: i.InstanceId, HttpTokens: "optional"}))(t)
	if got, _, _ := c.Lookup(c.ctx, netip.MustParseAddr(i.PrivateIpAddress)); got.TokensRequired {
		t.Error("tokens are still required")
	}
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, terminated)
	if _, ok, _ := c.Lookup(c.ctx, netip.MustParseAddr(i.PrivateIpAddress)); ok {
		t.Error("a terminated instance has metadata")
	}
}

func TestCredentialsOfAnInstance(t *testing.T) {
	c := newCloud(t)
	c.cfg.Credentials = func(_ context.Context, scope arn.Scope, role, id string) (metadata.Credentials, error) {
		return metadata.Credentials{AccessKeyID: scope.Account + " " + role + " " + id}, nil
	}
	c.cfg.Identity = func(_ context.Context, _ arn.Scope, id string) (metadata.Credentials, error) {
		return metadata.Credentials{AccessKeyID: id}, nil
	}
	plain := c.run()
	if _, err := c.RoleCredentials(c.ctx, plain.InstanceId); err == nil {
		t.Error("an instance without a profile has a role's credentials")
	}
	must(c.AssociateIamInstanceProfile(c.ctx, &api.AssociateIamInstanceProfileInput{InstanceId: plain.InstanceId, IamInstanceProfile: &api.IamInstanceProfileSpecification{Name: "web"}}))(t)
	got := must(c.RoleCredentials(c.ctx, plain.InstanceId))(t)
	if want := "111111111111 arn:aws:iam::111111111111:role/app/web-role " + plain.InstanceId; got.AccessKeyID != want {
		t.Errorf("got %q", got.AccessKeyID)
	}
	if got := must(c.IdentityCredentials(c.ctx, plain.InstanceId))(t); got.AccessKeyID != plain.InstanceId {
		t.Errorf("got %q", got.AccessKeyID)
	}
	if _, err := c.IdentityCredentials(c.ctx, "i-00000000"); err == nil {
		t.Error("an unknown instance has credentials")
	}
	list := must(c.DescribeIamInstanceProfileAssociations(c.ctx, &api.DescribeIamInstanceProfileAssociationsInput{}))(t)
	must(c.DisassociateIamInstanceProfile(c.ctx, &api.DisassociateIamInstanceProfileInput{AssociationId: list.IamInstanceProfileAssociations[0].AssociationId}))(t)
	if c.describe(plain.InstanceId).IamInstanceProfile != nil {
		t.Error("the profile is still there")
	}
}
