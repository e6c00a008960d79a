package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func requireHost(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if err := Supported(); err != nil {
		t.Skip(err)
	}
}

func format(t testing.TB, dir, name string, size int64) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := Format(t.Context(), path, size); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string, readOnly bool) *Mount {
	t.Helper()
	m, err := Open(path, "slipway-test/"+filepath.Base(path), readOnly)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func do(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// released waits until the image's loop device is let go.
func released(t testing.TB, path string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		attached, err := Attached(path)
		do(t, err)
		if !attached {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still attached", path)
		}
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			return
		}
	}
}

func blocks(t testing.TB, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	do(t, unix.Stat(path, &st))
	return st.Blocks * 512
}

func TestALife(t *testing.T) {
	requireHost(t)
	dir := t.TempDir()
	path := format(t, dir, "vol-1", GiB)
	template := filepath.Join(dir, "small")
	do(t, Copy(t.Context(), template, path, AtOnce))
	if got := blocks(t, template); got > 1<<20 {
		t.Errorf("an empty volume takes %d bytes", got)
	}
	m := open(t, path, false)
	do(t, os.WriteFile(m.Path()+"/one", []byte("1"), 0o600))
	second := open(t, path, false)
	if b, err := os.ReadFile(second.Path() + "/one"); err != nil || string(b) != "1" {
		t.Errorf("a second mount shows %q, %v", b, err)
	}
	do(t, second.Close())

	// A copy of a frozen volume is a whole file system.
	snap := filepath.Join(dir, "snap-1")
	do(t, m.Freeze(), m.Freeze(), Copy(t.Context(), snap, path, AtOnce), m.Thaw(), m.Thaw())
	do(t, os.WriteFile(m.Path()+"/one", []byte("2"), 0o600))
	if err := CanGrowMounted(); err == nil {
		do(t, m.Grow(path, 20*GiB), m.Grow(path, 20*GiB))
		wantSize(t, m, 20*GiB)
	} else if err := m.Grow(path, 20*GiB); !errors.Is(err, ErrUnsupported) {
		t.Errorf("growing without the capability: %v", err)
	}
	do(t, m.Close())
	released(t, path)

	s := open(t, snap, true)
	if b, err := os.ReadFile(s.Path() + "/one"); err != nil || string(b) != "1" {
		t.Errorf("the snapshot has %q, %v", b, err)
	}
	if err := os.WriteFile(s.Path()+"/two", nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing to a read-only mount: %v", err)
	}
	do(t, s.Close())
	released(t, snap)
	do(t, Grow(t.Context(), path, 40*GiB), Grow(t.Context(), path, 40*GiB))
	if err := reopen(t, path); err != nil {
		t.Error(err)
	}
}

func wantSize(t *testing.T, m *Mount, want int64) {
	t.Helper()
	var st unix.Statfs_t
	do(t, unix.Statfs(m.Path(), &st))
	if got := int64(st.Blocks) * st.Bsize; got < want*9/10 || got > want {
		t.Errorf("the file system has %d bytes, want %d", got, want)
	}
}

// reopen mounts what was grown once more.
func reopen(t *testing.T, path string) error {
	m := open(t, path, false)
	defer released(t, path)
	wantSize(t, m, 40*GiB)
	b, err := os.ReadFile(m.Path() + "/one")
	if string(b) != "2" {
		t.Errorf("after growing: %q, %v", b, err)
	}
	return errors.Join(err, m.Close())
}

// TestFullIsFull: a volume gives ENOSPC at its size, and nothing else does.
func TestFullIsFull(t *testing.T) {
	requireHost(t)
	path := format(t, t.TempDir(), "vol-1", 16<<20)
	m := open(t, path, false)
	f, err := os.Create(m.Path() + "/big")
	do(t, err)
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i)
	}
	written := 0
	for ; err == nil && written < 100; written++ {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, unix.ENOSPC) || written > 16 {
		t.Errorf("after %d MiB: %v", written, err)
	}
	do(t, f.Close(), os.Remove(m.Path()+"/big"), m.Sync(), m.Close())
	released(t, path)
	if got := blocks(t, path); got > 16<<20 {
		t.Errorf("the image takes %d bytes", got)
	}
}

// TestDiscard: what is removed inside comes back to the host.
func TestDiscard(t *testing.T) {
	requireHost(t)
	path := format(t, t.TempDir(), "vol-1", GiB)
	m := open(t, path, false)
	chunk := make([]byte, 32<<20)
	for i := range chunk {
		chunk[i] = byte(i)
	}
	do(t, os.WriteFile(m.Path()+"/big", chunk, 0o600), m.Sync())
	full := blocks(t, path)
	do(t, os.Remove(m.Path()+"/big"), m.Sync(), m.Close())
	released(t, path)
	if after := blocks(t, path); full < 32<<20 || after > 16<<20 {
		t.Errorf("%d bytes with the file, %d without", full, after)
	}
}

func TestNothingIsLeftOfAFailedFormat(t *testing.T) {
	requireHost(t)
	dir := t.TempDir()
	if err := Format(t.Context(), filepath.Join(dir, "vol-1"), 4096); err == nil {
		t.Error("4096 bytes were formatted")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func BenchmarkNewVolume(b *testing.B) {
	requireHost(b)
	dir := b.TempDir()
	template, path := format(b, dir, "8", 8*GiB), filepath.Join(dir, "vol")
	small := filepath.Join(dir, "small")
	do(b, Copy(b.Context(), small, template, AtOnce))
	for b.Loop() {
		do(b, Copy(b.Context(), path, small, Lazily))
		do(b, open(b, path, false).Close())
		do(b, Remove(path))
	}
}
