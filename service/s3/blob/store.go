// Package blob keeps the bytes of objects in files. A file and its folder are
// made durable before its id is given out, so a record that names an id always
// finds it; what no record names, Sweep removes. Content is
// encrypted and authenticated in blocks (AES-256-GCM, a key per file, derived
// from the data folder's key): a damaged, truncated or exchanged block is an
// error before any byte of it is read. File names are random ids, never
// anything that a caller chose. The package imports store for its disk errors.
// Its one goroutine reads ahead for WriteTo and ends before that returns;
// whoever opens the Store calls Sweep.
package blob

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/slipway/slipway/store"
)

// Errors of a Store.
var (
	ErrMissing = errors.New("blob: the file is not there")
	ErrDamaged = errors.New("blob: the file is damaged")
)

const (
	shards   = 256
	idLength = 32 // hexadecimal digits
)

// Store is a folder of files.
type Store struct {
	dir    string
	master []byte
	prk    []byte // that HKDF extracts from master alone

	run      string        // of this opening, for small content
	sealed   atomic.Uint64 // pieces of small content in this run
	runs     sync.Map      // ciphers of runs
	runCount atomic.Int64

	mu      sync.Mutex
	pending map[string]struct{} // begun, and not yet named by a committed record
	held    map[string]int      // being read
	doomed  map[string]struct{} // to be removed when no longer held
}

// Open opens the folder, or makes it.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, diskError(err)
	}
	s := &Store{
		dir:     dir,
		run:     newRun(),
		pending: map[string]struct{}{},
		held:    map[string]int{},
		doomed:  map[string]struct{}{},
	}
	if err := s.makeFolders(); err != nil {
		return nil, fmt.Errorf("prepare the object folder %s: %w", dir, diskError(err))
	}
	var err error
	if s.master, err = s.openKey(); err != nil {
		return nil, err
	}
	s.prk, err = hkdf.Extract(sha256.New, s.master, nil)
	return s, err
}

func (s *Store) makeFolders() error {
	tmp := filepath.Join(s.dir, "tmp")
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	objects := filepath.Join(s.dir, "objects")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return err
	}
	made := false
	for i := range shards {
		err := os.Mkdir(filepath.Join(objects, fmt.Sprintf("%02x", i)), 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		made = made || err == nil
	}
	if !made {
		return nil
	}
	return errors.Join(syncDir(objects), syncDir(s.dir), syncDir(filepath.Dir(s.dir)))
}

// openKey reads the folder's key, and makes it where the folder is new. A
// folder with content and no key is an error: a new key would make all of it
// unreadable without a word.
func (s *Store) openKey() ([]byte, error) {
	path := filepath.Join(s.dir, "key")
	key, err := os.ReadFile(path)
	if err == nil {
		if len(key) != keyLength {
			return nil, fmt.Errorf("the object key %s has %d bytes, want %d: restore it from a backup", path, len(key), keyLength)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the object key: %w", diskError(err))
	}
	if err := s.each(func(string) error { return errOccupied }); err != nil {
		if errors.Is(err, errOccupied) {
			return nil, fmt.Errorf("the object key %s is gone but objects are there: restore it from a backup", path)
		}
		return nil, diskError(err)
	}
	key = make([]byte, keyLength)
	_, _ = rand.Read(key) // never fails
	tmp := filepath.Join(s.dir, "tmp", "key")
	if err := writeFile(tmp, key); err != nil {
		return nil, fmt.Errorf("write the object key: %w", diskError(err))
	}
	if err := os.Rename(tmp, path); err != nil {
		return nil, fmt.Errorf("write the object key: %w", diskError(err))
	}
	return key, diskError(syncDir(s.dir))
}

var errOccupied = errors.New("not empty")

// each calls fn with the id of every file.
func (s *Store) each(fn func(id string) error) error {
	for i := range shards {
		entries, err := os.ReadDir(filepath.Join(s.dir, "objects", fmt.Sprintf("%02x", i)))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// NewID makes the id of a piece of content, in a file or inline.
func NewID() string {
	var b [idLength / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// path is the file of an id. Ids come from our own records; a record that was
// tampered with must still not lead out of the folder.
func (s *Store) path(id string) (string, error) {
	if len(id) != idLength {
		return "", fmt.Errorf("%w: %q is no id", ErrDamaged, id)
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("%w: %q is no id", ErrDamaged, id)
		}
	}
	return filepath.Join(s.dir, "objects", id[:2], id), nil
}

// Settle tells that a committed record names the files, or that none ever
// will: they are no longer pending. Files that no record names are removed by
// the next Sweep at the latest.
func (s *Store) Settle(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.pending, id)
	}
}

// Hold keeps files from being removed until the returned function is called.
func (s *Store) Hold(ids ...string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.held[id]++
	}
	return sync.OnceFunc(func() { s.release(ids) })
}

func (s *Store) release(ids []string) {
	s.mu.Lock()
	var remove []string
	for _, id := range ids {
		if s.held[id]--; s.held[id] > 0 {
			continue
		}
		delete(s.held, id)
		if _, ok := s.doomed[id]; ok {
			delete(s.doomed, id)
			remove = append(remove, id)
		}
	}
	s.mu.Unlock()
	for _, id := range remove {
		s.unlink(id)
	}
}

// Remove removes files that no record names any more, each as soon as nobody
// reads it. One that cannot be removed now is left to Sweep.
func (s *Store) Remove(ids ...string) {
	for _, id := range ids {
		s.mu.Lock()
		delete(s.pending, id)
		_, held := s.held[id]
		if held {
			s.doomed[id] = struct{}{}
		}
		s.mu.Unlock()
		if !held {
			s.unlink(id)
		}
	}
}

func (s *Store) unlink(id string) bool {
	path, err := s.path(id)
	return err == nil && os.Remove(path) == nil
}

// Sweep removes the files that no record names: what a crash left between the
// writing of a file and the commit of its record, or between a commit and the
// removal of what it replaced. known says which of the ids are named by a
// record; it is called with a bounded number at a time.
func (s *Store) Sweep(ctx context.Context, known func(ids []string) (map[string]bool, error)) (removed int, err error) {
	var batch []string
	flush := func() error {
		n, err := s.sweep(batch, known)
		removed += n
		batch = batch[:0]
		return err
	}
	err = s.each(func(name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if batch = append(batch, name); len(batch) < 500 {
			return nil
		}
		return flush()
	})
	if err != nil {
		return removed, err
	}
	return removed, flush()
}

func (s *Store) sweep(batch []string, known func([]string) (map[string]bool, error)) (int, error) {
	// What is pending is looked at before the records are: a file that becomes
	// named in between is then seen as one or the other.
	var settled []string
	s.mu.Lock()
	for _, id := range batch {
		_, pending := s.pending[id]
		_, held := s.held[id]
		if !pending && !held {
			settled = append(settled, id)
		}
	}
	s.mu.Unlock()
	if len(settled) == 0 {
		return 0, nil
	}
	named, err := known(settled)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, id := range settled {
		if !named[id] && s.unlink(id) {
			removed++
		}
	}
	return removed, nil
}

// diskError gives a full or read-only disk the name that the store has for it,
// so that the wire answers it in the same way.
func diskError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", store.ErrNoSpace, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return err
}

func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
