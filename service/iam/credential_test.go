package iam

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/csv"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
)

// issued makes a certificate with its key, in PEM.
func issued(t *testing.T, name string, ends time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func TestServerCertificates(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	cert, key := issued(t, "web", time.Now().Add(time.Hour))
	other, otherKey := issued(t, "other", time.Now().Add(time.Hour))
	old, oldKey := issued(t, "old", time.Now().Add(-time.Hour))
	upload := func(name, body, key, chain string) *api.UploadServerCertificateInput {
		return &api.UploadServerCertificateInput{ServerCertificateName: name, Path: "/tls/", CertificateBody: body, PrivateKey: key, CertificateChain: chain}
	}
	run(t, []step{
		{"no PEM", did(s.UploadServerCertificate, upload("web", "x", key, "")), "MalformedCertificate"},
		{"no key", did(s.UploadServerCertificate, upload("web", cert, "x", "")), "MalformedCertificate: Unable to parse key."},
		{"another's key", did(s.UploadServerCertificate, upload("web", cert, otherKey, "")), "KeyPairMismatch"},
		{"over", did(s.UploadServerCertificate, upload("web", old, oldKey, "")), "MalformedCertificate: The certificate expired"},
		{"another's chain", did(s.UploadServerCertificate, upload("web", cert, key, other)), "MalformedCertificate: Unable to validate certificate chain."},
		{"upload", did(s.UploadServerCertificate, upload("web", cert, key, "")), ""},
		{"again", did(s.UploadServerCertificate, upload("WEB", cert, key, "")), "EntityAlreadyExists: The Server Certificate with name WEB already exists."},
		{"tag", did(s.TagServerCertificate, &api.TagServerCertificateInput{ServerCertificateName: "web", Tags: []api.Tag{{Key: "a", Value: "b"}}}), ""},
		{"rename", did(s.UpdateServerCertificate, &api.UpdateServerCertificateInput{ServerCertificateName: "web", NewServerCertificateName: "www", NewPath: "/"}), ""},
		{"gone", did(s.GetServerCertificate, &api.GetServerCertificateInput{ServerCertificateName: "web"}), "NoSuchEntity: The Server Certificate with name web cannot be found."},
	})
	got, err := s.GetServerCertificate(ctx, &api.GetServerCertificateInput{ServerCertificateName: "www"})
	if err != nil {
		t.Fatal(err)
	}
	c := got.ServerCertificate
	if m := c.ServerCertificateMetadata; c.CertificateBody != cert || m.Arn != "arn:aws:iam::123456789012:server-certificate/www" ||
		!strings.HasPrefix(m.ServerCertificateId, "ASCA") || !m.Expiration.After(time.Now()) || len(c.Tags) != 1 {
		t.Errorf("%+v", c)
	}
	kept, err := read(ctx, s, serverCerts, "www")
	if err != nil || strings.Contains(string(kept.Key), "PRIVATE") {
		t.Fatalf("the key is not sealed: %v", err)
	}
	if plain, err := s.ring.Open(certPurpose(kept.ID), kept.Key); err != nil || string(plain) != key {
		t.Errorf("the key does not open: %v", err)
	}
	list, err := s.ListServerCertificates(ctx, &api.ListServerCertificatesInput{})
	if err != nil || len(list.ServerCertificateMetadataList) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	run(t, []step{
		{"delete", did(s.DeleteServerCertificate, &api.DeleteServerCertificateInput{ServerCertificateName: "www"}), ""},
		{"again", did(s.DeleteServerCertificate, &api.DeleteServerCertificateInput{ServerCertificateName: "www"}), "NoSuchEntity"},
	})
}

func TestSSHPublicKeys(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	line := "ssh-rsa " + base64.StdEncoding.EncodeToString(sshBlob(&private.PublicKey)) + " ann@host"
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	upload := func(body string) func() *api.UploadSSHPublicKeyInput {
		return func() *api.UploadSSHPublicKeyInput {
			return &api.UploadSSHPublicKeyInput{UserName: "ann", SSHPublicKeyBody: body}
		}
	}
	if _, err := s.CreateUser(ctx, &api.CreateUserInput{UserName: "ann"}); err != nil {
		t.Fatal(err)
	}
	made, err := s.UploadSSHPublicKey(ctx, upload(line)())
	if err != nil {
		t.Fatal(err)
	}
	id := made.SSHPublicKey.SSHPublicKeyId
	run(t, []step{
		{"text", did(s.UploadSSHPublicKey, upload("hello")()), "UnrecognizedPublicKeyEncoding"},
		{"no key in it", did(s.UploadSSHPublicKey, upload("ssh-rsa AAAAB3NzaC1yc2E=")()), "InvalidPublicKey"},
		{"too long a part", did(s.UploadSSHPublicKey, upload("ssh-rsa /////wAA")()), "InvalidPublicKey"},
		{"the same in PEM", did(s.UploadSSHPublicKey, upload(block)()), "DuplicateSSHPublicKey"},
		{"off", did(s.UpdateSSHPublicKey, &api.UpdateSSHPublicKeyInput{UserName: "ann", SSHPublicKeyId: id, Status: "Inactive"}), ""},
		{"unknown encoding", did(s.GetSSHPublicKey, &api.GetSSHPublicKeyInput{UserName: "ann", SSHPublicKeyId: id, Encoding: "X"}), "UnrecognizedPublicKeyEncoding"},
		{"user in use", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), "DeleteConflict: Cannot delete entity, must delete SSH public keys first."},
	})
	got, err := s.GetSSHPublicKey(ctx, &api.GetSSHPublicKeyInput{UserName: "ann", SSHPublicKeyId: id, Encoding: "PEM"})
	if err != nil || got.SSHPublicKey.SSHPublicKeyBody != block || got.SSHPublicKey.Status != "Inactive" || len(got.SSHPublicKey.Fingerprint) != 47 || !strings.HasPrefix(id, "APKA") {
		t.Errorf("%+v, %v", got, err)
	}
	list, err := s.ListSSHPublicKeys(ctx, &api.ListSSHPublicKeysInput{UserName: "ann"})
	if err != nil || len(list.SSHPublicKeys) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	run(t, []step{
		{"delete", did(s.DeleteSSHPublicKey, &api.DeleteSSHPublicKeyInput{UserName: "ann", SSHPublicKeyId: id}), ""},
		{"again", did(s.DeleteSSHPublicKey, &api.DeleteSSHPublicKeyInput{UserName: "ann", SSHPublicKeyId: id}), "NoSuchEntity: The Public Key with id " + id + " cannot be found."},
	})
}

