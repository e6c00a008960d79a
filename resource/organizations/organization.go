// Package organizations holds the resource types of AWS Organizations. It calls
// api/organizations alone.
package organizations

import (
	"context"
	"maps"
	"slices"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of Organizations.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{organizationType(svc), unitType(svc), accountType(svc), policyType(svc)}
}

const organizationName = "AWS::Organizations::Organization"

type organizationProperties struct {
	FeatureSet string `json:"FeatureSet,omitempty"`
}

type organizationHandler struct{ svc api.Service }

func organizationType(svc api.Service) cfn.Type {
	h := organizationHandler{svc}
	return cfn.Type{Name: organizationName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h organizationHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p organizationProperties
	if err := resource.Decode(organizationName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateOrganization(ctx, &api.CreateOrganizationInput{FeatureSet: p.FeatureSet})
	if err != nil {
		return cfn.Result{}, err
	}
	attributes, err := h.attributes(ctx, out.Organization)
	return cfn.Result{PhysicalID: out.Organization.Id, Attributes: attributes}, err
}

func (h organizationHandler) attributes(ctx context.Context, o *api.Organization) (cfn.Properties, error) {
	roots, err := h.svc.ListRoots(ctx, &api.ListRootsInput{})
	if err != nil {
		return nil, err
	}
	return cfn.Properties{
		"Id": o.Id, "Arn": o.Arn, "ManagementAccountArn": o.MasterAccountArn, "ManagementAccountId": o.MasterAccountId,
		"ManagementAccountEmail": o.MasterAccountEmail, "RootId": roots.Roots[0].Id,
	}, nil
}

func (h organizationHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.DescribeOrganization(ctx, &api.DescribeOrganizationInput{})
	if err == nil && out.Organization.Id != r.PhysicalID {
		err = resource.Missing(organizationName, r.PhysicalID)
	}
	if err != nil {
		return nil, resource.Found(err, organizationName, r.PhysicalID, fault.OrganizationsNotInUse)
	}
	p, err := h.attributes(ctx, out.Organization)
	if err == nil {
		p["FeatureSet"] = out.Organization.FeatureSet
	}
	return p, err
}

func (h organizationHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p organizationProperties
	if err := resource.Decode(organizationName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.DescribeOrganization(ctx, &api.DescribeOrganizationInput{})
	if err != nil {
		return cfn.Result{}, resource.Found(err, organizationName, r.PhysicalID, fault.OrganizationsNotInUse)
	}
	if p.FeatureSet != "" && p.FeatureSet != out.Organization.FeatureSet {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: a change of FeatureSet is not implemented", organizationName)
	}
	return cfn.Result{PhysicalID: r.PhysicalID}, nil
}

func (h organizationHandler) delete(ctx context.Context, r cfn.Request) error {
	if _, err := h.read(ctx, r); err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	_, err := h.svc.DeleteOrganization(ctx, &api.DeleteOrganizationInput{})
	return resource.Gone(err, fault.OrganizationsNotInUse)
}

func (h organizationHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.DescribeOrganization(ctx, &api.DescribeOrganizationInput{})
	if err != nil {
		return nil, resource.Gone(err, fault.OrganizationsNotInUse)
	}
	return []string{out.Organization.Id}, nil
}

// list puts tags in the order of their keys.
func list(tags map[string]string) []api.Tag {
	out := make([]api.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, api.Tag{Key: k, Value: tags[k]})
	}
	return out
}

func tagsOf(ctx context.Context, svc api.Service, id string) (map[string]string, error) {
	out, err := svc.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceId: id})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[t.Key] = t.Value
	}
	return tags, nil
}

// retag gives a root, unit, account or policy the tags that it is to have.
func retag(ctx context.Context, svc api.Service, id string, want map[string]string) error {
	has, err := tagsOf(ctx, svc, id)
	if err != nil {
		return err
	}
	set, remove := resource.Retag(has, want)
	if len(remove) > 0 {
		if _, err := svc.UntagResource(ctx, &api.UntagResourceInput{ResourceId: id, TagKeys: remove}); err != nil {
			return err
		}
	}
	if len(set) > 0 {
		_, err = svc.TagResource(ctx, &api.TagResourceInput{ResourceId: id, Tags: list(set)})
	}
	return err
}
