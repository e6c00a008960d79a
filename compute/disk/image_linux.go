package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const blockSize = 4096

// features are ext4's own, whatever the host's mke2fs.conf says. Without
// resize_inode there is no room kept for growth: 64bit file systems grow without.
const features = "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"

// tool runs a program of e2fsprogs; it is in directories that a user's PATH may
// lack.
func tool(ctx context.Context, name string, args ...string) error {
	path, err := findTool(name)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"MKE2FS_CONFIG=/dev/null", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

func findTool(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: there is no %s (package e2fsprogs)", ErrUnsupported, name)
}

// Supported says why this host has no volumes, nil where it has.
func Supported() error {
	for _, name := range []string{"mkfs.ext4", "e2fsck", "resize2fs"} {
		if _, err := findTool(name); err != nil {
			return err
		}
	}
	f, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return f.Close()
}

// Room refuses where the host's own disk is nearly full.
func Room(dir string) error { return roomFor(dir, 0) }

// roomFor refuses where it would be with so many bytes more.
func roomFor(dir string, bytes int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * st.Bsize; free < Reserve+bytes {
		return fmt.Errorf("%w: %d MiB are free at %s, and %d MiB are needed", ErrNoSpace, free>>20, dir, (Reserve+bytes)>>20)
	}
	return nil
}

// Format makes an image with an empty file system. It stands at path whole, or
// not at all. The journal is small and holes stay holes: a new one of any size
// takes well under a megabyte.
func Format(ctx context.Context, path string, size int64) error {
	return replace(path, AtOnce, func(f *os.File) error {
		if err := f.Truncate(size); err != nil {
			return err
		}
		return tool(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-b", strconv.Itoa(blockSize), "-J", "size=4", "-I", "256", "-i", "16384",
			"-O", features, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", f.Name())
	})
}

// Durability says when a copy is safe from a loss of power.
type Durability bool

// A copy is on disk at once, or lazily: with its first mount.
const (
	AtOnce Durability = true
	Lazily Durability = false
)

// Copy copies an image as it is on disk: by reference where the host's file
// system can, else without its holes.
func Copy(ctx context.Context, path, from string, safe Durability) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	return replace(path, safe, func(dst *os.File) error {
		if clone(dst, src) == nil {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(src.Fd()), &st); err != nil {
			return err
		}
		if err := roomFor(filepath.Dir(path), st.Blocks*512); err != nil {
			return err
		}
		return copySparse(ctx, dst, src)
	})
}

// replace writes a file aside, and puts it in its place once it is whole.
func replace(path string, safe Durability, write func(*os.File) error) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil && safe == AtOnce {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// copySparse copies what of src is not a hole.
func copySparse(ctx context.Context, dst, src *os.File) error {
	st, err := src.Stat()
	if err != nil {
		return err
	}
	size := st.Size()
	if err := dst.Truncate(size); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	return eachExtent(src, size, func(e Extent) error { return copyRange(ctx, dst, src, e.From, e.To, buf) })
}

// copyRange copies blocks but for those that are all zero.
func copyRange(ctx context.Context, dst, src *os.File, from, to int64, buf []byte) error {
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.ReadAt(buf[:min(int64(len(buf)), to-from)], from)
		if err != nil && !(errors.Is(err, io.EOF) && n > 0) {
			return err
		}
		for off := 0; off < n; off += blockSize {
			block := buf[off:min(off+blockSize, n)]
			if zero(block) {
				continue
			}
			if _, err := dst.WriteAt(block, from+int64(off)); err != nil {
				return err
			}
		}
		from += int64(n)
	}
	return nil
}

var zeros [blockSize]byte

func zero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

// Grow makes an image that is mounted nowhere, and the file system in it, as
// large as size. Repeated after a crash it finishes what was begun.
func Grow(ctx context.Context, path string, size int64) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.Size() < size {
		if err := os.Truncate(path, size); err != nil {
			return err
		}
	}
	// Exit status 1 says that something was repaired: a journal replayed.
	var exit *exec.ExitError
	if err := tool(ctx, "e2fsck", "-fp", path); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return err
	}
	return tool(ctx, "resize2fs", path)
}

// Size is an image's; a missing one is fs.ErrNotExist.
func Size(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Remove removes an image, and is content where it is gone. A mounted one goes
// on until its last mount ends.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
