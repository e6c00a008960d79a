package ec2

import (
	"context"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const interfaceAttachmentTypeName = "AWS::EC2::NetworkInterfaceAttachment"

type interfaceAttachmentProperties struct {
	DeleteOnTermination *bool  `json:"DeleteOnTermination,omitempty"`
	DeviceIndex         string `json:"DeviceIndex"`
	InstanceId          string `json:"InstanceId"`
	NetworkInterfaceId  string `json:"NetworkInterfaceId"`
}

// interfaceAttachmentHandler is AWS::EC2::NetworkInterfaceAttachment: its physical
// id is the attachment's, "eni-attach-…".
type interfaceAttachmentHandler struct{ svc api.Service }

func interfaceAttachmentType(svc api.Service) cfn.Type {
	h := interfaceAttachmentHandler{svc}
	return cfn.Type{Name: interfaceAttachmentTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

// create attaches the interface. DeleteOnTermination is true where the template
// says nothing, unlike in the API.
func (h interfaceAttachmentHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p interfaceAttachmentProperties
	if err := resource.Decode(interfaceAttachmentTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	index, err := strconv.ParseInt(p.DeviceIndex, 10, 32)
	if err != nil {
		return cfn.Result{}, fault.New(fault.InvalidParameterValue, "Value (%.64s) for parameter DeviceIndex is invalid. Expecting a number.", p.DeviceIndex)
	}
	i, err := interfaceHandler(h).find(ctx, p.NetworkInterfaceId)
	if err != nil {
		return cfn.Result{}, err
	}
	var id string
	if a := i.Attachment; a != nil && a.InstanceId == p.InstanceId && value(a.DeviceIndex) == int32(index) {
		id = a.AttachmentId // by a first run of this very action
	} else {
		out, err := h.svc.AttachNetworkInterface(ctx, &api.AttachNetworkInterfaceInput{
			DeviceIndex: ptr(int32(index)), InstanceId: p.InstanceId, NetworkInterfaceId: p.NetworkInterfaceId,
		})
		if err != nil {
			return cfn.Result{}, err
		}
		id = out.AttachmentId
	}
	r.Initiated(id)
	return h.result(id), h.keep(ctx, id, p)
}

func (h interfaceAttachmentHandler) result(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"AttachmentId": id}}
}

// keep says whether the interface ends with its instance.
func (h interfaceAttachmentHandler) keep(ctx context.Context, id string, p interfaceAttachmentProperties) error {
	ends := p.DeleteOnTermination == nil || *p.DeleteOnTermination
	_, err := h.svc.ModifyNetworkInterfaceAttribute(ctx, &api.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: p.NetworkInterfaceId, Attachment: &api.NetworkInterfaceAttachmentChanges{AttachmentId: id, DeleteOnTermination: &ends},
	})
	return err
}

func (h interfaceAttachmentHandler) find(ctx context.Context, id string) (*api.NetworkInterface, error) {
	out, err := h.svc.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{Filters: []api.Filter{{Name: "attachment.attachment-id", Values: []string{id}}}})
	if err != nil {
		return nil, err
	}
	if len(out.NetworkInterfaces) == 0 {
		return nil, resource.Missing(interfaceAttachmentTypeName, id)
	}
	return &out.NetworkInterfaces[0], nil
}

func (h interfaceAttachmentHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	i, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(interfaceAttachmentProperties{
		DeleteOnTermination: i.Attachment.DeleteOnTermination, DeviceIndex: strconv.Itoa(int(value(i.Attachment.DeviceIndex))),
		InstanceId: i.Attachment.InstanceId, NetworkInterfaceId: i.NetworkInterfaceId,
	})
	if err != nil {
		return nil, err
	}
	out["AttachmentId"] = r.PhysicalID
	return out, nil
}

func (h interfaceAttachmentHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p interfaceAttachmentProperties
	if err := resource.Decode(interfaceAttachmentTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if _, err := h.find(ctx, r.PhysicalID); err != nil {
		return cfn.Result{}, err
	}
	return h.result(r.PhysicalID), h.keep(ctx, r.PhysicalID, p)
}

func (h interfaceAttachmentHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DetachNetworkInterface(ctx, &api.DetachNetworkInterfaceInput{AttachmentId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidAttachmentIDNotFound)
}

func (h interfaceAttachmentHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, i := range out.NetworkInterfaces {
		// An instance's primary interface is no attachment that a template makes.
		if i.Attachment != nil && value(i.Attachment.DeviceIndex) > 0 {
			ids = append(ids, i.Attachment.AttachmentId)
		}
	}
	return ids, nil
}
