package lambda

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const aliasName = "AWS::Lambda::Alias"

type aliasProperties struct {
	FunctionName    string   `json:"FunctionName,omitempty"`
	FunctionVersion string   `json:"FunctionVersion,omitempty"`
	Name            string   `json:"Name,omitempty"`
	Description     string   `json:"Description,omitempty"`
	RoutingConfig   *routing `json:"RoutingConfig,omitempty"`
	AliasArn        string   `json:"AliasArn,omitempty"`
}

type routing struct {
	AdditionalVersionWeights []versionWeight `json:"AdditionalVersionWeights,omitempty"`
}

type versionWeight struct {
	FunctionVersion string  `json:"FunctionVersion"`
	FunctionWeight  float64 `json:"FunctionWeight"`
}

func (r *routing) config() *api.AliasRoutingConfiguration {
	out := &api.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}}
	if r != nil {
		for _, w := range r.AdditionalVersionWeights {
			out.AdditionalVersionWeights[w.FunctionVersion] = w.FunctionWeight
		}
	}
	return out
}

type aliasHandler struct{ svc api.Service }

func aliasType(svc api.Service) cfn.Type {
	h := aliasHandler{svc}
	return cfn.Type{Name: aliasName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (h aliasHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p aliasProperties
	if err := resource.Decode(aliasName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateAlias(ctx, &api.CreateAliasInput{
		FunctionName: p.FunctionName, Name: p.Name, FunctionVersion: p.FunctionVersion, Description: p.Description, RoutingConfig: p.RoutingConfig.config(),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return aliasResult(out.AliasArn), nil
}

func aliasResult(full string) cfn.Result {
	return cfn.Result{PhysicalID: full, Attributes: cfn.Properties{"AliasArn": full}}
}

// cutAlias is the ARN of an alias's function, and the alias's name.
func cutAlias(full string) (function, name string) {
	i := strings.LastIndexByte(full, ':')
	if i < 0 {
		return full, ""
	}
	return full[:i], full[i+1:]
}

func (h aliasHandler) get(ctx context.Context, full string) (*api.GetAliasOutput, error) {
	function, name := cutAlias(full)
	out, err := h.svc.GetAlias(ctx, &api.GetAliasInput{FunctionName: function, Name: name})
	if err != nil {
		return nil, resource.Found(err, aliasName, full, fault.ResourceNotFoundException)
	}
	return out, nil
}

func (h aliasHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	function, _ := cutAlias(out.AliasArn)
	p := aliasProperties{
		FunctionName: sameFunction(r.Properties, function[strings.LastIndexByte(function, ':')+1:]), FunctionVersion: out.FunctionVersion,
		Name: out.Name, Description: out.Description, AliasArn: out.AliasArn,
	}
	if out.RoutingConfig != nil {
		p.RoutingConfig = &routing{}
		for v, w := range out.RoutingConfig.AdditionalVersionWeights {
			p.RoutingConfig.AdditionalVersionWeights = append(p.RoutingConfig.AdditionalVersionWeights, versionWeight{v, w})
		}
	}
	return resource.Encode(p)
}

func (h aliasHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p aliasProperties
	if err := resource.Decode(aliasName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	was, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.Description == "" && was.Description != "" {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: taking a Description away is not built in Slipway yet", aliasName)
	}
	function, name := cutAlias(r.PhysicalID)
	_, err = h.svc.UpdateAlias(ctx, &api.UpdateAliasInput{
		FunctionName: function, Name: name, FunctionVersion: p.FunctionVersion, Description: p.Description, RoutingConfig: p.RoutingConfig.config(),
	})
	return aliasResult(r.PhysicalID), err
}

func (h aliasHandler) delete(ctx context.Context, r cfn.Request) error {
	function, name := cutAlias(r.PhysicalID)
	_, err := h.svc.DeleteAlias(ctx, &api.DeleteAliasInput{FunctionName: function, Name: name})
	return resource.Gone(err, fault.ResourceNotFoundException)
}

func (h aliasHandler) list(ctx context.Context) ([]string, error) {
	functions, err := functionHandler(h).list(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range functions {
		in := &api.ListAliasesInput{FunctionName: f}
		for {
			out, err := h.svc.ListAliases(ctx, in)
			if err != nil {
				return nil, resource.Gone(err, fault.ResourceNotFoundException)
			}
			for _, a := range out.Aliases {
				ids = append(ids, a.AliasArn)
			}
			if in.Marker = out.NextMarker; in.Marker == "" {
				break
			}
		}
	}
	return ids, nil
}
