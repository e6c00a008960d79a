package checksum

import (
	"bytes"
	"hash/crc64"
	"testing"

	"pgregory.net/rapid"
)

// However the bytes come, the fast way gives what hash/crc64 does.
func TestTheFastCRC64IsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		unit := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "unit")
		data := bytes.Repeat(unit, rapid.IntRange(0, 20).Draw(rt, "times"))
		h := CRC64NVME.New()
		for rest := data; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "written")
			h.Write(rest[:n])
			rest = rest[n:]
		}
		want := crc64.Checksum(data, tableCRC64NVME)
		if got := h.(*crc64nvme).sum; got != want {
			rt.Fatalf("%d bytes: %016x, want %016x", len(data), got, want)
		}
	})
}

func BenchmarkSums(b *testing.B) {
	data := make([]byte, 256<<10)
	for _, a := range All {
		b.Run(string(a), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			h := a.New()
			for b.Loop() {
				h.Write(data)
			}
		})
	}
}
