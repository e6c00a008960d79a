package ec2

import (
	"net/netip"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func (c *cloud) eni(t *testing.T, subnet, address string) string {
	t.Helper()
	return must(c.CreateNetworkInterface(c.ctx, &api.CreateNetworkInterfaceInput{SubnetId: subnet, PrivateIpAddress: address, Description: "made before"}))(t).NetworkInterface.NetworkInterfaceId
}

func (c *cloud) interfaceOf(t *testing.T, id string) api.NetworkInterface {
	t.Helper()
	return must(c.DescribeNetworkInterfaces(c.ctx, &api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}))(t).NetworkInterfaces[0]
}

func (c *cloud) endOf(t *testing.T, id string) {
	t.Helper()
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
	c.await(id, terminated)
}

func TestAReadyMadeInterfaceIsAnInstancesFirst(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	group := must(c.CreateSecurityGroup(c.ctx, &api.CreateSecurityGroupInput{GroupName: "web", Description: "web", VpcId: s.vpc}))(t).GroupId
	first := c.eni(t, s.public, "10.0.1.40")
	must(c.ModifyNetworkInterfaceAttribute(c.ctx, &api.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: first, Groups: []string{group}}))(t)
	must(c.CreateTags(c.ctx, &api.CreateTagsInput{Resources: []string{first}, Tags: []api.Tag{{Key: "Name", Value: "kept"}}}))(t)
	eip := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
	must(c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: eip.AllocationId, NetworkInterfaceId: first}))(t)
	c.sound()
	named := func(in *api.RunInstancesInput) {
		in.NetworkInterfaces = []api.InstanceNetworkInterfaceSpecification{{DeviceIndex: ptr(int32(0)), NetworkInterfaceId: first}}
	}
	i := c.run(named)
	n := i.NetworkInterfaces[0]
	if i.PrivateIpAddress != "10.0.1.40" || i.PublicIpAddress != eip.PublicIp || i.SubnetId != s.public || n.NetworkInterfaceId != first ||
		*n.Attachment.DeleteOnTermination || i.SecurityGroups[0].GroupId != group || n.Description != "made before" {
		t.Errorf("the instance is %+v", i)
	}
	if got := c.driver.Holder(netip.MustParseAddr(eip.PublicIp)); got != i.InstanceId {
		t.Errorf("the elastic IP is on %q", got)
	}
	if got := c.interfaceOf(t, first); got.Status != "in-use" || len(got.TagSet) != 1 || got.Association.AllocationId != eip.AllocationId {
		t.Errorf("the interface is %+v", got)
	}
	c.sound()
	in := request()
	named(in)
	_, err := c.RunInstances(c.ctx, in)
	wantFault(t, err, fault.InvalidNetworkInterfaceInUse, "Interface: ["+first+"] in use.")

	c.endOf(t, i.InstanceId)
	left := c.interfaceOf(t, first)
	if left.Status != "available" || left.PrivateIpAddress != "10.0.1.40" || left.Groups[0].GroupId != group || len(left.TagSet) != 1 || left.Association.AllocationId != eip.AllocationId {
		t.Errorf("left is %+v", left)
	}
	if got := c.driver.Holder(netip.MustParseAddr(eip.PublicIp)); got != "" {
		t.Errorf("the elastic IP is still on %q", got)
	}
	c.sound()
	again := c.run(named)
	if again.PublicIpAddress != eip.PublicIp {
		t.Errorf("the next instance has %q", again.PublicIpAddress)
	}
	must(c.ModifyNetworkInterfaceAttribute(c.ctx, &api.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: first, Attachment: &api.NetworkInterfaceAttachmentChanges{AttachmentId: again.NetworkInterfaces[0].Attachment.AttachmentId, DeleteOnTermination: ptr(true)},
	}))(t)
	c.endOf(t, again.InstanceId)
	_, err = c.DescribeNetworkInterfaces(c.ctx, &api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{first}})
	wantFault(t, err, fault.InvalidNetworkInterfaceNotFound, "")
	must(c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: eip.AllocationId}))(t)
	c.sound()
}

