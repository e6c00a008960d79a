//go:build !linux

package agent

// makeExpendable does nothing: only Linux lets a process say so.
func makeExpendable() error { return nil }
