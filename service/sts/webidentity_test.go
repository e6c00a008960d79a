package sts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	iamapi "github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

var quiet = log.New(io.Discard, "", 0)

// issuer is an OpenID Connect provider on loopback.
type issuer struct {
	*httptest.Server
	t       *testing.T
	rsa     *rsa.PrivateKey
	ec      *ecdsa.PrivateKey
	keys    []map[string]string // of the key set
	fetches atomic.Int32
	breaks  func(w http.ResponseWriter, r *http.Request) bool
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t}
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	point, err := i.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	i.keys = []map[string]string{
		{"kty": "RSA", "kid": "r", "use": "sig", "n": base64.RawURLEncoding.EncodeToString(i.rsa.N.Bytes()), "e": "AQAB"},
		{"kty": "EC", "kid": "e", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])},
		{"kty": "EC", "kid": "off the curve", "crv": "P-256", "x": "AQ", "y": "AQ"},
		{"kty": "RSA", "kid": "short", "n": base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "e": "AQAB"},
	}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		var answer any
		switch {
		case i.breaks != nil && i.breaks(w, r):
			return
		case r.URL.Path == "/.well-known/openid-configuration":
			answer = map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
		case r.URL.Path == "/keys":
			answer = map[string]any{"keys": i.keys}
		default:
			http.NotFound(w, r)
			return
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) thumbprint() string {
	sum := sha1.Sum(i.Certificate().Raw)
	return hex.EncodeToString(sum[:])
}

