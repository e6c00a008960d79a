package sqlite

import (
	"fmt"
	"time"
)

// migrations lead from one schema version to the next; the first makes version
// 1 of an empty file. A released one is never changed.
var migrations = []string{
	// 1: documents, and the counter of revisions.
	`CREATE TABLE doc (key BLOB PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
	 CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
	 INSERT INTO meta VALUES ('revision', 0);`,
	// 2: bulk data apart from the documents.
	`CREATE TABLE bulk (key BLOB PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
	 INSERT INTO bulk SELECT key, value, revision FROM doc WHERE key >= CAST('bulk/' AS BLOB) AND key < CAST('bulk0' AS BLOB);
	 DELETE FROM doc WHERE key >= CAST('bulk/' AS BLOB) AND key < CAST('bulk0' AS BLOB);`,
	// 3: documents that are not JSON, which an older version would not understand.
	`UPDATE meta SET value = value WHERE name = 'revision';`,
	// 4: the journal of documents of short life, which may stand in it alone.
	`CREATE TABLE journal (number INTEGER PRIMARY KEY, changes BLOB NOT NULL);`,
}

// migrate brings the file to version want (0: the newest), a transaction per
// step, so that a crash leaves a version and never something between two.
func migrate(c *conn, dir string, want int) error {
	if want == 0 {
		want = len(migrations)
	}
	fail := func(err error) error { return sqlError(dir, fmt.Errorf("migrate the store: %w", err)) }
	n, err := c.int("SELECT count(*) FROM sqlite_schema WHERE type='table' AND name='schema_version'")
	if err != nil {
		return fail(err)
	}
	have := 0
	if n > 0 {
		v, err := c.int("SELECT max(version) FROM schema_version")
		if err != nil {
			return fail(err)
		}
		have = int(v)
	}
	if have > want {
		return fmt.Errorf("the data in %s has schema version %d, and this slipway knows versions up to %d: "+
			"start the newer slipway that wrote it, or give another data folder", dir, have, want)
	}
	for v := have + 1; v <= want; v++ {
		if err := step(c, v); err != nil {
			_ = c.exec(sqlRollback)
			return fail(fmt.Errorf("to version %d: %w", v, err))
		}
	}
	return nil
}

func step(c *conn, version int) error {
	if err := c.exec(sqlBeginNow); err != nil {
		return err
	}
	if version == 1 {
		if err := c.run("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)"); err != nil {
			return err
		}
	}
	if err := c.run(migrations[version-1]); err != nil {
		return err
	}
	if err := c.exec("INSERT INTO schema_version VALUES (?, ?)", int64(version), time.Now().UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	return c.exec(sqlCommit)
}
