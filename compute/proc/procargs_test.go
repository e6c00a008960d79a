//go:build linux || darwin

package proc

import (
	"encoding/binary"
	"slices"
	"testing"
)

func TestEnvironOf(t *testing.T) {
	args := func(argc uint32, rest string) []byte {
		return append(binary.NativeEndian.AppendUint32(nil, argc), rest...)
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		want []string
		ok   bool
	}{
		{"of a program", args(2, "/opt/x\x00\x00\x00\x00x\x00-v\x00A=1\x00B=\x00\x00ptr=0x1\x00"), []string{"A=1", "B="}, true},
		{"an argument that is empty", args(3, "/opt/x\x00\x00x\x00\x00-v\x00A=1\x00\x00"), []string{"A=1"}, true},
		{"kept by the system", args(2, "/bin/sleep\x00\x00sleep\x001000\x00"), nil, true},
		{"cut off in an argument", args(2, "/bin/sleep\x00\x00sle"), nil, true},
		{"nothing", nil, nil, false},
		{"no path", args(1, "x"), nil, false},
		{"too many", args(1<<31, "/bin/x\x00"), nil, false},
	} {
		got, err := environOf(tt.raw)
		if (err == nil) != tt.ok || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}
