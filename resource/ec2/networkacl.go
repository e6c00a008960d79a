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
	aclName            = "AWS::EC2::NetworkAcl"
	aclEntryName       = "AWS::EC2::NetworkAclEntry"
	aclAssociationName = "AWS::EC2::SubnetNetworkAclAssociation"
)

type aclProperties struct {
	Tags  []resource.Tag `json:"Tags,omitempty"`
	VpcId string         `json:"VpcId"`
}

type aclHandler struct{ svc api.Service }

func aclType(svc api.Service) cfn.Type {
	h := aclHandler{svc}
	return cfn.Type{Name: aclName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h aclHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p aclProperties
	if err := resource.Decode(aclName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateNetworkAcl(ctx, &api.CreateNetworkAclInput{VpcId: p.VpcId, TagSpecifications: specs(resource.Tags(r, p.Tags), "network-acl")})
	if err != nil {
		return cfn.Result{}, err
	}
	return idResult(out.NetworkAcl.NetworkAclId), nil
}

func idResult(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id}}
}

func (h aclHandler) find(ctx context.Context, kind, id string) (*api.NetworkAcl, error) {
	out, err := h.svc.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{NetworkAclIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, kind, id, fault.InvalidNetworkACLIDNotFound)
	}
	return &out.NetworkAcls[0], nil
}

