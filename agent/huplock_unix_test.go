//go:build unix

package agent

import (
	"strings"
	"testing"
)

func TestHupHasOneDaemon(t *testing.T) {
	h, _ := testHost(t)
	if h.hupRuns() {
		t.Error("it runs before it was started")
	}
	lock, err := h.lockHup()
	if err != nil {
		t.Fatal(err)
	}
	if !h.hupRuns() {
		t.Error("the lock is held, and it does not run")
	}
	if err := h.startHup(nil); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("a second one: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if h.hupRuns() {
		t.Error("it runs after its end")
	}
}
