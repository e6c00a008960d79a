//go:build !linux

package platform

import (
	"archive/tar"
	"context"
	"errors"
	"io"
)

// Other systems run no instances, so their data folders have no disks.

type diskSet struct{ release func() error }

func openDisks(context.Context, string, string, string) (*diskSet, error) {
	return &diskSet{func() error { return nil }}, nil
}

func (*diskSet) link() error                                                 { return nil }
func (*diskSet) choose(context.Context, *BackupHead) error                   { return nil }
func (*diskSet) describe() ([]string, error)                                 { return nil, nil }
func (*diskSet) write(context.Context, *tar.Writer, map[string]string) error { return nil }
func (*diskSet) count() int                                                  { return 0 }

func extractDisk(context.Context, io.Reader, string, diskKind, BackupHead) (string, error) {
	return "", errors.New("a backup with the disks of instances is restored on Linux only")
}

func syncDisks(string) error { return nil }

func lockStage(string) (release func() error, err error) { return func() error { return nil }, nil }

func abandoned(string) bool { return false }
