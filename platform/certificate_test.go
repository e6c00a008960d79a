package platform

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAuthorityIssuesForTheHostsNames(t *testing.T) {
	now := time.Now()
	cfg := Config{Dir: t.TempDir(), TLS: true, Now: func() time.Time { return now }}
	config, err := cfg.tlsConfig("192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(CAFile(cfg.Dir))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("ca.pem holds no certificate")
	}
	leaf := func(name string) *x509.Certificate {
		t.Helper()
		c, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	for _, c := range []struct {
		asked, name string
		good        bool
	}{
		{"localhost", "localhost", true},
		{"", "127.0.0.1", true},
		{"", "192.0.2.7", true},
		{"bucket.localhost", "bucket.localhost", true},
		{"a.b.s3.localhost", "a.b.s3.localhost", true},
		{"Bucket.LOCALHOST.", "bucket.localhost", true},
		{"example.com", "example.com", false},
		{"xlocalhost", "xlocalhost", false},
	} {
		_, err := leaf(c.asked).Verify(x509.VerifyOptions{DNSName: c.name, Roots: roots, CurrentTime: now})
		if (err == nil) != c.good {
			t.Errorf("asked for %q, verified as %q: %v", c.asked, c.name, err)
		}
	}
	// A certificate is renewed before it ends; the authority stays.
	first := leaf("localhost")
	now = now.Add(leafLife - time.Hour)
	if second := leaf("localhost"); second.NotAfter.Equal(first.NotAfter) {
		t.Error("a certificate that ends was not renewed")
	}
	again, err := cfg.tlsConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := again.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: roots, CurrentTime: now}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if info, err := os.Stat(filepath.Join(cfg.Dir, tlsDir, caKey)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: %v, %v", info, err)
	}
}

func TestGivenCertificatesAreReadAnew(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	dir := t.TempDir()
	cfg := Config{TLSCert: filepath.Join(dir, "cert.pem"), TLSKey: filepath.Join(dir, "key.pem"), Now: clock}
	if _, err := cfg.tlsConfig(); err == nil {
		t.Error("files that are not there are no error")
	}
	write := func(at time.Time) {
		t.Helper()
		ca := &authority{now: clock, leaves: map[string]*tls.Certificate{}}
		made := t.TempDir()
		if err := ca.make(made); err != nil {
			t.Fatal(err)
		}
		for from, to := range map[string]string{caName: cfg.TLSCert, caKey: cfg.TLSKey} {
			if err := os.Rename(filepath.Join(made, from), to); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(to, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(now)
	config, err := cfg.tlsConfig()
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		t.Helper()
		c, err := config.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.String()
	}
	first := serial()
	write(now.Add(time.Minute))
	now = now.Add(2 * lookEvery)
	second := serial()
	if first == second {
		t.Error("a replaced certificate is not in use")
	}
	// Half a replacement leaves the one that works.
	if err := os.WriteFile(cfg.TLSCert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * lookEvery)
	if got := serial(); got != second {
		t.Error("a broken file took the place of a certificate that works")
	}
}
