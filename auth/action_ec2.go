package auth

import (
	"maps"
	"slices"
	"strings"

	"github.com/slipway/slipway/auth/policy"
)

var ec2Table = table{prefix: "ec2", keys: ec2Keys, operations: entries(
	// What exists, by the ids that the input names.
	act(ec2Named, "AcceptVpcPeeringConnection AssignPrivateIpAddresses AssociateAddress AssociateDhcpOptions AssociateRouteTable "+
		"AssociateSecurityGroupVpc AssociateSubnetCidrBlock AssociateVpcCidrBlock AttachInternetGateway AttachNetworkInterface AttachVolume "+
		"AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CancelSpotInstanceRequests CreateLaunchTemplateVersion "+
		"CreateNetworkAclEntry CreateRoute CreateTags DeleteDhcpOptions DeleteInternetGateway DeleteKeyPair DeleteLaunchTemplate "+
		"DeleteLaunchTemplateVersions DeleteManagedPrefixList DeleteNatGateway DeleteNetworkAcl DeleteNetworkAclEntry "+
		"DeleteNetworkInterface DeletePlacementGroup DeleteRoute DeleteRouteTable DeleteSecurityGroup DeleteSnapshot DeleteSubnet "+
		"DeleteTags DeleteVolume DeleteVpc DeleteVpcEndpoints DeleteVpcPeeringConnection DeregisterImage DetachInternetGateway "+
		"DetachNetworkInterface DetachVolume DisableImage DisableImageDeprecation DisableImageDeregistrationProtection "+
		"DisassociateAddress DisassociateIamInstanceProfile DisassociateRouteTable DisassociateSecurityGroupVpc "+
		"DisassociateSubnetCidrBlock DisassociateVpcCidrBlock EnableImage EnableImageDeprecation EnableImageDeregistrationProtection "+
		"EnableVolumeIO GetConsoleOutput GetManagedPrefixListEntries GetPasswordData GetSecurityGroupsForVpc ModifyAddressAttribute "+
		"ModifyImageAttribute ModifyInstanceAttribute ModifyInstanceCapacityReservationAttributes ModifyInstanceCpuOptions "+
		"ModifyInstanceCreditSpecification ModifyInstanceMaintenanceOptions ModifyInstanceMetadataOptions ModifyInstancePlacement "+
		"ModifyLaunchTemplate ModifyManagedPrefixList ModifyNetworkInterfaceAttribute ModifySecurityGroupRules ModifySnapshotAttribute "+
		"ModifySubnetAttribute ModifyVolume ModifyVolumeAttribute ModifyVpcAttribute ModifyVpcEndpoint ModifyVpcPeeringConnectionOptions "+
		"ModifyVpcTenancy MonitorInstances RebootInstances RejectVpcPeeringConnection ReleaseAddress ReleaseHosts "+
		"ReplaceNetworkAclAssociation ReplaceNetworkAclEntry ReplaceRoute ReplaceRouteTableAssociation ResetAddressAttribute "+
		"ResetImageAttribute ResetInstanceAttribute ResetNetworkInterfaceAttribute ResetSnapshotAttribute RevokeSecurityGroupEgress "+
		"RevokeSecurityGroupIngress StartInstances StopInstances TerminateInstances UnassignPrivateIpAddresses UnmonitorInstances "+
		"UpdateSecurityGroupRuleDescriptionsEgress UpdateSecurityGroupRuleDescriptionsIngress AssociateIamInstanceProfile "+
		"ReplaceIamInstanceProfileAssociation DescribeImageAttribute DescribeInstanceAttribute DescribeSnapshotAttribute "+
		"DescribeVolumeAttribute DescribeVpcAttribute DescribeNetworkInterfaceAttribute"),
	// What is made, together with what it is made of.
	creates("elastic-ip", "AllocateAddress"), creates("dedicated-host", "AllocateHosts"), creates("image", "CopyImage CreateImage RegisterImage"),
	creates("snapshot", "CopySnapshot CreateSnapshot CreateSnapshots"), creates("subnet", "CreateDefaultSubnet CreateSubnet"),
	creates("vpc", "CreateDefaultVpc CreateVpc"), creates("dhcp-options", "CreateDhcpOptions"),
	creates("internet-gateway", "CreateInternetGateway"), creates("launch-template", "CreateLaunchTemplate"),
	creates("prefix-list", "CreateManagedPrefixList"), creates("natgateway", "CreateNatGateway"), creates("network-acl", "CreateNetworkAcl"),
	creates("network-interface", "CreateNetworkInterface"), creates("replace-root-volume-task", "CreateReplaceRootVolumeTask"),
	creates("route-table", "CreateRouteTable"), creates("security-group", "CreateSecurityGroup"), creates("volume", "CreateVolume"),
	creates("vpc-endpoint", "CreateVpcEndpoint"), creates("vpc-peering-connection", "CreateVpcPeeringConnection"),
	creates("spot-instances-request", "RequestSpotInstances"), creates("key-pair", "CreateKeyPair ImportKeyPair"),
	creates("placement-group", "CreatePlacementGroup"),
	map[string]operation{"RunInstances": {action: noAction, needs: launching}},
	act(nil, "DescribeAccountAttributes DescribeAddresses DescribeAddressesAttribute DescribeAvailabilityZones DescribeDhcpOptions "+
		"DescribeHosts DescribeIamInstanceProfileAssociations DescribeIdFormat DescribeImages DescribeInstanceCreditSpecifications "+
		"DescribeInstanceStatus DescribeInstanceTypeOfferings DescribeInstanceTypes DescribeInstances DescribeInternetGateways "+
		"DescribeKeyPairs DescribeLaunchTemplateVersions DescribeLaunchTemplates DescribeManagedPrefixLists DescribeNatGateways "+
		"DescribeNetworkAcls DescribeNetworkInterfaces DescribePlacementGroups DescribePrefixLists DescribeRegions "+
		"DescribeReplaceRootVolumeTasks DescribeRouteTables DescribeSecurityGroupReferences DescribeSecurityGroupRules "+
		"DescribeSecurityGroupVpcAssociations DescribeSecurityGroups DescribeSnapshots DescribeSpotInstanceRequests "+
		"DescribeSpotPriceHistory DescribeStaleSecurityGroups DescribeSubnets DescribeTags DescribeVolumeStatus DescribeVolumes "+
		"DescribeVolumesModifications DescribeVpcEndpointServices DescribeVpcEndpoints DescribeVpcPeeringConnections DescribeVpcs "+
		"DisableEbsEncryptionByDefault DisableSerialConsoleAccess EnableEbsEncryptionByDefault EnableSerialConsoleAccess "+
		"GetDefaultCreditSpecification GetEbsDefaultKmsKeyId GetEbsEncryptionByDefault GetInstanceMetadataDefaults "+
		"GetInstanceTypesFromInstanceRequirements GetLaunchTemplateData GetSerialConsoleAccessStatus ModifyDefaultCreditSpecification "+
		"ModifyEbsDefaultKmsKeyId ModifyInstanceMetadataDefaults ResetEbsDefaultKmsKeyId"),
)}

