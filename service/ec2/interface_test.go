package ec2

import (
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

func TestInterfacesAreAttachedToRunningInstances(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) {
		in.SubnetId = s.private
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "network-interface", Tags: []api.Tag{{Key: "Name", Value: "first"}}}}
	})
	in := &api.CreateNetworkInterfaceInput{SubnetId: s.private, PrivateIpAddress: "10.0.2.50", SecondaryPrivateIpAddressCount: ptr(int32(1)), ClientToken: "once", Description: "second"}
	eni := must(c.CreateNetworkInterface(c.ctx, in))(t).NetworkInterface
	again := must(c.CreateNetworkInterface(c.ctx, in))(t).NetworkInterface
	if eni.NetworkInterfaceId != again.NetworkInterfaceId || eni.Status != "available" || len(eni.PrivateIpAddresses) != 2 || eni.VpcId != s.vpc {
		t.Errorf("got %+v, then %+v", eni, again)
	}
	in.Description = "another"
	_, err := c.CreateNetworkInterface(c.ctx, in)
	wantFault(t, err, fault.IdempotentParameterMatch, "")
	attach := &api.AttachNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId, InstanceId: i.InstanceId, DeviceIndex: ptr(int32(1))}
	attachment := must(c.AttachNetworkInterface(c.ctx, attach))(t).AttachmentId
	got := c.driver.Interfaces(i.InstanceId)
	if len(got) != 1 || got[0].Index != 1 || got[0].Address.String() != "10.0.2.50" || got[0].Subnet.String() != "10.0.2.0/24" || len(got[0].Secondary) != 1 {
		t.Errorf("the host has %+v", got)
	}
	if lines := c.policyLines("endpoint 10.0.2.50"); len(lines) != 1 {
		t.Errorf("policy %q", lines)
	}
	if n := c.describe(i.InstanceId).NetworkInterfaces; len(n) != 2 || n[1].NetworkInterfaceId != eni.NetworkInterfaceId || n[1].Attachment.AttachmentId != attachment {
		t.Errorf("the instance has %+v", n)
	}
	_, err = c.AttachNetworkInterface(c.ctx, attach)
	wantFault(t, err, fault.InvalidParameterValue, "Interface: ["+eni.NetworkInterfaceId+"] in use.")
	_, err = c.DeleteNetworkInterface(c.ctx, &api.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId})
	wantFault(t, err, fault.InvalidParameterValue, "Network interface '"+eni.NetworkInterfaceId+"' is currently in use.")
	_, err = c.DetachNetworkInterface(c.ctx, &api.DetachNetworkInterfaceInput{AttachmentId: i.NetworkInterfaces[0].Attachment.AttachmentId})
	wantFault(t, err, fault.OperationNotPermitted, "The network interface at device index 0 cannot be detached.")
	c.sound()

	primary := i.NetworkInterfaces[0].NetworkInterfaceId
	assigned := must(c.AssignPrivateIpAddresses(c.ctx, &api.AssignPrivateIpAddressesInput{NetworkInterfaceId: primary, PrivateIpAddresses: []string{"10.0.2.60"}}))(t)
	if len(assigned.AssignedPrivateIpAddresses) != 1 {
		t.Errorf("assigned %+v", assigned)
	}
	if got := c.driver.Interfaces(i.InstanceId); len(got) != 2 || got[0].Index != 0 || got[0].Secondary[0].String() != "10.0.2.60" {
		t.Errorf("the host has %+v", got)
	}
	all := must(c.DescribeNetworkInterfaces(c.ctx, &api.DescribeNetworkInterfacesInput{Filters: []api.Filter{{Name: "addresses.private-ip-address", Values: []string{"10.0.2.60"}}}}))(t)
	if len(all.NetworkInterfaces) != 1 || all.NetworkInterfaces[0].NetworkInterfaceId != primary || all.NetworkInterfaces[0].TagSet[0].Value != "first" {
		t.Errorf("got %+v", all.NetworkInterfaces)
	}
	c.sound()
	must(c.UnassignPrivateIpAddresses(c.ctx, &api.UnassignPrivateIpAddressesInput{NetworkInterfaceId: primary, PrivateIpAddresses: []string{"10.0.2.60"}}))(t)
	must(c.DetachNetworkInterface(c.ctx, &api.DetachNetworkInterfaceInput{AttachmentId: attachment}))(t)
	if got := c.driver.Interfaces(i.InstanceId); len(got) != 0 {
		t.Errorf("the host still has %+v", got)
	}
	must(c.DeleteNetworkInterface(c.ctx, &api.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId}))(t)
	_, err = c.DescribeNetworkInterfaces(c.ctx, &api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eni.NetworkInterfaceId}})
	wantFault(t, err, fault.InvalidNetworkInterfaceNotFound, "")
	c.sound()
}

