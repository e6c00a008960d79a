package lambda

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// maxEntries bounds how many files an archive has.
const maxEntries = 100_000

// archive is a zip whose entries were checked: none leads out of the folder that it
// is unpacked into.
type archive struct {
	entries []entry
	size    int64 // of the files
}

type entry struct {
	name string
	file *zip.File
	link string // where a symbolic link leads
}

func badArchive() error {
	return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
}

// maxLink bounds what a symbolic link says, in bytes.
const maxLink = 4096

// checkArchive reads an archive's directory, and refuses it where a file would lie
// outside of the folder, or where the files are too large.
func checkArchive(r io.ReaderAt, size int64) (*archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, badArchive()
	}
	if size == 0 || z == nil {
		return nil, badArchive()
	}
	if len(z.File) > maxEntries {
		return nil, invalid("The archive has more than %d files.", maxEntries)
	}
	a := &archive{}
	kinds := map[string]fs.FileMode{}
	for _, f := range z.File {
		e := entry{name: strings.TrimSuffix(f.Name, "/"), file: f}
		mode := f.Mode()
		if e.name == "" || e.name == "." {
			continue
		}
		if !inside(e.name) || f.Flags&1 != 0 || mode.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
			return nil, badArchive()
		}
		if mode.Type() == fs.ModeSymlink {
			if e.link, err = linkOf(f); err != nil {
				return nil, err
			}
			if path.IsAbs(e.link) || !inside(path.Join("x", path.Dir(e.name), e.link)) || strings.HasPrefix(path.Join(path.Dir(e.name), e.link), "../") {
				return nil, badArchive()
			}
		}
		if f.UncompressedSize64 > maxUnzipped {
			return nil, unzippedTooLarge()
		}
		if was, ok := kinds[e.name]; ok && (was != mode.Type() || was != fs.ModeDir) {
			return nil, badArchive() // twice, by which one of them would be lost
		}
		kinds[e.name] = mode.Type()
		if !mode.IsDir() {
			if a.size += int64(f.UncompressedSize64); a.size > maxUnzipped {
				return nil, unzippedTooLarge()
			}
		}
		a.entries = append(a.entries, e)
	}
	// Nothing may lie under what is a file or a link.
	for name := range kinds {
		for up := path.Dir(name); up != "."; up = path.Dir(up) {
			if kind, ok := kinds[up]; ok && kind != fs.ModeDir {
				return nil, badArchive()
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
		return "", badArchive()
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxLink+1))
	if err != nil || len(b) == 0 || len(b) > maxLink || strings.ContainsRune(string(b), 0) {
		return "", badArchive()
	}
	return string(b), nil
}

// extract unpacks the archive into a new folder. Everybody may read what is there:
// functions run as users of their own.
func (a *archive) extract(dir string) (err error) {
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
		return badArchive()
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
		return badArchive()
	}
	if err == nil && n != int64(e.file.UncompressedSize64) {
		return badArchive()
	}
	return err
}
