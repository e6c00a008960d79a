package checksum

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The sums are those of AWS for the body "test-checksum", and of xxhash 0.8.1,
// Python's hashlib and bit-by-bit CRCs.
func TestSums(t *testing.T) {
	long := make([]byte, 5000)
	for i := range long {
		long[i] = byte(i * 7)
	}
	tests := []struct {
		algorithm                  Algorithm
		empty, digits, named, long string
	}{
		{CRC32, "AAAAAA==", "y/Q5Jg==", "lVk/nw==", "tkH1yA=="},
		{CRC32C, "AAAAAA==", "4waSgw==", "Fz3epA==", "CCWwxA=="},
		{CRC64NVME, "AAAAAAAAAAA=", "rosUhgp5mIg=", "1f2xscCCZCU=", "utApghjCL4k="},
		{SHA1, "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "98O8HYCOBHMq32eZZczDTKeuNEE=", "jbXkHAsXUrubtL3dqDQ4w+7WXc0=", "2vOIDSpRkHNaCzeSTcPZiWkAhyM="},
		{SHA256, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
			"1YQo81vx2VFUl0q5ccWISq8AkSBQQ0WO80S82TmfdIQ=", "sKvh/DIhSIOWy4Rbc9rSoIOJI4N9/Wckewbllv/z8sM="},
		{SHA512, "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
			"2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==",
			"mqdibHyKwFIYsLRejuY8MYRpmPrkNkLpyX2sEKxMCH2YgNT+A/LP1OmF+SyLckVV4HpQCXV3PLuNYjwbD/Fv5w==",
			"74KkDPm/1w/yvqMfUpoFwKsUWY71zBK7mHOYcAvygOO9SAXw47Srko1ATEX6/m8T9VWao+IhcZ8sTHNdmnOfdw=="},
		{MD5, "1B2M2Y8AsgTpgAmY7PhCfg==", "JfnnlDI7RTiF9RgfG2JNCw==", "8ggd1h36cAoP1eKbnDzCPQ==", "pjnySy8uzRRX7sanr5QolA=="},
		{XXHASH64, "70bbN1HY6Zk=", "jLhB20DmroM=", "3JrYpZJ5ZEA=", "9YxSo8nI8m0="},
		{XXHASH3, "LQaABTjTlMI=", "ctyxi2ehff8=", "FBi20cyfDyI=", "ar6L5avLJ2A="},
		{XXHASH128, "maoG0wFHmNhgAcMkRo1Jfw==", "MxGUd+3l3NXpcWQnaB1YYA==", "8Ab93L5jvI2pCk3eDMM2FQ==", "pLoqYPsH4BZqvovlq8snYA=="},
	}
	if len(tests) != len(All) {
		t.Errorf("%d algorithms, %d known answers", len(All), len(tests))
	}
	for _, tt := range tests {
		for input, want := range map[string]string{"": tt.empty, "123456789": tt.digits, "test-checksum": tt.named, string(long): tt.long} {
			for _, piece := range []int{1, 7, 300, 4096, 5000} {
				h := tt.algorithm.New()
				for rest := []byte(input); len(rest) > 0; {
					n := min(piece, len(rest))
					h.Write(rest[:n])
					rest = rest[n:]
				}
				if got := Encode(h.Sum(nil)); got != want {
					t.Errorf("%s of %.20q in pieces of %d = %s, want %s", tt.algorithm, input, piece, got, want)
				}
			}
			if raw, err := tt.algorithm.Decode(want); err != nil || len(raw) != tt.algorithm.Size() {
				t.Errorf("%s of %d bytes: %v", tt.algorithm, tt.algorithm.Size(), err)
			}
		}
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
