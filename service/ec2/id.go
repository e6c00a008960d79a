package ec2

import (
	"strings"

	"github.com/slipway/slipway/fault"
)

// Prefixes of resource ids.
const (
	prefixInstance   = "i-"
	prefixGroup      = "sg-"
	prefixRule       = "sgr-"
	prefixAllocation = "eipalloc-"
	prefixAssoc      = "eipassoc-"
	prefixKey        = "key-"
	prefixVPC        = "vpc-"
	prefixSubnet     = "subnet-"
	prefixRouteTable = "rtb-"
	prefixRouteAssoc = "rtbassoc-"
	prefixGateway    = "igw-"
	prefixACL        = "acl-"
	prefixACLAssoc   = "aclassoc-"
	prefixDHCP       = "dopt-"
	prefixInterface  = "eni-"
	prefixAttachment = "eni-attach-"
	prefixVolume     = "vol-"
	prefixImage      = "ami-"
	prefixSnapshot   = "snap-"
	prefixBlock      = "vpc-cidr-assoc-"
	prefixNAT        = "nat-"
	prefixPeering    = "pcx-"
	prefixPrefixList = "pl-"
	prefixProfile    = "iip-assoc-"
	prefixTemplate   = "lt-"
)

// kind is what a resource id names.
type kind struct {
	prefix   string
	tagType  string // resource type in tag specifications and DescribeTags
	noun     string // for messages
	notFound string // fault code
	bad      string // fault code of a malformed id
}

// kinds are the resources that calls name by id.
var kinds = []kind{
	{prefixInstance, "instance", "instance ID", fault.InvalidInstanceIDNotFound, fault.InvalidInstanceIDMalformed},
	{prefixGroup, "security-group", "security group", fault.InvalidGroupNotFound, fault.InvalidGroupIDMalformed},
	{prefixRule, "security-group-rule", "security group rule ID", fault.InvalidRuleIDNotFound, "InvalidSecurityGroupRuleId.Malformed"},
	{prefixAllocation, "elastic-ip", "allocation ID", fault.InvalidAllocationIDNotFound, fault.InvalidParameterValue},
	{prefixAssoc, "", "association ID", fault.InvalidAssociationIDNotFound, fault.InvalidParameterValue},
	{prefixKey, "key-pair", "key pair ID", fault.InvalidKeyPairNotFound, fault.InvalidParameterValue},
	{prefixVPC, "vpc", "vpc ID", fault.InvalidVpcIDNotFound, "InvalidVpcID.Malformed"},
	{prefixSubnet, "subnet", "subnet ID", fault.InvalidSubnetIDNotFound, "InvalidSubnetID.Malformed"},
	{prefixRouteTable, "route-table", "routeTable ID", fault.InvalidRouteTableIDNotFound, "InvalidRouteTableId.Malformed"},
	{prefixGateway, "internet-gateway", "internetGateway ID", fault.InvalidInternetGatewayIDNotFound, "InvalidInternetGatewayId.Malformed"},
	{prefixRouteAssoc, "", "association ID", fault.InvalidAssociationIDNotFound, "InvalidRouteTableAssociationId.Malformed"},
	{prefixBlock, "", "vpc CIDR block association ID", fault.InvalidVpcCidrBlockAssociationNotFound, "InvalidVpcCidrBlockAssociationIDError.Malformed"},
	{prefixNAT, "natgateway", "natGateway ID", fault.NatGatewayNotFound, "NatGatewayMalformed"},
	{prefixPeering, "vpc-peering-connection", "vpcPeeringConnection ID", fault.InvalidPeeringIDNotFound, "InvalidVpcPeeringConnectionId.Malformed"},
	{prefixPrefixList, "prefix-list", "prefixList ID", fault.InvalidPrefixListIDNotFound, "InvalidPrefixListID.Malformed"},
	{prefixAttachment, "", "attachment ID", fault.InvalidAttachmentIDNotFound, "InvalidAttachmentID.Malformed"},
	{prefixACL, "network-acl", "networkAcl ID", fault.InvalidNetworkACLIDNotFound, "InvalidNetworkAclId.Malformed"},
	{prefixDHCP, "dhcp-options", "dhcpOption ID", fault.InvalidDhcpOptionIDNotFound, "InvalidDhcpOptionsId.Malformed"},
	{prefixInterface, "network-interface", "networkInterface ID", fault.InvalidNetworkInterfaceNotFound, "InvalidNetworkInterfaceId.Malformed"},
	{prefixVolume, "volume", "volume", fault.InvalidVolumeNotFound, "InvalidVolumeID.Malformed"},
	{prefixImage, "image", "image id", fault.InvalidAMIIDNotFound, fault.InvalidAMIIDMalformed},
	{prefixTemplate, "launch-template", "launch template", fault.InvalidTemplateIDNotFound, fault.InvalidTemplateIDMalformed},
	{prefixSnapshot, "snapshot", "snapshot", fault.InvalidSnapshotNotFound, fault.InvalidSnapshotIDMalformed},
}

// kindOf finds what an id names by its prefix.
func kindOf(id string) (kind, bool) {
	for _, k := range kinds {
		if rest, ok := strings.CutPrefix(id, k.prefix); ok && isHex(rest) {
			return k, true
		}
	}
	return kind{}, false
}

func kindWith(prefix string) kind {
	for _, k := range kinds {
		if k.prefix == prefix {
			return k
		}
	}
	panic("ec2: no kind " + prefix)
}

// checkID refuses an id that cannot name a resource with this prefix.
func checkID(prefix, id string) error {
	if wellFormed(prefix, id) {
		return nil
	}
	k := kindWith(prefix)
	if prefix == prefixInstance {
		return fault.New(k.bad, "Invalid id: %q", id)
	}
	return fault.New(k.bad, "Invalid id: %q (expecting %q)", id, prefix+"...")
}

func notFound(prefix string, ids ...string) error {
	k := kindWith(prefix)
	if prefix == prefixImage {
		return fault.New(k.notFound, "The image id '[%s]' does not exist", strings.Join(ids, ", "))
	}
	if prefix == prefixTemplate {
		return fault.New(k.notFound, "The specified launch template, with template ID %s, does not exist.", strings.Join(ids, ", "))
	}
	if len(ids) > 1 {
		return fault.New(k.notFound, "The %ss '%s' do not exist", k.noun, strings.Join(ids, ", "))
	}
	return fault.New(k.notFound, "The %s '%s' does not exist", k.noun, ids[0])
}

// wellFormed takes the short form (8 digits) and the long form (17).
func wellFormed(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && isHex(rest)
}

func isHex(s string) bool {
	if len(s) != 8 && len(s) != 17 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// idSet are the ids that a Describe call names; nil asks for all.
type idSet map[string]bool

func newIDSet(prefix string, ids []string) (idSet, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	set := make(idSet, len(ids))
	for _, id := range ids {
		if err := checkID(prefix, id); err != nil {
			return nil, err
		}
		set[id] = true
	}
	return set, nil
}

func (s idSet) wants(id string) bool { return s == nil || s[id] }

// missing lists, in the caller's order, the ids that found lacks.
func missing(ids []string, found func(string) bool) []string {
	var out []string
	seen := map[string]bool{}
	for _, id := range ids {
		if !found(id) && !seen[id] {
			out = append(out, id)
			seen[id] = true
		}
	}
	return out
}
