package ec2

import (
	"context"
	"errors"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// volumeStatusView is a volume with what its host says of it now.
type volumeStatusView struct {
	taggedVolume
	status string
}

// DescribeVolumeStatus asks the host about each volume.
func (s *Service) DescribeVolumeStatus(ctx context.Context, in *api.DescribeVolumeStatusInput) (*api.DescribeVolumeStatusOutput, error) {
	m, err := newMatcher(in.Filters, volumeStatusFields)
	if err != nil {
		return nil, err
	}
	if err := noPagesOfIDs("volumesSet", in.VolumeIds, in.MaxResults); err != nil {
		return nil, err
	}
	all, _, err := list(ctx, s, listing[taggedVolume]{
		prefix: prefixVolume, ids: in.VolumeIds, fields: volumeFields, dry: in.DryRun, limits: pagesOf1000,
		id: func(v taggedVolume) string { return v.ID }, load: s.taggedVolumes,
	})
	if err != nil {
		return nil, err
	}
	var found []volumeStatusView
	for _, v := range all {
		view := volumeStatusView{v, ""}
		if view.status, err = s.lookAtVolume(ctx, v.volume); err != nil {
			return nil, err
		}
		if m.match(view) {
			found = append(found, view)
		}
	}
	page, next, err := paginate(found, func(v volumeStatusView) string { return v.ID }, in.NextToken, in.MaxResults, pagesOf1000)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeVolumeStatusOutput{NextToken: next, VolumeStatuses: []api.VolumeStatusItem{}}
	for _, v := range page {
		out.VolumeStatuses = append(out.VolumeStatuses, v.view())
	}
	return out, nil
}

// lookAtVolume asks the driver about one volume.
func (s *Service) lookAtVolume(ctx context.Context, v *volume) (string, error) {
	if v.State != volumeAvailable && v.State != volumeInUse {
		return "insufficient-data", nil
	}
	d, err := s.disks()
	if err != nil {
		return "insufficient-data", nil //nolint:nilerr // a host without volumes knows nothing of them
	}
	st, err := d.StatVolume(ctx, v.ID)
	switch {
	case errors.Is(err, compute.ErrGone):
		return "impaired", nil
	case err != nil:
		return "", err
	case st.Bytes < v.Kind.GiB<<30:
		return "impaired", nil
	}
	return "ok", nil
}

func (v volumeStatusView) view() api.VolumeStatusItem {
	io := map[string]string{"ok": "passed", "impaired": "failed"}[v.status]
	o := api.VolumeStatusItem{
		VolumeId: v.ID, AvailabilityZone: v.Zone, AvailabilityZoneId: zoneID(v.Zone), Actions: []api.VolumeStatusAction{}, Events: []api.VolumeStatusEvent{},
		VolumeStatus: &api.VolumeStatusInfo{Status: v.status},
	}
	if io != "" {
		o.VolumeStatus.Details = []api.VolumeStatusDetails{{Name: "io-enabled", Status: io}, {Name: "io-performance", Status: "not-applicable"}}
	}
	return o
}

func volumeStatusFields(v volumeStatusView, name string) ([]string, bool) {
	switch name {
	case "availability-zone", "availability-zone-id":
		return volumeFields(v.taggedVolume, name)
	case "volume-status.status":
		return one(v.status)
	case "volume-status.details-name":
		return []string{"io-enabled", "io-performance"}, true
	case "volume-status.details-status":
		return one(map[string]string{"ok": "passed", "impaired": "failed"}[v.status])
	case "action.code", "action.description", "action.event-id", "event.description", "event.event-id", "event.event-type", "event.not-after", "event.not-before":
		return nil, true
	}
	return nil, false
}

// EnableVolumeIO lets a volume be used again whose data may have been damaged.
// None here is ever held back, so there is nothing to do for one that is there.
func (s *Service) EnableVolumeIO(ctx context.Context, in *api.EnableVolumeIOInput) (*api.EnableVolumeIOOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		_, err := volumes.get(s, tx, scope, in.VolumeId)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.EnableVolumeIOOutput{}, nil
}

// DescribeVolumeAttribute tells one attribute of a volume.
func (s *Service) DescribeVolumeAttribute(ctx context.Context, in *api.DescribeVolumeAttributeInput) (*api.DescribeVolumeAttributeOutput, error) {
	scope := auth.From(ctx).Scope
	out := &api.DescribeVolumeAttributeOutput{VolumeId: in.VolumeId}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := volumes.get(s, tx, scope, in.VolumeId)
		if err != nil {
			return err
		}
		switch in.Attribute {
		case "autoEnableIO":
			out.AutoEnableIO = &api.AttributeBooleanValue{Value: ptr(v.AutoIO)}
		case "productCodes":
			out.ProductCodes = []api.ProductCode{}
		default:
			return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter attribute is invalid. Unknown attribute.", clip(in.Attribute, 64))
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ModifyVolumeAttribute sets the one attribute that can be set.
func (s *Service) ModifyVolumeAttribute(ctx context.Context, in *api.ModifyVolumeAttributeInput) (*api.ModifyVolumeAttributeOutput, error) {
	scope := auth.From(ctx).Scope
	if in.AutoEnableIO == nil || in.AutoEnableIO.Value == nil {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter autoEnableIO")
	}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := volumes.get(s, tx, scope, in.VolumeId)
		if err != nil {
			return err
		}
		v.AutoIO = *in.AutoEnableIO.Value
		return firstError(volumes.put(tx, scope, v), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyVolumeAttributeOutput{}, nil
}
