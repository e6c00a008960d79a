package sts

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/fault"
)

// token is a JSON Web Token (RFC 7519), taken apart and not yet verified.
type token struct {
	header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	claims
	signed    string // what the signature covers
	signature []byte
}

// claims are what STS reads of an OpenID Connect ID token.
type claims struct {
	Issuer         string  `json:"iss"`
	Subject        string  `json:"sub"`
	Audiences      texts   `json:"aud"`
	Party          string  `json:"azp"`
	Methods        texts   `json:"amr"`
	Expires        float64 `json:"exp"`
	IssuedAt       float64 `json:"iat"`
	NotBefore      float64 `json:"nbf"`
	SourceIdentity string  `json:"https://aws.amazon.com/source_identity"`
	Tags           struct {
		Principal  map[string]texts `json:"principal_tags"`
		Transitive []string         `json:"transitive_tag_keys"`
	} `json:"https://aws.amazon.com/tags"`
}

// texts is one string or a list.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '"' {
		*t = make(texts, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

func invalidToken(format string, args ...any) error {
	return fault.New(fault.InvalidIdentityToken, format, args...)
}

func parseToken(text string) (*token, error) {
	unreadable := invalidToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, unreadable
	}
	t := &token{signed: parts[0] + "." + parts[1]}
	for i, into := range []any{&t.header, &t.claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(b, into) != nil {
			return nil, unreadable
		}
	}
	var err error
	if t.signature, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return nil, unreadable
	}
	for _, m := range []struct{ name, value string }{{"iss", t.Issuer}, {"sub", t.Subject}, {"aud", strings.Join(t.Audiences, "")}} {
		if m.value == "" {
			return nil, invalidToken("Missing a required claim: %s", m.name)
		}
	}
	if t.Expires == 0 || t.IssuedAt == 0 {
		return nil, invalidToken("Missing a required claim: exp or iat")
	}
	return t, nil
}

// maxClockSkew is how far an issuer's clock may be ahead.
const maxClockSkew = 5 * time.Minute

// check looks at the times and the audience.
func (t *token) check(now time.Time, clients []string) error {
	seconds := float64(now.UnixNano()) / float64(time.Second)
	switch skew := maxClockSkew.Seconds(); {
	case seconds >= t.Expires:
		return fault.New(fault.ExpiredTokenException, "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), int64(t.Expires))
	case t.IssuedAt > seconds+skew || t.NotBefore > seconds+skew:
		return invalidToken("Token is not yet valid")
	}
	if t.Party != "" && len(t.Audiences) > 1 {
		if !slices.Contains(clients, t.Party) {
			return invalidToken("Incorrect token audience")
		}
		return nil
	}
	if !slices.ContainsFunc(t.Audiences, func(a string) bool { return slices.Contains(clients, a) }) {
		return invalidToken("Incorrect token audience")
	}
	return nil
}

// audience is what trust policies call aud: the party that the token was issued
// to, where it says so.
func (t *token) audience() string {
	if t.Party != "" {
		return t.Party
	}
	return t.Audiences[0]
}

// conditionKeys are the provider's own keys in policies ("Available keys for AWS
// OIDC federation", IAM User Guide).
func (t *token) conditionKeys() map[string][]string {
	prefix := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(t.Issuer, "https://"), "/")) + ":"
	out := map[string][]string{
		prefix + "sub": {t.Subject}, prefix + "aud": {t.audience()}, prefix + "oaud": t.Audiences,
	}
	if len(t.Methods) > 0 {
		out[prefix+"amr"] = t.Methods
	}
	return out
}

func (t *token) tags() []api.Tag {
	var out []api.Tag
	for key, values := range t.Tags.Principal {
		if len(values) == 1 {
			out = append(out, api.Tag{Key: key, Value: values[0]})
		}
	}
	slices.SortFunc(out, func(a, b api.Tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}
