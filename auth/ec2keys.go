package auth

import (
	"reflect"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
)

// ec2KindKeys are the condition keys that each kind of EC2's resources has beside
// those of all ("Actions, resources, and condition keys for Amazon EC2", Service
// Authorization Reference). For any other kind a key is absent.
var ec2KindKeys = map[string][]string{
	"dhcp-options": strings.Fields("dhcpoptionsid"),
	"elastic-ip":   strings.Fields("allocationid domain publicipaddress"),
	"image":        strings.Fields("bootmodeoverride imageid imagetype owner public rootdevicetype"),
	"instance": strings.Fields("availabilityzone availabilityzoneid cpuoptionsamdsevsnp ebsoptimized instanceautorecovery " +
		"instancebandwidthweighting instanceid instancemarkettype instancemetadatatags instanceprofile instancetype managedresourceoperator " +
		"metadatahttpendpoint metadatahttpputresponsehoplimit metadatahttptokens newinstanceprofile placementgroup productcode rootdevicetype tenancy"),
	"internet-gateway": strings.Fields("internetgatewayid"),
	"key-pair":         strings.Fields("keypairname keypairtype"),
	"launch-template":  strings.Fields("managedresourceoperator"),
	"natgateway":       strings.Fields("vpc"),
	"network-acl":      strings.Fields("networkaclid vpc"),
	"network-interface": strings.Fields("associatepublicipaddress authorizedservice authorizeduser availabilityzone managedresourceoperator " +
		"networkinterfaceid permission subnet vpc"),
	"placement-group":     strings.Fields("placementgroupname placementgroupstrategy"),
	"prefix-list":         strings.Fields("ipamprefixlistresolvertargetid"),
	"route-table":         strings.Fields("routetableid vpc"),
	"security-group":      strings.Fields("securitygroupid vpc"),
	"security-group-rule": {},
	"snapshot": strings.Fields("add/group add/userid availabilityzone encrypted location outpostarn owner parentsnapshot parentvolume " +
		"productcode remove/group remove/userid snapshotcooloffperiod snapshotid snapshotlockduration snapshottime sourceavailabilityzone " +
		"sourceoutpostarn volumesize"),
	"subnet": strings.Fields("availabilityzone availabilityzoneid ipv4ipampoolid ipv6ipampoolid subnetid vpc"),
	"volume": strings.Fields("availabilityzone availabilityzoneid encrypted kmskeyid managedresourceoperator parentsnapshot parentvolume " +
		"volumeid volumeinitializationrate volumeiops volumesize volumethroughput volumetype"),
	"vpc":                    strings.Fields("ipv4ipampoolid ipv6ipampoolid tenancy vpcid"),
	"vpc-peering-connection": strings.Fields("acceptervpc requestervpc vpcpeeringconnectionid"),
}

// ec2Told tells a key that the request, the record of an existing resource, or both
// decide. ok is false where a launch decides it.
func (k *requestKeys) ec2Told(key string) (values []string, known, ok bool) {
	switch key {
	case "region", "createaction", "sourceinstancearn", "accountlevelsettings", "isoldinstance", "islaunchtemplateresource", "launchtemplate":
		return nil, false, false
	case "attribute":
		return k.ec2Attributes(), true, true
	}
	if name, of := strings.CutPrefix(key, "attribute/"); of {
		return k.ec2Attribute(name), true, true
	}
	if v, asked := k.ec2Shared(key); asked {
		return v, true, true
	}
	a, err := arn.Parse(k.resource)
	if err != nil {
		return nil, k.resource == "*", true
	}
	kind, id, _ := strings.Cut(a.Resource, "/")
	has, built := ec2KindKeys[kind]
	switch {
	case !built:
		return nil, false, true
	case !slices.Contains(has, key):
		return nil, true, true
	case key == "newinstanceprofile":
		return k.ec2NewProfile()
	case kind == "key-pair" && (k.call.Operation == "CreateKeyPair" || k.call.Operation == "ImportKeyPair"):
		values, known = k.ec2New(kind, key)
		return values, known, true
	case id != "*":
		values, known = k.ec2Record(k.resource, key)
		return values, known, true
	case k.call.Operation == "RunInstances":
		return nil, false, false
	case !k.unmade():
		return nil, false, true
	}
	values, known = k.ec2New(kind, key)
	return values, known, true
}

