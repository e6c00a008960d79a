package ec2

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// DescribeVpcAttribute tells one attribute of a VPC.
func (s *Service) DescribeVpcAttribute(ctx context.Context, in *api.DescribeVpcAttributeInput) (*api.DescribeVpcAttributeOutput, error) {
	var v *vpc
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = vpcs.get(s, tx, auth.From(ctx).Scope, in.VpcId)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeVpcAttributeOutput{VpcId: v.ID}
	switch in.Attribute {
	case "enableDnsHostnames":
		out.EnableDnsHostnames = &api.AttributeBooleanValue{Value: ptr(v.DNSNames)}
	case "enableDnsSupport":
		out.EnableDnsSupport = &api.AttributeBooleanValue{Value: ptr(v.DNS)}
	case "enableNetworkAddressUsageMetrics":
		out.EnableNetworkAddressUsageMetrics = &api.AttributeBooleanValue{Value: ptr(v.Metrics)}
	default:
		return nil, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter vpcAttribute is invalid. Unknown attribute.", clip(in.Attribute, 64))
	}
	return out, nil
}

// ModifyVpcAttribute changes one attribute. DNS names of public addresses appear
// where EnableDnsHostnames is set.
func (s *Service) ModifyVpcAttribute(ctx context.Context, in *api.ModifyVpcAttributeInput) (*api.ModifyVpcAttributeOutput, error) {
	scope := auth.From(ctx).Scope
	named := 0
	for _, a := range []*api.AttributeBooleanValue{in.EnableDnsHostnames, in.EnableDnsSupport, in.EnableNetworkAddressUsageMetrics} {
		if a != nil {
			named++
		}
	}
	if named != 1 {
		return nil, fault.New(fault.InvalidParameterCombination, "Exactly one attribute must be specified.")
	}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := vpcs.get(s, tx, scope, in.VpcId)
		if err != nil {
			return err
		}
		set := func(field *bool, a *api.AttributeBooleanValue) {
			if a != nil {
				*field = value(a.Value, *field)
			}
		}
		set(&v.DNSNames, in.EnableDnsHostnames)
		set(&v.DNS, in.EnableDnsSupport)
		set(&v.Metrics, in.EnableNetworkAddressUsageMetrics)
		if !v.DNS && in.EnableDnsSupport != nil {
			return notBuilt("EnableDnsSupport=false (the host's resolver answers every instance)")
		}
		if v.Metrics {
			return notBuilt("EnableNetworkAddressUsageMetrics=true")
		}
		return vpcs.put(tx, scope, v)
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyVpcAttributeOutput{}, nil
}

// ModifyVpcTenancy takes the tenancy that every VPC has.
func (s *Service) ModifyVpcTenancy(ctx context.Context, in *api.ModifyVpcTenancyInput) (*api.ModifyVpcTenancyOutput, error) {
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		_, err := vpcs.get(s, tx, auth.From(ctx).Scope, in.VpcId)
		return firstError(err, checkTenancy(in.InstanceTenancy), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyVpcTenancyOutput{ReturnValue: ptr(true)}, nil
}

// AssociateVpcCidrBlock gives a VPC another CIDR block.
func (s *Service) AssociateVpcCidrBlock(ctx context.Context, in *api.AssociateVpcCidrBlockInput) (*api.AssociateVpcCidrBlockOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"AmazonProvidedIpv6CidrBlock", value(in.AmazonProvidedIpv6CidrBlock, false)}, {"Ipv6CidrBlock", in.Ipv6CidrBlock != ""},
		{"Ipv6Pool", in.Ipv6Pool != ""}, {"Ipv6IpamPoolId", in.Ipv6IpamPoolId != ""}, {"Ipv6NetmaskLength", in.Ipv6NetmaskLength != nil},
		{"Ipv6CidrBlockNetworkBorderGroup", in.Ipv6CidrBlockNetworkBorderGroup != ""},
		{"Ipv4IpamPoolId", in.Ipv4IpamPoolId != ""}, {"Ipv4NetmaskLength", in.Ipv4NetmaskLength != nil},
	}); err != nil {
		return nil, err
	}
	p, err := checkBlock(in.CidrBlock)
	if err != nil {
		return nil, err
	}
	if err := s.routed(); err != nil {
		return nil, err
	}
	b := block{newID(call, prefixBlock, in.VpcId+p.String()), p}
	err = s.update(ctx, func(tx store.Tx) error {
		v, err := vpcs.get(s, tx, call.Scope, in.VpcId)
		if err != nil {
			return err
		}
		if slices.Contains(v.Blocks, b) {
			return nil // by this step, the first time
		}
		if v.overlaps(p) {
			return fault.New(fault.InvalidVpcRange, "The CIDR '%s' conflicts with a CIDR block of the VPC.", p)
		}
		if len(v.Blocks) >= maxVPCBlocks {
			return fault.New(fault.CidrBlockLimitExceeded, "The maximum number of CIDR blocks of a VPC (%d) has been reached.", maxVPCBlocks)
		}
		v.Blocks = append(v.Blocks, b)
		return vpcs.put(tx, call.Scope, v)
	})
	if err != nil {
		return nil, err
	}
	o := b.view()
	o.CidrBlockState.State = "associating"
	return &api.AssociateVpcCidrBlockOutput{VpcId: in.VpcId, CidrBlockAssociation: o}, nil
}

// DisassociateVpcCidrBlock takes a block that no subnet is in.
func (s *Service) DisassociateVpcCidrBlock(ctx context.Context, in *api.DisassociateVpcCidrBlockInput) (*api.DisassociateVpcCidrBlockOutput, error) {
	scope := auth.From(ctx).Scope
	if err := checkID(prefixBlock, in.AssociationId); err != nil {
		return nil, err
	}
	out := &api.DisassociateVpcCidrBlockOutput{}
	err := s.update(ctx, func(tx store.Tx) error {
		all, err := vpcs.all(s, tx, scope)
		if err != nil {
			return err
		}
		for _, v := range all {
			at := slices.IndexFunc(v.Blocks, func(b block) bool { return b.Association == in.AssociationId })
			switch {
			case at < 0:
				continue
			case at == 0:
				return fault.New(fault.OperationNotPermitted, "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", in.AssociationId)
			}
			b := v.Blocks[at]
			used, err := subnets.which(s, tx, scope, func(n *subnet) bool { return n.VPC == v.ID && b.Prefix.Overlaps(n.Prefix) })
			if err != nil {
				return err
			}
			if len(used) > 0 {
				return fault.New(fault.InvalidCidrBlockInUse, "The vpc CIDR block '%s' is in use by subnet %s", b.Prefix, used[0].ID)
			}
			v.Blocks = slices.Delete(v.Blocks, at, at+1)
			out.VpcId, out.CidrBlockAssociation = v.ID, b.view()
			out.CidrBlockAssociation.CidrBlockState.State = "disassociating"
			return vpcs.put(tx, scope, v)
		}
		return fault.New(fault.InvalidVpcCidrBlockAssociationNotFound, "The vpc CIDR block association ID '%s' does not exist", in.AssociationId)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
