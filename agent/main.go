// Package agent runs inside every instance and on every managed host.
package agent

// Main runs `slipway agent ARGS` and returns the exit status.
func Main(args []string) int { return 2 }
