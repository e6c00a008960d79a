package iam

import (
	"context"
	"slices"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const oidcProviderTypeName = "AWS::IAM::OIDCProvider"

type oidcProviderProperties struct {
	URL            string         `json:"Url,omitempty"`
	ClientIDList   []string       `json:"ClientIdList,omitempty"`
	ThumbprintList []string       `json:"ThumbprintList,omitempty"`
	Tags           []resource.Tag `json:"Tags,omitempty"`
}

type oidcProviderHandler struct{ svc api.Service }

func oidcProviderType(svc api.Service) cfn.Type {
	h := oidcProviderHandler{svc}
	return cfn.Type{Name: oidcProviderTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func oidcProviderResult(arn string) cfn.Result {
	return cfn.Result{PhysicalID: arn, Attributes: cfn.Properties{"Arn": arn}}
}

func (h oidcProviderHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p oidcProviderProperties
	if err := resource.Decode(oidcProviderTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateOpenIDConnectProvider(ctx, &api.CreateOpenIDConnectProviderInput{
		Url: p.URL, ClientIDList: p.ClientIDList, ThumbprintList: p.ThumbprintList, Tags: tags(resource.Tags(r, p.Tags)),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return oidcProviderResult(out.OpenIDConnectProviderArn), nil
}

func (h oidcProviderHandler) get(ctx context.Context, arn string) (*api.GetOpenIDConnectProviderOutput, error) {
	out, err := h.svc.GetOpenIDConnectProvider(ctx, &api.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	return out, resource.Found(err, oidcProviderTypeName, arn, fault.NoSuchEntity)
}

func (h oidcProviderHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	o, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	out, err := resource.Encode(oidcProviderProperties{
		URL: "https://" + o.Url, ClientIDList: o.ClientIDList, ThumbprintList: o.ThumbprintList, Tags: resource.OwnTags(tagMap(o.Tags)),
	})
	if err != nil {
		return nil, err
	}
	out["Arn"] = r.PhysicalID
	return out, nil
}

func (h oidcProviderHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p oidcProviderProperties
	if err := resource.Decode(oidcProviderTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	o, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	result := oidcProviderResult(r.PhysicalID)
	if !slices.Equal(o.ThumbprintList, p.ThumbprintList) {
		_, err := h.svc.UpdateOpenIDConnectProviderThumbprint(ctx, &api.UpdateOpenIDConnectProviderThumbprintInput{
			OpenIDConnectProviderArn: r.PhysicalID, ThumbprintList: append([]string{}, p.ThumbprintList...),
		})
		if err != nil {
			return result, err
		}
	}
	for _, c := range p.ClientIDList {
		_, err := h.svc.AddClientIDToOpenIDConnectProvider(ctx, &api.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: r.PhysicalID, ClientID: c})
		if err != nil {
			return result, err
		}
	}
	for _, c := range o.ClientIDList {
		if slices.Contains(p.ClientIDList, c) {
			continue
		}
		_, err := h.svc.RemoveClientIDFromOpenIDConnectProvider(ctx, &api.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: r.PhysicalID, ClientID: c})
		if err != nil {
			return result, err
		}
	}
	set, remove := resource.Retag(tagMap(o.Tags), resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagOpenIDConnectProvider(ctx, &api.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: r.PhysicalID, Tags: tags(set)}); err != nil {
			return result, err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagOpenIDConnectProvider(ctx, &api.UntagOpenIDConnectProviderInput{OpenIDConnectProviderArn: r.PhysicalID, TagKeys: remove}); err != nil {
			return result, err
		}
	}
	return result, nil
}

func (h oidcProviderHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteOpenIDConnectProvider(ctx, &api.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h oidcProviderHandler) list(ctx context.Context) ([]string, error) {
	out, err := h.svc.ListOpenIDConnectProviders(ctx, &api.ListOpenIDConnectProvidersInput{})
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, p := range out.OpenIDConnectProviderList {
		arns = append(arns, p.Arn)
	}
	return arns, nil
}
