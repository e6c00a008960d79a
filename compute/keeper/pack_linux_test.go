package keeper

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
)

func noRoom() error { return nil }

// TestPackedInstances: all that an instance keeps comes back, and its record says
// that it is stopped, whatever runs where it was packed.
func TestPackedInstances(t *testing.T) {
	k := open(t, t.TempDir())
	in, cmd := born(t, k, "i-1")
	defer func() { _ = cmd.Process.Kill() }()
	at := func(name string) string { return in.File(name) }
	big, err := os.Create(in.File("sparse"))
	do(t, err, big.Truncate(1<<40))
	_, err = big.WriteAt([]byte("far"), 1<<39)
	do(t, err, big.Close(),
		os.MkdirAll(at("root/deep"), 0o755), os.Mkdir(at("root.work"), 0o700), os.WriteFile(at("root.work/x"), nil, 0o600),
		os.WriteFile(at("root/deep/file"), []byte("content"), 0o640), os.Link(at("root/deep/file"), at("root/same")),
		os.Symlink("/etc/passwd", at("root/link")), unix.Mkfifo(at("root/fifo"), 0o600), os.WriteFile(at("init.log"), []byte("log"), 0o600),
		os.Chmod(at("root/deep"), 0o1711), os.Chtimes(at("root/deep/file"), time.Unix(1000, 0), time.Unix(1000, 0)))
	root := os.Geteuid() == 0
	if root {
		do(t, unix.Mknod(at("root/gone"), unix.S_IFCHR, 0), os.Lchown(at("root/link"), 7, 8), os.Lchown(at("root/deep/file"), 7, 8),
			unix.Setxattr(at("root/deep"), "trusted.overlay.opaque", []byte("y"), 0))
	}
	var b bytes.Buffer
	do(t, Pack(t.Context(), in.Dir, &b))
	if b.Len() > 1<<20 {
		t.Errorf("packed into %d bytes", b.Len())
	}

	other := open(t, t.TempDir())
	to := other.Path("instances", "i-1")
	do(t, Unpack(t.Context(), to, bytes.NewReader(b.Bytes()), "from a backup", noRoom), other.Adopt())
	st, err := other.Describe(t.Context(), other.Handle("i-1"))
	if err != nil || st.State != compute.Stopped || st.Reason != "from a backup" || !st.Restored {
		t.Errorf("described as %+v, %v", st, err)
	}
	var b2 bytes.Buffer
	do(t, os.Remove(filepath.Join(to, "record.json")), os.Remove(at("record.json")), Pack(t.Context(), to, &b2))
	b.Reset()
	do(t, Pack(t.Context(), in.Dir, &b))
	if !bytes.Equal(listing(t, b.Bytes()), listing(t, b2.Bytes())) {
		t.Errorf("it had\n%s\nand has\n%s", listing(t, b.Bytes()), listing(t, b2.Bytes()))
	}
	for _, want := range []string{"root/same", "root/link", "sparse", "content"} {
		if !bytes.Contains(b2.Bytes(), []byte(want)) {
			t.Errorf("there is no %s", want)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "root.work")); err == nil || bytes.Contains(b2.Bytes(), []byte("init.log")) {
		t.Error("what belongs to the host came along")
	}
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// listing is an archive's headers, but for the times of what was just made.
func listing(t *testing.T, archive []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err != nil {
			return b.Bytes()
		}
		line := []string{h.Name, h.Linkname, h.FileInfo().Mode().String(), h.PAXRecords[xattrRecord+"trusted.overlay.opaque"], h.PAXRecords[sparseRecord]}
		if h.Typeflag == tar.TypeReg {
			content, err := io.ReadAll(r)
			do(t, err)
			line = append(line, h.ModTime.UTC().String(), string(content))
		}
		b.WriteString(strings.Join(line, " ") + "\n")
	}
}

func TestHostilePacks(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for name, headers := range map[string][]tar.Header{
		"a path out":          {{Name: "../outside", Typeflag: tar.TypeReg}},
		"an absolute path":    {{Name: outside, Typeflag: tar.TypeReg}},
		"through a link":      {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(outside)}, {Name: "l/outside", Typeflag: tar.TypeReg}},
		"a pipe through one":  {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(outside)}, {Name: "l/outside", Typeflag: tar.TypeFifo}},
		"a hard link out":     {{Name: "l", Typeflag: tar.TypeLink, Linkname: "../../../../etc/passwd"}},
		"a device":            {{Name: "sda", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		"a block device":      {{Name: "sda", Typeflag: tar.TypeBlock}},
		"a foreign attribute": {{Name: "f", Typeflag: tar.TypeReg, PAXRecords: map[string]string{xattrRecord + "security.selinux": "x"}}},
		"a bad sparse file":   {{Name: "f", Typeflag: tar.TypeReg, PAXRecords: map[string]string{sparseRecord: "1"}}},
		"a file twice":        {{Name: "f", Typeflag: tar.TypeReg}, {Name: "f", Typeflag: tar.TypeReg}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			h.Mode, h.Format = 0o644, tar.FormatPAX
			do(t, w.WriteHeader(&h))
		}
		do(t, w.Close())
		if err := Unpack(t.Context(), filepath.Join(t.TempDir(), "i-1"), &b, "", noRoom); err == nil {
			t.Errorf("%s was unpacked", name)
		}
		if _, err := os.Lstat(outside); err == nil {
			t.Errorf("%s: a file was written outside", name)
		}
	}
	full := errors.New("no room")
	var b bytes.Buffer
	do(t, Pack(t.Context(), t.TempDir(), &b))
	if err := Unpack(t.Context(), filepath.Join(t.TempDir(), "i-1"), &b, "", func() error { return full }); err != nil {
		t.Errorf("an instance that was gone: %v", err)
	}
}
