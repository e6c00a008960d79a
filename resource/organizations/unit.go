package organizations

import (
	"context"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const unitName = "AWS::Organizations::OrganizationalUnit"

type unitProperties struct {
	Name     string         `json:"Name"`
	ParentID string         `json:"ParentId"`
	Tags     []resource.Tag `json:"Tags,omitempty"`
}

type unitHandler struct{ svc api.Service }

func unitType(svc api.Service) cfn.Type {
	h := unitHandler{svc}
	return cfn.Type{Name: unitName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h unitHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p unitProperties
	if err := resource.Decode(unitName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateOrganizationalUnit(ctx, &api.CreateOrganizationalUnitInput{Name: p.Name, ParentId: p.ParentID, Tags: list(resource.Tags(r, p.Tags))})
	if err != nil {
		return cfn.Result{}, err
	}
	return unitResult(out.OrganizationalUnit), nil
}

func unitResult(u *api.OrganizationalUnit) cfn.Result {
	return cfn.Result{PhysicalID: u.Id, Attributes: cfn.Properties{"Id": u.Id, "Arn": u.Arn, "Path": u.Path}}
}

func (h unitHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.DescribeOrganizationalUnit(ctx, &api.DescribeOrganizationalUnitInput{OrganizationalUnitId: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, unitName, r.PhysicalID, fault.OrganizationalUnitNotFound, fault.OrganizationsNotInUse)
	}
	parents, err := h.svc.ListParents(ctx, &api.ListParentsInput{ChildId: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, unitName, r.PhysicalID, fault.ChildNotFound)
	}
	tags, err := tagsOf(ctx, h.svc, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	u := out.OrganizationalUnit
	p, err := resource.Encode(unitProperties{Name: u.Name, ParentID: parents.Parents[0].Id, Tags: resource.OwnTags(tags)})
	if err == nil {
		p["Id"], p["Arn"], p["Path"] = u.Id, u.Arn, u.Path
	}
	return p, err
}

func (h unitHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p unitProperties
	if err := resource.Decode(unitName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.UpdateOrganizationalUnit(ctx, &api.UpdateOrganizationalUnitInput{OrganizationalUnitId: r.PhysicalID, Name: p.Name})
	if err != nil {
		return cfn.Result{}, resource.Found(err, unitName, r.PhysicalID, fault.OrganizationalUnitNotFound, fault.OrganizationsNotInUse)
	}
	return unitResult(out.OrganizationalUnit), retag(ctx, h.svc, r.PhysicalID, resource.Tags(r, p.Tags))
}

func (h unitHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteOrganizationalUnit(ctx, &api.DeleteOrganizationalUnitInput{OrganizationalUnitId: r.PhysicalID})
	return resource.Gone(err, fault.OrganizationalUnitNotFound, fault.OrganizationsNotInUse)
}

// list walks the tree down from the root.
func (h unitHandler) list(ctx context.Context) ([]string, error) {
	roots, err := h.svc.ListRoots(ctx, &api.ListRootsInput{})
	if err != nil {
		return nil, resource.Gone(err, fault.OrganizationsNotInUse)
	}
	var found []string
	for next := []string{roots.Roots[0].Id}; len(next) > 0; next = next[1:] {
		in := &api.ListOrganizationalUnitsForParentInput{ParentId: next[0]}
		for {
			out, err := h.svc.ListOrganizationalUnitsForParent(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, u := range out.OrganizationalUnits {
				found, next = append(found, u.Id), append(next, u.Id)
			}
			if in.NextToken = out.NextToken; in.NextToken == "" {
				break
			}
		}
	}
	return found, nil
}
