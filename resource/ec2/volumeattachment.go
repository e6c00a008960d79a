package ec2

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const volumeAttachmentTypeName = "AWS::EC2::VolumeAttachment"

type volumeAttachmentProperties struct {
	Device       string `json:"Device,omitempty"`
	EbsCardIndex *int32 `json:"EbsCardIndex,omitempty"`
	InstanceId   string `json:"InstanceId"`
	VolumeId     string `json:"VolumeId"`
}

// volumeAttachmentHandler is AWS::EC2::VolumeAttachment: its physical id is
// "vol-…|i-…". All of it is create-only.
type volumeAttachmentHandler struct{ svc api.Service }

func volumeAttachmentType(svc api.Service) cfn.Type {
	h := volumeAttachmentHandler{svc}
	return cfn.Type{Name: volumeAttachmentTypeName, Create: h.create, Read: h.read, Delete: h.delete, List: h.list}
}

func (h volumeAttachmentHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p volumeAttachmentProperties
	if err := resource.Decode(volumeAttachmentTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	_, err := h.svc.AttachVolume(ctx, &api.AttachVolumeInput{Device: p.Device, EbsCardIndex: p.EbsCardIndex, InstanceId: p.InstanceId, VolumeId: p.VolumeId})
	if err != nil {
		return cfn.Result{}, err
	}
	id := p.VolumeId + "|" + p.InstanceId
	r.Initiated(id)
	return cfn.Result{PhysicalID: id}, poll(ctx, func() (bool, error) {
		a, err := h.find(ctx, id)
		if fault.Is(err, cfn.NotFound) {
			return false, fault.New(fault.IncorrectState, "The volume %s could not be attached to %s; the server's log says why", p.VolumeId, p.InstanceId)
		}
		return err == nil && a.State == "attached", err
	})
}

func (h volumeAttachmentHandler) find(ctx context.Context, id string) (*api.VolumeAttachment, error) {
	volume, instance, _ := strings.Cut(id, "|")
	v, err := findVolume(ctx, h.svc, volumeAttachmentTypeName, volume)
	if err != nil {
		return nil, err
	}
	for _, a := range v.Attachments {
		if a.InstanceId == instance {
			return &a, nil
		}
	}
	return nil, resource.Missing(volumeAttachmentTypeName, id)
}

func (h volumeAttachmentHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	a, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	return resource.Encode(volumeAttachmentProperties{Device: a.Device, InstanceId: a.InstanceId, VolumeId: a.VolumeId})
}

// delete asks and waits until no process of the instance uses the volume. One
// that keeps it is named as the reason in the end.
func (h volumeAttachmentHandler) delete(ctx context.Context, r cfn.Request) error {
	volume, instance, _ := strings.Cut(r.PhysicalID, "|")
	if _, err := h.find(ctx, r.PhysicalID); err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, err := h.svc.DetachVolume(ctx, &api.DetachVolumeInput{VolumeId: volume, InstanceId: instance})
	if err != nil {
		return resource.Gone(err, fault.InvalidVolumeNotFound, fault.InvalidAttachmentNotFound)
	}
	return resource.Gone(poll(ctx, func() (bool, error) {
		a, err := h.find(ctx, r.PhysicalID)
		if err == nil && a.State == "attached" {
			err = fault.New(fault.IncorrectState, "The volume %s is still in use in %s: a process there has files of it open", volume, instance)
		}
		return false, err
	}), cfn.NotFound)
}

func (h volumeAttachmentHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeVolumes(ctx, &api.DescribeVolumesInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range out.Volumes {
		for _, a := range v.Attachments {
			ids = append(ids, a.VolumeId+"|"+a.InstanceId)
		}
	}
	return ids, nil
}
