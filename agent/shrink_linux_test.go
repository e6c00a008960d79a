package agent

import "testing"

func TestReadOnlyFile(t *testing.T) {
	for _, tt := range []struct {
		line     string
		from, to uintptr
		ok       bool
	}{
		{"00400000-00452000 r-xp 00001000 08:02 173521      /usr/lib/slipway/slipway", 0x400000, 0x452000, true},
		{"00651000-00652000 r--p 00051000 08:02 173521      /usr/lib/slipway/slipway", 0x651000, 0x652000, true},
		{"00652000-00655000 rw-p 00052000 08:02 173521      /usr/lib/slipway/slipway", 0, 0, false},
		{"c000000000-c000400000 r--p 00000000 00:00 0", 0, 0, false},
		{"7fff0000-7fff1000 r-xp 00000000 00:00 0      [vdso]", 0, 0, false},
		{"Rss:                 4 kB", 0, 0, false},
	} {
		from, to, ok := readOnlyFile(tt.line)
		if ok != tt.ok || ok && (from != tt.from || to != tt.to) {
			t.Errorf("%q: %x-%x %v", tt.line, from, to, ok)
		}
	}
}
