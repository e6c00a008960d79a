package ec2

import (
	"context"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxPeerings bounds the active peering connections of a VPC, and peeringAge how
// long a request waits to be accepted ("VPC peering basics").
const (
	maxPeerings = 50
	peeringAge  = 7 * 24 * time.Hour
)

// side is one of the two VPCs of a peering connection.
type side struct {
	Scope  arn.Scope `json:"scope"`
	VPC    string    `json:"vpc"`
	Blocks []string  `json:"blocks,omitempty"`
}

// peering joins two VPCs of this host, of one account and region or of two.
type peering struct {
	ID        string    `json:"id"`
	Requester side      `json:"requester"`
	Accepter  side      `json:"accepter"`
	Status    string    `json:"status"`
	Created   time.Time `json:"created"`
}

// peerings are keyed by id alone: two scopes have each.
var peerings = store.NewCollection("ec2/peering",
	store.Index[peering]{Name: "scope", Keys: func(_ string, p *peering) []string {
		if p.Requester.Scope == p.Accepter.Scope {
			return []string{p.Requester.Scope.Key()}
		}
		return []string{p.Requester.Scope.Key(), p.Accepter.Scope.Key()}
	}},
)

func (p *peering) active() bool { return p.Status == "active" }

// has says whether a VPC is one of the two.
func (p *peering) has(vpc string) bool { return p.Requester.VPC == vpc || p.Accepter.VPC == vpc }

// other is the side that a VPC is joined to.
func (p *peering) other(vpc string) side {
	if p.Requester.VPC == vpc {
		return p.Accepter
	}
	return p.Requester
}

func peeringOf(tx store.Tx, scope arn.Scope, id string) (*peering, error) {
	if err := checkID(prefixPeering, id); err != nil {
		return nil, err
	}
	p, err := peerings.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && p.Requester.Scope != scope && p.Accepter.Scope != scope {
		return nil, notFound(prefixPeering, id)
	}
	return p, err
}

func peeringsOf(tx store.Tx, scope arn.Scope) ([]*peering, error) {
	var out []*peering
	for e, err := range peerings.ByIndex(tx, "scope", scope.Key()) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

func sideOf(scope arn.Scope, v *vpc) side {
	out := side{Scope: scope, VPC: v.ID}
	for _, b := range v.Blocks {
		out.Blocks = append(out.Blocks, b.Prefix.String())
	}
	return out
}

// CreateVpcPeeringConnection asks the owner of another VPC to join it.
func (s *Service) CreateVpcPeeringConnection(ctx context.Context, in *api.CreateVpcPeeringConnectionInput) (*api.CreateVpcPeeringConnectionOutput, error) {
	call := auth.From(ctx)
	if in.PeerVpcId == "" {
		return nil, fault.New(fault.MissingParameter, "The request must contain the parameter peerVpcId")
	}
	peer := call.Scope
	if in.PeerOwnerId != "" {
		peer.Account = in.PeerOwnerId
	}
	if in.PeerRegion != "" {
		peer.Region = in.PeerRegion
	}
	tags, err := specTags(call, in.TagSpecifications, "vpc-peering-connection")
	if err != nil {
		return nil, err
	}
	if err := s.routed(); err != nil {
		return nil, err
	}
	p := &peering{ID: newID(call, prefixPeering, "peering"), Status: "pending-acceptance", Created: s.now()}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if old, err := peerings.Get(tx, p.ID); err == nil {
			p = old // by this step, the first time
			return nil
		}
		a, err := vpcs.get(s, tx, call.Scope, in.VpcId)
		if err != nil {
			return err
		}
		b, err := vpcs.get(s, tx, peer, in.PeerVpcId)
		if err != nil {
			return err
		}
		p.Requester, p.Accepter = sideOf(call.Scope, a), sideOf(peer, b)
		if err := s.checkPeering(tx, p, a, b); err != nil {
			return err
		}
		return firstError(peerings.Put(tx, p.ID, p), putTags(tx, call.Scope, "vpc-peering-connection", p.ID, tags["vpc-peering-connection"]), dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	o := peeringView(p, tags["vpc-peering-connection"])
	return &api.CreateVpcPeeringConnectionOutput{VpcPeeringConnection: &o}, nil
}

func (s *Service) checkPeering(tx store.Tx, p *peering, a, b *vpc) error {
	if a.ID == b.ID {
		return fault.New(fault.OperationNotPermitted, "Peering connections cannot be created between identical VPCs: %s", a.ID)
	}
	for _, x := range b.Blocks {
		if a.overlaps(x.Prefix) {
			return fault.New(fault.OperationNotPermitted, "Failed to create a VPC peering connection: the CIDR blocks of %s and %s overlap", a.ID, b.ID)
		}
	}
	there, err := peeringsOf(tx, p.Requester.Scope)
	if err != nil {
		return err
	}
	n := 0
	for _, o := range there {
		if o.Status != "active" && o.Status != "pending-acceptance" || !o.has(a.ID) {
			continue
		}
		n++
		if o.has(b.ID) {
			return fault.New(fault.VpcPeeringConnectionAlreadyExists, "A VPC peering connection already exists between %s and %s: %s", a.ID, b.ID, o.ID)
		}
	}
	if n >= maxPeerings {
		return fault.New(fault.VpcPeeringConnectionLimitExceeded, "The maximum number of VPC peering connections of %s has been reached.", a.ID)
	}
	return nil
}

// AcceptVpcPeeringConnection joins the two VPCs.
func (s *Service) AcceptVpcPeeringConnection(ctx context.Context, in *api.AcceptVpcPeeringConnectionInput) (*api.AcceptVpcPeeringConnectionOutput, error) {
	p, tags, err := s.changePeering(ctx, in.VpcPeeringConnectionId, "active", in.DryRun)
	if err != nil {
		return nil, err
	}
	o := peeringView(p, tags)
	return &api.AcceptVpcPeeringConnectionOutput{VpcPeeringConnection: &o}, nil
}

// RejectVpcPeeringConnection turns a request down.
func (s *Service) RejectVpcPeeringConnection(ctx context.Context, in *api.RejectVpcPeeringConnectionInput) (*api.RejectVpcPeeringConnectionOutput, error) {
	if _, _, err := s.changePeering(ctx, in.VpcPeeringConnectionId, "rejected", in.DryRun); err != nil {
		return nil, err
	}
	return &api.RejectVpcPeeringConnectionOutput{Return: ptr(true)}, nil
}

// DeleteVpcPeeringConnection parts the two VPCs.
func (s *Service) DeleteVpcPeeringConnection(ctx context.Context, in *api.DeleteVpcPeeringConnectionInput) (*api.DeleteVpcPeeringConnectionOutput, error) {
	if _, _, err := s.changePeering(ctx, in.VpcPeeringConnectionId, "deleted", in.DryRun); err != nil {
		return nil, err
	}
	return &api.DeleteVpcPeeringConnectionOutput{Return: ptr(true)}, nil
}

// changePeering moves a peering connection to another status ("VPC peering
// connection lifecycle").
func (s *Service) changePeering(ctx context.Context, id, to string, dry *bool) (p *peering, tags tagMap, err error) {
	call := auth.From(ctx)
	err = s.update(ctx, func(tx store.Tx) error {
		if p, err = peeringOf(tx, call.Scope, id); err != nil {
			return err
		}
		if tags, err = tagsOf(tx, call.Scope, id); err != nil {
			return err
		}
		if p.Status == to && (to != "active" || call.Token != "") {
			return nil
		}
		pending := p.Status == "pending-acceptance" && s.now().Sub(p.Created) < peeringAge
		mine := to == "deleted" || p.Accepter.Scope == call.Scope
		if !mine {
			return fault.New(fault.OperationNotPermitted, "User %s cannot %s peering %s", call.Scope.Account, map[string]string{"active": "accept", "rejected": "reject"}[to], id)
		}
		if !pending && (to != "deleted" || !p.active()) {
			return fault.New(fault.InvalidStateTransition, "Invalid state transition for %s, attempted to transition from %s to %s", id, p.Status, to)
		}
		p.Status = to
		return firstError(peerings.Put(tx, p.ID, p), dryRun(dry))
	})
	return p, tags, err
}

type peeringTagged struct {
	*peering
	tags tagMap
}

func peeringFields(v peeringTagged, name string) ([]string, bool) {
	p := v.peering
	if p == nil {
		p = &peering{}
	}
	for prefix, s := range map[string]side{"accepter-vpc-info.": p.Accepter, "requester-vpc-info.": p.Requester} {
		switch name {
		case prefix + "cidr-block":
			return s.Blocks, true
		case prefix + "owner-id":
			return one(s.Scope.Account)
		case prefix + "vpc-id":
			return one(s.VPC)
		}
	}
	switch name {
	case "expiration-time":
		return one(p.Created.Add(peeringAge).UTC().Format("2006-01-02T15:04:05.000Z"))
	case "status-code":
		return one(p.Status)
	case "status-message":
		return one(p.message())
	case "vpc-peering-connection-id":
		return one(p.ID)
	}
	return tagFields(v.tags, name)
}

// DescribeVpcPeeringConnections lists the connections of the caller's VPCs.
func (s *Service) DescribeVpcPeeringConnections(ctx context.Context, in *api.DescribeVpcPeeringConnectionsInput) (*api.DescribeVpcPeeringConnectionsOutput, error) {
	page, next, err := list(ctx, s, listing[peeringTagged]{
		prefix: prefixPeering, ids: in.VpcPeeringConnectionIds, filters: in.Filters, fields: peeringFields, dry: in.DryRun,
		token: in.NextToken, max: in.MaxResults, limits: pagesOf1000, id: func(p peeringTagged) string { return p.ID },
		load: func(tx store.Tx, scope arn.Scope) ([]peeringTagged, error) {
			all, err := peeringsOf(tx, scope)
			if err != nil {
				return nil, err
			}
			var out []peeringTagged
			for _, p := range all {
				tags, err := tagsOf(tx, scope, p.ID)
				if err != nil {
					return nil, err
				}
				out = append(out, peeringTagged{p, tags})
			}
			return out, nil
		},
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeVpcPeeringConnectionsOutput{NextToken: next, VpcPeeringConnections: []api.VpcPeeringConnection{}}
	for _, p := range page {
		out.VpcPeeringConnections = append(out.VpcPeeringConnections, peeringView(p.peering, p.tags))
	}
	return out, nil
}

func (p *peering) message() string {
	switch p.Status {
	case "active":
		return "Active"
	case "pending-acceptance":
		return "Pending Acceptance by " + p.Accepter.Scope.Account
	case "rejected":
		return "Rejected by " + p.Accepter.Scope.Account
	}
	return "Deleted by " + p.Requester.Scope.Account
}

func peeringView(p *peering, tags tagMap) api.VpcPeeringConnection {
	o := api.VpcPeeringConnection{
		VpcPeeringConnectionId: p.ID, Tags: tags.list(),
		Status:           &api.VpcPeeringConnectionStateReason{Code: p.Status, Message: p.message()},
		RequesterVpcInfo: p.Requester.view(true), AccepterVpcInfo: p.Accepter.view(p.active()),
	}
	if p.Status == "pending-acceptance" {
		o.ExpirationTime = ptr(p.Created.Add(peeringAge))
	}
	return o
}

// view is a side; what the accepter has is told once it has accepted.
func (d side) view(known bool) *api.VpcPeeringConnectionVpcInfo {
	o := &api.VpcPeeringConnectionVpcInfo{OwnerId: d.Scope.Account, Region: d.Scope.Region, VpcId: d.VPC}
	if !known || len(d.Blocks) == 0 {
		return o
	}
	o.CidrBlock = d.Blocks[0]
	for _, b := range d.Blocks {
		o.CidrBlockSet = append(o.CidrBlockSet, api.CidrBlock{CidrBlock: b})
	}
	o.PeeringOptions = &api.VpcPeeringConnectionOptionsDescription{
		AllowDnsResolutionFromRemoteVpc: ptr(false), AllowEgressFromLocalClassicLinkToRemoteVpc: ptr(false), AllowEgressFromLocalVpcToRemoteClassicLink: ptr(false),
	}
	return o
}
