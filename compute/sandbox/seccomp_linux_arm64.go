package sandbox

import "golang.org/x/sys/unix"

const (
	auditArchitecture = unix.AUDIT_ARCH_AARCH64
	otherNumbers      = 0
)

var forbiddenHere []uintptr
