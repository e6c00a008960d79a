package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
)

// Snapshot writes the store of a data folder, as it is at one moment, into a new
// file. A Slipway may be running on the folder: it goes on meanwhile.
func Snapshot(ctx context.Context, dir, into string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := openConn(filepath.Join(dir, FileName), []string{"busy_timeout=10000", "temp_store=FILE"})
	if err != nil {
		return err
	}
	defer func() { _ = c.close() }()
	if err := c.exec("VACUUM INTO ?", into); err != nil {
		return sqlError(dir, fmt.Errorf("copy the store: %w", err))
	}
	return nil
}

// Check opens the store of a folder, looks through the whole file for damage, and
// tells how many documents there are.
func Check(ctx context.Context, dir string) (documents int64, err error) {
	c, err := openConn(filepath.Join(dir, FileName), []string{"busy_timeout=10000"})
	if err != nil {
		return 0, err
	}
	verdict := ""
	err = c.query("PRAGMA integrity_check(1)", 1, nil, func(v []driver.Value) bool {
		verdict, _ = v[0].(string)
		return false
	})
	if err == nil && verdict != "ok" {
		err = fmt.Errorf("the store is damaged: %s", verdict)
	}
	if closeErr := c.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return 0, err
	}
	// A store of a newer Slipway is refused here rather than at its first start.
	s, err := Open(ctx, dir, Options{})
	if err != nil {
		return 0, err
	}
	documents, err = s.(*Store).count()
	return documents, errors.Join(err, s.Close())
}

// count tells how many documents there are, with those that only the journal has.
func (s *Store) count() (int64, error) {
	n, err := s.writer.int("SELECT (SELECT count(*) FROM doc) + (SELECT count(*) FROM bulk)")
	s.shown.root.walk(span{t: bulk}, false, func(held *node) bool {
		var stands bool
		if _, stands, err = s.writer.get(held.key); stands {
			n--
		}
		if !held.deleted {
			n++
		}
		return err == nil
	})
	return n, s.fail(err)
}
