//go:build !linux

package agent

import "runtime/debug"

// shrink gives back what only starting needed.
func shrink() { debug.FreeOSMemory() }
