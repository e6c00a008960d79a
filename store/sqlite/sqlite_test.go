package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
	"github.com/slipway/slipway/store/storetest"
)

func place(o sqlite.Options) func(t testing.TB) storetest.Open {
	return func(t testing.TB) storetest.Open {
		dir := t.TempDir()
		return func(t testing.TB) store.Store {
			t.Helper()
			s, err := sqlite.Open(context.Background(), dir, o)
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			return s
		}
	}
}

func TestStore(t *testing.T) {
	t.Run("as served", func(t *testing.T) { storetest.Run(t, place(sqlite.Options{})) })
	t.Run("without sync", func(t *testing.T) { storetest.Run(t, place(sqlite.Options{NoSync: true})) })
}

func TestSecondOpenIsRefused(t *testing.T) {
	open := place(sqlite.Options{})(t)
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), dir, sqlite.Options{})
	if !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	for _, part := range []string{fmt.Sprint("process ", os.Getpid()), dir, "--data"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = sqlite.Open(t.Context(), dir, sqlite.Options{}); err != nil {
		t.Fatalf("after close: %v", err)
	}
	if err := errors.Join(s.Close(), open(t).Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheOwnerReadsTheFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c%d", "data")
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("a", []byte("1")) }); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		fi, err := f.Info()
		if err != nil || fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", f.Name(), fi.Mode(), err)
		}
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", fi.Mode(), err)
	}
}

func TestMigrations(t *testing.T) {
	keys := []string{"a", "bulk", "bulk/1", "bulk/2", "bulk/sqs/d-1/m/1", "bulk0", "c"}
	dir := t.TempDir()
	old, err := sqlite.OpenVersion(dir, 1, keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := old(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = s.View(t.Context(), func(tx store.Tx) error {
			for d, err := range tx.Scan("", "") {
				if err != nil {
					return err
				}
				got = append(got, d.Key)
			}
			if tx.Revision() != 41 {
				t.Errorf("revision %d", tx.Revision())
			}
			return nil
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != strings.Join(keys, " ") {
			t.Errorf("got %q, want %q", got, keys)
		}
	}
	_, err = sqlite.Open(t.Context(), dir, sqlite.Options{Schema: 1})
	if err == nil || !strings.Contains(err.Error(), "schema version 4") || !strings.Contains(err.Error(), "up to 1") {
		t.Errorf("an older binary: %v", err)
	}
}
