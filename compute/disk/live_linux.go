package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// maxFrozen is how long a copy holds up those who write to a volume. It is a
// variable for tests.
var maxFrozen = 30 * time.Second

// errFrozenLong is a volume of which a copy of one moment would hold up those who
// write to it for longer than that.
var errFrozenLong = fmt.Errorf("%w: a copy of one moment holds its writers up for too long", ErrBusy)

// CopyLive copies an image that may be mounted and written to, as its file system
// is at one moment. Where the host's own file system copies by reference, writers
// wait for just that. Elsewhere most of it is copied while they go on, and they
// wait while what has changed since is found and copied after; that takes about
// as long as reading the volume out of the host's memory. name is what the loop
// device is listed under.
func CopyLive(ctx context.Context, path, from, name string, safe Durability) (err error) {
	// Mounted here, too, it can be frozen whether or not somebody mounts it meanwhile.
	m, err := Open(from, name, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	return replace(path, safe, func(dst *os.File) error {
		if clone(dst, src) == nil {
			return m.frozen(ctx, func(context.Context) error { return clone(dst, src) })
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(src.Fd()), &st); err != nil {
			return err
		}
		if err := roomFor(filepath.Dir(path), st.Blocks*512); err != nil {
			return err
		}
		if err := m.Sync(); err != nil {
			return err
		}
		if err := copySparse(ctx, dst, src); err != nil {
			return err
		}
		if safe == AtOnce { // what is left to write while they wait is little then
			if err := dst.Sync(); err != nil {
				return err
			}
		}
		return m.frozen(ctx, func(ctx context.Context) error { return catchUp(ctx, dst, src) })
	})
}

func clone(dst, src *os.File) error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }

// frozen acts while nobody writes, for maxFrozen at most, and thaws whatever comes
// of it.
func (m *Mount) frozen(ctx context.Context, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxFrozen, errFrozenLong)
	defer cancel()
	err := m.Freeze()
	if err == nil {
		err = act(ctx)
	}
	if err = errors.Join(err, m.Thaw()); err != nil && errors.Is(context.Cause(ctx), errFrozenLong) {
		return errFrozenLong
	}
	return err
}

// catchUp makes a copy of an earlier state of src what src is now.
func catchUp(ctx context.Context, dst, src *os.File) error {
	st, err := src.Stat()
	if err != nil {
		return err
	}
	size := st.Size()
	if err := dst.Truncate(size); err != nil {
		return err
	}
	a, b := make([]byte, 256<<10), make([]byte, 256<<10)
	err = eachExtent(src, size, func(e Extent) error { return amend(ctx, dst, src, e, a, b) })
	if err != nil {
		return err
	}
	return eachExtent(dst, size, func(e Extent) error { return punchHoles(ctx, dst, src, e, size) })
}

// amend copies the blocks of an extent that differ.
func amend(ctx context.Context, dst, src *os.File, e Extent, a, b []byte) error {
	for at := e.From; at < e.To; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(int64(len(a)), e.To-at)
		for _, half := range []struct {
			f   *os.File
			buf []byte
		}{{src, a[:n]}, {dst, b[:n]}} {
			if _, err := half.f.ReadAt(half.buf, at); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		for off := int64(0); off < n; off += blockSize {
			end := min(off+blockSize, n)
			if bytes.Equal(a[off:end], b[off:end]) {
				continue
			}
			if _, err := dst.WriteAt(a[off:end], at+off); err != nil {
				return err
			}
		}
		at += n
	}
	return nil
}

// punchHoles empties what of an extent of dst is a hole in src.
func punchHoles(ctx context.Context, dst, src *os.File, e Extent, size int64) error {
	fd := int(src.Fd())
	for at := e.From; at < e.To; {
		if err := ctx.Err(); err != nil {
			return err
		}
		hole, err := unix.Seek(fd, at, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if hole >= e.To {
			return nil
		}
		data, err := unix.Seek(fd, hole, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			data = size
		} else if err != nil {
			return err
		}
		data = min(data, e.To)
		if err := unix.Fallocate(int(dst.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, hole, data-hole); err != nil {
			return fmt.Errorf("empty %d bytes of a copy: %w", data-hole, err)
		}
		at = data
	}
	return nil
}
