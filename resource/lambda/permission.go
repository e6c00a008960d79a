package lambda

import (
	"context"
	"encoding/json"
	"strings"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const permissionName = "AWS::Lambda::Permission"

type permissionProperties struct {
	FunctionName          string `json:"FunctionName,omitempty"`
	Action                string `json:"Action,omitempty"`
	Principal             string `json:"Principal,omitempty"`
	SourceArn             string `json:"SourceArn,omitempty"`
	SourceAccount         string `json:"SourceAccount,omitempty"`
	EventSourceToken      string `json:"EventSourceToken,omitempty"`
	PrincipalOrgID        string `json:"PrincipalOrgID,omitempty"`
	FunctionURLAuthType   string `json:"FunctionUrlAuthType,omitempty"`
	InvokedViaFunctionURL *bool  `json:"InvokedViaFunctionUrl,omitempty"`
	ID                    string `json:"Id,omitempty"`
}

type permissionHandler struct{ svc api.Service }

// permissionType is a statement of a function's policy. Its physical id is the
// statement's: Ref gives that.
func permissionType(svc api.Service) cfn.Type {
	h := permissionHandler{svc}
	return cfn.Type{
		Name: permissionName, Create: h.create, Read: h.read, Delete: h.delete,
		Identify: func(identifier map[string]string) string { return identifier["Id"] },
	}
}

func (h permissionHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p permissionProperties
	if err := resource.Decode(permissionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	_, err := h.svc.AddPermission(ctx, &api.AddPermissionInput{
		FunctionName: p.FunctionName, StatementId: r.Name, Action: p.Action, Principal: p.Principal, SourceArn: p.SourceArn,
		SourceAccount: p.SourceAccount, EventSourceToken: p.EventSourceToken, PrincipalOrgID: p.PrincipalOrgID,
		FunctionUrlAuthType: p.FunctionURLAuthType, InvokedViaFunctionUrl: p.InvokedViaFunctionURL,
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: r.Name, Attributes: cfn.Properties{"Id": r.Name}}, nil
}

// statement is one of a policy as Lambda writes it.
type statement struct {
	Sid       string
	Principal any
	Action    string
	Condition map[string]map[string]string
}

func (h permissionHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	function, _ := r.Properties["FunctionName"].(string)
	out, err := h.svc.GetPolicy(ctx, &api.GetPolicyInput{FunctionName: function})
	if err != nil {
		return nil, resource.Found(err, permissionName, r.PhysicalID, fault.ResourceNotFoundException)
	}
	var doc struct{ Statement []statement }
	if err := json.Unmarshal([]byte(out.Policy), &doc); err != nil {
		return nil, err
	}
	for _, s := range doc.Statement {
		if s.Sid == r.PhysicalID {
			return s.properties(function, r.Properties)
		}
	}
	return nil, resource.Missing(permissionName, r.PhysicalID)
}

// properties are a statement as a template says it.
func (s statement) properties(function string, said cfn.Properties) (cfn.Properties, error) {
	p := permissionProperties{FunctionName: function, Action: s.Action, ID: s.Sid}
	switch who := s.Principal.(type) {
	case string:
		p.Principal = who
	case map[string]any:
		for _, v := range who {
			p.Principal, _ = v.(string)
		}
	}
	// An account stands in the policy as its root.
	if account, ok := said["Principal"].(string); ok && p.Principal == "arn:aws:iam::"+account+":root" {
		p.Principal = account
	}
	for _, keys := range s.Condition {
		for key, value := range keys {
			switch strings.ToLower(key) {
			case "aws:sourcearn":
				p.SourceArn = value
			case "aws:sourceaccount":
				p.SourceAccount = value
			case "lambda:eventsourcetoken":
				p.EventSourceToken = value
			case "aws:principalorgid":
				p.PrincipalOrgID = value
			case "lambda:functionurlauthtype":
				p.FunctionURLAuthType = value
			case "lambda:invokedviafunctionurl":
				p.InvokedViaFunctionURL = new(value == "true")
			}
		}
	}
	return resource.Encode(p)
}

func (h permissionHandler) delete(ctx context.Context, r cfn.Request) error {
	function, _ := r.Properties["FunctionName"].(string)
	_, err := h.svc.RemovePermission(ctx, &api.RemovePermissionInput{FunctionName: function, StatementId: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}
