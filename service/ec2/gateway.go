package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxGateways bounds the internet gateways of an account ("Amazon VPC quotas").
const maxGateways = 5

// gateway is an internet gateway: where it is attached and routed to, the host
// lets instances with a public address out and in.
type gateway struct {
	ID  string `json:"id"`
	VPC string `json:"vpc,omitempty"` // where it is attached
}

var gateways = noun[gateway]{
	prefix: prefixGateway, kept: store.NewCollection[gateway]("ec2/gateway"), id: func(g *gateway) string { return g.ID },
	inDefault: func(n network) []*gateway { return []*gateway{{ID: n.Gateway, VPC: n.VPC}} },
}

// CreateInternetGateway makes a gateway that is attached nowhere.
func (s *Service) CreateInternetGateway(ctx context.Context, in *api.CreateInternetGatewayInput) (*api.CreateInternetGatewayOutput, error) {
	call := auth.From(ctx)
	tags, err := specTags(call, in.TagSpecifications, "internet-gateway")
	if err != nil {
		return nil, err
	}
	if err := s.routed(); err != nil {
		return nil, err
	}
	var view tagged[gateway]
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		g, err := gateways.made(tx, call, &gateway{ID: newID(call, prefixGateway, "gateway")}, tags)
		if err != nil {
			return err
		}
		all, err := gateways.all(s, tx, call.Scope)
		if err == nil && len(all) > maxGateways {
			err = fault.New(fault.InternetGatewayLimitExceeded, "The maximum number of internet gateways has been reached.")
		}
		view = tagged[gateway]{g, tags["internet-gateway"]}
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := gatewayView(call.Scope, view)
	return &api.CreateInternetGatewayOutput{InternetGateway: &o}, nil
}

// DeleteInternetGateway removes a gateway that is attached nowhere.
func (s *Service) DeleteInternetGateway(ctx context.Context, in *api.DeleteInternetGatewayInput) (*api.DeleteInternetGatewayOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		g, err := gateways.get(s, tx, scope, in.InternetGatewayId)
		if err != nil {
			return err
		}
		if g.ID == s.network(scope).Gateway {
			return fault.New(fault.NotImplemented, "Deleting the default VPC's internet gateway is not built in this version of Slipway.")
		}
		if g.VPC != "" {
			return fault.New(fault.DependencyViolation, "The internetGateway '%s' has dependencies and cannot be deleted.", g.ID)
		}
		return firstError(gateways.remove(tx, scope, g.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteInternetGatewayOutput{}, nil
}

// AttachInternetGateway gives a VPC its way out.
func (s *Service) AttachInternetGateway(ctx context.Context, in *api.AttachInternetGatewayInput) (*api.AttachInternetGatewayOutput, error) {
	call := auth.From(ctx)
	err := s.update(ctx, func(tx store.Tx) error {
		g, err := gateways.get(s, tx, call.Scope, in.InternetGatewayId)
		if err != nil {
			return err
		}
		v, err := vpcs.get(s, tx, call.Scope, in.VpcId)
		if err != nil {
			return err
		}
		if g.VPC == v.ID && call.Token != "" {
			return nil // by this step, the first time
		}
		if g.VPC != "" {
			return fault.New(fault.ResourceAlreadyAssociated, "resource %s is already attached to network %s", g.ID, g.VPC)
		}
		there, err := gateways.which(s, tx, call.Scope, func(o *gateway) bool { return o.VPC == v.ID })
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return fault.New(fault.InvalidParameterValue, "Network %s already has an internet gateway attached", v.ID)
		}
		g.VPC = v.ID
		return firstError(gateways.put(tx, call.Scope, g), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.AttachInternetGatewayOutput{}, nil
}

// DetachInternetGateway takes a VPC's way out, where no public address needs it.
func (s *Service) DetachInternetGateway(ctx context.Context, in *api.DetachInternetGatewayInput) (*api.DetachInternetGatewayOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		g, err := gateways.get(s, tx, scope, in.InternetGatewayId)
		if err != nil {
			return err
		}
		if _, err := vpcs.get(s, tx, scope, in.VpcId); err != nil {
			return err
		}
		if g.VPC != in.VpcId {
			return fault.New(fault.GatewayNotAttached, "resource %s is not attached to network %s", g.ID, in.VpcId)
		}
		mapped, err := s.mapped(tx, scope, g.VPC)
		if err != nil {
			return err
		}
		if mapped {
			return fault.New(fault.DependencyViolation, "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", g.VPC)
		}
		g.VPC = ""
		return firstError(gateways.put(tx, scope, g), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DetachInternetGatewayOutput{}, nil
}

// mapped says whether anything in a VPC has a public address.
func (s *Service) mapped(tx store.Tx, scope arn.Scope, id string) (bool, error) {
	list, err := allInstances(tx, scope)
	if err != nil {
		return false, err
	}
	for _, in := range list {
		if in.VPC == id && in.State != terminated && in.public().IsValid() {
			return true, nil
		}
	}
	own, err := interfaces.which(s, tx, scope, func(i *netInterface) bool { return i.VPC == id })
	if err != nil {
		return false, err
	}
	for _, i := range own {
		if there, err := associatedWith(tx, scope, i.ID); len(there) > 0 || err != nil {
			return true, err
		}
	}
	return false, nil
}

func gatewayFields(t tagged[gateway], name string) ([]string, bool) {
	g := t.orZero()
	switch name {
	case "attachment.state":
		if g.VPC == "" {
			return nil, true
		}
		return one("available")
	case "attachment.vpc-id":
		return one(g.VPC)
	case "internet-gateway-id":
		return one(g.ID)
	}
	return tagFields(t.tags, name)
}

// DescribeInternetGateways lists the caller's gateways.
func (s *Service) DescribeInternetGateways(ctx context.Context, in *api.DescribeInternetGatewaysInput) (*api.DescribeInternetGatewaysOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[tagged[gateway]]{
		prefix: prefixGateway, ids: in.InternetGatewayIds, filters: in.Filters, fields: owned(scope, gatewayFields), dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pagesOf1000, id: func(g tagged[gateway]) string { return g.it.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]tagged[gateway], error) {
			all, err := gateways.all(s, tx, scope)
			return withTags(tx, scope, gateways, all, err)
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInternetGatewaysOutput{NextToken: next, InternetGateways: []api.InternetGateway{}}
	for _, g := range page {
		out.InternetGateways = append(out.InternetGateways, gatewayView(scope, g))
	}
	return out, nil
}

func gatewayView(scope arn.Scope, g tagged[gateway]) api.InternetGateway {
	o := api.InternetGateway{InternetGatewayId: g.it.ID, OwnerId: scope.Account, Tags: g.tags.list(), Attachments: []api.InternetGatewayAttachment{}}
	if g.it.VPC != "" {
		o.Attachments = append(o.Attachments, api.InternetGatewayAttachment{State: "available", VpcId: g.it.VPC})
	}
	return o
}
