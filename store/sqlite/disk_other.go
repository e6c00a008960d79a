//go:build !linux

package sqlite

// diskState is not known here: SQLite's own code must do.
func diskState(string) (full, readOnly bool) { return false, false }