// token signs claims, over the usual ones.
func (i *issuer) token(algorithm, kid string, claims map[string]any) string {
	i.t.Helper()
	all := map[string]any{"iss": i.URL, "sub": "repo:octo/app", "aud": "sts.amazonaws.com", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for k, v := range claims {
		all[k] = v
	}
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			i.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(map[string]string{"alg": algorithm, "kid": kid, "typ": "JWT"}) + "." + part(all)
	sum := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch algorithm {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, sum[:])
	case "ES256":
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, i.ec, sum[:]); err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (b *bench) provider(url, thumbprint string) string {
	b.t.Helper()
	out, err := b.iam.CreateOpenIDConnectProvider(b.as(auth.RootOf(account)), &iamapi.CreateOpenIDConnectProviderInput{
		Url: url, ClientIDList: []string{"sts.amazonaws.com", "app"}, ThumbprintList: []string{thumbprint},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.OpenIDConnectProviderArn
}

// web makes the call of somebody without a signature.
func (b *bench) web(in api.AssumeRoleWithWebIdentityInput) (*api.AssumeRoleWithWebIdentityOutput, error) {
	if in.RoleSessionName == "" {
		in.RoleSessionName = "run-1"
	}
	ctx := auth.With(b.t.Context(), auth.Call{
		Principal: auth.Principal{Kind: auth.Anonymous, Enforced: b.closed}, Scope: arn.Scope{Account: arn.DefaultAccount, Region: "us-east-1"},
	})
	return b.AssumeRoleWithWebIdentity(ctx, &in)
}

func TestWebIdentity(t *testing.T) {
	b := newBench(t, true)
	i := newIssuer(t)
	host := strings.TrimPrefix(i.URL, "https://")
	provider := b.provider(i.URL, i.thumbprint())
	trust := func(action, subject string) string {
		return `{"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":` + action + `,"Condition":{"StringLike":{"` + host + `:sub":"` + subject + `"},
			"StringEquals":{"` + host + `:aud":"sts.amazonaws.com"}}}`
	}
	deploy := b.role("deploy", trust(`"sts:AssumeRoleWithWebIdentity"`, "repo:octo/*")).Arn
	tagged := b.role("tagged", trust(`["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`, "repo:octo/*")).Arn
	others := b.role("others", trust(`"sts:AssumeRoleWithWebIdentity"`, "repo:mine/*")).Arn
	b.rolePolicy("deploy", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"StringEquals":{
		"`+host+`:sub":"repo:octo/app","aws:FederatedProvider":"`+provider+`"}}}}`)
	for _, algorithm := range []struct{ name, kid string }{{"RS256", "r"}, {"ES256", "e"}} {
		out, err := b.web(api.AssumeRoleWithWebIdentityInput{RoleArn: deploy, WebIdentityToken: i.token(algorithm.name, algorithm.kid, nil)})
		if err != nil || out.AssumedRoleUser.Arn != "arn:aws:sts::123456789012:assumed-role/deploy/run-1" || out.SubjectFromWebIdentityToken != "repo:octo/app" ||
			out.Audience != "sts.amazonaws.com" || out.Provider != provider {
			t.Fatalf("%s: %+v, %v", algorithm.name, out, err)
		}
		if err := b.may(out.Credentials, "sqs", "ListQueues"); err != nil {
			t.Errorf("%s: by the claims in the session: %v", algorithm.name, err)
		}
	}
	if i.fetches.Load() != 2 {
		t.Errorf("the provider was asked %d times, want its document and keys once", i.fetches.Load())
	}
	tags := map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"Team": []string{"red"}}}}
	if out, err := b.web(api.AssumeRoleWithWebIdentityInput{RoleArn: tagged, WebIdentityToken: i.token("RS256", "r", tags)}); err != nil || b.whoIs(out.Credentials).Session.Tags["Team"] != "red" {
		t.Errorf("tags: %+v, %v", out, err)
	}
	good := i.token("RS256", "r", nil)
	head, rest, _ := strings.Cut(good, ".")
	for _, c := range []struct {
		name, role, token, want string
	}{
		{"another subject", others, good, fault.AccessDenied},
		{"tags without leave", deploy, i.token("RS256", "r", tags), fault.AccessDenied},
		{"no such role", deploy + "s", good, fault.AccessDenied},
		{"no role", "arn:aws:iam::123456789012:user/x", good, fault.ValidationError},
		{"no JWT", deploy, "none", fault.InvalidIdentityToken},
		{"no parts", deploy, "..", fault.InvalidIdentityToken},
		{"another's audience", deploy, i.token("RS256", "r", map[string]any{"aud": "x"}), fault.InvalidIdentityToken},
		{"an audience that the trust does not name", deploy, i.token("RS256", "r", map[string]any{"aud": "app"}), fault.AccessDenied},
		{"expired", deploy, i.token("RS256", "r", map[string]any{"exp": now.Unix()}), fault.ExpiredTokenException},
		{"of tomorrow", deploy, i.token("RS256", "r", map[string]any{"iat": now.Add(24 * time.Hour).Unix()}), fault.InvalidIdentityToken},
		{"no subject", deploy, i.token("RS256", "r", map[string]any{"sub": ""}), fault.InvalidIdentityToken},
		{"no expiry", deploy, i.token("RS256", "r", map[string]any{"exp": 0}), fault.InvalidIdentityToken},
		{"unknown issuer", deploy, i.token("RS256", "r", map[string]any{"iss": "https://other.example"}), fault.InvalidIdentityToken},
		{"plain issuer", deploy, i.token("RS256", "r", map[string]any{"iss": "http://" + host}), fault.InvalidIdentityToken},
		{"no algorithm", deploy, i.token("none", "r", nil), fault.InvalidIdentityToken},
		{"symmetric", deploy, i.token("HS256", "r", nil), fault.InvalidIdentityToken},
		{"unknown key", deploy, i.token("RS256", "other", nil), fault.InvalidIdentityToken},
		{"the other kind of key", deploy, i.token("RS256", "e", nil), fault.InvalidIdentityToken},
		{"key off the curve", deploy, i.token("ES256", "off the curve", nil), fault.InvalidIdentityToken},
		{"short key", deploy, i.token("RS256", "short", nil), fault.InvalidIdentityToken},
		{"changed", deploy, head + "." + strings.Replace(rest, ".", ".AA", 1), fault.InvalidIdentityToken},
	} {
		_, err := b.web(api.AssumeRoleWithWebIdentityInput{RoleArn: c.role, WebIdentityToken: c.token})
		if !fault.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if i.fetches.Load() != 2 {
		t.Errorf("the provider was asked %d times; a token of an unknown key must not make it be asked again at once", i.fetches.Load())
	}
}

func TestProvidersMisbehave(t *testing.T) {
	for _, c := range []struct {
		name       string
		thumbprint func(i *issuer) string
		breaks     func(i *issuer) func(w http.ResponseWriter, r *http.Request) bool
	}{
		{"another certificate", func(*issuer) string { return strings.Repeat("00", 20) }, nil},
		{"redirects", nil, func(i *issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "/keys", http.StatusFound)
				return true
			}
		}},
		{"answers without end", nil, func(i *issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				for range 100 {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						break
					}
				}
				return true
			}
		}},
		{"is another issuer", nil, func(i *issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				_, _ = w.Write([]byte(`{"issuer":"https://other.example","jwks_uri":"` + i.URL + `/keys"}`))
				return true
			}
		}},
		{"names plain keys", nil, func(i *issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				_, _ = w.Write([]byte(`{"issuer":"` + i.URL + `","jwks_uri":"http://127.0.0.1/keys"}`))
				return true
			}
		}},
		{"is down", nil, func(i *issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
		}},
	} {
		b := newBench(t, true)
		i := newIssuer(t)
		thumbprint := i.thumbprint()
		if c.thumbprint != nil {
			thumbprint = c.thumbprint(i)
		}
		if c.breaks != nil {
			i.breaks = c.breaks(i)
		}
		i.Config.ErrorLog = quiet
		provider := b.provider(i.URL, thumbprint)
		role := b.role("r", `{"Effect":"Allow","Principal":{"Federated":"`+provider+`"},"Action":"sts:AssumeRoleWithWebIdentity"}`).Arn
		_, err := b.web(api.AssumeRoleWithWebIdentityInput{RoleArn: role, WebIdentityToken: i.token("RS256", "r", nil)})
		if !fault.Is(err, fault.IDPCommunicationError) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EiLCJzdWIiOiJiIiwiYXVkIjpbImMiXSwiZXhwIjoxLCJpYXQiOjF9.AA")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parseToken(text)
		if err != nil {
			return
		}
		_ = token.check(now, []string{"c"}) // must not panic; what it says is tested elsewhere
		if token.audience() == "" && token.Audiences[0] != "" || len(token.conditionKeys()) < 3 {
			t.Fatal("a token without its keys was accepted")
		}
	})
}
