//go:build linux || darwin

package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/proc"
)

// Record is what is kept beside an instance's files.
type Record struct {
	Version int           `json:"version"`
	Spec    compute.Spec  `json:"spec"`
	Process proc.Identity `json:"process"`
	Elastic []netip.Addr  `json:"elastic,omitempty"`
	// Behind are the private addresses that elastic ones stand for, where that is
	// not the first.
	Behind map[netip.Addr]netip.Addr `json:"behind,omitempty"`
	Groups []string                  `json:"groups,omitempty"` // cgroups, where the driver makes any
	Exit   int                       `json:"exit,omitempty"`
	Reason string                    `json:"reason,omitempty"`
	// Restored says that the files came out of a backup, and that no process has
	// run on them since.
	Restored bool `json:"restored,omitempty"`
	// Swept says that nothing runs any more of what Process started, where the
	// driver goes by the number of Process's session.
	Swept bool `json:"swept,omitempty"`
}

// Has reports whether the instance has an elastic address.
func (r Record) Has(ip netip.Addr) bool { return slices.Contains(r.Elastic, ip) }

// Private is the address that an elastic one stands for.
func (r Record) Private(elastic netip.Addr) netip.Addr {
	if a, ok := r.Behind[elastic]; ok {
		return a
	}
	return r.Spec.Address
}

// Instance is what is known of one instance.
type Instance struct {
	ID  string
	Dir string
	op  chan struct{} // held by the one operation that changes the instance

	mu     sync.Mutex
	rec    Record
	asked  bool          // its end was asked for
	exited chan struct{} // closed when the process in rec has ended
}

// Hold waits for other operations on the instance to end.
func (in *Instance) Hold(ctx context.Context) (release func(), err error) {
	select {
	case in.op <- struct{}{}:
		return func() { <-in.op }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// File is a place in the instance's folder.
func (in *Instance) File(elem ...string) string {
	return filepath.Join(append([]string{in.Dir}, elem...)...)
}

// Exists reports whether the instance has a folder.
func (in *Instance) Exists() bool {
	_, err := os.Lstat(in.Dir)
	return err == nil
}

// Record is the record as it is now.
func (in *Instance) Record() Record {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.rec
}

// Change changes the record and saves it; an instance without a folder has
// nothing to save.
func (in *Instance) Change(change func(*Record)) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	change(&in.rec)
	return in.save()
}

// read loads the record. A missing or torn one is an instance that never got
// as far as running.
func (in *Instance) read() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if b, err := os.ReadFile(in.File("record.json")); err == nil {
		_ = json.Unmarshal(b, &in.rec)
	}
}

// save replaces the record's file.
func (in *Instance) save() error {
	if !in.Exists() {
		return nil
	}
	in.rec.Version = 1
	b, err := json.Marshal(in.rec)
	if err != nil {
		return err
	}
	tmp := in.File("record.tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("record of %s: %w", in.ID, err)
	}
	if err := exchange(tmp, in.File("record.json")); err != nil {
		return fmt.Errorf("record of %s: %w", in.ID, err)
	}
	return nil
}

// Born records the instance's new first process and watches it. Until Ready,
// its end is no event: Launch tells of it.
func (k *Keeper) Born(in *Instance, pid int) error {
	id, err := proc.Of(pid)
	if err != nil {
		return err
	}
	in.mu.Lock()
	in.asked = true
	in.mu.Unlock()
	err = in.Change(func(r *Record) { r.Process, r.Exit, r.Reason, r.Restored, r.Swept = id, 0, "", false, false })
	k.watch(in)
	return err
}

// Ready says that the launch has succeeded.
func (in *Instance) Ready() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.asked = false
	select {
	case <-in.exited:
		return errors.New("the first process ended at once")
	default:
		return nil
	}
}

// Abandon kills a first process whose launch has failed.
func (in *Instance) Abandon() {
	in.mu.Lock()
	id, exited := in.rec.Process, in.exited
	in.mu.Unlock()
	_ = id.Signal(unix.SIGKILL)
	<-exited
}

// watch notices the end of the instance's first process.
func (k *Keeper) watch(in *Instance) {
	in.mu.Lock()
	id, exited := in.rec.Process, make(chan struct{})
	in.exited = exited
	in.mu.Unlock()
	err := k.watcher.Watch(id, func(e proc.Exit) {
		defer close(exited)
		k.ended(in, id, e)
	})
	if err != nil {
		if !errors.Is(err, os.ErrProcessDone) {
			k.log.Error("cannot watch an instance", "instance", in.ID, "error", err)
		}
		close(exited)
	}
}

func (k *Keeper) ended(in *Instance, id proc.Identity, e proc.Exit) {
	in.mu.Lock()
	asked := in.asked
	if in.rec.Process == id {
		in.rec.Exit, in.rec.Reason = e.Code(), e.Reason()
		if asked {
			in.rec.Reason = ""
		}
		if err := in.save(); err != nil {
			k.log.Error("cannot record the end of an instance", "instance", in.ID, "error", err)
		}
	}
	in.mu.Unlock()
	if asked {
		return
	}
	k.log.Info("instance ended unasked", "instance", in.ID, "reason", e.Reason())
	if k.OnExit != nil {
		k.OnExit(in)
	}
	k.events.Post(in.ID)
}

// End asks the first process to end and waits for it; after the grace, or at
// once where force is set, it is killed.
func (in *Instance) End(ctx context.Context, force bool, grace time.Duration) error {
	in.mu.Lock()
	id, exited := in.rec.Process, in.exited
	running := id.Alive()
	if running {
		in.asked = true
	}
	in.mu.Unlock()
	if !running {
		return nil
	}
	err := end(ctx, id, exited, force, grace)
	if err != nil {
		in.mu.Lock()
		in.asked = false
		in.mu.Unlock()
	}
	return err
}

func end(ctx context.Context, id proc.Identity, exited <-chan struct{}, force bool, grace time.Duration) error {
	if !force {
		if err := id.Signal(unix.SIGTERM); err != nil {
			return err
		}
		patience := time.NewTimer(grace)
		defer patience.Stop()
		select {
		case <-exited:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
		}
	}
	if err := id.Signal(unix.SIGKILL); err != nil {
		return err
	}
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
