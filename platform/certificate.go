package platform

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The API's certificates. Given files are read anew when they change. Without
// them Slipway is its own certificate authority, made at the first start, and
// issues a certificate for each name that a client asks for: virtual-host style
// gives every bucket one, and OpenSSL takes no wildcard of one label.

const (
	tlsDir = "tls"
	caName = "ca.pem"
	caKey  = "ca-key.pem"

	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 30 * 24 * time.Hour
	maxLeaves     = 1024
)

// CAFile is where the certificate of a data folder's own authority stands.
func CAFile(dir string) string { return filepath.Join(dir, tlsDir, caName) }

// tlsConfig is how the API speaks TLS, or nil where it does not.
func (c *Config) tlsConfig(names ...string) (*tls.Config, error) {
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	switch {
	case c.TLSCert != "":
		given := &givenCertificate{cert: c.TLSCert, key: c.TLSKey, now: c.Now}
		if _, err := given.load(); err != nil {
			return nil, err
		}
		base.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return given.load() }
	case c.TLS:
		ca, err := openAuthority(filepath.Join(c.Dir, tlsDir), c.Now)
		if err != nil {
			return nil, err
		}
		ca.names = append([]string{"localhost", "127.0.0.1", "::1"}, names...)
		base.GetCertificate = ca.certificate
	default:
		return nil, nil
	}
	return base, nil
}

// givenCertificate is a certificate in files, which others renew.
type givenCertificate struct {
	cert, key string
	now       func() time.Time

	mu      sync.Mutex
	looked  time.Time
	changed [2]time.Time // of the files, when they were read
	loaded  *tls.Certificate
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

func (g *givenCertificate) load() (*tls.Certificate, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if g.loaded != nil && now.Sub(g.looked) < lookEvery {
		return g.loaded, nil
	}
	g.looked = now
	var changed [2]time.Time
	for i, name := range []string{g.cert, g.key} {
		info, err := os.Stat(name)
		if err != nil {
			if g.loaded != nil {
				return g.loaded, nil // being replaced
			}
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if g.loaded != nil && changed == g.changed {
		return g.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(g.cert, g.key)
	if err != nil {
		if g.loaded != nil {
			return g.loaded, nil // half replaced; the next look finds it whole
		}
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	g.loaded, g.changed = &pair, changed
	return g.loaded, nil
}

// authority issues certificates under a key of the data folder.
type authority struct {
	now   func() time.Time
	names []string // that every certificate is for
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// openAuthority reads the authority of a folder, and makes it where there is none.
func openAuthority(dir string, now func() time.Time) (*authority, error) {
	a := &authority{now: now, leaves: map[string]*tls.Certificate{}}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, caName), filepath.Join(dir, caKey))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a, a.make(dir)
	case err != nil:
		return nil, fmt.Errorf("the certificate authority in %s: %w", dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the certificate authority in %s: its key is a %T", dir, pair.PrivateKey)
	}
	a.key, a.cert = key, pair.Leaf
	return a, nil
}

func (a *authority) make(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	now := a.now()
	der, err := a.sign(&x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Slipway"}, CommonName: "Slipway on " + host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.key = key
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The key first: a certificate without its key would be trusted in vain.
	if err := writePEM(filepath.Join(dir, caKey), "PRIVATE KEY", secret, 0o600); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, caName), "CERTIFICATE", der, 0o644)
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	return writeWhole(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// sign makes a certificate with a fresh serial number; parent nil is itself.
func (a *authority) sign(c, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c.SerialNumber = serial
	if parent == nil {
		parent = c
	}
	return x509.CreateCertificate(rand.Reader, c, parent, public, key)
}

// certificate is the one for the name that a client asks for, if it is one of
// this host's.
func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if !strings.HasSuffix(name, ".localhost") || len(name) > 253 {
		name = "" // the names of every certificate are all there is
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	leaf := a.leaves[name]
	if leaf != nil && a.now().Before(leaf.Leaf.NotAfter.Add(-leafLife/3)) {
		return leaf, nil
	}
	leaf, err := a.issue(name)
	if err != nil {
		return nil, err
	}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	a.leaves[name] = leaf
	return leaf, nil
}

func (a *authority) issue(name string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := a.now()
	c := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Slipway"}, CommonName: "Slipway API"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	names := a.names
	if name != "" {
		names = append([]string{name}, names...)
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	der, err := a.sign(c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// writeWhole writes a file that is there whole or not at all, also after a crash.
func writeWhole(path string, content []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
