package platform

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store/sqlite"
)

// ask makes a signed request and returns the answer's body.
func ask(t *testing.T, p *Platform, method, path, service, body string, header ...string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.Endpoint()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	auth.Sign(r, []byte(body), auth.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "local"}, service, "us-east-1", time.Now())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %d, error %v: %s", method, path, resp.StatusCode, err, answer)
	}
	return string(answer)
}

func askJSON(t *testing.T, p *Platform, target, body string) string {
	t.Helper()
	service := map[bool]string{true: "sqs", false: "ssm"}[strings.HasPrefix(target, "AmazonSQS")]
	version := map[bool]string{true: "1.0", false: "1.1"}[service == "sqs"]
	return ask(t, p, http.MethodPost, "/", service, body, "Content-Type", "application/x-amz-json-"+version, "X-Amz-Target", target)
}

// inventory is what the services show, apart from the address in it.
func inventory(t *testing.T, p *Platform, objects int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(askJSON(t, p, "AmazonSQS.ListQueues", "{}") + "\n")
	b.WriteString(askJSON(t, p, "AmazonSQS.GetQueueAttributes", `{"QueueUrl":"`+p.Endpoint()+`/000000000000/q","AttributeNames":["All"]}`) + "\n")
	b.WriteString(askJSON(t, p, "AmazonSSM.GetParameters", `{"Names":["plain","secret"],"WithDecryption":true}`) + "\n")
	b.WriteString(ask(t, p, http.MethodGet, "/bucket?list-type=2&prefix=kept", "s3", "") + "\n")
	b.WriteString(functionAndCode(t, p) + "\n")
	for i := range objects {
		b.WriteString(ask(t, p, http.MethodGet, fmt.Sprintf("/bucket/kept-%d", i), "s3", "") + "\n")
	}
	return strings.ReplaceAll(b.String(), p.Endpoint(), "")
}

func TestBackupWhileRunningRestoresTheSame(t *testing.T) {
	p := start(t, nil)
	askJSON(t, p, "AmazonSQS.CreateQueue", `{"QueueName":"q"}`)
	for i := range 5 {
		askJSON(t, p, "AmazonSQS.SendMessage", fmt.Sprintf(`{"QueueUrl":"%s/000000000000/q","MessageBody":"message %d"}`, p.Endpoint(), i))
	}
	askJSON(t, p, "AmazonSSM.PutParameter", `{"Name":"plain","Type":"String","Value":"v"}`)
	askJSON(t, p, "AmazonSSM.PutParameter", `{"Name":"secret","Type":"SecureString","Value":"hidden"}`)
	makeFunction(t, p)
	ask(t, p, http.MethodPut, "/bucket", "s3", "")
	sizes := []int{0, 10, 100_000, 1_500_000}
	for i, n := range sizes {
		ask(t, p, http.MethodPut, fmt.Sprintf("/bucket/kept-%d", i), "s3", strings.Repeat(string(rune('a'+i)), n))
	}
	want := inventory(t, p, len(sizes))

	// Objects come, go and are replaced while the backup runs.
	done := make(chan struct{})
	var traffic sync.WaitGroup
	for w := range 2 {
		traffic.Add(1)
		go func() {
			defer traffic.Done()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				path := fmt.Sprintf("/bucket/moving-%d-%d", w, i%3)
				ask(t, p, http.MethodPut, path, "s3", strings.Repeat("m", 200_000))
			}
		}()
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	cfg := Config{Dir: p.Dir(), Version: "test"}
	head, err := Backup(t.Context(), cfg, file, BackupWith{Disks: true})
	close(done)
	traffic.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(p.Dir(), ".backup-*")); left != nil {
		t.Errorf("the backup left %v", left)
	}
	if _, err := Backup(t.Context(), cfg, file, BackupWith{Disks: true}); err == nil {
		t.Error("a backup took the place of another")
	}

	to := Config{Dir: filepath.Join(dir, "restored"), Version: "test"}
	if _, err := Restore(t.Context(), to, file, ""); err == nil || !strings.Contains(err.Error(), "--keys") {
		t.Errorf("restored without keys: %v", err)
	}
	found, err := Restore(t.Context(), to, file, p.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if found.Files != head.Files || found.Documents == 0 {
		t.Errorf("restored %+v of %+v", found, head)
	}
	if _, err := Restore(t.Context(), to, file, p.Dir()); err == nil {
		t.Error("a folder in use was restored over")
	}
	again := start(t, func(c *Config) { c.Dir = to.Dir })
	if got := inventory(t, again, len(sizes)); got != want {
		t.Errorf("restored:\n%.2000s\nwant:\n%.2000s", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".restore-*")); left != nil {
		t.Errorf("the restores left %v", left)
	}
}

