package platform

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/service/lambda"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
)

// A backup is a tar archive: backup.json, which says what it is, the store as
// it was at one moment, every object file and every archive of code that the store names, and, where they
// are asked for, the keys; then, unless they are left out, the disks of instances,
// volumes, snapshots and images (diskSet). Last comes checksums.json, a SHA-256 of
// each.

const (
	backupFormat  = 2 // 1 had no disks
	oldestFormat  = 1
	backupHead    = "backup.json"
	backupSums    = "checksums.json"
	maxBackupHead = 1 << 20   // bytes of backup.json
	maxBackupSums = 256 << 20 // and of checksums.json
	objectsDir    = "objects"
	functionsDir  = "functions"
	fileRecords   = store.BulkPrefix + "s3/file/" // one per object file that is in use
)

// keyFiles are the secrets of a data folder: whoever has them and the rest reads
// everything.
var keyFiles = []string{"keys/master", "objects/key", tlsDir + "/" + caKey}

// BackupHead says what a backup is.
type BackupHead struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the Slipway that made it
	Created time.Time `json:"created"`
	Keys    bool      `json:"keys"` // the keys are in it
	Files   int       `json:"files"`
	// Held and Disks count, by kind, the records whose disks are in the backup, and
	// those whose disks are not.
	Held  map[string]int `json:"held,omitempty"`
	Disks map[string]int `json:"disks,omitempty"`
}

// BackupWith says what a backup has beside the state and the objects.
type BackupWith struct {
	Keys  bool // the keys that they are encrypted under
	Disks bool // what instances, volumes, snapshots and images hold
}

// diskRecords are the kinds of records that have a disk.
var diskRecords = map[string]string{
	"instances": "ec2/instance/", "volumes": "ec2/volume/", "snapshots": "ec2/snapshot/", "images": "ec2/image/",
}

// Backup writes a backup of a data folder, on which a Slipway may be running, to a
// file that is not there yet.
func Backup(ctx context.Context, cfg Config, file string, with BackupWith) (head BackupHead, err error) {
	if err := cfg.complete(); err != nil {
		return head, err
	}
	if _, err := os.Stat(file); err == nil {
		return head, fmt.Errorf("%s is there already: name a new file", file)
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, sqlite.FileName)); err != nil {
		return head, fmt.Errorf("%s is no data folder of a Slipway: %w", cfg.Dir, err)
	}
	if err := dropStages(cfg.Dir, time.Now().Add(-staleStage)); err != nil {
		return head, err
	}
	// In the data folder, so that links to the object files can be made.
	stage, err := os.MkdirTemp(cfg.Dir, stagePrefix+"*")
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	unlock, err := lockStage(stage)
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	disks := &diskSet{release: func() error { return nil }}
	if with.Disks {
		if disks, err = openDisks(ctx, cfg.Dir, stage, filepath.Dir(file)); err != nil {
			return head, err
		}
	}
	defer func() { err = errors.Join(err, disks.release()) }()
	files, err := gather(ctx, cfg.Dir, stage, with.Keys, disks)
	if err != nil {
		return head, err
	}
	head = BackupHead{Format: backupFormat, Version: cfg.Version, Created: cfg.Now().UTC().Truncate(time.Second), Keys: with.Keys}
	if with.Disks {
		err = disks.choose(ctx, &head)
	} else {
		head.Disks, err = countDisks(ctx, stage)
	}
	if err != nil {
		return head, err
	}
	head.Files = len(files) + disks.count()
	return head, writeFile(ctx, file, head, stage, files, disks)
}

