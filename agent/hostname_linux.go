package agent

import "golang.org/x/sys/unix"

func nameHost(name string) error { return unix.Sethostname([]byte(name)) }
