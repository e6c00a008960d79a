package platform

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/disk"
	"github.com/slipway/slipway/compute/keeper"
	"github.com/slipway/slipway/compute/process"
	"github.com/slipway/slipway/compute/sandbox"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
)

// diskSet is the disks of a data folder, for a backup: volumes and snapshots,
// which are files without holes there, and the folders of instances, as archives.
// Snapshots never change, so a link is a copy. A volume is copied when its turn
// comes, as it is at one moment, and takes room in the data folder until it is in
// the backup.
type diskSet struct {
	dir, stage string
	driver     string // "" where no instance was ever made
	out        string // the folder that the backup is written to
	entries    []diskEntry
	head       *BackupHead
	// copyVolume is the running Slipway's, or ours while we hold the data folder.
	copyVolume func(ctx context.Context, id, path string) error
	release    func() error
}

type diskEntry struct {
	kind diskKind
	id   string
}

// openDisks finds the driver of a data folder and who copies its volumes.
func openDisks(ctx context.Context, dir, stage, out string) (*diskSet, error) {
	s := &diskSet{dir: dir, stage: stage, out: out, release: func() error { return nil }}
	name, err := os.ReadFile(filepath.Join(dir, driverFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if s.driver = strings.TrimSpace(string(name)); s.driver != sandbox.Name && s.driver != process.Name {
		return nil, fmt.Errorf("the instances in %s run in a driver %q, which this Slipway does not know", dir, s.driver)
	}
	if s.driver != sandbox.Name {
		return s, nil
	}
	if _, err := ReadStatus(ctx, dir); err == nil {
		s.copyVolume = func(ctx context.Context, id, path string) error { return askCopy(ctx, dir, id, path) }
		return s, nil
	}
	// Instances may run without it. None starts meanwhile.
	release, err := sqlite.Hold(dir)
	if err != nil {
		return nil, fmt.Errorf("back up the disks: %w", err)
	}
	s.release = release
	folder := filepath.Join(dir, instancesDir, s.driver)
	s.copyVolume = func(ctx context.Context, id, path string) error { return sandbox.CopyVolume(ctx, folder, id, path) }
	return s, nil
}

// place is where an entry stands in a data folder, and its name in a backup.
func (s *diskSet) place(e diskEntry) string {
	return filepath.Join(instancesDir, s.driver, string(e.kind), e.id)
}

// link keeps volumes and snapshots from going before their turn comes.
func (s *diskSet) link() error {
	if s.driver != sandbox.Name {
		return nil
	}
	for _, kind := range []diskKind{volumeDisks, snapshotDisks} {
		from := filepath.Join(s.dir, s.place(diskEntry{kind, ""}))
		to := filepath.Join(s.stage, s.place(diskEntry{kind, ""}))
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		names, err := os.ReadDir(from)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, name := range names {
			if !diskID().MatchString(name.Name()) {
				continue // one that is not whole yet
			}
			err := os.Link(filepath.Join(from, name.Name()), filepath.Join(to, name.Name()))
			if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// diskRecord is what the records of volumes, snapshots and instances have in common.
type diskRecord struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// settled are the states in which a record's disk must be on the host.
var settled = map[string]bool{"available": true, "in-use": true, "completed": true, "running": true, "stopped": true}

// choose lists the disks of what the copied store knows, and counts those that
// are not on the host.
func (s *diskSet) choose(ctx context.Context, head *BackupHead) error {
	s.head, s.entries = head, nil
	head.Held, head.Disks = map[string]int{}, map[string]int{}
	if s.driver == "" {
		return nil
	}
	for _, kind := range []diskKind{snapshotDisks, volumeDisks, instanceFolders} {
		if kind != instanceFolders && s.driver != sandbox.Name {
			continue // its instances have none
		}
		records, err := diskRecordsOf(ctx, s.stage, diskRecords[string(kind)])
		if err != nil {
			return err
		}
		for _, r := range records {
			e := diskEntry{kind, r.ID}
			if kind == instanceFolders && s.linked(diskEntry{volumeDisks, "root-" + r.ID}) {
				s.entries = append(s.entries, diskEntry{volumeDisks, "root-" + r.ID}) // it goes with the instance
			}
			switch {
			case s.linked(e):
				s.entries = append(s.entries, e)
				head.Held[string(kind)]++
			case settled[r.State]:
				head.Disks[string(kind)]++
			}
		}
	}
	return nil
}

// linked says whether an entry's bytes can be had.
func (s *diskSet) linked(e diskEntry) bool {
	root := s.stage
	if e.kind == instanceFolders {
		root = s.dir
	}
	_, err := os.Lstat(filepath.Join(root, s.place(e)))
	return err == nil && diskID().MatchString(e.id)
}

func diskRecordsOf(ctx context.Context, dir, prefix string) (list []diskRecord, err error) {
	st, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	err = st.View(ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				return err
			}
			var r diskRecord
			if err := json.Unmarshal(doc.Value, &r); err != nil {
				return fmt.Errorf("record %s: %w", doc.Key, err)
			}
			if r.State != "terminated" {
				list = append(list, r)
			}
		}
		return nil
	})
	return list, err
}

// describe writes the small files beside the disks into the stage: which driver
// they are of, and the addresses that it gives out.
func (s *diskSet) describe() (files []string, err error) {
	if s.driver == "" {
		return nil, nil
	}
	folder := filepath.Join(s.dir, instancesDir, s.driver)
	var ranges compute.Ranges
	if s.driver == sandbox.Name {
		ranges, err = sandbox.Ranges(folder)
	} else {
		ranges, err = process.Ranges(folder)
	}
	if err != nil {
		return nil, err
	}
	write := func(name string, content []byte) {
		path := filepath.Join(s.stage, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		files = append(files, filepath.ToSlash(name))
	}
	write(driverFile, []byte(s.driver+"\n"))
	if ranges.Instances.IsValid() && ranges.Elastic.IsValid() {
		b, marshalErr := json.Marshal(ranges)
		err = errors.Join(err, marshalErr)
		write(filepath.Join(instancesDir, s.driver, rangesFile), b)
	}
	return files, err
}

// write adds the disks to a backup, and their checksums.
func (s *diskSet) write(ctx context.Context, w *tar.Writer, sums map[string]string) error {
	for _, e := range s.entries {
		name := filepath.ToSlash(s.place(e))
		sum, err := s.writeOne(ctx, w, e, name)
		if err != nil {
			return fmt.Errorf("back up %s (--without-disks leaves disks out): %w", e.id, err)
		}
		sums[name] = sum
	}
	return nil
}

func (s *diskSet) writeOne(ctx context.Context, w *tar.Writer, e diskEntry, name string) (string, error) {
	link := filepath.Join(s.stage, s.place(e))
	path := filepath.Join(s.stage, "copy")
	var err error
	switch e.kind {
	case snapshotDisks:
		path = link
	case volumeDisks:
		if err = s.copyVolume(ctx, e.id, path); errors.Is(err, compute.ErrGone) {
			path, err = link, nil // it was deleted meanwhile, and is nobody's any more
		}
	case instanceFolders:
		err = s.packFolder(ctx, filepath.Join(s.dir, s.place(e)), path)
	}
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// Its bytes go with the last one who has it open.
	if err := os.Remove(path); err != nil {
		return "", err
	}
	packed, err := disk.Packed(f)
	if err != nil {
		return "", err
	}
	size := packed.Length()
	if e.kind == instanceFolders {
		size = packed.Size
	}
	if err := hasRoom(s.out, size); err != nil {
		return "", err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: s.head.Created, Format: tar.FormatPAX}); err != nil {
		return "", err
	}
	sum := sha256.New()
	both := io.MultiWriter(w, sum)
	if e.kind == instanceFolders {
		_, err = io.Copy(both, io.NewSectionReader(f, 0, size))
	} else {
		err = packed.Write(ctx, both)
	}
	return hexOf(sum), err
}

// packFolder writes an instance's folder as an archive to a new file.
func (s *diskSet) packFolder(ctx context.Context, folder, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(keeper.Pack(ctx, folder, &roomy{w: f, dir: s.stage}), f.Close())
}

// roomy writes as long as there is room in a folder.
type roomy struct {
	w       io.Writer
	dir     string
	allowed int // bytes until the next look
}

func (r *roomy) Write(b []byte) (int, error) {
	if r.allowed -= len(b); r.allowed <= 0 {
		if err := hasRoom(r.dir, roomStep); err != nil {
			return 0, err
		}
		r.allowed = roomStep
	}
	return r.w.Write(b)
}

// extractDisk writes a disk of a backup, or the folder of an instance.
func extractDisk(ctx context.Context, r io.Reader, path string, kind diskKind, head BackupHead) (string, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	sum := sha256.New()
	r = io.TeeReader(&paced{r: r, dir: dir}, sum)
	if kind == instanceFolders {
		reason := "it was restored from a backup of " + head.Created.UTC().Format("2006-01-02 15:04:05 GMT") + ", which has its files and not its processes"
		err := keeper.Unpack(ctx, path, r, reason, func() error { return hasRoom(dir, 0) })
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		return hexOf(sum), err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	err = disk.Unpack(ctx, f, r)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return hexOf(sum), errors.Join(err, f.Close())
}

// paced reads as long as a folder has room for it.
type paced struct {
	r       io.Reader
	dir     string
	allowed int
}

func (p *paced) Read(b []byte) (int, error) {
	if p.allowed <= 0 {
		if err := hasRoom(p.dir, roomStep); err != nil {
			return 0, err
		}
		p.allowed = roomStep
	}
	n, err := p.r.Read(b[:min(len(b), roomStep)])
	p.allowed -= n
	return n, err
}

// syncDisks makes all that was restored durable at once.
func syncDisks(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

func (s *diskSet) count() int { return len(s.entries) }

// stageLock is the file whose lock says that a backup is being put together in a
// folder.
const stageLock = ".lock"

// lockStage says so until release is called, or this process ends.
func lockStage(stage string) (release func() error, err error) {
	f, err := os.OpenFile(filepath.Join(stage, stageLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// abandoned reports whether the process that made a backup's folder has ended.
func abandoned(stage string) bool {
	f, err := os.Open(filepath.Join(stage, stageLock))
	if err != nil {
		return false // it was made just now
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
