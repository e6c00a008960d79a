package load

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/server"
)

// Limits of the issue ("The ground floor, whole") for objects.
const (
	smallObjectLimit  = 0.5      // of an empty handler's request rate
	largeObjectLimit  = 0.7      // of the throughput of a plain file copy
	objectMemoryLimit = 64 << 20 // of growth, whatever an object's size
)

const (
	smallObject = 1 << 10
	largeObject = 1 << 30
	// objectClients ask both servers. They share the group commits of durable puts,
	// and are so many that the machine's processors are what both are measured by:
	// few would wait for one flush of the disk after the other, and leave the
	// processors idle, which a handler that writes nothing never does.
	objectClients = 256
	objectTurn    = 3 * rateTurn
	unsignedBody  = "UNSIGNED-PAYLOAD"
)

// filePeerEnv makes the test binary a plain file server on the folder that it
// names: PUT writes a file and syncs it, GET sends it. It stands for a copy.
const filePeerEnv = "SLIPWAY_LOAD_FILES"

func init() {
	if dir := os.Getenv(filePeerEnv); dir != "" {
		os.Exit(serveFiles(dir))
	}
}

func serveFiles(dir string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr())
	err = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := filepath.Join(dir, filepath.Base(r.URL.Path))
		if r.Method == http.MethodPut {
			if err := copyToFile(path, r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
			return
		}
		http.ServeFile(w, r, path)
	}))
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func copyToFile(path string, body io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, body); err != nil {
		return err
	}
	return f.Sync()
}

// startFilePeer runs the plain file server for one benchmark.
func startFilePeer(b *testing.B) string {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), filePeerEnv+"="+b.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	return "http://" + strings.TrimSpace(string(line[:n]))
}

// objects talks to the objects of a bucket as SDKs do.
type objects struct {
	tb       testing.TB
	client   *http.Client
	endpoint string
	keys     auth.Credentials
}

func newObjects(tb testing.TB, endpoint string, keys auth.Credentials) *objects {
	o := &objects{tb, &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: objectClients, DisableCompression: true, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}}, endpoint, keys}
	tb.Cleanup(o.client.CloseIdleConnections)
	return o
}

// request makes a signed request. The signature covers a body that is given as
// bytes; a stream is sent as SDKs send it over TLS, with its hash left out.
func (o *objects) request(method, path string, body []byte, stream io.Reader, length int64) *http.Request {
	r, err := http.NewRequestWithContext(o.tb.Context(), method, o.endpoint+path, stream)
	if err != nil {
		o.tb.Fatal(err)
	}
	if stream != nil {
		r.ContentLength = length
		r.Header.Set("X-Amz-Content-Sha256", unsignedBody)
	}
	auth.Sign(r, body, o.keys, "s3", "us-east-1", time.Now())
	return r
}

// do sends a request that must succeed and reads the answer into w.
func (o *objects) do(r *http.Request, w io.Writer) http.Header {
	o.tb.Helper()
	resp, err := o.client.Do(r)
	if err != nil {
		o.tb.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		answer, _ := io.ReadAll(resp.Body)
		o.tb.Fatalf("%s %s: status %d: %s", r.Method, r.URL.Path, resp.StatusCode, answer)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		o.tb.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return resp.Header
}

func (o *objects) call(method, path, body string) string {
	o.tb.Helper()
	var answer bytes.Buffer
	o.do(o.request(method, path, []byte(body), nil, 0), &answer)
	return answer.String()
}

// stream is a body of a length that costs its sender next to nothing.
func stream(length int64) io.Reader { return io.LimitReader(&endless{block: pattern()}, length) }

type endless struct {
	block []byte
	at    int
}

func pattern() []byte {
	block := make([]byte, 1<<20)
	x := uint32(1)
	for i := range block {
		x = x*1664525 + 1013904223
		block[i] = byte(x >> 24)
	}
	return block
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.block[e.at:])
	e.at = (e.at + n) % len(e.block)
	return n, nil
}

