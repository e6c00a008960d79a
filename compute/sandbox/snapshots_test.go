//go:build linux

package sandbox

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
)

// TestSnapshotsOfOneMoment: an instance writes a number to one volume, then to
// another, on and on; whatever the moment, the second is never ahead.
func TestSnapshotsOfOneMoment(t *testing.T) {
	requireVolumes(t)
	w := computetest.New(t, harness)
	d := w.Driver.(compute.Disks)
	for _, id := range []string{"vol-1", "vol-2", "vol-3"} {
		w.Do(d.CreateVolume(t.Context(), compute.Volume{ID: id, Bytes: 64 << 20}))
	}
	spec := w.Spec("#!/usr/bin/perl\n" + `$| = 1; open(A, ">", "/dev/sdf/n") or die; open(B, ">", "/dev/sdg/n") or die;
for ($n = 1; ; $n++) { for (\*A, \*B) { seek($_, 0, 0); syswrite($_, sprintf("%08d", $n)); } print "it writes\n" if $n == 1000; }` + "\n")
	spec.Volumes = []compute.Attachment{{Volume: "vol-1", Device: "/dev/sdf"}, {Volume: "vol-2", Device: "/dev/sdg"}}
	h := w.Launch(spec)
	w.Console(h, "it writes\n")
	for round := range 3 {
		suffix := strconv.Itoa(round)
		list := []compute.SnapshotOf{{ID: "snap-b" + suffix, Volume: "vol-2"}, {ID: "snap-a" + suffix, Volume: "vol-1"}, {ID: "snap-c" + suffix, Volume: "vol-3"}}
		if round == 1 { // as after a crash between two of them
			w.Do(d.CreateSnapshot(t.Context(), "snap-b"+suffix, "vol-2"))
		}
		w.Do(d.CreateSnapshots(t.Context(), list))
		w.Do(d.CreateSnapshots(t.Context(), list))
		a, b := numberIn(t, w, "copy-a"+suffix, "snap-a"+suffix), numberIn(t, w, "copy-b"+suffix, "snap-b"+suffix)
		if a < 1000 || a-b < 0 || a-b > 1 {
			t.Errorf("round %d: the first volume has %d, the second %d", round, a, b)
		}
	}
	if err := d.CreateSnapshots(t.Context(), []compute.SnapshotOf{{ID: "snap-x", Volume: "vol-1"}, {ID: "snap-y", Volume: "vol-none"}}); !errors.Is(err, compute.ErrGone) {
		t.Errorf("of a volume that is not there: %v", err)
	}
	if _, snapshots, err := d.ListDisks(t.Context()); err != nil || len(snapshots) != 9 {
		t.Errorf("snapshots %v, %v", snapshots, err)
	}
	w.Do(w.Driver.Terminate(t.Context(), h))
}

func numberIn(t *testing.T, w *computetest.World, volume, snapshot string) int {
	t.Helper()
	d := w.Driver.(*Driver)
	w.Do(d.CreateVolume(t.Context(), compute.Volume{ID: volume, Snapshot: snapshot}))
	m, err := d.open(volume)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text, err := os.ReadFile(m.Path() + "/n")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestForceEndsWhoeverUsesTheVolume, in the instance's own mounts or in others, and
// nobody else.
func TestForceEndsWhoeverUsesTheVolume(t *testing.T) {
	requireVolumes(t)
	w := computetest.New(t, harness)
	d := w.Driver.(compute.Disks)
	w.Do(d.CreateVolume(t.Context(), compute.Volume{ID: "vol-1", Bytes: 64 << 20}))
	spec := w.Spec("#!/bin/bash\n(cd /dev/sdf; exec sleep 1000) & in=$!\nsleep 1000 & out=$!\n" +
		"exec 3>/dev/null\n(exec 3>/dev/sdf/open; exec sleep 1000) & file=$!\nunshare -m sleep 1000 & apart=$!\n" +
		"until test -e /dev/sdf/open; do sleep 0.05; done; echo begun\n" +
		"wait $in $file; until ! mountpoint -q /dev/sdf; do sleep 0.05; done; kill -0 $out && echo the other lives\nsleep 1000\n")
	one := compute.Attachment{Volume: "vol-1", Device: "/dev/sdf"}
	spec.Volumes = []compute.Attachment{one}
	h := w.Launch(spec)
	w.Console(h, "begun\n")
	w.Do(d.DetachVolume(t.Context(), h, one, true))
	w.Console(h, "the other lives\n")
	if st, err := d.StatVolume(t.Context(), "vol-1"); err != nil || st.Attached {
		t.Errorf("after detaching: %+v, %v", st, err)
	}
	if got := w.Console(h, "the other lives\n"); strings.Contains(got, "unshare") {
		t.Logf("console:\n%s", got)
	}
	w.Do(d.DeleteVolume(t.Context(), "vol-1"))
	w.Do(w.Driver.Terminate(t.Context(), h))
}
