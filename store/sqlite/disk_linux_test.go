package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
)

func init() { roles["disk"] = diskRole }

// TestFullAndReadOnlyDisk gives a process a small tmpfs in a mount namespace of
// its own (with a user namespace where it is not root), and fills it.
func TestFullAndReadOnlyDisk(t *testing.T) {
	for _, flags := range []uintptr{syscall.CLONE_NEWNS, syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER} {
		cmd := child(t, nil, "disk", t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		if flags&syscall.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err == nil {
			t.Logf("%s", out)
			return
		}
		if !errors.Is(err, syscall.EPERM) && !strings.Contains(stderr.String(), errNoMount.Error()) {
			t.Fatalf("%v\n%s%s", err, out, stderr.String())
		}
	}
	t.Skip("not tested: this user may not mount a small disk")
}

var errNoMount = errors.New("cannot mount")

func diskRole(args []string) error {
	dir := args[0]
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	if err := fillDisk(dir); err != nil {
		return fmt.Errorf("full disk: %w", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("remount: %w", err)
	}
	for _, d := range []string{filepath.Join(dir, "data"), filepath.Join(dir, "fresh")} {
		_, err := sqlite.Open(context.Background(), d, sqlite.Options{})
		if !errors.Is(err, store.ErrReadOnly) {
			return fmt.Errorf("open %s on a read-only disk: %v", d, err)
		}
		fmt.Println(err)
	}
	return nil
}

// fillDisk updates until the disk is full, makes room, updates again, and looks
// whether what was acknowledged is there, and nothing else.
func fillDisk(dir string) error {
	data, ballast := filepath.Join(dir, "data"), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		return err
	}
	s, err := sqlite.Open(context.Background(), data, sqlite.Options{})
	if err != nil {
		return err
	}
	value := []byte(`"` + strings.Repeat("v", 50_000) + `"`)
	acknowledged, refused := map[string]bool{}, 0
	for i := 0; refused < 3; i++ {
		key := fmt.Sprintf("%05d", i)
		err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(key, value) })
		switch {
		case err == nil:
			acknowledged[key] = true
		case errors.Is(err, store.ErrNoSpace):
			fmt.Println(err)
			refused++
		default:
			return fmt.Errorf("update %d: %w", i, err)
		}
	}
	if len(acknowledged) < 10 {
		return fmt.Errorf("only %d updates fitted", len(acknowledged))
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put("after", value) }); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	acknowledged["after"] = true
	if err := hasExactly(s, acknowledged); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = sqlite.Open(context.Background(), data, sqlite.Options{}); err != nil {
		return err
	}
	return errors.Join(hasExactly(s, acknowledged), s.Close())
}

func hasExactly(s store.Store, want map[string]bool) error {
	return s.View(context.Background(), func(tx store.Tx) error {
		n := 0
		for d, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			if n++; !want[d.Key] {
				return fmt.Errorf("%s was refused and is there", d.Key)
			}
		}
		if n != len(want) {
			return fmt.Errorf("%d of %d acknowledged updates are there", n, len(want))
		}
		return nil
	})
}
