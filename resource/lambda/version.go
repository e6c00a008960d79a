package lambda

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const versionName = "AWS::Lambda::Version"

type versionProperties struct {
	FunctionName string `json:"FunctionName,omitempty"`
	Description  string `json:"Description,omitempty"`
	CodeSha256   string `json:"CodeSha256,omitempty"`
	FunctionArn  string `json:"FunctionArn,omitempty"`
	Version      string `json:"Version,omitempty"`
}

type versionHandler struct{ svc api.Service }

func versionType(svc api.Service) cfn.Type {
	h := versionHandler{svc}
	return cfn.Type{Name: versionName, Create: h.create, Read: h.read, Delete: h.delete, List: h.list}
}

func (h versionHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p versionProperties
	if err := resource.Decode(versionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if _, err := functionHandler(h).settled(ctx, p.FunctionName); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.PublishVersion(ctx, &api.PublishVersionInput{FunctionName: p.FunctionName, Description: p.Description, CodeSha256: p.CodeSha256})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: out.FunctionArn, Attributes: cfn.Properties{"FunctionArn": out.FunctionArn, "Version": out.Version}}, nil
}

func (h versionHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.GetFunctionConfiguration(ctx, &api.GetFunctionConfigurationInput{FunctionName: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, versionName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	p := versionProperties{FunctionName: sameFunction(r.Properties, out.FunctionName), Description: out.Description, FunctionArn: out.FunctionArn, Version: out.Version}
	if _, said := r.Properties["CodeSha256"]; said {
		p.CodeSha256 = out.CodeSha256
	}
	return resource.Encode(p)
}

// sameFunction is a function as a template names it, where that is the same one:
// by a name, a part of its ARN or all of it.
func sameFunction(properties cfn.Properties, name string) string {
	if said, _ := properties["FunctionName"].(string); said == name || strings.HasSuffix(said, ":"+name) {
		return said
	}
	return name
}

func (h versionHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteFunction(ctx, &api.DeleteFunctionInput{FunctionName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}

func (h versionHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListFunctionsInput{FunctionVersion: api.FunctionVersionAll}
	var ids []string
	for {
		out, err := h.svc.ListFunctions(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, f := range out.Functions {
			if f.Version != "$LATEST" {
				ids = append(ids, f.FunctionArn)
			}
		}
		if in.Marker = out.NextMarker; in.Marker == "" {
			return ids, nil
		}
	}
}
