//go:build linux

package sandbox

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/computetest"
	"github.com/slipway/slipway/compute/disk"
)

func requireVolumes(t *testing.T) {
	t.Helper()
	requireHost(t)
	if err := disk.Supported(); err != nil {
		t.Skip(err)
	}
}

// TestVolumesInAnInstance: one is there at the start, one is attached later; a
// full root volume gives ENOSPC inside; what is in use is not detached; all stays
// over a stop and a start, and another driver on the folder knows it.
func TestVolumesInAnInstance(t *testing.T) {
	requireVolumes(t)
	w := computetest.New(t, harness)
	d := w.Driver.(compute.Disks)
	for _, id := range []string{"vol-1", "vol-2"} {
		w.Do(d.CreateVolume(t.Context(), compute.Volume{ID: id, Bytes: 64 << 20}))
	}
	spec := w.Spec("#!/bin/bash\n" +
		"echo one > /dev/sdf/note; test -b /dev/sdf || echo no block device\n" +
		"dd if=/dev/zero of=/big bs=1M count=200; rm /big; echo full done\n" +
		"until mountpoint -q /dev/sdg; do sleep 0.05; done; echo two > /dev/sdg/note\n" +
		"cd /dev/sdg; echo both written; until test -e /dev/leave; do sleep 0.05; done; cd /; echo left; sleep 1000\n")
	spec.Root = compute.Volume{ID: "vol-root", Bytes: 100 << 20}
	one, two := compute.Attachment{Volume: "vol-1", Device: "/dev/sdf"}, compute.Attachment{Volume: "vol-2", Device: "/dev/sdg"}
	spec.Volumes = []compute.Attachment{one}
	h := w.Launch(spec)
	if got := w.Console(h, "full done"); !strings.Contains(got, "No space left") || !strings.Contains(got, "no block device") {
		t.Errorf("console:\n%s", got)
	}
	w.Do(d.AttachVolume(t.Context(), h, two))
	w.Do(d.AttachVolume(t.Context(), h, two))
	w.Console(h, "both written")
	if err := d.DeleteVolume(t.Context(), "vol-2"); !errors.Is(err, compute.ErrInUse) {
		t.Errorf("deleting a volume in use: %v", err)
	}
	if err := d.DetachVolume(t.Context(), h, two, false); !errors.Is(err, compute.ErrInUse) {
		t.Errorf("detaching a volume in use: %v", err)
	}
	w.Do(d.CreateSnapshot(t.Context(), "snap-1", "vol-2"))
	w.Close()
	w.Open() // a new driver knows all of it
	d = w.Driver.(compute.Disks)
	w.Do(os.WriteFile(filepath.Join(rootOfProcess(w, h), "dev/leave"), nil, 0o644))
	w.Console(h, "left\n")
	w.Do(d.DetachVolume(t.Context(), h, two, false))
	if st, err := d.StatVolume(t.Context(), "vol-2"); err != nil || st.Attached {
		t.Errorf("after detaching: %+v, %v", st, err)
	}
	w.Do(d.CreateVolume(t.Context(), compute.Volume{ID: "vol-3", Snapshot: "snap-1", Bytes: 128 << 20}))
	wantNote(t, w, "vol-3", "two\n")
	w.Do(w.Driver.Stop(t.Context(), h, true))
	_, err := w.Driver.Start(t.Context(), spec, h)
	w.Do(err)
	if b, err := os.ReadFile(filepath.Join(rootOfProcess(w, h), "dev/sdf/note")); err != nil || string(b) != "one\n" {
		t.Errorf("after a stop and a start: %q, %v", b, err)
	}
	w.Do(w.Driver.Terminate(t.Context(), h))
	for _, id := range []string{"vol-root", "vol-1", "vol-2", "vol-3"} {
		w.Until(id+" is let go", func() bool { st, err := d.StatVolume(t.Context(), id); return err == nil && !st.Attached })
		w.Do(d.DeleteVolume(t.Context(), id))
	}
	volumes, snapshots, err := d.ListDisks(t.Context())
	if err != nil || len(volumes) > 0 || !slices.Equal(snapshots, []string{"snap-1"}) {
		t.Errorf("left: %v, %v, %v", volumes, snapshots, err)
	}
}