// ec2Members are the members that name EC2's resources, one or many.
var ec2Members = []struct{ name, kind string }{
	{"InstanceId", "instance"}, {"InstanceIds", "instance"}, {"VolumeId", "volume"}, {"VolumeIds", "volume"},
	{"SnapshotId", "snapshot"}, {"SourceSnapshotId", "snapshot"}, {"ImageId", "image"}, {"SourceImageId", "image"},
	{"VpcId", "vpc"}, {"PeerVpcId", "vpc"}, {"SubnetId", "subnet"}, {"SubnetIds", "subnet"}, {"GroupId", "security-group"},
	{"SecurityGroupIds", "security-group"}, {"Groups", "security-group"}, {"NetworkInterfaceId", "network-interface"},
	{"RouteTableId", "route-table"}, {"RouteTableIds", "route-table"}, {"InternetGatewayId", "internet-gateway"},
	{"NatGatewayId", "natgateway"}, {"NetworkAclId", "network-acl"}, {"DhcpOptionsId", "dhcp-options"}, {"AllocationId", "elastic-ip"},
	{"LaunchTemplateId", "launch-template"}, {"KeyPairId", "key-pair"}, {"KeyName", "key-pair"}, {"PrefixListId", "prefix-list"},
	{"VpcPeeringConnectionId", "vpc-peering-connection"}, {"VpcEndpointId", "vpc-endpoint"}, {"VpcEndpointIds", "vpc-endpoint"},
	{"HostIds", "dedicated-host"}, {"SpotInstanceRequestIds", "spot-instances-request"},
}

