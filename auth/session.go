package auth

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/auth/keyring"
)

// Sessions issues temporary credentials and verifies them. A session's token
// holds all that verification needs, sealed, so that it costs no store write
// and outlives a restart.
type Sessions struct{ ring *keyring.Ring }

// NewSessions makes sessions that are sealed with the ring.
func NewSessions(ring *keyring.Ring) *Sessions { return &Sessions{ring: ring} }

// sealedSession is the content of a token.
type sealedSession struct {
	Secret    string    `json:"s"`
	Principal Principal `json:"p"`
	Expires   int64     `json:"e"` // Unix seconds
}

// Errors of session tokens.
var (
	errForeignToken = errors.New("auth: not a session token of this Slipway")
	errExpired      = errors.New("auth: the session has expired")
)

const sessionPurpose = "auth/session"

// tokenPrefix tells Slipway's tokens from AWS's, which the same shell may hold.
const tokenPrefix = "SlipwaySession//"

// Issue makes temporary credentials for a principal, whose AccessKeyID it sets.
func (s *Sessions) Issue(p Principal, duration time.Duration, now time.Time) (Credentials, error) {
	c := Credentials{
		AccessKeyID:     sessionKeyID(p.Account),
		SecretAccessKey: NewSecret(),
		Expires:         now.Add(duration).UTC().Truncate(time.Second),
	}
	p.AccessKeyID = c.AccessKeyID
	session := Session{}
	if p.Session != nil {
		session = *p.Session
	}
	session.Issued = now.UTC().Truncate(time.Second)
	p.Session = &session
	plain, err := json.Marshal(sealedSession{Secret: c.SecretAccessKey, Principal: p, Expires: c.Expires.Unix()})
	if err != nil {
		return Credentials{}, err
	}
	sealed, err := s.ring.Seal(sessionPurpose, plain)
	if err != nil {
		return Credentials{}, err
	}
	c.SessionToken = tokenPrefix + base64.StdEncoding.EncodeToString(sealed)
	return c, nil
}

// open reads a token that came with the access key id.
func (s *Sessions) open(accessKeyID, token string, now time.Time) (Key, error) {
	body, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return Key{}, errForeignToken
	}
	sealed, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return Key{}, errForeignToken
	}
	plain, err := s.ring.Open(sessionPurpose, sealed)
	if err != nil {
		return Key{}, errForeignToken
	}
	var t sealedSession
	if err := json.Unmarshal(plain, &t); err != nil || !sameText(t.Principal.AccessKeyID, accessKeyID) {
		return Key{}, errForeignToken
	}
	if now.Unix() >= t.Expires {
		return Key{}, errExpired
	}
	return Key{Secret: t.Secret, Principal: t.Principal}, nil
}

// NewAccessKeyID makes an access key id of AWS's form: a prefix of four letters
// ("AKIA", "ASIA") and sixteen characters.
func NewAccessKeyID(prefix string) string { return UniqueID(prefix, 16) }

// sessionKeyID makes the access key id of a session. It holds the account, as AWS's
// do: the 40 bits behind the first one.
func sessionKeyID(account string) string {
	var b [10]byte
	_, _ = rand.Read(b[:])
	if n, err := strconv.ParseUint(account, 10, 40); err == nil {
		head := binary.BigEndian.Uint64(b[:8])&0x00000000007fffff | 1<<63 | n<<23
		binary.BigEndian.PutUint64(b[:8], head)
	}
	return "ASIA" + base32.StdEncoding.EncodeToString(b[:])
}

// SessionAccount is the account in the access key id of a session.
func SessionAccount(id string) (string, bool) {
	body, ok := strings.CutPrefix(id, "ASIA")
	b, err := base32.StdEncoding.DecodeString(body)
	if !ok || err != nil || len(b) != 10 {
		return "", false
	}
	account := binary.BigEndian.Uint64(b[:8]) >> 23 & (1<<40 - 1)
	return fmt.Sprintf("%012d", account), account < 1e12
}

// UniqueID makes an IAM unique identifier ("AIDA", "AROA", ...; "IAM
// identifiers", IAM User Guide): the prefix and n characters of A-Z and 2-7.
func UniqueID(prefix string, n int) string {
	b := make([]byte, n*5/8+1)
	_, _ = rand.Read(b)
	return prefix + base32.StdEncoding.EncodeToString(b)[:n]
}

// NewSecret makes a secret access key: 40 characters of base64.
func NewSecret() string {
	b := make([]byte, 30)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}
