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

// Limits of route tables ("Amazon VPC quotas").
const (
	maxRouteTables = 200 // of a VPC
	maxRoutes      = 500 // of a table, without the local ones
)

// tableAssociation is the subnet that a route table is for.
type tableAssociation struct {
	ID     string `json:"id"`
	Subnet string `json:"subnet"`
}

// routeTable says where the packets of subnets go. The routes within the VPC
// follow from its CIDR blocks and are not kept.
type routeTable struct {
	ID           string             `json:"id"`
	VPC          string             `json:"vpc"`
	Main         string             `json:"main,omitempty"` // association as the VPC's main table
	Associations []tableAssociation `json:"associations,omitempty"`
	Routes       []route            `json:"routes,omitempty"`
	Client       string             `json:"client,omitempty"` // token
}

var routeTables = noun[routeTable]{
	prefix: prefixRouteTable, kept: store.NewCollection[routeTable]("ec2/routetable"), id: func(t *routeTable) string { return t.ID },
	inDefault: func(n network) []*routeTable {
		return []*routeTable{{
			ID: n.RouteTable, VPC: n.VPC, Main: arn.IDFrom(prefixRouteAssoc, n.RouteTable),
			Routes: []route{{To: netip.MustParsePrefix("0.0.0.0/0"), Gateway: n.Gateway}},
		}}
	},
}

// of is the place of a subnet among the table's associations, or -1.
func (t *routeTable) of(subnet string) int {
	return slices.IndexFunc(t.Associations, func(a tableAssociation) bool { return a.Subnet == subnet })
}

