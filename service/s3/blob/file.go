package blob

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// run is how many blocks are written, and read, at a time.
const run = 4

var buffers = sync.Pool{New: func() any { b := make([]byte, run*sealedSize); return &b }}

// Writer writes a file. Commit or Abort ends it; Abort after Commit is nothing.
type Writer struct {
	s     *Store
	id    string
	path  string
	file  *os.File
	aead  cipher.AEAD
	plain *[]byte // holds the block under way
	out   *[]byte
	fill  int
	block int64
	size  int64
	ahead int64 // bytes of the file that the disk was told to write
	err   error
	done  bool
}

// Create begins a file. It is pending, so that Sweep leaves it alone, until
// Abort, or after a Commit until Settle or Remove.
func (v Vault) Create() (*Writer, error) {
	s, id := v.s, NewID()
	aead, err := v.sealer(id)
	if err != nil {
		return nil, err
	}
	path, err := s.path(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.pending[id] = struct{}{}
	s.mu.Unlock()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		s.Settle(id)
		return nil, diskError(err)
	}
	return &Writer{
		s: s, id: id, path: path, file: f, aead: aead,
		plain: buffers.Get().(*[]byte), out: buffers.Get().(*[]byte),
	}, nil
}

func (w *Writer) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && w.err == nil {
		if w.fill == 0 && len(p) >= blockSize {
			n := min(len(p)/blockSize, run) * blockSize
			w.flush(p[:n])
			written += n
			p = p[n:]
			continue
		}
		n := copy((*w.plain)[w.fill:blockSize], p)
		w.fill += n
		written += n
		p = p[n:]
		if w.fill == blockSize {
			w.flush((*w.plain)[:w.fill])
			w.fill = 0
		}
	}
	w.size += int64(written)
	return written, w.err
}

// flush writes blocks, up to a run of them. Only the file's last may be short.
func (w *Writer) flush(plain []byte) {
	sealed := (*w.out)[:0]
	for len(plain) > 0 {
		n := min(len(plain), blockSize)
		sealed = w.aead.Seal(sealed, nonce(w.block), plain[:n], nil)
		w.block++
		plain = plain[n:]
	}
	if _, err := w.file.Write(sealed); err != nil {
		w.err = diskError(err)
		return
	}
	if at := w.block * sealedSize; at-w.ahead >= writeAhead {
		startWriting(w.file, w.ahead, at-w.ahead)
		w.ahead = at
	}
}

// writeAhead is how many bytes the disk is told to write at a time, while more
// come in: what is left to wait for at the end is little.
const writeAhead = 8 << 20

// Commit makes the file durable under its id. It is pending until Settle or
// Remove: the caller commits a record that names it, and then settles it.
func (w *Writer) Commit() (id string, size int64, err error) {
	if w.done {
		return "", 0, errors.New("blob: commit of a finished file")
	}
	if w.fill > 0 && w.err == nil {
		w.flush((*w.plain)[:w.fill])
	}
	err = w.err
	if err == nil {
		err = diskError(w.file.Sync())
	}
	if err == nil {
		err = diskError(syncDir(filepath.Dir(w.path)))
	}
	if err != nil {
		w.Abort()
		return "", 0, err
	}
	w.end()
	return w.id, w.size, nil
}

// Abort gives up a file that was not committed.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.end()
	w.s.Remove(w.id)
}

func (w *Writer) end() {
	w.done = true
	_ = w.file.Close() // its content is synced, or of no account
	buffers.Put(w.plain)
	buffers.Put(w.out)
}

// reader reads a range of a file, a run of blocks at a time.
type reader struct {
	id     string
	file   *os.File
	aead   cipher.AEAD
	sealed *[]byte
	opened *[]byte
	plain  []byte // of opened, not yet read
	block  int64  // the next to open
	skip   int64  // bytes of that block that come before the range
	left   int64  // bytes of the range not yet opened
	size   int64  // of the whole content
}

