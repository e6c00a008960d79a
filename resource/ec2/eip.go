package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	eipName            = "AWS::EC2::EIP"
	eipAssociationName = "AWS::EC2::EIPAssociation"
)

type eipProperties struct {
	Address            string         `json:"Address,omitempty"`
	Domain             string         `json:"Domain,omitempty"`
	InstanceId         string         `json:"InstanceId,omitempty"`
	NetworkBorderGroup string         `json:"NetworkBorderGroup,omitempty"`
	PublicIpv4Pool     string         `json:"PublicIpv4Pool,omitempty"`
	Tags               []resource.Tag `json:"Tags,omitempty"`
}

// eipHandler is AWS::EC2::EIP: its physical id is the address itself.
type eipHandler struct{ svc api.Service }

func eipType(svc api.Service) cfn.Type {
	h := eipHandler{svc}
	return cfn.Type{Name: eipName, Identify: func(id map[string]string) string { return id["PublicIp"] }, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h eipHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p eipProperties
	if err := resource.Decode(eipName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.AllocateAddress(ctx, &api.AllocateAddressInput{
		Domain: p.Domain, Address: p.Address, NetworkBorderGroup: p.NetworkBorderGroup, PublicIpv4Pool: p.PublicIpv4Pool,
		TagSpecifications: specs(resource.Tags(r, p.Tags), "elastic-ip"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	result := eipResult(out.PublicIp, out.AllocationId)
	if p.InstanceId == "" {
		return result, nil
	}
	return result, associate(ctx, h.svc, out.AllocationId, p.InstanceId)
}

func eipResult(ip, allocation string) cfn.Result {
	return cfn.Result{PhysicalID: ip, Attributes: cfn.Properties{"PublicIp": ip, "AllocationId": allocation}}
}

func associate(ctx context.Context, svc api.Service, allocation, instance string) error {
	_, err := svc.AssociateAddress(ctx, &api.AssociateAddressInput{AllocationId: allocation, InstanceId: instance, AllowReassociation: ptr(true)})
	return err
}

func (h eipHandler) find(ctx context.Context, ip string) (*api.Address, error) {
	out, err := h.svc.DescribeAddresses(ctx, &api.DescribeAddressesInput{PublicIps: []string{ip}})
	if err != nil {
		return nil, resource.Found(err, eipName, ip, fault.InvalidAddressNotFound)
	}
	if len(out.Addresses) == 0 {
		return nil, resource.Missing(eipName, ip)
	}
	return &out.Addresses[0], nil
}

func (h eipHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	a, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(eipProperties{
		Domain: a.Domain, InstanceId: a.InstanceId, NetworkBorderGroup: a.NetworkBorderGroup, PublicIpv4Pool: a.PublicIpv4Pool,
		Tags: resource.OwnTags(tagMap(a.Tags)),
	})
	if err != nil {
		return nil, err
	}
	out["PublicIp"], out["AllocationId"] = a.PublicIp, a.AllocationId
	return out, nil
}

func (h eipHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior eipProperties
	if err := resource.Decode(eipName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(eipName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	if p.PublicIpv4Pool != prior.PublicIpv4Pool && p.PublicIpv4Pool != "" && p.PublicIpv4Pool != "amazon" {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: the property PublicIpv4Pool is not built in Slipway yet", eipName)
	}
	a, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	switch {
	case p.InstanceId == prior.InstanceId:
	case p.InstanceId != "":
		err = associate(ctx, h.svc, a.AllocationId, p.InstanceId)
	case a.AssociationId != "" && a.InstanceId == prior.InstanceId:
		err = disassociate(ctx, h.svc, a.AssociationId)
	}
	if err != nil {
		return cfn.Result{}, err
	}
	return eipResult(a.PublicIp, a.AllocationId), retag(ctx, h.svc, a.AllocationId, a.Tags, resource.Tags(r, p.Tags))
}

func disassociate(ctx context.Context, svc api.Service, association string) error {
	_, err := svc.DisassociateAddress(ctx, &api.DisassociateAddressInput{AssociationId: association})
	return resource.Gone(err, fault.InvalidAssociationIDNotFound)
}

func (h eipHandler) delete(ctx context.Context, r cfn.Request) error {
	a, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	if a.AssociationId != "" {
		if err := disassociate(ctx, h.svc, a.AssociationId); err != nil {
			return err
		}
	}
	_, err = h.svc.ReleaseAddress(ctx, &api.ReleaseAddressInput{AllocationId: a.AllocationId})
	return resource.Gone(err, fault.InvalidAllocationIDNotFound)
}

func (h eipHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeAddresses(ctx, &api.DescribeAddressesInput{})
	if err != nil {
		return nil, err
	}
	var ips []string
	for _, a := range out.Addresses {
		ips = append(ips, a.PublicIp)
	}
	return ips, nil
}

type eipAssociationProperties struct {
	AllocationId       string `json:"AllocationId,omitempty"`
	EIP                string `json:"EIP,omitempty"`
	InstanceId         string `json:"InstanceId,omitempty"`
	NetworkInterfaceId string `json:"NetworkInterfaceId,omitempty"`
	PrivateIpAddress   string `json:"PrivateIpAddress,omitempty"`
}

// eipAssociationHandler is AWS::EC2::EIPAssociation; all of it is create-only.
type eipAssociationHandler struct{ svc api.Service }

func eipAssociationType(svc api.Service) cfn.Type {
	h := eipAssociationHandler{svc}
	return cfn.Type{Name: eipAssociationName, Create: h.create, Read: h.read, Delete: h.delete, List: h.list}
}

func (h eipAssociationHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p eipAssociationProperties
	if err := resource.Decode(eipAssociationName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	var out *api.AssociateAddressOutput
	err := poll(ctx, func() (_ bool, err error) {
		out, err = h.svc.AssociateAddress(ctx, &api.AssociateAddressInput{
			AllocationId: p.AllocationId, PublicIp: p.EIP, InstanceId: p.InstanceId, NetworkInterfaceId: p.NetworkInterfaceId,
			PrivateIpAddress: p.PrivateIpAddress, AllowReassociation: ptr(true),
		})
		// The template need not say that the association waits for an instance that
		// its interface is given to.
		if fault.Is(err, fault.InvalidInstanceID) && h.pending(ctx, p.NetworkInterfaceId) {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: out.AssociationId, Attributes: cfn.Properties{"Id": out.AssociationId}}, nil
}

// pending reports whether the instance that has an interface is being launched.
func (h eipAssociationHandler) pending(ctx context.Context, id string) bool {
	if id == "" {
		return false
	}
	out, err := h.svc.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	if err != nil || out.NetworkInterfaces[0].Attachment == nil {
		return false
	}
	i, err := instanceHandler(h).find(ctx, out.NetworkInterfaces[0].Attachment.InstanceId)
	return err == nil && i.State.Name == "pending"
}

func (h eipAssociationHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.DescribeAddresses(ctx, &api.DescribeAddressesInput{Filters: []api.Filter{{Name: "association-id", Values: []string{r.PhysicalID}}}})
	if err != nil {
		return nil, err
	}
	if len(out.Addresses) == 0 {
		return nil, resource.Missing(eipAssociationName, r.PhysicalID)
	}
	a := out.Addresses[0]
	p, err := resource.Encode(eipAssociationProperties{
		AllocationId: a.AllocationId, EIP: a.PublicIp, InstanceId: a.InstanceId, NetworkInterfaceId: a.NetworkInterfaceId, PrivateIpAddress: a.PrivateIpAddress,
	})
	if err != nil {
		return nil, err
	}
	p["Id"] = r.PhysicalID
	return p, nil
}

func (h eipAssociationHandler) delete(ctx context.Context, r cfn.Request) error {
	return disassociate(ctx, h.svc, r.PhysicalID)
}

func (h eipAssociationHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeAddresses(ctx, &api.DescribeAddressesInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, a := range out.Addresses {
		if a.AssociationId != "" {
			ids = append(ids, a.AssociationId)
		}
	}
	return ids, nil
}
