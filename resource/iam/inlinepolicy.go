package iam

import (
	"context"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// inlinePolicyHandler makes one policy in one role, user or group. Its id is
// "policy|subject".
type inlinePolicyHandler struct {
	typeName string
	owner    string // property that names the subject: "RoleName"
	subject  subject
}

func inlinePolicyType(typeName, owner string, s subject) cfn.Type {
	h := inlinePolicyHandler{typeName, owner, s}
	return cfn.Type{Name: typeName, Create: h.put, Read: h.read, Update: h.put, Delete: h.delete}
}

type inlinePolicyProperties struct {
	PolicyName     string            `json:"PolicyName"`
	PolicyDocument resource.Document `json:"PolicyDocument"`
	RoleName       string            `json:"RoleName,omitempty"`
	UserName       string            `json:"UserName,omitempty"`
	GroupName      string            `json:"GroupName,omitempty"`
}

func (h inlinePolicyHandler) decode(r cfn.Request) (p inlinePolicyProperties, owner string, err error) {
	err = resource.Decode(h.typeName, r.Properties, &p)
	owner = p.RoleName + p.UserName + p.GroupName // the schema lets one of them through
	if err == nil && p.PolicyDocument.Text == "" {
		err = fault.New(fault.ValidationError, "%s: PolicyDocument is required.", h.typeName)
	}
	return p, owner, err
}

// put makes the policy, or changes its document: nothing else can change.
func (h inlinePolicyHandler) put(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, owner, err := h.decode(r)
	if err != nil {
		return cfn.Result{}, err
	}
	if err := h.subject.put(ctx, owner, p.PolicyName, p.PolicyDocument.Text); err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: p.PolicyName + "|" + owner}, nil
}

func (h inlinePolicyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	name, owner, _ := strings.Cut(r.PhysicalID, "|")
	text, err := h.subject.text(ctx, owner, name)
	if err != nil {
		return nil, resource.Found(err, h.typeName, r.PhysicalID, fault.NoSuchEntity)
	}
	out, err := resource.Encode(inlinePolicyProperties{PolicyName: name, PolicyDocument: resource.Document{Text: text}})
	if err != nil {
		return nil, err
	}
	out[h.owner] = owner
	return out, nil
}

func (h inlinePolicyHandler) delete(ctx context.Context, r cfn.Request) error {
	name, owner, _ := strings.Cut(r.PhysicalID, "|")
	return resource.Gone(h.subject.drop(ctx, owner, name), fault.NoSuchEntity)
}
