//go:build linux || darwin

package function

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slipway/slipway/agent"
)

// TestMain is, besides the tests, the first process of enclosures, and the
// bootstrap of the functions that the tests run: the test binary by another name.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	if filepath.Base(os.Args[0]) == "bootstrap" {
		os.Exit(bootstrap())
	}
	if len(os.Args) == 4 && os.Args[1] == crashArgument {
		os.Exit(holdUntilKilled(os.Args[2], os.Args[3]))
	}
	status := 1
	err := shared.setUp()
	if err == nil {
		status = m.Run()
	}
	if err := errors.Join(err, shared.tearDown()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

const api = "/2018-06-01/runtime/"

// runtimeClient is a runtime as a user would write it.
type runtimeClient struct{ base string }

func (r runtimeClient) post(path string, body []byte, header ...string) (int, string) {
	req, err := http.NewRequest(http.MethodPost, r.base+api+path, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// background is what a function counts on its own.
var background atomic.Int64

// bootstrap does what _HANDLER names, for each invocation.
func bootstrap() int {
	r := runtimeClient{"http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API")}
	name := os.Getenv("_HANDLER")
	fmt.Println("init of", name)
	switch name {
	case "init error":
		r.post("init/error", []byte(`{"errorType":"Bad.Config","errorMessage":"no config"}`), "Lambda-Runtime-Function-Error-Type", "Bad.Config")
		return 1
	case "init exit":
		return 7
	case "init hang":
		time.Sleep(time.Hour)
	case "init slow":
		time.Sleep(time.Second)
	}
	for n := 1; ; n++ {
		resp, err := http.Get(r.base + api + "invocation/next")
		if err != nil {
			return 1
		}
		event, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return 1
		}
		if code := handle(r, name, n, event, resp.Header); code >= 0 {
			return code
		}
	}
}

// handle handles one event; a code of 0 or more is one to exit with.
func handle(r runtimeClient, name string, n int, event []byte, header http.Header) int {
	id := header.Get("Lambda-Runtime-Aws-Request-Id")
	answer := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		r.post("invocation/"+id+"/response", b)
	}
	switch name {
	case "echo":
		fmt.Printf("event %s\n", event)
		r.post("invocation/"+id+"/response", event)
	case "background": // counts while nobody waits for it; tells how often each time
		if n == 1 {
			go func() {
				for range time.Tick(time.Millisecond) {
					background.Add(1)
				}
			}()
		}
		answer(background.Load())
	case "count":
		_ = os.WriteFile(filepath.Join(os.Getenv("TMPDIR"), fmt.Sprint("file", n)), nil, 0o600)
		files, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "file*"))
		answer([]int{n, len(files)})
	case "headers":
		answer(header)
	case "environment":
		answer(os.Environ())
	case "error":
		r.post("invocation/"+id+"/error", []byte(`{"errorType":"Broken","errorMessage":"it broke"}`), "Lambda-Runtime-Function-Error-Type", "Broken")
	case "exit":
		fmt.Println("about to exit")
		return 3
	case "exit well":
		return 0
	case "segv":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Hour)
	case "hang":
		fmt.Println("hanging")
		time.Sleep(time.Hour)
	case "wait": // for a file that the event names
		var name string
		_ = json.Unmarshal(event, &name)
		fmt.Println("waiting", id)
		for name != "" {
			if _, err := os.Stat(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), name)); err == nil {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		answer(id)
	case "memory":
		hog := make([][]byte, 0, 4096)
		for range 4096 {
			b := bytes.Repeat([]byte{1}, 1<<20)
			hog = append(hog, b)
		}
		answer(len(hog))
	case "large":
		status, _ := r.post("invocation/"+id+"/response", bytes.Repeat([]byte(" "), maxResponse+1))
		fmt.Println("large response:", status)
	case "wrong id":
		status, body := r.post("invocation/not-it/response", []byte("1"))
		late, _ := r.post("init/error", []byte("{}"))
		extension, text := r.post("../../2020-01-01/extension/register", nil)
		answer([]any{status, body, late, extension, text})
	case "connections":
		conns := make([]net.Conn, 0, 100)
		for range cap(conns) {
			c, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
			if err != nil {
				break // the backlog is full
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			c.Close()
		}
		answer(len(conns))
	case "lines":
		fmt.Print("one\ntwo\r\n\nthree without an end")
		answer(nil)
	case "flood":
		fmt.Println(strings.Repeat("x", maxLine+10))
		for i := range 2000 {
			fmt.Println("line", i)
		}
		answer(nil)
	case "leave a child":
		if _, err := os.StartProcess("/bin/sleep", []string{"sleep", "3333"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}}); err != nil {
			answer(err.Error())
			break
		}
		answer(os.Getpid())
	case "init slow":
		answer("at last")
	default:
		answer("no such behaviour: " + name)
	}
	return -1
}
