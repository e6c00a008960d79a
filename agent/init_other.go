//go:build !linux && !darwin

package agent

import (
	"fmt"
	"os"
	"runtime"
)

// Init says that instances need another system.
func Init() int {
	fmt.Fprintln(os.Stderr, "slipway agent: instances are not supported on "+runtime.GOOS)
	return 1
}

// Enclosure says that functions need another system.
func Enclosure() int { return Init() }
