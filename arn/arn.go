// Package arn is the vocabulary of names: partitions, accounts, regions, ARNs
// and resource ids. It imports nothing of ours and starts no goroutine.
package arn

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Partition is the one partition that Slipway serves.
const Partition = "aws"

// DefaultAccount owns calls in open mode whose access key id names no account.
const DefaultAccount = "000000000000"

// DefaultRegion is the region of calls whose signature names none.
const DefaultRegion = "us-east-1"

// Scope is the account and region that a record or a call belongs to.
// Everything that Slipway keeps is keyed by one.
type Scope struct {
	Account string // 12 digits
	Region  string // "us-east-1"
}

// ARN builds the name of a resource of this scope.
func (s Scope) ARN(service, resource string) ARN {
	return ARN{Service: service, Region: s.Region, Account: s.Account, Resource: resource}
}

// Global builds the name of a resource that has no region, such as an IAM role.
func (s Scope) Global(service, resource string) ARN {
	return ARN{Service: service, Account: s.Account, Resource: resource}
}

// Key is the scope as a prefix of a store key: "account/region".
func (s Scope) Key() string { return s.Account + "/" + s.Region }

// ARN is an Amazon Resource Name ("Amazon Resource Names (ARNs)", IAM User Guide).
type ARN struct {
	Service  string
	Region   string
	Account  string
	Resource string
}

func (a ARN) String() string {
	return "arn:" + Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Parse reads an ARN; the resource keeps its colons and slashes.
func Parse(s string) (ARN, error) {
	var parts [6]string
	rest, more := s, true
	for i := range 5 {
		if parts[i], rest, more = strings.Cut(rest, ":"); !more {
			break
		}
	}
	parts[5] = rest
	if !more || parts[0] != "arn" || parts[1] == "" || parts[2] == "" || parts[5] == "" {
		return ARN{}, fmt.Errorf("%q is not an ARN: want arn:partition:service:region:account:resource", s)
	}
	return ARN{Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}, nil
}

// IsAccount reports whether s has the form of an account id: 12 digits.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// NewID makes a random resource id of the current long form: the prefix, which
// ends in "-", and 17 hexadecimal digits.
func NewID(prefix string) string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	return prefix + hex.EncodeToString(b[:])[:17]
}

// NewUUID makes a random UUID (RFC 9562, version 4).
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return uuid(b)
}

// UUIDFrom makes the UUID that a token always leads to.
func UUIDFrom(token string) string {
	sum := sha256.Sum256([]byte(token))
	return uuid([16]byte(sum[:]))
}

func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// IsUUID reports whether a text has the form of a UUID, in small letters.
func IsUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// IDFrom makes the id that a token always leads to, so that a repeated step
// finds what its first run made.
func IDFrom(prefix, token string) string {
	return prefix + Hash(token)[:17]
}

// Hash is a stable hexadecimal digest (64 digits) of a token.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

const base36 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// NewSuffix makes n random characters of the form that CloudFormation and IAM
// put behind generated names (upper-case letters and digits).
func NewSuffix(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return suffix(b)
}

// SuffixFrom makes the n characters (at most 32) that a token always leads to.
func SuffixFrom(token string, n int) string {
	sum := sha256.Sum256([]byte(token))
	return suffix(sum[:min(n, len(sum))])
}

func suffix(b []byte) string {
	for i, c := range b {
		b[i] = base36[int(c)%len(base36)]
	}
	return string(b)
}