// ec2Kinds are the resources by the prefix of their ids.
var ec2Kinds = map[string]string{
	"i": "instance", "vol": "volume", "snap": "snapshot", "ami": "image", "vpc": "vpc", "subnet": "subnet", "sg": "security-group",
	"eni": "network-interface", "rtb": "route-table", "igw": "internet-gateway", "nat": "natgateway", "acl": "network-acl",
	"dopt": "dhcp-options", "eipalloc": "elastic-ip", "lt": "launch-template", "key": "key-pair", "pl": "prefix-list",
	"pcx": "vpc-peering-connection", "vpce": "vpc-endpoint", "h": "dedicated-host", "sir": "spot-instances-request",
	"sgr": "security-group-rule", "pg": "placement-group",
}

// byName begins what stands for the id of a resource that is named by its name. The
// service puts the id in: what policies say of it must count.
const byName = "name="

// ec2ARN names a resource; images and snapshots belong to no account in theirs.
func ec2ARN(c *Call, kind, id string) string {
	scope := c.Scope
	if kind == "image" || kind == "snapshot" {
		scope.Account = ""
	}
	return scope.ARN("ec2", kind+"/"+id).String()
}

// ec2Named are the resources that the input names by their ids.
func ec2Named(c *Call, in membersOf) []string {
	var out []string
	for _, m := range ec2Members {
		for _, id := range append(in.some(m.name), in.texts(m.name)...) {
			out = append(out, ec2ARN(c, m.kind, id))
		}
	}
	for _, id := range in.texts("Resources") { // of tags
		if prefix, _, ok := strings.Cut(id, "-"); ok && ec2Kinds[prefix] != "" {
			out = append(out, ec2ARN(c, ec2Kinds[prefix], id))
		}
	}
	for _, spec := range in.list("InstanceCreditSpecifications") {
		out = append(out, ec2ARN(c, "instance", spec.text("InstanceId")))
	}
	if id := in.text("InstanceSpecification.InstanceId"); id != "" {
		out = append(out, ec2ARN(c, "instance", id))
	}
	switch n := in.text("GroupName"); {
	case n == "" || in.text("GroupId") != "":
	case strings.Contains(c.Operation, "Placement"):
		out = append(out, ec2ARN(c, "placement-group", n))
	case c.Operation != "CreateSecurityGroup":
		out = append(out, ec2ARN(c, "security-group", byName+n))
	}
	if n := in.text("LaunchTemplateName"); n != "" && c.Operation != "CreateLaunchTemplate" {
		out = append(out, ec2ARN(c, "launch-template", byName+n))
	}
	return out
}

// creates are entries of operations that make a kind of resource.
func creates(kind, operations string) map[string]operation {
	out := map[string]operation{}
	on := func(c *Call, in membersOf) []string {
		id := "*"
		if n := in.text("KeyName"); kind == "key-pair" && n != "" {
			id = n
		} else if n := in.text("GroupName"); kind == "placement-group" && n != "" {
			id = n
		}
		made := ec2ARN(c, kind, id)
		return append([]string{made}, slices.DeleteFunc(ec2Named(c, in), func(a string) bool { return a == made })...)
	}
	for name := range strings.FieldsSeq(operations) {
		out[name] = operation{on: on, needs: tagsOnCreate}
	}
	return out
}