func TestSecondaryAddressesAtLaunch(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) {
		in.NetworkInterfaces = []api.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: ptr(int32(0)), SubnetId: s.private, PrivateIpAddresses: []api.PrivateIpAddressSpecification{
				{PrivateIpAddress: "10.0.2.20", Primary: ptr(true)}, {PrivateIpAddress: "10.0.2.21"},
			},
		}}
	})
	if got := i.NetworkInterfaces[0].PrivateIpAddresses; i.PrivateIpAddress != "10.0.2.20" || len(got) != 2 || got[1].PrivateIpAddress != "10.0.2.21" {
		t.Errorf("got %+v", got)
	}
	if got := c.driver.Interfaces(i.InstanceId); len(got) != 1 || got[0].Secondary[0].String() != "10.0.2.21" {
		t.Errorf("the host has %+v", got)
	}
	lonely := must(c.CreateVpc(c.ctx, &api.CreateVpcInput{CidrBlock: "10.2.0.0/16"}))(t).Vpc.VpcId
	sub := must(c.CreateSubnet(c.ctx, &api.CreateSubnetInput{VpcId: lonely, CidrBlock: "10.2.0.0/24"}))(t).Subnet.SubnetId
	shut := c.run(func(in *api.RunInstancesInput) { in.SubnetId = sub })
	eip := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t).AllocationId
	_, err := c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: eip, InstanceId: shut.InstanceId})
	wantFault(t, err, fault.GatewayNotAttached, "Network "+lonely+" is not attached to any internet gateway")
	c.sound()
}

func TestAnInstancesEndLetsItsInterfacesGo(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.private })
	var ids []string
	for n := range 2 {
		eni := must(c.CreateNetworkInterface(c.ctx, &api.CreateNetworkInterfaceInput{SubnetId: s.private}))(t).NetworkInterface.NetworkInterfaceId
		a := must(c.AttachNetworkInterface(c.ctx, &api.AttachNetworkInterfaceInput{NetworkInterfaceId: eni, InstanceId: i.InstanceId, DeviceIndex: ptr(int32(n + 1))}))(t)
		if n == 0 {
			must(c.ModifyNetworkInterfaceAttribute(c.ctx, &api.ModifyNetworkInterfaceAttributeInput{
				NetworkInterfaceId: eni, Attachment: &api.NetworkInterfaceAttachmentChanges{AttachmentId: a.AttachmentId, DeleteOnTermination: ptr(true)},
			}))(t)
		}
		ids = append(ids, eni)
	}
	c.restart("boot-1")
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, terminated)
	left := must(c.DescribeNetworkInterfaces(c.ctx, &api.DescribeNetworkInterfacesInput{}))(t).NetworkInterfaces
	if len(left) != 1 || left[0].NetworkInterfaceId != ids[1] || left[0].Status != "available" {
		t.Errorf("left %+v", left)
	}
	c.sound()
}

func TestPrefixListsActInRules(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.private })
	group := i.SecurityGroups[0].GroupId
	l := must(c.CreateManagedPrefixList(c.ctx, &api.CreateManagedPrefixListInput{
		PrefixListName: "offices", AddressFamily: "IPv4", MaxEntries: ptr(int32(2)), Entries: []api.AddPrefixListEntry{{Cidr: "192.0.2.0/24"}},
	}))(t).PrefixList
	must(c.AuthorizeSecurityGroupIngress(c.ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: []api.IpPermission{
		{IpProtocol: "-1", PrefixListIds: []api.PrefixListId{{PrefixListId: l.PrefixListId}}},
	}}))(t)
	in := "group " + group + " in all "
	if got := c.policyLines(in + "192"); len(got) != 1 || got[0] != in+"192.0.2.0/24" {
		t.Errorf("got %q", got)
	}
	must(c.ModifyManagedPrefixList(c.ctx, &api.ModifyManagedPrefixListInput{PrefixListId: l.PrefixListId, CurrentVersion: ptr(int64(1)), AddEntries: []api.AddPrefixListEntry{{Cidr: "198.51.100.0/24"}}}))(t)
	if got := c.policyLines(in + "192"); got[0] != in+"192.0.2.0/24,198.51.100.0/24" {
		t.Errorf("got %q", got)
	}
	old := must(c.GetManagedPrefixListEntries(c.ctx, &api.GetManagedPrefixListEntriesInput{PrefixListId: l.PrefixListId, TargetVersion: ptr(int64(1))}))(t)
	if len(old.Entries) != 1 {
		t.Errorf("version 1 has %+v", old.Entries)
	}
	_, err := c.ModifyManagedPrefixList(c.ctx, &api.ModifyManagedPrefixListInput{PrefixListId: l.PrefixListId, CurrentVersion: ptr(int64(1)), AddEntries: []api.AddPrefixListEntry{{Cidr: "10.0.0.0/8"}}})
	wantFault(t, err, fault.PrefixListVersionMismatch, "")
	_, err = c.DeleteManagedPrefixList(c.ctx, &api.DeleteManagedPrefixListInput{PrefixListId: l.PrefixListId})
	wantFault(t, err, fault.DependencyViolation, "")
}
