//go:build linux

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute/computetest"
)

// TestHiddenFiles: what only root of the host may read is not in the image.
func TestHiddenFiles(t *testing.T) {
	requireHost(t)
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"open": 0o644, "closed": 0o600, "in/group": 0o640, "in/world": 0o604, "deep/er/open": 0o644} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.MkdirAll(dir+"/private/deep", 0o755), os.Chmod(dir+"/private", 0o750), os.Symlink("closed", dir+"/link")); err != nil {
		t.Fatal(err)
	}
	got, err := lookAt(dir)
	if want := []string{"closed", "in/group", "private"}; err != nil || !slices.Equal(got.hidden, want) {
		t.Errorf("hidden %v, %v, want %v", got.hidden, err, want)
	}
	if len(got.dirs) != 4 {
		t.Errorf("looked at %v", got.dirs)
	}
}

// TestViewGoesStale: what may have changed behind a look is looked at again.
func TestViewGoesStale(t *testing.T) {
	requireHost(t)
	for name, change := range map[string]func(dir string) error{
		"":                    func(string) error { return nil },
		"a new file":          func(dir string) error { return os.WriteFile(dir+"/deep/new", nil, 0o600) },
		"a replaced file":     func(dir string) error { return os.Rename(dir+"/other", dir+"/deep/file") },
		"a removed directory": func(dir string) error { return os.RemoveAll(dir + "/deep") },
		"a closed directory":  func(dir string) error { return os.Chmod(dir+"/deep", 0o700) },
	} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(dir+"/deep", 0o755), os.WriteFile(dir+"/deep/file", nil, 0o644), os.WriteFile(dir+"/other", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		fresh, err := lookAt(dir)
		if err != nil {
			t.Fatal(err)
		}
		old, deadline := fresh, time.Now().Add(10*time.Second)
		for stale := true; stale && time.Now().Before(deadline); {
			if old, err = lookAt(dir); err != nil {
				t.Fatal(err)
			}
			if stale, err = old.stale(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if stale, err := old.stale(dir); stale != (name != "") || err != nil {
			t.Errorf("%q: stale %v, %v", name, stale, err)
		}
	}
}

// TestWhatHasJustChangedIsNotTrusted: it may change again within one tick of the
// kernel's clock.
func TestWhatHasJustChangedIsNotTrusted(t *testing.T) {
	requireHost(t)
	dir := t.TempDir()
	root, err := openImage(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	changed := time.Unix(st.Ctim.Unix())
	for began, want := range map[time.Time]unix.Timespec{changed: {}, changed.Add(tick / 2): {}, changed.Add(2 * tick): st.Ctim} {
		seen, _, _, err := (&looker{root: root, began: began}).look(".")
		if err != nil || len(seen) != 1 || seen[0].changed != want {
			t.Errorf("%v after the change: %v, %v", began.Sub(changed), seen, err)
		}
	}
}

// TestNewSecretsAreHidden: what becomes private on the host while the driver
// runs is not in the instances that are launched afterwards.
func TestNewSecretsAreHidden(t *testing.T) {
	requireHost(t)
	w := computetest.New(t, harness)
	d := w.Driver.(*Driver)
	before, err := d.base()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.CreateTemp("/usr/local", "slipway-test-")
	if err != nil {
		t.Skip(err)
	}
	defer os.Remove(secret.Name())
	if err := secret.Close(); err != nil {
		t.Fatal(err)
	}
	d.bases.mu.Lock()
	d.bases.checked = time.Time{} // as after the time that a glance counts
	d.bases.mu.Unlock()
	try(t, w, []attempt{{"see a new secret", "cat " + secret.Name(), false}})
	if after, err := d.base(); after == before || err != nil {
		t.Errorf("the skeleton is the one of before (%v)", err)
	}
}

// BenchmarkLookAtHost: a launch waits for the first where no other looked in the
// last two seconds, and for the second where packages changed.
func BenchmarkLookAtHost(b *testing.B) {
	seen, err := lookAt("/usr")
	if err != nil {
		b.Skip(err)
	}
	b.Run("glance", func(b *testing.B) {
		for b.Loop() {
			if _, err := seen.stale("/usr"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			if _, err := lookAt("/usr"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
