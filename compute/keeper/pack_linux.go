package keeper

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/proc"
)

// An instance's folder is packed as a tar archive. Files with holes are packed
// files (package disk) in it; whiteouts of an overlay are devices. Files that
// change meanwhile are what they are at their turn.

const (
	sparseRecord = "SLIPWAY.sparse"
	xattrRecord  = "SCHILY.xattr."
)

// own are the files that say what the instance is to the host, not what it keeps.
func own(name string) bool {
	return name == "record.tmp" || name == "init.log" || !strings.Contains(name, "/") && strings.HasSuffix(name, ".work")
}

// Pack writes the folder of an instance, running or not. One that is gone is an
// archive of nothing.
func Pack(ctx context.Context, dir string, to io.Writer) error {
	p := &packer{ctx: ctx, dir: dir, w: tar.NewWriter(to), seen: map[[2]uint64]string{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = p.add(path, d)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went meanwhile
		}
		return err
	})
	return errors.Join(err, p.w.Close())
}

type packer struct {
	ctx  context.Context
	dir  string
	w    *tar.Writer
	seen map[[2]uint64]string // files with several names: device and inode -> first name
}

func (p *packer) add(path string, d fs.DirEntry) error {
	name, err := filepath.Rel(p.dir, path)
	if err != nil || name == "." {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if own(name) {
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	link := ""
	switch mode := info.Mode(); {
	case mode.IsDir(), mode.IsRegular():
	case mode&fs.ModeSymlink != 0:
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	case mode&fs.ModeCharDevice != 0 && st.Rdev == 0, mode&fs.ModeNamedPipe != 0:
	default:
		return nil // sockets, and devices, which no instance makes
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Format, h.Uname, h.Gname = filepath.ToSlash(name), tar.FormatPAX, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if h.PAXRecords, err = attributesOf(path); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return p.w.WriteHeader(h)
	}
	if key := [2]uint64{st.Dev, st.Ino}; st.Nlink > 1 {
		if first, ok := p.seen[key]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return p.w.WriteHeader(h)
		}
		p.seen[key] = h.Name
	}
	return p.file(path, h)
}

// file writes a file's bytes: as many as it has when it is opened.
func (p *packer) file(path string, h *tar.Header) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	packed, err := disk.Packed(f)
	if err != nil {
		return err
	}
	if h.Size = packed.Length(); h.Size < packed.Size {
		h.PAXRecords[sparseRecord] = "1"
		if err := p.w.WriteHeader(h); err != nil {
			return err
		}
		return packed.Write(p.ctx, p.w)
	}
	h.Size = packed.Size
	if err := p.w.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(p.w, io.NewSectionReader(f, 0, h.Size))
	if err == nil && n < h.Size {
		_, err = io.CopyN(p.w, zeros{}, h.Size-n)
	}
	return err
}

// zeros stand for what a file has lost since it was opened.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// attributesOf are a file's extended attributes, as records of its header.
func attributesOf(path string) (map[string]string, error) {
	records := map[string]string{}
	n, err := unix.Llistxattr(path, nil)
	if n <= 0 || errors.Is(err, unix.ENOTSUP) {
		return records, notGone(err)
	}
	names := make([]byte, n+1024)
	if n, err = unix.Llistxattr(path, names); err != nil {
		return records, notGone(err)
	}
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if !kept(name) {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			continue // it went meanwhile
		}
		records[xattrRecord+name] = string(value[:n])
	}
	return records, nil
}

func notGone(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return fs.ErrNotExist
	}
	return nil //nolint:nilerr // a file system without attributes
}

// kept are the attributes that belong to a file's content.
func kept(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.overlay.") ||
		name == "security.capability" || strings.HasPrefix(name, "system.posix_acl_")
}

// Unpack makes the folder of an instance out of what Pack wrote, and a record that
// says that nothing of it runs. The caller makes it durable. The archive is not trusted: nothing is written
// outside of the folder. room is asked now and then whether to go on.
func Unpack(ctx context.Context, dir string, from io.Reader, reason string, room func() error) error {
	u := &unpacker{ctx: ctx, dir: dir, r: tar.NewReader(from), room: room}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := u.r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && u.root == nil {
			if err = os.MkdirAll(dir, 0o700); err == nil {
				u.root, err = os.OpenRoot(dir)
			}
		}
		if err == nil {
			err = u.add(h)
		}
		if err != nil {
			return errors.Join(err, u.close())
		}
	}
	if u.root == nil {
		return nil
	}
	err := u.finishFolders()
	return errors.Join(err, u.close(), restored(dir, reason))
}

