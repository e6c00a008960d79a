package ec2

import (
	"context"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

// Every filter that the API reference documents is known, and no other.
func TestNetworkFilters(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	c.run(func(in *api.RunInstancesInput) { in.SubnetId = s.public })
	both := func(prefix, names string) string {
		var out []string
		for _, n := range strings.Fields(names) {
			out = append(out, prefix+n)
		}
		return strings.Join(out, " ")
	}
	permission := "cidr from-port group-id group-name ipv6-cidr prefix-list-id protocol to-port user-id"
	for _, tt := range []struct {
		name    string
		filters string
		ask     func(ctx context.Context, f []api.Filter) error
	}{
		{"vpcs", "cidr cidr-block-association.cidr-block cidr-block-association.association-id cidr-block-association.state dhcp-options-id ipv6-cidr-block-association.ipv6-cidr-block ipv6-cidr-block-association.ipv6-pool ipv6-cidr-block-association.association-id ipv6-cidr-block-association.state is-default owner-id state vpc-id",
			func(ctx context.Context, f []api.Filter) error {
				_, err := c.DescribeVpcs(ctx, &api.DescribeVpcsInput{Filters: f})
				return err
			}},
		{"subnets", "availability-zone availability-zone-id available-ip-address-count cidr-block customer-owned-ipv4-pool default-for-az enable-dns64 enable-lni-at-device-index ipv6-cidr-block-association.ipv6-cidr-block ipv6-cidr-block-association.association-id ipv6-cidr-block-association.state ipv6-native map-customer-owned-ip-on-launch map-public-ip-on-launch outpost-arn owner-id private-dns-name-options-on-launch.hostname-type private-dns-name-options-on-launch.enable-resource-name-dns-a-record private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record state subnet-arn subnet-id vpc-id",
			func(ctx context.Context, f []api.Filter) error {
				_, err := c.DescribeSubnets(ctx, &api.DescribeSubnetsInput{Filters: f})
				return err
			}},
		{"route tables", "association.gateway-id association.route-table-association-id association.route-table-id association.subnet-id association.main owner-id route-table-id route.destination-cidr-block route.destination-ipv6-cidr-block route.destination-prefix-list-id route.egress-only-internet-gateway-id route.gateway-id route.instance-id route.nat-gateway-id route.transit-gateway-id route.origin route.state route.vpc-peering-connection-id vpc-id",
			func(ctx context.Context, f []api.Filter) error {
				_, err := c.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{Filters: f})
				return err
			}},
		{"internet gateways", "attachment.state attachment.vpc-id internet-gateway-id owner-id", func(ctx context.Context, f []api.Filter) error {
			_, err := c.DescribeInternetGateways(ctx, &api.DescribeInternetGatewaysInput{Filters: f})
			return err
		}},
		{"NAT gateways", "nat-gateway-id state subnet-id vpc-id", func(ctx context.Context, f []api.Filter) error {
			_, err := c.DescribeNatGateways(ctx, &api.DescribeNatGatewaysInput{Filter: f})
			return err
		}},
		{"network interfaces", "association.allocation-id association.association-id addresses.association.owner-id addresses.association.public-ip addresses.primary addresses.private-ip-address association.ip-owner-id association.public-ip association.public-dns-name attachment.attach-time attachment.attachment-id attachment.delete-on-termination attachment.device-index attachment.instance-id attachment.instance-owner-id attachment.status availability-zone availability-zone-id description group-id ipv6-addresses.ipv6-address interface-type mac-address network-interface-id operator.managed operator.principal owner-id private-dns-name private-ip-address requester-id requester-managed source-dest-check status subnet-id vpc-id",
			func(ctx context.Context, f []api.Filter) error {
				_, err := c.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{Filters: f})
				return err
			}},
		{"security groups", "description group-id group-name owner-id vpc-id " + both("ip-permission.", permission) + " " + both("egress.ip-permission.", permission),
			func(ctx context.Context, f []api.Filter) error {
				_, err := c.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{Filters: f})
				return err
			}},
		{"security group rules", "group-id security-group-rule-id", func(ctx context.Context, f []api.Filter) error {
			_, err := c.DescribeSecurityGroupRules(ctx, &api.DescribeSecurityGroupRulesInput{Filters: f})
			return err
		}},
		{"groups for a VPC", "group-id description group-name owner-id primary-vpc-id", func(ctx context.Context, f []api.Filter) error {
			_, err := c.GetSecurityGroupsForVpc(ctx, &api.GetSecurityGroupsForVpcInput{VpcId: s.vpc, Filters: f})
			return err
		}},
		{"peering connections", "expiration-time status-code status-message vpc-peering-connection-id " + both("accepter-vpc-info.", "cidr-block owner-id vpc-id") + " " + both("requester-vpc-info.", "cidr-block owner-id vpc-id"),
			func(ctx context.Context, f []api.Filter) error {
				_, err := c.DescribeVpcPeeringConnections(ctx, &api.DescribeVpcPeeringConnectionsInput{Filters: f})
				return err
			}},
		{"prefix lists", "owner-id prefix-list-id prefix-list-name", func(ctx context.Context, f []api.Filter) error {
			_, err := c.DescribeManagedPrefixLists(ctx, &api.DescribeManagedPrefixListsInput{Filters: f})
			return err
		}},
		{"addresses", "allocation-id association-id instance-id network-border-group network-interface-id network-interface-owner-id private-ip-address public-ip", func(ctx context.Context, f []api.Filter) error {
			_, err := c.DescribeAddresses(ctx, &api.DescribeAddressesInput{Filters: f})
			return err
		}},
		{"DHCP options", "dhcp-options-id key value owner-id", func(ctx context.Context, f []api.Filter) error {
			_, err := c.DescribeDhcpOptions(ctx, &api.DescribeDhcpOptionsInput{Filters: f})
			return err
		}},
		{"network ACLs", "association.association-id association.network-acl-id association.subnet-id default entry.cidr entry.icmp.code entry.icmp.type entry.ipv6-cidr entry.port-range.from entry.port-range.to entry.protocol entry.rule-action entry.egress entry.rule-number network-acl-id owner-id vpc-id",
			func(ctx context.Context, f []api.Filter) error {
				_, err := c.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{Filters: f})
				return err
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range append(strings.Fields(tt.filters), "tag:Name", "tag-key") {
				if err := tt.ask(c.ctx, []api.Filter{{Name: name, Values: []string{"*"}}}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			wantFault(t, tt.ask(c.ctx, []api.Filter{{Name: "no-such-filter", Values: []string{"x"}}}), fault.InvalidParameterValue, "The filter 'no-such-filter' is invalid")
		})
	}
}

