//go:build !linux

package corpus

import "syscall"

// ownNetwork is for hosts with sandboxes.
var ownNetwork *syscall.SysProcAttr
