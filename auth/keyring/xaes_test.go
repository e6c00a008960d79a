package keyring

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors are those of the specification.
func TestXAES(t *testing.T) {
	for _, tt := range []struct {
		key       byte
		aad, want string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x, err := newXAES(bytes.Repeat([]byte{tt.key}, 32))
		if err != nil {
			t.Fatal(err)
		}
		aead, nonce, err := x.of([]byte("ABCDEFGHIJKLMNOPQRSTUVWX"))
		if err != nil {
			t.Fatal(err)
		}
		got := aead.Seal(nil, nonce, []byte("XAES-256-GCM"), []byte(tt.aad))
		if hex.EncodeToString(got) != tt.want {
			t.Errorf("key %d: %x, want %s", tt.key, got, tt.want)
		}
	}
}

// Messages share a key for so many of them, and never a nonce; what was sealed
// under a key that is not kept any more opens as ever.
func TestNonces(t *testing.T) {
	r := Ephemeral()
	first, err := r.Seal("p", []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	halves := map[string]int{}
	for range 2*maxShare + 1 {
		nonce := make([]byte, saltSize)
		r.xaes.fresh(nonce)
		if seen[string(nonce)] {
			t.Fatalf("nonce %x twice", nonce)
		}
		seen[string(nonce)] = true
		halves[string(nonce[:nonceHalf])]++
	}
	if len(halves) != 3 {
		t.Errorf("%d halves for %d messages", len(halves), len(seen)+1)
	}
	for half, n := range halves {
		if n > maxShare {
			t.Errorf("%d messages with half %x", n, half)
		}
	}
	for i := range r.xaes.recent {
		r.xaes.recent[i].Store(nil)
	}
	for range 2 { // derived, then kept
		if plain, err := r.Open("p", first); err != nil || string(plain) != "first" {
			t.Fatalf("%q, %v", plain, err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	r := Ephemeral()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Seal("sqs/a-message", make([]byte, 100)); err != nil {
			b.Fatal(err)
		}
	}
}
