package platform

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// diskKind is what a disk in a backup is of; it names the folder of those in the
// driver's, and the kind of record.
type diskKind string

const (
	volumeDisks     diskKind = "volumes"
	snapshotDisks   diskKind = "snapshots"
	instanceFolders diskKind = "instances"
)

var (
	driverFile = filepath.Join(instancesDir, "driver")
	// diskID is what a disk is called; what is still being made has another name.
	diskID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`) })
)

const (
	rangesFile  = "network.json" // in a driver's folder
	stagePrefix = ".backup-"     // of the folder in which a backup is put together
	roomStep    = 64 << 20       // bytes that are written between two looks at what is free
)

// diskKindOf is the kind of disk that a name in a backup stands for, "" for a
// plain file.
func diskKindOf(name string) diskKind {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != instancesDir || !diskID().MatchString(parts[3]) {
		return ""
	}
	kind := diskKind(parts[2])
	switch {
	case parts[1] == "sandbox" && (kind == volumeDisks || kind == snapshotDisks):
		return kind
	case (parts[1] == "sandbox" || parts[1] == "process") && kind == instanceFolders:
		return kind
	}
	return ""
}

// describesDisks reports whether a name is that of a file beside the disks.
func describesDisks(name string) bool {
	return name == filepath.ToSlash(driverFile) || name == instancesDir+"/sandbox/"+rangesFile || name == instancesDir+"/process/"+rangesFile
}

// hasRoom refuses where the host's own disk would be nearly full with so many
// bytes more.
func hasRoom(dir string, bytes int64) error {
	free, err := freeBytes(dir)
	if err != nil {
		return nil //nolint:nilerr // this system does not tell
	}
	if need := uint64(bytes) + minFree; free < need {
		return fmt.Errorf("%s has %d MiB free, and %d MiB are needed so that the host keeps some", dir, free>>20, need>>20)
	}
	return nil
}
