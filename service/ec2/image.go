package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// BuiltinImage is the id of the built-in image in a scope's region: the same in
// every account and on every host. The public parameters of Amazon Linux and
// Debian images give this id.
func BuiltinImage(scope arn.Scope) string {
	return arn.IDFrom(prefixImage, "builtin/"+scope.Region)
}

// face is one name under which the built-in image is found: templates and tools
// look for images by the names and owners of the usual distributions.
type face struct {
	Name, Description, Owner, Alias string
}

// Owners of public images ("Find an AMI", and the distributions' own pages).
const (
	ownerAmazon = "137112412989"
	ownerDebian = "136693071363"
	ownerUbuntu = "099720109477"
)

// faces are the names of the built-in image, its own one first.
func faces() []face {
	arch, debian := "x86_64", "amd64"
	if hostArch() == arm {
		arch, debian = "arm64", "arm64"
	}
	const what = "Slipway's built-in image: this host's /usr under a fresh /etc"
	return []face{
		{"slipway-builtin-" + arch, what, ownerAmazon, "amazon"},
		{"al2023-ami-2023.6.20241031.0-kernel-6.1-" + arch, what, ownerAmazon, "amazon"},
		{"al2023-ami-minimal-2023.6.20241031.0-kernel-6.1-" + arch, what, ownerAmazon, "amazon"},
		{"amzn2-ami-hvm-2.0.20241031.0-" + arch + "-gp2", what, ownerAmazon, "amazon"},
		{"amzn2-ami-kernel-5.10-hvm-2.0.20241031.0-" + arch + "-gp2", what, ownerAmazon, "amazon"},
		{"debian-11-" + debian + "-20241104-1921", what, ownerDebian, ""},
		{"debian-12-" + debian + "-20241110-1927", what, ownerDebian, ""},
		{"debian-13-" + debian + "-20250814-2204", what, ownerDebian, ""},
		{"ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-" + debian + "-server-20241002", what, ownerUbuntu, "amazon"},
		{"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-" + debian + "-server-20241109", what, ownerUbuntu, "amazon"},
	}
}

const (
	imageCreated = "2024-11-10T00:00:00.000Z"
	rootDevice   = "/dev/xvda"
)

type imageView struct {
	face
	id   string
	tags tagMap
}

func imageFields(v imageView, name string) ([]string, bool) {
	switch name {
	case "architecture":
		return one(hostArch())
	case "block-device-mapping.device-name", "root-device-name":
		return one(rootDevice)
	case "block-device-mapping.delete-on-termination":
		return oneBool(true)
	case "block-device-mapping.volume-type":
		return one("gp3")
	case "block-device-mapping.encrypted":
		return oneBool(false)
	case "creation-date":
		return one(imageCreated)
	case "description":
		return one(v.Description)
	case "ena-support", "is-public":
		return oneBool(true)
	case "hypervisor":
		return one("xen")
	case "image-id":
		return one(v.id)
	case "image-type":
		return one("machine")
	case "manifest-location":
		return one("amazon/" + v.Name)
	case "name":
		return one(v.Name)
	case "owner-alias":
		return one(v.Alias)
	case "owner-id":
		return one(v.Owner)
	case "root-device-type":
		return one("ebs")
	case "state":
		return one("available")
	case "sriov-net-support":
		return one("simple")
	case "virtualization-type":
		return one("hvm")
	case "kernel-id", "ramdisk-id", "platform", "product-code", "product-code.type", "state-reason-code", "state-reason-message",
		"block-device-mapping.snapshot-id", "block-device-mapping.volume-size", "source-instance-id", "source-image-id", "source-image-region":
		return nil, true
	}
	return tagFields(v.tags, name)
}

// DescribeImages finds the built-in image, under whichever of its names fits the
// call. It is public and belongs to nobody's account.
func (s *Service) DescribeImages(ctx context.Context, in *api.DescribeImagesInput) (*api.DescribeImagesOutput, error) {
	scope := auth.From(ctx).Scope
	m, err := newMatcher(in.Filters, imageFields)
	if err != nil {
		return nil, err
	}
	if _, err := newIDSet(prefixImage, in.ImageIds); err != nil {
		return nil, err
	}
	id := BuiltinImage(scope)
	if lost := missing(in.ImageIds, func(n string) bool { return n == id }); len(lost) > 0 {
		return nil, notFound(prefixImage, lost...)
	}
	for _, o := range in.Owners {
		if !arn.IsAccount(o) && !contains([]string{"self", "amazon", "aws-marketplace", "aws-backup-vault"}, o) {
			return nil, fault.New(fault.InvalidParameterValue, "Invalid value '%s' for owner. Expecting an account id, self, amazon or aws-marketplace.", clip(o, 64))
		}
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	out := &api.DescribeImagesOutput{Images: []api.Image{}}
	executable := len(in.ExecutableUsers) == 0 || contains(in.ExecutableUsers, "all")
	for _, f := range faces() {
		v := imageView{face: f, id: id}
		if executable && f.ownedBy(in.Owners) && m.match(v) {
			out.Images = append(out.Images, v.view())
			break // one image, whatever the number of its names
		}
	}
	page, next, err := paginate(out.Images, func(i api.Image) string { return i.ImageId }, in.NextToken, in.MaxResults, pageLimits{1, 1000})
	out.Images, out.NextToken = page, next
	return out, err
}

func (f face) ownedBy(owners []string) bool {
	if len(owners) == 0 {
		return true
	}
	for _, o := range owners {
		if o == f.Owner || o != "self" && o == f.Alias {
			return true
		}
	}
	return false
}

func (v imageView) view() api.Image {
	return api.Image{
		ImageId: v.id, Name: v.Name, Description: v.Description, OwnerId: v.Owner, ImageOwnerAlias: v.Alias,
		ImageLocation: "amazon/" + v.Name, ImageType: "machine", State: "available", Public: ptr(true),
		Architecture: hostArch(), CreationDate: imageCreated, EnaSupport: ptr(true), SriovNetSupport: "simple",
		Hypervisor: "xen", VirtualizationType: "hvm", RootDeviceName: rootDevice, RootDeviceType: "ebs",
		PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", Tags: []api.Tag{},
		BlockDeviceMappings: []api.BlockDeviceMapping{{
			DeviceName: rootDevice,
			Ebs:        &api.EbsBlockDevice{DeleteOnTermination: ptr(true), VolumeType: "gp3", Encrypted: ptr(false)},
		}},
	}
}
