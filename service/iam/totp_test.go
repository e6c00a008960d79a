package iam

import (
	"testing"
	"time"
)

// TestTOTP holds codes against the test vectors of RFC 6238, appendix B, of which six
// digits are used.
func TestTOTP(t *testing.T) {
	seed := []byte("12345678901234567890")
	for unix, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		at := stepAt(time.Unix(unix, 0))
		if got := totp(seed, at); got != want {
			t.Errorf("at %d: %s, want %s", unix, got, want)
		}
		if s, ok := stepOf(seed, want, at-1, at+1); !ok || s != at {
			t.Errorf("%s is of step %d, %t", want, s, ok)
		}
		if _, ok := stepOf(seed, want, at+1, at+3); ok {
			t.Errorf("%s is taken after its time", want)
		}
		if s, ok := pairOf(seed, want, totp(seed, at+1), at-5, at+5); !ok || s != at+1 {
			t.Errorf("the pair of %s ends at %d, %t", want, s, ok)
		}
		if _, ok := pairOf(seed, want, totp(seed, at+2), at-5, at+5); ok {
			t.Errorf("codes that are not in a row are a pair")
		}
	}
}
