package ec2

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// imageName is the form that AWS documents.
var imageName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9()\[\] ./\-'@_]{3,128}$`) })

// newImage puts an image on record, whose name must be its account's only one.
// A durable step that did so before gets what it made.
func (s *Service) newImage(tx store.Tx, v *image, tags tagMap) (made *image, fresh bool, err error) {
	old, err := images.kept.Get(tx, images.key(v.Scope, v.ID))
	switch {
	case err == nil && v.Token != "" && old.Token == v.Token:
		return old, false, nil
	case err == nil:
		return nil, false, fault.New(fault.IdempotentParameterMatch, "The client token was used with other parameters.")
	case !errors.Is(err, store.ErrNotFound):
		return nil, false, err
	}
	if !imageName().MatchString(v.Name) {
		return nil, false, fault.New(fault.InvalidAMINameMalformed,
			"AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'")
	}
	if err := checkDescription(v.Description); err != nil {
		return nil, false, err
	}
	for e, err := range images.kept.Scan(tx, v.Scope.Key()+"/") {
		if err != nil {
			return nil, false, err
		}
		if e.Value.Name == v.Name && e.Value.State != imageFailed {
			return nil, false, fault.New(fault.InvalidAMINameDuplicate, "AMI name %s is already in use by AMI %s", v.Name, e.Value.ID)
		}
	}
	return v, true, firstError(images.put(tx, v.Scope, v), putTags(tx, v.Scope, "image", v.ID, tags))
}

// CreateImage makes an image of an instance and its volumes. Without NoReboot
// the instance is down while they are copied.
func (s *Service) CreateImage(ctx context.Context, in *api.CreateImageInput) (*api.CreateImageOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{{"SnapshotLocation=local", in.SnapshotLocation == "local"}}); err != nil {
		return nil, err
	}
	if _, err := s.disks(); err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	changes, err := checkMappings(in.BlockDeviceMappings)
	if err != nil {
		return nil, err
	}
	var made *image
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		i, err := loadInstance(tx, call.Scope, in.InstanceId)
		if err != nil {
			return err
		}
		if i.State != running && i.State != stopped {
			return fault.New(fault.IncorrectInstanceState, "The instance '%s' is not in a state from which an image can be made.", i.ID)
		}
		v := s.imageOf(call, in.Name, in.Description)
		v.Instance, v.Lower, v.Location = i.ID, lowerOf(i), call.Scope.Account+"/"+in.Name
		var fresh bool
		if made, fresh, err = s.newImage(tx, v, tags["image"]); err != nil || !fresh {
			return err
		}
		if err := s.imageSnapshots(tx, made, i, changes, tags["snapshot"]); err != nil {
			return err
		}
		p := imageChange{Scope: v.Scope, ID: v.ID, Instance: i.ID, Generation: i.Generation}
		p.Reboot = i.State == running && !value(in.NoReboot, false)
		if p.Reboot {
			i.Rebooting = flowImage + "/" + v.ID
			if err := i.save(tx); err != nil {
				return err
			}
		}
		return firstError(s.cfg.Engine.Begin(tx, flowImage, flowImage+"/"+v.ID, p), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateImageOutput{ImageId: made.ID}, nil
}

func lowerOf(in *instance) string {
	if in.Lower == "" {
		return builtinLower
	}
	return in.Lower
}

// imageOf is the record of a new image.
func (s *Service) imageOf(call auth.Call, name, description string) *image {
	return &image{
		Scope: call.Scope, ID: newID(call, prefixImage, "image"), Name: name, Description: description, Token: call.Token,
		State: imagePending, Created: s.now(), Lower: builtinLower,
	}
}

