// Package agent runs inside every instance and on every managed host: as an
// instance's first process, which starts user data and reaps what it leaves
// behind, and as the cfn helper commands. It may import compute/boot and auth's
// signer, never store or a service. The first process owns all its goroutines,
// and they end with it.
package agent

import (
	"fmt"
	"os"
	"path/filepath"
)

// Main runs `slipway agent ARGS` and returns the exit status. The forms of it
// are for Slipway itself: drivers run "init" as an instance's first process, and
// that runs "boot" for the instance's user data. "enclosure" is the first process
// where a function runs.
func Main(args []string) int {
	if len(args) == 1 {
		switch args[0] {
		case "init":
			return Init()
		case "enclosure":
			return Enclosure()
		case "boot":
			return runBoot(os.Stdin, os.Stdout)
		}
	}
	fmt.Fprintln(os.Stderr, "usage: slipway agent init\n\nSlipway runs this as the first process of each instance; joining other hosts is not built yet.")
	return 2
}

// Tool runs the cfn helper, or the runtime of local handlers, that the binary was
// called as, by the last element of argv[0]; ok is false where the name is none of
// theirs.
func Tool(argv []string) (status int, ok bool) {
	if len(argv) == 0 {
		return 0, false
	}
	switch filepath.Base(argv[0]) {
	case "cfn-signal", "cfn-signal.exe":
		return CfnSignal(argv[1:], os.Stdout, os.Stderr), true
	case "cfn-init", "cfn-init.exe":
		return CfnInit(argv[1:], os.Stderr), true
	case "cfn-get-metadata", "cfn-get-metadata.exe":
		return CfnGetMetadata(argv[1:], os.Stdout, os.Stderr), true
	case "cfn-hup", "cfn-hup.exe":
		return CfnHup(argv[1:], os.Stderr), true
	case "bootstrap": // of a local handler's environment
		return Handler(os.Stderr), true
	}
	return 0, false
}