// mainTable is a VPC's main route table.
func (s *Service) mainTable(tx store.Tx, scope arn.Scope, vpc string) (*routeTable, error) {
	list, err := routeTables.which(s, tx, scope, func(t *routeTable) bool { return t.VPC == vpc && t.Main != "" })
	if err == nil && len(list) == 0 {
		err = notFound(prefixRouteTable, "main of "+vpc)
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// CreateRouteTable makes a table with the routes within its VPC.
func (s *Service) CreateRouteTable(ctx context.Context, in *api.CreateRouteTableInput) (*api.CreateRouteTableOutput, error) {
	call := auth.From(ctx)
	tags, err := specTags(call, in.TagSpecifications, "route-table")
	if err != nil {
		return nil, err
	}
	if len(in.ClientToken) > 64 {
		return nil, fault.New(fault.InvalidParameterValue, "Value for parameter clientToken is invalid. It must be at most 64 characters long.")
	}
	t := &routeTable{ID: newID(call, prefixRouteTable, "table"), VPC: in.VpcId, Client: in.ClientToken}
	if t.Client != "" {
		t.ID = arn.IDFrom(prefixRouteTable, call.Scope.Key()+"/client/"+t.Client)
	}
	var view tableView
	err = s.update(ctx, func(tx store.Tx) error {
		v, err := vpcs.get(s, tx, call.Scope, in.VpcId)
		if err != nil {
			return err
		}
		if old, err := routeTables.kept.Get(tx, routeTables.key(call.Scope, t.ID)); err == nil && t.Client != "" {
			if old.VPC != t.VPC {
				return fault.New(fault.IdempotentParameterMatch, "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
			}
			view = tableView{tagged: tagged[routeTable]{old, tags["route-table"]}, vpc: v}
			return nil
		}
		if t, err = routeTables.made(tx, call, t, tags); err != nil {
			return err
		}
		mates, err := routeTables.which(s, tx, call.Scope, func(o *routeTable) bool { return o.VPC == t.VPC })
		if err == nil && len(mates) > maxRouteTables {
			err = fault.New(fault.RouteTableLimitExceeded, "The maximum number of route tables has been reached.")
		}
		view = tableView{tagged: tagged[routeTable]{t, tags["route-table"]}, vpc: v}
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := view.view(call.Scope)
	return &api.CreateRouteTableOutput{RouteTable: &o, ClientToken: in.ClientToken}, nil
}

// DeleteRouteTable removes a table that is for no subnet.
func (s *Service) DeleteRouteTable(ctx context.Context, in *api.DeleteRouteTableInput) (*api.DeleteRouteTableOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		t, err := routeTables.get(s, tx, scope, in.RouteTableId)
		if err != nil {
			return err
		}
		if t.Main != "" || len(t.Associations) > 0 {
			return fault.New(fault.DependencyViolation, "The routeTable '%s' has dependencies and cannot be deleted.", t.ID)
		}
		if t.ID == s.network(scope).RouteTable {
			return fault.New(fault.NotImplemented, "Deleting the default VPC's first route table is not built in this version of Slipway.")
		}
		return firstError(routeTables.remove(tx, scope, t.ID), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteRouteTableOutput{}, nil
}

var associatedState = &api.RouteTableAssociationState{State: "associated"}

// AssociateRouteTable makes a table a subnet's own.
func (s *Service) AssociateRouteTable(ctx context.Context, in *api.AssociateRouteTableInput) (*api.AssociateRouteTableOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{{"GatewayId", in.GatewayId != ""}, {"PublicIpv4Pool", in.PublicIpv4Pool != ""}}); err != nil {
		return nil, err
	}
	if in.SubnetId == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain either a gateway ID or a subnet ID")
	}
	a := tableAssociation{newID(call, prefixRouteAssoc, in.SubnetId), in.SubnetId}
	err := s.update(ctx, func(tx store.Tx) error {
		t, err := routeTables.get(s, tx, call.Scope, in.RouteTableId)
		if err != nil {
			return err
		}
		n, err := subnets.get(s, tx, call.Scope, in.SubnetId)
		if err != nil {
			return err
		}
		if n.VPC != t.VPC {
			return fault.New(fault.InvalidParameterValue, "Route table %s and subnet %s belong to different networks", t.ID, n.ID)
		}
		old, err := s.tableOf(tx, call.Scope, n.ID)
		if err != nil {
			return err
		}
		if old != nil {
			if had := old.Associations[old.of(n.ID)]; old.ID == t.ID {
				a = had
				return nil
			}
			return fault.New(fault.ResourceAlreadyAssociated, "the specified association for route table %s conflicts with an existing association", t.ID)
		}
		t.Associations = append(t.Associations, a)
		return firstError(routeTables.put(tx, call.Scope, t), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.AssociateRouteTableOutput{AssociationId: a.ID, AssociationState: associatedState}, nil
}

// tableOf is the table that a subnet has of its own; nil where it has the VPC's
// main one.
func (s *Service) tableOf(tx store.Tx, scope arn.Scope, subnet string) (*routeTable, error) {
	list, err := routeTables.which(s, tx, scope, func(t *routeTable) bool { return t.of(subnet) >= 0 })
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// tableAssociated finds the table that has an association.
func (s *Service) tableAssociated(tx store.Tx, scope arn.Scope, id string) (*routeTable, error) {
	if err := checkID(prefixRouteAssoc, id); err != nil {
		return nil, err
	}
	list, err := routeTables.which(s, tx, scope, func(t *routeTable) bool {
		return t.Main == id || slices.ContainsFunc(t.Associations, func(a tableAssociation) bool { return a.ID == id })
	})
	if err == nil && len(list) == 0 {
		err = notFound(prefixRouteAssoc, id)
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// DisassociateRouteTable gives a subnet the VPC's main table again.
func (s *Service) DisassociateRouteTable(ctx context.Context, in *api.DisassociateRouteTableInput) (*api.DisassociateRouteTableOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		t, err := s.tableAssociated(tx, scope, in.AssociationId)
		if err != nil {
			return err
		}
		if t.Main == in.AssociationId {
			return fault.New(fault.InvalidParameterValue, "cannot disassociate the main route table association %s", t.Main)
		}
		t.Associations = slices.DeleteFunc(t.Associations, func(a tableAssociation) bool { return a.ID == in.AssociationId })
		return firstError(routeTables.put(tx, scope, t), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DisassociateRouteTableOutput{}, nil
}

// ReplaceRouteTableAssociation moves a subnet, or the rank of main table, to
// another table.
func (s *Service) ReplaceRouteTableAssociation(ctx context.Context, in *api.ReplaceRouteTableAssociationInput) (*api.ReplaceRouteTableAssociationOutput, error) {
	call := auth.From(ctx)
	id := newID(call, prefixRouteAssoc, in.AssociationId+in.RouteTableId)
	err := s.update(ctx, func(tx store.Tx) error {
		to, err := routeTables.get(s, tx, call.Scope, in.RouteTableId)
		if err != nil {
			return err
		}
		if to.Main == id || slices.ContainsFunc(to.Associations, func(a tableAssociation) bool { return a.ID == id }) {
			return nil // by this step, the first time
		}
		from, err := s.tableAssociated(tx, call.Scope, in.AssociationId)
		if err != nil {
			return err
		}
		if from.VPC != to.VPC {
			return fault.New(fault.InvalidParameterValue, "Route table %s and association %s belong to different networks", to.ID, in.AssociationId)
		}
		if from.ID == to.ID {
			to = from
		}
		if from.Main == in.AssociationId {
			from.Main = ""
			to.Main = id
		} else {
			at := slices.IndexFunc(from.Associations, func(a tableAssociation) bool { return a.ID == in.AssociationId })
			sub := from.Associations[at].Subnet
			from.Associations = slices.Delete(from.Associations, at, at+1)
			to.Associations = append(to.Associations, tableAssociation{id, sub})
		}
		return firstError(routeTables.put(tx, call.Scope, from), routeTables.put(tx, call.Scope, to), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.ReplaceRouteTableAssociationOutput{NewAssociationId: id, AssociationState: associatedState}, nil
}

// tableView is a route table with what its description needs.
type tableView struct {
	tagged[routeTable]
	vpc    *vpc
	active []bool // of each route: its target is there
}

func (v tableView) state(i int) string {
	if i < len(v.active) && !v.active[i] {
		return "blackhole"
	}
	return "active"
}

func tableFields(v tableView, name string) ([]string, bool) {
	t := v.orZero()
	var out []string
	each := func(read func(tableAssociation) string, main string) ([]string, bool) {
		if t.Main != "" && main != "" {
			out = append(out, main)
		}
		for _, a := range t.Associations {
			out = append(out, read(a))
		}
		return out, true
	}
	switch name {
	case "association.main":
		return each(func(tableAssociation) string { return "false" }, "true")
	case "association.route-table-association-id":
		return each(func(a tableAssociation) string { return a.ID }, t.Main)
	case "association.route-table-id":
		return each(func(tableAssociation) string { return t.ID }, t.ID)
	case "association.subnet-id":
		return each(func(a tableAssociation) string { return a.Subnet }, "")
	case "route-table-id":
		return one(t.ID)
	case "vpc-id":
		return one(t.VPC)
	case "association.gateway-id":
		return nil, true
	}
	if values, ok := routeFields(v, t, name); ok {
		return values, true
	}
	return tagFields(v.tags, name)
}

func routeFields(v tableView, t *routeTable, name string) ([]string, bool) {
	read := map[string]func(api.Route) string{
		"route.destination-cidr-block":      func(r api.Route) string { return r.DestinationCidrBlock },
		"route.destination-prefix-list-id":  func(r api.Route) string { return r.DestinationPrefixListId },
		"route.gateway-id":                  func(r api.Route) string { return r.GatewayId },
		"route.nat-gateway-id":              func(r api.Route) string { return r.NatGatewayId },
		"route.vpc-peering-connection-id":   func(r api.Route) string { return r.VpcPeeringConnectionId },
		"route.origin":                      func(r api.Route) string { return r.Origin },
		"route.state":                       func(r api.Route) string { return r.State },
		"route.destination-ipv6-cidr-block": none, "route.egress-only-internet-gateway-id": none, "route.instance-id": none,
		"route.transit-gateway-id": none,
	}[name]
	if read == nil {
		return nil, false
	}
	var out []string
	for _, r := range v.routes(t) {
		if s := read(r); s != "" {
			out = append(out, s)
		}
	}
	return out, true
}

func none(api.Route) string { return "" }

// routes are the table's routes, the local ones first.
func (v tableView) routes(t *routeTable) []api.Route {
	var out []api.Route
	if v.vpc != nil {
		for _, b := range v.vpc.Blocks {
			out = append(out, api.Route{DestinationCidrBlock: b.Prefix.String(), GatewayId: "local", Origin: "CreateRouteTable", State: "active"})
		}
	}
	for i, r := range t.Routes {
		o := api.Route{
			DestinationPrefixListId: r.List, GatewayId: r.Gateway, NatGatewayId: r.NAT, VpcPeeringConnectionId: r.Peering, Origin: "CreateRoute", State: v.state(i),
		}
		if r.To.IsValid() {
			o.DestinationCidrBlock = r.To.String()
		}
		out = append(out, o)
	}
	return out
}

// DescribeRouteTables lists the caller's route tables.
func (s *Service) DescribeRouteTables(ctx context.Context, in *api.DescribeRouteTablesInput) (*api.DescribeRouteTablesOutput, error) {
	scope := auth.From(ctx).Scope
	page, next, err := list(ctx, s, listing[tableView]{
		prefix: prefixRouteTable, ids: in.RouteTableIds, filters: in.Filters, fields: owned(scope, tableFields), dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pagesOf100, id: func(t tableView) string { return t.it.ID }, load: s.tableViews,
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeRouteTablesOutput{NextToken: next, RouteTables: []api.RouteTable{}}
	for _, t := range page {
		out.RouteTables = append(out.RouteTables, t.view(scope))
	}
	return out, nil
}

func (s *Service) tableViews(tx store.Tx, scope arn.Scope) ([]tableView, error) {
	all, err := routeTables.all(s, tx, scope)
	list, err := withTags(tx, scope, routeTables, all, err)
	if err != nil {
		return nil, err
	}
	w, err := s.waysOf(tx, scope)
	if err != nil {
		return nil, err
	}
	var out []tableView
	for _, t := range list {
		v := tableView{tagged: t, vpc: w.vpcs[t.it.VPC]}
		for _, r := range t.it.Routes {
			v.active = append(v.active, w.active(t.it, r))
		}
		out = append(out, v)
	}
	return out, nil
}

func (v tableView) view(scope arn.Scope) api.RouteTable {
	o := api.RouteTable{
		RouteTableId: v.it.ID, VpcId: v.it.VPC, OwnerId: scope.Account, Tags: v.tags.list(), PropagatingVgws: []api.PropagatingVgw{},
		Associations: []api.RouteTableAssociation{}, Routes: v.routes(v.it),
	}
	if v.it.Main != "" {
		o.Associations = append(o.Associations, api.RouteTableAssociation{
			Main: ptr(true), RouteTableAssociationId: v.it.Main, RouteTableId: v.it.ID, AssociationState: associatedState,
		})
	}
	for _, a := range v.it.Associations {
		o.Associations = append(o.Associations, api.RouteTableAssociation{
			Main: ptr(false), RouteTableAssociationId: a.ID, RouteTableId: v.it.ID, SubnetId: a.Subnet, AssociationState: associatedState,
		})
	}
	return o
}
