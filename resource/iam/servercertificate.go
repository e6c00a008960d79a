package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const (
	serverCertificateTypeName = "AWS::IAM::ServerCertificate"
	maxServerCertificateName  = 128
)

type serverCertificateProperties struct {
	ServerCertificateName string         `json:"ServerCertificateName,omitempty"`
	Path                  string         `json:"Path,omitempty"`
	CertificateBody       string         `json:"CertificateBody,omitempty"`
	CertificateChain      string         `json:"CertificateChain,omitempty"`
	PrivateKey            string         `json:"PrivateKey,omitempty"`
	Tags                  []resource.Tag `json:"Tags,omitempty"`
}

type serverCertificateHandler struct{ svc api.Service }

func serverCertificateType(svc api.Service) cfn.Type {
	h := serverCertificateHandler{svc}
	return cfn.Type{Name: serverCertificateTypeName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func serverCertificateResult(m *api.ServerCertificateMetadata) cfn.Result {
	return cfn.Result{PhysicalID: m.ServerCertificateName, Attributes: cfn.Properties{"Arn": m.Arn}}
}

func (h serverCertificateHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p serverCertificateProperties
	if err := resource.Decode(serverCertificateTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.UploadServerCertificate(ctx, &api.UploadServerCertificateInput{
		ServerCertificateName: resource.Name(r, p.ServerCertificateName, maxServerCertificateName), Path: p.Path,
		CertificateBody: p.CertificateBody, CertificateChain: p.CertificateChain, PrivateKey: p.PrivateKey, Tags: tags(resource.Tags(r, p.Tags)),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	return serverCertificateResult(out.ServerCertificateMetadata), nil
}

func (h serverCertificateHandler) get(ctx context.Context, name string) (*api.ServerCertificate, error) {
	out, err := h.svc.GetServerCertificate(ctx, &api.GetServerCertificateInput{ServerCertificateName: name})
	if err != nil {
		return nil, resource.Found(err, serverCertificateTypeName, name, fault.NoSuchEntity)
	}
	return out.ServerCertificate, nil
}

// read leaves out what the schema calls write-only: the PEM texts.
func (h serverCertificateHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	c, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	m := c.ServerCertificateMetadata
	out, err := resource.Encode(serverCertificateProperties{ServerCertificateName: m.ServerCertificateName, Path: m.Path, Tags: resource.OwnTags(tagMap(c.Tags))})
	if err != nil {
		return nil, err
	}
	out["Arn"] = m.Arn
	return out, nil
}

func (h serverCertificateHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p serverCertificateProperties
	if err := resource.Decode(serverCertificateTypeName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	path := p.Path
	if path == "" {
		path = "/"
	}
	_, err := h.svc.UpdateServerCertificate(ctx, &api.UpdateServerCertificateInput{ServerCertificateName: r.PhysicalID, NewPath: path})
	if err != nil {
		return cfn.Result{}, resource.Found(err, serverCertificateTypeName, r.PhysicalID, fault.NoSuchEntity)
	}
	c, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return cfn.Result{}, err
	}
	result := serverCertificateResult(c.ServerCertificateMetadata)
	set, remove := resource.Retag(tagMap(c.Tags), resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagServerCertificate(ctx, &api.TagServerCertificateInput{ServerCertificateName: r.PhysicalID, Tags: tags(set)}); err != nil {
			return result, err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagServerCertificate(ctx, &api.UntagServerCertificateInput{ServerCertificateName: r.PhysicalID, TagKeys: remove}); err != nil {
			return result, err
		}
	}
	return result, nil
}

func (h serverCertificateHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteServerCertificate(ctx, &api.DeleteServerCertificateInput{ServerCertificateName: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchEntity)
}

func (h serverCertificateHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListServerCertificatesInput{}
	var names []string
	for {
		out, err := h.svc.ListServerCertificates(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, m := range out.ServerCertificateMetadataList {
			names = append(names, m.ServerCertificateName)
		}
		if in.Marker = out.Marker; in.Marker == "" {
			return names, nil
		}
	}
}
