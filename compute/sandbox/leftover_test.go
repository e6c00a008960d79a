//go:build linux

package sandbox

import (
	"os"
	"strings"
	"testing"

	"github.com/slipway/slipway/compute/computetest"
)

// TestLeftovers: what a driver set up is listed, a lost disk too, and nothing is
// after it was cleaned away.
func TestLeftovers(t *testing.T) {
	requireVolumes(t)
	w := computetest.New(t, harness)
	d := w.Driver.(*Driver)
	w.Launch(w.Spec(""))
	list := func() string {
		all, err := Leftovers()
		if err != nil {
			t.Fatal(err)
		}
		var own []string
		for _, l := range all {
			if l.Tag == d.tag {
				own = append(own, l.What)
			}
		}
		return strings.Join(own, "\n")
	}
	if got := list(); !strings.Contains(got, "bridge slw-"+d.tag) || !strings.Contains(got, "/slipway-"+d.tag) || strings.Contains(got, "loop") {
		t.Errorf("a running driver has\n%s", got)
	}
	disks, err := d.imagesIn("volumes")
	if err != nil || len(disks) != 1 {
		t.Fatalf("volumes %v, %v", disks, err)
	}
	w.Do(os.Remove(d.volumePath(disks[0])))
	if got := list(); !strings.Contains(got, "loop device /dev/loop") {
		t.Errorf("with a lost disk\n%s", got)
	}
	_, err = d.Clean(t.Context())
	w.Do(err)
	w.Until("nothing is left", func() bool { return list() == "" })
}
