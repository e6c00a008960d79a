package ec2

import (
	"context"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const launchTemplateName = "AWS::EC2::LaunchTemplate"

// launchTemplateProperties has the data in the form of the API, whose members
// have the same names.
type launchTemplateProperties struct {
	LaunchTemplateData *api.RequestLaunchTemplateData `json:"LaunchTemplateData,omitempty"`
	LaunchTemplateName string                         `json:"LaunchTemplateName,omitempty"`
	TagSpecifications  []templateTags                 `json:"TagSpecifications,omitempty"`
	VersionDescription string                         `json:"VersionDescription,omitempty"`
}

type templateTags struct {
	ResourceType string         `json:"ResourceType"`
	Tags         []resource.Tag `json:"Tags"`
}

// own are the template's own tags.
func (p launchTemplateProperties) own() map[string]string {
	out := map[string]string{}
	for _, s := range p.TagSpecifications {
		for _, t := range s.Tags {
			out[t.Key] = t.Value
		}
	}
	return out
}

func (p launchTemplateProperties) specs() []api.TagSpecification {
	var out []api.TagSpecification
	for _, s := range p.TagSpecifications {
		spec := api.TagSpecification{ResourceType: s.ResourceType}
		for _, t := range s.Tags {
			spec.Tags = append(spec.Tags, api.Tag{Key: t.Key, Value: t.Value})
		}
		out = append(out, spec)
	}
	return out
}

type launchTemplateHandler struct{ svc api.Service }

func launchTemplateType(svc api.Service) cfn.Type {
	h := launchTemplateHandler{svc}
	return cfn.Type{Name: launchTemplateName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h launchTemplateHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p launchTemplateProperties
	if err := resource.Decode(launchTemplateName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateLaunchTemplate(ctx, &api.CreateLaunchTemplateInput{
		LaunchTemplateName: resource.Name(r, p.LaunchTemplateName, 128), LaunchTemplateData: p.LaunchTemplateData,
		VersionDescription: p.VersionDescription, TagSpecifications: p.specs(),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return launchTemplateResult(out.LaunchTemplate), nil
}

func launchTemplateResult(t *api.LaunchTemplate) cfn.Result {
	return cfn.Result{PhysicalID: t.LaunchTemplateId, Attributes: launchTemplateAttributes(t)}
}

func launchTemplateAttributes(t *api.LaunchTemplate) cfn.Properties {
	return cfn.Properties{
		"LaunchTemplateId":     t.LaunchTemplateId,
		"DefaultVersionNumber": strconv.FormatInt(value(t.DefaultVersionNumber), 10),
		"LatestVersionNumber":  strconv.FormatInt(value(t.LatestVersionNumber), 10),
	}
}

func (h launchTemplateHandler) find(ctx context.Context, id string) (*api.LaunchTemplate, error) {
	out, err := h.svc.DescribeLaunchTemplates(ctx, &api.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{id}})
	if err != nil {
		return nil, resource.Found(err, launchTemplateName, id, fault.InvalidTemplateIDNotFound, fault.InvalidTemplateIDMalformed)
	}
	if len(out.LaunchTemplates) == 0 {
		return nil, resource.Missing(launchTemplateName, id)
	}
	return &out.LaunchTemplates[0], nil
}

// read leaves out the data, which the schema calls write-only.
func (h launchTemplateHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	t, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out := launchTemplateAttributes(t)
	out["LaunchTemplateName"] = t.LaunchTemplateName
	return out, nil
}

// update adds a version. The default version stays, as in AWS: what launches
// from the template names $Latest or the attribute LatestVersionNumber.
func (h launchTemplateHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior launchTemplateProperties
	if err := resource.Decode(launchTemplateName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(launchTemplateName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	t, err := h.find(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if changed(prior.LaunchTemplateData, p.LaunchTemplateData) || prior.VersionDescription != p.VersionDescription {
		_, err := h.svc.CreateLaunchTemplateVersion(ctx, &api.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: r.PhysicalID, LaunchTemplateData: p.LaunchTemplateData, VersionDescription: p.VersionDescription,
		})
		if err != nil {
			return cfn.Result{}, err
		}
	}
	if err := retag(ctx, h.svc, r.PhysicalID, t.Tags, p.own()); err != nil {
		return cfn.Result{}, err
	}
	if t, err = h.find(ctx, r.PhysicalID); err != nil {
		return cfn.Result{}, err
	}
	return launchTemplateResult(t), nil
}

func (h launchTemplateHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteLaunchTemplate(ctx, &api.DeleteLaunchTemplateInput{LaunchTemplateId: r.PhysicalID})
	return resource.Gone(err, fault.InvalidTemplateIDNotFound, fault.InvalidTemplateIDMalformed)
}

func (h launchTemplateHandler) list(ctx context.Context) ([]string, error) {
	in := &api.DescribeLaunchTemplatesInput{}
	var ids []string
	for {
		out, err := h.svc.DescribeLaunchTemplates(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range out.LaunchTemplates {
			ids = append(ids, t.LaunchTemplateId)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return ids, nil
		}
	}
}
