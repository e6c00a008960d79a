//go:build linux || darwin

// Package proc finds processes again and notices their end: a process is named
// by its id, its start time and the host's boot, so that an id that was used
// anew is not taken for it. What each system tells in its own way is in the
// files that are named after it. It imports nothing of ours. A Watcher owns one
// goroutine, which Close ends.
package proc

import "sync"

// Identity names one process of one boot of this host.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // as the system counts it; see Process
	Boot  string `json:"boot"`
}

// Process is one row of the host's table of processes.
type Process struct {
	PID, Parent, Session int
	// Start is, on Linux, in clock ticks since the boot; on darwin, in
	// microseconds since 1970.
	Start uint64
	Ended bool // it is a zombie, or about to be one
}

var bootID = sync.OnceValue(readBootID)

// Of names a process that runs now, or is a zombie.
func Of(pid int) (Identity, error) {
	p, err := look(pid)
	return Identity{PID: pid, Start: p.Start, Boot: bootID()}, err
}

// Alive reports whether the process runs. A zombie does not.
func (id Identity) Alive() bool {
	if id.PID <= 0 || id.Boot != bootID() {
		return false
	}
	p, err := look(id.PID)
	return err == nil && p.Start == id.Start && !p.Ended
}
