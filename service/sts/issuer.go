package sts

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1" // thumbprints are SHA-1 by AWS's rule
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/slipway/slipway/fault"
)

// Bounds of what is fetched from an issuer.
const (
	fetchTime    = 5 * time.Second
	maxDocument  = 256 << 10 // bytes
	maxKeys      = 100
	minRSA       = 2048 // bits
	keysLive     = 5 * time.Minute
	refetchAfter = 10 * time.Second // of a key that is not among those fetched
	maxIssuers   = 100
)

// issuers keeps the keys of the identity providers for a while.
type issuers struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]keySet
}

type keySet struct {
	keys    map[string]crypto.PublicKey // by id
	fetched time.Time
}

// verify checks a token's signature by its issuer's keys.
func (i *issuers) verify(ctx context.Context, t *token, thumbprints []string) error {
	hash, ok := algorithms[t.header.Algorithm]
	if !ok {
		return invalidToken("The signing algorithm %s is not supported", t.header.Algorithm)
	}
	key, err := i.key(ctx, t.Issuer, t.header.KeyID, thumbprints)
	if err != nil {
		return err
	}
	h := hash.New()
	h.Write([]byte(t.signed))
	if !signedBy(key, t.header.Algorithm, hash, h.Sum(nil), t.signature) {
		return invalidToken("The web identity token that was passed could not be validated: its signature does not match")
	}
	return nil
}

var algorithms = map[string]crypto.Hash{
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512,
}

// curves are fixed by the algorithm (RFC 7518, 3.4).
var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}

func signedBy(key crypto.PublicKey, algorithm string, hash crypto.Hash, sum, signature []byte) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return algorithm[0] == 'R' && rsa.VerifyPKCS1v15(k, hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		if k.Curve != curves[algorithm] || len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(k, sum, r, s)
	}
	return false
}

// key finds an issuer's key by its id; the only key needs none.
func (i *issuers) key(ctx context.Context, issuer, id string, thumbprints []string) (crypto.PublicKey, error) {
	name := issuer + " " + strings.Join(thumbprints, " ")
	i.mu.Lock()
	set, ok := i.known[name]
	i.mu.Unlock()
	age := i.now().Sub(set.fetched)
	if ok && age < keysLive {
		if k := set.find(id); k != nil || age < refetchAfter {
			return k, missing(k)
		}
	}
	keys, err := fetchKeys(ctx, issuer, thumbprints)
	if err != nil {
		return nil, fault.New(fault.IDPCommunicationError, "Couldn't retrieve verification key from your identity provider, "+
			"please reference AssumeRoleWithWebIdentity documentation for requirements").Because(err)
	}
	set = keySet{keys, i.now()}
	i.mu.Lock()
	if i.known == nil || len(i.known) >= maxIssuers {
		i.known = map[string]keySet{}
	}
	i.known[name] = set
	i.mu.Unlock()
	k := set.find(id)
	return k, missing(k)
}

func missing(k crypto.PublicKey) error {
	if k == nil {
		return invalidToken("Couldn't find the key that signed the web identity token among those of the identity provider")
	}
	return nil
}

func (s keySet) find(id string) crypto.PublicKey {
	if k, ok := s.keys[id]; ok {
		return k
	}
	if id == "" && len(s.keys) == 1 {
		for _, k := range s.keys {
			return k
		}
	}
	return nil
}

// fetchKeys reads the keys that an issuer's discovery document names ("OpenID
// Connect Discovery 1.0").
func fetchKeys(ctx context.Context, issuer string, thumbprints []string) (map[string]crypto.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	own, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	client := func(control dialControl) *http.Client {
		dialer := &net.Dialer{Timeout: fetchTime, Control: control}
		transport := &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: verifying(thumbprints), MaxResponseHeaderBytes: 64 << 10,
			TLSHandshakeTimeout: fetchTime, DialContext: dialer.DialContext,
		}
		return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("an identity provider must not redirect")
		}}
	}
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := fetch(ctx, client(anywhere), strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &found); err != nil {
		return nil, err
	}
	if found.Issuer != issuer {
		return nil, fmt.Errorf("the discovery document is of issuer %q, not %q", found.Issuer, issuer)
	}
	var set struct {
		Keys []webKey `json:"keys"`
	}
	control := dialControl(anywhere)
	if keys, err := url.Parse(found.Keys); err != nil || keys.Host != own.Host {
		control = outside
	}
	if err := fetch(ctx, client(control), found.Keys, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the identity provider has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	out := map[string]crypto.PublicKey{}
	for _, k := range set.Keys {
		if p := k.public(); p != nil {
			out[k.ID] = p
		}
	}
	return out, nil
}