// ec2Record is what the record of a resource tells.
func (k *requestKeys) ec2Record(resource, key string) ([]string, bool) {
	if k.iam == nil {
		return nil, false
	}
	source, ok := k.iam.Tags["ec2"].(ResourceKeys)
	if !ok {
		return nil, false
	}
	held, err := source.ResourceKeys(k.ctx, resource)
	if err != nil {
		return nil, false
	}
	return held[key], true
}

// ec2Of is what the record of the resource tells that a member names. Without the
// member the key is not known: a default decides it.
func (k *requestKeys) ec2Of(member, kind, key string) ([]string, bool) {
	if id := k.in.text(member); id != "" {
		return k.ec2Record(ec2ARN(k.call, kind, id), key)
	}
	return nil, false
}

// ec2Names is the ARN of the resource that a member names.
func (k *requestKeys) ec2Names(member, kind string) []string {
	if id := k.in.text(member); id != "" {
		return []string{ec2ARN(k.call, kind, id)}
	}
	return nil
}

// or is the value of a member, or what it is without.
func (k *requestKeys) or(member, without string) []string {
	if v := k.in.value(member); v != nil {
		return v
	}
	return []string{without}
}

// ec2New is a key of what the call is going to make. The ids that it will have, and
// what nothing here ever has, are absent.
func (k *requestKeys) ec2New(kind, key string) ([]string, bool) {
	switch kind {
	case "volume":
		return k.ec2NewVolume(key)
	case "snapshot":
		return k.ec2NewSnapshot(key)
	case "network-interface":
		if key == "subnet" {
			return k.ec2Names("SubnetId", "subnet"), true
		}
		if key == "vpc" || key == "availabilityzone" {
			return k.ec2Of("SubnetId", "subnet", key)
		}
	}
	switch kind + " " + key {
	case "image owner":
		return one(k.call.Scope.Account), true
	case "image public":
		return []string{"false"}, true
	case "image imagetype":
		return []string{"machine"}, true
	case "image rootdevicetype":
		return []string{"ebs"}, true
	case "subnet availabilityzone":
		v := k.in.value("AvailabilityZone")
		return v, v != nil
	case "subnet availabilityzoneid":
		v := k.in.value("AvailabilityZoneId")
		return v, v != nil
	case "subnet vpc", "security-group vpc", "route-table vpc", "network-acl vpc":
		v := k.ec2Names("VpcId", "vpc")
		return v, v != nil
	case "natgateway vpc":
		return k.ec2Of("SubnetId", "subnet", key)
	case "vpc tenancy":
		return k.or("InstanceTenancy", "default"), true
	case "vpc-peering-connection requestervpc":
		return k.ec2Names("VpcId", "vpc"), true
	case "vpc-peering-connection acceptervpc":
		return k.ec2Peer(), true
	case "elastic-ip domain":
		return k.or("Domain", "vpc"), true
	case "elastic-ip publicipaddress":
		return k.in.value("Address"), true
	case "key-pair keypairname":
		return k.in.value("KeyName"), true
	case "key-pair keypairtype":
		return k.or("KeyType", "rsa"), k.call.Operation == "CreateKeyPair" // of an import, the material decides
	case "placement-group placementgroupname":
		return k.in.value("GroupName"), true
	case "placement-group placementgroupstrategy":
		return k.or("Strategy", "cluster"), true
	}
	return nil, true
}

func (k *requestKeys) ec2NewVolume(key string) ([]string, bool) {
	switch key {
	case "availabilityzone":
		v := k.in.value("AvailabilityZone")
		return v, v != nil
	case "availabilityzoneid":
		v := k.in.value("AvailabilityZoneId")
		return v, v != nil
	case "encrypted":
		return k.or("Encrypted", "false"), true
	case "kmskeyid":
		return k.in.value("KmsKeyId"), true
	case "parentsnapshot":
		return k.ec2Names("SnapshotId", "snapshot"), true
	case "volumesize":
		if v := k.in.value("Size"); v != nil {
			return v, true
		}
		return k.ec2Of("SnapshotId", "snapshot", key)
	case "volumetype":
		return k.or("VolumeType", "gp2"), true
	case "volumeiops":
		return k.in.value("Iops"), true
	case "volumethroughput":
		return k.in.value("Throughput"), true
	case "volumeinitializationrate":
		return k.in.value("VolumeInitializationRate"), true
	}
	return nil, true
}

