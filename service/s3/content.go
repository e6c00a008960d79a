package s3

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // entity tags are MD5 by S3's definition.
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/s3/blob"
	"github.com/slipway/slipway/service/s3/checksum"
	"github.com/slipway/slipway/store"
)

// inlineLimit is the size, in bytes, up to which content is kept in the store:
// to put a small object is then one group commit and no file.
const inlineLimit = 4 << 10

// The places of content.
const (
	inStore = "inline"
	inFile  = "file"
	inParts = "parts"
)

// content says where an object's bytes are. The zero value is no bytes.
type content struct {
	Place string `json:",omitempty"`
	ID    string `json:",omitempty"`
}

// inlineRecord is the sealed bytes of a small object.
type inlineRecord struct{ Sealed []byte }

// fileRecord says that a record names the file; the sweep goes by it.
type fileRecord struct{}

// partsRecord is the content of a completed multipart upload.
type partsRecord struct{ Parts []segment }

// segment is one part: a file.
type segment struct {
	N    int32
	File string
	Size int64
	Sum  string `json:",omitempty"` // of the upload's algorithm
}

var (
	inlines = store.NewCollection[inlineRecord](store.BulkPrefix + "s3/inline")
	files   = store.NewCollection[fileRecord](store.BulkPrefix + "s3/file")
	layouts = store.NewCollection[partsRecord](store.BulkPrefix + "s3/parts")
)

// received is content that came in and is durable, or sealed and about to be.
type received struct {
	content
	sealed []byte
	size   int64
	md5    []byte
	sums   map[checksum.Algorithm][]byte
}

func (r *received) etag() string { return hex.EncodeToString(r.md5) }

func (r *received) files() []string {
	if r.Place == inFile {
		return []string{r.ID}
	}
	return nil
}

// record writes the records of the content itself.
func (r *received) record(tx store.Tx) error {
	switch r.Place {
	case inStore:
		return inlines.Put(tx, r.ID, &inlineRecord{r.sealed})
	case inFile:
		return files.Put(tx, r.ID, &fileRecord{})
	}
	return nil
}

// dropContent removes the records of content; its files go once that is committed.
func (c *change) dropContent(at content) error {
	switch at.Place {
	case inStore:
		return inlines.Delete(c, at.ID)
	case inFile:
		return c.dropFile(at.ID)
	case inParts:
		layout, err := layouts.Get(c, at.ID)
		if err != nil {
			return err
		}
		for _, p := range layout.Parts {
			if err := c.dropFile(p.File); err != nil {
				return err
			}
		}
		return layouts.Delete(c, at.ID)
	}
	return nil
}

func (c *change) dropFile(id string) error {
	c.drop = append(c.drop, id)
	return files.Delete(c, id)
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// receive takes a body in, in bounded memory. alwaysFile keeps even small
// content in a file, as the parts of an upload need.
func (s *Service) receive(body io.Reader, limit int64, alwaysFile bool, algorithms ...checksum.Algorithm) (*received, error) {
	if body == nil {
		body = emptyBody{}
	}
	sum := md5.New() //nolint:gosec // as above
	hashes := map[checksum.Algorithm]hash.Hash{}
	sinks := []io.Writer{sum}
	for _, a := range algorithms {
		if hashes[a] == nil {
			hashes[a] = a.New()
			sinks = append(sinks, hashes[a])
		}
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	r, err := s.keep(body, limit, alwaysFile, *buf, io.MultiWriter(sinks...))
	if err != nil {
		return nil, err
	}
	r.md5 = sum.Sum(nil)
	r.sums = map[checksum.Algorithm][]byte{}
	for a, h := range hashes {
		r.sums[a] = h.Sum(nil)
	}
	return r, nil
}

func (s *Service) keep(body io.Reader, limit int64, alwaysFile bool, buf []byte, sums io.Writer) (*received, error) {
	n, err := fill(body, buf)
	if err != nil && err != io.EOF {
		return nil, err
	}
	_, _ = sums.Write(buf[:n]) // hashes never fail
	if err == io.EOF && n <= inlineLimit && !alwaysFile {
		if n == 0 {
			return &received{}, nil
		}
		id := blob.NewID()
		sealed, err := s.blobs.Seal(id, buf[:n])
		return &received{content: content{inStore, id}, sealed: sealed, size: int64(n)}, err
	}
	w, failed := s.blobs.Create()
	if failed != nil {
		return nil, failed
	}
	defer w.Abort()
	for size := int64(n); ; size += int64(n) {
		if size > limit {
			return nil, entityTooLarge(size, limit)
		}
		if _, failed := w.Write(buf[:n]); failed != nil {
			return nil, failed
		}
		if err == io.EOF {
			break
		}
		if n, err = fill(body, buf); err != nil && err != io.EOF {
			return nil, err
		}
		_, _ = sums.Write(buf[:n])
	}
	id, size, err := w.Commit()
	if err != nil {
		return nil, err
	}
	return &received{content: content{inFile, id}, size: size}, nil
}

// fill reads until buf is full or the body ends, which is io.EOF. A body that
// breaks off is the client's fault, and said as S3 says it.
func fill(body io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := body.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, io.EOF
		}
		if err != nil {
			return n, bodyError(err)
		}
	}
	return n, nil
}

