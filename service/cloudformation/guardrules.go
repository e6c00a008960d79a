package cloudformation

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn/guard"
	"github.com/slipway/slipway/fault"
)

// ruleFile is a file of Guard rules.
type ruleFile struct {
	name string
	text []byte
}

// unpacking collects the files of rules of an archive, within bounds. What an archive
// has beside them is passed over.
type unpacking struct {
	files []ruleFile
	size  int64
}

// ruleFiles are the files of rules that an object is, or has.
func ruleFiles(key string, body []byte) (files []ruleFile, err error) {
	u := &unpacking{}
	switch {
	case strings.HasSuffix(key, ".zip"):
		err = u.zip(body)
	case strings.HasSuffix(key, ".tar.gz"):
		err = u.tar(body)
	default:
		return []ruleFile{{path.Base(key), body}}, nil
	}
	if _, classified := fault.As(err); err != nil && !classified {
		err = fault.New("InvalidRules", "%s is no archive that can be read", key)
	}
	if err == nil && len(u.files) == 0 {
		err = fault.New("InvalidRules", "%s has no file that ends in .guard", key)
	}
	slices.SortFunc(u.files, func(a, b ruleFile) int { return cmp.Compare(a.name, b.name) })
	return u.files, err
}

func (u *unpacking) zip(body []byte) error {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return err
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() || !strings.HasSuffix(f.Name, ".guard") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		err = u.add(f.Name, r)
		_ = r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacking) tar(body []byte) error {
	g, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	// What is passed over is unpacked, too.
	t := tar.NewReader(io.LimitReader(g, 2*maxUnpacked))
	for {
		f, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if f.Typeflag != tar.TypeReg || !strings.HasSuffix(f.Name, ".guard") {
			continue
		}
		if err := u.add(f.Name, t); err != nil {
			return err
		}
	}
}

func (u *unpacking) add(name string, r io.Reader) error {
	if len(u.files) == maxRuleFiles {
		return fault.New("InvalidRules", "the archive has more than %d files of rules", maxRuleFiles)
	}
	text, err := io.ReadAll(io.LimitReader(r, guard.MaxRules+1))
	if err != nil {
		return err
	}
	if u.size += int64(len(text)); u.size > maxUnpacked {
		return fault.New("InvalidRules", "the archive's files of rules have more than %d bytes", maxUnpacked)
	}
	u.files = append(u.files, ruleFile{name, text})
	return nil
}
