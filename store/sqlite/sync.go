package sqlite

import (
	"errors"
	"fmt"
	"os"
)

// log is SQLite's write-ahead log, as the store syncs it: once after each commit,
// before anybody sees or is told of it. fdatasync leaves out the file's times, of
// which an fsync makes a transaction of the file system's journal each time. SQLite
// itself syncs the log's header and name, and the log before a checkpoint.
type log struct {
	file *os.File
	err  error // of a sync that failed
}

func openLog(database string) (*log, error) {
	// It is there: opening the store has read through it.
	f, err := os.OpenFile(database+"-wal", os.O_RDWR, 0)
	if err != nil {
		return nil, osError(fmt.Errorf("open the store: %w", err))
	}
	return &log{file: f}, nil
}

// sync makes durable what was committed. What the disk has after one that failed,
// nobody knows, and the next one may well succeed without it: then the store takes
// no more updates, until a start has read what is there.
func (l *log) sync() error {
	if l == nil {
		return nil
	}
	if err := dataSync(l.file); err != nil {
		l.err = fmt.Errorf("sync the store: %w; a restart is needed", err)
	}
	return l.err
}

// broken is the error of a sync that failed before.
func (l *log) broken() error {
	if l == nil {
		return nil
	}
	return l.err
}

func (l *log) close() error {
	if l == nil {
		return nil
	}
	if err := l.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
