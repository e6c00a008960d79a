package ec2

import (
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func (c *cloud) group(name string) string {
	c.t.Helper()
	out, err := c.CreateSecurityGroup(c.ctx, &api.CreateSecurityGroupInput{GroupName: name, Description: name})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.GroupId
}

func tcp(port int32, cidr string) []api.IpPermission {
	return []api.IpPermission{{IpProtocol: "tcp", FromPort: &port, ToPort: &port, IpRanges: []api.IpRange{{CidrIp: cidr}}}}
}

func (c *cloud) describeGroup(id string) api.SecurityGroup {
	c.t.Helper()
	out, err := c.DescribeSecurityGroups(c.ctx, &api.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.SecurityGroups[0]
}

func TestSecurityGroupRules(t *testing.T) {
	c := newCloud(t)
	id := c.group("web")
	g := c.describeGroup(id)
	if len(g.IpPermissions) != 0 || len(g.IpPermissionsEgress) != 1 || g.IpPermissionsEgress[0].IpProtocol != "-1" || g.IpPermissionsEgress[0].FromPort != nil {
		t.Errorf("a new group has rules %+v, %+v", g.IpPermissions, g.IpPermissionsEgress)
	}
	in := &api.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(22, "10.1.2.3/8")}
	made := must(c.AuthorizeSecurityGroupIngress(c.ctx, in))(t)
	if r := made.SecurityGroupRules[0]; r.CidrIpv4 != "10.0.0.0/8" || *r.IsEgress || !wellFormed(prefixRule, r.SecurityGroupRuleId) {
		t.Errorf("made %+v", r)
	}
	_, err := c.AuthorizeSecurityGroupIngress(c.ctx, in)
	wantFault(t, err, fault.InvalidPermissionDuplicate, `the specified rule "peer: 10.0.0.0/8, TCP, from port: 22, to port: 22, ALLOW" already exists`)
	must(c.AuthorizeSecurityGroupIngress(c.ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: id, IpProtocol: "6", FromPort: ptr(int32(22)), ToPort: ptr(int32(22)), CidrIp: "0.0.0.0/0"}))(t)
	must(c.AuthorizeSecurityGroupIngress(c.ctx, &api.AuthorizeSecurityGroupIngressInput{GroupName: "web", IpPermissions: []api.IpPermission{{IpProtocol: "-1", UserIdGroupPairs: []api.UserIdGroupPair{{GroupName: "default"}}}}}))(t)
	g = c.describeGroup(id)
	if len(g.IpPermissions) != 2 || len(g.IpPermissions[0].IpRanges) != 2 || *g.IpPermissions[0].FromPort != 22 || g.IpPermissions[1].UserIdGroupPairs[0].GroupId != c.network(testScope).Group {
		t.Errorf("got %+v", g.IpPermissions)
	}
	rules := must(c.DescribeSecurityGroupRules(c.ctx, &api.DescribeSecurityGroupRulesInput{Filters: []api.Filter{{Name: "group-id", Values: []string{id}}}}))(t)
	if len(rules.SecurityGroupRules) != 4 {
		t.Errorf("%d rules, want 4", len(rules.SecurityGroupRules))
	}
	must(c.RevokeSecurityGroupIngress(c.ctx, &api.RevokeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(22, "10.0.0.0/8")}))(t)
	_, err = c.RevokeSecurityGroupIngress(c.ctx, &api.RevokeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(22, "10.0.0.0/8")})
	wantFault(t, err, fault.InvalidPermissionNotFound, "The specified rule does not exist in this security group.")
	egress := g.IpPermissionsEgress
	must(c.RevokeSecurityGroupEgress(c.ctx, &api.RevokeSecurityGroupEgressInput{GroupId: id, IpPermissions: egress}))(t)
	if g = c.describeGroup(id); len(g.IpPermissionsEgress) != 0 || len(g.IpPermissions[0].IpRanges) != 1 {
		t.Errorf("after the revocations: %+v, %+v", g.IpPermissions, g.IpPermissionsEgress)
	}
}

