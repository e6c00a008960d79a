package ec2

import (
	"context"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func TestStopAndStart(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	out := must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	if ch := out.StoppingInstances[0]; ch.PreviousState.Name != "running" || ch.CurrentState.Name != "stopping" || *ch.CurrentState.Code != 64 {
		t.Errorf("got %+v", ch)
	}
	got := c.await(i.InstanceId, stopped)
	if got.PublicIpAddress != "" || got.PrivateIpAddress != i.PrivateIpAddress {
		t.Errorf("stopped with addresses %q, %q", got.PublicIpAddress, got.PrivateIpAddress)
	}
	if got.StateReason.Code != "Client.UserInitiatedShutdown" || !strings.HasPrefix(got.StateTransitionReason, "User initiated (2026-11-22 10:00:00 GMT)") {
		t.Errorf("reason %+v, %q", got.StateReason, got.StateTransitionReason)
	}
	c.sound()
	again := must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	if ch := again.StoppingInstances[0]; ch.PreviousState.Name != "stopped" || *ch.CurrentState.Code != 80 {
		t.Errorf("got %+v", ch)
	}
	c.clock = c.clock.Add(time.Hour)
	start := must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	if ch := start.StartingInstances[0]; ch.PreviousState.Name != "stopped" || ch.CurrentState.Name != "pending" {
		t.Errorf("got %+v", ch)
	}
	got = c.await(i.InstanceId, running)
	if got.PublicIpAddress == "" || !got.LaunchTime.Equal(c.clock) || got.StateReason != nil {
		t.Errorf("started: %q, %v, %+v", got.PublicIpAddress, got.LaunchTime, got.StateReason)
	}
	c.sound()
}

func TestTerminate(t *testing.T) {
	c := newCloud(t)
	i := c.run(func(in *api.RunInstancesInput) { in.DisableApiTermination = ptr(true) })
	ids := []string{i.InstanceId}
	c.count(1)
	_, err := c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: ids})
	wantFault(t, err, fault.OperationNotPermitted, "The instance '"+i.InstanceId+"' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.")
	must(c.ModifyInstanceAttribute(c.ctx, &api.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, DisableApiTermination: &api.AttributeBooleanValue{Value: ptr(false)}}))(t)
	out := must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: ids}))(t)
	if ch := out.TerminatingInstances[0]; ch.PreviousState.Name != "running" || *ch.CurrentState.Code != 32 {
		t.Errorf("got %+v", ch)
	}
	got := c.await(i.InstanceId, terminated)
	if *got.State.Code != 48 || got.PrivateIpAddress != "" || len(got.NetworkInterfaces) != 0 || got.VpcId != "" {
		t.Errorf("terminated: %+v", got)
	}
	c.count(0)
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: ids}))(t)
	_, err = c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: ids})
	wantFault(t, err, fault.IncorrectInstanceState, "The instance '"+i.InstanceId+"' is not in a state from which it can be started.")
	c.sound()

	c.clock = c.clock.Add(2 * time.Hour)
	c.loop.Wake()
	c.until("the record is purged", func() bool {
		out, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{})
		return err == nil && len(out.Reservations) == 0
	})
}

// count checks how many instances status tells of.
func (c *cloud) count(want int) {
	c.t.Helper()
	err := c.store.View(c.ctx, func(tx store.Tx) error {
		n, err := CountInstances(tx)
		if n != want {
			c.t.Errorf("%d instances are counted, want %d", n, want)
		}
		return err
	})
	if err != nil {
		c.t.Error(err)
	}
}

func TestTerminationProtectionKeepsTheZone(t *testing.T) {
	c := newCloud(t)
	in := func(zone string, protect bool) string {
		return c.run(func(in *api.RunInstancesInput) {
			in.Placement, in.DisableApiTermination = &api.Placement{AvailabilityZone: zone}, &protect
		}).InstanceId
	}
	guarded, beside, other := in("us-east-1a", true), in("us-east-1a", false), in("us-east-1b", false)
	_, err := c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{guarded, beside, other}})
	wantFault(t, err, fault.OperationNotPermitted, "")
	c.await(other, terminated)
	for _, id := range []string{guarded, beside} {
		if s := c.describe(id).State.Name; s != "running" {
			t.Errorf("%s is %s", id, s)
		}
	}
}

