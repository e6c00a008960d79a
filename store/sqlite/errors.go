package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/slipway/slipway/store"
)

// fail names the cause where it is one that a user can act on.
func (s *Store) fail(err error) error { return sqlError(s.dir, err) }

func sqlError(dir string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return osError(err)
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return noSpace(dir, err)
	case sqlite3.SQLITE_READONLY:
		return readOnly(dir, err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		// SQLite does not say what the system said; the file system does.
		switch full, ro := diskState(dir); {
		case ro:
			return readOnly(dir, err)
		case full:
			return noSpace(dir, err)
		}
	}
	return fmt.Errorf("store in %s: %w", dir, err)
}

func noSpace(dir string, err error) error {
	return fmt.Errorf("%w: %s (%w); make room and try again, nothing that was acknowledged is lost", store.ErrNoSpace, dir, err)
}

func readOnly(dir string, err error) error {
	return fmt.Errorf("%w: %s (%w)", store.ErrReadOnly, dir, err)
}

// osError is for errors of the file system itself.
func osError(err error) error {
	var pe *fs.PathError
	name := ""
	if errors.As(err, &pe) {
		name = pe.Path
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return noSpace(name, err)
	case errors.Is(err, syscall.EROFS):
		return readOnly(name, err)
	}
	return err
}
