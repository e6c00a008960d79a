package blob

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

var buffers = sync.Pool{New: func() any { b := make([]byte, sealedSize); return &b }}

// Writer writes a file. Commit or Abort ends it; Abort after Commit is nothing.
type Writer struct {
	s     *Store
	id    string
	tmp   string
	file  *os.File
	aead  cipher.AEAD
	plain *[]byte // holds the block under way
	out   *[]byte
	fill  int
	block int64
	size  int64
	err   error
	done  bool
}

// Create begins a file.
func (s *Store) Create() (*Writer, error) {
	id := NewID()
	aead, err := s.sealer(id)
	if err != nil {
		return nil, err
	}
	tmp := filepath.Join(s.dir, "tmp", id)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, diskError(err)
	}
	return &Writer{
		s: s, id: id, tmp: tmp, file: f, aead: aead,
		plain: buffers.Get().(*[]byte), out: buffers.Get().(*[]byte),
	}, nil
}

func (w *Writer) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && w.err == nil {
		n := copy((*w.plain)[w.fill:blockSize], p)
		w.fill += n
		written += n
		p = p[n:]
		if w.fill == blockSize {
			w.flush()
		}
	}
	w.size += int64(written)
	return written, w.err
}

func (w *Writer) flush() {
	sealed := w.aead.Seal((*w.out)[:0], nonce(w.block), (*w.plain)[:w.fill], nil)
	w.block++
	w.fill = 0
	if _, err := w.file.Write(sealed); err != nil {
		w.err = diskError(err)
	}
}

// Commit makes the file durable under its id. It is pending until Settle or
// Remove: the caller commits a record that names it, and then settles it.
func (w *Writer) Commit() (id string, size int64, err error) {
	if w.done {
		return "", 0, errors.New("blob: commit of a finished file")
	}
	defer w.Abort()
	if w.fill > 0 && w.err == nil {
		w.flush()
	}
	if w.err != nil {
		return "", 0, w.err
	}
	if err := w.file.Sync(); err != nil {
		return "", 0, diskError(err)
	}
	path, err := w.s.path(w.id)
	if err != nil {
		return "", 0, err
	}
	w.s.mu.Lock()
	w.s.pending[w.id] = struct{}{}
	w.s.mu.Unlock()
	if err := os.Rename(w.tmp, path); err != nil {
		w.s.Settle(w.id)
		return "", 0, diskError(err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		w.s.Remove(w.id)
		return "", 0, diskError(err)
	}
	return w.id, w.size, nil
}

// Abort gives up a file that was not committed.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	_ = w.file.Close()   // its content is synced, or of no account
	_ = os.Remove(w.tmp) // gone already after a Commit
	buffers.Put(w.plain)
	buffers.Put(w.out)
}

// reader reads a range of a file.
type reader struct {
	id    string
	file  *os.File
	aead  cipher.AEAD
	buf   *[]byte
	plain []byte // opened, not yet read
	block int64  // the next to open
	skip  int64  // bytes of that block that come before the range
	left  int64  // bytes of the range not yet opened
	size  int64  // of the whole content
}

// Read opens the range [offset, offset+length) of the file, whose whole content
// has size bytes. The content can be read even if the file is removed meanwhile.
func (s *Store) Read(id string, size, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || length < 0 || offset+length > size {
		return nil, fmt.Errorf("blob: range %d+%d of %d bytes", offset, length, size)
	}
	path, err := s.path(id)
	if err != nil {
		return nil, err
	}
	aead, err := s.sealer(id)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, diskError(err)
	}
	r := &reader{
		id: id, file: f, aead: aead, buf: buffers.Get().(*[]byte),
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
	_, err = r.file.Seek(r.block*sealedSize, io.SeekStart)
	return err
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.plain) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

func (r *reader) next() error {
	if r.buf == nil {
		return os.ErrClosed
	}
	plain := min(blockSize, r.size-r.block*blockSize)
	sealed := (*r.buf)[:plain+overhead]
	if _, err := io.ReadFull(r.file, sealed); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, r.id, err)
	}
	opened, err := r.aead.Open(sealed[:0], nonce(r.block), sealed, nil)
	if err != nil {
		return fmt.Errorf("%w: %s, block %d", ErrDamaged, r.id, r.block)
	}
	r.plain = opened[r.skip:]
	r.plain = r.plain[:min(int64(len(r.plain)), r.left)]
	r.left -= int64(len(r.plain))
	r.block++
	r.skip = 0
	return nil
}

func (r *reader) Close() error {
	if r.buf == nil {
		return nil
	}
	buffers.Put(r.buf)
	r.buf, r.plain, r.left = nil, nil, 0
	return r.file.Close()
}
