package ec2

import (
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

func options(pairs ...string) []api.NewDhcpConfiguration {
	var out []api.NewDhcpConfiguration
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, api.NewDhcpConfiguration{Key: pairs[i], Values: []string{pairs[i+1]}})
	}
	return out
}

func TestDHCPOptionsReachInstances(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	made := must(c.CreateDhcpOptions(c.ctx, &api.CreateDhcpOptionsInput{DhcpConfigurations: append(options("domain-name", "corp.example", "ntp-servers", "10.0.0.7"),
		api.NewDhcpConfiguration{Key: "domain-name-servers", Values: []string{"10.0.0.5", "AmazonProvidedDNS"}})}))(t).DhcpOptions.DhcpOptionsId
	associate := func(id string) {
		t.Helper()
		must(c.AssociateDhcpOptions(c.ctx, &api.AssociateDhcpOptionsInput{DhcpOptionsId: id, VpcId: s.vpc}))(t)
	}
	first := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.private })
	if got := c.driver.Spec(first.InstanceId); got.Resolver != nil {
		t.Errorf("before: %+v", got.Resolver)
	}
	associate(made)
	i := c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.private })
	gateway := c.driver.Network().Gateway.String()
	if got := c.driver.Spec(i.InstanceId).Resolver; got == nil || got.Search != "corp.example" || len(got.Servers) != 2 || got.Servers[0].String() != "10.0.0.5" || got.Servers[1].String() != gateway {
		t.Errorf("the instance is told %+v", got)
	}
	if v := must(c.DescribeVpcs(c.ctx, &api.DescribeVpcsInput{VpcIds: []string{s.vpc}}))(t).Vpcs[0]; v.DhcpOptionsId != made {
		t.Errorf("the VPC has %q", v.DhcpOptionsId)
	}
	found := must(c.DescribeDhcpOptions(c.ctx, &api.DescribeDhcpOptionsInput{Filters: []api.Filter{{Name: "value", Values: []string{"corp.*"}}}}))(t).DhcpOptions
	if len(found) != 1 || len(found[0].DhcpConfigurations) != 3 {
		t.Errorf("found %+v", found)
	}
	_, err := c.DeleteDhcpOptions(c.ctx, &api.DeleteDhcpOptionsInput{DhcpOptionsId: made})
	wantFault(t, err, fault.DependencyViolation, "The dhcpOptions '"+made+"' has dependencies and cannot be deleted.")
	associate("default")
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, stopped)
	must(c.StartInstances(c.ctx, &api.StartInstancesInput{InstanceIds: []string{i.InstanceId}}))(t)
	c.await(i.InstanceId, running)
	if got := c.driver.Spec(i.InstanceId).Resolver; got == nil || got.Search != "" || len(got.Servers) != 0 {
		t.Errorf("without options the instance is told %+v", got)
	}
	must(c.DeleteDhcpOptions(c.ctx, &api.DeleteDhcpOptionsInput{DhcpOptionsId: made}))(t)
	_, err = c.AssociateDhcpOptions(c.ctx, &api.AssociateDhcpOptionsInput{DhcpOptionsId: made, VpcId: s.vpc})
	wantFault(t, err, fault.InvalidDhcpOptionIDNotFound, "")
	c.sound()
}

func TestDHCPOptionsThatAreRefused(t *testing.T) {
	c := newCloud(t)
	for _, test := range []struct{ key, value, code string }{
		{"domain-name", "a.example\nnameserver 192.0.2.1", fault.InvalidParameterValue},
		{"domain-name", "", fault.InvalidParameterValue},
		{"domain-name-servers", "dns.example", fault.InvalidParameterValue},
		{"domain-name-servers", "fd00::1", fault.InvalidParameterValue},
		{"ntp-servers", "AmazonProvidedDNS", fault.InvalidParameterValue},
		{"netbios-node-type", "3", fault.InvalidParameterValue},
		{"routers", "10.0.0.1", fault.InvalidParameterValue},
		{"ipv6-address-preferred-lease-time", "140", fault.NotImplemented},
	} {
		_, err := c.CreateDhcpOptions(c.ctx, &api.CreateDhcpOptionsInput{DhcpConfigurations: options(test.key, test.value)})
		if !fault.Is(err, test.code) {
			t.Errorf("%s=%q: got %v", test.key, test.value, err)
		}
	}
	_, err := c.CreateDhcpOptions(c.ctx, &api.CreateDhcpOptionsInput{DhcpConfigurations: []api.NewDhcpConfiguration{{Key: "ntp-servers", Values: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}}}})
	wantFault(t, err, fault.InvalidParameterValue, "At most 4 values may be specified for ntp-servers.")
}
