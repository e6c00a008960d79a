//go:build !unix

package sqlite

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway/slipway/store"
)

// lockName is the file that is there while the folder is in use. Without flock
// it outlives a crash, and the message says what to do then.
const lockName = "slipway.lock"

type dirLock struct {
	f    *os.File
	name string
}

func lockDir(dir string) (*dirLock, error) {
	name := filepath.Join(dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil, fmt.Errorf("%w: %s; if none runs, remove %s", store.ErrLocked, dir, name)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return &dirLock{f: f, name: name}, nil
}

func (l *dirLock) release() error {
	_ = l.f.Close()
	return os.Remove(l.name)
}
