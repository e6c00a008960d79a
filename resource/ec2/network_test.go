package ec2

import (
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn"
)

// A VPC as templates write it: made, read, changed and taken down, each step
// twice as after a crash.
func TestNetworks(t *testing.T) {
	f := newFixture(t)
	vpcProps := cfn.Properties{"CidrBlock": "10.0.0.0/16", "EnableDnsHostnames": true, "EnableDnsSupport": true}
	v := f.create("VPC", vpcProps)
	if group, _ := v.Attributes["DefaultSecurityGroup"].(string); !strings.HasPrefix(group, "sg-") || v.Attributes["CidrBlock"] != "10.0.0.0/16" {
		t.Errorf("attributes of the VPC: %v", v.Attributes)
	}
	if acl, _ := v.Attributes["DefaultNetworkAcl"].(string); !strings.HasPrefix(acl, "acl-") {
		t.Errorf("default network ACL %q", acl)
	}
	if got := f.read("VPC", v.PhysicalID); got["EnableDnsHostnames"] != true {
		t.Errorf("the VPC reads as %v", got)
	}
	f.update("VPC", v.PhysicalID, vpcProps, cfn.Properties{"CidrBlock": "10.0.0.0/16", "EnableDnsHostnames": false})
	if got := f.read("VPC", v.PhysicalID); got["EnableDnsHostnames"] != false {
		t.Errorf("the changed VPC reads as %v", got)
	}
	subProps := cfn.Properties{"VpcId": v.PhysicalID, "CidrBlock": "10.0.1.0/24", "MapPublicIpOnLaunch": true}
	sub := f.create("Subnet", subProps)
	if got := f.read("Subnet", sub.PhysicalID); got["MapPublicIpOnLaunch"] != true || got["VpcId"] != v.PhysicalID {
		t.Errorf("the subnet reads as %v", got)
	}
	gate := f.create("InternetGateway", cfn.Properties{})
	attachment := f.create("VPCGatewayAttachment", cfn.Properties{"VpcId": v.PhysicalID, "InternetGatewayId": gate.PhysicalID})
	if attachment.PhysicalID != "IGW|"+v.PhysicalID {
		t.Errorf("attachment %s", attachment.PhysicalID)
	}
	table := f.create("RouteTable", cfn.Properties{"VpcId": v.PhysicalID})
	routeProps := cfn.Properties{"RouteTableId": table.PhysicalID, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gate.PhysicalID}
	route := f.create("Route", routeProps)
	if route.PhysicalID != table.PhysicalID+"|0.0.0.0/0" {
		t.Errorf("route %s", route.PhysicalID)
	}
	association := f.create("SubnetRouteTableAssociation", cfn.Properties{"RouteTableId": table.PhysicalID, "SubnetId": sub.PhysicalID})
	eip := f.create("EIP", cfn.Properties{"Domain": "vpc"})
	nat := f.create("NatGateway", cfn.Properties{"SubnetId": sub.PhysicalID, "AllocationId": eip.Attributes["AllocationId"]})
	private := f.create("RouteTable", cfn.Properties{"VpcId": v.PhysicalID})
	out := cfn.Properties{"RouteTableId": private.PhysicalID, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat.PhysicalID}
	way := f.create("Route", out)
	f.update("Route", way.PhysicalID, out, cfn.Properties{"RouteTableId": private.PhysicalID, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gate.PhysicalID})
	if got := f.read("Route", way.PhysicalID); got["GatewayId"] != gate.PhysicalID || got["NatGatewayId"] != nil {
		t.Errorf("the replaced route reads as %v", got)
	}
	moved := f.create("SubnetRouteTableAssociation", cfn.Properties{"RouteTableId": private.PhysicalID, "SubnetId": sub.PhysicalID})
	if got := f.read("SubnetRouteTableAssociation", moved.PhysicalID); got["RouteTableId"] != private.PhysicalID {
		t.Errorf("the association reads as %v", got)
	}
	f.sound()
	f.delete("SubnetRouteTableAssociation", association.PhysicalID) // its successor has its place
	f.delete("SubnetRouteTableAssociation", moved.PhysicalID)
	f.delete("Route", way.PhysicalID)
	f.delete("Route", route.PhysicalID)
	f.delete("NatGateway", nat.PhysicalID)
	f.delete("EIP", eip.PhysicalID)
	f.delete("RouteTable", private.PhysicalID)
	f.delete("RouteTable", table.PhysicalID)
	f.delete("VPCGatewayAttachment", attachment.PhysicalID)
	f.delete("InternetGateway", gate.PhysicalID)
	f.delete("Subnet", sub.PhysicalID)
	f.delete("VPC", v.PhysicalID)
	f.sound()
}