// dialControl looks at an address before it is connected to: after names were
// resolved, so that no name can stand for another address the second time.
type dialControl = func(network, address string, c syscall.RawConn) error

// anywhere is where an issuer may be: whoever may make identity providers names
// it, and Slipway's users have theirs in networks of their own. Addresses that no
// server of theirs has, such as a cloud's metadata service, are out.
func anywhere(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := a.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || !ip.IsValid() {
		return fmt.Errorf("%s is not an address of an identity provider", ip)
	}
	return nil
}

// outside is where an issuer may send Slipway for its keys: its document is not
// the user's word, and must not make Slipway look into its own network.
func outside(network, address string, c syscall.RawConn) error {
	if err := anywhere(network, address, c); err != nil {
		return err
	}
	if ip := netip.MustParseAddrPort(address).Addr().Unmap(); ip.IsLoopback() || ip.IsPrivate() {
		return fmt.Errorf("an identity provider's keys on another host must not be at the private address %s", ip)
	}
	return nil
}

func fetch(ctx context.Context, client *http.Client, address string, into any) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not an https URL", address)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return err
	}
	if len(b) > maxDocument {
		return fmt.Errorf("%s has more than %d bytes", address, maxDocument)
	}
	return json.Unmarshal(b, into)
}

// verifying trusts a certificate that the host's authorities vouch for or, as IAM
// does, one whose chain holds a certificate with a known thumbprint ("Obtain the
// thumbprint for an OpenID Connect identity provider", IAM User Guide).
func verifying(thumbprints []string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it, with the thumbprints
		VerifyConnection: func(c tls.ConnectionState) error {
			options := x509.VerifyOptions{DNSName: c.ServerName, Intermediates: x509.NewCertPool()}
			for _, cert := range c.PeerCertificates[1:] {
				options.Intermediates.AddCert(cert)
			}
			_, err := c.PeerCertificates[0].Verify(options)
			if err == nil {
				return nil
			}
			options.Roots = x509.NewCertPool()
			for _, cert := range c.PeerCertificates {
				sum := sha1.Sum(cert.Raw)
				if slices.ContainsFunc(thumbprints, func(t string) bool { return strings.EqualFold(t, hex.EncodeToString(sum[:])) }) {
					options.Roots.AddCert(cert)
				}
			}
			if _, pinned := c.PeerCertificates[0].Verify(options); pinned == nil {
				return nil
			}
			return err
		},
	}
}

// webKey is a JSON Web Key (RFC 7517).
type webKey struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	N     string `json:"n"`
	E     string `json:"e"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// public is the key, or nil for one that does not verify signatures here.
func (k *webKey) public() crypto.PublicKey {
	if k.Use != "" && k.Use != "sig" {
		return nil
	}
	number := func(text string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil || len(b) == 0 || len(b) > 1024 {
			return nil
		}
		return new(big.Int).SetBytes(b)
	}
	switch k.Type {
	case "RSA":
		n, e := number(k.N), number(k.E)
		if n == nil || e == nil || n.BitLen() < minRSA || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return nil
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}
	case "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k.Curve]
		x, y := number(k.X), number(k.Y)
		if curve == nil || x == nil || y == nil {
			return nil
		}
		size := (curve.Params().BitSize + 7) / 8
		if x.BitLen() > 8*size || y.BitLen() > 8*size {
			return nil
		}
		point := append([]byte{4}, make([]byte, 2*size)...) // uncompressed
		x.FillBytes(point[1 : 1+size])
		y.FillBytes(point[1+size:])
		p, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if err != nil { // not on the curve
			return nil
		}
		return p
	}
	return nil
}
