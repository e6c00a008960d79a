package ec2

import (
	"fmt"
	"reflect"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// Templates, answers and launches say the same in three sets of types of the
// model, whose members have the same names but for these.
var otherNames = map[string]string{
	"RamDiskId": "RamdiskId", "ElasticGpuSpecifications": "ElasticGpuSpecification",
}

// recast copies what is set in one structure to the members of another that have
// the same names. It fails where the other has no such member.
func recast(to, from any) error {
	return recastValue(reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem())
}

func recastValue(to, from reflect.Value) error {
	switch {
	case from.IsZero():
		return nil
	case from.Type() == to.Type():
		to.Set(from)
		return nil
	case from.Kind() != to.Kind():
		return fmt.Errorf("ec2: %s is no %s", from.Type(), to.Type())
	}
	switch from.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return recastValue(to.Elem(), from.Elem())
	case reflect.Slice:
		to.Set(reflect.MakeSlice(to.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			if err := recastValue(to.Index(i), from.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Struct:
		return recastMembers(to, from)
	}
	return fmt.Errorf("ec2: %s is no %s", from.Type(), to.Type())
}

func recastMembers(to, from reflect.Value) error {
	for i := range from.NumField() {
		if from.Field(i).IsZero() {
			continue
		}
		name := from.Type().Field(i).Name
		member := to.FieldByName(name)
		if !member.IsValid() {
			member = to.FieldByName(otherNames[name])
		}
		if !member.IsValid() {
			return notBuilt("LaunchTemplateData." + name)
		}
		if err := recastValue(member, from.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// overlay sets in a structure what is set in another of its type.
func overlay[T any](over, with *T) {
	to, from := reflect.ValueOf(over).Elem(), reflect.ValueOf(with).Elem()
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// inherit is the data of a version made over another: what it names replaces
// what the source has. Snapshots of the source's volumes do not come along.
func inherit(source, data api.RequestLaunchTemplateData) (api.RequestLaunchTemplateData, error) {
	out := source
	out.BlockDeviceMappings = nil
	for _, b := range source.BlockDeviceMappings {
		if b.Ebs != nil {
			e := *b.Ebs
			e.SnapshotId, b.Ebs = "", &e
		}
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, b)
	}
	if data.InstanceRequirements != nil {
		out.InstanceType = ""
	}
	if data.InstanceType != "" {
		out.InstanceRequirements = nil
	}
	overlay(&out, &data)
	return out, nil
}

// taggedAtLaunch are the resources whose tags a template may hold.
var taggedAtLaunch = []string{"instance", "volume", "network-interface", "spot-instances-request"}

// checkTemplateData refuses what no launch could use. What is not built here is
// kept, and refused by a launch.
func checkTemplateData(call auth.Call, d *api.RequestLaunchTemplateData) error {
	if _, err := decodeUserData(d.UserData); err != nil {
		return err
	}
	if d.InstanceType != "" && d.InstanceRequirements != nil {
		return fault.New(fault.InvalidParameterCombination, "The parameters InstanceType and InstanceRequirements may not be used together.")
	}
	if d.Operator != nil {
		return notBuilt("LaunchTemplateData.Operator")
	}
	var specs []api.TagSpecification
	for _, s := range d.TagSpecifications {
		specs = append(specs, api.TagSpecification(s))
	}
	_, err := specTags(call, specs, taggedAtLaunch...)
	return err
}

// overTemplate is a launch with what its template gives: what the request names
// replaces what the template has. Tags are joined by resource type and key,
// metadata options and placement member by member.
func overTemplate(in *api.RunInstancesInput, d *api.RequestLaunchTemplateData) (*api.RunInstancesInput, error) {
	out := &api.RunInstancesInput{}
	if err := recast(out, d); err != nil {
		return nil, err
	}
	if len(in.SecurityGroupIds)+len(in.SecurityGroups) > 0 {
		out.SecurityGroupIds, out.SecurityGroups = nil, nil
	}
	tags, placement, options := out.TagSpecifications, out.Placement, out.MetadataOptions
	overlay(out, in)
	out.TagSpecifications = joinTags(tags, in.TagSpecifications)
	if placement != nil && in.Placement != nil {
		p := *placement
		if in.Placement.AvailabilityZone != "" || in.Placement.AvailabilityZoneId != "" {
			p.AvailabilityZone, p.AvailabilityZoneId = "", ""
		}
		overlay(&p, in.Placement)
		out.Placement = &p
	}
	if options != nil && in.MetadataOptions != nil {
		o := *options
		overlay(&o, in.MetadataOptions)
		out.MetadataOptions = &o
	}
	return out, nil
}

// joinTags leaves out what is for spot requests: there are none.
func joinTags(template, request []api.TagSpecification) []api.TagSpecification {
	var out []api.TagSpecification
	for _, s := range template {
		if s.ResourceType != "spot-instances-request" {
			out = append(out, api.TagSpecification{ResourceType: s.ResourceType, Tags: slices.Clone(s.Tags)})
		}
	}
	for _, s := range request {
		at := slices.IndexFunc(out, func(o api.TagSpecification) bool { return o.ResourceType == s.ResourceType })
		if at < 0 {
			out = append(out, s)
			continue
		}
		kept := slices.DeleteFunc(out[at].Tags, func(t api.Tag) bool {
			return slices.ContainsFunc(s.Tags, func(r api.Tag) bool { return r.Key == t.Key })
		})
		out[at].Tags = append(kept, s.Tags...)
	}
	return out
}
