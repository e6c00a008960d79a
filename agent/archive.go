package agent

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// What an archive may become.
const (
	maxEntries     = 500000
	maxArchiveSize = 16 << 30
)

// archive is a tar, tar.gz, tar.bz2 or zip archive. It is read twice: checked as
// a whole first, and unpacked then.
type archive struct {
	file   *os.File
	size   int64
	format string // zip, or how a tar is packed: "", gzip, bzip2
	strip  bool   // leave out the first folder of each path
}

// entry is a file, folder or link of an archive.
type entry struct {
	name string // cleaned, with slashes, relative
	mode fs.FileMode
	size int64
	link string // target of a symbolic link, or what a hard link is of
	hard bool
}

// openArchive tells the format by the content, as AWS's helper does.
func openArchive(file *os.File) (*archive, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, size: info.Size()}
	head := make([]byte, 512)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		a.format = "zip"
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		a.format = "gzip"
	case bytes.HasPrefix(head, []byte("BZh")):
		a.format = "bzip2"
	case n < 512 || !bytes.Equal(head[257:262], []byte("ustar")) && !bytes.Equal(head, make([]byte, 512)):
		return nil, errors.New("it is not a tar, tar.gz, tar.bz2 or zip archive")
	}
	return a, nil
}

// each reads the archive from its beginning.
func (a *archive) each(fn func(e entry, r io.Reader) error) error {
	if a.format == "zip" {
		return a.eachOfZip(fn)
	}
	var r io.Reader = bufio.NewReader(io.NewSectionReader(a.file, 0, a.size))
	switch a.format {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		r = z
	case "bzip2":
		r = bzip2.NewReader(r)
	}
	// Sparse files and padding are bounded by what comes out.
	t := tar.NewReader(&io.LimitedReader{R: r, N: maxArchiveSize})
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tar: %w", err)
		}
		e := entry{mode: h.FileInfo().Mode().Perm(), size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeDir:
			e.mode |= fs.ModeDir
		case tar.TypeSymlink:
			e.mode, e.link = fs.ModeSymlink, h.Linkname
		case tar.TypeLink:
			e.link, e.hard = h.Linkname, true
		case tar.TypeXGlobalHeader:
			continue
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", h.Name)
		}
		if err := a.visit(h.Name, e, t, fn); err != nil {
			return err
		}
	}
}

func (a *archive) eachOfZip(fn func(e entry, r io.Reader) error) error {
	z, err := zip.NewReader(a.file, a.size)
	if err != nil {
		return err
	}
	for _, f := range z.File {
		e := entry{mode: f.Mode().Perm(), size: int64(f.UncompressedSize64)}
		if f.UncompressedSize64 > maxArchiveSize {
			return fmt.Errorf("%s says it is of %d bytes", f.Name, f.UncompressedSize64)
		}
		if e.mode == 0 {
			e.mode = 0o644
		}
		switch f.Mode().Type() {
		case 0:
		case fs.ModeDir:
			e.mode |= fs.ModeDir
		case fs.ModeSymlink:
			if e.mode = fs.ModeSymlink; e.size > 4096 {
				return fmt.Errorf("the target of the link %s is too long", f.Name)
			}
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if e.mode.Type() == fs.ModeSymlink {
			var target []byte
			target, err = io.ReadAll(io.LimitReader(r, 4097))
			e.link = string(target)
		}
		if err == nil {
			err = a.visit(f.Name, e, r, fn)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// visit names an entry by its clean path.
func (a *archive) visit(name string, e entry, r io.Reader, fn func(e entry, r io.Reader) error) error {
	clean, ok, err := a.clean(name)
	if err != nil || !ok {
		return err
	}
	e.name = clean
	if e.hard {
		if e.link, ok, err = a.clean(e.link); err == nil && !ok {
			err = errors.New("it links to nothing")
		}
		if err != nil {
			return fmt.Errorf("the link %s: %w", name, err)
		}
	}
	return fn(e, r)
}

// clean is a path within the archive; ok is false for the top itself.
func (a *archive) clean(name string) (clean string, ok bool, err error) {
	if strings.ContainsAny(name, "\x00\\") || strings.HasPrefix(name, "/") {
		return "", false, fmt.Errorf("the path %q leads out of the archive", shorten(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", false, fmt.Errorf("the path %q leads out of the archive", shorten(name))
		}
	}
	clean = path.Clean(name)
	if a.strip {
		_, clean, _ = strings.Cut(clean, "/")
	}
	if clean == "" || clean == "." {
		return "", false, nil
	}
	if !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", false, fmt.Errorf("the path %q leads out of the archive", shorten(name))
	}
	return clean, true, nil
}

// check reads all of the archive before a byte of it is written: it is whole,
// it is not too large, and no path or link leads out of it.
func (a *archive) check() error {
	var total int64
	entries := 0
	links := map[string]bool{} // symbolic links
	files := map[string]bool{}
	return a.each(func(e entry, r io.Reader) error {
		if entries++; entries > maxEntries {
			return fmt.Errorf("the archive has more than %d entries", maxEntries)
		}
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			if links[dir] {
				return fmt.Errorf("the path %q leads through a link", shorten(e.name))
			}
		}
		switch {
		case e.hard:
			if !files[e.link] {
				return fmt.Errorf("the hard link %q is of nothing that is in the archive before it", shorten(e.name))
			}
		case e.mode.Type() == fs.ModeSymlink:
			if err := checkTarget(e); err != nil {
				return err
			}
			links[e.name] = true
		case e.mode.IsRegular():
			n, err := io.Copy(io.Discard, io.LimitReader(r, maxArchiveSize-total+1))
			if err != nil {
				return fmt.Errorf("%s: %w", shorten(e.name), err)
			}
			if total += n; total > maxArchiveSize {
				return fmt.Errorf("the archive unpacks to more than %d bytes", int64(maxArchiveSize))
			}
			files[e.name] = true
		}
		return nil
	})
}

// checkTarget takes symbolic links to places in the archive's own folder.
func checkTarget(e entry) error {
	bad := fmt.Errorf("the link %q leads out of the archive", shorten(e.name))
	if e.link == "" || strings.HasPrefix(e.link, "/") || strings.ContainsAny(e.link, "\x00\\") {
		return bad
	}
	// Beyond the beginning, ".." means what a link before it makes of it.
	down := false
	for part := range strings.SplitSeq(e.link, "/") {
		if part == ".." && down {
			return bad
		}
		down = down || part != ".." && part != "." && part != ""
	}
	if !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(e.name), e.link))) {
		return bad
	}
	return nil
}

// unpack writes the archive, which has been checked, below dir and nowhere
// else. Files belong to whom unpacks them.
func (a *archive) unpack(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return a.each(func(e entry, r io.Reader) error {
		if err := unpackEntry(root, e, r); err != nil {
			return fmt.Errorf("%s: %w", shorten(e.name), err)
		}
		return nil
	})
}

func unpackEntry(root *os.Root, e entry, r io.Reader) error {
	name := filepath.FromSlash(e.name)
	if e.mode.IsDir() {
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return root.Chmod(name, e.mode.Perm()|0o700)
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	// A program that runs keeps its file; what comes is another.
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case e.hard:
		return root.Link(filepath.FromSlash(e.link), name)
	case e.mode.Type() == fs.ModeSymlink:
		return root.Symlink(e.link, name)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, e.mode.Perm())
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, e.size+1))
	if err == nil && n != e.size {
		err = fmt.Errorf("it is of %d bytes, not %d", n, e.size)
	}
	return errors.Join(err, f.Chmod(e.mode.Perm()), f.Close())
}