// imageSnapshots puts on record the snapshots that an image is made of.
func (s *Service) imageSnapshots(tx store.Tx, v *image, in *instance, changes []mapping, tags tagMap) error {
	have, err := volumesOf(tx, in.Scope, in.ID)
	if err != nil {
		return err
	}
	var of []mapping
	byDevice := map[string]*volume{}
	for _, vol := range have {
		byDevice[vol.Attachment.Device] = vol
		of = append(of, mapping{Device: vol.Attachment.Device, Kind: vol.Kind, Keep: !vol.Attachment.Delete})
	}
	v.Mappings = mergeMappings(of, changes)
	for n := range v.Mappings {
		m := &v.Mappings[n]
		vol := byDevice[m.Device]
		if vol == nil {
			continue // an empty one, or of another snapshot
		}
		snap := s.snapshotOf(v.Scope, arn.IDFrom(prefixSnapshot, v.ID+m.Device), vol)
		snap.Description = "Created by CreateImage(" + in.ID + ") for " + v.ID
		m.Snapshot = snap.ID
		if err := firstError(snapshots.put(tx, v.Scope, snap), putTags(tx, v.Scope, "snapshot", snap.ID, tags)); err != nil {
			return err
		}
	}
	return images.put(tx, v.Scope, v)
}

// RegisterImage makes an image of a root volume's snapshot, or of an archive or
// OCI layout in a bucket.
func (s *Service) RegisterImage(ctx context.Context, in *api.RegisterImageInput) (*api.RegisterImageOutput, error) {
	call := auth.From(ctx)
	if err := checkRegister(in); err != nil {
		return nil, err
	}
	if _, err := s.disks(); err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	changes, err := checkMappings(in.BlockDeviceMappings)
	if err != nil {
		return nil, err
	}
	if in.ImageLocation != "" {
		return s.registerArchive(ctx, in, changes, tags)
	}
	var made *image
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v := s.imageOf(call, in.Name, in.Description)
		v.Mappings, v.State, v.Location = changes, imageAvailable, call.Scope.Account+"/"+in.Name
		if err := s.registered(tx, v); err != nil {
			return err
		}
		made, _, err = s.newImage(tx, v, tags["image"])
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.RegisterImageOutput{ImageId: made.ID}, nil
}

func checkRegister(in *api.RegisterImageInput) error {
	if err := refuse([]refusal{
		{"BillingProducts", len(in.BillingProducts) > 0}, {"KernelId", in.KernelId != ""}, {"RamdiskId", in.RamdiskId != ""},
		{"TpmSupport", in.TpmSupport != ""}, {"UefiData", in.UefiData != ""}, {"ImdsSupport", in.ImdsSupport != ""},
		{"BootMode=" + in.BootMode, in.BootMode != "" && in.BootMode != "legacy-bios"},
		{"VirtualizationType=" + in.VirtualizationType, in.VirtualizationType != "" && in.VirtualizationType != "hvm"},
	}); err != nil {
		return err
	}
	if in.Architecture != "" && in.Architecture != hostArch() {
		return fault.New(fault.UnsupportedOperation, "Architecture '%s': the instances of this host are %s.", clip(in.Architecture, 32), hostArch())
	}
	if in.RootDeviceName != "" && !contains(rootDevices, in.RootDeviceName) {
		return fault.New(fault.InvalidBlockDeviceMapping, "RootDeviceName must be one of %s", strings.Join(rootDevices, ", "))
	}
	return nil
}

// registered finds the snapshots of an image that is registered from them.
func (s *Service) registered(tx store.Tx, v *image) error {
	root := false
	for i := range v.Mappings {
		m := &v.Mappings[i]
		if m.Snapshot != "" {
			snap, err := s.usableSnapshot(tx, v.Scope, m.Snapshot)
			if err != nil {
				return err
			}
			if m.Kind.GiB = max(m.Kind.GiB, snap.GiB); m.Device == rootDevice {
				root = true
				switch {
				case snap.Image:
					v.Lower = snap.ID
				case snap.Lower != "":
					v.Lower = snap.Lower
				default:
					return notBuilt("BlockDeviceMapping.Ebs.SnapshotId of a volume that was never a root volume")
				}
			}
		}
		if err := m.Kind.settle(); err != nil {
			return err
		}
	}
	if !root {
		return fault.New(fault.MissingParameter, "The request must contain a block-device mapping of the root device %s with a snapshot, or an image location", rootDevice)
	}
	return nil
}