func TestWrongIDs(t *testing.T) {
	c := newCloud(t)
	for _, tc := range []struct {
		ids           []string
		code, message string
	}{
		{[]string{"foo"}, fault.InvalidInstanceIDMalformed, `Invalid id: "foo"`},
		{[]string{"i-0123456789abcdef"}, fault.InvalidInstanceIDMalformed, `Invalid id: "i-0123456789abcdef"`},
		{[]string{"i-0123456789abcdef0"}, fault.InvalidInstanceIDNotFound, "The instance ID 'i-0123456789abcdef0' does not exist"},
		{[]string{"i-00000001", "i-00000002"}, fault.InvalidInstanceIDNotFound, "The instance IDs 'i-00000001, i-00000002' do not exist"},
	} {
		_, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{InstanceIds: tc.ids})
		wantFault(t, err, tc.code, tc.message)
		_, err = c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: tc.ids})
		wantFault(t, err, tc.code, tc.message)
	}
}

func TestReboot(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	address := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
	must(c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: address.AllocationId, InstanceId: i.InstanceId}))(t)
	must(c.RebootInstances(c.ctx, &api.RebootInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.until("a second boot", func() bool {
		out := must(c.GetConsoleOutput(c.ctx, &api.GetConsoleOutputInput{InstanceId: i.InstanceId}))(t)
		text, err := decodeUserData(out.Output)
		return err == nil && strings.Contains(string(text), "boot 2")
	})
	if s := c.describe(i.InstanceId); s.State.Name != "running" || s.PublicIpAddress != address.PublicIp {
		t.Errorf("after the reboot: %s, %s", s.State.Name, s.PublicIpAddress)
	}
	c.sound()
}

// A crash between the halves of a reboot leaves nothing running on the host. The
// loop must leave that to the workflow, which goes on.
func TestAnInterruptedRebootGoesOn(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	halfway := make(chan struct{})
	c.driver.Config.Reboot = func(ctx context.Context, _ compute.Spec, h compute.Handle) (compute.Handle, error) {
		defer close(halfway)
		if err := c.driver.RealStop(ctx, h, false); err != nil {
			return h, err
		}
		<-ctx.Done()
		return h, ctx.Err()
	}
	must(c.RebootInstances(c.ctx, &api.RebootInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.until("the first half is done", func() bool {
		st, err := c.driver.Describe(c.ctx, compute.Handle{ID: i.InstanceId})
		return err == nil && st.State == compute.Stopped
	})
	c.Service.Stop()
	c.engine.Stop()
	<-halfway
	c.driver.Config.Reboot = nil
	c.boot("boot-1")
	c.until("it runs again", func() bool {
		st, err := c.driver.Describe(c.ctx, compute.Handle{ID: i.InstanceId})
		return err == nil && st.State == compute.Running
	})
	got := c.describe(i.InstanceId)
	if got.State.Name != "running" || got.StateReason != nil {
		t.Errorf("the record says %s, %+v", got.State.Name, got.StateReason)
	}
	c.sound()
}

func TestInstancesThatEndByThemselves(t *testing.T) {
	for behaviour, want := range map[string]state{"stop": stopped, "terminate": terminated} {
		t.Run(behaviour, func(t *testing.T) {
			c := newCloud(t)
			i := c.run(func(in *api.RunInstancesInput) { in.InstanceInitiatedShutdownBehavior = behaviour })
			c.driver.Kill(i.InstanceId, 0)
			got := c.await(i.InstanceId, want)
			if got.StateReason == nil || got.StateReason.Code != "Client.InstanceInitiatedShutdown" {
				t.Errorf("reason %+v", got.StateReason)
			}
			c.sound()
		})
	}
}

func TestARestartOfSlipwayLeavesInstancesAlone(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	c.restart("boot-1")
	c.await(i.InstanceId, running)
	text, err := c.driver.Console(c.ctx, compute.Handle{ID: i.InstanceId})
	if err != nil || strings.Contains(string(text), "boot 2") {
		t.Errorf("console %q, %v", text, err)
	}
	c.sound()
}

func TestARestartOfTheHostStartsInstancesAgain(t *testing.T) {
	c := newCloud(t)
	i, still := c.run(), c.run()
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{still.InstanceId}}))(t)
	c.await(still.InstanceId, stopped)
	c.Service.Stop()
	c.engine.Stop()
	c.driver.Kill(i.InstanceId, 1) // as the host went down
	c.boot("boot-2")
	c.until("it runs again", func() bool {
		st, err := c.driver.Describe(c.ctx, compute.Handle{ID: i.InstanceId})
		return err == nil && st.State == compute.Running && c.describe(i.InstanceId).State.Name == "running"
	})
	if s := c.describe(still.InstanceId).State.Name; s != "stopped" {
		t.Errorf("the stopped instance is %s", s)
	}
	c.sound()
}