func TestSigningCertificates(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	var bodies []string
	for _, n := range []string{"a", "b", "c"} {
		body, _ := issued(t, n, time.Now().Add(time.Hour))
		bodies = append(bodies, body)
	}
	old, _ := issued(t, "old", time.Now().Add(-time.Hour))
	upload := func(body string) func() *api.UploadSigningCertificateInput {
		return func() *api.UploadSigningCertificateInput {
			return &api.UploadSigningCertificateInput{UserName: "ann", CertificateBody: body}
		}
	}
	if _, err := s.CreateUser(ctx, &api.CreateUserInput{UserName: "ann"}); err != nil {
		t.Fatal(err)
	}
	made, err := s.UploadSigningCertificate(ctx, upload(bodies[0])())
	if err != nil {
		t.Fatal(err)
	}
	id := made.Certificate.CertificateId
	run(t, []step{
		{"twice", did(s.UploadSigningCertificate, upload(bodies[0])()), "DuplicateCertificate"},
		{"over", did(s.UploadSigningCertificate, upload(old)()), "InvalidCertificate"},
		{"text", did(s.UploadSigningCertificate, upload("x")()), "MalformedCertificate"},
		{"second", did(s.UploadSigningCertificate, upload(bodies[1])()), ""},
		{"third", did(s.UploadSigningCertificate, upload(bodies[2])()), "LimitExceeded: Cannot exceed quota for CertificatesPerUser: 2"},
		{"off", did(s.UpdateSigningCertificate, &api.UpdateSigningCertificateInput{UserName: "ann", CertificateId: id, Status: "Inactive"}), ""},
		{"user in use", did(s.DeleteUser, &api.DeleteUserInput{UserName: "ann"}), "DeleteConflict: Cannot delete entity, must delete signing certificates first."},
	})
	list, err := s.ListSigningCertificates(ctx, &api.ListSigningCertificatesInput{UserName: "ann", MaxItems: new(int32(1))})
	if err != nil || len(list.Certificates) != 1 || !*list.IsTruncated {
		t.Fatalf("%+v, %v", list, err)
	}
	run(t, []step{{"delete", did(s.DeleteSigningCertificate, &api.DeleteSigningCertificateInput{UserName: "ann", CertificateId: id}), ""}})
}

