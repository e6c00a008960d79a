package lambda

import (
	"context"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const urlName = "AWS::Lambda::Url"

type urlProperties struct {
	TargetFunctionArn string `json:"TargetFunctionArn,omitempty"`
	Qualifier         string `json:"Qualifier,omitempty"`
	AuthType          string `json:"AuthType,omitempty"`
	InvokeMode        string `json:"InvokeMode,omitempty"`
	Cors              *cors  `json:"Cors,omitempty"`
	FunctionArn       string `json:"FunctionArn,omitempty"`
	FunctionURL       string `json:"FunctionUrl,omitempty"`
}

type cors struct {
	AllowCredentials *bool    `json:"AllowCredentials,omitempty"`
	AllowHeaders     []string `json:"AllowHeaders,omitempty"`
	AllowMethods     []string `json:"AllowMethods,omitempty"`
	AllowOrigins     []string `json:"AllowOrigins,omitempty"`
	ExposeHeaders    []string `json:"ExposeHeaders,omitempty"`
	MaxAge           *int32   `json:"MaxAge,omitempty"`
}

func (c *cors) api() *api.Cors {
	if c == nil {
		return nil
	}
	return &api.Cors{
		AllowCredentials: c.AllowCredentials, AllowHeaders: c.AllowHeaders, AllowMethods: c.AllowMethods, AllowOrigins: c.AllowOrigins,
		ExposeHeaders: c.ExposeHeaders, MaxAge: c.MaxAge,
	}
}

type urlHandler struct{ svc api.Service }

// urlType has the ARN of the function, or of the alias, as its id.
func urlType(svc api.Service) cfn.Type {
	h := urlHandler{svc}
	return cfn.Type{Name: urlName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete}
}

func (h urlHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p urlProperties
	if err := resource.Decode(urlName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateFunctionUrlConfig(ctx, &api.CreateFunctionUrlConfigInput{
		FunctionName: p.TargetFunctionArn, Qualifier: p.Qualifier, AuthType: p.AuthType, Cors: p.Cors.api(), InvokeMode: p.InvokeMode,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: out.FunctionArn, Attributes: cfn.Properties{"FunctionArn": out.FunctionArn, "FunctionUrl": out.FunctionUrl}}, nil
}

func (h urlHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetFunctionUrlConfig(ctx, &api.GetFunctionUrlConfigInput{FunctionName: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, urlName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	p := urlProperties{AuthType: out.AuthType, InvokeMode: out.InvokeMode, FunctionArn: out.FunctionArn, FunctionURL: out.FunctionUrl}
	p.TargetFunctionArn, _ = r.Properties["TargetFunctionArn"].(string)
	p.Qualifier, _ = r.Properties["Qualifier"].(string)
	if p.TargetFunctionArn == "" {
		p.TargetFunctionArn = out.FunctionArn
	}
	if c := out.Cors; c != nil {
		p.Cors = &cors{c.AllowCredentials, c.AllowHeaders, c.AllowMethods, c.AllowOrigins, c.ExposeHeaders, c.MaxAge}
	}
	return resource.Encode(p)
}

func (h urlHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p urlProperties
	if err := resource.Decode(urlName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in := &api.UpdateFunctionUrlConfigInput{FunctionName: r.PhysicalID, AuthType: p.AuthType, Cors: p.Cors.api(), InvokeMode: p.InvokeMode}
	if in.Cors == nil {
		in.Cors = &api.Cors{}
	}
	out, err := h.svc.UpdateFunctionUrlConfig(ctx, in)
	if err != nil {
		return cfn.Result{}, resource.Found(err, urlName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	return cfn.Result{PhysicalID: out.FunctionArn, Attributes: cfn.Properties{"FunctionArn": out.FunctionArn, "FunctionUrl": out.FunctionUrl}}, nil
}

func (h urlHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteFunctionUrlConfig(ctx, &api.DeleteFunctionUrlConfigInput{FunctionName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}
