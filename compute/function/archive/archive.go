// Package archive reads and unpacks the deployment packages of functions: zip archives
// that may come from anybody. It is pure but for the folder that it is told to fill,
// starts no goroutine and imports nothing of Slipway's.
package archive

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// MaxFiles bounds how many files an archive has.
const MaxFiles = 100_000

// What is wrong with an archive.
var (
	ErrBad      = errors.New("it is no zip archive whose files can be unpacked into one folder")
	ErrTooMany  = errors.New("it has too many files")
	ErrTooLarge = errors.New("its files are too large")
)

// Archive is a zip whose entries were checked: none leads out of the folder that it
// is unpacked into.
type Archive struct {
	Size    int64 // of the files, in bytes
	entries []entry
}

type entry struct {
	name string
	file *zip.File
	link string // where a symbolic link leads
}

// maxLink bounds what a symbolic link says, in bytes.
const maxLink = 4096

// Check reads the directory of an archive of a size, and refuses it where a file would
// lie outside of the folder, or where the files have more than most bytes. The error is
// one of those above, or r's.
func Check(r io.ReaderAt, size, most int64) (*Archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) || size == 0 || z == nil {
		return nil, ErrBad
	}
	if len(z.File) > MaxFiles {
		return nil, ErrTooMany
	}
	a := &Archive{}
	kinds := map[string]fs.FileMode{}
	for _, f := range z.File {
		e := entry{name: strings.TrimSuffix(f.Name, "/"), file: f}
		mode := f.Mode()
		if e.name == "" || e.name == "." {
			continue
		}
		if !inside(e.name) || f.Flags&1 != 0 || mode.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
			return nil, ErrBad
		}
		if mode.Type() == fs.ModeSymlink {
			if e.link, err = linkOf(f); err != nil {
				return nil, err
			}
			if path.IsAbs(e.link) || !inside(path.Join("x", path.Dir(e.name), e.link)) || strings.HasPrefix(path.Join(path.Dir(e.name), e.link), "../") {
				return nil, ErrBad
			}
		}
		if f.UncompressedSize64 > uint64(most) {
			return nil, ErrTooLarge
		}
		if was, ok := kinds[e.name]; ok && (was != mode.Type() || was != fs.ModeDir) {
			return nil, ErrBad // twice, by which one of them would be lost
		}
		kinds[e.name] = mode.Type()
		if !mode.IsDir() {
			if a.Size += int64(f.UncompressedSize64); a.Size > most {
				return nil, ErrTooLarge
			}
		}
		a.entries = append(a.entries, e)
	}
	// Nothing may lie under what is a file or a link.
	for name := range kinds {
		for up := path.Dir(name); up != "."; up = path.Dir(up) {
			if kind, ok := kinds[up]; ok && kind != fs.ModeDir {
				return nil, ErrBad
			}
		}
	}
	return a, nil
}

// inside reports whether a name is that of a file within the folder.
func inside(name string) bool {
	return name == path.Clean(name) && !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../") && !strings.ContainsAny(name, "\\\x00") && len(name) <= maxLink
}

func linkOf(f *zip.File) (target string, err error) {
	r, err := f.Open()
	if err != nil {
		return "", ErrBad
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxLink+1))
	if err != nil || len(b) == 0 || len(b) > maxLink || strings.ContainsRune(string(b), 0) {
		return "", ErrBad
	}
	return string(b), nil
}

// Extract unpacks the archive into a new folder. Everybody may read what is there:
// functions run as users of their own. ErrBad is of one whose
// files are not what its directory says; what was unpacked of it stays.
func (a *Archive) Extract(dir string) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, e := range a.entries {
		if e.file.Mode().IsDir() {
			if err := root.MkdirAll(e.name, 0o755); err != nil {
				return err
			}
			continue
		}
		if up := path.Dir(e.name); up != "." {
			if err := root.MkdirAll(up, 0o755); err != nil {
				return err
			}
		}
		if e.link != "" {
			err = root.Symlink(e.link, e.name)
		} else {
			err = e.write(root)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e entry) write(root *os.Root) (err error) {
	r, err := e.file.Open()
	if err != nil {
		return ErrBad
	}
	defer r.Close()
	mode := fs.FileMode(0o644)
	if e.file.Mode()&0o111 != 0 {
		mode = 0o755
	}
	f, err := root.OpenFile(e.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(mode); err != nil { // whatever the process's mask is
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, int64(e.file.UncompressedSize64)+1))
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrBad
	}
	if err == nil && n != int64(e.file.UncompressedSize64) {
		return ErrBad
	}
	return err
}
