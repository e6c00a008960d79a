package lambda

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	s3 "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Bounds of code ("Lambda quotas", AWS Lambda Developer Guide), in bytes.
const (
	maxZipped   = 50 << 20  // that a call carries itself
	maxUnzipped = 250 << 20 // with all layers
	maxStored   = 75 << 30  // of an account in a region
)

// codeStore keeps the archives of functions and layers in a folder, by what is in
// them, and unpacks them into another. An archive is synced before a record names
// it. What is unpacked lasts as long as the process: the next one unpacks anew, so
// that nothing half written by a machine that lost power ever runs.
type codeStore struct {
	archives, unpacked string

	mu    sync.Mutex
	held  map[string]int  // archives that a call is about to name
	named map[string]bool // those that were held since a sweep began: it may not know who names them
	ready map[string]*unpacking
}

// unpacking is one archive on its way into a folder.
type unpacking struct {
	done chan struct{}
	err  error
}

// open makes the folders, and puts away what an earlier process had unpacked.
func (c *codeStore) open(dir string) error {
	c.archives, c.unpacked = filepath.Join(dir, "code"), filepath.Join(dir, "unpacked")
	c.held, c.named, c.ready = map[string]int{}, map[string]bool{}, map[string]*unpacking{}
	if dir == "" {
		return errors.New("lambda: no folder is given for code")
	}
	if err := os.MkdirAll(c.archives, 0o700); err != nil {
		return err
	}
	if err := removeAll(c.unpacked); err != nil {
		return err
	}
	return os.MkdirAll(c.unpacked, 0o711)
}

func (c *codeStore) path(id string) string   { return filepath.Join(c.archives, id+".zip") }
func (c *codeStore) folder(id string) string { return filepath.Join(c.unpacked, id) }

// hold keeps an archive from being removed until release is called.
func (c *codeStore) hold(id string) (release func()) {
	c.mu.Lock()
	c.held[id]++
	c.named[id] = true
	c.mu.Unlock()
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held[id]--; c.held[id] == 0 {
			delete(c.held, id)
		}
	})
}

// keep checks an archive, and keeps it for good under what is in it.
func (c *codeStore) keep(r io.Reader, most int64) (file codeFile, release func(), err error) {
	f, err := os.CreateTemp(c.archives, "new-*")
	if err != nil {
		return file, nil, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if removed := os.Remove(f.Name()); !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, most+1))
	if err != nil {
		return file, nil, err
	}
	if n > most {
		return file, nil, tooLarge(most)
	}
	a, err := checkArchive(f, n)
	if err != nil {
		return file, nil, err
	}
	file = codeFile{ID: hex.EncodeToString(h.Sum(nil)), Size: n, Unzipped: a.Size}
	release = c.hold(file.ID)
	if err := c.settle(f, file.ID); err != nil {
		release()
		return file, nil, err
	}
	return file, release, nil
}

func tooLarge(most int64) error {
	return fail(fault.RequestTooLargeException, "Zipped size must be smaller than %d bytes", most)
}

