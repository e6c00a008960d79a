package ec2

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func TestTags(t *testing.T) {
	c := newCloud(t)
	i := c.run(func(in *api.RunInstancesInput) {
		in.TagSpecifications = []api.TagSpecification{{ResourceType: "network-interface", Tags: []api.Tag{{Key: "nic", Value: "1"}}}}
	})
	n := c.network(testScope)
	ids := []string{i.InstanceId, n.VPC, n.Group, n.Subnets[1].ID}
	must(c.CreateTags(c.ctx, &api.CreateTagsInput{Resources: ids, Tags: []api.Tag{{Key: "Name", Value: "x"}, {Key: "env", Value: "test"}}}))(t)
	must(c.CreateTags(c.ctx, &api.CreateTagsInput{Resources: ids[:1], Tags: []api.Tag{{Key: "Name", Value: "y"}}}))(t)
	if tags := c.describe(i.InstanceId).Tags; len(tags) != 2 || tags[0] != (api.Tag{Key: "Name", Value: "y"}) {
		t.Errorf("instance tags %v", tags)
	}
	out := must(c.DescribeTags(c.ctx, &api.DescribeTagsInput{Filters: []api.Filter{{Name: "key", Values: []string{"Name"}}, {Name: "resource-type", Values: []string{"vpc", "subnet"}}}}))(t)
	if len(out.Tags) != 2 || out.Tags[0].Value != "x" {
		t.Errorf("DescribeTags gave %+v", out.Tags)
	}
	if all := must(c.DescribeTags(c.ctx, &api.DescribeTagsInput{}))(t); len(all.Tags) != 9 {
		t.Errorf("%d tags, want 9", len(all.Tags))
	}
	vpcs := must(c.DescribeVpcs(c.ctx, &api.DescribeVpcsInput{Filters: []api.Filter{{Name: "tag:env", Values: []string{"test"}}}}))(t)
	if len(vpcs.Vpcs) != 1 || vpcs.Vpcs[0].Tags[0].Value != "x" {
		t.Errorf("vpcs %+v", vpcs.Vpcs)
	}
	must(c.DeleteTags(c.ctx, &api.DeleteTagsInput{Resources: ids, Tags: []api.Tag{{Key: "Name", Value: "x"}, {Key: "none"}}}))(t)
	if tags := c.describe(i.InstanceId).Tags; len(tags) != 2 {
		t.Errorf("a tag with another value was deleted: %v", tags)
	}
	must(c.DeleteTags(c.ctx, &api.DeleteTagsInput{Resources: ids}))(t)
	if tags := c.describe(i.InstanceId).Tags; len(tags) != 0 {
		t.Errorf("left: %v", tags)
	}
}

func TestTagLimits(t *testing.T) {
	c := newCloud(t)
	id := c.group("web")
	tag := func(key, value string) *api.CreateTagsInput {
		return &api.CreateTagsInput{Resources: []string{id}, Tags: []api.Tag{{Key: key, Value: value}}}
	}
	many := &api.CreateTagsInput{Resources: []string{id}}
	for n := range maxTags {
		many.Tags = append(many.Tags, api.Tag{Key: fmt.Sprint(n)})
	}
	must(c.CreateTags(c.ctx, many))(t)
	for name, tc := range map[string]struct {
		in            *api.CreateTagsInput
		code, message string
	}{
		"too many":  {tag("more", ""), fault.TagLimitExceeded, ""},
		"reserved":  {tag("aws:mine", ""), fault.InvalidParameterValue, "Tag keys starting with 'aws:' are reserved for internal use"},
		"Reserved":  {tag("AWS:mine", ""), fault.InvalidParameterValue, ""},
		"no key":    {tag("", "v"), fault.InvalidParameterValue, ""},
		"long key":  {tag(strings.Repeat("k", 129), ""), fault.InvalidParameterValue, ""},
		"long":      {tag("k", strings.Repeat("v", 257)), fault.InvalidParameterValue, ""},
		"malformed": {&api.CreateTagsInput{Resources: []string{"web"}, Tags: many.Tags}, fault.InvalidID, "The ID 'web' is not valid"},
		"unknown":   {&api.CreateTagsInput{Resources: []string{"sg-00000000"}, Tags: many.Tags[:1]}, fault.InvalidGroupNotFound, ""},
		"image":     {&api.CreateTagsInput{Resources: []string{BuiltinImage(testScope)}, Tags: many.Tags[:1]}, fault.InvalidAMIIDNotFound, ""},
		"no tags":   {&api.CreateTagsInput{Resources: []string{id}}, fault.MissingParameter, ""},
		"nothing":   {&api.CreateTagsInput{Tags: many.Tags}, fault.MissingParameter, ""},
		"dry run":   {&api.CreateTagsInput{Resources: []string{id}, Tags: []api.Tag{{Key: "0", Value: "dry"}}, DryRun: ptr(true)}, fault.DryRunOperation, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.CreateTags(c.ctx, tc.in)
			wantFault(t, err, tc.code, tc.message)
		})
	}
	// CloudFormation's own tags come with a durable step and do not count.
	must(c.CreateTags(auth.WithToken(c.ctx, "step"), tag("aws:cloudformation:stack-name", "s")))(t)
	must(c.DeleteTags(c.ctx, &api.DeleteTagsInput{Resources: []string{id}}))(t)
	if tags := c.describeGroup(id).Tags; len(tags) != 1 || tags[0].Key != "aws:cloudformation:stack-name" {
		t.Errorf("left: %v", tags)
	}
}
