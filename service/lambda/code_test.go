package lambda

import (
	"bytes"
	"os"
	"testing"
)

// A sweep spares what a call has named since it read the names.
func TestASweepSparesWhatIsNamedMeanwhile(t *testing.T) {
	var c codeStore
	if err := c.open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	archive := zipped(t, "index.py", "x = 1")
	file, release, err := c.keep(bytes.NewReader(archive), maxZipped)
	if err != nil {
		t.Fatal(err)
	}
	release() // nothing came to name it
	idle := func(string) bool { return false }
	err = c.sweep(func() (map[string]bool, error) {
		_, release, err := c.keep(bytes.NewReader(archive), maxZipped)
		if err == nil {
			release() // its record is committed, after these names were read
		}
		return nil, err
	}, idle)
	if _, gone := os.Stat(c.path(file.ID)); err != nil || gone != nil {
		t.Errorf("after the sweep: %v, %v", err, gone)
	}
	err = c.sweep(func() (map[string]bool, error) { return nil, nil }, idle)
	if _, gone := os.Stat(c.path(file.ID)); err != nil || !os.IsNotExist(gone) {
		t.Errorf("what nothing names stays: %v, %v", err, gone)
	}
}
