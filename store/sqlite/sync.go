package sqlite

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// log is SQLite's write-ahead log, as the store syncs it: after each commit, and
// before anybody is told of it or of what it holds. fdatasync leaves out the
// file's times, of which an fsync makes a transaction of the file system's journal
// each time. SQLite itself syncs the log's header and name, and the log before a
// checkpoint.
//
// A commit goes into the log while the sync of the one before is under way, and
// that of its own begins at once: a disk that has several to do is never idle
// between them. There are few of them, so that those who come meanwhile share one.
//
// What is committed can be read before it is durable. A view that has read such a
// document ends when the document is durable, and an update that has, with its
// batch: nobody learns of what a crash could take back.
type log struct {
	// A file for each sync under way: the system tells each of them once of a write
	// that failed.
	files []*os.File

	mu      sync.Mutex
	change  sync.Cond // of all below
	free    []*os.File
	waiting []*batch // committed, in order
	err     error    // of a sync that failed

	durable atomic.Int64 // the revision up to which all is
}

// maxSyncs is how many are under way at most.
const maxSyncs = 2

func openLog(database string, revision int64) (*log, error) {
	l := &log{}
	l.change.L = &l.mu
	l.durable.Store(revision)
	for range maxSyncs {
		// It is there: opening the store has read through it.
		f, err := os.OpenFile(database+"-wal", os.O_RDWR, 0)
		if err != nil {
			return nil, errors.Join(osError(fmt.Errorf("open the store: %w", err)), l.close())
		}
		l.files = append(l.files, f)
	}
	l.free = append(l.free, l.files...)
	return l, nil
}

// acquire takes a place among the syncs under way; nil where none is free and it
// is not to wait, and in a store that does not sync.
func (l *log) acquire(wait bool) *os.File {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.free) == 0 {
		if !wait {
			return nil
		}
		l.change.Wait()
	}
	n := len(l.free) - 1
	f := l.free[n]
	l.free = l.free[:n]
	return f
}

// release gives the place back.
func (l *log) release(f *os.File) {
	if f == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, f)
	l.change.Broadcast()
}

// follow has a batch answered once what it has committed, or may have read, is
// durable. It returns false where that is so already.
func (l *log) follow(b *batch) bool {
	if l == nil || b.revision <= l.durable.Load() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.err = l.err; b.err != nil || b.revision <= l.durable.Load() {
		return false
	}
	l.waiting = append(l.waiting, b)
	return true
}

// sync makes durable what was committed up to a revision, and gives those whom
// that answers. What the disk has after a sync that failed, nobody knows, and the
// next one may well succeed without it: then the store takes no more updates,
// until a start has read what is there.
func (l *log) sync(f *os.File, revision int64) (answered []*batch) {
	err := dataSync(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("sync the store: %w; a restart is needed", err)
	}
	if l.err == nil {
		l.durable.Store(max(l.durable.Load(), revision))
	}
	n := 0
	for ; n < len(l.waiting) && (l.err != nil || l.waiting[n].revision <= l.durable.Load()); n++ {
		l.waiting[n].err = l.err
	}
	answered = append(answered, l.waiting[:n]...)
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	l.free = append(l.free, f)
	l.change.Broadcast()
	return answered
}

// await returns when all up to the revision is durable.
func (l *log) await(revision int64) error {
	if l == nil || revision <= l.durable.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && revision > l.durable.Load() {
		l.change.Wait()
	}
	return l.err
}

// broken is the error of a sync that failed before.
func (l *log) broken() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *log) close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, f := range l.files {
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
