package ec2

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const interfaceTypeName = "AWS::EC2::NetworkInterface"

type interfaceProperties struct {
	Description                    string             `json:"Description,omitempty"`
	GroupSet                       []string           `json:"GroupSet,omitempty"`
	InterfaceType                  string             `json:"InterfaceType,omitempty"`
	PrivateIpAddress               string             `json:"PrivateIpAddress,omitempty"`
	PrivateIpAddresses             []interfaceAddress `json:"PrivateIpAddresses,omitempty"`
	SecondaryPrivateIpAddressCount *int32             `json:"SecondaryPrivateIpAddressCount,omitempty"`
	SourceDestCheck                *bool              `json:"SourceDestCheck,omitempty"`
	SubnetId                       string             `json:"SubnetId"`
	Tags                           []resource.Tag     `json:"Tags,omitempty"`
}

type interfaceAddress struct {
	Primary          bool   `json:"Primary"`
	PrivateIpAddress string `json:"PrivateIpAddress"`
}

type interfaceHandler struct{ svc api.Service }

func interfaceType(svc api.Service) cfn.Type {
	h := interfaceHandler{svc}
	return cfn.Type{Name: interfaceTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h interfaceHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p interfaceProperties
	if err := resource.Decode(interfaceTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := checkPasses(p); err != nil {
		return cfn.Result{}, err
	}
	in := &api.CreateNetworkInterfaceInput{
		Description: p.Description, Groups: p.GroupSet, InterfaceType: p.InterfaceType, PrivateIpAddress: p.PrivateIpAddress,
		SecondaryPrivateIpAddressCount: p.SecondaryPrivateIpAddressCount, SubnetId: p.SubnetId,
		TagSpecifications: specs(resource.Tags(r, p.Tags), "network-interface"),
	}
	for _, a := range p.PrivateIpAddresses {
		in.PrivateIpAddresses = append(in.PrivateIpAddresses, api.PrivateIpAddressSpecification{Primary: ptr(a.Primary), PrivateIpAddress: a.PrivateIpAddress})
	}
	out, err := h.svc.CreateNetworkInterface(ctx, in)
	if err != nil {
		return cfn.Result{}, err
	}
	return interfaceResult(out.NetworkInterface), nil
}

// checkPasses refuses what the service would only refuse once the interface is made.
func checkPasses(p interfaceProperties) error {
	if p.SourceDestCheck != nil && !*p.SourceDestCheck {
		return fault.New(fault.NotImplemented, "%s: SourceDestCheck false is not built in Slipway yet", interfaceTypeName)
	}
	return nil
}

func interfaceResult(i *api.NetworkInterface) cfn.Result {
	return cfn.Result{PhysicalID: i.NetworkInterfaceId, Attributes: cfn.Properties{
		"Id": i.NetworkInterfaceId, "PrimaryPrivateIpAddress": i.PrivateIpAddress, "SecondaryPrivateIpAddresses": secondaries(i), "VpcId": i.VpcId,
	}}
}

func secondaries(i *api.NetworkInterface) []any {
	list := []any{}
	for _, a := range i.PrivateIpAddresses {
		if !value(a.Primary) {
			list = append(list, a.PrivateIpAddress)
		}
	}
	return list
}

func (h interfaceHandler) find(ctx context.Context, id string) (*api.NetworkInterface, error) {
	out, err := h.svc.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, interfaceTypeName, id, fault.InvalidNetworkInterfaceNotFound)
	}
	return &out.NetworkInterfaces[0], nil
}

func (h interfaceHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	i, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := interfaceProperties{
		Description: i.Description, InterfaceType: i.InterfaceType, PrivateIpAddress: i.PrivateIpAddress, SourceDestCheck: i.SourceDestCheck,
		SubnetId: i.SubnetId, Tags: resource.OwnTags(tagMap(i.TagSet)),
	}
	for _, g := range i.Groups {
		p.GroupSet = append(p.GroupSet, g.GroupId)
	}
	for _, a := range i.PrivateIpAddresses {
		p.PrivateIpAddresses = append(p.PrivateIpAddresses, interfaceAddress{value(a.Primary), a.PrivateIpAddress})
	}
	p.SecondaryPrivateIpAddressCount = ptr(int32(len(p.PrivateIpAddresses) - 1))
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	for k, v := range interfaceResult(i).Attributes {
		out[k] = v
	}
	return out, nil
}

func (h interfaceHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var prior, p interfaceProperties
	if err := resource.Decode(interfaceTypeName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(interfaceTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if value(prior.SecondaryPrivateIpAddressCount) != value(p.SecondaryPrivateIpAddressCount) || !slices.Equal(prior.PrivateIpAddresses, p.PrivateIpAddresses) {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: a change of secondary addresses is not built in Slipway yet", interfaceTypeName)
	}
	if err := checkPasses(p); err != nil {
		return cfn.Result{}, err
	}
	i, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.Description != i.Description {
		_, err := h.svc.ModifyNetworkInterfaceAttribute(ctx, &api.ModifyNetworkInterfaceAttributeInput{
			NetworkInterfaceId: i.NetworkInterfaceId, Description: &api.AttributeValue{Value: p.Description},
		})
		if err != nil {
			return cfn.Result{}, err
		}
	}
	if !slices.Equal(prior.GroupSet, p.GroupSet) {
		if err := h.regroup(ctx, i, p.GroupSet); err != nil {
			return cfn.Result{}, err
		}
	}
	return interfaceResult(i), retag(ctx, h.svc, i.NetworkInterfaceId, i.TagSet, resource.Tags(r, p.Tags))
}

// regroup gives the interface other groups; none is its VPC's default group.
func (h interfaceHandler) regroup(ctx context.Context, i *api.NetworkInterface, groups []string) error {
	if len(groups) == 0 {
		out, err := h.svc.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{Filters: []api.Filter{
			{Name: "vpc-id", Values: []string{i.VpcId}}, {Name: "group-name", Values: []string{"default"}},
		}})
		if err != nil {
			return err
		}
		for _, g := range out.SecurityGroups {
			groups = append(groups, g.GroupId)
		}
	}
	_, err := h.svc.ModifyNetworkInterfaceAttribute(ctx, &api.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: i.NetworkInterfaceId, Groups: groups})
	return err
}

func (h interfaceHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteNetworkInterface(ctx, &api.DeleteNetworkInterfaceInput{NetworkInterfaceId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidNetworkInterfaceNotFound)
}

func (h interfaceHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, i := range out.NetworkInterfaces {
		ids = append(ids, i.NetworkInterfaceId)
	}
	return ids, nil
}
