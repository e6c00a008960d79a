package ec2

import (
	"slices"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

// aclWith finds a network ACL by a filter.
func (c *cloud) aclWith(t *testing.T, name, value string) api.NetworkAcl {
	t.Helper()
	list := must(c.DescribeNetworkAcls(c.ctx, &api.DescribeNetworkAclsInput{Filters: []api.Filter{{Name: name, Values: []string{value}}}}))(t).NetworkAcls
	if len(list) != 1 {
		t.Fatalf("%s=%s finds %+v", name, value, list)
	}
	return list[0]
}

func entry(acl string, number int32, egress bool, protocol, action string, from, to int32) *api.CreateNetworkAclEntryInput {
	in := &api.CreateNetworkAclEntryInput{
		NetworkAclId: acl, RuleNumber: ptr(number), Egress: ptr(egress), Protocol: protocol, RuleAction: action, CidrBlock: "10.0.2.7/24",
	}
	if protocol == "6" || protocol == "tcp" || protocol == "17" {
		in.PortRange = &api.PortRange{From: ptr(from), To: ptr(to)}
	}
	return in
}

func TestNetworkACLsAreInThePolicy(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	i := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.public; in.PrivateIpAddress = "10.0.1.9" })
	if got := c.policyLines("filter"); len(got) != 0 {
		t.Errorf("before there is any: %q", got)
	}
	own := must(c.CreateNetworkAcl(c.ctx, &api.CreateNetworkAclInput{VpcId: s.vpc, ClientToken: "once"}))(t).NetworkAcl
	again := must(c.CreateNetworkAcl(c.ctx, &api.CreateNetworkAclInput{VpcId: s.vpc, ClientToken: "once"}))(t).NetworkAcl
	if own.NetworkAclId != again.NetworkAclId || *own.IsDefault || len(own.Entries) != 2 || own.Entries[0].RuleAction != "deny" || len(own.Associations) != 0 {
		t.Errorf("made %+v, then %+v", own, again)
	}
	must(c.CreateNetworkAclEntry(c.ctx, entry(own.NetworkAclId, 200, false, "tcp", "allow", 80, 81)))(t)
	must(c.CreateNetworkAclEntry(c.ctx, entry(own.NetworkAclId, 100, false, "6", "deny", 81, 81)))(t)
	must(c.CreateNetworkAclEntry(c.ctx, entry(own.NetworkAclId, 100, true, "-1", "allow", 0, 0)))(t)
	_, err := c.CreateNetworkAclEntry(c.ctx, entry(own.NetworkAclId, 100, true, "-1", "allow", 0, 0))
	wantFault(t, err, fault.NetworkACLEntryAlreadyExists, "The network acl entry identified by 100 already exists.")
	if got := c.policyLines("endpoint 10.0.1.9 "); len(got) != 1 || slices.Contains(got, "filter") {
		t.Errorf("before the subnet has it: %q", got)
	}

	before := c.aclWith(t, "association.subnet-id", s.public)
	if !*before.IsDefault || len(before.Associations) != 2 {
		t.Errorf("the subnets' first ACL is %+v", before)
	}
	at := slices.IndexFunc(before.Associations, func(a api.NetworkAclAssociation) bool { return a.SubnetId == s.public })
	next := must(c.ReplaceNetworkAclAssociation(c.ctx, &api.ReplaceNetworkAclAssociationInput{
		AssociationId: before.Associations[at].NetworkAclAssociationId, NetworkAclId: own.NetworkAclId,
	}))(t).NewAssociationId
	if got := c.aclWith(t, "association.association-id", next); got.NetworkAclId != own.NetworkAclId || got.Associations[0].SubnetId != s.public {
		t.Errorf("the subnet's is %+v", got)
	}
	want := []string{
		"filter " + own.NetworkAclId + " in drop protocol 6 81-81 10.0.2.0/24", "filter " + own.NetworkAclId + " in pass protocol 6 80-81 10.0.2.0/24",
		"filter " + own.NetworkAclId + " in drop all 0.0.0.0/0",
		"filter " + own.NetworkAclId + " out pass all 10.0.2.0/24", "filter " + own.NetworkAclId + " out drop all 0.0.0.0/0",
	}
	if got := c.policyLines("filter"); !slices.Equal(got, want) {
		t.Errorf("policy %q, want %q", got, want)
	}
	line := "endpoint 10.0.1.9 in " + s.vpc + " by " + s.table + " public " + i.PublicIpAddress + " groups " + i.SecurityGroups[0].GroupId + " filter " + own.NetworkAclId + " subnet " + s.public
	if got := c.policyLines("endpoint 10.0.1.9 "); got[0] != line {
		t.Errorf("got %q, want %q", got[0], line)
	}
	c.restart("boot-1")
	change := entry(own.NetworkAclId, 100, false, "udp", "allow", 53, 53)
	change.PortRange = &api.PortRange{From: ptr(int32(53)), To: ptr(int32(53))}
	r := api.ReplaceNetworkAclEntryInput(*change)
	must(c.ReplaceNetworkAclEntry(c.ctx, &r))(t)
	must(c.DeleteNetworkAclEntry(c.ctx, &api.DeleteNetworkAclEntryInput{NetworkAclId: own.NetworkAclId, RuleNumber: ptr(int32(200)), Egress: ptr(false)}))(t)
	if got := c.policyLines("filter " + own.NetworkAclId + " in"); len(got) != 2 || got[0] != "filter "+own.NetworkAclId+" in pass protocol 17 53-53 10.0.2.0/24" {
		t.Errorf("after a change: %q", got)
	}
	_, err = c.DeleteNetworkAclEntry(c.ctx, &api.DeleteNetworkAclEntryInput{NetworkAclId: own.NetworkAclId, RuleNumber: ptr(int32(200)), Egress: ptr(false)})
	wantFault(t, err, fault.InvalidNetworkACLEntryNotFound, "")
	keys := must(c.ResourceKeys(c.ctx, testScope.ARN("ec2", "network-acl/"+own.NetworkAclId).String()))(t)
	if want := testScope.ARN("ec2", "vpc/"+s.vpc).String(); !slices.Equal(keys["vpc"], []string{want}) {
		t.Errorf("policies are told %v of it", keys)
	}
	_, err = c.DeleteNetworkAcl(c.ctx, &api.DeleteNetworkAclInput{NetworkAclId: own.NetworkAclId})
	wantFault(t, err, fault.DependencyViolation, "The networkAcl '"+own.NetworkAclId+"' has dependencies and cannot be deleted.")
	must(c.ReplaceNetworkAclAssociation(c.ctx, &api.ReplaceNetworkAclAssociationInput{AssociationId: next, NetworkAclId: before.NetworkAclId}))(t)
	must(c.DeleteNetworkAcl(c.ctx, &api.DeleteNetworkAclInput{NetworkAclId: own.NetworkAclId}))(t)
	if got := c.policyLines("filter"); len(got) != 0 {
		t.Errorf("after its end: %q", got)
	}
	// The default one narrows, too, once it was changed.
	must(c.DeleteNetworkAclEntry(c.ctx, &api.DeleteNetworkAclEntryInput{NetworkAclId: before.NetworkAclId, RuleNumber: ptr(int32(100)), Egress: ptr(true)}))(t)
	if got := c.policyLines("filter " + before.NetworkAclId + " out"); len(got) != 1 {
		t.Errorf("the default one's: %q", got)
	}
	_, err = c.DeleteNetworkAcl(c.ctx, &api.DeleteNetworkAclInput{NetworkAclId: before.NetworkAclId})
	wantFault(t, err, fault.InvalidParameterValue, "cannot delete default network ACL "+before.NetworkAclId)
	if got := c.aclWith(t, "vpc-id", s.vpc); !*got.IsDefault || len(got.Associations) != 2 || len(got.Entries) != 3 {
		t.Errorf("the default one is %+v", got)
	}
	c.sound()
}

