package iam

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// serverCert is a stored TLS certificate and its sealed key.
type serverCert struct {
	Name     string
	Path     string
	ID       string
	Uploaded time.Time
	Expires  time.Time
	Body     string
	Chain    string    `json:",omitempty"`
	Key      []byte    // sealed
	Tags     []api.Tag `json:",omitempty"`
	Token    string    `json:",omitempty"`
}

var serverCerts = noun[serverCert]{
	store.NewCollection[serverCert]("iam/servercert"),
	"Server Certificate", "The Server Certificate with name %s cannot be found.", "serverCertificateName", 128,
	func(c *serverCert) string { return c.Name }, "ServerCertificatesPerAccount", 20,
}

func certPurpose(id string) string { return "iam/servercert/" + id }

func certTags(c *serverCert) *[]api.Tag { return &c.Tags }

func (c *serverCert) api(account string) *api.ServerCertificateMetadata {
	return &api.ServerCertificateMetadata{
		Path: c.Path, ServerCertificateName: c.Name, ServerCertificateId: c.ID,
		Arn: globalARN(account, "server-certificate"+c.Path+c.Name), UploadDate: &c.Uploaded, Expiration: &c.Expires,
	}
}

// checkCertificate reads a certificate, its key and the chain above it, and gives
// the time that the certificate ends.
func (s *Service) checkCertificate(in *api.UploadServerCertificateInput) (time.Time, error) {
	cert, err := parseCertificate(in.CertificateBody)
	if err != nil {
		return time.Time{}, err
	}
	block, _ := pem.Decode([]byte(in.PrivateKey))
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") || block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return time.Time{}, fault.New(fault.MalformedCertificate, "Unable to parse key. Please ensure the private key is in PEM format and not encrypted.")
	}
	if _, err := tls.X509KeyPair([]byte(in.CertificateBody), []byte(in.PrivateKey)); err != nil {
		if strings.Contains(err.Error(), "does not match") {
			return time.Time{}, fault.New(fault.KeyPairMismatch, "The public key of the certificate does not match the private key.")
		}
		return time.Time{}, fault.New(fault.MalformedCertificate, "Unable to parse key. Please ensure the private key is in PEM format and not encrypted.")
	}
	if s.now().After(cert.NotAfter) {
		return time.Time{}, fault.New(fault.MalformedCertificate, "The certificate expired on %s.", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	below, rest := cert, []byte(in.CertificateChain)
	for len(strings.TrimSpace(string(rest))) > 0 {
		block, after := pem.Decode(rest)
		if block == nil {
			return time.Time{}, fault.New(fault.MalformedCertificate, "Unable to validate certificate chain. The certificate chain must start with the immediate signing certificate, "+
				"followed by any intermediaries in order.")
		}
		above, err := parseCertificate(string(pem.EncodeToMemory(block)))
		if err != nil {
			return time.Time{}, err
		}
		if below.CheckSignatureFrom(above) != nil {
			return time.Time{}, fault.New(fault.MalformedCertificate, "Unable to validate certificate chain. The certificate chain must start with the immediate signing certificate, "+
				"followed by any intermediaries in order.")
		}
		below, rest = above, after
	}
	return cert.NotAfter.UTC(), nil
}

// UploadServerCertificate keeps a certificate with its key.
func (s *Service) UploadServerCertificate(ctx context.Context, in *api.UploadServerCertificateInput) (*api.UploadServerCertificateOutput, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	tags, err := merge(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	expires, err := s.checkCertificate(in)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	c := &serverCert{
		Name: in.ServerCertificateName, Path: path, ID: auth.UniqueID("ASCA", 17), Uploaded: s.now().UTC().Truncate(time.Second),
		Expires: expires, Body: in.CertificateBody, Chain: in.CertificateChain, Tags: tags, Token: call.Token,
	}
	if c.Key, err = s.ring.Seal(certPurpose(c.ID), []byte(in.PrivateKey)); err != nil {
		return nil, err
	}
	c, err = create(ctx, s, serverCerts, c.Name, c, func(c *serverCert) string { return c.Token })
	if fault.Is(err, fault.EntityAlreadyExists) {
		return nil, fault.New(fault.EntityAlreadyExists, "The Server Certificate with name %s already exists.", in.ServerCertificateName)
	}
	if err != nil {
		return nil, err
	}
	return &api.UploadServerCertificateOutput{ServerCertificateMetadata: c.api(call.Scope.Account), Tags: c.Tags}, nil
}

// GetServerCertificate tells a certificate; its key stays here.
func (s *Service) GetServerCertificate(ctx context.Context, in *api.GetServerCertificateInput) (*api.GetServerCertificateOutput, error) {
	c, err := read(ctx, s, serverCerts, in.ServerCertificateName)
	if err != nil {
		return nil, err
	}
	return &api.GetServerCertificateOutput{ServerCertificate: &api.ServerCertificate{
		ServerCertificateMetadata: c.api(auth.From(ctx).Scope.Account), CertificateBody: c.Body, CertificateChain: c.Chain, Tags: c.Tags,
	}}, nil
}

// ListServerCertificates lists the account's certificates.
func (s *Service) ListServerCertificates(ctx context.Context, in *api.ListServerCertificatesInput) (*api.ListServerCertificatesOutput, error) {
	items, next, err := list(ctx, s, serverCerts, in.Marker, in.MaxItems, func(c *serverCert) bool { return underPath(in.PathPrefix, c.Path) })
	if err != nil {
		return nil, err
	}
	out := &api.ListServerCertificatesOutput{ServerCertificateMetadataList: []api.ServerCertificateMetadata{}, Marker: next, IsTruncated: new(next != "")}
	for _, c := range items {
		out.ServerCertificateMetadataList = append(out.ServerCertificateMetadataList, *c.api(auth.From(ctx).Scope.Account))
	}
	return out, nil
}

// UpdateServerCertificate gives a certificate another name or path.
func (s *Service) UpdateServerCertificate(ctx context.Context, in *api.UpdateServerCertificateInput) (*api.UpdateServerCertificateOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.UpdateServerCertificateOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		c, err := serverCerts.find(tx, account, in.ServerCertificateName)
		if err != nil {
			return err
		}
		path, err := newPath(in.NewPath, c.Path)
		if err != nil {
			return err
		}
		return serverCerts.rename(tx, account, c, in.NewServerCertificateName, func() {
			c.Path = path
			if in.NewServerCertificateName != "" {
				c.Name = in.NewServerCertificateName
			}
		})
	})
}