// writeFile writes the backup beside its place, and puts it there when it is whole.
func writeFile(ctx context.Context, file string, head BackupHead, stage string, files []string, disks *diskSet) error {
	out, err := os.OpenFile(file+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = writeBackup(ctx, out, head, stage, files, disks)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return os.Rename(out.Name(), file)
}

// staleStage is the age at which the folder of a backup that was killed is removed
// where nothing tells that it was: its links keep the bytes of what is deleted.
const staleStage = 24 * time.Hour

// dropStages removes such folders.
func dropStages(dir string, before time.Time) error {
	found, err := filepath.Glob(filepath.Join(dir, stagePrefix+"*"))
	for _, stage := range found {
		if info, statErr := os.Lstat(stage); statErr == nil && info.IsDir() && (abandoned(stage) || info.ModTime().Before(before)) {
			err = errors.Join(err, os.RemoveAll(stage))
		}
	}
	return err
}

// countDisks counts the records in a folder's store whose disks stay behind.
func countDisks(ctx context.Context, dir string) (counts map[string]int, err error) {
	st, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	counts = map[string]int{}
	err = st.View(ctx, func(tx store.Tx) error {
		for kind, prefix := range diskRecords {
			n, err := documents(prefix)(tx)
			if err != nil {
				return err
			}
			if n > 0 {
				counts[kind] = n
			}
		}
		return nil
	})
	return counts, err
}

// gather collects what belongs to a backup in a folder, and lists it. Object
// files that are made or removed meanwhile make it look again: only a file that the
// store's copy names must be there.
func gather(ctx context.Context, dir, stage string, keys bool, disks *diskSet) ([]string, error) {
	const tries = 5
	for try := range tries {
		if err := errors.Join(linkFiles(dir, stage, objectFiles), linkFiles(dir, stage, codeFiles), disks.link()); err != nil {
			return nil, err
		}
		db := filepath.Join(stage, sqlite.FileName)
		if err := sqlite.Snapshot(ctx, dir, db); err != nil {
			return nil, err
		}
		if err := errors.Join(linkFiles(dir, stage, objectFiles), linkFiles(dir, stage, codeFiles), disks.link()); err != nil {
			return nil, err
		}
		named, err := namedFiles(ctx, stage)
		if err != nil {
			return nil, err
		}
		missing := ""
		for _, name := range named {
			if _, err := os.Stat(filepath.Join(stage, name)); err != nil {
				missing = name
			}
		}
		if missing == "" {
			more, err := disks.describe()
			if err != nil {
				return nil, err
			}
			return withKeys(dir, stage, append(named, more...), keys)
		}
		if try == tries-1 {
			return nil, fmt.Errorf("the store names the file %s, which is not there", missing)
		}
		if err := os.Remove(db); err != nil {
			return nil, err
		}
	}
	panic("unreachable")
}

// withKeys adds the store, the authority's certificate, and the keys.
func withKeys(dir, stage string, files []string, keys bool) ([]string, error) {
	more := []string{tlsDir + "/" + caName}
	if keys {
		more = append(more, keyFiles...)
	}
	for _, name := range more {
		to := filepath.Join(stage, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return nil, err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return nil, err
		}
		files = append(files, name)
	}
	return append([]string{sqlite.FileName}, files...), nil
}

// objectFiles is where object files stand in a data folder.
var objectFiles = filepath.Join(objectsDir, "objects")

// codeFiles is where the archives of functions and layers stand.
var codeFiles = filepath.Join(functionsDir, "code")

// linkFiles links every object file, or every archive, into the folder. Files never change, so a
// link is a copy; where links cannot be made, they are copied.
func linkFiles(dir, stage, files string) error {
	root := filepath.Join(dir, files)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile, or there are none yet
			}
			return err
		}
		to := filepath.Join(stage, files, path[len(root):])
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		err = os.Link(path, to)
		if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return copyFile(path, to)
	})
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// namedFiles are the object files and the archives that the store in a folder names.
func namedFiles(ctx context.Context, dir string) (names []string, err error) {
	st, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	err = st.View(ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan(fileRecords, store.PrefixEnd(fileRecords)) {
			if err != nil {
				return err
			}
			id := strings.TrimPrefix(doc.Key, fileRecords)
			if len(id) < 2 || strings.ContainsAny(id, "/.\\") {
				return fmt.Errorf("the store names an object file %q", id)
			}
			names = append(names, filepath.ToSlash(filepath.Join(objectFiles, id[:2], id)))
		}
		code, err := lambda.CodeFiles(tx)
		for _, id := range slices.Sorted(maps.Keys(code)) {
			names = append(names, filepath.ToSlash(filepath.Join(codeFiles, id+".zip")))
		}
		return err
	})
	return names, err
}

func writeBackup(ctx context.Context, out io.Writer, head BackupHead, stage string, files []string, disks *diskSet) error {
	w := tar.NewWriter(out)
	first, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if err := addBytes(w, backupHead, first, head.Created); err != nil {
		return err
	}
	sums := map[string]string{}
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if sums[name], err = addFile(w, stage, name, head.Created); err != nil {
			return fmt.Errorf("back up %s: %w", name, err)
		}
	}
	if err := disks.write(ctx, w, sums); err != nil {
		return err
	}
	last, err := json.Marshal(sums)
	if err != nil {
		return err
	}
	return errors.Join(addBytes(w, backupSums, last, head.Created), w.Close())
}

func addBytes(w *tar.Writer, name string, content []byte, at time.Time) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: at, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// addFile writes a file and returns its checksum.
func addFile(w *tar.Writer, stage, name string, at time.Time) (string, error) {
	f, err := os.Open(filepath.Join(stage, filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: at, Format: tar.FormatPAX}); err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), f); err != nil {
		return "", err
	}
	return hexOf(sum), nil
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// backedUp reports whether a backup may hold a file of that name. A name that is
// not one of these is never written.
func backedUp(name string) bool {
	if name == sqlite.FileName || name == tlsDir+"/"+caName || slices.Contains(keyFiles, name) || describesDisks(name) || diskKindOf(name) != "" {
		return true
	}
	if id, ok := strings.CutPrefix(name, filepath.ToSlash(codeFiles)+"/"); ok {
		id, zipped := strings.CutSuffix(id, ".zip")
		return zipped && len(id) == 2*sha256.Size && strings.Trim(id, "0123456789abcdef") == ""
	}
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != objectsDir || parts[1] != "objects" || len(parts[2]) != 2 || !strings.HasPrefix(parts[3], parts[2]) {
		return false
	}
	return strings.Trim(parts[3], "0123456789abcdef") == ""
}
