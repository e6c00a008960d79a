package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ModifyNetworkInterfaceAttribute changes one attribute of an interface, an
// instance's primary one or another. Its groups hold at once.
func (s *Service) ModifyNetworkInterfaceAttribute(ctx context.Context, in *api.ModifyNetworkInterfaceAttributeInput) (*api.ModifyNetworkInterfaceAttributeOutput, error) {
	scope := auth.From(ctx).Scope
	if err := refuse([]refusal{
		{"EnaSrdSpecification", in.EnaSrdSpecification != nil}, {"EnablePrimaryIpv6", value(in.EnablePrimaryIpv6, false)},
		{"ConnectionTrackingSpecification", in.ConnectionTrackingSpecification != nil}, {"AssociatePublicIpAddress", in.AssociatePublicIpAddress != nil},
		{"AssociatedSubnetId", len(in.AssociatedSubnetIds) > 0},
		{"SourceDestCheck=false (instances pass on no packets of others)", in.SourceDestCheck != nil && !value(in.SourceDestCheck.Value, true)},
		{"Attachment.DefaultEnaQueueCount", in.Attachment != nil && (in.Attachment.DefaultEnaQueueCount != nil || in.Attachment.EnaQueueCount != nil)},
	}); err != nil {
		return nil, err
	}
	named := 0
	for _, used := range []bool{in.Description != nil, in.SourceDestCheck != nil, len(in.Groups) > 0, in.Attachment != nil} {
		if used {
			named++
		}
	}
	if named != 1 {
		return nil, fault.New(fault.InvalidParameterCombination, "Exactly one attribute must be specified.")
	}
	err := s.update(ctx, func(tx store.Tx) error {
		i, err := s.ownInterface(tx, scope, in.NetworkInterfaceId)
		if err != nil {
			return err
		}
		if i != nil {
			return firstError(s.modifyOwn(tx, i, in), interfaces.put(tx, scope, i), dryRun(in.DryRun))
		}
		of, err := instanceByInterface(tx, scope, in.NetworkInterfaceId)
		if err != nil {
			return fault.New(fault.OperationNotPermitted, "The interface %s is managed by its NAT gateway.", in.NetworkInterfaceId)
		}
		return firstError(s.modifyPrimary(tx, of, in), of.save(tx), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyNetworkInterfaceAttributeOutput{}, nil
}

func (s *Service) modifyOwn(tx store.Tx, i *netInterface, in *api.ModifyNetworkInterfaceAttributeInput) (err error) {
	if in.Description != nil {
		i.Description = in.Description.Value
	}
	if in.SourceDestCheck != nil {
		i.SourceCheck = value(in.SourceDestCheck.Value, true)
	}
	if len(in.Groups) > 0 {
		i.Groups, err = s.resolveGroups(tx, i.Scope, i.VPC, in.Groups, nil)
	}
	if a := in.Attachment; a != nil {
		if i.Attachment == "" || a.AttachmentId != i.Attachment {
			return notFound(prefixAttachment, a.AttachmentId)
		}
		i.DeleteOnTermination = value(a.DeleteOnTermination, i.DeleteOnTermination)
	}
	return err
}

func (s *Service) modifyPrimary(tx store.Tx, of *instance, in *api.ModifyNetworkInterfaceAttributeInput) (err error) {
	if in.Description != nil {
		of.Description = in.Description.Value
	}
	if in.SourceDestCheck != nil {
		of.SourceCheck = value(in.SourceDestCheck.Value, true)
	}
	if len(in.Groups) > 0 {
		of.Groups, err = s.resolveGroups(tx, of.Scope, of.VPC, in.Groups, nil)
	}
	a := in.Attachment
	if a == nil {
		return err
	}
	if a.AttachmentId != of.Attachment {
		return notFound(prefixAttachment, a.AttachmentId)
	}
	if end := value(a.DeleteOnTermination, !of.keepsFirst()); end == of.keepsFirst() {
		first := firstInterface{Requester: of.Requester, Created: of.Created}
		if of.First != nil {
			first = *of.First
		}
		first.Keep = !end
		of.First = &first
	}
	return err
}

// DescribeNetworkInterfaceAttribute tells one attribute of an interface.
func (s *Service) DescribeNetworkInterfaceAttribute(ctx context.Context, in *api.DescribeNetworkInterfaceAttributeInput) (*api.DescribeNetworkInterfaceAttributeOutput, error) {
	all, err := s.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{in.NetworkInterfaceId}, DryRun: in.DryRun})
	if err != nil {
		return nil, err
	}
	i := all.NetworkInterfaces[0]
	out := &api.DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: i.NetworkInterfaceId}
	switch in.Attribute {
	case "description":
		out.Description = &api.AttributeValue{Value: i.Description}
	case "groupSet":
		out.Groups = i.Groups
	case "sourceDestCheck":
		out.SourceDestCheck = &api.AttributeBooleanValue{Value: i.SourceDestCheck}
	case "attachment":
		out.Attachment = i.Attachment
	case "associatePublicIpAddress":
		return nil, notBuilt("Attribute=associatePublicIpAddress")
	default:
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter attribute is invalid. Unknown attribute.", clip(in.Attribute, 64))
	}
	return out, nil
}

// ResetNetworkInterfaceAttribute sets the source/destination check on again.
func (s *Service) ResetNetworkInterfaceAttribute(ctx context.Context, in *api.ResetNetworkInterfaceAttributeInput) (*api.ResetNetworkInterfaceAttributeOutput, error) {
	_, err := s.ModifyNetworkInterfaceAttribute(ctx, &api.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: in.NetworkInterfaceId, SourceDestCheck: &api.AttributeBooleanValue{Value: ptr(true)}, DryRun: in.DryRun,
	})
	if err != nil {
		return nil, err
	}
	return &api.ResetNetworkInterfaceAttributeOutput{}, nil
}
