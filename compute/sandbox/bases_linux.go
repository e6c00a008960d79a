package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// bases keeps the skeleton of root file systems true to the host: what became
// private there, or was installed, since the last look.
type bases struct {
	mu      sync.Mutex
	closed  bool
	looking bool // a look at all of /usr is under way beside launches
	seen    view
	checked time.Time // when seen was last known to be true
	name    string    // of the skeleton; "" before the first
}

const (
	// glance is how long a look at the directories of /usr counts: it takes some
	// hundredths of a second.
	glance = 2 * time.Second
	// wholeLook is how long a look at all files does: a tenth of that or more.
	wholeLook = time.Minute
)

// base is the folder below the driver's with the skeleton that a new instance
// gets.
func (d *Driver) base() (string, error) {
	b := &d.bases
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.name != "" && time.Since(b.checked) < glance {
		return b.name, nil
	}
	now := time.Now()
	stale := b.name == ""
	if !stale {
		var err error
		if stale, err = b.seen.stale("/usr"); err != nil {
			return "", err
		}
	}
	if stale {
		seen, err := lookAt("/usr")
		if err != nil {
			return "", fmt.Errorf("look for the host's private files: %w", err)
		}
		b.seen = seen
	}
	first := b.name == ""
	name, err := d.makeBase(b.seen.hidden)
	if err != nil {
		return "", err
	}
	b.name, b.checked = name, now
	if first {
		d.pruneBases(name) // no launch of this process has one yet
	}
	if time.Since(b.seen.at) > wholeLook && !b.looking && !b.closed {
		b.looking = true
		d.making.Go(d.lookAgain)
	}
	return name, nil
}

// lookAgain looks at all files beside what goes on, for one whose mode was
// changed where it is.
func (d *Driver) lookAgain() {
	seen, err := lookAt("/usr")
	b := &d.bases
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.looking = false; err != nil {
		d.Log().Error("cannot look for the host's private files", "error", err)
		return
	}
	b.seen, b.checked = seen, time.Time{}
}

// pruneBases removes skeletons of earlier package states. Instances that run
// may still read theirs, so they stay until none does.
func (d *Driver) pruneBases(keep string) {
	for _, in := range d.All() {
		if in.Record().Process.Alive() {
			return
		}
	}
	entries, err := os.ReadDir(d.Path("base"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if name := filepath.Join("base", e.Name()); name != keep {
			_ = os.RemoveAll(d.Path(name))
		}
	}
}
