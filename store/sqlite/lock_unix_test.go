//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/store"
)

// What a killed process had begun to start may have its lock for a while.
func TestLockLeftBehind(t *testing.T) {
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		signer int
		want   error
	}{
		"its process has ended": {ended.Process.Pid, nil},
		"its process lives":     {os.Getpid(), store.ErrLocked},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := os.Create(filepath.Join(dir, lockName))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := fmt.Fprintln(f, tt.signer); err != nil {
				t.Fatal(err)
			}
			if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			let := make(chan error, 1)
			if tt.want == nil {
				time.AfterFunc(20*time.Millisecond, func() { let <- unix.Flock(int(f.Fd()), unix.LOCK_UN) })
			} else {
				let <- nil
			}
			l, err := lockDir(dir)
			if err := <-let; err != nil {
				t.Error(err)
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("lockDir = %v, want %v", err, tt.want)
			}
			if l != nil {
				_ = l.release()
			}
		})
	}
}