// Read opens the range [offset, offset+length) of the file, whose whole content
// has size bytes. The content can be read even if the file is removed meanwhile.
func (v Vault) Read(id string, size, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || length < 0 || offset+length > size {
		return nil, fmt.Errorf("blob: range %d+%d of %d bytes", offset, length, size)
	}
	path, err := v.s.path(id)
	if err != nil {
		return nil, err
	}
	aead, err := v.sealer(id)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, diskError(err)
	}
	r := &reader{
		id: id, file: f, aead: aead, sealed: buffers.Get().(*[]byte), opened: buffers.Get().(*[]byte),
		block: offset / blockSize, skip: offset % blockSize, left: length, size: size,
	}
	if err := r.check(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// check finds a truncated or overlong file before the first byte is read.
func (r *reader) check() error {
	info, err := r.file.Stat()
	if err != nil {
		return diskError(err)
	}
	blocks := (r.size + blockSize - 1) / blockSize
	if want := r.size + blocks*overhead; info.Size() != want {
		return fmt.Errorf("%w: %s has %d bytes, want %d", ErrDamaged, r.id, info.Size(), want)
	}
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.plain) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if r.sealed == nil {
			return 0, os.ErrClosed
		}
		var err error
		if r.plain, err = r.next(*r.opened); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// next reads the next blocks of the range, up to a run, and opens them into buf.
// It gives what comes before a damaged block; the next call meets that again.
func (r *reader) next(buf []byte) ([]byte, error) {
	blocks := min((r.skip+r.left+blockSize-1)/blockSize, run)
	sealed := (*r.sealed)[:min(blocks*blockSize, r.size-r.block*blockSize)+blocks*overhead]
	if _, err := r.file.ReadAt(sealed, r.block*sealedSize); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, r.id, err)
	}
	plain := buf[:0]
	for len(sealed) > 0 {
		n := min(len(sealed), sealedSize)
		opened, err := r.aead.Open(plain, nonce(r.block), sealed[:n], nil)
		if err != nil && len(plain) == 0 {
			return nil, fmt.Errorf("%w: %s, block %d", ErrDamaged, r.id, r.block)
		}
		if err != nil {
			break
		}
		plain, sealed = opened, sealed[n:]
		r.block++
	}
	plain = plain[r.skip:]
	plain = plain[:min(int64(len(plain)), r.left)]
	r.left -= int64(len(plain))
	r.skip = 0
	return plain, nil
}

// opened is what a run of blocks gave.
type opened struct {
	buf   *[]byte
	plain []byte
	err   error
}

// readAhead is how many runs are opened or written at a time.
const readAhead = 3

// WriteTo writes the rest of the range. While a run of blocks is written, the
// next is read and opened by a goroutine, which ends before WriteTo does.
func (r *reader) WriteTo(w io.Writer) (written int64, err error) {
	if r.sealed == nil {
		return 0, os.ErrClosed
	}
	for len(r.plain) > 0 || r.left > 0 && r.left <= blockSize {
		if len(r.plain) == 0 {
			if r.plain, err = r.next(*r.opened); err != nil {
				return written, err
			}
		}
		n, err := w.Write(r.plain)
		written, r.plain = written+int64(n), nil
		if err != nil {
			return written, err
		}
	}
	if r.left == 0 {
		return written, nil
	}
	n, err := r.writeAhead(w)
	return written + n, err
}

func (r *reader) writeAhead(w io.Writer) (written int64, err error) {
	runs, free := make(chan opened, readAhead), make(chan *[]byte, readAhead)
	for range readAhead {
		free <- buffers.Get().(*[]byte)
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		defer close(runs)
		for r.left > 0 && !stop.Load() {
			o := opened{buf: <-free}
			o.plain, o.err = r.next(*o.buf)
			runs <- o
			if o.err != nil {
				return
			}
		}
	})
	for o := range runs {
		if err == nil {
			err = o.err
		}
		if err == nil {
			var n int
			n, err = w.Write(o.plain)
			written += int64(n)
			stop.Store(err != nil)
		}
		free <- o.buf
	}
	group.Wait()
	for range readAhead {
		buffers.Put(<-free)
	}
	return written, err
}

func (r *reader) Close() error {
	if r.sealed == nil {
		return nil
	}
	buffers.Put(r.sealed)
	buffers.Put(r.opened)
	r.sealed, r.opened, r.plain, r.left = nil, nil, nil, 0
	return r.file.Close()
}
