// Package rootfs reads root file systems from what tools make of them: a plain
// tar archive, `docker save`, an OCI layout as a folder or an archive, and
// registries. It hands them on as one flat tar stream, which nobody has checked:
// who unpacks it does. It may import nothing of ours and starts no goroutine
// that outlives a stream it returned.
package rootfs

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// ErrBad is an archive that is no root file system, or none for this host.
var ErrBad = errors.New("not a root file system that this host can run")

// ErrFull is a disk without room for what is unpacked.
var ErrFull = errors.New("the disk is nearly full")

// Bounds of an archive.
const (
	MaxBytes   = 64 << 30 // unpacked
	maxEntries = 1 << 16  // of an OCI layout or `docker save`, whose layers are files
)

// Open reads a root file system from a file or a folder. scratch is a folder
// that may be written to until the stream is closed.
func Open(ctx context.Context, from, scratch string) (io.ReadCloser, error) {
	st, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return openLayout(from)
	}
	plain, err := gunzip(ctx, from, scratch)
	if err != nil {
		return nil, err
	}
	switch kind, err := inspect(plain); {
	case err != nil:
		return nil, err
	case kind == "docker":
		img, err := tarball.ImageFromPath(plain, nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBad, err)
		}
		return flatten(img)
	case kind == "oci":
		dir := filepath.Join(scratch, "layout")
		if err := unpackLayout(ctx, plain, dir); err != nil {
			return nil, err
		}
		return openLayout(dir)
	}
	return os.Open(plain)
}

// gunzip makes a plain archive of a compressed one.
func gunzip(ctx context.Context, from, scratch string) (string, error) {
	f, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := r.Peek(2); len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return from, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBad, err)
	}
	to := filepath.Join(scratch, "plain.tar")
	return to, write(ctx, to, badReader{z}, MaxBytes)
}

// badReader tells a broken archive from a host that fails.
type badReader struct{ r io.Reader }

func (b badReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrBad, err)
	}
	return n, err
}

// write copies at most limit bytes into a new file.
func write(ctx context.Context, to string, from io.Reader, limit int64) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(&carefulReader{ctx: ctx, r: from, dir: filepath.Dir(to)}, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrBad, limit)
	}
	return errors.Join(err, f.Close())
}

// carefulReader ends with its context, and before what is written of it fills the
// disk that dir is on.
type carefulReader struct {
	ctx  context.Context
	r    io.Reader
	dir  string
	read int64
	next int64 // look at the disk again after so many bytes
}

const (
	reserve   = 1 << 30 // stays free on the disk
	lookEvery = 64 << 20
)

func (c *carefulReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	if c.read >= c.next {
		if left := free(c.dir); left < reserve {
			return 0, fmt.Errorf("%w: %d MiB are free at %s", ErrFull, left>>20, c.dir)
		}
		c.next = c.read + lookEvery
	}
	n, err := c.r.Read(p)
	c.read += int64(n)
	return n, err
}

// inspect looks which tool made an archive.
func inspect(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r := tar.NewReader(f)
	kind := ""
	for n := 0; n < maxEntries; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return "", fmt.Errorf("%w: the archive is empty", ErrBad)
			}
			return kind, nil
		}
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrBad, err)
		}
		switch strings.TrimPrefix(h.Name, "./") {
		case "manifest.json":
			return "docker", nil // newer ones are OCI layouts as well
		case "oci-layout":
			kind = "oci"
		case "etc", "etc/", "usr", "usr/", "bin", "bin/":
			return "", nil // a root file system
		}
	}
	return kind, nil
}

// unpackLayout unpacks the plain files of an OCI layout.
func unpackLayout(ctx context.Context, from, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	r := tar.NewReader(f)
	// Holes of sparse files are no bytes of the archive, but become some.
	content := &carefulReader{ctx: ctx, r: r, dir: dir}
	for n := 0; ; n++ {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w: entry %d: %w", ErrBad, n, err)
		case n > maxEntries:
			return fmt.Errorf("%w: more than %d entries", ErrBad, maxEntries)
		case h.Typeflag != tar.TypeReg:
			continue
		}
		if err := unpackFile(root, path.Clean(h.Name), content); errors.Is(err, ErrFull) || ctx.Err() != nil {
			return err
		} else if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBad, h.Name, err)
		}
		if content.read > MaxBytes {
			return fmt.Errorf("%w: more than %d bytes", ErrBad, int64(MaxBytes))
		}
	}
}

func unpackFile(root *os.Root, to string, content io.Reader) error {
	if !fs.ValidPath(to) {
		return fs.ErrInvalid
	}
	if err := root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(content, MaxBytes+1))
	if err == nil && n > MaxBytes {
		err = fmt.Errorf("more than %d bytes", int64(MaxBytes))
	}
	return errors.Join(err, f.Close())
}

// openLayout reads the image for this host from an OCI layout.
func openLayout(dir string) (io.ReadCloser, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBad, err)
	}
	img, err := choose(index, 0)
	if err != nil {
		return nil, err
	}
	return flatten(img)
}

// maxDepth bounds indexes in indexes.
const maxDepth = 4

// choose finds the image for this host in an index.
func choose(index v1.ImageIndex, depth int) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBad, err)
	}
	for _, d := range manifest.Manifests {
		if d.Platform != nil && (d.Platform.OS != "linux" || d.Platform.Architecture != runtime.GOARCH) {
			continue
		}
		switch {
		case d.MediaType.IsImage():
			return index.Image(d.Digest)
		case d.MediaType.IsIndex() && depth < maxDepth:
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrBad, err)
			}
			if img, err := choose(inner, depth+1); err == nil {
				return img, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: it has no image for linux/%s", ErrBad, runtime.GOARCH)
}

// flatten lays an image's layers over each other.
func flatten(img v1.Image) (io.ReadCloser, error) {
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBad, err)
	}
	if cfg.Architecture != "" && cfg.Architecture != runtime.GOARCH || cfg.OS != "" && cfg.OS != "linux" {
		return nil, fmt.Errorf("%w: it is for %s/%s", ErrBad, cfg.OS, cfg.Architecture)
	}
	return mutate.Extract(img), nil
}

// Pull writes an image of a registry, for this host, to a file that Open reads.
func Pull(ctx context.Context, ref, file string) error {
	tag, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	img, err := remote.Image(tag, remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return err
	}
	return tarball.WriteToFile(file, tag, img)
}

// Pack writes the plain files of a folder, an OCI layout, into an archive.
func Pack(dir, file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	err = w.AddFS(os.DirFS(dir))
	return errors.Join(err, w.Close(), f.Close())
}