func TestSeveralInterfacesAtLaunch(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	near := must(c.CreateSubnet(c.ctx, &api.CreateSubnetInput{VpcId: s.vpc, CidrBlock: "10.0.3.0/24"}))(t).Subnet.SubnetId
	ready := c.eni(t, s.private, "10.0.2.50")
	i := c.run(func(in *api.RunInstancesInput) {
		in.ClientToken = "once"
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "network-interface", Tags: []api.Tag{{Key: "made", Value: "here"}}}}
		in.NetworkInterfaces = []api.InstanceNetworkInterfaceSpecification{
			{DeviceIndex: ptr(int32(2)), NetworkInterfaceId: ready},
			{DeviceIndex: ptr(int32(1)), SubnetId: near, SecondaryPrivateIpAddressCount: ptr(int32(1)), Description: "second"},
			{DeviceIndex: ptr(int32(3)), SubnetId: near, DeleteOnTermination: ptr(false), PrivateIpAddress: "10.0.3.77"},
			{DeviceIndex: ptr(int32(0)), SubnetId: s.private, DeleteOnTermination: ptr(false)},
		}
	})
	if len(i.NetworkInterfaces) != 4 || i.SubnetId != s.private {
		t.Fatalf("the instance has %+v", i.NetworkInterfaces)
	}
	for n, want := range []struct {
		subnet, id, address string
		end                 bool
		tags                int
	}{{s.private, "", "", false, 1}, {near, "", "", true, 1}, {s.private, ready, "10.0.2.50", false, 0}, {near, "", "10.0.3.77", false, 1}} {
		got := i.NetworkInterfaces[n]
		if *got.Attachment.DeviceIndex != int32(n) || got.SubnetId != want.subnet || *got.Attachment.DeleteOnTermination != want.end ||
			want.id != "" && got.NetworkInterfaceId != want.id || want.address != "" && got.PrivateIpAddress != want.address {
			t.Errorf("interface %d is %+v", n, got)
		}
		if tags := c.interfaceOf(t, got.NetworkInterfaceId).TagSet; len(tags) != want.tags {
			t.Errorf("interface %d has the tags %+v", n, tags)
		}
	}
	if got := c.driver.Interfaces(i.InstanceId); len(got) != 3 || got[0].Index != 1 || len(got[0].Secondary) != 1 {
		t.Errorf("the host has %+v", got)
	}
	c.sound()
	c.endOf(t, i.InstanceId)
	left := must(c.DescribeNetworkInterfaces(c.ctx, &api.DescribeNetworkInterfacesInput{}))(t).NetworkInterfaces
	if len(left) != 3 {
		t.Errorf("left %+v", left)
	}
	for _, l := range left {
		if l.Status != "available" || l.NetworkInterfaceId == i.NetworkInterfaces[1].NetworkInterfaceId {
			t.Errorf("left %+v", l)
		}
		must(c.DeleteNetworkInterface(c.ctx, &api.DeleteNetworkInterfaceInput{NetworkInterfaceId: l.NetworkInterfaceId}))(t)
	}
	c.sound()
}

func TestInterfacesThatALaunchRefuses(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	far := c.eni(t, s.public, "")
	zero, one := ptr(int32(0)), ptr(int32(1))
	type specs = []api.InstanceNetworkInterfaceSpecification
	for name, test := range map[string]struct {
		specs   specs
		code    string
		message string
		count   int32
	}{
		"no index":       {specs{{SubnetId: s.private}}, fault.MissingParameter, "Each network interface requires a device index.", 1},
		"one index":      {specs{{DeviceIndex: zero, SubnetId: s.private}, {DeviceIndex: zero, SubnetId: s.private}}, fault.InvalidParameterCombination, "", 1},
		"no first":       {specs{{DeviceIndex: one, SubnetId: s.private}}, fault.InvalidParameterCombination, "", 1},
		"public of two":  {specs{{DeviceIndex: zero, AssociatePublicIpAddress: ptr(true)}, {DeviceIndex: one}}, fault.InvalidParameterCombination, "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.", 1},
		"public of old":  {specs{{DeviceIndex: zero, NetworkInterfaceId: far, AssociatePublicIpAddress: ptr(true)}}, fault.InvalidParameterCombination, "", 1},
		"old with place": {specs{{DeviceIndex: zero, NetworkInterfaceId: far, SubnetId: s.public}}, fault.InvalidParameterCombination, "", 1},
		"old, twice":     {specs{{DeviceIndex: zero, NetworkInterfaceId: far}}, fault.InvalidParameterCombination, "", 2},
		"other zone":     {specs{{DeviceIndex: zero, SubnetId: s.private}, {DeviceIndex: one, NetworkInterfaceId: far}}, fault.InvalidParameterCombination, "You may not attach a network interface to an instance if they are not in the same availability zone", 1},
		"none such":      {specs{{DeviceIndex: zero, NetworkInterfaceId: "eni-0123456789abcdef0"}}, fault.InvalidNetworkInterfaceNotFound, "", 1},
		"twice the same": {specs{{DeviceIndex: zero, NetworkInterfaceId: far}, {DeviceIndex: one, NetworkInterfaceId: far}}, fault.InvalidNetworkInterfaceNotFound, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			in := request()
			in.NetworkInterfaces, in.MaxCount = test.specs, &test.count
			_, err := c.RunInstances(c.ctx, in)
			if name == "twice the same" {
				if _, refused := fault.As(err); !refused {
					t.Errorf("got %v", err)
				}
				return
			}
			wantFault(t, err, test.code, test.message)
		})
	}
	c.sound()
}