// settle puts an archive in its place, durably.
func (c *codeStore) settle(f *os.File, id string) error {
	if _, err := os.Stat(c.path(id)); err == nil {
		return nil
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.path(id)); err != nil {
		return err
	}
	d, err := os.Open(c.archives)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// unpack gives the folder with an archive's files. Several who ask at once wait for
// the same work.
func (c *codeStore) unpack(ctx context.Context, file codeFile) (string, error) {
	c.mu.Lock()
	u := c.ready[file.ID]
	if u == nil {
		u = &unpacking{done: make(chan struct{})}
		c.ready[file.ID] = u
		c.mu.Unlock()
		u.err = c.unpackNow(file)
		if u.err != nil {
			c.mu.Lock()
			delete(c.ready, file.ID)
			c.mu.Unlock()
		}
		close(u.done)
	} else {
		c.mu.Unlock()
	}
	select {
	case <-u.done:
		return c.folder(file.ID), u.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (c *codeStore) unpackNow(file codeFile) (err error) {
	f, err := os.Open(c.path(file.ID))
	if err != nil {
		return fmt.Errorf("lambda: the code of a function: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	a, err := checkArchive(f, file.Size)
	if err != nil {
		return err
	}
	part := c.folder(file.ID) + ".part"
	if err := removeAll(part); err != nil {
		return err
	}
	if err := a.Extract(part); err != nil {
		return errors.Join(badArchive(err), removeAll(part))
	}
	return os.Rename(part, c.folder(file.ID))
}

// sweep removes archives, and what was unpacked of them, that known does not name.
func (c *codeStore) sweep(known func() (map[string]bool, error), inUse func(id string) bool) error {
	entries, err := os.ReadDir(c.archives)
	if err != nil {
		return err
	}
	// What stands in the folder now and is not held was named by a record, or never
	// will be: a call that names it later holds it first, and drop sees that it did,
	// even if the record was committed when the names had been read.
	c.mu.Lock()
	clear(c.named)
	for id := range c.held {
		c.named[id] = true
	}
	c.mu.Unlock()
	names, err := known()
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".zip")
		if !ok || names[id] || inUse(id) {
			continue
		}
		if err := c.drop(id); err != nil {
			return err
		}
	}
	return nil
}

// drop removes one archive, unless a call has held it since the sweep began.
func (c *codeStore) drop(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named[id] {
		return nil
	}
	if u := c.ready[id]; u != nil {
		select {
		case <-u.done:
		default:
			return nil // it is being unpacked
		}
		delete(c.ready, id)
	}
	return errors.Join(os.Remove(c.path(id)), removeAll(c.folder(id)))
}

// removeAll removes a folder, folders within that cannot be written included.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// source is where a call says that code is.
type source struct {
	zip                  []byte
	bucket, key, version string
}

// take keeps the code that a call gives. It stays until release is called, or a
// record names it.
func (s *Service) take(ctx context.Context, from source) (codeFile, func(), error) {
	switch {
	case from.zip != nil && (from.bucket != "" || from.key != ""):
		return codeFile{}, nil, invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
	case from.zip != nil:
		if len(from.zip) > maxZipped {
			return codeFile{}, nil, tooLarge(maxZipped)
		}
		return s.code.keep(bytes.NewReader(from.zip), maxZipped)
	case from.bucket == "" || from.key == "":
		return codeFile{}, nil, invalid("Please provide a source for function code.")
	}
	out, err := s.cfg.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: from.bucket, Key: from.key, VersionId: from.version})
	if f, ok := fault.As(err); ok {
		return codeFile{}, nil, invalid("Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s", f.Code, f.Message)
	}
	if err != nil {
		return codeFile{}, nil, err
	}
	defer out.Body.Close()
	return s.code.keep(out.Body, maxUnzipped)
}

// checkSize refuses code that is too large with its layers, or too much for the
// account.
func (s *Service) checkSize(tx store.Tx, scope arn.Scope, to *settings) error {
	stored, err := storedSize(tx, scope)
	if err != nil {
		return err
	}
	if stored+to.Code.Size > maxStored {
		return fail(fault.CodeStorageExceededException, "Code storage limit exceeded.")
	}
	var total int64
	for _, file := range to.files() {
		total += file.Unzipped
	}
	if total > maxUnzipped {
		if len(to.Layers) > 0 {
			return invalid("Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size is %d bytes.", maxUnzipped, total)
		}
		return unzippedTooLarge()
	}
	return nil
}

// files are the archives that settings run, the function's own first.
func (s *settings) files() []codeFile {
	out := append(make([]codeFile, 0, 1+len(s.Layers)), s.Code)
	for _, l := range s.Layers {
		out = append(out, l.Code)
	}
	return out
}

func unzippedTooLarge() error {
	return invalid("Unzipped size must be smaller than %d bytes", maxUnzipped)
}

// storedSize is how much code an account has stored.
func storedSize(tx store.Tx, scope arn.Scope) (sum int64, err error) {
	for e, err := range versions.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return 0, err
		}
		sum += e.Value.Code.Size
	}
	for e, err := range layers.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return 0, err
		}
		sum += e.Value.Code.Size
	}
	return sum, nil
}