// launch is what RunInstances uses by its input alone, where the service tells no
// more. What its launch template or the VPC's defaults decide is only covered by a
// wildcard.
func launch(c *Call, in membersOf) []string {
	or := func(name, other string) string {
		if v := in.text(name); v != "" {
			return v
		}
		return other
	}
	out := []string{
		ec2ARN(c, "image", or("ImageId", "*")), ec2ARN(c, "instance", "*"), ec2ARN(c, "network-interface", "*"),
		ec2ARN(c, "volume", "*"),
	}
	subnets, groups := in.some("SubnetId"), in.texts("SecurityGroupIds")
	for _, n := range in.list("NetworkInterfaces") {
		subnets = append(subnets, n.some("SubnetId")...)
		groups = append(groups, n.texts("Groups")...)
	}
	if subnets == nil {
		subnets = []string{"*"}
	}
	if groups == nil {
		groups = []string{"*"}
	}
	for _, s := range subnets {
		out = append(out, ec2ARN(c, "subnet", s))
	}
	for _, g := range groups {
		out = append(out, ec2ARN(c, "security-group", g))
	}
	if k := in.text("KeyName"); k != "" {
		out = append(out, ec2ARN(c, "key-pair", k))
	}
	switch {
	case in.text("LaunchTemplate.LaunchTemplateId") != "":
		out = append(out, ec2ARN(c, "launch-template", in.text("LaunchTemplate.LaunchTemplateId")))
	case in.has("LaunchTemplate"):
		out = append(out, ec2ARN(c, "launch-template", byName+in.text("LaunchTemplate.LaunchTemplateName")))
	}
	return out
}

// tagsOnCreate asks for the tags that a new resource gets ("Grant permission to
// tag Amazon EC2 resources during creation", EC2 User Guide).
func tagsOnCreate(a *asking) {
	kinds := map[string]bool{}
	for _, spec := range append(a.in.list("TagSpecifications"), a.in.list("TagSpecification")...) {
		if kind := spec.text("ResourceType"); kind != "" && len(spec.list("Tags")) > 0 {
			kinds[kind] = true
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		a.with(policy.Context{"ec2:createaction": {a.call.Operation}}, "ec2:CreateTags", ec2ARN(a.call, kind, "*"))
	}
}

func ec2Keys(k *requestKeys, key string) ([]string, bool) {
	if k.whole {
		return wholeKeys(k, key)
	}
	if name, ok := strings.CutPrefix(key, "resourcetag/"); ok {
		return k.resourceTag(name)
	}
	if v, known, ok := k.ec2Told(key); ok {
		return v, known
	}
	// What a launch makes.
	if !strings.Contains(k.resource, ":instance/") && (key == "instancetype" || key == "tenancy" || key == "ebsoptimized" ||
		key == "instanceprofile" || strings.HasPrefix(key, "metadatahttp")) {
		return nil, true
	}
	launching := k.call.Operation == "RunInstances"
	switch key {
	case "region":
		return one(k.call.Scope.Region), true
	case "createaction", "sourceinstancearn", "accountlevelsettings", "isoldinstance":
		return nil, true
	case "islaunchtemplateresource":
		return []string{boolText(launching && k.in.has("LaunchTemplate"))}, true
	case "launchtemplate":
		if id := k.in.text("LaunchTemplate.LaunchTemplateId"); id != "" {
			return []string{ec2ARN(k.call, "launch-template", id)}, true
		}
		return nil, launching
	case "subnet", "subnetid":
		if id := k.in.text("SubnetId"); id != "" && key == "subnet" {
			return []string{ec2ARN(k.call, "subnet", id)}, true
		}
		return nil, false
	case "instanceprofile":
		return k.in.value("IamInstanceProfile.Arn"), launching
	case "attribute":
		return k.in.value("Attribute"), true
	case "authorizedservice", "authorizeduser", "permission":
		return nil, true
	}
	member, ok := ec2KeyMembers[key]
	if !ok {
		return nil, false
	}
	// Of what exists already, only the record tells it; so does a launch template.
	v := k.in.value(member)
	return v, v != nil || strings.HasSuffix(k.resource, "/*") && !k.in.has("LaunchTemplate")
}

var ec2KeyMembers = map[string]string{
	"instancetype": "InstanceType", "tenancy": "Placement.Tenancy", "ebsoptimized": "EbsOptimized", "imageid": "ImageId",
	"metadatahttptokens": "MetadataOptions.HttpTokens", "metadatahttpendpoint": "MetadataOptions.HttpEndpoint",
	"metadatahttpputresponsehoplimit": "MetadataOptions.HttpPutResponseHopLimit",
	"volumetype":                      "VolumeType", "volumesize": "Size", "volumeiops": "Iops", "volumethroughput": "Throughput", "encrypted": "Encrypted",
	"availabilityzone": "AvailabilityZone", "keypairname": "KeyName", "keypairtype": "KeyType", "parentsnapshot": "SnapshotId",
}
