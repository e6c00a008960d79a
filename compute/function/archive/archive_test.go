package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// file is an entry of an archive that a test makes.
type file struct {
	name, text string
	mode       fs.FileMode
}

func zipOf(t *testing.T, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte(f.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchives(t *testing.T) {
	const most = 13
	link := fs.ModeSymlink | 0o777
	for name, tt := range map[string]struct {
		files []file
		want  error
	}{
		"files, folders and links":     {[]file{{"a/", "", fs.ModeDir | 0o755}, {"a/run", "#!", 0o700}, {"b/c/text", "123", 0o600}, {"b/link", "../a/run", link}}, nil},
		"as large as it may be":        {[]file{{"a", "1234567890123", 0o644}}, nil},
		"too large":                    {[]file{{"a", "12345678901234", 0o644}}, ErrTooLarge},
		"too large together":           {[]file{{"a", "1234567", 0o644}, {"b", "1234567", 0o644}}, ErrTooLarge},
		"above the folder":             {[]file{{"../a", "1", 0o644}}, ErrBad},
		"above, by a folder of its":    {[]file{{"a/../../b", "1", 0o644}}, ErrBad},
		"at the top of the host":       {[]file{{"/etc/a", "1", 0o644}}, ErrBad},
		"with a backslash":             {[]file{{`a\b`, "1", 0o644}}, ErrBad},
		"a link above the folder":      {[]file{{"a/b", "../../c", link}}, ErrBad},
		"a link to the host":           {[]file{{"a", "/etc", link}}, ErrBad},
		"a file within a link":         {[]file{{"a", "b", link}, {"a/c", "1", 0o644}}, ErrBad},
		"a file twice":                 {[]file{{"a", "1", 0o644}, {"a", "2", 0o644}}, ErrBad},
		"what is no file nor a folder": {[]file{{"a", "", fs.ModeNamedPipe | 0o644}}, ErrBad},
	} {
		b := zipOf(t, tt.files...)
		a, err := Check(bytes.NewReader(b), int64(len(b)), most)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if err != nil || tt.want != nil {
			continue
		}
		dir := filepath.Join(t.TempDir(), "new")
		if err := a.Extract(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range tt.files {
			if f.mode.IsDir() {
				continue
			}
			want := f.text
			if f.mode&fs.ModeSymlink != 0 {
				want = "#!"
			}
			if got, err := os.ReadFile(filepath.Join(dir, f.name)); err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v", name, f.name, got, err)
			}
		}
	}
	if _, err := Check(bytes.NewReader([]byte("no zip")), 6, most); !errors.Is(err, ErrBad) {
		t.Errorf("what is no zip: %v", err)
	}
}

// Everybody may read what was unpacked, and run what may be run.
func TestModes(t *testing.T) {
	b := zipOf(t, file{"run", "1", 0o700}, file{"text", "2", 0o600})
	a, err := Check(bytes.NewReader(b), int64(len(b)), 8)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := a.Extract(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"run": 0o755, "text": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// A directory that says less than the files have bounds what is written all the same.
func TestADirectoryThatLies(t *testing.T) {
	b := zipOf(t, file{"a", "12345678", 0o644})
	at := bytes.LastIndex(b, []byte("PK\x01\x02")) // the entry in the directory; its size is at 24
	b[at+24] = 2
	a, err := Check(bytes.NewReader(b), int64(len(b)), 4)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := a.Extract(dir); !errors.Is(err, ErrBad) {
		t.Errorf("it is unpacked: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "a")); err == nil && info.Size() > 4 {
		t.Errorf("%d bytes were written", info.Size())
	}
}