func TestFiltersPickNetworks(t *testing.T) {
	c := newCloud(t)
	s := c.site(t)
	must(c.CreateTags(c.ctx, &api.CreateTagsInput{Resources: []string{s.vpc, s.public, s.gateway, s.table}, Tags: []api.Tag{{Key: "Name", Value: "site"}}}))(t)
	named := []api.Filter{{Name: "tag:Name", Values: []string{"s?te"}}}
	if v := must(c.DescribeVpcs(c.ctx, &api.DescribeVpcsInput{Filters: named}))(t).Vpcs; len(v) != 1 || v[0].VpcId != s.vpc || *v[0].IsDefault {
		t.Errorf("VPCs %+v", v)
	}
	if n := must(c.DescribeSubnets(c.ctx, &api.DescribeSubnetsInput{Filters: named}))(t).Subnets; len(n) != 1 || n[0].SubnetId != s.public {
		t.Errorf("subnets %+v", n)
	}
	tables := must(c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{Filters: []api.Filter{{Name: "association.subnet-id", Values: []string{s.public}}}}))(t).RouteTables
	if len(tables) != 1 || tables[0].RouteTableId != s.table {
		t.Errorf("route tables %+v", tables)
	}
	all := must(c.DescribeSubnets(c.ctx, &api.DescribeSubnetsInput{MaxResults: ptr(int32(5))}))(t)
	if len(all.Subnets) != 5 || all.NextToken != "" {
		t.Errorf("%d subnets, next %q", len(all.Subnets), all.NextToken)
	}
	_, err := c.DescribeSubnets(c.ctx, &api.DescribeSubnetsInput{MaxResults: ptr(int32(4))})
	wantFault(t, err, fault.InvalidParameterValue, "Value ( 4 ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.")
	tags := must(c.DescribeTags(c.ctx, &api.DescribeTagsInput{Filters: []api.Filter{{Name: "resource-type", Values: []string{"internet-gateway"}}}}))(t).Tags
	if len(tags) != 1 || tags[0].ResourceId != s.gateway {
		t.Errorf("tags %+v", tags)
	}
}
