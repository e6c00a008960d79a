package ec2

import (
	"context"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// changeImage changes one of the caller's images.
func (s *Service) changeImage(ctx context.Context, id string, dry *bool, change func(store.Tx, *image) error) error {
	scope := auth.From(ctx).Scope
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if id == BuiltinImage(scope) {
			return fault.New(fault.AuthFailure, "Not authorized for image:%s", id)
		}
		v, err := images.get(s, tx, scope, id)
		if err != nil {
			return err
		}
		return firstError(change(tx, v), images.put(tx, scope, v), dryRun(dry))
	})
}

// cooldown is how long protection lasts after it was taken away, where it was
// given with one ("Protect an Amazon EC2 AMI from deregistration").
const cooldown = 24 * time.Hour

// DeregisterImage forgets an image; instances made of it go on. Its snapshots
// stay unless the call says otherwise.
func (s *Service) DeregisterImage(ctx context.Context, in *api.DeregisterImageInput) (*api.DeregisterImageOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.DeregisterImageOutput{Return: ptr(true)}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		out.DeleteSnapshotResults = nil
		if in.ImageId == BuiltinImage(scope) {
			return fault.New(fault.AuthFailure, "Not authorized for image:%s", in.ImageId)
		}
		v, err := images.get(s, tx, scope, in.ImageId)
		if err != nil {
			return err
		}
		if v.Protected || s.now().Before(v.FreeAfter) {
			return fault.New(fault.OperationNotPermitted, "The image '%s' is protected from deregistration.", v.ID)
		}
		if err := firstError(images.remove(tx, scope, v.ID), dryRun(in.DryRun)); err != nil {
			return err
		}
		for _, m := range v.Mappings {
			if m.Snapshot == "" || !value(in.DeleteAssociatedSnapshots, false) {
				continue
			}
			code, err := s.dropAssociated(tx, v, m.Snapshot)
			if err != nil {
				return err
			}
			out.DeleteSnapshotResults = append(out.DeleteSnapshotResults, api.DeleteSnapshotReturnCode{SnapshotId: m.Snapshot, ReturnCode: code})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// dropAssociated deletes a snapshot with its image, unless another needs it.
func (s *Service) dropAssociated(tx store.Tx, v *image, id string) (string, error) {
	snap, err := snapshots.get(s, tx, v.Scope, id)
	if fault.Is(err, fault.InvalidSnapshotNotFound) {
		return "success", nil
	}
	if err == nil {
		err = s.dropSnapshot(tx, snap)
	}
	if fault.Is(err, fault.InvalidSnapshotInUse) {
		return "skipped", nil
	}
	return "success", err
}

// DisableImage keeps an image from being launched, and takes it from everyone
// that it was shared with.
func (s *Service) DisableImage(ctx context.Context, in *api.DisableImageInput) (*api.DisableImageOutput, error) {
	err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error {
		if v.State != imageAvailable && v.State != imageDisabled {
			return fault.New(fault.IncorrectState, "The image '%s' is %s.", v.ID, v.State)
		}
		v.State, v.Shared = imageDisabled, sharing{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DisableImageOutput{Return: ptr(true)}, nil
}

// EnableImage makes a disabled image available.
func (s *Service) EnableImage(ctx context.Context, in *api.EnableImageInput) (*api.EnableImageOutput, error) {
	err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error {
		if v.State != imageAvailable && v.State != imageDisabled {
			return fault.New(fault.IncorrectState, "The image '%s' is %s.", v.ID, v.State)
		}
		v.State = imageAvailable
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.EnableImageOutput{Return: ptr(true)}, nil
}

// EnableImageDeprecation sets the time from which others no longer find an image.
func (s *Service) EnableImageDeprecation(ctx context.Context, in *api.EnableImageDeprecationInput) (*api.EnableImageDeprecationOutput, error) {
	if in.DeprecateAt == nil {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter DeprecateAt")
	}
	if !in.DeprecateAt.After(s.now()) || in.DeprecateAt.After(s.now().AddDate(10, 0, 0)) {
		return nil, fault.New(fault.InvalidParameterValue, "DeprecateAt must be in the future, and at most 10 years from now.")
	}
	err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error {
		v.Deprecated = in.DeprecateAt.UTC().Truncate(time.Minute)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.EnableImageDeprecationOutput{Return: ptr(true)}, nil
}

// DisableImageDeprecation takes that time away.
func (s *Service) DisableImageDeprecation(ctx context.Context, in *api.DisableImageDeprecationInput) (*api.DisableImageDeprecationOutput, error) {
	if err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error { v.Deprecated = time.Time{}; return nil }); err != nil {
		return nil, err
	}
	return &api.DisableImageDeprecationOutput{Return: ptr(true)}, nil
}

// EnableImageDeregistrationProtection keeps an image from being deregistered.
func (s *Service) EnableImageDeregistrationProtection(ctx context.Context, in *api.EnableImageDeregistrationProtectionInput) (*api.EnableImageDeregistrationProtectionOutput, error) {
	out := &api.EnableImageDeregistrationProtectionOutput{}
	err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error {
		v.Protected, v.Cooldown, v.FreeAfter = true, value(in.WithCooldown, false), time.Time{}
		out.Return = v.protection()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DisableImageDeregistrationProtection lets an image be deregistered, after a
// day where it was protected with a cooldown.
func (s *Service) DisableImageDeregistrationProtection(ctx context.Context, in *api.DisableImageDeregistrationProtectionInput) (*api.DisableImageDeregistrationProtectionOutput, error) {
	out := &api.DisableImageDeregistrationProtectionOutput{}
	err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error {
		if v.Protected && v.Cooldown {
			v.FreeAfter = s.now().Add(cooldown)
		}
		v.Protected, v.Cooldown = false, false
		out.Return = v.protection()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeImageAttribute tells one attribute of an image.
func (s *Service) DescribeImageAttribute(ctx context.Context, in *api.DescribeImageAttributeInput) (*api.DescribeImageAttributeOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.DescribeImageAttributeOutput{ImageId: in.ImageId}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := s.visibleImage(tx, scope, in.ImageId)
		if err != nil {
			return err
		}
		if v.Scope != scope {
			return fault.New(fault.AuthFailure, "Not authorized for image:%s", in.ImageId)
		}
		switch in.Attribute {
		case "description":
			out.Description = &api.AttributeValue{Value: v.Description}
		case "launchPermission":
			out.LaunchPermissions = []api.LaunchPermission{}
			if v.Shared.Public {
				out.LaunchPermissions = append(out.LaunchPermissions, api.LaunchPermission{Group: "all"})
			}
			for _, a := range v.Shared.Accounts {
				out.LaunchPermissions = append(out.LaunchPermissions, api.LaunchPermission{UserId: a})
			}
		case "blockDeviceMapping":
			out.BlockDeviceMappings = mappingViews(v.Mappings)
		case "sriovNetSupport":
			out.SriovNetSupport = &api.AttributeValue{Value: "simple"}
		case "lastLaunchedTime":
			if !v.Launched.IsZero() {
				out.LastLaunchedTime = &api.AttributeValue{Value: v.Launched.UTC().Format(timeLayout)}
			}
		case "deregistrationProtection":
			out.DeregistrationProtection = &api.AttributeValue{Value: v.protection()}
		case "productCodes":
			out.ProductCodes = []api.ProductCode{}
		case "kernel", "ramdisk", "bootMode", "tpmSupport", "uefiData", "imdsSupport": // no image has these
		default:
			return unknownAttribute(in.Attribute)
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ModifyImageAttribute changes an image's description, or who may launch it.
func (s *Service) ModifyImageAttribute(ctx context.Context, in *api.ModifyImageAttributeInput) (*api.ModifyImageAttributeOutput, error) {
	if err := refuse([]refusal{
		{"ProductCode", len(in.ProductCodes) > 0 || in.Attribute == "productCodes"},
		{"OrganizationArn", len(in.OrganizationArns)+len(in.OrganizationalUnitArns) > 0},
		{"ImdsSupport", in.ImdsSupport != nil || in.Attribute == "imdsSupport"},
	}); err != nil {
		return nil, err
	}
	description := in.Description
	if in.Attribute == "description" {
		description = &api.AttributeValue{Value: in.Value}
	}
	if description != nil {
		if err := checkDescription(description.Value); err != nil {
			return nil, err
		}
		err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error { v.Description = description.Value; return nil })
		if err != nil {
			return nil, err
		}
		return &api.ModifyImageAttributeOutput{}, nil
	}
	if in.Attribute != "" && in.Attribute != "launchPermission" {
		return nil, unknownAttribute(in.Attribute)
	}
	add, remove, err := launchGrantees(in.LaunchPermission)
	if err != nil {
		return nil, err
	}
	if err := byOperation(in.OperationType, in.UserIds, in.UserGroups, &add, &remove); err != nil {
		return nil, err
	}
	err = s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error {
		if v.State == imageDisabled {
			return fault.New(fault.IncorrectState, "The image '%s' is disabled.", v.ID)
		}
		return v.Shared.change(add, remove)
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyImageAttributeOutput{}, nil
}

func launchGrantees(p *api.LaunchPermissionModifications) (add, remove []grantee, err error) {
	if p == nil {
		return nil, nil, nil
	}
	read := func(list []api.LaunchPermission) (out []grantee) {
		for _, l := range list {
			if l.OrganizationArn != "" || l.OrganizationalUnitArn != "" {
				err = notBuilt("LaunchPermission.OrganizationArn")
			}
			out = append(out, grantee{l.UserId, l.Group})
		}
		return out
	}
	return read(p.Add), read(p.Remove), err
}

// ResetImageAttribute lets only its owner launch an image.
func (s *Service) ResetImageAttribute(ctx context.Context, in *api.ResetImageAttributeInput) (*api.ResetImageAttributeOutput, error) {
	if in.Attribute != "launchPermission" {
		return nil, unknownAttribute(in.Attribute)
	}
	err := s.changeImage(ctx, in.ImageId, in.DryRun, func(_ store.Tx, v *image) error { v.Shared = sharing{}; return nil })
	if err != nil {
		return nil, err
	}
	return &api.ResetImageAttributeOutput{}, nil
}
