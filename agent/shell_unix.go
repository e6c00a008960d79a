//go:build unix

package agent

// shell runs a line of text.
var shell = []string{"/bin/sh", "-c"}
