package ec2

import (
	"context"
	"errors"
	"net/netip"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxNATs bounds the NAT gateways of a zone ("Amazon VPC quotas"); here of a scope.
const maxNATs = 15

// keepDeletedNAT is how long a deleted NAT gateway is still described.
const keepDeletedNAT = time.Hour

// nat is a NAT gateway: the host translates what leaves by it to its elastic IP.
type nat struct {
	ID          string     `json:"id"`
	VPC         string     `json:"vpc"`
	Subnet      string     `json:"subnet"`
	Allocation  string     `json:"allocation"`
	Association string     `json:"association"`
	Public      netip.Addr `json:"public"`
	Private     netip.Addr `json:"private"`
	Interface   string     `json:"interface"` // eni-…
	Created     time.Time  `json:"created"`
	Deleted     time.Time  `json:"deleted,omitzero"`
	Hash        string     `json:"hash,omitempty"` // of the request with a client token
}

var nats = noun[nat]{prefix: prefixNAT, kept: store.NewCollection[nat]("ec2/nat"), id: func(n *nat) string { return n.ID }}

func (n *nat) available() bool { return n.Deleted.IsZero() }

func (n *nat) state() string {
	if n.available() {
		return "available"
	}
	return "deleted"
}

// CreateNatGateway makes a public NAT gateway in a subnet.
func (s *Service) CreateNatGateway(ctx context.Context, in *api.CreateNatGatewayInput) (*api.CreateNatGatewayOutput, error) {
	call := auth.From(ctx)
	if err := refuse([]refusal{
		{"ConnectivityType=private", in.ConnectivityType == "private"}, {"AvailabilityMode=regional", in.AvailabilityMode == "regional"},
		{"AvailabilityZoneAddress", len(in.AvailabilityZoneAddresses) > 0}, {"VpcId", in.VpcId != ""},
		{"SecondaryAllocationId", len(in.SecondaryAllocationIds) > 0}, {"SecondaryPrivateIpAddress", len(in.SecondaryPrivateIpAddresses) > 0},
		{"SecondaryPrivateIpAddressCount", value(in.SecondaryPrivateIpAddressCount, 0) > 0},
	}); err != nil {
		return nil, err
	}
	if in.SubnetId == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter SubnetId")
	}
	if in.AllocationId == "" {
		return nil, fault.New(fault.MissingParameter, "Missing parameter: AllocationId is required for a public NAT gateway")
	}
	asked, err := askedAddress(in.PrivateIpAddress)
	if err != nil {
		return nil, err
	}
	tags, err := specTags(call, in.TagSpecifications, "natgateway")
	if err != nil {
		return nil, err
	}
	if err := s.routed(); err != nil {
		return nil, err
	}
	n := &nat{ID: newID(call, prefixNAT, "nat"), Subnet: in.SubnetId, Allocation: in.AllocationId, Created: s.now()}
	if in.ClientToken != "" {
		n.ID = arn.IDFrom(prefixNAT, call.Scope.Key()+"/client/"+in.ClientToken)
		n.Hash = arn.Hash(in.SubnetId + "/" + in.AllocationId + "/" + in.PrivateIpAddress)
	}
	var view tagged[nat]
	err = s.update(ctx, func(tx store.Tx) error {
		old, err := nats.kept.Get(tx, nats.key(call.Scope, n.ID))
		if err == nil {
			if old.Hash != n.Hash {
				return fault.New(fault.IdempotentParameterMatch, "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
			}
			view = tagged[nat]{old, tags["natgateway"]}
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := s.makeNAT(tx, call, n, asked); err != nil {
			return err
		}
		view = tagged[nat]{n, tags["natgateway"]}
		_, err = nats.made(tx, call, n, tags)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := natView(view)
	return &api.CreateNatGatewayOutput{NatGateway: &o, ClientToken: in.ClientToken}, nil
}

// makeNAT takes what a NAT gateway needs: its elastic IP, and a private address.
func (s *Service) makeNAT(tx store.Tx, call auth.Call, n *nat, asked netip.Addr) error {
	sub, err := subnets.get(s, tx, call.Scope, n.Subnet)
	if err != nil {
		return err
	}
	there, err := nats.which(s, tx, call.Scope, (*nat).available)
	if err != nil {
		return err
	}
	if len(there) >= maxNATs {
		return fault.New(fault.NatGatewayLimitExceeded, "The maximum number of NAT gateways has been reached.")
	}
	gates, err := gateways.which(s, tx, call.Scope, func(g *gateway) bool { return g.VPC == sub.VPC })
	if err != nil {
		return err
	}
	if len(gates) == 0 {
		return fault.New(fault.GatewayNotAttached, "Network %s has no Internet gateway attached", sub.VPC)
	}
	a, err := addressByID(tx, call.Scope, n.Allocation)
	if err != nil {
		return err
	}
	if a.Association != "" {
		return fault.New(fault.ResourceAlreadyAssociated, "Elastic IP address [%s] is already associated", a.ID)
	}
	n.VPC, n.Public, n.Interface = sub.VPC, a.IP, arn.IDFrom(prefixInterface, n.ID)
	if n.Private, err = s.takePrivate(tx, *sub, asked, claim{call.Scope, n.ID}); err != nil {
		return err
	}
	n.Association = arn.IDFrom(prefixAssoc, n.ID)
	a.Association, a.Interface, a.Private, a.NAT = n.Association, n.Interface, n.Private, n.ID
	return a.save(tx)
}

// DeleteNatGateway gives back what a NAT gateway has. Routes to it become blackholes.
func (s *Service) DeleteNatGateway(ctx context.Context, in *api.DeleteNatGatewayInput) (*api.DeleteNatGatewayOutput, error) {
	scope := auth.From(ctx).Scope
	err := s.update(ctx, func(tx store.Tx) error {
		n, err := nats.get(s, tx, scope, in.NatGatewayId)
		if err != nil {
			return err
		}
		if !n.available() {
			return nil
		}
		a, err := addressByID(tx, scope, n.Allocation)
		if err == nil {
			a.detach()
			err = a.save(tx)
		}
		n.Deleted = s.now()
		return firstError(err, release(tx, n.Private, n.ID), nats.put(tx, scope, n), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteNatGatewayOutput{NatGatewayId: in.NatGatewayId}, nil
}

func natFields(t tagged[nat], name string) ([]string, bool) {
	n := t.orZero()
	switch name {
	case "nat-gateway-id":
		return one(n.ID)
	case "state":
		return one(n.state())
	case "subnet-id":
		return one(n.Subnet)
	case "vpc-id":
		return one(n.VPC)
	}
	return tagFields(t.tags, name)
}

// DescribeNatGateways lists the caller's NAT gateways.
func (s *Service) DescribeNatGateways(ctx context.Context, in *api.DescribeNatGatewaysInput) (*api.DescribeNatGatewaysOutput, error) {
	page, next, err := list(ctx, s, listing[tagged[nat]]{
		prefix: prefixNAT, ids: in.NatGatewayIds, filters: in.Filter, fields: natFields, dry: in.DryRun, token: in.NextToken, max: in.MaxResults,
		limits: pagesOf1000, id: func(n tagged[nat]) string { return n.it.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]tagged[nat], error) {
			all, err := nats.all(s, tx, scope)
			return withTags(tx, scope, nats, all, err)
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeNatGatewaysOutput{NextToken: next, NatGateways: []api.NatGateway{}}
	for _, n := range page {
		out.NatGateways = append(out.NatGateways, natView(n))
	}
	return out, nil
}

func natView(n tagged[nat]) api.NatGateway {
	o := api.NatGateway{
		NatGatewayId: n.it.ID, VpcId: n.it.VPC, SubnetId: n.it.Subnet, State: n.it.state(), ConnectivityType: "public", CreateTime: ptr(n.it.Created), Tags: n.tags.list(),
		NatGatewayAddresses: []api.NatGatewayAddress{{
			AllocationId: n.it.Allocation, AssociationId: n.it.Association, IsPrimary: ptr(true), NetworkInterfaceId: n.it.Interface,
			PrivateIp: n.it.Private.String(), PublicIp: n.it.Public.String(), Status: "succeeded",
		}},
	}
	if !n.it.available() {
		o.DeleteTime = ptr(n.it.Deleted)
	}
	return o
}

// purgeNATs forgets NAT gateways that were deleted some time ago.
func (s *Service) purgeNATs(ctx context.Context) error {
	old := map[string]bool{}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		for e, err := range nats.kept.Scan(tx, "") {
			if err != nil {
				return err
			}
			if !e.Value.available() && s.now().Sub(e.Value.Deleted) > keepDeletedNAT {
				old[e.Key] = true
			}
		}
		return nil
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		for key := range old {
			if err := errors.Join(tagRecords.Delete(tx, key), nats.kept.Delete(tx, key)); err != nil {
				return err
			}
		}
		return nil
	})
}

// askedAddress reads an address that a call asks for; "" is none.
func askedAddress(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return a, fault.New(fault.InvalidParameterValue, "Value (%s) for parameter privateIpAddress is invalid. Invalid IP address.", clip(text, 64))
	}
	return a, nil
}
