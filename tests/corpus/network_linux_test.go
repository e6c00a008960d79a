package corpus

import "syscall"

// ownNetwork gives a process a network of its own.
var ownNetwork = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
