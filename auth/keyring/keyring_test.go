package keyring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestSealedValuesOpenForTheirPurposeAlone(t *testing.T) {
	r := Ephemeral()
	sealed, err := r.Seal("a", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("the sealed value shows its text")
	}
	if got, err := r.Open("a", sealed); err != nil || string(got) != "secret" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	broken := append([]byte(nil), sealed...)
	broken[len(broken)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"other purpose": func() ([]byte, error) { return r.Open("b", sealed) },
		"other ring":    func() ([]byte, error) { return Ephemeral().Open("a", sealed) },
		"changed":       func() ([]byte, error) { return r.Open("a", broken) },
		"cut short":     func() ([]byte, error) { return r.Open("a", sealed[:overhead-1]) },
		"empty":         func() ([]byte, error) { return r.Open("a", nil) },
	} {
		if _, err := open(); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
	}
	again, err := r.Seal("a", []byte("secret"))
	if err != nil || bytes.Equal(sealed, again) {
		t.Fatalf("two seals of one value are alike (%v)", err)
	}
}

func TestOpenKeepsOneKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	rings := make([]*Ring, 8)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			r, err := Open(dir)
			if err != nil {
				t.Error(err)
			}
			rings[i] = r
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed, err := rings[0].Seal("p", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rings {
		if _, err := r.Open("p", sealed); err != nil {
			t.Errorf("ring %d: %v", i, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "master"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "new-*"))
	if err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v %v", left, err)
	}
	if err := os.Chmod(filepath.Join(dir, "master"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Fatal("a key that others may read was accepted")
	}
}

// TestValuesOfEarlierSlipways opens what was sealed in the first form.
func TestValuesOfEarlierSlipways(t *testing.T) {
	r := Ephemeral()
	sealed := append([]byte{hkdfForm}, bytes.Repeat([]byte{7}, saltSize)...)
	aead, nonce, err := r.cipher("a", sealed[1:])
	if err != nil {
		t.Fatal(err)
	}
	sealed = aead.Seal(sealed, nonce, []byte("plain"), []byte("a"))
	if got, err := r.Open("a", sealed); err != nil || string(got) != "plain" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := r.Open("b", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("for another purpose: %v", err)
	}
}