// The report tells what the records tell, and is as old as it says.
func TestCredentialReport(t *testing.T) {
	s := newService(t)
	s.rounds = 10
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	run(t, []step{
		{"none", did(s.GetCredentialReport, &api.GetCredentialReportInput{}), "ReportNotPresent"},
		{"ann", did(s.CreateUser, &api.CreateUserInput{UserName: "ann", Path: "/team/"}), ""},
		{"bob", did(s.CreateUser, &api.CreateUserInput{UserName: "bob"}), ""},
		{"policy", did(s.UpdateAccountPasswordPolicy, &api.UpdateAccountPasswordPolicyInput{MaxPasswordAge: new(int32(31))}), ""},
		{"password", did(s.CreateLoginProfile, &api.CreateLoginProfileInput{UserName: "ann", Password: "Correct-Horse-1"}), ""},
	})
	key, err := s.CreateAccessKey(as(t, ""), &api.CreateAccessKeyInput{UserName: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	s.Used(auth.Call{Principal: auth.Principal{Kind: auth.User, AccessKeyID: key.AccessKey.AccessKeyId}, Service: "s3"})
	made, err := s.GenerateCredentialReport(as(t, ""), &api.GenerateCredentialReportInput{})
	if err != nil || made.State != "COMPLETE" {
		t.Fatalf("%+v, %v", made, err)
	}
	got, err := s.GetCredentialReport(as(t, ""), &api.GetCredentialReportInput{})
	if err != nil || got.ReportFormat != "text/csv" || !got.GeneratedTime.Equal(now) {
		t.Fatalf("%+v, %v", got, err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(got.Content))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%v, %v", rows, err)
	}
	const at, later = "2026-03-01T10:00:00+00:00", "2026-03-01T10:01:00+00:00"
	none := []string{"false", "N/A", "N/A", "N/A", "N/A"}
	want := []string{"ann", "arn:aws:iam::123456789012:user/team/ann", at, "true", "no_information", at, "2026-04-01T10:00:00+00:00", "false", "true", at, later, "", "s3"}
	want = append(append(want, none...), "false", "N/A", "false", "N/A")
	if d := cmp.Diff(want, rows[2]); d != "" {
		t.Error(d)
	}
	if rows[1][0] != "<root_account>" || rows[3][0] != "bob" || rows[3][3] != "false" || len(rows[1]) != len(rows[0]) {
		t.Errorf("%v", rows)
	}
	now = now.Add(reportAge)
	run(t, []step{
		{"old", did(s.GetCredentialReport, &api.GetCredentialReportInput{}), "ReportExpired"},
		{"anew", did(s.GenerateCredentialReport, &api.GenerateCredentialReportInput{}), ""},
		{"young", did(s.GetCredentialReport, &api.GetCredentialReportInput{}), ""},
	})
}