func TestRulesAreValidated(t *testing.T) {
	c := newCloud(t)
	id := c.group("web")
	port := func(from, to int32) api.IpPermission {
		return api.IpPermission{IpProtocol: "tcp", FromPort: &from, ToPort: &to, IpRanges: []api.IpRange{{CidrIp: "0.0.0.0/0"}}}
	}
	for name, tc := range map[string]struct {
		permission    api.IpPermission
		code, message string
	}{
		"cidr":        {api.IpPermission{IpProtocol: "-1", IpRanges: []api.IpRange{{CidrIp: "10.0.0.0/33"}}}, fault.InvalidParameterValue, "CIDR block 10.0.0.0/33 is malformed"},
		"no mask":     {api.IpPermission{IpProtocol: "-1", IpRanges: []api.IpRange{{CidrIp: "10.0.0.1"}}}, fault.InvalidParameterValue, "CIDR block 10.0.0.1 is malformed"},
		"wrong kind":  {api.IpPermission{IpProtocol: "-1", Ipv6Ranges: []api.Ipv6Range{{CidrIpv6: "10.0.0.0/8"}}}, fault.InvalidParameterValue, ""},
		"protocol":    {api.IpPermission{IpProtocol: "carrier-pigeon", IpRanges: []api.IpRange{{CidrIp: "0.0.0.0/0"}}}, fault.InvalidParameterValue, "Invalid value 'carrier-pigeon' for IP protocol. Unknown protocol."},
		"no ports":    {api.IpPermission{IpProtocol: "tcp", IpRanges: []api.IpRange{{CidrIp: "0.0.0.0/0"}}}, fault.InvalidParameterValue, "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."},
		"reversed":    {port(100, 50), fault.InvalidParameterValue, "Invalid TCP/UDP port range (100:50)"},
		"high":        {port(1, 70000), fault.InvalidParameterValue, "TCP/UDP port (70000) out of range"},
		"icmp":        {api.IpPermission{IpProtocol: "icmp", FromPort: ptr(int32(300)), ToPort: ptr(int32(-1)), IpRanges: []api.IpRange{{CidrIp: "0.0.0.0/0"}}}, fault.InvalidParameterValue, "ICMP type (300) out of range"},
		"description": {api.IpPermission{IpProtocol: "-1", IpRanges: []api.IpRange{{CidrIp: "0.0.0.0/0", Description: "é"}}}, fault.InvalidParameterValue, ""},
		"nobody":      {api.IpPermission{IpProtocol: "-1"}, fault.InvalidPermissionMalformed, ""},
		"group":       {api.IpPermission{IpProtocol: "-1", UserIdGroupPairs: []api.UserIdGroupPair{{GroupId: "sg-00000000"}}}, fault.InvalidGroupNotFound, ""},
		"list":        {api.IpPermission{IpProtocol: "-1", PrefixListIds: []api.PrefixListId{{PrefixListId: "pl-00000000"}}}, fault.InvalidPrefixListIDNotFound, ""},
		"twice":       {api.IpPermission{IpProtocol: "-1", IpRanges: []api.IpRange{{CidrIp: "0.0.0.0/0"}, {CidrIp: "1.2.3.4/0"}}}, fault.InvalidPermissionDuplicate, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.AuthorizeSecurityGroupIngress(c.ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: []api.IpPermission{tc.permission}})
			wantFault(t, err, tc.code, tc.message)
		})
	}
	if g := c.describeGroup(id); len(g.IpPermissions) != 0 {
		t.Errorf("refused rules were kept: %+v", g.IpPermissions)
	}
}