func rootOfProcess(w *computetest.World, h compute.Handle) string {
	return "/proc/" + itoa(w.Driver.(*Driver).FirstProcess(h.ID)) + "/root"
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// wantNote reads a file of a volume that nobody has.
func wantNote(t *testing.T, w *computetest.World, id, want string) {
	t.Helper()
	m, err := w.Driver.(*Driver).open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if b, err := os.ReadFile(m.Path() + "/note"); err != nil || string(b) != want {
		t.Errorf("%s has %q, %v", id, b, err)
	}
}

func archive(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		body := h.PAXRecords["body"]
		h.PAXRecords, h.Size = nil, int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func file(name, body string, mode int64) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, PAXRecords: map[string]string{"body": body}}
}

// TestHostileArchives: none writes outside of its root, nor leaves a snapshot.
func TestHostileArchives(t *testing.T) {
	outside := t.TempDir()
	for name, tc := range map[string]struct {
		entries []tar.Header
		ok      bool
	}{
		"parents":                    {[]tar.Header{file("../evil", "x", 0o644)}, false},
		"an absolute name is within": {[]tar.Header{file("/evil", "x", 0o644)}, true},
		"through a link": {[]tar.Header{
			{Name: "out", Typeflag: tar.TypeSymlink, Linkname: outside}, file("out/evil", "x", 0o644),
		}, false},
		"through a relative link": {[]tar.Header{
			{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "../../../../../../../.." + outside}, file("out/evil", "x", 0o644),
		}, false},
		"a hard link to the host": {[]tar.Header{{Name: "shadow", Typeflag: tar.TypeLink, Linkname: "../../etc/shadow"}}, false},
		"devices are left out":    {[]tar.Header{{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8}}, true},
		"a stranger's id":         {[]tar.Header{{Name: "f", Typeflag: tar.TypeReg, Uid: 1 << 20}}, false},
		"a link is replaced": {[]tar.Header{
			{Name: "f", Typeflag: tar.TypeSymlink, Linkname: outside + "/evil"}, file("f", "x", 0o644),
		}, true},
	} {
		err := unpack(t.Context(), t.TempDir(), archive(t, tc.entries...), noLimit)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, compute.ErrBadArchive) {
			t.Errorf("%s: %v, want success %v", name, err, tc.ok)
		}
		if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
			t.Fatalf("%s wrote %v outside (%v)", name, left, err)
		}
	}
	if err := unpack(t.Context(), t.TempDir(), strings.NewReader("no archive at all"), noLimit); !errors.Is(err, compute.ErrBadArchive) {
		t.Errorf("no archive: %v", err)
	}
}

func noLimit() error { return nil }

// TestUnpackingStops: a full host ends it, and so does who waits for it.
func TestUnpackingStops(t *testing.T) {
	full := func() error { return disk.ErrNoSpace }
	if err := unpack(t.Context(), t.TempDir(), archive(t, file("f", "x", 0o644)), full); !errors.Is(err, disk.ErrNoSpace) || errors.Is(err, compute.ErrBadArchive) {
		t.Errorf("on a full host: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	last := func() error { cancel(); return nil }
	if err := unpack(ctx, t.TempDir(), archive(t, file("f", strings.Repeat("x", 1<<20), 0o644)), last); !errors.Is(err, context.Canceled) || errors.Is(err, compute.ErrBadArchive) {
		t.Errorf("given up: %v", err)
	}
}

// TestForbiddenCalls asks from within for what the filter refuses.
func TestForbiddenCalls(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	call := func(number uintptr) string {
		return "perl -e 'exit(syscall(" + itoa(int(number)) + ", 0, 0, 0, 0, 0) == -1 && ($! == 1 || $! == 38) ? 1 : 0)'"
	}
	try(t, w, []attempt{
		{"load a module", call(unix.SYS_FINIT_MODULE), false},
		{"kexec", call(unix.SYS_KEXEC_FILE_LOAD), false},
		{"bpf", call(unix.SYS_BPF), false},
		{"perf events", call(unix.SYS_PERF_EVENT_OPEN), false},
		{"keyrings", call(unix.SYS_KEYCTL), false},
		{"userfaultfd", call(unix.SYS_USERFAULTFD), false},
		{"io_uring", call(unix.SYS_IO_URING_SETUP), false},
		{"su to another user", "su -s /bin/sh nobody -c 'test $(id -u) != 0'", true},
		{"a user namespace of its own", "unshare -Ur true", true},
		{"mounts there", "unshare -Urm sh -c 'mount -t tmpfs none /mnt'", true},
		{"freeze the root", "fsfreeze -f /", false},
	})
}