func bodyError(err error) error {
	if _, ok := fault.As(err); ok || errors.Is(err, context.Canceled) || errors.Is(err, blob.ErrDamaged) {
		return err
	}
	return fault.New(fault.IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header").
		Because(err)
}

// errGone is content that was replaced or deleted since its record was read.
var errGone = errors.New("s3: the content is gone")

// open reads a range of content. Where the content is gone meanwhile it is
// errGone: the caller looks at the object's record again.
func (s *Service) open(ctx context.Context, at content, size, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		return io.NopCloser(emptyBody{}), nil
	}
	var body io.ReadCloser
	var err error
	switch at.Place {
	case inStore:
		body, err = s.openInline(ctx, at.ID, offset, length)
	case inFile:
		body, err = s.blobs.Read(at.ID, size, offset, length)
	case inParts:
		body, err = s.openParts(ctx, at.ID, offset, length)
	default:
		return nil, fmt.Errorf("s3: content of %d bytes is nowhere", size)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, blob.ErrMissing) {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return nil, err
	}
	return &watchedBody{body, s.log, at}, nil
}

// watchedBody tells the log of content that cannot be read: by then the answer
// has begun, and its reader sees no more than that it ends short.
type watchedBody struct {
	io.ReadCloser
	log *slog.Logger
	at  content
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.log.Error("an object's content cannot be read", "place", b.at.Place, "id", b.at.ID, "error", err)
	}
	return n, err
}

func (s *Service) openInline(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	var rec *inlineRecord
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		rec, err = inlines.Get(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	plain, err := s.blobs.Unseal(id, rec.Sealed)
	if err != nil {
		return nil, err
	}
	if offset+length > int64(len(plain)) {
		return nil, fmt.Errorf("%w: inline content %s has %d bytes", blob.ErrDamaged, id, len(plain))
	}
	return io.NopCloser(bytes.NewReader(plain[offset : offset+length])), nil
}

func (s *Service) layout(ctx context.Context, id string) (parts []segment, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		rec, err := layouts.Get(tx, id)
		if err == nil {
			parts = rec.Parts
		}
		return err
	})
	return parts, err
}

// openParts reads a range across files. All of them are held before the record
// is read again, so none goes away while it is read.
func (s *Service) openParts(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	parts, err := s.layout(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &partsReader{blobs: s.blobs}
	var ids []string
	for _, p := range parts {
		if offset >= p.Size {
			offset -= p.Size
			continue
		}
		if length <= 0 {
			break
		}
		n := min(p.Size-offset, length)
		r.ranges = append(r.ranges, partRange{p, offset, n})
		ids = append(ids, p.File)
		offset, length = 0, length-n
	}
	r.release = s.blobs.Hold(ids...)
	if _, err := s.layout(ctx, id); err != nil {
		r.release()
		return nil, err
	}
	return r, nil
}

type partRange struct {
	segment
	offset, length int64
}

// partsReader reads ranges of files one after the other.
type partsReader struct {
	blobs   *blob.Store
	ranges  []partRange
	current io.ReadCloser
	release func()
}

func (r *partsReader) Read(p []byte) (int, error) {
	for {
		if r.current == nil {
			if len(r.ranges) == 0 {
				return 0, io.EOF
			}
			next := r.ranges[0]
			body, err := r.blobs.Read(next.File, next.Size, next.offset, next.length)
			if err != nil {
				return 0, err
			}
			r.current, r.ranges = body, r.ranges[1:]
		}
		n, err := r.current.Read(p)
		if err != io.EOF || n > 0 {
			return n, err
		}
		if err := r.current.Close(); err != nil {
			return 0, err
		}
		r.current = nil
	}
}

func (r *partsReader) Close() error {
	r.release()
	r.ranges = nil
	if r.current == nil {
		return nil
	}
	err := r.current.Close()
	r.current = nil
	return err
}

type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error) { return 0, io.EOF }
