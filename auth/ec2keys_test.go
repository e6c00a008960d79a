package auth_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
)

// records are resources' condition keys by their ARNs.
type records map[string]map[string][]string

func (r records) ResourceKeys(_ context.Context, resource string) (map[string][]string, error) {
	return r[resource], nil
}

func (records) ResourceTags(context.Context, string) (map[string]string, error) { return nil, nil }

// onePolicy allows what one statement says.
type onePolicy string

func (p onePolicy) PoliciesOf(context.Context, auth.Principal) ([]*policy.Document, *policy.Document, error) {
	d, err := policy.Parse(`{"Version":"2012-10-17","Statement":`+string(p)+`}`, policy.Identity)
	return []*policy.Document{d}, nil, err
}

func (onePolicy) ManagedPolicy(context.Context, string, string) (*policy.Document, error) {
	return nil, nil
}

func (onePolicy) PrincipalTags(context.Context, auth.Principal) (map[string]string, error) {
	return nil, nil
}

func (onePolicy) FullARN(_ context.Context, name string) (string, error) {
	return strings.Replace(name, "instance-profile/web", "instance-profile/apps/web", 1), nil
}

// TestEC2Conditions holds what calls may do by the keys of what they act on: of a
// record, or of the request that makes it. Each is tried with an Allow and with a
// Deny under the same condition.
func TestEC2Conditions(t *testing.T) {
	scope := arn.Scope{Account: "123456789012", Region: "us-east-1"}
	who := auth.Principal{Kind: auth.User, Account: scope.Account, ARN: "arn:aws:iam::123456789012:user/ann", Name: "ann", UserID: "AIDAX"}
	is := func(resource string) string { return scope.ARN("ec2", resource).String() }
	held := records{
		is("instance/i-1"):                       {"instancetype": {"t3.nano"}, "availabilityzone": {"us-east-1a"}},
		is("subnet/subnet-1"):                    {"vpc": {is("vpc/vpc-1")}, "availabilityzone": {"us-east-1a"}},
		is("volume/vol-1"):                       {"volumesize": {"8"}, "encrypted": {"false"}},
		"arn:aws:ec2:us-east-1::snapshot/snap-1": {"volumesize": {"20"}, "owner": {"123456789012"}},
		"arn:aws:ec2:us-east-1::image/ami-1":     {"owner": {"amazon"}, "public": {"true"}},
	}
	type conditions = string
	const met, unmet, unknown = "met", "unmet", "unknown"
	for _, c := range []struct {
		operation string
		input     any
		resource  string // the statement's
		condition conditions
		want      string
	}{
		{"StopInstances", &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}}, "instance/*", `"StringEquals":{"ec2:InstanceType":"t3.nano"}`, met},
		{"StopInstances", &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}}, "instance/*", `"StringEquals":{"ec2:InstanceType":"t3.micro"}`, unmet},
		{"StopInstances", &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}}, "instance/*", `"StringEquals":{"ec2:AvailabilityZone":"us-east-1a"}`, met},
		{"StopInstances", &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}}, "instance/*", `"Null":{"ec2:PlacementGroup":"true"}`, met},
		{"StopInstances", &ec2.StopInstancesInput{InstanceIds: []string{"i-2"}}, "instance/*", `"StringEquals":{"ec2:InstanceType":"t3.nano"}`, unmet}, // not there
		{"StopInstances", &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}}, "instance/*", `"StringEquals":{"ec2:VolumeType":"gp2"}`, unmet},       // no key of instances
		{"StopInstances", &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}}, "instance/*", `"StringEquals":{"ec2:Region":"us-east-1"}`, met},
		{"CreateVolume", &ec2.CreateVolumeInput{AvailabilityZone: "us-east-1a", Size: new(int32(50))}, "volume/*", `"NumericLessThan":{"ec2:VolumeSize":"100"}`, met},
		{"CreateVolume", &ec2.CreateVolumeInput{AvailabilityZone: "us-east-1a", Size: new(int32(500))}, "volume/*", `"NumericLessThan":{"ec2:VolumeSize":"100"}`, unmet},
		{"CreateVolume", &ec2.CreateVolumeInput{AvailabilityZone: "us-east-1a", Size: new(int32(5))}, "volume/*", `"StringEquals":{"ec2:VolumeType":"gp2"}`, met},
		{"CreateVolume", &ec2.CreateVolumeInput{AvailabilityZone: "us-east-1a", Size: new(int32(5))}, "volume/*", `"Bool":{"ec2:Encrypted":"true"}`, unmet},
		{"CreateVolume", &ec2.CreateVolumeInput{Size: new(int32(5))}, "volume/*", `"StringEquals":{"ec2:AvailabilityZone":"us-east-1a"}`, unknown},
		{"CreateSnapshot", &ec2.CreateSnapshotInput{VolumeId: "vol-1"}, "volume/*", `"NumericEquals":{"ec2:VolumeSize":"8"}`, met},
		{"CreateSecurityGroup", &ec2.CreateSecurityGroupInput{GroupName: "g", VpcId: "vpc-1"}, "security-group/*", `"ArnEquals":{"ec2:Vpc":"` + is("vpc/vpc-1") + `"}`, met},
		{"CreateSecurityGroup", &ec2.CreateSecurityGroupInput{GroupName: "g"}, "security-group/*", `"ArnEquals":{"ec2:Vpc":"` + is("vpc/vpc-1") + `"}`, unknown},
		{"CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: "subnet-1"}, "network-interface/*", `"ArnEquals":{"ec2:Vpc":"` + is("vpc/vpc-1") + `"}`, met},
		{"CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: "subnet-1"}, "network-interface/*", `"ArnEquals":{"ec2:Subnet":"` + is("subnet/subnet-1") + `"}`, met},
		{"CreateKeyPair", &ec2.CreateKeyPairInput{KeyName: "k"}, "key-pair/*", `"StringEquals":{"ec2:KeyPairType":"rsa"}`, met},
		{"ImportKeyPair", &ec2.ImportKeyPairInput{KeyName: "k"}, "key-pair/*", `"StringEquals":{"ec2:KeyPairType":"rsa"}`, unknown},
		{"CreateVpcPeeringConnection", &ec2.CreateVpcPeeringConnectionInput{VpcId: "vpc-1", PeerVpcId: "vpc-2", PeerOwnerId: "999999999999"}, "vpc-peering-connection/*",
			`"ArnEquals":{"ec2:AccepterVpc":"arn:aws:ec2:us-east-1:999999999999:vpc/vpc-2"}`, met},
		{"ModifyInstanceAttribute", &ec2.ModifyInstanceAttributeInput{InstanceId: "i-1", InstanceType: &ec2.AttributeValue{Value: "m5.large"}}, "instance/*", `"StringEquals":{"ec2:Attribute":"InstanceType"}`, met},
		{"ModifyInstanceAttribute", &ec2.ModifyInstanceAttributeInput{InstanceId: "i-1", InstanceType: &ec2.AttributeValue{Value: "m5.large"}}, "instance/*", `"StringLike":{"ec2:Attribute/InstanceType":"m5.*"}`, met},
		{"ModifyInstanceAttribute", &ec2.ModifyInstanceAttributeInput{InstanceId: "i-1", Attribute: "instanceType", Value: "m5.large"}, "instance/*", `"StringLike":{"ec2:Attribute/InstanceType":"t3.*"}`, unmet},
		{"ModifySnapshotAttribute", &ec2.ModifySnapshotAttributeInput{SnapshotId: "snap-1", OperationType: "add", UserIds: []string{"999999999999"}}, "*", `"StringEquals":{"ec2:Add/userId":"999999999999"}`, met},
		{"ModifySnapshotAttribute", &ec2.ModifySnapshotAttributeInput{SnapshotId: "snap-1", CreateVolumePermission: &ec2.CreateVolumePermissionModifications{Add: []ec2.CreateVolumePermission{{Group: "all"}}}}, "*",
			`"StringEquals":{"ec2:Add/group":"all"}`, met},
		{"AssociateIamInstanceProfile", &ec2.AssociateIamInstanceProfileInput{InstanceId: "i-1", IamInstanceProfile: &ec2.IamInstanceProfileSpecification{Name: "web"}}, "instance/*",
			`"ArnEquals":{"ec2:NewInstanceProfile":"arn:aws:iam::123456789012:instance-profile/apps/web"}`, met},
		{"DescribeInstances", &ec2.DescribeInstancesInput{}, "*", `"StringEquals":{"ec2:InstanceType":"t3.nano"}`, unmet},
	} {
		resource := c.resource
		if resource != "*" {
			resource = is(resource)
		}
		decide := func(statements string) error {
			iam := &auth.IAM{Policies: onePolicy(statements), Tags: map[string]auth.ResourceTags{"ec2": held}}
			call := auth.Call{Principal: who, Scope: scope, Service: "ec2", Operation: c.operation}
			for _, r := range call.Requests(c.input) {
				if i := slices.IndexFunc(r.Resources, func(on string) bool { return c.resource == "*" || policy.Match(resource, on) }); i >= 0 {
					r.Resources = r.Resources[i : i+1]
					return iam.Authorize(t.Context(), r)
				}
			}
			t.Fatalf("%s does not act on %s", c.operation, resource)
			return nil
		}
		allowed := decide(`{"Effect":"Allow","Action":"*","Resource":"`+resource+`","Condition":{`+c.condition+`}}`) == nil
		denied := decide(`[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"`+resource+`","Condition":{`+c.condition+`}}]`) != nil
		got := map[[2]bool]string{{true, true}: met, {false, false}: unmet, {false, true}: unknown}[[2]bool{allowed, denied}]
		if got != c.want {
			t.Errorf("%s: %s is %q (allowed %t, denied %t), want %s", c.operation, c.condition, got, allowed, denied, c.want)
		}
	}
}
