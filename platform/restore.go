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
	"runtime"

	"github.com/slipway/slipway/store/sqlite"
)

// Restored is what Restore found in a backup.
type Restored struct {
	BackupHead
	Documents int64
}

// Restore makes a data folder of a backup. The folder must not be there, or be
// empty: it comes to be whole or not at all. keys is a folder with the keys of the
// data folder that was backed up, at their places in it, where the backup has none.
func Restore(ctx context.Context, cfg Config, file, keys string) (found Restored, err error) {
	if err := cfg.complete(); err != nil {
		return found, err
	}
	if err := vacant(cfg.Dir); err != nil {
		return found, err
	}
	in, err := os.Open(file)
	if err != nil {
		return found, err
	}
	defer in.Close()
	parent := filepath.Dir(cfg.Dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return found, err
	}
	made, err := os.MkdirTemp(parent, ".restore-*")
	if err != nil {
		return found, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(made))
		}
	}()
	info, err := in.Stat()
	if err != nil {
		return found, err
	}
	if found.BackupHead, err = unpack(ctx, in, info.Size(), made); err != nil {
		return found, fmt.Errorf("%s: %w", file, err)
	}
	if err := restoreKeys(made, found.Keys, keys); err != nil {
		return found, err
	}
	if found.Documents, err = sqlite.Check(ctx, made); err != nil {
		return found, fmt.Errorf("%s: %w", file, err)
	}
	if err := checkObjects(ctx, made); err != nil {
		return found, fmt.Errorf("%s: %w", file, err)
	}
	if err := vacant(cfg.Dir); err != nil {
		return found, err
	}
	// An empty folder gives way; Remove fails on any other.
	if err := os.Remove(cfg.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if err := errors.Join(syncFolders(made), syncDisks(made)); err != nil {
		return found, err
	}
	if err := os.Rename(made, cfg.Dir); err != nil {
		return found, err
	}
	return found, syncFolder(parent)
}

// syncFolders makes the names in a folder and below it durable.
func syncFolders(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = syncFolder(path)
		}
		return err
	})
}

func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such thing
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// vacant refuses a folder that has something in it.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: restore into a new folder, or remove this one first", dir)
	}
	return nil
}

// unpack writes an archive's files, having checked each name, and then that they
// are what the archive says. An archive of size bytes has no more in it: a sparse
// file, which would, is none of a backup's.
func unpack(ctx context.Context, in io.Reader, size int64, dir string) (head BackupHead, err error) {
	r := tar.NewReader(in)
	h, err := r.Next()
	if err != nil || h.Name != backupHead {
		return head, errors.New("this is not a backup of Slipway")
	}
	if err := readJSON(r, maxBackupHead, &head); err != nil {
		return head, err
	}
	if head.Format < oldestFormat || head.Format > backupFormat {
		return head, fmt.Errorf("the backup has format %d, made by Slipway %s; this one knows formats %d to %d", head.Format, head.Version, oldestFormat, backupFormat)
	}
	sums := map[string]string{}
	for {
		if err := ctx.Err(); err != nil {
			return head, err
		}
		h, err := r.Next()
		if err == io.EOF {
			return head, errors.New("the backup is cut short")
		}
		if err != nil {
			return head, fmt.Errorf("the backup is damaged: %w", err)
		}
		if h.Name == backupSums {
			break
		}
		if h.Typeflag != tar.TypeReg || !backedUp(h.Name) || sums[h.Name] != "" {
			return head, fmt.Errorf("the backup holds %q, which no backup does", h.Name)
		}
		if size -= h.Size; size < 0 {
			return head, fmt.Errorf("the backup holds %q with more bytes than it has itself", h.Name)
		}
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		if kind := diskKindOf(h.Name); kind != "" {
			sums[h.Name], err = extractDisk(ctx, r, to, kind, head)
		} else {
			sums[h.Name], err = extract(r, to)
		}
		if err != nil {
			return head, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	var want map[string]string
	if err := readJSON(r, maxBackupSums, &want); err != nil {
		return head, err
	}
	if len(want) != len(sums) || len(want) != head.Files {
		return head, fmt.Errorf("the backup holds %d files of %d", len(sums), head.Files)
	}
	for name, sum := range want {
		if sums[name] != sum {
			return head, fmt.Errorf("the backup is damaged: %s is not what it was", name)
		}
	}
	return head, nil
}

func readJSON(r io.Reader, limit int64, v any) error {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errors.New("too long")
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("the backup is damaged: %w", err)
	}
	return nil
}

// extract writes one file, durably, and returns its checksum.
func extract(r io.Reader, path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), r)
	return hexOf(sum), errors.Join(err, f.Sync(), f.Close())
}

// restoreKeys takes the keys from the folder that was given, where the backup has none.
func restoreKeys(made string, inBackup bool, from string) error {
	if inBackup {
		if from != "" {
			return errors.New("the backup has its keys in it: leave --keys out")
		}
		return nil
	}
	if from == "" {
		return errors.New("the backup has no keys in it: give --keys FOLDER, with copies of keys/master and objects/key of the data folder that was backed up")
	}
	for _, name := range keyFiles {
		content, err := os.ReadFile(filepath.Join(from, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) && name == tlsDir+"/"+caKey {
			// Without its key the authority's certificate is of no use.
			if err := os.RemoveAll(filepath.Join(made, tlsDir)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("--keys: %w", err)
		}
		to := filepath.Join(made, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := writeWhole(to, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// checkObjects sees that every object file that the store names is there.
func checkObjects(ctx context.Context, dir string) error {
	named, err := namedFiles(ctx, dir)
	if err != nil {
		return err
	}
	for _, name := range named {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return fmt.Errorf("the backup's store names an object file that is not in it: %s", name)
		}
	}
	return nil
}
