package ec2

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/workflow"
)

// holds says which instance has an address on the host.
func (c *cloud) holds(ip string) string { return c.driver.Holder(netip.MustParseAddr(ip)) }

func TestAnElasticIPMoves(t *testing.T) {
	c := newCloud(t)
	a, b := c.run(), c.run()
	if c.holds(a.PublicIpAddress) != a.InstanceId {
		t.Errorf("the automatic address %s is on %q", a.PublicIpAddress, c.holds(a.PublicIpAddress))
	}
	eip := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{Domain: "vpc"}))(t)
	on := func(id string) *api.AssociateAddressInput {
		return &api.AssociateAddressInput{AllocationId: eip.AllocationId, InstanceId: id}
	}
	first := must(c.AssociateAddress(c.ctx, on(a.InstanceId)))(t)
	if c.holds(eip.PublicIp) != a.InstanceId || c.describe(a.InstanceId).PublicIpAddress != eip.PublicIp {
		t.Errorf("the elastic IP is on %q", c.holds(eip.PublicIp))
	}
	if c.holds(a.PublicIpAddress) != "" {
		t.Errorf("the automatic address is still on %q", c.holds(a.PublicIpAddress))
	}
	again := must(c.AssociateAddress(c.ctx, on(a.InstanceId)))(t)
	if again.AssociationId != first.AssociationId {
		t.Errorf("the same association twice has ids %s and %s", first.AssociationId, again.AssociationId)
	}
	keep := on(b.InstanceId)
	keep.AllowReassociation = ptr(false)
	_, err := c.AssociateAddress(c.ctx, keep)
	wantFault(t, err, fault.ResourceAlreadyAssociated, "resource "+eip.AllocationId+" is already associated with associate-id "+first.AssociationId)

	second := must(c.AssociateAddress(c.ctx, on(b.InstanceId)))(t)
	if c.holds(eip.PublicIp) != b.InstanceId {
		t.Errorf("after the move the elastic IP is on %q", c.holds(eip.PublicIp))
	}
	if back := c.describe(a.InstanceId).PublicIpAddress; back == "" || back == eip.PublicIp || c.holds(back) != a.InstanceId {
		t.Errorf("the first instance has public address %q", back)
	}
	_, err = c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: eip.AllocationId})
	wantFault(t, err, fault.InvalidIPAddressInUse, "Address "+eip.PublicIp+" is in use.")
	c.sound()

	must(c.DisassociateAddress(c.ctx, &api.DisassociateAddressInput{AssociationId: second.AssociationId}))(t)
	if c.holds(eip.PublicIp) != "" {
		t.Errorf("the elastic IP is still on %q", c.holds(eip.PublicIp))
	}
	_, err = c.DisassociateAddress(c.ctx, &api.DisassociateAddressInput{AssociationId: second.AssociationId})
	wantFault(t, err, fault.InvalidAssociationIDNotFound, "The association ID '"+second.AssociationId+"' does not exist")
	must(c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: eip.AllocationId}))(t)
	_, err = c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: eip.AllocationId})
	wantFault(t, err, fault.InvalidAllocationIDNotFound, "The allocation ID '"+eip.AllocationId+"' does not exist")
	c.sound()
}

func TestAnElasticIPOutlivesStopAndEndsWithTheInstance(t *testing.T) {
	c := newCloud(t)
	i := c.run()
	eip := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
	must(c.AssociateAddress(c.ctx, &api.AssociateAddressInput{PublicIp: eip.PublicIp, InstanceId: i.InstanceId}))(t)
	ids := []string{i.InstanceId}
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: ids}))(t)
	if got := c.await(i.InstanceId, stopped); got.PublicIpAddress != eip.PublicIp || c.holds(eip.PublicIp) != "" {
		t.Errorf("stopped: record %q, host %q", got.PublicIpAddress, c.holds(eip.PublicIp))
	}
	must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: ids}))(t)
	if c.await(i.InstanceId, running); c.holds(eip.PublicIp) != i.InstanceId {
		t.Errorf("started: the elastic IP is on %q", c.holds(eip.PublicIp))
	}
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: ids}))(t)
	c.await(i.InstanceId, terminated)
	out := must(c.DescribeAddresses(c.ctx, &api.DescribeAddressesInput{AllocationIds: []string{eip.AllocationId}}))(t)
	if a := out.Addresses[0]; a.AssociationId != "" || a.InstanceId != "" {
		t.Errorf("still associated: %+v", a)
	}
	c.sound()
}

// A move that the host refuses is told as failed, and made up for: the records
// say where the address is.
func TestAFailedMoveIsMadeUpFor(t *testing.T) {
	c := newCloud(t)
	eip := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
	var refused atomic.Bool
	placed := make(chan struct{})
	c.driver.Config.AssignAddress = func(ctx context.Context, h compute.Handle, ip, private netip.Addr) error {
		if ip.String() != eip.PublicIp {
			return c.driver.RealAssignAddress(ctx, h, ip, private)
		}
		if refused.CompareAndSwap(false, true) {
			return workflow.Permanent(errors.New("no cable"))
		}
		defer close(placed)
		return c.driver.RealAssignAddress(ctx, h, ip, private)
	}
	i := c.run()
	_, err := c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: eip.AllocationId, InstanceId: i.InstanceId})
	if err == nil {
		t.Error("the association was told as made")
	}
	<-placed
	if c.holds(eip.PublicIp) != i.InstanceId {
		t.Errorf("the elastic IP is on %q", c.holds(eip.PublicIp))
	}
}

func TestAllocateAddress(t *testing.T) {
	c := newCloud(t)
	step := auth.WithToken(c.ctx, "stack/Address/create")
	one := must(c.AllocateAddress(step, &api.AllocateAddressInput{}))(t)
	two := must(c.AllocateAddress(step, &api.AllocateAddressInput{}))(t)
	if one.PublicIp != two.PublicIp || one.AllocationId != two.AllocationId {
		t.Errorf("a repeated step took %s and %s", one.PublicIp, two.PublicIp)
	}
	_, err := c.AllocateAddress(c.ctx, &api.AllocateAddressInput{Address: one.PublicIp})
	wantFault(t, err, fault.InvalidAddressNotFound, "")
	must(c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: one.AllocationId}))(t)
	back := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{Address: one.PublicIp}))(t)
	if back.PublicIp != one.PublicIp {
		t.Errorf("asked for %s, got %s", one.PublicIp, back.PublicIp)
	}
	_, err = c.AllocateAddress(c.ctx, &api.AllocateAddressInput{IpamPoolId: "ipam-pool-1"})
	wantFault(t, err, fault.NotImplemented, "")
	_, err = c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: back.AllocationId})
	wantFault(t, err, fault.MissingParameter, "")
	c.sound()
}
