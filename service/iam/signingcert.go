package iam

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// signingCert is an X.509 certificate of a user.
type signingCert struct {
	ID       string
	Body     string
	Status   string
	Uploaded time.Time
}

var signingCerts = credentials[signingCert]{
	store.NewCollection[signingCert]("iam/signingcert"), "The Certificate with id %s cannot be found.", "CertificatesPerUser", 2, "signing certificates",
}

// parseCertificate reads one PEM certificate and refuses anything beside it.
func parseCertificate(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, fault.New(fault.MalformedCertificate, "Unable to parse certificate. Please ensure the certificate is in PEM format.")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.MalformedCertificate, "Unable to parse certificate. Please ensure the certificate is in PEM format.").Because(err)
	}
	return cert, nil
}

func (c *signingCert) api(name string) api.SigningCertificate {
	return api.SigningCertificate{UserName: name, CertificateId: c.ID, CertificateBody: c.Body, Status: c.Status, UploadDate: &c.Uploaded}
}

// UploadSigningCertificate gives a user a certificate.
func (s *Service) UploadSigningCertificate(ctx context.Context, in *api.UploadSigningCertificateInput) (*api.UploadSigningCertificateOutput, error) {
	name, err := userName(ctx, "UploadSigningCertificate", in.UserName)
	if err != nil {
		return nil, err
	}
	cert, err := parseCertificate(in.CertificateBody)
	if err != nil {
		return nil, err
	}
	if s.now().After(cert.NotAfter) {
		return nil, fault.New(fault.InvalidCertificate, "The certificate expired on %s.", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	c := &signingCert{ID: auth.UniqueID("", 32), Body: in.CertificateBody, Status: "Active", Uploaded: s.now().UTC().Truncate(time.Second)}
	err = addCredential(ctx, s, signingCerts, name, c.ID, c, func(have *signingCert) error {
		if strings.TrimSpace(have.Body) == strings.TrimSpace(c.Body) {
			return fault.New(fault.DuplicateCertificate, "The certificate is already associated with the user %s.", name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := c.api(name)
	return &api.UploadSigningCertificateOutput{Certificate: &out}, nil
}

// ListSigningCertificates lists a user's certificates.
func (s *Service) ListSigningCertificates(ctx context.Context, in *api.ListSigningCertificatesInput) (*api.ListSigningCertificatesOutput, error) {
	name, err := userName(ctx, "ListSigningCertificates", in.UserName)
	if err != nil {
		return nil, err
	}
	page, next, err := listCredentials(ctx, s, signingCerts, name, in.Marker, in.MaxItems, func(c *signingCert) string { return c.ID })
	if err != nil {
		return nil, err
	}
	out := &api.ListSigningCertificatesOutput{Certificates: []api.SigningCertificate{}, Marker: next, IsTruncated: new(next != "")}
	for _, c := range page {
		out.Certificates = append(out.Certificates, c.api(name))
	}
	return out, nil
}

// UpdateSigningCertificate switches a certificate on or off.
func (s *Service) UpdateSigningCertificate(ctx context.Context, in *api.UpdateSigningCertificateInput) (*api.UpdateSigningCertificateOutput, error) {
	name, err := userName(ctx, "UpdateSigningCertificate", in.UserName)
	if err != nil {
		return nil, err
	}
	if err := checkStatus(in.Status); err != nil {
		return nil, err
	}
	return &api.UpdateSigningCertificateOutput{}, editCredential(ctx, s, signingCerts, name, in.CertificateId, func(c *signingCert) error {
		c.Status = in.Status
		return nil
	})
}

// DeleteSigningCertificate removes a certificate.
func (s *Service) DeleteSigningCertificate(ctx context.Context, in *api.DeleteSigningCertificateInput) (*api.DeleteSigningCertificateOutput, error) {
	name, err := userName(ctx, "DeleteSigningCertificate", in.UserName)
	if err != nil {
		return nil, err
	}
	return &api.DeleteSigningCertificateOutput{}, removeCredential(ctx, s, signingCerts, name, in.CertificateId)
}
