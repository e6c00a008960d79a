package ec2

import (
	"fmt"
	"slices"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

func TestWildcard(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"abc", "abc", true}, {"abc", "ABC", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"*", "", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"a*c*e", "abcde", true}, {"a*c*f", "abcde", false},
		{`a\*c`, "a*c", true}, {`a\*c`, "abc", false}, {`a\?`, "a?", true}, {"**b", "ab", true}, {"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	} {
		if got := wildcard(tc.pattern, tc.s); got != tc.want {
			t.Errorf("wildcard(%q, %q) = %t", tc.pattern, tc.s, got)
		}
	}
}

func TestInstanceFilters(t *testing.T) {
	c := newCloud(t)
	one := c.run(func(in *api.RunInstancesInput) {
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "instance", Tags: []api.Tag{{Key: "Name", Value: "web-1"}, {Key: "env", Value: "test"}}}}
	})
	two := c.run(func(in *api.RunInstancesInput) {
		in.Placement = &api.Placement{AvailabilityZone: "us-east-1c"}
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "instance", Tags: []api.Tag{{Key: "Name", Value: "db-1"}}}}
	})
	must(c.StopInstances(c.ctx, &api.StopInstancesInput{InstanceIds: []string{two.InstanceId}}))(t)
	c.await(two.InstanceId, stopped)
	both := []string{one.InstanceId, two.InstanceId}
	for _, tc := range []struct {
		name   string
		values []string
		want   []string
	}{
		{"tag:Name", []string{"web-*"}, both[:1]},
		{"tag:Name", []string{"web-?", "db-?"}, both},
		{"tag-key", []string{"env"}, both[:1]},
		{"instance-state-name", []string{"running"}, both[:1]},
		{"instance-state-code", []string{"80"}, both[1:]},
		{"availability-zone", []string{"us-east-1c"}, both[1:]},
		{"availability-zone-id", []string{"use1-az1"}, both[:1]},
		{"private-ip-address", []string{one.PrivateIpAddress}, both[:1]},
		{"network-interface.addresses.private-ip-address", []string{two.PrivateIpAddress}, both[1:]},
		{"ip-address", []string{one.PublicIpAddress}, both[:1]},
		{"instance-id", []string{"i-*"}, both},
		{"vpc-id", []string{"vpc-00000000"}, nil},
		{"image-id", []string{BuiltinImage(testScope)}, both},
		{"instance.group-name", []string{"default"}, both},
		{"state-reason-code", []string{"Client.*"}, both[1:]},
		{"platform", []string{"windows"}, nil},
	} {
		out, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: []api.Filter{{Name: tc.name, Values: tc.values}}})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var got []string
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				got = append(got, i.InstanceId)
			}
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(tc.want))
		if !slices.Equal(got, want) {
			t.Errorf("%s=%v: got %v, want %v", tc.name, tc.values, got, want)
		}
	}
	_, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: []api.Filter{{Name: "colour", Values: []string{"red"}}}})
	wantFault(t, err, fault.InvalidParameterValue, "The filter 'colour' is invalid")
	_, err = c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: []api.Filter{{Name: "tag-key", Values: make([]string, 201)}}})
	wantFault(t, err, fault.FilterLimitExceeded, "")
}

