package ec2

import (
	"context"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// taggedImage is an image with its tags.
type taggedImage struct {
	*image
	tags tagMap
}

func (t taggedImage) orZero() *image {
	if t.image == nil {
		return &image{}
	}
	return t.image
}

// imageAlike are the filters that all images answer alike.
var imageAlike = map[string][]string{
	"architecture": {hostArch()}, "ena-support": {"true"}, "hypervisor": {"xen"}, "image-type": {"machine"}, "root-device-name": {rootDevice},
	"root-device-type": {"ebs"}, "sriov-net-support": {"simple"}, "virtualization-type": {"hvm"}, "image-allowed": {"true"},
	"kernel-id": nil, "ramdisk-id": nil, "platform": nil, "product-code": nil, "product-code.type": nil, "free-tier-eligible": nil,
}

func imageFields(t taggedImage, name string) ([]string, bool) {
	v := t.orZero()
	if values, ok := imageAlike[name]; ok {
		return values, true
	}
	if values, ok := mappingFields(v.Mappings, name); ok {
		return values, true
	}
	switch name {
	case "creation-date":
		return one(v.Created.UTC().Format(timeLayout))
	case "description":
		return one(v.Description)
	case "image-id":
		return one(v.ID)
	case "is-public":
		return oneBool(v.Shared.Public)
	case "manifest-location":
		return one(v.Location)
	case "name":
		return one(v.Name)
	case "owner-alias":
		return one(v.alias)
	case "owner-id":
		return one(v.Scope.Account)
	case "source-image-id":
		return one(v.Source)
	case "source-image-region":
		return one(v.SourceZone)
	case "source-instance-id":
		return one(v.Instance)
	case "state":
		return one(v.State)
	case "state-reason-code":
		return one(pick(v.Message == "", "", "Client.InvalidSnapshot"))
	case "state-reason-message":
		return one(v.Message)
	}
	return tagFields(t.tags, name)
}

func mappingFields(list []mapping, name string) ([]string, bool) {
	var out []string
	for _, m := range list {
		out = append(out, map[string]string{
			"block-device-mapping.delete-on-termination": strconv.FormatBool(!m.Keep),
			"block-device-mapping.device-name":           m.Device,
			"block-device-mapping.encrypted":             "false",
			"block-device-mapping.snapshot-id":           m.Snapshot,
			"block-device-mapping.volume-size":           strconv.FormatInt(m.Kind.GiB, 10),
			"block-device-mapping.volume-type":           m.Kind.Type,
		}[name])
	}
	switch name {
	case "block-device-mapping.delete-on-termination", "block-device-mapping.device-name", "block-device-mapping.encrypted",
		"block-device-mapping.snapshot-id", "block-device-mapping.volume-size", "block-device-mapping.volume-type":
		return out, true
	}
	return nil, false
}

// DescribeImages finds the caller's images, those shared with it, and the
// built-in one, under whichever of its names fits the call.
func (s *Service) DescribeImages(ctx context.Context, in *api.DescribeImagesInput) (*api.DescribeImagesOutput, error) {
	account := auth.From(ctx).Scope.Account
	if err := checkOwners(in.Owners); err != nil {
		return nil, err
	}
	for _, u := range in.ExecutableUsers {
		if u != "all" && u != "self" && !arn.IsAccount(u) {
			return nil, fault.New(fault.InvalidParameterValue, "Invalid value '%s' for executableBy.", clip(u, 64))
		}
	}
	m, err := newMatcher(in.Filters, imageFields)
	if err != nil {
		return nil, err
	}
	keep := func(v taggedImage, named bool) bool {
		old := !v.Deprecated.IsZero() && !s.now().Before(v.Deprecated)
		return v.ownedBy(in.Owners, account) && v.executableBy(in.ExecutableUsers, account) && m.match(v) &&
			(!old || named || value(in.IncludeDeprecated, false) || v.Scope.Account == account) &&
			(v.State != imageDisabled || named || value(in.IncludeDisabled, false))
	}
	named := idSet{}
	for _, id := range in.ImageIds {
		named[id] = true
	}
	page, next, err := list(ctx, s, listing[taggedImage]{
		prefix: prefixImage, ids: in.ImageIds, fields: imageFields, dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pageLimits{1, 1000}, id: func(v taggedImage) string { return v.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]taggedImage, error) { return s.imagesFor(tx, scope, named, keep) },
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeImagesOutput{NextToken: next, Images: []api.Image{}}
	for _, v := range page {
		if v.image.Name != "" {
			out.Images = append(out.Images, v.view())
		}
	}
	return out, nil
}

// imagesFor lists the images that a scope sees and keep lets through. Of those
// that the caller named and keep does not, only the id is left.
func (s *Service) imagesFor(tx store.Tx, scope arn.Scope, named idSet, keep func(taggedImage, bool) bool) ([]taggedImage, error) {
	var out []taggedImage
	add := func(v taggedImage) bool {
		switch {
		case keep(v, named[v.ID]):
			out = append(out, v)
			return true
		case named[v.ID]:
			out = append(out, taggedImage{&image{ID: v.ID}, nil})
		}
		return false
	}
	for _, f := range faces() {
		if add(taggedImage{f.image(scope), nil}) {
			break // one image, whatever the number of its names
		}
	}
	tags, err := allTags(tx, scope, prefixImage)
	if err != nil {
		return nil, err
	}
	for e, err := range images.kept.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		switch v := e.Value; {
		case v.Scope == scope:
			add(taggedImage{v, tags[v.ID]})
		case v.Scope.Region == scope.Region && v.Shared.allows(scope.Account):
			add(taggedImage{v, nil})
		}
	}
	return out, nil
}

func (v *image) ownedBy(owners []string, self string) bool {
	for _, o := range owners {
		if o == v.Scope.Account || o == "self" && v.Scope.Account == self || o != "self" && o == v.alias {
			return true
		}
	}
	return len(owners) == 0
}

func (v *image) executableBy(users []string, self string) bool {
	for _, u := range users {
		switch {
		case u == "all" && v.Shared.Public:
			return true
		case u == "self" && contains(v.Shared.Accounts, self), contains(v.Shared.Accounts, u):
			return true
		}
	}
	return len(users) == 0
}

func (v taggedImage) view() api.Image {
	o := api.Image{
		ImageId: v.ID, Name: v.Name, Description: v.Description, OwnerId: v.Scope.Account, ImageOwnerAlias: v.alias,
		ImageLocation: v.Location, ImageType: "machine", State: v.State, Public: ptr(v.Shared.Public),
		Architecture: hostArch(), CreationDate: v.Created.UTC().Format(timeLayout), EnaSupport: ptr(true), SriovNetSupport: "simple",
		Hypervisor: "xen", VirtualizationType: "hvm", RootDeviceName: rootDevice, RootDeviceType: "ebs",
		PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", Tags: v.tags.list(), BlockDeviceMappings: mappingViews(v.Mappings),
		SourceInstanceId: v.Instance, SourceImageId: v.Source, SourceImageRegion: v.SourceZone, DeregistrationProtection: v.protection(),
	}
	if v.Message != "" {
		o.StateReason = &api.StateReason{Code: "Client.InvalidSnapshot", Message: v.Message}
	}
	if !v.Deprecated.IsZero() {
		o.DeprecationTime = v.Deprecated.UTC().Format(timeLayout)
	}
	if !v.Launched.IsZero() {
		o.LastLaunchedTime = v.Launched.UTC().Format(timeLayout)
	}
	return o
}

// protection is an image's protection from deregistration in the API's words.
func (v *image) protection() string {
	switch {
	case v.Protected && v.Cooldown:
		return "enabled-with-cooldown"
	case v.Protected:
		return "enabled-without-cooldown"
	}
	return "disabled"
}