func TestDamagedBackupsAreRefused(t *testing.T) {
	p := start(t, nil)
	ask(t, p, http.MethodPut, "/bucket", "s3", "")
	ask(t, p, http.MethodPut, "/bucket/key", "s3", strings.Repeat("x", 500_000))
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	if _, err := Backup(t.Context(), Config{Dir: p.Dir()}, file, BackupWith{Keys: true}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// change rewrites the archive, entry by entry.
	change := func(edit func(h *tar.Header, content []byte) []byte) []byte {
		var out bytes.Buffer
		r, w := tar.NewReader(bytes.NewReader(whole)), tar.NewWriter(&out)
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if content = edit(h, content); content == nil {
				continue
			}
			h.Size = int64(len(content))
			if h.Typeflag != tar.TypeReg {
				h.Size = 0
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				if _, err := w.Write(content); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	object := func(h *tar.Header) bool { return strings.HasPrefix(h.Name, "objects/objects/") }
	for name, content := range map[string][]byte{
		"empty":     {},
		"no backup": []byte("hello"),
		"cut":       whole[:len(whole)/2],
		"a byte": change(func(h *tar.Header, c []byte) []byte {
			if object(h) {
				c[len(c)/2] ^= 1
			}
			return c
		}),
		"a file less": change(func(h *tar.Header, c []byte) []byte {
			if object(h) {
				return nil
			}
			return c
		}),
		"a path out": change(func(h *tar.Header, c []byte) []byte {
			if object(h) {
				h.Name = "../../escaped"
			}
			return c
		}),
		"a link": change(func(h *tar.Header, c []byte) []byte {
			if object(h) {
				h.Typeflag, h.Linkname = tar.TypeSymlink, "/etc/passwd"
			}
			return c
		}),
		"a newer format": change(func(h *tar.Header, c []byte) []byte {
			if h.Name == backupHead {
				return bytes.Replace(c, []byte(`"format":2`), []byte(`"format":9`), 1)
			}
			return c
		}),
	} {
		t.Run(name, func(t *testing.T) {
			bad := filepath.Join(t.TempDir(), "bad")
			if err := os.WriteFile(bad, content, 0o600); err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), "to")
			if _, err := Restore(t.Context(), Config{Dir: to}, bad, ""); err == nil {
				t.Error("it was restored")
			}
			if _, err := os.Stat(to); err == nil {
				t.Error("it left a folder")
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "escaped")); err == nil {
		t.Error("a file was written outside")
	}
}

func TestArchivesHoldNoMoreThanTheirSize(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name, content string) {
		t.Helper()
		if err := addBytes(w, name, []byte(content), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	add(backupHead, `{"format":1,"files":1}`)
	add(sqlite.FileName, strings.Repeat("x", 5000))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unpack(t.Context(), &b, 4999, t.TempDir()); err == nil || !strings.Contains(err.Error(), "more bytes") {
		t.Errorf("unpacked: %v", err)
	}
}

func TestStaleFoldersOfBackupsGo(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, ".backup-1"), filepath.Join(dir, ".backup-2")
	for _, stage := range []string{old, fresh} {
		if err := os.MkdirAll(filepath.Join(stage, "objects"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	if err := os.Chtimes(old, now, now.Add(-2*staleStage)); err != nil {
		t.Fatal(err)
	}
	release, err := lockStage(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := dropStages(dir, now.Add(-staleStage)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old one is there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("the fresh one is gone")
	}
	if err := errors.Join(release(), dropStages(dir, now.Add(-staleStage))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fresh); runtime.GOOS == "linux" && err == nil {
		t.Error("the one whose backup has ended is there")
	}
}
