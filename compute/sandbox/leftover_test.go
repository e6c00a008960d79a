//go:build linux

package sandbox

import (
	"os"
	"strings"
	"testing"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
	"github.com/slipway/slipway/compute/proc"
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
		for _, l := range all {
			if l.Tag == d.tag {
				return strings.Join(append(l.Found, string(l.State)), "\n")
			}
		}
		return ""
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

// TestWhatIsLostIsRemoved: as long as a driver is open, or its folder is there,
// nothing is lost; when somebody removed the folder by hand, all of it goes, the
// instances' processes too, and nothing of another driver.
func TestWhatIsLostIsRemoved(t *testing.T) {
	requireVolumes(t)
	w, other := computetest.New(t, harness), computetest.New(t, harness)
	d := w.Driver.(*Driver)
	neighbour := other.Launch(other.Spec(""))
	h := w.Launch(w.Spec(""))
	first, err := proc.Of(d.FirstProcess(h.ID))
	w.Do(err)
	own := func() (mine []Leftover) {
		all, err := Leftovers()
		w.Do(err)
		for _, l := range all {
			if l.Tag == d.tag {
				mine = append(mine, l)
			}
		}
		return mine
	}
	is := func(when string, want LeftoverState) {
		t.Helper()
		if got := own(); len(got) != 1 || got[0].State != want {
			t.Errorf("%s: %+v", when, got)
		}
		if want == Lost {
			return
		}
		if removed, err := RemoveLost(t.Context(), own()); removed != nil || err != nil {
			t.Errorf("%s: removed %v, %v", when, removed, err)
		}
	}
	is("a driver is open", InUse)
	w.Close()
	is("none is", Idle)
	moved := t.TempDir() + "/moved"
	w.Do(os.Rename(w.Dir, moved))
	is("the folder was moved", Idle)
	w.Do(os.RemoveAll(moved))
	is("the folder is gone", Lost)
	lost := own()
	removed, err := RemoveLost(t.Context(), lost)
	w.Do(err)
	for _, want := range []string{"bridge slw-" + d.tag, "cgroup ", "process ", "nftables tables", "claim of "} {
		if !strings.Contains(strings.Join(removed, "\n"), want) {
			t.Errorf("no %s is in %q", want, removed)
		}
	}
	w.Until("nothing is left", func() bool { return len(own()) == 0 })
	if first.Alive() {
		t.Error("the instance runs on")
	}
	if st, err := other.Driver.Describe(t.Context(), neighbour); err != nil || st.State != compute.Running {
		t.Errorf("another driver's instance is %+v, %v", st, err)
	}
	w.Do(os.MkdirAll(w.Dir, 0o700))
	w.Open()
}
