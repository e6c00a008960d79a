package ec2

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
)

func TestRunInstancesReachesRunning(t *testing.T) {
	c := newCloud(t)
	key := must(c.CreateKeyPair(c.ctx, &api.CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}))(t)
	group := must(c.CreateSecurityGroup(c.ctx, &api.CreateSecurityGroupInput{GroupName: "web", Description: "web"}))(t)
	in := request()
	in.KeyName = key.KeyName
	in.SecurityGroupIds = []string{group.GroupId}
	in.UserData = base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))
	in.IamInstanceProfile = &api.IamInstanceProfileSpecification{Name: "web"}
	in.Placement = &api.Placement{AvailabilityZone: "us-east-1b"}
	in.TagSpecifications = []api.TagSpecification{{ResourceType: "instance", Tags: []api.Tag{{Key: "Name", Value: "one"}}}}
	out, err := c.RunInstances(c.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	first := out.Instances[0]
	if first.State.Name != "pending" || *first.State.Code != 0 {
		t.Errorf("the answer says %s, want pending", first.State.Name)
	}
	got := c.await(first.InstanceId, running)
	if *got.State.Code != 16 || got.Placement.AvailabilityZone != "us-east-1b" || got.KeyName != "k" || got.SecurityGroups[0].GroupName != "web" {
		t.Errorf("got %+v", got)
	}
	if want := "ip-" + strings.ReplaceAll(got.PrivateIpAddress, ".", "-") + ".ec2.internal"; got.PrivateDnsName != want {
		t.Errorf("private name %s, want %s", got.PrivateDnsName, want)
	}
	if want := "ec2-" + strings.ReplaceAll(got.PublicIpAddress, ".", "-") + ".compute-1.amazonaws.com"; got.PublicIpAddress == "" || got.PublicDnsName != want {
		t.Errorf("public name %s, want %s", got.PublicDnsName, want)
	}
	if got.IamInstanceProfile.Id != "AIPAEXAMPLE" || got.Tags[0].Value != "one" {
		t.Errorf("profile %+v, tags %+v", got.IamInstanceProfile, got.Tags)
	}
	st, err := c.driver.Describe(c.ctx, compute.Handle{ID: got.InstanceId})
	if err != nil || st.State != compute.Running || st.Address.String() != got.PrivateIpAddress {
		t.Errorf("on the host: %+v, %v", st, err)
	}
	c.sound()
}

