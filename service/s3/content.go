package s3

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/slipway/slipway/auth/checksum"
	"github.com/slipway/slipway/service/s3/blob"
	"github.com/slipway/slipway/store"
)

// inlineLimit is the size, in bytes, up to which content is kept in the object's
// record: to put a small object is then one document, one group commit, and no
// file.
const inlineLimit = 4 << 10

// The places of content.
const (
	inStore = "inline"
	inFile  = "file"
	inParts = "parts"
)

// content says where an object's bytes are. The zero value is no bytes.
type content struct {
	Place  string `json:",omitempty"`
	ID     string `json:",omitempty"`
	Sealed []byte `json:",omitempty"` // the bytes themselves, of a small object
}

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
	files   = store.NewCollection[fileRecord](store.BulkPrefix + "s3/file")
	layouts = store.NewCollection[partsRecord](store.BulkPrefix + "s3/parts")
)

// received is content that came in and is durable, or sealed and about to be.
type received struct {
	content
	size int64
	md5  []byte
	tag  []byte // of the entity
	sums map[checksum.Algorithm][]byte
}

func (r *received) etag() string { return hex.EncodeToString(r.tag) }

func (r *received) files() []string {
	if r.Place == inFile {
		return []string{r.ID}
	}
	return nil
}

// record writes the records of the content itself.
func (r *received) record(tx store.Tx) error {
	if r.Place == inFile {
		return files.Put(tx, r.ID, &fileRecord{})
	}
	return nil
}

// dropContent removes the records of content; its files go once that is committed.
func (c *change) dropContent(at content) error {
	switch at.Place {
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

// errGone is content that was replaced or deleted since its record was read.
var errGone = errors.New("s3: the content is gone")

// open reads a range of content. Where the content is gone meanwhile it is
// errGone: the caller looks at the object's record again.
func (s *Service) open(ctx context.Context, o *object, secret []byte, offset, length int64) (io.ReadCloser, error) {
	at, vault := o.Content, s.blobs.Under(secret)
	if length == 0 {
		return io.NopCloser(emptyBody{}), nil
	}
	var body io.ReadCloser
	var err error
	switch at.Place {
	case inStore:
		return openInline(vault, at, offset, length)
	case inFile:
		body, err = vault.Read(at.ID, o.Size, offset, length)
	case inParts:
		body, err = s.openParts(ctx, vault, at.ID, offset, length)
	default:
		return nil, fmt.Errorf("s3: content of %d bytes is nowhere", o.Size)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, blob.ErrMissing) {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return nil, err
	}
	return &watchedBody{body, s.log, at.Place, at.ID}, nil
}

// watchedBody tells the log of content that cannot be read: by then the answer
// has begun, and its reader sees no more than that it ends short.
type watchedBody struct {
	io.ReadCloser
	log       *slog.Logger
	place, id string
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.tell(err)
	}
	return n, err
}

func (b *watchedBody) tell(err error) {
	b.log.Error("an object's content cannot be read", "place", b.place, "id", b.id, "error", err)
}

// WriteTo is the fast way out. A failure to write is the client's affair.
func (b *watchedBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, b.ReadCloser)
	if errors.Is(err, blob.ErrDamaged) || errors.Is(err, blob.ErrMissing) {
		b.tell(err)
	}
	return n, err
}

func openInline(vault blob.Vault, at content, offset, length int64) (io.ReadCloser, error) {
	plain, err := vault.Unseal(at.ID, at.Sealed)
	if err != nil {
		return nil, err
	}
	if offset+length > int64(len(plain)) {
		return nil, fmt.Errorf("%w: inline content %s has %d bytes", blob.ErrDamaged, at.ID, len(plain))
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
func (s *Service) openParts(ctx context.Context, vault blob.Vault, id string, offset, length int64) (io.ReadCloser, error) {
	parts, err := s.layout(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &partsReader{vault: vault}
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
	vault   blob.Vault
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
			if err := r.next(); err != nil {
				return 0, err
			}
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

// WriteTo hands each part's file the writer.
func (r *partsReader) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if r.current == nil {
			if len(r.ranges) == 0 {
				return written, nil
			}
			if err := r.next(); err != nil {
				return written, err
			}
		}
		n, err := io.Copy(w, r.current)
		written += n
		if err != nil {
			return written, err
		}
		if err := r.current.Close(); err != nil {
			return written, err
		}
		r.current = nil
	}
}

func (r *partsReader) next() error {
	next := r.ranges[0]
	body, err := r.vault.Read(next.File, next.Size, next.offset, next.length)
	if err != nil {
		return err
	}
	r.current, r.ranges = body, r.ranges[1:]
	return nil
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