func TestOrphansAreRemovedAndLostInstancesEnd(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	c.Service.Stop()
	c.engine.Stop()
	if _, err := c.driver.Launch(c.ctx, compute.Spec{ID: "i-0000000000000dead"}); err != nil {
		t.Fatal(err)
	}
	if err := c.driver.Terminate(c.ctx, compute.Handle{ID: i.InstanceId}); err != nil {
		t.Fatal(err)
	}
	c.boot("boot-1")
	got := c.await(i.InstanceId, terminated)
	if got.StateReason.Code != "Server.InternalError" {
		t.Errorf("reason %+v", got.StateReason)
	}
	c.until("the orphan is gone", func() bool {
		hs, err := c.driver.List(c.ctx)
		return err == nil && len(hs) == 0
	})
	c.sound()
}

func TestTerminateOvertakesALaunch(t *testing.T) {
	c := newCloud(t)
	inside, release := make(chan struct{}), make(chan struct{})
	c.driver.Config.Launch = func(ctx context.Context, spec compute.Spec) (compute.Handle, error) {
		close(inside)
		<-release
		return c.driver.RealLaunch(ctx, spec)
	}
	out := must(c.RunInstances(c.ctx, request()))(t)
	id := out.Instances[0].InstanceId
	<-inside
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	close(release)
	c.await(id, terminated)
	c.sound()
}

func TestAttributes(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	small := strings.Replace(i.InstanceType, "micro", "small", 1)
	change := &api.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, InstanceType: &api.AttributeValue{Value: small}}
	_, err := c.ModifyInstanceAttribute(c.ctx, change)
	wantFault(t, err, fault.IncorrectInstanceState, "The instance '"+i.InstanceId+"' is not in the 'stopped' state.")
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, stopped)
	must(c.ModifyInstanceAttribute(c.ctx, change))(t)
	must(c.ModifyInstanceAttribute(c.ctx, &api.ModifyInstanceAttributeInput{InstanceId: i.InstanceId, UserData: &api.BlobAttributeValue{Value: []byte("x")}}))(t)
	got := must(c.DescribeInstanceAttribute(c.ctx, &api.DescribeInstanceAttributeInput{InstanceId: i.InstanceId, Attribute: "userData"}))(t)
	if got.UserData.Value != "eA==" || c.describe(i.InstanceId).InstanceType != small {
		t.Errorf("user data %q", got.UserData.Value)
	}
	_, err = c.ModifyInstanceAttribute(c.ctx, &api.ModifyInstanceAttributeInput{
		InstanceId: i.InstanceId, EbsOptimized: &api.AttributeBooleanValue{Value: ptr(true)}, InstanceType: &api.AttributeValue{Value: small},
	})
	wantFault(t, err, fault.InvalidParameterCombination, "")
}

func TestInstanceStatus(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	out := must(c.DescribeInstanceStatus(c.ctx, &api.DescribeInstanceStatusInput{}))(t)
	if s := out.InstanceStatuses[0]; s.InstanceId != i.InstanceId || s.InstanceStatus.Status != "ok" || s.InstanceStatus.Details[0].Status != "passed" {
		t.Errorf("got %+v", s)
	}
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, stopped)
	if out := must(c.DescribeInstanceStatus(c.ctx, &api.DescribeInstanceStatusInput{}))(t); len(out.InstanceStatuses) != 0 {
		t.Errorf("a stopped instance is listed")
	}
	out = must(c.DescribeInstanceStatus(c.ctx, &api.DescribeInstanceStatusInput{IncludeAllInstances: ptr(true)}))(t)
	if s := out.InstanceStatuses[0]; s.InstanceStatus.Status != "not-applicable" || s.InstanceState.Name != "stopped" {
		t.Errorf("got %+v", s)
	}
}
