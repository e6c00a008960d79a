// Package storetest is the suite that every store passes (Run), and a fast
// store for the tests of others (New). It may import store and its
// implementations.
package storetest

import (
	"testing"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
)

// New is a real store in a folder of the test, without the fsyncs. It closes
// with the test.
func New(t testing.TB) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{NoSync: true})
	if err != nil {
		t.Fatalf("open a store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}