// CopyImage copies an image and its snapshots, from this or another region.
func (s *Service) CopyImage(ctx context.Context, in *api.CopyImageInput) (*api.CopyImageOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"Encrypted", value(in.Encrypted, false)}, {"KmsKeyId", in.KmsKeyId != ""}, {"DestinationOutpostArn", in.DestinationOutpostArn != ""},
		{"SnapshotCopyCompletionDurationMinutes", in.SnapshotCopyCompletionDurationMinutes != nil},
		{"DestinationAvailabilityZone", in.DestinationAvailabilityZone+in.DestinationAvailabilityZoneId != ""},
	}); err != nil {
		return nil, err
	}
	if in.SourceRegion == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter sourceRegion")
	}
	if _, err := s.disks(); err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	var made *image
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		from, err := s.launchImage(tx, arn.Scope{Account: call.Scope.Account, Region: in.SourceRegion}, in.SourceImageId)
		if err != nil {
			return err
		}
		v := s.imageOf(call, in.Name, in.Description)
		if in.ClientToken != "" {
			v.ID, v.Token = arn.IDFrom(prefixImage, call.Scope.Key()+"/copy/"+in.ClientToken), arn.Hash(in.ClientToken+"/"+from.ID+"/"+in.Name)
		}
		v.Source, v.SourceZone, v.Lower, v.Location = from.ID, in.SourceRegion, from.Lower, call.Scope.Account+"/"+in.Name
		kept := tags["image"]
		if value(in.CopyImageTags, false) && from.Scope.Account == call.Scope.Account {
			if kept, err = s.copiedTags(tx, from, kept); err != nil {
				return err
			}
		}
		var fresh bool
		if made, fresh, err = s.newImage(tx, v, kept); err != nil || !fresh {
			return err
		}
		if err := s.copyMappings(tx, made, from, tags["snapshot"]); err != nil {
			return err
		}
		return firstError(s.cfg.Engine.Begin(tx, flowImage, flowImage+"/"+v.ID, imageChange{Scope: v.Scope, ID: v.ID}), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.CopyImageOutput{ImageId: made.ID}, nil
}

// copiedTags are a copy's tags: the users' of its source, under its own.
func (s *Service) copiedTags(tx store.Tx, from *image, own tagMap) (tagMap, error) {
	have, err := tagsOf(tx, from.Scope, from.ID)
	out := tagMap{}
	for k, v := range have {
		if !strings.HasPrefix(k, reservedPrefix) {
			out[k] = v
		}
	}
	for k, v := range own {
		out[k] = v
	}
	return out, err
}

// copyMappings puts the copies of an image's snapshots on record.
func (s *Service) copyMappings(tx store.Tx, v, from *image, tags tagMap) error {
	for _, m := range from.Mappings {
		if m.Snapshot != "" {
			old, err := s.imageSnapshot(tx, from.Scope, m.Snapshot)
			if err != nil {
				return err
			}
			snap := s.copyOf(v.Scope, arn.IDFrom(prefixSnapshot, v.ID+m.Device), old)
			snap.Description = "Copied for DestinationAmi " + v.ID + " from SourceAmi " + from.ID
			if v.Lower == m.Snapshot {
				v.Lower = snap.ID
			}
			m.Snapshot = snap.ID
			if err := firstError(snapshots.put(tx, v.Scope, snap), putTags(tx, v.Scope, "snapshot", snap.ID, tags)); err != nil {
				return err
			}
		}
		v.Mappings = append(v.Mappings, m)
	}
	return images.put(tx, v.Scope, v)
}
