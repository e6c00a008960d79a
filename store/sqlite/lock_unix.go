//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/store"
)

// lockName is the file whose lock says that the folder is in use. The lock ends
// with its process, however that ends; the file stays.
const lockName = "slipway.lock"

type dirLock struct{ f *os.File }

func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, inUse(dir, f)
		}
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	l := &dirLock{f: f}
	if err := l.sign(); err != nil {
		l.release()
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return l, nil
}

// sign leaves the process id for the message of whoever comes second.
func (l *dirLock) sign() error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func inUse(dir string, f *os.File) error {
	who := "another process"
	if b, err := io.ReadAll(io.LimitReader(f, 32)); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			who = fmt.Sprintf("process %d", pid)
		}
	}
	return fmt.Errorf("%w: %s holds %s; stop it, or give another folder with --data", store.ErrLocked, who, dir)
}

func (l *dirLock) release() error { return l.f.Close() }
