package iam

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the hash of RFC 4226, which authenticators use
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// Time-based one-time passwords ("TOTP: Time-Based One-Time Password Algorithm",
// RFC 6238), with the parameters that all authenticators have: SHA-1, steps of 30
// seconds, six digits.
const (
	totpStep   = 30 // seconds
	totpDigits = 1_000_000
	// totpReach is how many steps a code may be off where it is used, for the time
	// that typing takes; pairReach is that of two codes in a row, by which the
	// device's clock is learned.
	totpReach = 1
	pairReach = 20
)

func stepAt(t time.Time) int64 { return t.Unix() / totpStep }

// totp is the code of a step.
func totp(seed []byte, step int64) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step)) //nolint:gosec // of this century
	mac := hmac.New(sha1.New, seed)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	n := binary.BigEndian.Uint32(sum[at:at+4]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%totpDigits)
}

// stepOf finds the step, from one to another, that a code is of. It takes the same
// time whichever it is.
func stepOf(seed []byte, code string, from, to int64) (step int64, ok bool) {
	for s := from; s <= to; s++ {
		if subtle.ConstantTimeCompare([]byte(totp(seed, s)), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// pairOf finds the second of two steps in a row that two codes are of.
func pairOf(seed []byte, first, second string, from, to int64) (step int64, ok bool) {
	for s := from; s <= to; s++ {
		a := subtle.ConstantTimeCompare([]byte(totp(seed, s-1)), []byte(first))
		b := subtle.ConstantTimeCompare([]byte(totp(seed, s)), []byte(second))
		if a&b == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}