func TestRunInstancesRefuses(t *testing.T) {
	c := newCloud(t)
	for name, tc := range map[string]struct {
		change        func(*api.RunInstancesInput)
		code, message string
	}{
		"no image":         {func(in *api.RunInstancesInput) { in.ImageId = "" }, fault.MissingParameter, "The request must contain the parameter ImageId"},
		"malformed image":  {func(in *api.RunInstancesInput) { in.ImageId = "foo" }, fault.InvalidAMIIDMalformed, `Invalid id: "foo" (expecting "ami-...")`},
		"unknown image":    {func(in *api.RunInstancesInput) { in.ImageId = "ami-00000000" }, fault.InvalidAMIIDNotFound, "The image id '[ami-00000000]' does not exist"},
		"unknown type":     {func(in *api.RunInstancesInput) { in.InstanceType = "t9.huge" }, fault.InvalidParameterValue, "Invalid value 't9.huge' for InstanceType."},
		"min over max":     {func(in *api.RunInstancesInput) { in.MinCount = ptr(int32(2)) }, fault.InvalidParameterCombination, ""},
		"zero":             {func(in *api.RunInstancesInput) { in.MinCount, in.MaxCount = ptr(int32(0)), ptr(int32(0)) }, fault.InvalidParameterValue, ""},
		"unknown key":      {func(in *api.RunInstancesInput) { in.KeyName = "none" }, fault.InvalidKeyPairNotFound, "The key pair 'none' does not exist"},
		"unknown group":    {func(in *api.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-00000000"} }, fault.InvalidGroupNotFound, "The security group 'sg-00000000' does not exist"},
		"malformed group":  {func(in *api.RunInstancesInput) { in.SecurityGroupIds = []string{"web"} }, fault.InvalidGroupIDMalformed, `Invalid id: "web" (expecting "sg-...")`},
		"unknown subnet":   {func(in *api.RunInstancesInput) { in.SubnetId = "subnet-00000000" }, fault.InvalidSubnetIDNotFound, "The subnet ID 'subnet-00000000' does not exist"},
		"unknown zone":     {func(in *api.RunInstancesInput) { in.Placement = &api.Placement{AvailabilityZone: "us-east-1z"} }, fault.InvalidParameterValue, "Invalid availability zone: [us-east-1z]"},
		"address outside":  {func(in *api.RunInstancesInput) { in.PrivateIpAddress = "10.0.0.5" }, fault.InvalidParameterValue, "Address 10.0.0.5 does not fall within the subnet's address range"},
		"reserved address": {func(in *api.RunInstancesInput) { in.PrivateIpAddress = "172.31.0.2" }, fault.InvalidParameterValue, ""},
		"broken user data": {func(in *api.RunInstancesInput) { in.UserData = "%%%" }, fault.InvalidUserDataMalformed, "Invalid BASE64 encoding of user data."},
		"long user data": {func(in *api.RunInstancesInput) {
			in.UserData = base64.StdEncoding.EncodeToString(make([]byte, maxUserData+1))
		}, fault.InvalidParameterValue, "User data is limited to 16384 bytes"},
		"unknown profile": {func(in *api.RunInstancesInput) {
			in.IamInstanceProfile = &api.IamInstanceProfileSpecification{Name: "none"}
		}, fault.InvalidParameterValue, "Value (none) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"},
		"profile by name and arn": {func(in *api.RunInstancesInput) {
			in.IamInstanceProfile = &api.IamInstanceProfileSpecification{Name: "web", Arn: "arn:aws:iam::111111111111:instance-profile/web"}
		}, fault.InvalidParameterCombination, ""},
		"behaviour": {func(in *api.RunInstancesInput) { in.InstanceInitiatedShutdownBehavior = "explode" }, fault.InvalidParameterValue, ""},
		"dedicated": {func(in *api.RunInstancesInput) { in.Placement = &api.Placement{Tenancy: "dedicated"} }, fault.NotImplemented, "The parameter Placement.Tenancy=dedicated is not built in this version of Slipway: all instances share their host."},
		"encrypted volume": {func(in *api.RunInstancesInput) {
			in.BlockDeviceMappings = []api.BlockDeviceMapping{{DeviceName: "/dev/sdf", Ebs: &api.EbsBlockDevice{VolumeSize: ptr(int32(1)), Encrypted: ptr(true)}}}
		}, fault.NotImplemented, ""},
		"other virtual name": {func(in *api.RunInstancesInput) {
			in.BlockDeviceMappings = []api.BlockDeviceMapping{{DeviceName: "/dev/sdf", VirtualName: "ephemeral24"}}
		}, fault.InvalidBlockDeviceMapping, ""},
		"a second network card": {func(in *api.RunInstancesInput) {
			in.NetworkInterfaces = []api.InstanceNetworkInterfaceSpecification{{DeviceIndex: ptr(int32(0)), NetworkCardIndex: ptr(int32(1))}}
		}, fault.NotImplemented, ""},
		"reserved tag": {func(in *api.RunInstancesInput) {
			in.TagSpecifications = []api.TagSpecification{{ResourceType: "instance", Tags: []api.Tag{{Key: "aws:x", Value: "y"}}}}
		}, fault.InvalidParameterValue, "Tag keys starting with 'aws:' are reserved for internal use"},
		"dry run": {func(in *api.RunInstancesInput) { in.DryRun = ptr(true) }, fault.DryRunOperation, "Request would have succeeded, but DryRun flag is set."},
	} {
		t.Run(name, func(t *testing.T) {
			in := request()
			tc.change(in)
			_, err := c.RunInstances(c.ctx, in)
			wantFault(t, err, tc.code, tc.message)
		})
	}
	out := must(c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{}))(t)
	if len(out.Reservations) != 0 {
		t.Errorf("refused calls left %d reservations", len(out.Reservations))
	}
	c.sound()
}

func TestRunInstancesIsIdempotent(t *testing.T) {
	c := newCloud(t)
	in := request()
	in.ClientToken, in.MaxCount = "once", ptr(int32(2))
	first := must(c.RunInstances(c.ctx, in))(t)
	again := must(c.RunInstances(c.ctx, in))(t)
	if len(first.Instances) != 2 || first.ReservationId != again.ReservationId || first.Instances[1].InstanceId != again.Instances[1].InstanceId {
		t.Errorf("first %v, again %v", first.Instances, again.Instances)
	}
	in.InstanceType = strings.Replace(in.InstanceType, "micro", "small", 1)
	_, err := c.RunInstances(c.ctx, in)
	wantFault(t, err, fault.IdempotentParameterMatch, "")

	step := auth.WithToken(c.ctx, "stack/Web/create")
	one := must(c.RunInstances(step, request()))(t)
	two := must(c.RunInstances(step, request()))(t)
	if one.Instances[0].InstanceId != two.Instances[0].InstanceId {
		t.Errorf("a repeated step made a second instance")
	}
	for _, i := range append(first.Instances, one.Instances...) {
		c.await(i.InstanceId, running)
	}
	c.sound()
}

func TestEnvironmentAndLimitsOfAnInstance(t *testing.T) {
	c := newCloud(t)
	specs := make(chan compute.Spec, 1)
	c.driver.Config.Launch = func(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
		specs <- spec
		return c.driver.RealLaunch(ctx, spec)
	}
	got := c.run(func(in *api.RunInstancesInput) {
		in.BlockDeviceMappings = []api.BlockDeviceMapping{
			{DeviceName: "/dev/xvda", Ebs: &api.EbsBlockDevice{VolumeSize: ptr(int32(20))}},
			{DeviceName: "/dev/sdc", VirtualName: "ephemeral0"}, // ignored: the type has no instance store
		}
	})
	spec := <-specs
	if spec.Environment["AWS_ENDPOINT_URL"] != "http://172.31.0.1:4566" || spec.Environment["AWS_REGION"] != "us-east-1" || spec.Environment["AWS_DEFAULT_REGION"] != "us-east-1" {
		t.Errorf("environment %v", spec.Environment)
	}
	want := compute.Limits{MilliCPU: 2000, Memory: 1 << 30, Processes: 4096, Disk: 20 << 30}
	if spec.Limits != want || spec.Hostname != got.PrivateDnsName || spec.Image != "builtin" {
		t.Errorf("got spec %+v", spec)
	}
}

func TestAFailedLaunchSaysSo(t *testing.T) {
	for _, tt := range []struct {
		cause error
		want  string
	}{
		{compute.ErrUnsupported, "on launch: this host's driver cannot"},
		{compute.ErrNoAddress, "on launch: the host does not have the instance's address; 'slipway doctor'"},
	} {
		c := newCloud(t)
		c.driver.Config.Launch = func(context.Context, compute.Spec) (compute.Handle, error) {
			return compute.Handle{}, tt.cause
		}
		out := must(c.RunInstances(c.ctx, request()))(t)
		got := c.await(out.Instances[0].InstanceId, terminated)
		if got.StateReason.Code != "Server.InternalError" || !strings.Contains(got.StateReason.Message, tt.want) {
			t.Errorf("%v: reason %+v", tt.cause, got.StateReason)
		}
		c.sound()
	}
}

func TestARefusedStartSaysSo(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, stopped)
	c.driver.Config.Start = func(_ context.Context, _ compute.Spec, h compute.Handle) (compute.Handle, error) {
		return h, fmt.Errorf("boot: %w", compute.ErrNoAddress)
	}
	must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.until("it is stopped again, and says why", func() bool {
		got := c.describe(i.InstanceId)
		return got.State.Name == "stopped" && got.StateReason != nil && strings.Contains(got.StateReason.Message, "on start: the host does not have the instance's address")
	})
	c.sound()
}

func TestABusyAddressIsReplaced(t *testing.T) {
	c := newCloud(t)
	tried := make(chan string, 2)
	c.driver.Config.Launch = func(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
		tried <- spec.Address.String()
		if len(tried) == 1 {
			return compute.Handle{}, compute.ErrAddressBusy
		}
		return c.driver.RealLaunch(ctx, spec)
	}
	got := c.run()
	if first := <-tried; got.PrivateIpAddress == first || got.PrivateIpAddress != <-tried {
		t.Errorf("runs with %s after %s was busy", got.PrivateIpAddress, first)
	}
	c.sound()
}