// DeleteServerCertificate removes a certificate and its key.
func (s *Service) DeleteServerCertificate(ctx context.Context, in *api.DeleteServerCertificateInput) (*api.DeleteServerCertificateOutput, error) {
	return &api.DeleteServerCertificateOutput{}, remove(ctx, s, serverCerts, in.ServerCertificateName, func(store.Tx, *serverCert) error { return nil })
}

// TagServerCertificate puts tags on a certificate.
func (s *Service) TagServerCertificate(ctx context.Context, in *api.TagServerCertificateInput) (*api.TagServerCertificateOutput, error) {
	return &api.TagServerCertificateOutput{}, retag(ctx, s, serverCerts, in.ServerCertificateName, certTags, in.Tags, nil)
}

// UntagServerCertificate takes tags off a certificate.
func (s *Service) UntagServerCertificate(ctx context.Context, in *api.UntagServerCertificateInput) (*api.UntagServerCertificateOutput, error) {
	return &api.UntagServerCertificateOutput{}, retag(ctx, s, serverCerts, in.ServerCertificateName, certTags, nil, in.TagKeys)
}

// ListServerCertificateTags lists a certificate's tags.
func (s *Service) ListServerCertificateTags(ctx context.Context, in *api.ListServerCertificateTagsInput) (*api.ListServerCertificateTagsOutput, error) {
	c, err := read(ctx, s, serverCerts, in.ServerCertificateName)
	if err != nil {
		return nil, err
	}
	page, next := pageTags(c.Tags, in.Marker, in.MaxItems)
	return &api.ListServerCertificateTagsOutput{Tags: page, Marker: next, IsTruncated: new(next != "")}, nil
}
