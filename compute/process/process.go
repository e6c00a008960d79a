// Package process is the compute driver that needs no privileges: an instance
// is a process tree in a folder, with a 127.x.y.z address of its own. It keeps
// instances apart by convention, not by force: what user data starts has the
// host's files and the user's rights. Servers should listen on the address in
// SLIPWAY_INSTANCE_IP.
//
// On Linux the first process is its tree's subreaper. On darwin, which has none,
// the tree is a session; its addresses must have been put on lo0 by the host's
// owner, and nothing bounds its memory. The tests run the parts for darwin on
// Linux, too.
//
// It may import compute and what is below it. A Driver owns the process watcher,
// the queue of events, the metadata listeners and the forwarders of elastic
// addresses; Close ends them all.
package process

import (
	"log/slog"
)

// Name is the driver's name in handles.
const Name = "process"

// Config says where instances live.
type Config struct {
	Dir     string // instances' files; made when missing
	Slipway string // path of the slipway binary, which is each instance's first process
	Logger  *slog.Logger
}
