package checksum

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The sums are those of AWS for the body "test-checksum" and of the CRC
// catalogue's check input "123456789".
func TestSums(t *testing.T) {
	tests := []struct {
		algorithm Algorithm
		input     string
		want      string
	}{
		{CRC32, "data", "rfPzYw=="},
		{CRC64NVME, "test-checksum", "1f2xscCCZCU="},
		{CRC32C, "123456789", "4waSgw=="},
		{CRC64NVME, "123456789", "rosUhgp5mIg="},
		{SHA512, "", "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="},
		{MD5, "", "1B2M2Y8AsgTpgAmY7PhCfg=="},
		{XXHASH64, "", "70bbN1HY6Zk="},
		{SHA1, "", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
		{SHA256, "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
	}
	for _, tt := range tests {
		t.Run(string(tt.algorithm)+" "+tt.input, func(t *testing.T) {
			h := tt.algorithm.New()
			h.Write([]byte(tt.input))
			if got := Encode(h.Sum(nil)); got != tt.want {
				t.Fatalf("sum of %q = %s, want %s", tt.input, got, tt.want)
			}
		})
	}
}

func TestCombine(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, a := range All {
		if !a.Linear() {
			continue
		}
		for _, size := range []struct{ a, b int }{{0, 0}, {0, 9}, {9, 0}, {1, 1}, {4096, 1}, {5000, 70001}} {
			data := make([]byte, size.a+size.b)
			for i := range data {
				data[i] = byte(rnd.Uint32())
			}
			sum := func(p []byte) []byte { h := a.New(); h.Write(p); return h.Sum(nil) }
			got := a.Combine(sum(data[:size.a]), sum(data[size.a:]), int64(size.b))
			if want := sum(data); !bytes.Equal(got, want) {
				t.Errorf("%s of %d+%d bytes = %x, want %x", a, size.a, size.b, got, want)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	tests := []struct {
		algorithm Algorithm
		value     string
		ok        bool
	}{
		{CRC32, "rfPzYw==", true},
		{CRC32, "rfPzYw", false},
		{CRC32, "test", false},
		{SHA256, "rfPzYw==", false},
		{CRC32, "", false},
	}
	for _, tt := range tests {
		if _, err := tt.algorithm.Decode(tt.value); (err == nil) != tt.ok {
			t.Errorf("%s.Decode(%q) error = %v, want ok %v", tt.algorithm, tt.value, err, tt.ok)
		}
	}
}
