package lambda

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const invokeConfigName = "AWS::Lambda::EventInvokeConfig"

type invokeConfigProperties struct {
	FunctionName             string        `json:"FunctionName,omitempty"`
	Qualifier                string        `json:"Qualifier,omitempty"`
	MaximumRetryAttempts     *int32        `json:"MaximumRetryAttempts,omitempty"`
	MaximumEventAgeInSeconds *int32        `json:"MaximumEventAgeInSeconds,omitempty"`
	DestinationConfig        *destinations `json:"DestinationConfig,omitempty"`
}

type destinations struct {
	OnSuccess *destination `json:"OnSuccess,omitempty"`
	OnFailure *destination `json:"OnFailure,omitempty"`
}

type destination struct {
	Destination string `json:"Destination,omitempty"`
}

type invokeConfigHandler struct{ svc api.Service }

// invokeConfigType has the function and the qualifier as its id, with a bar between.
func invokeConfigType(svc api.Service) cfn.Type {
	h := invokeConfigHandler{svc}
	return cfn.Type{Name: invokeConfigName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete}
}

// put sets the whole config: what the template leaves out is unset.
func (h invokeConfigHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p invokeConfigProperties
	if err := resource.Decode(invokeConfigName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in := &api.PutFunctionEventInvokeConfigInput{
		FunctionName: p.FunctionName, Qualifier: p.Qualifier, MaximumRetryAttempts: p.MaximumRetryAttempts,
		MaximumEventAgeInSeconds: p.MaximumEventAgeInSeconds, DestinationConfig: &api.DestinationConfig{},
	}
	if d := p.DestinationConfig; d != nil && d.OnSuccess != nil {
		in.DestinationConfig.OnSuccess = &api.OnSuccess{Destination: d.OnSuccess.Destination}
	}
	if d := p.DestinationConfig; d != nil && d.OnFailure != nil {
		in.DestinationConfig.OnFailure = &api.OnFailure{Destination: d.OnFailure.Destination}
	}
	if _, err := h.svc.PutFunctionEventInvokeConfig(ctx, in); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.FunctionName + "|" + p.Qualifier}, nil
}

func (h invokeConfigHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	function, qualifier, _ := strings.Cut(r.PhysicalID, "|")
	out, err := h.svc.GetFunctionEventInvokeConfig(ctx, &api.GetFunctionEventInvokeConfigInput{FunctionName: function, Qualifier: qualifier})
	if err != nil {
		return nil, resource.Found(err, invokeConfigName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	p := invokeConfigProperties{
		FunctionName: function, Qualifier: qualifier, MaximumRetryAttempts: out.MaximumRetryAttempts, MaximumEventAgeInSeconds: out.MaximumEventAgeInSeconds,
	}
	success, failure := out.DestinationConfig.OnSuccess.Destination, out.DestinationConfig.OnFailure.Destination
	if success+failure != "" {
		p.DestinationConfig = &destinations{}
		if success != "" {
			p.DestinationConfig.OnSuccess = &destination{success}
		}
		if failure != "" {
			p.DestinationConfig.OnFailure = &destination{failure}
		}
	}
	return resource.Encode(p)
}

func (h invokeConfigHandler) delete(ctx context.Context, r cfn.Request) error {
	function, qualifier, _ := strings.Cut(r.PhysicalID, "|")
	_, err := h.svc.DeleteFunctionEventInvokeConfig(ctx, &api.DeleteFunctionEventInvokeConfigInput{FunctionName: function, Qualifier: qualifier})
	return resource.Gone(err, fault.ResourceNotFoundException)
}