// turn sends the requests again and again for one turn, one client for each, and
// returns how many were answered and how long that took: what is under way when
// the turn ends is waited for.
func (o *objects) turn(requests []*http.Request, body []byte) (int, time.Duration) {
	var wg sync.WaitGroup
	counts := make([]int, len(requests))
	began := time.Now()
	end := began.Add(objectTurn)
	for i, r := range requests {
		wg.Go(func() {
			for time.Now().Before(end) {
				again := r.Clone(o.tb.Context())
				if body != nil {
					again.Body = io.NopCloser(bytes.NewReader(body))
				}
				resp, err := o.client.Do(again)
				if err != nil {
					o.tb.Error(err)
					return
				}
				answer, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					o.tb.Errorf("status %d, error %v: %s", resp.StatusCode, err, answer)
					return
				}
				counts[i]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, time.Since(began)
}

// BenchmarkSmallObjects compares puts, each durable before its answer, and gets of
// 1 KB with an empty handler that is asked by the same clients with the same bytes.
func BenchmarkSmallObjects(b *testing.B) {
	s, keys := startClosed(b)
	peerURL, peerPID := runPeer(b)
	peer := newObjects(b, peerURL, keys)
	ours := newObjects(b, s.Endpoint, keys)
	ours.call(http.MethodPut, "/bench", "")
	body := pattern()[:smallObject]
	for b.Loop() {
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			var sent []byte
			if method == http.MethodPut {
				sent = body
			}
			var own, other []*http.Request
			for i := range objectClients {
				path := fmt.Sprintf("/bench/folder/key-%04d", i)
				own = append(own, ours.request(method, path, sent, nil, 0))
				other = append(other, peer.request(method, path, sent, nil, 0))
			}
			n, m := 0, 0
			var took, peerTook, spent, peerSpent time.Duration
			for round := range rateRounds {
				spentBefore, peerBefore := processorTime(b, s.PID), processorTime(b, peerPID)
				x, xTook := ours.turn(own, sent)
				y, yTook := peer.turn(other, sent)
				if round > 0 {
					n, m, took, peerTook = n+x, m+y, took+xTook, peerTook+yTook
					spent += processorTime(b, s.PID) - spentBefore
					peerSpent += processorTime(b, peerPID) - peerBefore
				}
			}
			if b.Failed() {
				return
			}
			name := "1KB-" + strings.ToLower(method)
			rate := float64(n) / took.Seconds()
			ratio := rate / (float64(m) / peerTook.Seconds())
			b.ReportMetric(rate, "rps-"+name)
			b.ReportMetric(float64(spent.Microseconds())/float64(n), "us-cpu-"+name)
			b.ReportMetric(float64(peerSpent.Microseconds())/float64(m), "us-cpu-empty-"+name)
			b.ReportMetric(ratio, "ratio-"+name)
			if ratio < smallObjectLimit {
				b.Errorf("%s: %.2f of the rate of an empty handler, limit %.2f; %d calls and %d of the handler's took the processors %s and %s",
					name, ratio, smallObjectLimit, n, m, spent, peerSpent)
			}
		}
	}
}

// BenchmarkLargeObject compares a put and a get of 1 GB with a plain copy of a
// file over HTTP: a handler that writes the body to a file and syncs it, and one
// that sends the file, which the client writes to a file of its own in both
// cases. The median of the rounds counts.
func BenchmarkLargeObject(b *testing.B) {
	s, keys := startClosed(b)
	peer := newObjects(b, startFilePeer(b), keys)
	ours := newObjects(b, s.Endpoint, keys)
	ours.call(http.MethodPut, "/bench", "")
	const rounds = 3
	for b.Loop() {
		took := map[string][]time.Duration{}
		for range rounds {
			for name, o := range map[string]*objects{"copy": peer, "object": ours} {
				began := time.Now()
				o.do(o.request(http.MethodPut, "/bench/large", nil, stream(largeObject), largeObject), io.Discard)
				took["put-"+name] = append(took["put-"+name], time.Since(began))
				took["get-"+name] = append(took["get-"+name], o.download(b, "/bench/large", largeObject))
			}
		}
		for _, name := range []string{"put", "get"} {
			own, other := middle(took[name+"-object"]), middle(took[name+"-copy"])
			ratio := other.Seconds() / own.Seconds()
			b.ReportMetric(float64(largeObject>>20)/own.Seconds(), "MiB/s-1GB-"+name)
			b.ReportMetric(ratio, "ratio-1GB-"+name)
			if ratio < largeObjectLimit {
				b.Errorf("1 GB %s: %.2f of a plain file copy (%s against %s), limit %.2f", name, ratio, own, other, largeObjectLimit)
			}
		}
	}
}

// download copies an object into a file and returns how long that took.
func (o *objects) download(tb testing.TB, path string, size int64) time.Duration {
	f, err := os.Create(filepath.Join(tb.TempDir(), "copy"))
	if err != nil {
		tb.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	began := time.Now()
	o.do(o.request(http.MethodGet, path, nil, nil, 0), f)
	took := time.Since(began)
	if info, err := f.Stat(); err != nil || info.Size() != size {
		tb.Fatalf("the copy of %d bytes: %v, %v", size, info, err)
	}
	return took
}

func middle(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// BenchmarkHugeObject puts and gets 5 GB, whole and in parts, and fails if the
// server's memory grows with it.
func BenchmarkHugeObject(b *testing.B) {
	s, keys := startClosed(b)
	o := newObjects(b, s.Endpoint, keys)
	for b.Loop() {
		b.ReportMetric(float64(growth(o, s, 5<<30))/(1<<20), "MiB-growth-5GB")
	}
}

// The same with an object that make test has the time for.
func TestMemoryDoesNotGrowWithAnObject(t *testing.T) {
	s, err := server.Start(binary, nil, "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--log", "error")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	t.Logf("grew by %d MiB", growth(newObjects(t, s.Endpoint, credentials), s, 256<<20)>>20)
}

var uploadID = regexp.MustCompile(`<UploadId>([0-9a-f]+)</UploadId>`)

// growth puts and gets an object of a size, whole and in parts, four at a time,
// and returns by how much the server's peak of memory rose.
func growth(o *objects, s *server.Server, size int64) int64 {
	o.tb.Helper()
	o.call(http.MethodPut, "/huge", "")
	o.call(http.MethodPut, "/huge/warm", "x")
	before := resident(o.tb, s.PID, "VmHWM")
	o.do(o.request(http.MethodPut, "/huge/whole", nil, stream(size), size), io.Discard)
	o.do(o.request(http.MethodGet, "/huge/whole", nil, nil, 0), io.Discard)
	o.call(http.MethodDelete, "/huge/whole", "")
	o.inParts("/huge/parts", size, 16)
	o.do(o.request(http.MethodGet, "/huge/parts", nil, nil, 0), io.Discard)
	o.call(http.MethodDelete, "/huge/parts", "")
	grown := resident(o.tb, s.PID, "VmHWM") - before
	if grown > objectMemoryLimit {
		o.tb.Errorf("the server's memory grew by %d MiB with an object of %d MiB, limit %d MiB", grown>>20, size>>20, objectMemoryLimit>>20)
	}
	return grown
}

func (o *objects) inParts(path string, size int64, parts int) {
	o.tb.Helper()
	id := uploadID.FindStringSubmatch(o.call(http.MethodPost, path+"?uploads=", ""))
	if id == nil {
		o.tb.Fatal("CreateMultipartUpload gave no id")
	}
	tags := make([]string, parts)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i := range parts {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			length := size / int64(parts)
			resp, err := o.client.Do(o.request(http.MethodPut, fmt.Sprintf("%s?partNumber=%d&uploadId=%s", path, i+1, id[1]), nil, stream(length), length))
			if err != nil {
				o.tb.Error(err)
				return
			}
			defer resp.Body.Close()
			tags[i] = resp.Header.Get("ETag")
		})
	}
	wg.Wait()
	list := "<CompleteMultipartUpload>"
	for i, tag := range tags {
		list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, tag)
	}
	o.call(http.MethodPost, path+"?uploadId="+id[1], list+"</CompleteMultipartUpload>")
}

// resident reads a process's memory in bytes by the field's name in /proc.
func resident(tb testing.TB, pid int, field string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Skipf("memory is read from /proc, which this system lacks: %v", err)
	}
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		tb.Fatalf("/proc shows no %s", field)
	}
	kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kb << 10
}