func TestNetworkACLEntriesThatAreRefused(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	acl := must(c.CreateNetworkAcl(c.ctx, &api.CreateNetworkAclInput{VpcId: s.vpc}))(t).NetworkAcl.NetworkAclId
	for name, test := range map[string]struct {
		change func(*api.CreateNetworkAclEntryInput)
		code   string
	}{
		"number 0":        {func(in *api.CreateNetworkAclEntryInput) { in.RuleNumber = ptr(int32(0)) }, fault.InvalidParameterValue},
		"the last number": {func(in *api.CreateNetworkAclEntryInput) { in.RuleNumber = ptr(int32(32767)) }, fault.InvalidParameterValue},
		"action":          {func(in *api.CreateNetworkAclEntryInput) { in.RuleAction = "pass" }, fault.InvalidParameterValue},
		"protocol":        {func(in *api.CreateNetworkAclEntryInput) { in.Protocol = "256" }, fault.InvalidParameterValue},
		"no prefix":       {func(in *api.CreateNetworkAclEntryInput) { in.CidrBlock = "" }, fault.MissingParameter},
		"bad prefix":      {func(in *api.CreateNetworkAclEntryInput) { in.CidrBlock = "10.0.0.0/33" }, fault.InvalidParameterValue},
		"no ports":        {func(in *api.CreateNetworkAclEntryInput) { in.PortRange = nil }, fault.MissingParameter},
		"ports in vain":   {func(in *api.CreateNetworkAclEntryInput) { in.PortRange.To = ptr(int32(79)) }, fault.InvalidParameterValue},
		"icmp without":    {func(in *api.CreateNetworkAclEntryInput) { in.Protocol = "icmp" }, fault.MissingParameter},
		"no such ACL":     {func(in *api.CreateNetworkAclEntryInput) { in.NetworkAclId = "acl-0123456789abcdef0" }, fault.InvalidNetworkACLIDNotFound},
		"dry":             {func(in *api.CreateNetworkAclEntryInput) { in.DryRun = ptr(true) }, fault.DryRunOperation},
	} {
		t.Run(name, func(t *testing.T) {
			in := entry(acl, 100, false, "6", "allow", 80, 80)
			test.change(in)
			_, err := c.CreateNetworkAclEntry(c.ctx, in)
			wantFault(t, err, test.code, "")
		})
	}
	_, err := c.ReplaceNetworkAclAssociation(c.ctx, &api.ReplaceNetworkAclAssociationInput{AssociationId: "aclassoc-0123456789abcdef0", NetworkAclId: acl})
	wantFault(t, err, fault.InvalidAssociationIDNotFound, "")
	_, err = c.CreateNetworkAcl(c.ctx, &api.CreateNetworkAclInput{VpcId: "vpc-0123456789abcdef0"})
	wantFault(t, err, fault.InvalidVpcIDNotFound, "")
}