func TestSecurityGroupsAreKept(t *testing.T) {
	c := newCloud(t)
	vpc := c.network(testScope).VPC
	id := c.group("web")
	_, err := c.CreateSecurityGroup(c.ctx, &api.CreateSecurityGroupInput{GroupName: "web", Description: "again"})
	wantFault(t, err, fault.InvalidGroupDuplicate, "The security group 'web' already exists for VPC '"+vpc+"'")
	_, err = c.DeleteSecurityGroup(c.ctx, &api.DeleteSecurityGroupInput{GroupName: "default"})
	wantFault(t, err, fault.CannotDelete, `the specified group: "`+c.network(testScope).Group+`" name: "default" cannot be deleted by a user`)
	_, err = c.DescribeSecurityGroups(c.ctx, &api.DescribeSecurityGroupsInput{GroupNames: []string{"none"}})
	wantFault(t, err, fault.InvalidGroupNotFound, "The security group 'none' does not exist in default VPC '"+vpc+"'")

	i := c.run(func(in *api.RunInstancesInput) { in.SecurityGroups = []string{"web"} })
	other := c.group("other")
	must(c.AuthorizeSecurityGroupIngress(c.ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: i.SecurityGroups[0].GroupId, IpPermissions: []api.IpPermission{{IpProtocol: "-1", UserIdGroupPairs: []api.UserIdGroupPair{{GroupId: other}}}}}))(t)
	for _, used := range []string{id, other} {
		_, err = c.DeleteSecurityGroup(c.ctx, &api.DeleteSecurityGroupInput{GroupId: used})
		wantFault(t, err, fault.DependencyViolation, "resource "+used+" has a dependent object")
	}
	must(c.TerminateInstances(c.ctx, &api.TerminateInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, terminated)
	for _, free := range []string{id, other} {
		must(c.DeleteSecurityGroup(c.ctx, &api.DeleteSecurityGroupInput{GroupId: free}))(t)
	}
	_, err = c.DeleteSecurityGroup(c.ctx, &api.DeleteSecurityGroupInput{GroupId: id})
	wantFault(t, err, fault.InvalidGroupNotFound, "The security group '"+id+"' does not exist")
}

func TestARepeatedStepFindsItsGroupAndRules(t *testing.T) {
	c := newCloud(t)
	step := auth.WithToken(c.ctx, "stack/Firewall/create")
	in := &api.CreateSecurityGroupInput{GroupName: "web", Description: "web"}
	one, two := must(c.CreateSecurityGroup(step, in))(t), must(c.CreateSecurityGroup(step, in))(t)
	if one.GroupId != two.GroupId {
		t.Errorf("made %s and %s", one.GroupId, two.GroupId)
	}
	rule := &api.AuthorizeSecurityGroupIngressInput{GroupId: one.GroupId, IpPermissions: tcp(80, "0.0.0.0/0")}
	first, second := must(c.AuthorizeSecurityGroupIngress(step, rule))(t), must(c.AuthorizeSecurityGroupIngress(step, rule))(t)
	if first.SecurityGroupRules[0].SecurityGroupRuleId != second.SecurityGroupRules[0].SecurityGroupRuleId {
		t.Errorf("the repeated rule has another id")
	}
	_, err := c.CreateSecurityGroup(auth.WithToken(c.ctx, "another"), in)
	wantFault(t, err, fault.InvalidGroupDuplicate, "")
}

func TestModifyRules(t *testing.T) {
	c := newCloud(t)
	id := c.group("web")
	made := must(c.AuthorizeSecurityGroupIngress(c.ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: tcp(80, "0.0.0.0/0")}))(t)
	rule := made.SecurityGroupRules[0].SecurityGroupRuleId
	to := func(r api.SecurityGroupRuleRequest) *api.ModifySecurityGroupRulesInput {
		return &api.ModifySecurityGroupRulesInput{GroupId: id, SecurityGroupRules: []api.SecurityGroupRuleUpdate{{SecurityGroupRuleId: rule, SecurityGroupRule: &r}}}
	}
	must(c.ModifySecurityGroupRules(c.ctx, to(api.SecurityGroupRuleRequest{IpProtocol: "tcp", FromPort: ptr(int32(443)), ToPort: ptr(int32(443)), CidrIpv4: "10.0.0.0/8", Description: "tls"})))(t)
	if p := c.describeGroup(id).IpPermissions[0]; *p.FromPort != 443 || p.IpRanges[0].Description != "tls" {
		t.Errorf("got %+v", p)
	}
	_, err := c.ModifySecurityGroupRules(c.ctx, to(api.SecurityGroupRuleRequest{IpProtocol: "-1", CidrIpv6: "::/0"}))
	wantFault(t, err, fault.InvalidParameterValue, "")
	must(c.UpdateSecurityGroupRuleDescriptionsIngress(c.ctx, &api.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: id, SecurityGroupRuleDescriptions: []api.SecurityGroupRuleDescription{{SecurityGroupRuleId: rule, Description: "web"}}}))(t)
	if p := c.describeGroup(id).IpPermissions[0]; p.IpRanges[0].Description != "web" {
		t.Errorf("got %+v", p)
	}
}
