package ec2

import (
	"testing"

	"github.com/slipway/slipway/cfn"
)

func TestNetworkACL(t *testing.T) {
	f := newFixture(t)
	v := f.create("VPC", cfn.Properties{"CidrBlock": "10.0.0.0/16"})
	sub := f.create("Subnet", cfn.Properties{"VpcId": v.PhysicalID, "CidrBlock": "10.0.1.0/24"})
	before := cfn.Properties{"VpcId": v.PhysicalID}
	acl := f.create("NetworkAcl", before)
	f.update("NetworkAcl", acl.PhysicalID, before, cfn.Properties{"VpcId": v.PhysicalID, "Tags": []any{map[string]any{"Key": "Name", "Value": "web"}}})
	if got := f.read("NetworkAcl", acl.PhysicalID); got["Id"] != acl.PhysicalID || len(got["Tags"].([]any)) != 1 {
		t.Errorf("reads as %v", got)
	}
	rule := func(action string, port int) cfn.Properties {
		return cfn.Properties{
			"NetworkAclId": acl.PhysicalID, "RuleNumber": 100, "Protocol": 6, "RuleAction": action, "CidrBlock": "0.0.0.0/0",
			"PortRange": map[string]any{"From": port, "To": port},
		}
	}
	entry := f.create("NetworkAclEntry", rule("allow", 80))
	icmp := f.create("NetworkAclEntry", cfn.Properties{
		"NetworkAclId": acl.PhysicalID, "RuleNumber": 100, "Protocol": 1, "RuleAction": "allow", "CidrBlock": "0.0.0.0/0", "Egress": true,
		"Icmp": map[string]any{"Type": 8, "Code": -1},
	})
	f.update("NetworkAclEntry", entry.PhysicalID, rule("allow", 80), rule("deny", 81))
	if got := f.read("NetworkAclEntry", entry.PhysicalID); got["RuleAction"] != "deny" || got["Egress"] != false {
		t.Errorf("the changed entry reads as %v", got)
	}
	if got := f.read("NetworkAclEntry", icmp.PhysicalID); got["Egress"] != true || got["Icmp"] == nil {
		t.Errorf("the other entry reads as %v", got)
	}
	association := f.create("SubnetNetworkAclAssociation", cfn.Properties{"NetworkAclId": acl.PhysicalID, "SubnetId": sub.PhysicalID})
	if got := f.read("SubnetNetworkAclAssociation", association.PhysicalID); got["NetworkAclId"] != acl.PhysicalID || got["SubnetId"] != sub.PhysicalID {
		t.Errorf("the association reads as %v", got)
	}
	f.delete("SubnetNetworkAclAssociation", association.PhysicalID)
	f.delete("NetworkAclEntry", icmp.PhysicalID)
	f.delete("NetworkAclEntry", entry.PhysicalID)
	f.delete("NetworkAcl", acl.PhysicalID)
	f.sound()
}

func TestDHCPOptions(t *testing.T) {
	f := newFixture(t)
	v := f.create("VPC", cfn.Properties{"CidrBlock": "10.0.0.0/16"})
	before := cfn.Properties{"DomainName": "corp.example", "DomainNameServers": []any{"10.0.0.5"}, "NtpServers": []any{"10.0.0.6"}, "NetbiosNodeType": 2}
	made := f.create("DHCPOptions", before)
	after := cfn.Properties{"DomainName": "corp.example", "DomainNameServers": []any{"10.0.0.5"}, "NtpServers": []any{"10.0.0.6"}, "NetbiosNodeType": 2,
		"Tags": []any{map[string]any{"Key": "Name", "Value": "web"}}}
	f.update("DHCPOptions", made.PhysicalID, before, after)
	if got := f.read("DHCPOptions", made.PhysicalID); got["DomainName"] != "corp.example" || len(got["NtpServers"].([]any)) != 1 || len(got["Tags"].([]any)) != 1 {
		t.Errorf("reads as %v", got)
	}
	association := f.create("VPCDHCPOptionsAssociation", cfn.Properties{"DhcpOptionsId": made.PhysicalID, "VpcId": v.PhysicalID})
	if got := f.read("VPCDHCPOptionsAssociation", association.PhysicalID); got["VpcId"] != v.PhysicalID || got["DhcpOptionsId"] != made.PhysicalID {
		t.Errorf("the association reads as %v", got)
	}
	f.delete("VPCDHCPOptionsAssociation", association.PhysicalID)
	f.delete("DHCPOptions", made.PhysicalID)
	f.sound()
}