func (h aclHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	a, err := h.find(ctx, aclName, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(aclProperties{VpcId: a.VpcId, Tags: resource.OwnTags(tagMap(a.Tags))})
	if err != nil {
		return nil, err
	}
	out["Id"] = a.NetworkAclId
	return out, nil
}

func (h aclHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p aclProperties
	if err := resource.Decode(aclName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	a, err := h.find(ctx, aclName, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return idResult(r.PhysicalID), retag(ctx, h.svc, r.PhysicalID, a.Tags, resource.Tags(r, p.Tags))
}

func (h aclHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteNetworkAcl(ctx, &api.DeleteNetworkAclInput{NetworkAclId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidNetworkACLIDNotFound)
}

func (h aclHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, a := range out.NetworkAcls {
		ids = append(ids, a.NetworkAclId)
	}
	return ids, nil
}

type aclEntryProperties struct {
	CidrBlock     string       `json:"CidrBlock,omitempty"`
	Egress        *bool        `json:"Egress,omitempty"`
	Icmp          *icmpKind    `json:"Icmp,omitempty"`
	Ipv6CidrBlock string       `json:"Ipv6CidrBlock,omitempty"`
	NetworkAclId  string       `json:"NetworkAclId"`
	PortRange     *portNumbers `json:"PortRange,omitempty"`
	Protocol      int32        `json:"Protocol"`
	RuleAction    string       `json:"RuleAction"`
	RuleNumber    int32        `json:"RuleNumber"`
}

type icmpKind struct {
	Code *int32 `json:"Code,omitempty"`
	Type *int32 `json:"Type,omitempty"`
}

type portNumbers struct {
	From *int32 `json:"From,omitempty"`
	To   *int32 `json:"To,omitempty"`
}

// aclEntryHandler is AWS::EC2::NetworkAclEntry. Its physical id says all that tells
// an entry from others, for it has no id of its own.
type aclEntryHandler struct{ acls aclHandler }

func aclEntryType(svc api.Service) cfn.Type {
	h := aclEntryHandler{aclHandler{svc}}
	return cfn.Type{Name: aclEntryName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete}
}

func (h aclEntryHandler) input(r cfn.Request) (*api.CreateNetworkAclEntryInput, error) {
	var p aclEntryProperties
	if err := resource.Decode(aclEntryName, r.Properties, &p); err != nil {
		return nil, err
	}
	in := &api.CreateNetworkAclEntryInput{
		CidrBlock: p.CidrBlock, Ipv6CidrBlock: p.Ipv6CidrBlock, Egress: ptr(value(p.Egress)), NetworkAclId: p.NetworkAclId,
		Protocol: strconv.Itoa(int(p.Protocol)), RuleAction: strings.ToLower(p.RuleAction), RuleNumber: ptr(p.RuleNumber),
	}
	if p.Icmp != nil {
		in.IcmpTypeCode = &api.IcmpTypeCode{Type: p.Icmp.Type, Code: p.Icmp.Code}
	}
	if p.PortRange != nil {
		in.PortRange = &api.PortRange{From: p.PortRange.From, To: p.PortRange.To}
	}
	return in, nil
}

func entryID(in *api.CreateNetworkAclEntryInput) string {
	return in.NetworkAclId + "|" + strconv.Itoa(int(*in.RuleNumber)) + "|" + strconv.FormatBool(*in.Egress)
}

func (h aclEntryHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	in, err := h.input(r)
	if err != nil {
		return cfn.Result{}, err
	}
	if _, err := h.acls.svc.CreateNetworkAclEntry(ctx, in); err != nil {
		return cfn.Result{}, err
	}
	return idResult(entryID(in)), nil
}

func (h aclEntryHandler) find(ctx context.Context, id string) (acl string, e *api.NetworkAclEntry, err error) {
	part := strings.Split(id, "|")
	if len(part) != 3 {
		return "", nil, resource.Missing(aclEntryName, id)
	}
	a, err := h.acls.find(ctx, aclEntryName, part[0])
	if err != nil {
		return "", nil, err
	}
	for _, e := range a.Entries {
		if strconv.Itoa(int(value(e.RuleNumber))) == part[1] && strconv.FormatBool(value(e.Egress)) == part[2] {
			return part[0], &e, nil
		}
	}
	return "", nil, resource.Missing(aclEntryName, id)
}

func (h aclEntryHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	acl, e, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	protocol, err := strconv.ParseInt(e.Protocol, 10, 32)
	if err != nil {
		return nil, err
	}
	p := aclEntryProperties{
		CidrBlock: e.CidrBlock, Ipv6CidrBlock: e.Ipv6CidrBlock, Egress: e.Egress, NetworkAclId: acl, Protocol: int32(protocol),
		RuleAction: e.RuleAction, RuleNumber: value(e.RuleNumber),
	}
	if e.IcmpTypeCode != nil {
		p.Icmp = &icmpKind{Code: e.IcmpTypeCode.Code, Type: e.IcmpTypeCode.Type}
	}
	if e.PortRange != nil {
		p.PortRange = &portNumbers{From: e.PortRange.From, To: e.PortRange.To}
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	out["Id"] = r.PhysicalID
	return out, nil
}

func (h aclEntryHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	in, err := h.input(r)
	if err != nil {
		return cfn.Result{}, err
	}
	replaced := api.ReplaceNetworkAclEntryInput(*in)
	_, err = h.acls.svc.ReplaceNetworkAclEntry(ctx, &replaced)
	return idResult(r.PhysicalID), err
}

func (h aclEntryHandler) delete(ctx context.Context, r cfn.Request) error {
	acl, e, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, err = h.acls.svc.DeleteNetworkAclEntry(ctx, &api.DeleteNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: e.RuleNumber, Egress: e.Egress})
	return resource.Gone(err, fault.InvalidNetworkACLEntryNotFound)
}

type aclAssociationProperties struct {
	NetworkAclId string `json:"NetworkAclId"`
	SubnetId     string `json:"SubnetId"`
}

// aclAssociationHandler is AWS::EC2::SubnetNetworkAclAssociation; all of it is
// create-only. Its end gives the subnet the VPC's default network ACL back.
type aclAssociationHandler struct{ acls aclHandler }

func aclAssociationType(svc api.Service) cfn.Type {
	h := aclAssociationHandler{aclHandler{svc}}
	return cfn.Type{Name: aclAssociationName, Create: h.create, Read: h.read, Delete: h.delete, List: h.list}
}

// first finds the first network ACL that filters let through, and the first of its
// associations that a condition holds for.
func (h aclAssociationHandler) first(ctx context.Context, is func(api.NetworkAclAssociation) bool, filters ...api.Filter) (*api.NetworkAcl, api.NetworkAclAssociation, error) {
	out, err := h.acls.svc.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{Filters: filters})
	if err != nil {
		return nil, api.NetworkAclAssociation{}, err
	}
	for _, a := range out.NetworkAcls {
		for _, s := range a.Associations {
			if is(s) {
				return &a, s, nil
			}
		}
	}
	return nil, api.NetworkAclAssociation{}, nil
}

func (h aclAssociationHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p aclAssociationProperties
	if err := resource.Decode(aclAssociationName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	_, has, err := h.first(ctx, func(s api.NetworkAclAssociation) bool { return s.SubnetId == p.SubnetId },
		api.Filter{Name: "association.subnet-id", Values: []string{p.SubnetId}})
	if err != nil {
		return cfn.Result{}, err
	}
	if has.NetworkAclAssociationId == "" {
		return cfn.Result{}, fault.New(fault.InvalidSubnetIDNotFound, "The subnet ID '%s' does not exist", p.SubnetId)
	}
	id := has.NetworkAclAssociationId
	if has.NetworkAclId != p.NetworkAclId {
		out, err := h.acls.svc.ReplaceNetworkAclAssociation(ctx, &api.ReplaceNetworkAclAssociationInput{AssociationId: id, NetworkAclId: p.NetworkAclId})
		if err != nil {
			return cfn.Result{}, err
		}
		id = out.NewAssociationId
	}
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"AssociationId": id}}, nil
}

func (h aclAssociationHandler) find(ctx context.Context, id string) (*api.NetworkAcl, api.NetworkAclAssociation, error) {
	a, s, err := h.first(ctx, func(s api.NetworkAclAssociation) bool { return s.NetworkAclAssociationId == id },
		api.Filter{Name: "association.association-id", Values: []string{id}})
	if err == nil && a == nil {
		err = resource.Missing(aclAssociationName, id)
	}
	return a, s, err
}

func (h aclAssociationHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	_, s, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(aclAssociationProperties{NetworkAclId: s.NetworkAclId, SubnetId: s.SubnetId})
	if err != nil {
		return nil, err
	}
	out["AssociationId"] = r.PhysicalID
	return out, nil
}

func (h aclAssociationHandler) delete(ctx context.Context, r cfn.Request) error {
	a, _, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	out, err := h.acls.svc.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{Filters: []api.Filter{
		{Name: "vpc-id", Values: []string{a.VpcId}}, {Name: "default", Values: []string{"true"}},
	}})
	if err != nil || len(out.NetworkAcls) == 0 {
		return err
	}
	_, err = h.acls.svc.ReplaceNetworkAclAssociation(ctx, &api.ReplaceNetworkAclAssociationInput{
		AssociationId: r.PhysicalID, NetworkAclId: out.NetworkAcls[0].NetworkAclId,
	})
	return resource.Gone(err, fault.InvalidAssociationIDNotFound)
}

func (h aclAssociationHandler) list(ctx context.Context) ([]string, error) {
	var ids []string
	_, _, err := h.first(ctx, func(s api.NetworkAclAssociation) bool {
		ids = append(ids, s.NetworkAclAssociationId)
		return false
	})
	return ids, err
}
