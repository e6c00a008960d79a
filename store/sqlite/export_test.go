package sqlite

import (
	"errors"
	"path/filepath"
)

// OpenVersion makes a file as a binary of schema version 1 left it, with these
// documents at revision 41, and gives what closes it.
func OpenVersion(dir string, version int, keys []string) (func() error, error) {
	c, err := openConn(filepath.Join(dir, FileName), writerPragmas(Options{}))
	if err != nil {
		return nil, err
	}
	err = migrate(c, dir, version)
	for _, k := range keys {
		err = errors.Join(err, c.exec("INSERT INTO doc VALUES (?, ?, 41)", blob(k), []byte("1")))
	}
	return c.close, errors.Join(err, c.exec(sqlRevision, int64(41)))
}
