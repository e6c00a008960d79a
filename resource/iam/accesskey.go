package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const accessKeyTypeName = "AWS::IAM::AccessKey"

type accessKeyProperties struct {
	UserName string `json:"UserName"`
	Status   string `json:"Status,omitempty"`
	Serial   *int64 `json:"Serial,omitempty"` // a change of it makes another key
}

type accessKeyHandler struct{ svc api.Service }

func accessKeyType(svc api.Service) cfn.Type {
	h := accessKeyHandler{svc}
	return cfn.Type{Name: accessKeyTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list,
		Secret: []string{"SecretAccessKey"}}
}

func (h accessKeyHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p accessKeyProperties
	if err := resource.Decode(accessKeyTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateAccessKey(ctx, &api.CreateAccessKeyInput{UserName: p.UserName})
	if err != nil {
		return cfn.Result{}, err
	}
	k := out.AccessKey
	result := cfn.Result{PhysicalID: k.AccessKeyId, Attributes: cfn.Properties{"Id": k.AccessKeyId, "SecretAccessKey": k.SecretAccessKey}}
	if p.Status == "" || p.Status == k.Status {
		return result, nil
	}
	return result, h.switchTo(ctx, p, k.AccessKeyId)
}

func (h accessKeyHandler) switchTo(ctx context.Context, p accessKeyProperties, id string) error {
	status := p.Status
	if status == "" {
		status = api.StatusTypeActive
	}
	_, err := h.svc.UpdateAccessKey(ctx, &api.UpdateAccessKeyInput{UserName: p.UserName, AccessKeyId: id, Status: status})
	return err
}

func (h accessKeyHandler) keys(ctx context.Context, user string) ([]api.AccessKeyMetadata, error) {
	in := &api.ListAccessKeysInput{UserName: user}
	var keys []api.AccessKeyMetadata
	for {
		out, err := h.svc.ListAccessKeys(ctx, in)
		if err != nil {
			return nil, err
		}
		keys = append(keys, out.AccessKeyMetadata...)
		if in.Marker = out.Marker; in.Marker == "" {
			return keys, nil
		}
	}
}

// read leaves the secret out: nobody can read it.
func (h accessKeyHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	var p accessKeyProperties
	if err := resource.Decode(accessKeyTypeName, r.Properties, &p); err != nil {
		return nil, err
	}
	keys, err := h.keys(ctx, p.UserName)
	if err != nil {
		return nil, resource.Found(err, accessKeyTypeName, r.PhysicalID, fault.NoSuchEntity)
	}
	for _, k := range keys {
		if k.AccessKeyId != r.PhysicalID {
			continue
		}
		out, err := resource.Encode(accessKeyProperties{UserName: k.UserName, Status: k.Status, Serial: p.Serial})
		if err != nil {
			return nil, err
		}
		out["Id"] = k.AccessKeyId
		return out, nil
	}
	return nil, resource.Missing(accessKeyTypeName, r.PhysicalID)
}

// update tells no attributes: the secret was told when the key was made, and the
// engine keeps it.
func (h accessKeyHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p accessKeyProperties
	if err := resource.Decode(accessKeyTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	err := h.switchTo(ctx, p, r.PhysicalID)
	return cfn.Result{PhysicalID: r.PhysicalID}, resource.Found(err, accessKeyTypeName, r.PhysicalID, fault.NoSuchEntity)
}

func (h accessKeyHandler) delete(ctx context.Context, r cfn.Request) error {
	var p accessKeyProperties
	if err := resource.Decode(accessKeyTypeName, r.Properties, &p); err != nil {
		return err
	}
	_, err := h.svc.DeleteAccessKey(ctx, &api.DeleteAccessKeyInput{UserName: p.UserName, AccessKeyId: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h accessKeyHandler) list(ctx context.Context) ([]string, error) {
	users, err := userNames(ctx, h.svc)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range users {
		keys, err := h.keys(ctx, u)
		if err := resource.Gone(err, fault.NoSuchEntity); err != nil {
			return nil, err
		}
		for _, k := range keys {
			ids = append(ids, k.AccessKeyId)
		}
	}
	return ids, nil
}
