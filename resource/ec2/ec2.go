// Package ec2 holds the resource types of Amazon EC2. They call api/ec2, and
// api/ssm for the private halves of key pairs. It starts no goroutine.
package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of EC2.
func Types(svc api.Service, parameters ssm.Service) []cfn.Type {
	return []cfn.Type{
		instanceType(svc), securityGroupType(svc), ingressType(svc), egressType(svc),
		eipType(svc), eipAssociationType(svc), keyPairType(svc, parameters), launchTemplateType(svc),
		vpcType(svc), subnetType(svc), gatewayType(svc), gatewayAttachmentType(svc), tableType(svc), routeType(svc), tableAssociationType(svc), natType(svc),
		interfaceType(svc), interfaceAttachmentType(svc), peeringType(svc), prefixListType(svc),
		volumeType(svc), volumeAttachmentType(svc),
		aclType(svc), aclEntryType(svc), aclAssociationType(svc), dhcpType(svc), dhcpAssociationType(svc),
	}
}

// Waits between two looks at what is under way: short at first, for an instance
// runs within a fraction of a second.
const (
	firstLook = 5 * time.Millisecond
	lastLook  = 250 * time.Millisecond
)

// poll looks until done says so, an error comes, or ctx ends.
func poll(ctx context.Context, look func() (done bool, err error)) error {
	wait := firstLook
	for {
		done, err := look()
		if done || err != nil {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
		wait = min(2*wait, lastLook)
	}
}

// specs are the tags of a new resource, for each of its types.
func specs(tags map[string]string, types ...string) []api.TagSpecification {
	if len(tags) == 0 {
		return nil
	}
	var out []api.TagSpecification
	for _, t := range types {
		out = append(out, api.TagSpecification{ResourceType: t, Tags: apiTags(tags)})
	}
	return out
}

// apiTags are in order: a repeated call with the same token must be the same.
func apiTags(tags map[string]string) []api.Tag {
	out := make([]api.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, api.Tag{Key: k, Value: tags[k]})
	}
	return out
}

func tagMap(tags []api.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out
}

// retag brings the tags of a resource to those of the request.
func retag(ctx context.Context, svc api.Service, id string, has []api.Tag, want map[string]string) error {
	set, remove := resource.Retag(tagMap(has), want)
	if len(set) > 0 {
		if _, err := svc.CreateTags(ctx, &api.CreateTagsInput{Resources: []string{id}, Tags: apiTags(set)}); err != nil {
			return err
		}
	}
	if len(remove) == 0 {
		return nil
	}
	in := &api.DeleteTagsInput{Resources: []string{id}}
	for _, k := range remove {
		in.Tags = append(in.Tags, api.Tag{Key: k})
	}
	_, err := svc.DeleteTags(ctx, in)
	return err
}

// splitGroups tells ids of security groups from names: a reference to a group
// that names no VPC gives its name, as in AWS.
func splitGroups(list []string) (ids, names []string) {
	for _, g := range list {
		if strings.HasPrefix(g, "sg-") {
			ids = append(ids, g)
		} else {
			names = append(names, g)
		}
	}
	return ids, names
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func ptr[T any](v T) *T { return &v }
