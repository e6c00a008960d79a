package sqlite_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
)

// TestKillLosesNothingAcknowledged kills a process in the middle of its
// updates, several times over one folder. Every update that was acknowledged is
// there afterwards, and none is there by half.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var acknowledged []string
	for round := range 5 {
		cmd := child(t, nil, "writers", dir, fmt.Sprint("r", round))
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(pipe)
		for n := 0; lines.Scan(); n++ {
			acknowledged = append(acknowledged, lines.Text())
			if n == 100+137*round { // then what is in the pipe is read, too
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("the writers were not killed: %v", err)
		}
		checkAcknowledged(t, dir, acknowledged)
	}
}

func checkAcknowledged(t *testing.T, dir string, acknowledged []string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	found := map[string]int{}
	err = s.View(t.Context(), func(tx store.Tx) error {
		for d, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			found[strings.TrimPrefix(strings.TrimPrefix(d.Key, store.BriefPrefix), "doc/")]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range acknowledged {
		if found[key] != 2 {
			t.Errorf("%s was acknowledged; %d of its 2 documents are there", key, found[key])
		}
	}
	for key, n := range found {
		if n != 2 {
			t.Errorf("%s is there by half", key)
		}
	}
}

// TestALoneUpdateCostsOneFsync counts the system calls of two runs that differ
// in 100 updates.
func TestALoneUpdateCostsOneFsync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("not tested: strace is not installed")
	}
	count := func(updates int) int {
		trace := filepath.Join(t.TempDir(), "trace")
		cmd := child(t, []string{strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", trace},
			"lone", filepath.Join(t.TempDir(), "data"), fmt.Sprint(updates))
		if out, err := cmd.Output(); err != nil {
			t.Skipf("not tested: strace does not work here: %v\n%s", err, out)
		}
		b, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		// A call that another thread's interrupts in the trace takes two lines.
		return strings.Count(string(b), "sync(")
	}
	if few, many := count(50), count(150); many-few != 100 {
		t.Errorf("100 updates cost %d fsyncs", many-few)
	}
}
