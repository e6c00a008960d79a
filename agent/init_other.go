//go:build !linux

package agent

import (
	"fmt"
	"os"
	"runtime"
)

// Init says that instances need Linux.
func Init() int {
	fmt.Fprintln(os.Stderr, "slipway agent: instances are not supported on "+runtime.GOOS)
	return 1
}
