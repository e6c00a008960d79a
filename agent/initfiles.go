package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxTemplate bounds a source that is a template, which is held in memory.
const maxTemplate = 16 << 20

// fileSpec is one of "files".
type fileSpec struct {
	Content        json.RawMessage `json:"content"`
	Source         scalar          `json:"source"`
	Encoding       scalar          `json:"encoding"`
	Owner          scalar          `json:"owner"`
	Group          scalar          `json:"group"`
	Mode           scalar          `json:"mode"`
	Authentication scalar          `json:"authentication"`
	Context        map[string]any  `json:"context"`
}

// files writes those that are not as asked, and names them.
func (h *host) files(ctx context.Context, specs map[string]fileSpec) ([]string, error) {
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		did, err := h.file(ctx, name, specs[name])
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", name, err)
		}
		if did {
			h.info("Wrote %s", name)
			changed = append(changed, name)
		} else {
			h.debug("%s is as it should be", name)
		}
	}
	return changed, nil
}

func (h *host) file(ctx context.Context, name string, spec fileSpec) (changed bool, err error) {
	if err := checkPath(name); err != nil {
		return false, err
	}
	mode, link, err := spec.mode()
	if err != nil {
		return false, err
	}
	target := h.path(name)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return false, err
	}
	if link {
		return spec.link(target)
	}
	uid, gid, err := h.ids(string(spec.Owner), string(spec.Group))
	if err != nil {
		return false, err
	}
	// Written beside it, under a name of its own, so that it changes at once.
	tmp, err := os.CreateTemp(filepath.Dir(target), ".cfn-init-")
	if err != nil {
		return false, err
	}
	defer remove(tmp)
	if err := h.content(ctx, tmp, spec); err != nil {
		return false, err
	}
	if uid >= 0 || gid >= 0 { // first: it takes the set-user-id bits away
		if err := tmp.Chown(uid, gid); err != nil {
			return false, err
		}
	}
	if err := tmp.Chmod(mode); err != nil {
		return false, err
	}
	same, err := sameContent(tmp, target)
	if err != nil {
		return false, err
	}
	if same {
		return false, settle(target, mode, uid, gid)
	}
	if err := keepOld(target); err != nil {
		return false, err
	}
	return true, os.Rename(tmp.Name(), target)
}

// settle gives the owner and mode to a file whose content is right.
func settle(name string, mode fs.FileMode, uid, gid int) error {
	if uid >= 0 || gid >= 0 {
		if err := os.Chown(name, uid, gid); err != nil {
			return err
		}
	}
	return os.Chmod(name, mode)
}

// keepOld keeps what is replaced under the name that AWS's helper gives it.
func keepOld(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.New("a folder of this name is there")
	}
	old := name + ".bak"
	if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Link(name, old)
}

// mode reads the octal digits: the last four are the permissions, and 120000
// before them means a symbolic link.
func (s *fileSpec) mode() (mode fs.FileMode, link bool, err error) {
	if s.Mode == "" {
		return 0o644, false, nil
	}
	n, err := strconv.ParseUint(string(s.Mode), 8, 32)
	if err != nil {
		return 0, false, fmt.Errorf("mode %q: want octal digits such as 000644", string(s.Mode))
	}
	switch n &^ 0o7777 {
	case 0o120000:
		link = true
	case 0, 0o100000:
	default:
		return 0, false, fmt.Errorf("mode %q is neither a file's nor a symbolic link's", string(s.Mode))
	}
	mode = fs.FileMode(n & 0o777)
	for bit, m := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= m
		}
	}
	return mode, link, nil
}

// link makes a symbolic link to what the content names.
func (s *fileSpec) link(name string) (changed bool, err error) {
	var to string
	if err := json.Unmarshal(orNull(s.Content), &to); err != nil || to == "" {
		return false, errors.New("a symbolic link wants the path of its target as content")
	}
	if old, err := os.Readlink(name); err == nil && old == to {
		return false, nil
	}
	if err := keepOld(name); err != nil {
		return false, err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, os.Symlink(to, name)
}

// content writes what the file is to hold.
func (h *host) content(ctx context.Context, w io.Writer, s fileSpec) error {
	if len(s.Content) == 0 || string(s.Content) == "null" {
		return h.fetched(ctx, w, s)
	}
	var text scalar
	if json.Unmarshal(s.Content, &text) != nil { // an object or a list
		return writeJSON(w, s.Content)
	}
	b := []byte(text)
	switch s.Encoding {
	case "", "plain":
	case "base64":
		plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			return fmt.Errorf("content is not base64: %w", err)
		}
		b = plain
	default:
		return fmt.Errorf("encoding %q: want plain or base64", string(s.Encoding))
	}
	if s.Context != nil {
		filled, err := fillMustache(string(b), s.Context)
		if err != nil {
			return err
		}
		b = []byte(filled)
	}
	_, err := w.Write(b)
	return err
}

func writeJSON(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}

func (h *host) fetched(ctx context.Context, w io.Writer, s fileSpec) error {
	if s.Source == "" {
		return errors.New("it has neither content nor source")
	}
	limit := int64(maxDownload)
	if s.Context != nil {
		limit = maxTemplate
	}
	file, err := h.fetcher.download(ctx, string(s.Source), string(s.Authentication), limit)
	if err != nil {
		return err
	}
	defer remove(file)
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if s.Context == nil {
		_, err = io.Copy(w, file)
		return err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	filled, err := fillMustache(string(text), s.Context)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, filled)
	return err
}

// sameContent compares a file with what is there under the name, which must be
// a file and no link to be the same.
func sameContent(file *os.File, name string) (bool, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return false, err
	}
	old, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer old.Close()
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(a)) {
		n, errA := io.ReadFull(io.NewSectionReader(file, at, size-at), a)
		m, errB := io.ReadFull(io.NewSectionReader(old, at, size-at), b)
		for _, err := range []error{errA, errB} {
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
				return false, err
			}
		}
		if !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
	}
	return true, nil
}
