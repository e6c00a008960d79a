// Package ssm holds the resource types of AWS Systems Manager. It calls api/ssm
// alone.
package ssm

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of Systems Manager.
func Types(svc api.Service) []cfn.Type { return []cfn.Type{parameterType(svc)} }

const (
	parameterName = "AWS::SSM::Parameter"
	suffixLength  = 12
	noPolicies    = "[{}]"
)

type parameterProperties struct {
	Name           string            `json:"Name,omitempty"`
	Type           string            `json:"Type"`
	Value          string            `json:"Value"`
	Description    string            `json:"Description,omitempty"`
	AllowedPattern string            `json:"AllowedPattern,omitempty"`
	DataType       string            `json:"DataType,omitempty"`
	Tier           string            `json:"Tier,omitempty"`
	Policies       string            `json:"Policies,omitempty"`
	Tags           map[string]string `json:"Tags,omitempty"`
}

func (p parameterProperties) tags() []resource.Tag {
	var tags []resource.Tag
	for k, v := range p.Tags {
		tags = append(tags, resource.Tag{Key: k, Value: v})
	}
	return tags
}

type parameterHandler struct{ svc api.Service }

func parameterType(svc api.Service) cfn.Type {
	h := parameterHandler{svc}
	return cfn.Type{Name: parameterName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h parameterHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p parameterProperties
	if err := resource.Decode(parameterName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if p.Name == "" {
		p.Name = "CFN-" + r.LogicalID + "-" + arn.SuffixFrom(r.Token, suffixLength)
	}
	in := put(p)
	in.Tags = list(resource.Tags(r, p.tags()))
	if _, err := h.svc.PutParameter(ctx, in); err != nil {
		return cfn.Result{}, err
	}
	return result(p), nil
}

func put(p parameterProperties) *api.PutParameterInput {
	return &api.PutParameterInput{
		Name: p.Name, Type: p.Type, Value: p.Value, Description: p.Description,
		AllowedPattern: p.AllowedPattern, DataType: p.DataType, Tier: p.Tier,
		Policies: p.Policies,
	}
}

func result(p parameterProperties) cfn.Result {
	return cfn.Result{PhysicalID: p.Name, Attributes: cfn.Properties{"Type": p.Type, "Value": p.Value}}
}

// list puts tags in the order of their keys.
func list(tags map[string]string) []api.Tag {
	out := make([]api.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, api.Tag{Key: k, Value: tags[k]})
	}
	return out
}

func (h parameterHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	got, err := h.svc.GetParameter(ctx, &api.GetParameterInput{Name: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, parameterName, r.PhysicalID, fault.ParameterNotFound)
	}
	described, err := h.svc.DescribeParameters(ctx, &api.DescribeParametersInput{
		ParameterFilters: []api.ParameterStringFilter{{Key: "Name", Option: "Equals", Values: []string{r.PhysicalID}}},
	})
	if err != nil {
		return nil, err
	}
	tags, err := h.tags(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	p := parameterProperties{Name: r.PhysicalID, Type: got.Parameter.Type, Value: got.Parameter.Value, DataType: got.Parameter.DataType}
	if len(described.Parameters) == 1 {
		d := described.Parameters[0]
		p.Description, p.AllowedPattern, p.Tier = d.Description, d.AllowedPattern, d.Tier
		if len(d.Policies) > 0 {
			texts := make([]string, len(d.Policies))
			for i, policy := range d.Policies {
				texts[i] = policy.PolicyText
			}
			p.Policies = "[" + strings.Join(texts, ",") + "]"
		}
	}
	for _, t := range resource.OwnTags(tags) {
		if p.Tags == nil {
			p.Tags = map[string]string{}
		}
		p.Tags[t.Key] = t.Value
	}
	return resource.Encode(p)
}

func (h parameterHandler) tags(ctx context.Context, name string) (map[string]string, error) {
	out, err := h.svc.ListTagsForResource(ctx, &api.ListTagsForResourceInput{
		ResourceType: api.ResourceTypeForTaggingParameter, ResourceId: name,
	})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range out.TagList {
		tags[t.Key] = t.Value
	}
	return tags, nil
}

func (h parameterHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p parameterProperties
	if err := resource.Decode(parameterName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	p.Name = r.PhysicalID
	// A version is an act that counts: one that a repeated step has made
	// already is not made again.
	same, err := h.same(ctx, p, r)
	if err != nil {
		return cfn.Result{}, err
	}
	if !same {
		overwrite := true
		in := put(p)
		in.Overwrite = &overwrite
		if in.Policies == "" && in.Tier != "" && in.Tier != api.ParameterTierStandard {
			in.Policies = noPolicies // a template that names none wants none
		}
		if _, err := h.svc.PutParameter(ctx, in); err != nil {
			return cfn.Result{}, resource.Found(err, parameterName, p.Name, fault.ParameterNotFound)
		}
	}
	has, err := h.tags(ctx, p.Name)
	if err != nil {
		return cfn.Result{}, err
	}
	set, remove := resource.Retag(has, resource.Tags(r, p.tags()))
	if len(set) > 0 {
		_, err := h.svc.AddTagsToResource(ctx, &api.AddTagsToResourceInput{
			ResourceType: api.ResourceTypeForTaggingParameter, ResourceId: p.Name, Tags: list(set),
		})
		if err != nil {
			return cfn.Result{}, err
		}
	}
	if len(remove) > 0 {
		_, err := h.svc.RemoveTagsFromResource(ctx, &api.RemoveTagsFromResourceInput{
			ResourceType: api.ResourceTypeForTaggingParameter, ResourceId: p.Name, TagKeys: remove,
		})
		if err != nil {
			return cfn.Result{}, err
		}
	}
	return result(p), nil
}

// same reports whether the parameter has the wanted properties already.
func (h parameterHandler) same(ctx context.Context, p parameterProperties, r cfn.Request) (bool, error) {
	has, err := h.read(ctx, r)
	if err != nil {
		return false, err
	}
	var now parameterProperties
	if err := resource.Decode(parameterName, has, &now); err != nil {
		return false, err
	}
	return now.Type == p.Type && now.Value == p.Value && now.Description == p.Description &&
		now.AllowedPattern == p.AllowedPattern && samePolicies(now.Policies, p.Policies) && (p.Tier == "" || now.Tier == p.Tier) &&
		(p.DataType == "" || now.DataType == p.DataType), nil
}

// samePolicies compares policies by what they say.
func samePolicies(a, b string) bool {
	var x, y any
	if a == "" || b == "" || json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

func (h parameterHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteParameter(ctx, &api.DeleteParameterInput{Name: r.PhysicalID})
	return resource.Gone(err, fault.ParameterNotFound)
}

func (h parameterHandler) list(ctx context.Context) ([]string, error) {
	in := &api.DescribeParametersInput{}
	var names []string
	for {
		out, err := h.svc.DescribeParameters(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, p := range out.Parameters {
			names = append(names, p.Name)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return names, nil
		}
	}
}
