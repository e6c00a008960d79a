package sandbox

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/slipway/slipway/compute"
)

// Bounds of an image's archive; its bytes are bounded by the file system that
// they are unpacked into.
const (
	maxEntries  = 1 << 20
	maxPath     = 4096
	maxSparse   = 1 << 40 // a declared size beyond this is a lie
	imageUserID = 1 << 16 // ids of an instance end here
)

// unpack writes a root file system's archive below dir. No entry is written
// outside of it, whatever links the archive has: os.Root resolves each name
// within. Devices are left out, as instances have their own. room refuses when
// what was written so far has taken too much of the host.
func unpack(ctx context.Context, dir string, archive io.Reader, room func() error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	r := tar.NewReader(archive)
	content := &boundedReader{ctx: ctx, r: r, room: room}
	// A directory's time and mode are set once its files are there.
	var dirs []*tar.Header
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", compute.ErrBadArchive, err)
		}
		if n >= maxEntries {
			return fmt.Errorf("%w: more than %d entries", compute.ErrBadArchive, maxEntries)
		}
		if h.Name, err = cleanName(h.Name); err != nil {
			return err
		}
		if h.Name == "." {
			continue
		}
		if err := unpackEntry(root, h, content); errors.Is(err, errStopped) {
			return err
		} else if err != nil {
			return fmt.Errorf("%w: %s: %w", compute.ErrBadArchive, h.Name, err)
		}
		if h.Typeflag == tar.TypeDir {
			dirs = append(dirs, h)
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := attributes(root, dirs[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s: %w", compute.ErrBadArchive, dirs[i].Name, err)
		}
	}
	return nil
}

// cleanName is a name relative to the root; "/etc" and "./etc" are "etc".
func cleanName(name string) (string, error) {
	if len(name) > maxPath || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("%w: a name of %d bytes", compute.ErrBadArchive, len(name))
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", fmt.Errorf("%w: %q leads out of the root", compute.ErrBadArchive, name)
		}
	}
	clean := path.Clean("/" + name)
	if clean == "/" {
		return ".", nil
	}
	return clean[1:], nil
}

func unpackEntry(root *os.Root, h *tar.Header, content io.Reader) error {
	if h.Size < 0 || h.Size > maxSparse || h.Uid < 0 || h.Uid >= imageUserID || h.Gid < 0 || h.Gid >= imageUserID {
		return fmt.Errorf("size %d, owner %d:%d", h.Size, h.Uid, h.Gid)
	}
	if dir := path.Dir(h.Name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if h.Typeflag != tar.TypeDir {
		// A later entry replaces an earlier one.
		if err := root.RemoveAll(h.Name); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		err := root.Mkdir(h.Name, 0o755)
		if errors.Is(err, fs.ErrExist) {
			if st, e := root.Lstat(h.Name); e == nil && st.IsDir() {
				return nil
			}
			if err = root.RemoveAll(h.Name); err == nil {
				err = root.Mkdir(h.Name, 0o755)
			}
		}
		return err
	case tar.TypeReg, tar.TypeGNUSparse:
		if err := unpackFile(root, h.Name, content); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Symlink(h.Linkname, h.Name); err != nil {
			return err
		}
		return root.Lchown(h.Name, h.Uid, h.Gid)
	case tar.TypeLink:
		target, err := cleanName(h.Linkname)
		if err != nil {
			return err
		}
		return root.Link(target, h.Name)
	default: // devices, FIFOs, and what is only of use to tar
		return nil
	}
	return attributes(root, h)
}

// errStopped is an archive that is not to blame for the end of its unpacking.
var errStopped = errors.New("unpacking was stopped")

// roomEvery is how many bytes are written between two looks at the host's disk.
const roomEvery = 64 << 20

// boundedReader reads entries, one after the other, while there is room and the
// caller waits. It counts holes of sparse files, which become bytes here.
type boundedReader struct {
	ctx     context.Context
	r       io.Reader
	room    func() error
	allowed int64 // bytes until the next look
}

func (b *boundedReader) Read(p []byte) (int, error) {
	err := b.ctx.Err()
	if err == nil && b.allowed <= 0 {
		b.allowed = roomEvery
		err = b.room()
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errStopped, err)
	}
	n, err := b.r.Read(p)
	b.allowed -= int64(n)
	return n, err
}

func unpackFile(root *os.Root, name string, content io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// attributes sets owner, mode and time. The mode comes after the owner: changing
// that takes setuid away. A setuid file is root's inside an instance only.
func attributes(root *os.Root, h *tar.Header) error {
	if err := root.Lchown(h.Name, h.Uid, h.Gid); err != nil {
		return err
	}
	mode := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if err := root.Chmod(h.Name, mode); err != nil {
		return err
	}
	modified := h.ModTime
	if modified.Before(time.Unix(0, 0)) {
		modified = time.Unix(0, 0)
	}
	return root.Chtimes(h.Name, modified, modified)
}
