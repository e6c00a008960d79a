package agent

import "io"

// CfnSignal is being written.
func CfnSignal(args []string, stdout, stderr io.Writer) int { return 1 }
