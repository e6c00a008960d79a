package ec2

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const peeringTypeName = "AWS::EC2::VPCPeeringConnection"

type peeringProperties struct {
	PeerOwnerId string         `json:"PeerOwnerId,omitempty"`
	PeerRegion  string         `json:"PeerRegion,omitempty"`
	PeerVpcId   string         `json:"PeerVpcId"`
	Tags        []resource.Tag `json:"Tags,omitempty"`
	VpcId       string         `json:"VpcId"`
}

type peeringHandler struct{ svc api.Service }

func peeringType(svc api.Service) cfn.Type {
	h := peeringHandler{svc}
	return cfn.Type{Name: peeringTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

// create asks for the connection and accepts it, where both VPCs are the stack's
// account's and region's. Another account's needs PeerRoleArn, which is not built;
// another region's needs someone there.
func (h peeringHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p peeringProperties
	if err := resource.Decode(peeringTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateVpcPeeringConnection(ctx, &api.CreateVpcPeeringConnectionInput{
		VpcId: p.VpcId, PeerVpcId: p.PeerVpcId, PeerOwnerId: p.PeerOwnerId, PeerRegion: p.PeerRegion,
		TagSpecifications: specs(resource.Tags(r, p.Tags), "vpc-peering-connection"),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	c := out.VpcPeeringConnection
	if own := c.RequesterVpcInfo; c.AccepterVpcInfo.OwnerId != own.OwnerId || c.AccepterVpcInfo.Region != own.Region {
		_, undo := h.svc.DeleteVpcPeeringConnection(ctx, &api.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: c.VpcPeeringConnectionId})
		if undo != nil {
			return cfn.Result{}, undo
		}
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: a peer of another account or region is not built in Slipway yet", peeringTypeName)
	}
	r.Initiated(c.VpcPeeringConnectionId)
	_, err = h.svc.AcceptVpcPeeringConnection(ctx, &api.AcceptVpcPeeringConnectionInput{VpcPeeringConnectionId: c.VpcPeeringConnectionId})
	return peeringResult(c.VpcPeeringConnectionId), err
}

func peeringResult(id string) cfn.Result {
	return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Id": id}}
}

// there says whether a connection is one still: those that ended are described for a while.
func there(c api.VpcPeeringConnection) bool {
	return c.Status != nil && slices.Contains([]string{"active", "pending-acceptance", "provisioning", "initiating-request"}, c.Status.Code)
}

func (h peeringHandler) find(ctx context.Context, id string) (*api.VpcPeeringConnection, error) {
	out, err := h.svc.DescribeVpcPeeringConnections(ctx, &api.DescribeVpcPeeringConnectionsInput{VpcPeeringConnectionIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, peeringTypeName, id, fault.InvalidPeeringIDNotFound)
	}
	if c := out.VpcPeeringConnections[0]; there(c) {
		return &c, nil
	}
	return nil, resource.Missing(peeringTypeName, id)
}

func (h peeringHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	c, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(peeringProperties{
		PeerOwnerId: c.AccepterVpcInfo.OwnerId, PeerRegion: c.AccepterVpcInfo.Region, PeerVpcId: c.AccepterVpcInfo.VpcId,
		VpcId: c.RequesterVpcInfo.VpcId, Tags: resource.OwnTags(tagMap(c.Tags)),
	})
	if err != nil {
		return nil, err
	}
	out["Id"] = c.VpcPeeringConnectionId
	return out, nil
}

func (h peeringHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p peeringProperties
	if err := resource.Decode(peeringTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	c, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	return peeringResult(r.PhysicalID), retag(ctx, h.svc, r.PhysicalID, c.Tags, resource.Tags(r, p.Tags))
}

func (h peeringHandler) delete(ctx context.Context, r cfn.Request) error {
	if _, err := h.find(ctx, r.PhysicalID); err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, err := h.svc.DeleteVpcPeeringConnection(ctx, &api.DeleteVpcPeeringConnectionInput{VpcPeeringConnectionId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidPeeringIDNotFound)
}

func (h peeringHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeVpcPeeringConnections(ctx, &api.DescribeVpcPeeringConnectionsInput{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range out.VpcPeeringConnections {
		if there(c) {
			ids = append(ids, c.VpcPeeringConnectionId)
		}
	}
	return ids, nil
}
