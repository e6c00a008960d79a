package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestCopyLive: two files that are written one after the other, each on disk
// before the next, are never more than one step apart in a copy, and it is a
// whole file system. What was removed meanwhile takes no room in it.
func TestCopyLive(t *testing.T) {
	requireHost(t)
	dir := t.TempDir()
	path := format(t, dir, "vol-1", GiB)
	m := open(t, path, false)
	noise := make([]byte, 8<<20)
	for i := range noise {
		noise[i] = byte(i * 7)
	}
	do(t, os.WriteFile(m.Path()+"/still", noise, 0o600))
	first, err1 := os.Create(m.Path() + "/first")
	second, err2 := os.Create(m.Path() + "/second")
	do(t, err1, err2)
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := uint64(1); ; n++ {
			select {
			case <-done:
				return
			default:
			}
			for _, f := range []*os.File{first, second} {
				if _, err := f.WriteAt(binary.BigEndian.AppendUint64(nil, n), 0); err != nil {
					t.Error(err)
					return
				}
				if err := f.Sync(); err != nil {
					t.Error(err)
					return
				}
			}
			coming := m.Path() + "/coming"
			if err := errors.Join(os.WriteFile(coming, noise, 0o600), os.Remove(coming)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 3 {
		to := filepath.Join(dir, fmt.Sprintf("copy-%d", i))
		do(t, CopyLive(t.Context(), to, path, "slipway-test/vol-1", Lazily))
		do(t, tool(t.Context(), "e2fsck", "-fn", to))
		c := open(t, to, true)
		a, err1 := os.ReadFile(c.Path() + "/first")
		b, err2 := os.ReadFile(c.Path() + "/second")
		same, err3 := os.ReadFile(c.Path() + "/still")
		do(t, err1, err2, err3)
		if !bytes.Equal(same, noise) {
			t.Error("a file that nobody wrote to is another one")
		}
		if len(a) == 8 && len(b) == 8 {
			if x, y := binary.BigEndian.Uint64(a), binary.BigEndian.Uint64(b); x < y || x > y+1 {
				t.Errorf("the copy has %d and %d", x, y)
			}
		}
		do(t, c.Close())
		released(t, to)
	}
	close(done)
	writer.Wait()
	do(t, first.Close(), second.Close(), m.Close())
	released(t, path)
}

// TestACopyThatTakesTooLong is given up, and the writers go on.
func TestACopyThatTakesTooLong(t *testing.T) {
	requireHost(t)
	dir := t.TempDir()
	path := format(t, dir, "vol-1", GiB)
	m := open(t, path, false)
	do(t, os.WriteFile(m.Path()+"/some", bytes.Repeat([]byte("x"), 4<<20), 0o600))
	defer func(was time.Duration) { maxFrozen = was }(maxFrozen)
	maxFrozen = time.Nanosecond
	to := filepath.Join(dir, "copy")
	if err := CopyLive(t.Context(), to, path, "slipway-test/vol-1", Lazily); !errors.Is(err, ErrBusy) {
		t.Errorf("copied: %v", err)
	}
	if left, _ := filepath.Glob(to + "*"); left != nil {
		t.Errorf("it left %v", left)
	}
	do(t, os.WriteFile(m.Path()+"/more", []byte("y"), 0o600), m.Sync(), m.Close())
	released(t, path)
}

func TestPackedFilesComeBack(t *testing.T) {
	dir := t.TempDir()
	for name, write := range map[string]func(f *os.File) error{
		"empty": func(*os.File) error { return nil },
		"hole":  func(f *os.File) error { return f.Truncate(1 << 40) },
		"ends in a hole": func(f *os.File) error {
			_, err := f.WriteAt([]byte("data"), 5<<20)
			return errors.Join(err, f.Truncate(1<<30))
		},
		"ends in data": func(f *os.File) error {
			_, err1 := f.WriteAt(bytes.Repeat([]byte("a"), 600<<10), 4096)
			_, err2 := f.WriteAt([]byte("end"), 1<<30)
			return errors.Join(err1, err2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(dir, "from"))
			do(t, err)
			defer f.Close()
			do(t, write(f), f.Sync())
			p, err := Packed(f)
			do(t, err)
			var b bytes.Buffer
			do(t, p.Write(t.Context(), &b))
			if int64(b.Len()) != p.Length() || b.Len() > 2<<20 {
				t.Errorf("%d bytes, told as %d", b.Len(), p.Length())
			}
			to, err := os.Create(filepath.Join(dir, "to"))
			do(t, err)
			defer to.Close()
			do(t, Unpack(t.Context(), to, bytes.NewReader(b.Bytes())), to.Sync())
			again, err := Packed(to)
			do(t, err)
			var c bytes.Buffer
			do(t, again.Write(t.Context(), &c))
			if again.Size != p.Size || !bytes.Equal(b.Bytes(), c.Bytes()) {
				t.Errorf("it comes back with %d bytes of %d, or others", again.Size, p.Size)
			}
			for cut := range b.Len() {
				if cut > 64 && cut < b.Len()-1 {
					continue // each place in the head, and the end
				}
				f, err := os.Create(filepath.Join(dir, "cut"))
				do(t, err)
				if err := Unpack(context.Background(), f, bytes.NewReader(b.Bytes()[:cut])); err == nil {
					t.Errorf("%d bytes of %d are a file", cut, b.Len())
				}
				do(t, f.Close())
			}
		})
	}
}

func TestBadPacks(t *testing.T) {
	numbers := func(n ...int64) []byte {
		var b bytes.Buffer
		do(t, putNumbers(&b, packMagic, n...))
		return b.Bytes()
	}
	for name, pack := range map[string][]byte{
		"nothing": nil, "another": []byte("SLWPACK2\x00\x00\x00\x00\x00\x00\x00\x00"), "too large": numbers(maxPacked + 1), "negative": numbers(-1),
		"beyond the end": append(numbers(10, 5, 6), "123456"...), "overflow": numbers(10, 1<<62, 1<<62),
		"backwards": append(append(numbers(100, 50, 2), "ab"...), numbers(10, 2)[len(packMagic):]...),
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "f"))
		do(t, err)
		if err := Unpack(t.Context(), f, bytes.NewReader(pack)); !errors.Is(err, ErrBadPack) {
			t.Errorf("%s: %v", name, err)
		}
		do(t, f.Close())
	}
}
