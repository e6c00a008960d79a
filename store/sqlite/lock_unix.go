//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

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
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	// A process that was killed while it started another leaves the lock to that one,
	// which has it until it runs its own program: a moment, longer on a busy host.
	for end := time.Now().Add(leftBehind); errors.Is(err, syscall.EWOULDBLOCK) && gone(signer(f)) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
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

// leftBehind bounds the wait for a lock whose process has ended.
const leftBehind = 10 * time.Second

// signer is the process that has the lock, as far as it said so; else 0.
func signer(f *os.File) int {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)                                   // to its end, which is an error
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n]))) // 0 where it has not said yet
	return pid
}

func gone(pid int) bool { return pid > 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

func inUse(dir string, f *os.File) error {
	who := "another process"
	if pid := signer(f); pid > 0 {
		who = fmt.Sprintf("process %d", pid)
	}
	return fmt.Errorf("%w: %s holds %s; stop it, or give another folder with --data", store.ErrLocked, who, dir)
}

func (l *dirLock) release() error { return l.f.Close() }
