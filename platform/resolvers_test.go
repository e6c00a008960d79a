package platform

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestResolvers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stub := write("stub", "# systemd-resolved\nnameserver 127.0.0.53\noptions edns0\n")
	real := write("real", "search example.test\nnameserver 192.0.2.1\nnameserver fe80::1\nnameserver x\nnameserver\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n")
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")}
	for name, tc := range map[string]struct {
		files []string
		want  []netip.Addr
	}{
		"as they are":     {[]string{real}, want},
		"behind a stub":   {[]string{stub, real}, want},
		"only a stub":     {[]string{stub}, nil},
		"none is written": {[]string{filepath.Join(dir, "none")}, nil},
	} {
		if got := resolvers(tc.files); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
