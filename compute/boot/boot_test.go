package boot

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRingKeepsTheLast64KiB(t *testing.T) {
	for _, tt := range []struct {
		name   string
		writes []int
	}{
		{"nothing", nil},
		{"a little", []int{5, 6}},
		{"exactly the ring", []int{ringSize}},
		{"around the end", []int{ringSize - 3, 10}},
		{"far more than fits", []int{100_000, 300_000, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "console"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var all []byte
			for i, n := range tt.writes {
				// A ring that is opened again goes on where it was.
				r, err := OpenRing(f)
				if err != nil {
					t.Fatal(err)
				}
				p := bytes.Repeat([]byte{byte('a' + i)}, n)
				if _, err := r.Write(p); err != nil {
					t.Fatal(err)
				}
				all = append(all, p...)
			}
			got, err := ReadRing(f)
			if err != nil {
				t.Fatal(err)
			}
			want := all[max(0, len(all)-ConsoleSize):]
			if !bytes.Equal(got, want) {
				t.Errorf("read %d bytes, want the last %d", len(got), len(want))
			}
			if st, _ := f.Stat(); st.Size() > ringHeader+ringSize {
				t.Errorf("the file has %d bytes", st.Size())
			}
		})
	}
}

func TestConfigGoesOver(t *testing.T) {
	want := Config{Kind: Sandbox, ID: "i-1", Address: netip.MustParseAddr("172.31.0.5"), Environment: map[string]string{"A": "b\nc"}}
	var b bytes.Buffer
	if err := Send(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadConfig(&b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Error(d)
	}
}

func TestACutConfigIsRefused(t *testing.T) {
	if _, err := ReadConfig(strings.NewReader(`{"kind":"sandbox"}`)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("err = %v, want ErrUnexpectedEOF", err)
	}
}

func TestReady(t *testing.T) {
	if err := ReadReady(strings.NewReader("{}\n")); err != nil {
		t.Error(err)
	}
	if err := ReadReady(strings.NewReader(`{"error":"mount /proc: denied"}` + "\n")); err == nil || !strings.Contains(err.Error(), "mount /proc: denied") {
		t.Errorf("err = %v", err)
	}
}
