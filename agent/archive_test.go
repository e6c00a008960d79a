package agent

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
)

func packTar(t *testing.T, packed bool, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if !packed {
		w = tar.NewWriter(&b)
	}
	for _, h := range headers {
		text := h.Uname // what the file holds
		h.Uname, h.Size = "", int64(len(text))
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if packed {
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func packZip(t *testing.T, names map[string]string, link bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range names {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o755)
		if link {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sourceOf unpacks what a server answers into /opt/app of a new host.
func sourceOf(t *testing.T, body []byte) (*host, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	defer server.Close()
	h, _ := testHost(t)
	t.Setenv("TMPDIR", t.TempDir())
	_, err := h.sources(t.Context(), map[string]scalar{"/opt/app": scalar(server.URL + "/a?X-Amz-Signature=secret")})
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return h, err
}

func TestSourcesUnpack(t *testing.T) {
	headers := []tar.Header{
		{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "./bin/run", Uname: "it", Mode: 0o4755},
		{Name: "bin/link", Linkname: "../bin/run", Typeflag: tar.TypeSymlink}, {Name: "hard", Linkname: "./bin/run", Typeflag: tar.TypeLink},
	}
	for name, body := range map[string][]byte{
		"tar": packTar(t, false, headers...), "tar.gz": packTar(t, true, headers...), "zip": packZip(t, map[string]string{"bin/run": "it"}, false),
	} {
		h, err := sourceOf(t, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info, err := os.Stat(h.path("/opt/app/bin/run")); err != nil || info.Mode() != 0o755 || read(t, h, "/opt/app/bin/run") != "it" {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if name != "zip" && (read(t, h, "/opt/app/bin/link") != "it" || read(t, h, "/opt/app/hard") != "it") {
			t.Errorf("%s: its links lead elsewhere", name)
		}
	}
}

// TestHostileArchives: nothing of an archive is written when any of it leads
// out of its folder.
func TestHostileArchives(t *testing.T) {
	good := tar.Header{Name: "good", Uname: "text"}
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	whole := packTar(t, true, good, tar.Header{Name: "large", Uname: strings.Repeat("x", 100000)})
	for name, body := range map[string][]byte{
		"up":                packTar(t, true, good, tar.Header{Name: "../bad", Uname: "x"}),
		"up within":         packTar(t, true, good, tar.Header{Name: "a/../../bad", Uname: "x"}),
		"absolute":          packTar(t, true, good, tar.Header{Name: "/etc/bad", Uname: "x"}),
		"absolute link":     packTar(t, true, good, link("l", "/etc")),
		"link up":           packTar(t, true, good, link("a/l", "../../etc")),
		"link of a link":    packTar(t, true, good, link("d/l", ".."), link("m", "d/l/..")),
		"through a link":    packTar(t, true, good, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, link("l", "d"), tar.Header{Name: "l/bad", Uname: "x"}),
		"hard link up":      packTar(t, true, good, tar.Header{Name: "h", Linkname: "../../etc/passwd", Typeflag: tar.TypeLink}),
		"hard link to none": packTar(t, true, good, tar.Header{Name: "h", Linkname: "none", Typeflag: tar.TypeLink}),
		"device":            packTar(t, true, good, tar.Header{Name: "sda", Typeflag: tar.TypeBlock, Devmajor: 8}),
		"pipe":              packTar(t, true, good, tar.Header{Name: "p", Typeflag: tar.TypeFifo}),
		"zip up":            packZip(t, map[string]string{"../bad": "x"}, false),
		"zip backslash":     packZip(t, map[string]string{`..\bad`: "x"}, false),
		"zip link":          packZip(t, map[string]string{"l": "/etc"}, true),
		"cut off":           whole[:len(whole)-50],
		"text":              []byte("<html>not found</html>"),
		"nothing":           nil,
	} {
		h, err := sourceOf(t, body)
		if err == nil {
			t.Errorf("%s: it was unpacked", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the signature: %v", name, err)
		}
		if _, err := os.Lstat(h.path("/opt/app/good")); err == nil {
			t.Errorf("%s: a part of it was written", name)
		}
		_ = filepath.WalkDir(h.root, func(path string, e fs.DirEntry, _ error) error {
			if e.Name() == "bad" {
				t.Errorf("%s: %s was written", name, path)
			}
			return nil
		})
	}
}

// TestUnpackingStaysBelow: links that were there before lead nowhere either.
func TestUnpackingStaysBelow(t *testing.T) {
	outside := t.TempDir()
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(packTar(t, true, tar.Header{Name: "d/bad", Uname: "x"})); err != nil {
		t.Fatal(err)
	}
	a, err := openArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	if err := a.unpack(dir); err == nil {
		t.Error("it was unpacked")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("written outside: %v", left)
	}
}

func TestTopFolderOfRepositories(t *testing.T) {
	for from, want := range map[string]bool{
		"https://github.com/a/b/tarball/main": true, "https://api.github.com/repos/a/b/zipball/v1": true,
		"https://github.com/a/b/releases/download/v1/x.tgz": false, "https://example.com/tarball/x": false,
	} {
		if got := ofGitHub(from); got != want {
			t.Errorf("%s: %v", from, got)
		}
	}
	a := archive{strip: true}
	if got, ok, err := a.clean("b-main/bin/run"); got != "bin/run" || !ok || err != nil {
		t.Errorf("%q, %v, %v", got, ok, err)
	}
	if _, ok, err := a.clean("b-main/"); ok || err != nil {
		t.Errorf("the top folder itself: %v, %v", ok, err)
	}
}

func TestDownloadsAreBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1001)) }))
	defer server.Close()
	f := &fetcher{tries: 3}
	if _, err := f.download(t.Context(), server.URL, "", 1000); err == nil || !strings.Contains(err.Error(), "larger than 1000 bytes") {
		t.Errorf("%v", err)
	}
	file, err := f.download(t.Context(), server.URL, "", 1001)
	if err != nil {
		t.Fatal(err)
	}
	remove(file)
}

func TestSourcesInS3(t *testing.T) {
	var paths, signed []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/latest/api/token":
			_, _ = w.Write([]byte("token"))
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
			_, _ = w.Write([]byte("reader"))
		case strings.HasSuffix(r.URL.Path, "/security-credentials/reader"):
			_, _ = w.Write([]byte(`{"AccessKeyId":"ASIAROLE","SecretAccessKey":"x","Token":"t"}`))
		case strings.HasPrefix(r.URL.Path, "/bucket/"):
			paths, signed = append(paths, r.RequestURI), append(signed, r.Header.Get("Authorization"))
			_, _ = w.Write([]byte("text"))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	f := &fetcher{md: newIMDS(server.URL), tries: 1, region: "eu-west-1", auth: map[string]authentication{"a": {Type: "S3", Buckets: scalars{"bucket"}}}}
	for _, source := range []string{
		"s3://bucket/a b+c", "https://bucket.s3.amazonaws.com/a%20b%2Bc", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b%2Bc",
		"https://s3-eu-west-1.amazonaws.com/bucket/a%20b%2Bc", server.URL + "/bucket/a%20b%2Bc",
	} {
		file, err := f.download(t.Context(), source, "", 100)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		remove(file)
		if got := paths[len(paths)-1]; got != "/bucket/a%20b%2Bc" {
			t.Errorf("%s: asked for %s", source, got)
		}
		if got := signed[len(signed)-1]; !strings.Contains(got, "Credential=ASIAROLE/") || !strings.Contains(got, "/eu-west-1/s3/") {
			t.Errorf("%s: signed %s", source, got)
		}
	}
	if _, err := f.download(t.Context(), "s3://bucket", "", 100); err == nil || !strings.Contains(err.Error(), "not an object") {
		t.Errorf("a bucket: %v", err)
	}
}

func TestSignaturesOfGetAreThoseOfPackageAuth(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, token := range []string{"", "a session/token+"} {
		var got [2]string
		for i := range got {
			r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:4566/"+escapeKey("bucket/a b+c~é"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				signGet(r, credentials{AccessKeyID: "ASIA", SecretAccessKey: "secret", Token: token}, "eu-west-1", now)
			} else {
				auth.Sign(r, nil, auth.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "secret", SessionToken: token}, "s3", "eu-west-1", now)
			}
			got[i] = r.Header.Get("Authorization")
		}
		if got[0] != got[1] {
			t.Errorf("signed\n%s, package auth signs\n%s", got[0], got[1])
		}
	}
}