// restored makes an instance's record one of an instance that is to be started
// again.
func restored(dir, reason string) error {
	in := &Instance{ID: filepath.Base(dir), Dir: dir}
	in.read()
	return in.Change(func(r *Record) {
		r.Restored = r.Process.PID != 0 || r.Restored
		r.Process, r.Elastic, r.Behind, r.Groups, r.Exit, r.Reason = proc.Identity{}, nil, nil, nil, 0, reason
	})
}

type unpacker struct {
	ctx     context.Context
	dir     string
	r       *tar.Reader
	root    *os.Root
	room    func() error
	folders []*tar.Header // their modes and times come last
}

func (u *unpacker) close() error {
	if u.root == nil {
		return nil
	}
	return u.root.Close()
}

func (u *unpacker) add(h *tar.Header) error {
	h.Name = strings.TrimSuffix(h.Name, "/")
	if !filepath.IsLocal(h.Name) || own(h.Name) {
		return fmt.Errorf("the folder of an instance holds %q", h.Name)
	}
	if err := u.room(); err != nil {
		return err
	}
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		u.folders = append(u.folders, h)
		return u.root.Mkdir(h.Name, 0o700)
	case tar.TypeReg:
		err = u.file(h)
	case tar.TypeLink:
		return u.root.Link(strings.TrimSuffix(h.Linkname, "/"), h.Name)
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, h.Name); err != nil {
			return err
		}
		return u.inParent(h, func(path string) error { return u.attributes(h, path) })
	case tar.TypeChar, tar.TypeFifo:
		mode := uint32(unix.S_IFIFO)
		if h.Typeflag == tar.TypeChar {
			if mode = unix.S_IFCHR; h.Devmajor != 0 || h.Devminor != 0 {
				return fmt.Errorf("%s is a device", h.Name)
			}
		}
		err = u.inParent(h, func(path string) error { return unix.Mknod(path, mode|0o600, 0) })
	default:
		return fmt.Errorf("%s is of type %q", h.Name, h.Typeflag)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return u.finish(h)
}

func (u *unpacker) file(h *tar.Header) error {
	f, err := u.root.OpenFile(h.Name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if h.PAXRecords[sparseRecord] != "" {
		err = disk.Unpack(u.ctx, f, u.r)
	} else {
		_, err = io.Copy(f, u.r)
	}
	return errors.Join(err, f.Close())
}

// inParent acts on a name in its folder, which stays within the root.
func (u *unpacker) inParent(h *tar.Header, act func(path string) error) error {
	parent, err := u.root.Open(filepath.Dir(h.Name))
	if err != nil {
		return err
	}
	defer parent.Close()
	return act(fmt.Sprintf("/proc/self/fd/%d/%s", parent.Fd(), filepath.Base(h.Name)))
}

// attributes sets owner and extended attributes. Whoever may not give files away
// keeps them, as all of them were.
func (u *unpacker) attributes(h *tar.Header, path string) error {
	if os.Geteuid() == 0 {
		if err := os.Lchown(path, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	for record, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(record, xattrRecord)
		if !ok {
			continue
		}
		if !kept(name) {
			return fmt.Errorf("%s has the attribute %q", h.Name, name)
		}
		if err := unix.Lsetxattr(path, name, []byte(value), 0); err != nil {
			return fmt.Errorf("attribute %s of %s: %w", name, h.Name, err)
		}
	}
	return nil
}

// finish sets all that a file has beside its bytes. The mode comes after the
// owner: changing that takes setuid away.
func (u *unpacker) finish(h *tar.Header) error {
	if err := u.inParent(h, func(path string) error { return u.attributes(h, path) }); err != nil {
		return err
	}
	mode := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if err := u.root.Chmod(h.Name, mode); err != nil {
		return err
	}
	return u.root.Chtimes(h.Name, h.ModTime, h.ModTime)
}

func (u *unpacker) finishFolders() error {
	for i := len(u.folders) - 1; i >= 0; i-- {
		if err := u.finish(u.folders[i]); err != nil {
			return err
		}
	}
	return nil
}
