package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
)

// conn is one SQLite connection with its prepared statements. It goes to the
// driver directly: database/sql would add its pool, its locks and an
// allocation per column to every statement. Not for several goroutines.
type conn struct {
	c      driver.Conn
	stmts  map[string]driver.Stmt
	broken bool
}

var sqliteDriver = &sqlite.Driver{}

// The statements of every day, prepared once per connection.
const (
	sqlBeginNow = "BEGIN IMMEDIATE"
	sqlCommit   = "COMMIT"
	sqlRollback = "ROLLBACK"
	sqlPin      = "SELECT value FROM meta WHERE name='revision' LIMIT 1"
	sqlRevision = "UPDATE meta SET value=? WHERE name='revision'"
)

// writerPragmas leave the sync of each commit to the store (sync.go): the setting
// FULL is NORMAL and a sync of the write-ahead log after each commit, for which
// SQLite has an fsync only.
func writerPragmas(o Options) []string {
	sync := "NORMAL"
	if o.NoSync {
		sync = "OFF"
	}
	return []string{
		"busy_timeout=10000",
		// A row of up to a quarter of a page stands in the tree itself, a longer one has
		// pages of its own: two to write for one, and whole rows to read where keys are
		// compared. Most small objects fit. Files made before keep their 4096.
		"page_size=8192",
		"journal_mode=WAL",
		"synchronous=" + sync,
		"fullfsync=ON", // on macOS, where fsync(2) leaves what it writes in the disk's own cache
		"checkpoint_fullfsync=ON",
		"wal_autocheckpoint=1000",     // pages: 8 MB
		"journal_size_limit=67108864", // bytes: a log that grew once shrinks again
		"cache_size=-8000",            // KiB
		"temp_store=MEMORY",
	}
}

func readerPragmas() []string {
	return []string{"busy_timeout=10000", "query_only=ON", "cache_size=-1000", "temp_store=MEMORY"}
}

func openConn(file string, pragmas []string) (*conn, error) {
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(file)}
	dc, err := sqliteDriver.Open(name.String())
	if err != nil {
		return nil, sqlError(filepath.Dir(file), fmt.Errorf("open the store: %w", err))
	}
	c := &conn{c: dc, stmts: map[string]driver.Stmt{}}
	for _, p := range pragmas {
		if err := c.run("PRAGMA " + p); err != nil {
			_ = dc.Close()
			return nil, sqlError(filepath.Dir(file), fmt.Errorf("open the store: %s: %w", p, err))
		}
	}
	return c, nil
}

func (c *conn) close() error {
	var errs []error
	for _, st := range c.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, c.c.Close())...)
}

func (c *conn) prepare(sql string) (driver.Stmt, error) {
	if st, ok := c.stmts[sql]; ok {
		return st, nil
	}
	st, err := c.c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	c.stmts[sql] = st
	return st, nil
}

func named(args []driver.Value) []driver.NamedValue {
	nv := make([]driver.NamedValue, len(args))
	for i, a := range args {
		nv[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return nv
}

// exec runs a prepared statement that gives no rows.
func (c *conn) exec(sql string, args ...driver.Value) error {
	st, err := c.prepare(sql)
	if err != nil {
		return err
	}
	// No context: one that ends would cost a goroutine per statement, and each
	// of ours is short.
	_, err = st.(driver.StmtExecContext).ExecContext(context.Background(), named(args))
	return err
}

// run runs statements, as many as there are, that are not worth keeping.
func (c *conn) run(sql string) error {
	_, err := c.c.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return err
}

// query calls row for each row until it returns false.
func (c *conn) query(sql string, cols int, args []driver.Value, row func([]driver.Value) bool) error {
	st, err := c.prepare(sql)
	if err != nil {
		return err
	}
	rows, err := st.(driver.StmtQueryContext).QueryContext(context.Background(), named(args))
	if err != nil {
		return err
	}
	dest := make([]driver.Value, cols)
	for {
		err = rows.Next(dest)
		if err != nil || !row(dest) {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// open runs a query up to its first row, which it must have. Until the rows are
// closed, the statement cannot run again.
func (c *conn) open(sql string, cols int, args ...driver.Value) (driver.Rows, []driver.Value, error) {
	st, err := c.prepare(sql)
	if err != nil {
		return nil, nil, err
	}
	rows, err := st.(driver.StmtQueryContext).QueryContext(context.Background(), named(args))
	if err != nil {
		return nil, nil, err
	}
	dest := make([]driver.Value, cols)
	if err := rows.Next(dest); err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return rows, dest, nil
}

// int is the number that a statement gives; no row is 0.
func (c *conn) int(sql string, args ...driver.Value) (int64, error) {
	var n int64
	err := c.query(sql, 1, args, func(v []driver.Value) bool {
		n, _ = v[0].(int64)
		return false
	})
	return n, err
}
