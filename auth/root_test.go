package auth

import (
	"errors"
	"testing"
	"time"

	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/store/storetest"
)

func TestRootKeyIsMadeOnce(t *testing.T) {
	st, ring := storetest.New(t), keyring.Ephemeral()
	keys := KeysOf(RootKeys{st, ring}, testKeys)
	if _, err := keys.Key(t.Context(), "AKIANONE"); !errors.Is(err, ErrNoKey) {
		t.Fatalf("before there is one: %v", err)
	}
	made, created, err := EnsureRoot(t.Context(), st, ring)
	if err != nil || !created {
		t.Fatalf("%v, %v", created, err)
	}
	// Until it was shown, each start has it to show.
	for _, unshown := range []bool{true, false, false} {
		again, got, err := EnsureRoot(t.Context(), st, ring)
		if err != nil || got != unshown || again != made {
			t.Fatalf("%+v, %v, %v; want %v", again, got, err, unshown)
		}
		if err := RootShown(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	a := &Authenticator{Keys: keys, Now: func() time.Time { return day }}
	out, err := a.Authenticate(signedRequest(t, made, "sts", day), "sts")
	if err != nil || out.Principal.ARN != "arn:aws:iam::000000000000:root" || out.Principal.Kind != Root || !out.Verified {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := a.Authenticate(signedRequest(t, Credentials{AccessKeyID: exID, SecretAccessKey: exSecret}, "sts", day), "sts"); err != nil {
		t.Errorf("the second source: %v", err)
	}
	if _, _, err := EnsureRoot(t.Context(), st, keyring.Ephemeral()); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("another master key: %v", err)
	}
}
