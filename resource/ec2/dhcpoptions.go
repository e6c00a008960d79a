package ec2

import (
	"context"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	dhcpName            = "AWS::EC2::DHCPOptions"
	dhcpAssociationName = "AWS::EC2::VPCDHCPOptionsAssociation"
	noOptions           = "default"
)

type dhcpProperties struct {
	DomainName                    string         `json:"DomainName,omitempty"`
	DomainNameServers             []string       `json:"DomainNameServers,omitempty"`
	Ipv6AddressPreferredLeaseTime *int32         `json:"Ipv6AddressPreferredLeaseTime,omitempty"`
	NetbiosNameServers            []string       `json:"NetbiosNameServers,omitempty"`
	NetbiosNodeType               *int32         `json:"NetbiosNodeType,omitempty"`
	NtpServers                    []string       `json:"NtpServers,omitempty"`
	Tags                          []resource.Tag `json:"Tags,omitempty"`
}

func (p dhcpProperties) configurations() []api.NewDhcpConfiguration {
	var out []api.NewDhcpConfiguration
	add := func(key string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			out = append(out, api.NewDhcpConfiguration{Key: key, Values: values})
		}
	}
	add("domain-name", p.DomainName)
	add("domain-name-servers", p.DomainNameServers...)
	add("ntp-servers", p.NtpServers...)
	add("netbios-name-servers", p.NetbiosNameServers...)
	if p.NetbiosNodeType != nil {
		add("netbios-node-type", strconv.Itoa(int(*p.NetbiosNodeType)))
	}
	if p.Ipv6AddressPreferredLeaseTime != nil {
		add("ipv6-address-preferred-lease-time", strconv.Itoa(int(*p.Ipv6AddressPreferredLeaseTime)))
	}
	return out
}

type dhcpHandler struct{ svc api.Service }

func dhcpType(svc api.Service) cfn.Type {
	h := dhcpHandler{svc}
	return cfn.Type{Name: dhcpName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func dhcpResult(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"DhcpOptionsId": id}}
}

func (h dhcpHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p dhcpProperties
	if err := resource.Decode(dhcpName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateDhcpOptions(ctx, &api.CreateDhcpOptionsInput{
		DhcpConfigurations: p.configurations(), TagSpecifications: specs(resource.Tags(r, p.Tags), "dhcp-options"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return dhcpResult(out.DhcpOptions.DhcpOptionsId), nil
}

func (h dhcpHandler) find(ctx context.Context, id string) (*api.DhcpOptions, error) {
	out, err := h.svc.DescribeDhcpOptions(ctx, &api.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, dhcpName, id, fault.InvalidDhcpOptionIDNotFound)
	}
	return &out.DhcpOptions[0], nil
}

func (h dhcpHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	d, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := dhcpProperties{Tags: resource.OwnTags(tagMap(d.Tags))}
	for _, c := range d.DhcpConfigurations {
		var values []string
		for _, v := range c.Values {
			values = append(values, v.Value)
		}
		switch c.Key {
		case "domain-name":
			p.DomainName = strings.Join(values, " ")
		case "domain-name-servers":
			p.DomainNameServers = values
		case "ntp-servers":
			p.NtpServers = values
		case "netbios-name-servers":
			p.NetbiosNameServers = values
		case "netbios-node-type":
			n, err := strconv.ParseInt(values[0], 10, 32)
			if err != nil {
				return nil, err
			}
			p.NetbiosNodeType = ptr(int32(n))
		}
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["DhcpOptionsId"] = d.DhcpOptionsId
	return out, nil
}

func (h dhcpHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p dhcpProperties
	if err := resource.Decode(dhcpName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	d, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return dhcpResult(r.PhysicalID), retag(ctx, h.svc, r.PhysicalID, d.Tags, resource.Tags(r, p.Tags))
}

func (h dhcpHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteDhcpOptions(ctx, &api.DeleteDhcpOptionsInput{DhcpOptionsId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidDhcpOptionIDNotFound)
}

func (h dhcpHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeDhcpOptions(ctx, &api.DescribeDhcpOptionsInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range out.DhcpOptions {
		ids = append(ids, d.DhcpOptionsId)
	}
	return ids, nil
}

type dhcpAssociationProperties struct {
	DhcpOptionsId string `json:"DhcpOptionsId"`
	VpcId         string `json:"VpcId"`
}

// dhcpAssociationHandler is AWS::EC2::VPCDHCPOptionsAssociation; all of it is
// create-only. Its end leaves the VPC without options, as in AWS.
type dhcpAssociationHandler struct{ svc api.Service }

func dhcpAssociationType(svc api.Service) cfn.Type {
	h := dhcpAssociationHandler{svc}
	return cfn.Type{Name: dhcpAssociationName, Create: h.create, Read: h.read, Delete: h.delete}
}

func (h dhcpAssociationHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p dhcpAssociationProperties
	if err := resource.Decode(dhcpAssociationName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	_, err := h.svc.AssociateDhcpOptions(ctx, &api.AssociateDhcpOptionsInput{DhcpOptionsId: p.DhcpOptionsId, VpcId: p.VpcId})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.DhcpOptionsId + "|" + p.VpcId}, nil
}

func (h dhcpAssociationHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	options, id, _ := strings.Cut(r.PhysicalID, "|")
	out, err := h.svc.DescribeVpcs(ctx, &api.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, dhcpAssociationName, r.PhysicalID, fault.InvalidVpcIDNotFound)
	}
	if out.Vpcs[0].DhcpOptionsId != options {
		return nil, resource.Missing(dhcpAssociationName, r.PhysicalID)
	}
	return resource.Encode(dhcpAssociationProperties{DhcpOptionsId: options, VpcId: id})
}

func (h dhcpAssociationHandler) delete(ctx context.Context, r cfn.Request) error {
	if _, err := h.read(ctx, r); err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, id, _ := strings.Cut(r.PhysicalID, "|")
	_, err := h.svc.AssociateDhcpOptions(ctx, &api.AssociateDhcpOptionsInput{DhcpOptionsId: noOptions, VpcId: id})
	return resource.Gone(err, fault.InvalidVpcIDNotFound)
}
