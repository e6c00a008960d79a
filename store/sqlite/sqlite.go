// Package sqlite is the embedded store: one SQLite file in WAL mode whose log is
// synced after each commit. Concurrent updates run one after another inside one
// SQLite transaction and share its commit, so durability costs one sync for many.
//
// It may import store only. The store owns at most a goroutine that runs while
// updates queue (update.go) and one for each sync under way; Close waits for them.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/slipway/slipway/store"
)

// FileName is the database's name in the data folder.
const FileName = "slipway.db"

// Options of a store; the zero value is what a server uses.
type Options struct {
	// NoSync leaves out every fsync: for tests, which lose nothing in a crash
	// of the machine.
	NoSync bool
	// Readers bounds the connections that views read on; 0 stands for 32.
	Readers int
	// Held bounds the documents of short life that are held in memory, in bytes; 0
	// stands for 8 MiB. Tests set it.
	Held int
	// Schema is the newest schema version to migrate to; 0 stands for the
	// binary's own. Tests of migrations set it.
	Schema int
}

// Store is a store.Store in one folder.
type Store struct {
	dir    string
	lock   *dirLock
	writer *conn
	log    *log
	turns  turns
	reads  readPool
	recent recent
	watch  watchers

	// Of whoever has the turn (update.go).
	begun     bool  // the writer is in a transaction
	revision  int64 // of the last update run
	committed int64 // of the last update committed
	lastBatch int   // members of the last batch
	pending   pending
	journal   journal
	known     known

	// What views see beside SQLite's snapshot. A commit that changes both holds
	// publish while it does; a view, while it takes both.
	publish sync.RWMutex
	shown   tree
	shownAt int64 // revision

	life     sync.Mutex
	idle     *sync.Cond // inflight became 0
	inflight int
	closed   bool
	done     chan struct{} // closed when Close has finished
}

var _ store.Store = (*Store)(nil)

// Open opens the store in dir, makes it where there is none, and brings its
// schema up to date. A folder in use is store.ErrLocked.
func Open(ctx context.Context, dir string, o Options) (store.Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, osError(err)
	}
	s, err := open(dir, lock, o)
	if err != nil {
		lock.release()
		return nil, err
	}
	return s, nil
}

func open(dir string, lock *dirLock, o Options) (*Store, error) {
	file := filepath.Join(dir, FileName)
	// Made here rather than by SQLite, so that no other user can read it; the
	// write-ahead log takes its mode.
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, osError(fmt.Errorf("open the store: %w", err))
	}
	if err := f.Close(); err != nil {
		return nil, osError(fmt.Errorf("open the store: %w", err))
	}
	if err := syncDir(dir); err != nil {
		return nil, osError(err)
	}
	w, err := openConn(file, writerPragmas(o))
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, lock: lock, writer: w, done: make(chan struct{})}
	s.idle = sync.NewCond(&s.life)
	s.reads.init(file, o)
	if s.journal.most = o.Held; o.Held == 0 {
		s.journal.most = maxHeld
	}
	if err = s.prepare(o); err == nil && !o.NoSync {
		s.log, err = openLog(file, s.committed)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return s, nil
}

func (s *Store) prepare(o Options) error {
	if err := migrate(s.writer, s.dir, o.Schema); err != nil {
		return err
	}
	rev, err := s.writer.int("SELECT value FROM meta WHERE name='revision'")
	if err != nil {
		return s.fail(err)
	}
	if o.Schema == 0 {
		if err := s.readJournal(); err != nil {
			return s.fail(fmt.Errorf("read the journal: %w", err))
		}
	}
	s.revision = max(rev, s.shown.revision)
	s.committed, s.shownAt = s.revision, s.revision
	return nil
}

// makeDir makes the data folder and sees that its name survives a crash.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return osError(fmt.Errorf("make the data folder: %w", err))
	}
	return osError(syncDir(filepath.Dir(dir)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the data folder: %w", err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync the data folder: %w", err)
	}
	return nil
}

// enter counts a call that is under way, so that Close can wait for it.
func (s *Store) enter() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.inflight++
	return nil
}

func (s *Store) leave() {
	s.life.Lock()
	defer s.life.Unlock()
	if s.inflight--; s.inflight == 0 {
		s.idle.Broadcast()
	}
}

// Close waits for views and updates under way and closes the files.
func (s *Store) Close() error {
	s.life.Lock()
	if s.closed {
		s.life.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	for s.inflight > 0 {
		s.idle.Wait()
	}
	s.life.Unlock()
	defer close(s.done)
	s.watch.close()
	return errors.Join(s.reads.close(), s.writer.close(), s.log.close(), s.lock.release())
}