// Every Describe operation that filters refuses an unknown filter, also where
// there is nothing to filter.
func TestUnknownFiltersAreRefused(t *testing.T) {
	c := newCloud(t)
	bad := []api.Filter{{Name: "colour", Values: []string{"red"}}}
	calls := map[string]func() error{
		"DescribeInstances": func() error {
			_, err := c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{Filters: bad})
			return err
		},
		"DescribeInstanceStatus": func() error {
			_, err := c.DescribeInstanceStatus(c.ctx, &api.DescribeInstanceStatusInput{Filters: bad})
			return err
		},
		"DescribeSecurityGroups": func() error {
			_, err := c.DescribeSecurityGroups(c.ctx, &api.DescribeSecurityGroupsInput{Filters: bad})
			return err
		},
		"DescribeAddresses": func() error {
			_, err := c.DescribeAddresses(c.ctx, &api.DescribeAddressesInput{Filters: bad})
			return err
		},
		"DescribeKeyPairs": func() error {
			_, err := c.DescribeKeyPairs(c.ctx, &api.DescribeKeyPairsInput{Filters: bad})
			return err
		},
		"DescribeImages":  func() error { _, err := c.DescribeImages(c.ctx, &api.DescribeImagesInput{Filters: bad}); return err },
		"DescribeVpcs":    func() error { _, err := c.DescribeVpcs(c.ctx, &api.DescribeVpcsInput{Filters: bad}); return err },
		"DescribeSubnets": func() error { _, err := c.DescribeSubnets(c.ctx, &api.DescribeSubnetsInput{Filters: bad}); return err },
		"DescribeRouteTables": func() error {
			_, err := c.DescribeRouteTables(c.ctx, &api.DescribeRouteTablesInput{Filters: bad})
			return err
		},
		"DescribeTags":    func() error { _, err := c.DescribeTags(c.ctx, &api.DescribeTagsInput{Filters: bad}); return err },
		"DescribeRegions": func() error { _, err := c.DescribeRegions(c.ctx, &api.DescribeRegionsInput{Filters: bad}); return err },
		"DescribeInstanceTypes": func() error {
			_, err := c.DescribeInstanceTypes(c.ctx, &api.DescribeInstanceTypesInput{Filters: bad})
			return err
		},
		"DescribeAvailabilityZones": func() error {
			_, err := c.DescribeAvailabilityZones(c.ctx, &api.DescribeAvailabilityZonesInput{Filters: bad})
			return err
		},
		"DescribeNetworkInterfaces": func() error {
			_, err := c.DescribeNetworkInterfaces(c.ctx, &api.DescribeNetworkInterfacesInput{Filters: bad})
			return err
		},
		"DescribeSecurityGroupRules": func() error {
			_, err := c.DescribeSecurityGroupRules(c.ctx, &api.DescribeSecurityGroupRulesInput{Filters: bad})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			wantFault(t, call(), fault.InvalidParameterValue, "The filter 'colour' is invalid")
		})
	}
}

func TestPages(t *testing.T) {
	c := newCloud(t)
	want := map[string]bool{c.network(testScope).Group: true}
	for n := range 11 {
		want[c.group(fmt.Sprintf("g%d", n))] = true
	}
	in := &api.DescribeSecurityGroupsInput{MaxResults: ptr(int32(5))}
	var got []string
	for pages := 0; ; pages++ {
		out := must(c.DescribeSecurityGroups(c.ctx, in))(t)
		for _, g := range out.SecurityGroups {
			got = append(got, g.GroupId)
			delete(want, g.GroupId)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			if pages != 2 {
				t.Errorf("%d further pages", pages)
			}
			break
		}
	}
	if len(got) != 12 || len(want) != 0 {
		t.Errorf("got %d groups, missed %v", len(got), want)
	}
	_, err := c.DescribeSecurityGroups(c.ctx, &api.DescribeSecurityGroupsInput{NextToken: "nonsense"})
	wantFault(t, err, fault.InvalidNextToken, "")
	_, err = c.DescribeSecurityGroups(c.ctx, &api.DescribeSecurityGroupsInput{MaxResults: ptr(int32(4))})
	wantFault(t, err, fault.InvalidParameterValue, "Value ( 4 ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.")
	i := c.run()
	_, err = c.DescribeInstances(c.ctx, &api.DescribeInstancesInput{InstanceIds: []string{i.InstanceId}, MaxResults: ptr(int32(5))})
	wantFault(t, err, fault.InvalidParameterCombination, "The parameter instancesSet cannot be used with the parameter maxResults")
}