func TestElasticIPsOfFurtherInterfacesAndAddresses(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.public; in.PrivateIpAddress = "10.0.1.9" })
	primary := i.NetworkInterfaces[0].NetworkInterfaceId
	must(c.AssignPrivateIpAddresses(c.ctx, &api.AssignPrivateIpAddressesInput{NetworkInterfaceId: primary, PrivateIpAddresses: []string{"10.0.1.10"}}))(t)
	eni := c.eni(t, s.public, "10.0.1.50")
	var ids, ips []string
	for range 3 {
		a := must(c.AllocateAddress(c.ctx, &api.AllocateAddressInput{}))(t)
		ids, ips = append(ids, a.AllocationId), append(ips, a.PublicIp)
	}
	ip := func(n int) netip.Addr { return netip.MustParseAddr(ips[n]) }
	associate := func(n int, iface, private string) string {
		t.Helper()
		return must(c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: ids[n], NetworkInterfaceId: iface, PrivateIpAddress: private}))(t).AssociationId
	}
	second := associate(0, primary, "10.0.1.10")
	associate(1, eni, "")
	if c.driver.Behind(ip(0)).String() != "10.0.1.10" || c.driver.Holder(ip(1)) != "" {
		t.Errorf("on the host: %s behind, holder %q", c.driver.Behind(ip(0)), c.driver.Holder(ip(1)))
	}
	if got := c.describe(i.InstanceId); got.PublicIpAddress != i.PublicIpAddress || got.NetworkInterfaces[0].PrivateIpAddresses[1].Association.PublicIp != ips[0] {
		t.Errorf("the instance has %+v", got)
	}
	attachment := must(c.AttachNetworkInterface(c.ctx, &api.AttachNetworkInterfaceInput{NetworkInterfaceId: eni, InstanceId: i.InstanceId, DeviceIndex: ptr(int32(1))}))(t).AttachmentId
	if c.driver.Holder(ip(1)) != i.InstanceId || c.driver.Behind(ip(1)).String() != "10.0.1.50" {
		t.Errorf("after it was attached: %q for %s", c.driver.Holder(ip(1)), c.driver.Behind(ip(1)))
	}
	if lines := c.policyLines("endpoint 10.0.1.50 in " + s.vpc + " by " + s.table + " public " + ips[1]); len(lines) != 1 {
		t.Errorf("policy %q", c.policyLines("endpoint"))
	}
	at := must(c.DescribeAddresses(c.ctx, &api.DescribeAddressesInput{Filters: []api.Filter{{Name: "instance-id", Values: []string{i.InstanceId}}}}))(t).Addresses
	if len(at) != 2 || at[1].SubnetId != s.public {
		t.Errorf("addresses of the instance: %+v", at)
	}
	_, err := c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: ids[2], InstanceId: i.InstanceId})
	wantFault(t, err, fault.InvalidInstanceID, "There are multiple interfaces attached to instance '"+i.InstanceId+"'. Please specify an interface ID for the operation instead.")
	_, err = c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: ids[2], NetworkInterfaceId: eni, AllowReassociation: ptr(false)})
	wantFault(t, err, fault.ResourceAlreadyAssociated, "")
	_, err = c.AssociateAddress(c.ctx, &api.AssociateAddressInput{AllocationId: ids[2], NetworkInterfaceId: eni, PrivateIpAddress: "10.0.1.99"})
	wantFault(t, err, fault.InvalidParameterValue, "The private IP address '10.0.1.99' is not assigned to the network interface '"+eni+"'")
	c.sound()
	associate(2, eni, "") // in place of the one that is there
	if c.driver.Holder(ip(1)) != "" || c.driver.Holder(ip(2)) != i.InstanceId {
		t.Errorf("after another took its place: %q, %q", c.driver.Holder(ip(1)), c.driver.Holder(ip(2)))
	}
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, stopped)
	must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, running)
	if c.driver.Holder(ip(0)) != i.InstanceId || c.driver.Holder(ip(2)) != i.InstanceId {
		t.Errorf("after a start: %q, %q", c.driver.Holder(ip(0)), c.driver.Holder(ip(2)))
	}
	must(c.DetachNetworkInterface(c.ctx, &api.DetachNetworkInterfaceInput{AttachmentId: attachment}))(t)
	if got := c.driver.Holder(ip(2)); got != "" {
		t.Errorf("after it was detached: %q", got)
	}
	must(c.UnassignPrivateIpAddresses(c.ctx, &api.UnassignPrivateIpAddressesInput{NetworkInterfaceId: primary, PrivateIpAddresses: []string{"10.0.1.10"}}))(t)
	_, err = c.DisassociateAddress(c.ctx, &api.DisassociateAddressInput{AssociationId: second})
	wantFault(t, err, fault.InvalidAssociationIDNotFound, "")
	must(c.DeleteNetworkInterface(c.ctx, &api.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni}))(t)
	for _, id := range ids {
		must(c.ReleaseAddress(c.ctx, &api.ReleaseAddressInput{AllocationId: id}))(t)
	}
	c.sound()
	if err := c.store.View(c.ctx, func(tx store.Tx) error { _, err := c.networkInterfaces(tx, testScope); return err }); err != nil {
		t.Error(err)
	}
}
