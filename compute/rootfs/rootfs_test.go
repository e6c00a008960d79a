package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// archive is a tar of files, in the order of their names.
func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// image has two layers: the second replaces one file of the first and removes
// another.
func image(t *testing.T, arch string) v1.Image {
	t.Helper()
	img := empty.Image
	for _, content := range [][]byte{
		archive(t, "etc/which", "the first", "etc/gone", "x", "bin/sh", "shell"),
		archive(t, "etc/which", "the second", "etc/.wh.gone", ""),
	} {
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, l); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", arch
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	return img
}

func otherArch() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// index holds an image for another machine first, and this host's in an index of
// its own.
func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	platform := func(arch string) v1.Descriptor {
		return v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}
	}
	inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image(t, runtime.GOARCH), Descriptor: platform(runtime.GOARCH)})
	return mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: image(t, otherArch()), Descriptor: platform(otherArch())}, mutate.IndexAddendum{Add: inner})
}

func file(t *testing.T, content []byte) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(at, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contents reads the files of what Open makes of a source.
func contents(t *testing.T, from string) (map[string]string, error) {
	t.Helper()
	stream, err := Open(t.Context(), from, t.TempDir())
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	got := map[string]string{}
	for r := tar.NewReader(stream); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		got[h.Name] = string(b)
	}
}

// TestSources: whatever tool made it, the same root file system comes out.
func TestSources(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	pull := func(t *testing.T, ref string) string {
		to := filepath.Join(t.TempDir(), "pulled.tar")
		if err := Pull(t.Context(), ref, to); err != nil {
			t.Fatal(err)
		}
		return to
	}
	oci := func(t *testing.T) string {
		dir := t.TempDir()
		if _, err := layout.Write(dir, index(t)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	saved := func(t *testing.T) []byte {
		var b bytes.Buffer
		if err := tarball.Write(name.MustParseReference("mine:1"), image(t, runtime.GOARCH), &b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	packed := func(t *testing.T) string {
		at := filepath.Join(t.TempDir(), "layout.tar")
		if err := Pack(oci(t), at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	want := map[string]string{"etc/which": "the second", "bin/sh": "shell"}
	for what, source := range map[string]func(t *testing.T) string{
		"a plain archive": func(t *testing.T) string { return file(t, archive(t, "etc/which", "the second", "bin/sh", "shell")) },
		"a compressed archive": func(t *testing.T) string {
			return file(t, zipped(t, archive(t, "etc/which", "the second", "bin/sh", "shell")))
		},
		"docker save":             func(t *testing.T) string { return file(t, saved(t)) },
		"docker save, compressed": func(t *testing.T) string { return file(t, zipped(t, saved(t))) },
		"an OCI layout":           oci,
		"an OCI layout's archive": packed,
		"an image of a registry": func(t *testing.T) string {
			push(t, host+"/one:1", image(t, runtime.GOARCH))
			return pull(t, host+"/one:1")
		},
		"the right one of several": func(t *testing.T) string { pushIndex(t, host+"/many:1", flatIndex(t)); return pull(t, host+"/many:1") },
	} {
		t.Run(what, func(t *testing.T) {
			got, err := contents(t, source(t))
			if err != nil || !maps.Equal(got, want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// flatIndex is what registries hold for several machines.
func flatIndex(t *testing.T) v1.ImageIndex {
	idx := v1.ImageIndex(empty.Index)
	for _, arch := range []string{otherArch(), runtime.GOARCH} {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{
			Add: image(t, arch), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return idx
}

func push(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	tag, err := name.ParseReference(ref)
	if err == nil {
		err = remote.Write(tag, img)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func pushIndex(t *testing.T, ref string, idx v1.ImageIndex) {
	t.Helper()
	tag, err := name.ParseReference(ref)
	if err == nil {
		err = remote.WriteIndex(tag, idx)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBadSources are told apart from a host that fails.
func TestBadSources(t *testing.T) {
	foreign := t.TempDir()
	if _, err := layout.Write(foreign, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image(t, otherArch())})); err != nil {
		t.Fatal(err)
	}
	truncated := zipped(t, archive(t, "etc/which", strings.Repeat(fmt.Sprint(os.Getpid()), 1<<10)))
	for what, source := range map[string]string{
		"nothing":                   file(t, nil),
		"noise":                     file(t, []byte(strings.Repeat("noise", 1000))),
		"an empty archive":          file(t, archive(t)),
		"half a compressed one":     file(t, truncated[:len(truncated)/2]),
		"docker save of nothing":    file(t, archive(t, "manifest.json", "[]")),
		"a layout without an index": file(t, archive(t, "oci-layout", "{}")),
		"a layout leading outside":  file(t, archive(t, "oci-layout", "{}", "../evil", "x")),
		"an empty folder":           t.TempDir(),
		"another machine's":         foreign,
	} {
		if got, err := contents(t, source); !errors.Is(err, ErrBad) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	if _, err := contents(t, filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := Pull(t.Context(), "not a reference", filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("pulled what is no reference")
	}
}
