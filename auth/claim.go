package auth

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// claim is what an Authorization header says beside the signature's value and the
// time: whose key signed, for what, and which headers. A client says the same
// all day.
type claim struct {
	accessKeyID string
	date        string // of the credential scope: 20130524
	region      string
	service     string
	scope       string
	signed      []string // lower case, in order
	keys        []string // the same, in the form of header keys

	derived atomic.Pointer[derivedFor]
	last    atomic.Pointer[moment]
}

// moment is the time that a client's last signature was made, as it wrote it:
// within a second they are the same.
type moment struct {
	text string
	time time.Time
}

// derivedFor is the signing key of a claim under a secret.
type derivedFor struct {
	secret string
	key    *derivedKey
}

// claims keeps those whose signatures were verified, by the header's text before
// the signature: nobody fills it with what is made up.
type claims struct {
	mu    sync.RWMutex
	known map[string]*claim
}

// Bounds of the memory for claims: a longer one is not kept, a full cache starts
// afresh.
const (
	maxClaims    = 1024
	maxClaimText = 1 << 10 // bytes
)

const signatureMark = "Signature="

// claimText is the part of a header that claims are kept by: all before the
// signature, where that comes last, as clients write it. The signature is a plain
// value: nothing after it can belong to the claim.
func claimText(header string) (text, value string, ok bool) {
	i := strings.LastIndex(header, ", "+signatureMark)
	if i < 0 || i > maxClaimText || !strings.HasPrefix(header, algorithm+" Credential=") {
		return "", "", false
	}
	i += len(", ")
	text, value = header[:i], header[i+len(signatureMark):]
	if len(value) != 64 {
		return "", "", false
	}
	for j := range len(value) {
		if c := value[j]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", "", false
		}
	}
	return text, value, true
}

func (c *claims) get(text string) *claim {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known[text]
}

// keep remembers a claim that was verified.
func (c *claims) keep(text string, found *claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxClaims {
		c.known = map[string]*claim{}
	}
	c.known[strings.Clone(text)] = found
}

// seal fills in what follows from the rest of a claim.
func (c *claim) seal() {
	c.scope = credentialScope(c.date, c.region, c.service)
	c.keys = headerKeys(c.signed)
}

func headerKeys(names []string) []string {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = http.CanonicalHeaderKey(name)
	}
	return keys
}

// key is the signing key of the claim.
func (c *claim) key(from *signingKeys, secret string) *derivedKey {
	if d := c.derived.Load(); d != nil && d.secret == secret {
		return d.key
	}
	d := &derivedFor{secret, from.derive(signingKey{secret, c.date, c.region, c.service})}
	c.derived.Store(d)
	return d.key
}

// covers reports whether the signature covers a header, by its key.
func (c *claim) covers(key string) bool { return slices.Contains(c.keys, key) }
