package ec2

import (
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// refused tells the code and the words of an action that is refused.
func (f *fixture) refused(kind, says string, before, p cfn.Properties, id string) {
	f.t.Helper()
	ctx, r := f.request(p)
	r.Prior, r.PhysicalID = before, id
	var err error
	if id == "" {
		_, err = f.kind(kind).Create(ctx, r)
	} else {
		_, err = f.kind(kind).Update(ctx, r)
	}
	if !fault.Is(err, fault.NotImplemented) || !strings.Contains(err.Error(), says) {
		f.t.Errorf("%s: got %v, want NotImplemented with %q", kind, err, says)
	}
}

func TestNetworkInterface(t *testing.T) {
	f := newFixture(t)
	v := f.create("VPC", cfn.Properties{"CidrBlock": "10.0.0.0/16"})
	sub := f.create("Subnet", cfn.Properties{"VpcId": v.PhysicalID, "CidrBlock": "10.0.1.0/24"})
	group := f.create("SecurityGroup", cfn.Properties{"GroupDescription": "web", "VpcId": v.PhysicalID})
	before := cfn.Properties{
		"SubnetId": sub.PhysicalID, "Description": "one", "SecondaryPrivateIpAddressCount": 1, "PrivateIpAddress": "10.0.1.10",
		"GroupSet": []any{group.Attributes["GroupId"]},
	}
	made := f.create("NetworkInterface", before)
	if others, _ := made.Attributes["SecondaryPrivateIpAddresses"].([]any); made.Attributes["PrimaryPrivateIpAddress"] != "10.0.1.10" || len(others) != 1 || made.Attributes["VpcId"] != v.PhysicalID {
		t.Errorf("attributes %v", made.Attributes)
	}
	if got := f.read("NetworkInterface", made.PhysicalID); got["Description"] != "one" || len(got["PrivateIpAddresses"].([]any)) != 2 {
		t.Errorf("reads as %v", got)
	}
	after := cfn.Properties{"SubnetId": sub.PhysicalID, "Description": "two", "SecondaryPrivateIpAddressCount": 1, "PrivateIpAddress": "10.0.1.10"}
	f.update("NetworkInterface", made.PhysicalID, before, after)
	if got := f.read("NetworkInterface", made.PhysicalID); got["Description"] != "two" || len(got["GroupSet"].([]any)) != 1 || got["GroupSet"].([]any)[0] != v.Attributes["DefaultSecurityGroup"] {
		t.Errorf("the changed one reads as %v", got)
	}
	f.refused("NetworkInterface", "secondary addresses", after, cfn.Properties{"SubnetId": sub.PhysicalID, "SecondaryPrivateIpAddressCount": 2}, made.PhysicalID)
	f.refused("NetworkInterface", "SourceDestCheck", nil, cfn.Properties{"SubnetId": sub.PhysicalID, "SourceDestCheck": false}, "")

	box := f.create("Instance", instance(cfn.Properties{"SubnetId": sub.PhysicalID}))
	at := cfn.Properties{"DeviceIndex": "1", "InstanceId": box.PhysicalID, "NetworkInterfaceId": made.PhysicalID}
	attachment := f.create("NetworkInterfaceAttachment", at)
	if got := f.read("NetworkInterfaceAttachment", attachment.PhysicalID); got["DeviceIndex"] != "1" || got["DeleteOnTermination"] != true {
		t.Errorf("the attachment reads as %v", got)
	}
	f.update("NetworkInterfaceAttachment", attachment.PhysicalID, at, cfn.Properties{
		"DeviceIndex": "1", "InstanceId": box.PhysicalID, "NetworkInterfaceId": made.PhysicalID, "DeleteOnTermination": false,
	})
	if got := f.read("NetworkInterfaceAttachment", attachment.PhysicalID); got["DeleteOnTermination"] != false {
		t.Errorf("the changed attachment reads as %v", got)
	}
	f.sound()
	f.delete("NetworkInterfaceAttachment", attachment.PhysicalID)
	f.delete("NetworkInterface", made.PhysicalID)
	f.sound()
}

func TestInstanceWithInterfacesOfItsOwn(t *testing.T) {
	f := newFixture(t)
	v := f.create("VPC", cfn.Properties{"CidrBlock": "10.0.0.0/16"})
	sub := f.create("Subnet", cfn.Properties{"VpcId": v.PhysicalID, "CidrBlock": "10.0.1.0/24"})
	gate := f.create("InternetGateway", cfn.Properties{})
	f.create("VPCGatewayAttachment", cfn.Properties{"VpcId": v.PhysicalID, "InternetGatewayId": gate.PhysicalID})
	first := f.create("NetworkInterface", cfn.Properties{"SubnetId": sub.PhysicalID, "PrivateIpAddress": "10.0.1.10"})
	eip := f.create("EIP", cfn.Properties{"Domain": "vpc"})
	to := cfn.Properties{"AllocationId": eip.Attributes["AllocationId"], "NetworkInterfaceId": first.PhysicalID}
	association := f.create("EIPAssociation", to)
	box := f.create("Instance", instance(cfn.Properties{"NetworkInterfaces": []any{
		map[string]any{"DeviceIndex": "0", "NetworkInterfaceId": first.PhysicalID},
		map[string]any{"DeviceIndex": "1", "SubnetId": sub.PhysicalID, "PrivateIpAddresses": []any{
			map[string]any{"PrivateIpAddress": "10.0.1.20", "Primary": true}, map[string]any{"PrivateIpAddress": "10.0.1.21", "Primary": false},
		}},
	}}))
	if box.Attributes["PrivateIp"] != "10.0.1.10" || box.Attributes["PublicIp"] != eip.PhysicalID {
		t.Errorf("attributes %v", box.Attributes)
	}
	if got := f.read("EIPAssociation", association.PhysicalID); got["NetworkInterfaceId"] != first.PhysicalID || got["InstanceId"] != box.PhysicalID || got["PrivateIpAddress"] != "10.0.1.10" {
		t.Errorf("the association reads as %v", got)
	}
	f.sound()
	f.delete("Instance", box.PhysicalID)
	if got := f.read("EIPAssociation", association.PhysicalID); got["NetworkInterfaceId"] != first.PhysicalID || got["InstanceId"] != nil {
		t.Errorf("after the instance the association reads as %v", got)
	}
	f.delete("EIPAssociation", association.PhysicalID)
	f.delete("NetworkInterface", first.PhysicalID)
	f.sound()
}

func TestPeeringConnection(t *testing.T) {
	f := newFixture(t)
	a, b := f.create("VPC", cfn.Properties{"CidrBlock": "10.0.0.0/16"}), f.create("VPC", cfn.Properties{"CidrBlock": "10.1.0.0/16"})
	p := cfn.Properties{"VpcId": a.PhysicalID, "PeerVpcId": b.PhysicalID}
	made := f.create("VPCPeeringConnection", p)
	if got := f.read("VPCPeeringConnection", made.PhysicalID); got["PeerVpcId"] != b.PhysicalID || got["Id"] != made.PhysicalID {
		t.Errorf("reads as %v", got)
	}
	table := f.create("RouteTable", cfn.Properties{"VpcId": a.PhysicalID})
	route := f.create("Route", cfn.Properties{"RouteTableId": table.PhysicalID, "DestinationCidrBlock": "10.1.0.0/16", "VpcPeeringConnectionId": made.PhysicalID})
	f.update("VPCPeeringConnection", made.PhysicalID, p, cfn.Properties{
		"VpcId": a.PhysicalID, "PeerVpcId": b.PhysicalID, "Tags": []any{map[string]any{"Key": "Name", "Value": "both"}},
	})
	if got := f.read("VPCPeeringConnection", made.PhysicalID); len(got["Tags"].([]any)) != 1 {
		t.Errorf("the tagged one reads as %v", got)
	}
	f.delete("Route", route.PhysicalID)
	f.delete("VPCPeeringConnection", made.PhysicalID)
	f.sound()
}

func TestPrefixList(t *testing.T) {
	f := newFixture(t)
	entry := func(cidr, description string) map[string]any {
		return map[string]any{"Cidr": cidr, "Description": description}
	}
	before := cfn.Properties{"PrefixListName": "offices", "AddressFamily": "IPv4", "Entries": []any{entry("10.1.0.0/16", "a"), entry("10.2.0.0/16", "b")}}
	made := f.create("PrefixList", before)
	if arn, _ := made.Attributes["Arn"].(string); made.Attributes["Version"] != int64(1) || !strings.HasSuffix(arn, ":prefix-list/"+made.PhysicalID) {
		t.Errorf("attributes %v", made.Attributes)
	}
	after := cfn.Properties{"PrefixListName": "homes", "AddressFamily": "IPv4", "MaxEntries": 5, "Entries": []any{entry("10.2.0.0/16", "c"), entry("10.3.0.0/16", "d")}}
	if got := f.update("PrefixList", made.PhysicalID, before, after); got.Attributes["Version"] != int64(2) {
		t.Errorf("attributes after an update, three times: %v", got.Attributes)
	}
	got := f.read("PrefixList", made.PhysicalID)
	if list := got["Entries"].([]any); got["PrefixListName"] != "homes" || len(list) != 2 || list[0].(map[string]any)["Description"] != "c" {
		t.Errorf("reads as %v", got)
	}
	f.delete("PrefixList", made.PhysicalID)
	f.sound()
}