func (k *requestKeys) ec2NewSnapshot(key string) ([]string, bool) {
	several := k.in.has("InstanceSpecification")
	switch key {
	case "owner":
		return one(k.call.Scope.Account), true
	case "encrypted":
		return k.or("Encrypted", "false"), true
	case "parentvolume":
		return k.ec2Names("VolumeId", "volume"), !several
	case "parentsnapshot":
		if k.call.Operation != "CopySnapshot" {
			return nil, true
		}
		return k.ec2Names("SourceSnapshotId", "snapshot"), true
	case "volumesize":
		if k.call.Operation == "CopySnapshot" {
			return k.ec2Of("SourceSnapshotId", "snapshot", key)
		}
		return k.ec2Of("VolumeId", "volume", key)
	case "location":
		return k.in.value("Location"), true
	}
	return nil, true
}

// ec2Peer is the other VPC of a peering connection that is asked for.
func (k *requestKeys) ec2Peer() []string {
	id, scope := k.in.text("PeerVpcId"), k.call.Scope
	if id == "" {
		return nil
	}
	if v := k.in.text("PeerOwnerId"); v != "" {
		scope.Account = v
	}
	if v := k.in.text("PeerRegion"); v != "" {
		scope.Region = v
	}
	return []string{scope.ARN("ec2", "vpc/"+id).String()}
}

// ec2NewProfile is the instance profile that an instance is to get.
func (k *requestKeys) ec2NewProfile() (values []string, known, ok bool) {
	if v := k.in.value("IamInstanceProfile.Arn"); v != nil {
		return v, true, true
	}
	name := k.in.text("IamInstanceProfile.Name")
	if name == "" {
		return nil, true, true
	}
	if k.iam == nil || k.iam.Policies == nil {
		return nil, false, true
	}
	full, err := k.iam.Policies.FullARN(k.ctx, k.call.Scope.Global("iam", "instance-profile/"+name).String())
	return one(full), err == nil, true
}

// ec2Shared tells whom a snapshot is shared with or taken from.
func (k *requestKeys) ec2Shared(key string) ([]string, bool) {
	verb, member, ok := strings.Cut(key, "/")
	if !ok || verb != "add" && verb != "remove" {
		return nil, false
	}
	list := map[string]string{"add": "CreateVolumePermission.Add", "remove": "CreateVolumePermission.Remove"}[verb]
	one, many := map[string]string{"userid": "UserId", "group": "Group"}[member], map[string]string{"userid": "UserIds", "group": "GroupNames"}[member]
	if one == "" {
		return nil, false
	}
	var out []string
	for _, p := range k.in.list(list) {
		out = append(out, p.some(one)...)
	}
	if k.in.text("OperationType") == verb {
		out = append(out, k.in.texts(many)...)
	}
	return out, true
}

// ec2Plain are members of the operations on attributes that are no attributes.
var ec2Plain = map[string]bool{
	"Attribute": true, "Value": true, "DryRun": true, "OperationType": true, "UserIds": true, "UserGroups": true, "GroupNames": true,
	"ProductCodes": true, "OrganizationArns": true, "OrganizationalUnitArns": true,
}

// ec2Attributes are the attributes that a request is about.
func (k *requestKeys) ec2Attributes() []string {
	if a := k.in.text("Attribute"); a != "" {
		return []string{strings.ToUpper(a[:1]) + a[1:]}
	}
	var out []string
	if !strings.HasPrefix(k.call.Operation, "Modify") || !k.in.v.IsValid() || k.in.v.Kind() != reflect.Struct {
		return nil
	}
	for i := range k.in.v.NumField() {
		name := k.in.v.Type().Field(i).Name
		if !ec2Plain[name] && !strings.HasSuffix(name, "Id") && k.in.has(name) {
			out = append(out, name)
		}
	}
	return out
}

// ec2Attribute is the value that a request gives to an attribute.
func (k *requestKeys) ec2Attribute(name string) []string {
	if strings.EqualFold(k.in.text("Attribute"), name) {
		return k.in.value("Value")
	}
	for _, a := range k.ec2Attributes() {
		if !strings.EqualFold(a, name) {
			continue
		}
		if v := k.in.value(a); v != nil {
			return v
		}
		return k.in.value(a + ".Value")
	}
	return nil
}
