package ec2

import (
	"context"
	"net/netip"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// route is one way of a route table, to a range or to those of a prefix list.
type route struct {
	To      netip.Prefix `json:"to,omitzero"`
	List    string       `json:"list,omitempty"` // prefix list
	Gateway string       `json:"gateway,omitempty"`
	NAT     string       `json:"nat,omitempty"`
	Peering string       `json:"peering,omitempty"`
	Token   string       `json:"token,omitempty"` // of the durable step that made it
}

// destination is what the route is to, for messages and to tell routes apart.
func (r route) destination() string {
	if r.List != "" {
		return r.List
	}
	return r.To.String()
}

// routeRequest is what the operations on single routes have in common.
type routeRequest struct {
	table, cidr, cidr6, list string
	gateway, nat, peering    string
	instance, iface          string
	others                   []refusal
}

func (q routeRequest) route() (route, error) {
	if err := refuse(append(q.others,
		refusal{"DestinationIpv6CidrBlock", q.cidr6 != ""},
		refusal{"InstanceId (routes through instances)", q.instance != ""}, refusal{"NetworkInterfaceId (routes through instances)", q.iface != ""},
	)); err != nil {
		return route{}, err
	}
	r := route{List: q.list, Gateway: q.gateway, NAT: q.nat, Peering: q.peering}
	switch {
	case q.cidr == "" && q.list == "":
		return r, fault.New(fault.MissingParameter, "The request must contain the parameter destinationCidrBlock or destinationPrefixListId or destinationIpv6CidrBlock")
	case q.cidr != "" && q.list != "":
		return r, fault.New(fault.InvalidParameterCombination, "The parameters destinationCidrBlock and destinationPrefixListId cannot be used together")
	case q.cidr == "":
		return r, nil
	}
	p, err := netip.ParsePrefix(q.cidr)
	if err != nil || !p.Addr().Is4() {
		return r, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.", clip(q.cidr, 64))
	}
	r.To = p.Masked()
	return r, nil
}

// checkTarget refuses a route that does not lead to exactly one thing that is there.
func (s *Service) checkTarget(tx store.Tx, scope arn.Scope, t *routeTable, r route) error {
	targets := 0
	for _, id := range []string{r.Gateway, r.NAT, r.Peering} {
		if id != "" {
			targets++
		}
	}
	if targets != 1 {
		return fault.New(fault.InvalidParameterCombination, "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId, instanceId, localGatewayId or carrierGatewayId")
	}
	if r.List != "" {
		if _, err := prefixLists.get(s, tx, scope, r.List); err != nil {
			return err
		}
	}
	switch {
	case r.Gateway == "local":
		return fault.New(fault.InvalidParameterValue, "The route to %s cannot be local: a VPC's local routes follow from its CIDR blocks", r.destination())
	case r.Gateway != "":
		if !wellFormed(prefixGateway, r.Gateway) {
			return fault.New(fault.InvalidGatewayIDNotFound, "The gateway ID '%s' does not exist", clip(r.Gateway, 64))
		}
		g, err := gateways.get(s, tx, scope, r.Gateway)
		if err != nil {
			return err
		}
		if g.VPC != t.VPC {
			return fault.New(fault.InvalidParameterValue, "route table %s and network gateway %s belong to different networks", t.ID, g.ID)
		}
	case r.NAT != "":
		n, err := nats.get(s, tx, scope, r.NAT)
		if err != nil {
			return err
		}
		if n.VPC != t.VPC || !n.available() {
			return fault.New(fault.InvalidNatGatewayIDNotFound, "The natGateway ID '%s' does not exist", n.ID)
		}
	default:
		p, err := peeringOf(tx, scope, r.Peering)
		if err != nil {
			return err
		}
		if !p.active() || !p.has(t.VPC) {
			return fault.New(fault.InvalidPeeringIDNotFound, "The vpcPeeringConnection ID '%s' does not exist", p.ID)
		}
	}
	return nil
}

// CreateRoute adds a way to a table.
func (s *Service) CreateRoute(ctx context.Context, in *api.CreateRouteInput) (*api.CreateRouteOutput, error) {
	call := auth.From(ctx)
	q := routeRequest{
		in.RouteTableId, in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId,
		in.GatewayId, in.NatGatewayId, in.VpcPeeringConnectionId, in.InstanceId, in.NetworkInterfaceId,
		[]refusal{
			{"VpcEndpointId", in.VpcEndpointId != ""}, {"TransitGatewayId", in.TransitGatewayId != ""}, {"LocalGatewayId", in.LocalGatewayId != ""},
			{"CarrierGatewayId", in.CarrierGatewayId != ""}, {"CoreNetworkArn", in.CoreNetworkArn != ""}, {"OdbNetworkArn", in.OdbNetworkArn != ""},
			{"EgressOnlyInternetGatewayId", in.EgressOnlyInternetGatewayId != ""},
		},
	}
	r, err := q.route()
	if err != nil {
		return nil, err
	}
	r.Token = call.Token
	err = s.update(ctx, func(tx store.Tx) error {
		t, err := routeTables.get(s, tx, call.Scope, q.table)
		if err != nil {
			return err
		}
		at := t.routeTo(r.destination())
		if at >= 0 && r.Token != "" && t.Routes[at] == r {
			return nil // by this step, the first time
		}
		if err := s.checkTarget(tx, call.Scope, t, r); err != nil {
			return err
		}
		v, err := vpcs.get(s, tx, call.Scope, t.VPC)
		if err != nil {
			return err
		}
		if at >= 0 || slices.ContainsFunc(v.Blocks, func(b block) bool { return b.Prefix == r.To }) {
			return fault.New(fault.RouteAlreadyExists, "The route identified by %s already exists.", r.destination())
		}
		if r.To.IsValid() && v.contains(r.To) {
			return notBuilt("DestinationCidrBlock within the VPC (more specific than its local route)")
		}
		if len(t.Routes) >= maxRoutes {
			return fault.New(fault.RouteLimitExceeded, "The maximum number of routes has been reached.")
		}
		t.Routes = append(t.Routes, r)
		return firstError(routeTables.put(tx, call.Scope, t), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateRouteOutput{Return: ptr(true)}, nil
}

// routeTo is the place of the route to a destination, or -1.
func (t *routeTable) routeTo(destination string) int {
	return slices.IndexFunc(t.Routes, func(r route) bool { return r.destination() == destination })
}

func noRoute(t *routeTable, r route) error {
	return fault.New(fault.InvalidRouteNotFound, "no route with destination-cidr-block %s in route table %s", r.destination(), t.ID)
}

// ReplaceRoute leads a route elsewhere.
func (s *Service) ReplaceRoute(ctx context.Context, in *api.ReplaceRouteInput) (*api.ReplaceRouteOutput, error) {
	call := auth.From(ctx)
	q := routeRequest{
		in.RouteTableId, in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId,
		in.GatewayId, in.NatGatewayId, in.VpcPeeringConnectionId, in.InstanceId, in.NetworkInterfaceId,
		[]refusal{
			{"VpcEndpointId", in.VpcEndpointId != ""}, {"TransitGatewayId", in.TransitGatewayId != ""}, {"LocalGatewayId", in.LocalGatewayId != ""},
			{"CarrierGatewayId", in.CarrierGatewayId != ""}, {"CoreNetworkArn", in.CoreNetworkArn != ""}, {"OdbNetworkArn", in.OdbNetworkArn != ""},
			{"EgressOnlyInternetGatewayId", in.EgressOnlyInternetGatewayId != ""}, {"LocalTarget", value(in.LocalTarget, false)},
		},
	}
	r, err := q.route()
	if err != nil {
		return nil, err
	}
	r.Token = call.Token
	err = s.update(ctx, func(tx store.Tx) error {
		t, err := routeTables.get(s, tx, call.Scope, q.table)
		if err != nil {
			return err
		}
		at := t.routeTo(r.destination())
		if at < 0 {
			return noRoute(t, r)
		}
		if err := s.checkTarget(tx, call.Scope, t, r); err != nil {
			return err
		}
		t.Routes[at] = r
		return firstError(routeTables.put(tx, call.Scope, t), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ReplaceRouteOutput{}, nil
}

// DeleteRoute takes a way from a table.
func (s *Service) DeleteRoute(ctx context.Context, in *api.DeleteRouteInput) (*api.DeleteRouteOutput, error) {
	scope := auth.From(ctx).Scope
	r, err := routeRequest{table: in.RouteTableId, cidr: in.DestinationCidrBlock, cidr6: in.DestinationIpv6CidrBlock, list: in.DestinationPrefixListId}.route()
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(tx store.Tx) error {
		t, err := routeTables.get(s, tx, scope, in.RouteTableId)
		if err != nil {
			return err
		}
		at := t.routeTo(r.destination())
		if at < 0 {
			v, err := vpcs.get(s, tx, scope, t.VPC)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(v.Blocks, func(b block) bool { return b.Prefix == r.To }) {
				return fault.New(fault.InvalidParameterValue, "cannot remove local route %s in route table %s", r.To, t.ID)
			}
			return noRoute(t, r)
		}
		t.Routes = slices.Delete(t.Routes, at, at+1)
		return firstError(routeTables.put(tx, scope, t), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteRouteOutput{}, nil
}

// ways is all that routes of a scope lead to.
type ways struct {
	vpcs     map[string]*vpc
	gateways map[string]*gateway
	nats     map[string]*nat
	peerings map[string]*peering
	lists    map[string]*prefixList
}

func byID[T any](n noun[T], all []*T) map[string]*T {
	out := map[string]*T{}
	for _, v := range all {
		out[n.id(v)] = v
	}
	return out
}

func (s *Service) waysOf(tx store.Tx, scope arn.Scope) (ways, error) {
	v, err1 := vpcs.all(s, tx, scope)
	g, err2 := gateways.all(s, tx, scope)
	n, err3 := nats.all(s, tx, scope)
	l, err4 := prefixLists.all(s, tx, scope)
	p, err5 := peeringsOf(tx, scope)
	w := ways{byID(vpcs, v), byID(gateways, g), byID(nats, n), map[string]*peering{}, byID(prefixLists, l)}
	for _, c := range p {
		w.peerings[c.ID] = c
	}
	return w, firstError(err1, err2, err3, err4, err5)
}

// active says whether the target of a route is there and does its work.
func (w ways) active(t *routeTable, r route) bool {
	switch {
	case r.Gateway != "":
		g := w.gateways[r.Gateway]
		return g != nil && g.VPC == t.VPC
	case r.NAT != "":
		n := w.nats[r.NAT]
		return n != nil && n.available()
	case r.Peering != "":
		p := w.peerings[r.Peering]
		return p != nil && p.active()
	}
	return false
}
