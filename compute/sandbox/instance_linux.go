package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/proc"
)

// validID keeps ids usable as folder, cgroup and overlay option.
var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// record is what the driver keeps beside an instance's files, so that another
// driver on the same folder finds its process again.
type record struct {
	Version int           `json:"version"`
	Spec    compute.Spec  `json:"spec"`
	Process proc.Identity `json:"process"`
	Elastic []netip.Addr  `json:"elastic,omitempty"`
	Cgroup  []string      `json:"cgroup,omitempty"`
	Exit    int           `json:"exit,omitempty"`
	Reason  string        `json:"reason,omitempty"`
}

// instance is what the driver knows of one instance.
type instance struct {
	id  string
	dir string
	op  chan struct{} // held by the one operation that changes the instance

	mu     sync.Mutex
	rec    record
	base   uint32        // first host uid of its range; 0 before its files are there
	asked  bool          // its end was asked for
	exited chan struct{} // closed when the process in rec has ended
}

// instance returns the one object of an id.
func (d *Driver) instance(id string) *instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, ok := d.instances[id]
	if !ok {
		in = &instance{id: id, dir: d.path("instances", id), op: make(chan struct{}, 1)}
		d.instances[id] = in
	}
	return in
}

// hold waits for other operations on the instance to end.
func (in *instance) hold(ctx context.Context) (release func(), err error) {
	select {
	case in.op <- struct{}{}:
		return func() { <-in.op }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (in *instance) file(elem ...string) string {
	return filepath.Join(append([]string{in.dir}, elem...)...)
}

func (in *instance) exists() bool {
	_, err := os.Lstat(in.dir)
	return err == nil
}

func (in *instance) snapshot() record {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.rec
}

// read loads the record. A missing or torn one is an instance that never got
// as far as running.
func (in *instance) read() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if b, err := os.ReadFile(in.file("record.json")); err == nil {
		_ = json.Unmarshal(b, &in.rec)
	}
	// The owner of the files says which range of ids the instance has.
	if st, err := os.Stat(in.file("root")); err == nil {
		in.base = st.Sys().(*syscall.Stat_t).Uid
	}
}

// save replaces the record.
func (in *instance) save() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.rec.Version = 1
	b, err := json.Marshal(in.rec)
	if err != nil {
		return err
	}
	tmp := in.file("record.tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("record of %s: %w", in.id, err)
	}
	if err := os.Rename(tmp, in.file("record.json")); err != nil {
		return fmt.Errorf("record of %s: %w", in.id, err)
	}
	return nil
}

// Each instance has 65536 user ids of the host to itself, in a part of the
// number space that neither accounts nor systemd-nspawn use (systemd's
// "Users, Groups, UIDs and GIDs on systemd Systems").
const (
	firstUID = 0x70000000
	idCount  = 0x10000
	ranges   = 4095
)

// claim gives the instance its range of host ids, the same one each time.
func (d *Driver) claim(in *instance) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.base != 0 {
		return nil
	}
	var start uint32
	for _, c := range []byte(arn.Hash(d.dir + in.id)[:8]) {
		start = start*16 + uint32(c%16)
	}
	for i := range uint32(ranges) {
		base := firstUID + (start+i)%ranges*idCount
		if _, taken := d.owners[base]; !taken {
			d.owners[base] = in.id
			in.base = base
			return nil
		}
	}
	return fmt.Errorf("all %d ranges of user ids are taken", ranges)
}
