package function

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// runtimeAPI serves one environment what AWS documents in "Using the Lambda
// runtime API for custom runtimes". It owns the goroutines of its server; close
// ends them.
type runtimeAPI struct {
	server  http.Server
	serving sync.WaitGroup
	calls   chan *call    // to the runtime's request for the next
	ready   chan struct{} // closed by its first one: the init phase is over
	failed  chan failure  // what it told instead
	quit    chan struct{} // closed by close
	bodies  chan struct{} // bounds how many are read at a time

	mu      sync.Mutex
	first   bool
	current *call
}

// call is an invocation on its way through an environment.
type call struct {
	Invocation
	answer   chan answer // to the caller
	posted   chan posted // by the runtime
	deadline time.Time
}

type answer struct {
	result Result
	err    error
}

// posted is what a runtime said of a call.
type posted struct {
	payload []byte
	failure string // the type of the error, "" for none
	at      time.Time
}

// failure is why an init phase or an invocation came to nothing.
type failure struct {
	kind    string // "Runtime.ExitError"
	status  string // of the REPORT line
	payload []byte
	said    string // for the log, "" for nothing
}

func newCall(inv Invocation) *call {
	return &call{Invocation: inv, answer: make(chan answer, 1), posted: make(chan posted, 1)}
}

const (
	apiVersion  = "/2018-06-01/runtime/"
	errorHeader = "Lambda-Runtime-Function-Error-Type"
)

func newRuntimeAPI(l net.Listener) *runtimeAPI {
	a := &runtimeAPI{
		calls: make(chan *call), ready: make(chan struct{}), failed: make(chan failure, 1), quit: make(chan struct{}),
		bodies: make(chan struct{}, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+apiVersion+"invocation/next", a.next)
	mux.HandleFunc("POST "+apiVersion+"invocation/{id}/response", a.response)
	mux.HandleFunc("POST "+apiVersion+"invocation/{id}/error", a.invocationError)
	mux.HandleFunc("POST "+apiVersion+"init/error", a.initError)
	mux.HandleFunc("/2020-01-01/", notBuilt("the Extensions API"))
	mux.HandleFunc("/2022-07-01/", notBuilt("the Telemetry API"))
	a.server.Handler = mux
	a.server.ReadHeaderTimeout = time.Minute
	a.serving.Go(func() {
		_ = a.server.Serve(&bounded{Listener: l, room: make(chan struct{}, maxConnections), quit: a.quit})
	})
	return a
}

// close ends the server and all of its connections.
func (a *runtimeAPI) close() {
	close(a.quit)
	_ = a.server.Close()
	a.serving.Wait()
}

// next answers with the next invocation, once there is one.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	busy := a.current != nil
	if !a.first && !busy {
		a.first = true
		close(a.ready)
	}
	a.mu.Unlock()
	if busy {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "The invocation before was not answered")
		return
	}
	var c *call
	select {
	case c = <-a.calls:
	case <-r.Context().Done():
		return
	case <-a.quit:
		return
	}
	a.mu.Lock()
	a.current = c
	a.mu.Unlock()
	head := w.Header()
	head.Set("Lambda-Runtime-Aws-Request-Id", c.RequestID)
	head.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
	head.Set("Lambda-Runtime-Invoked-Function-Arn", c.InvokedARN)
	for name, value := range map[string]string{
		"Lambda-Runtime-Trace-Id": c.Trace, "Lambda-Runtime-Client-Context": c.ClientContext, "Lambda-Runtime-Cognito-Identity": c.Identity,
	} {
		if value != "" {
			head.Set(name, value)
		}
	}
	head.Set("Content-Type", "application/json")
	head.Set("Content-Length", strconv.Itoa(len(c.Payload)))
	_, _ = w.Write(c.Payload)
}

// asked finds the call that a path names, or refuses.
func (a *runtimeAPI) asked(w http.ResponseWriter, r *http.Request) *call {
	a.mu.Lock()
	c := a.current
	a.mu.Unlock()
	if c == nil || c.RequestID != r.PathValue("id") {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	}
	return c
}

// finish gives the call its answer; the first one counts.
func (a *runtimeAPI) finish(c *call, p posted) (first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != c {
		return false
	}
	a.current = nil
	p.at = time.Now()
	c.posted <- p
	return true
}

// response takes what the handler returned.
func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	c := a.asked(w, r)
	if c == nil {
		return
	}
	body, err := a.readBody(r, maxResponse)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		a.finish(c, posted{failure: "Function.ResponseSizeTooLarge", payload: told("Function.ResponseSizeTooLarge",
			"Response payload size exceeded maximum allowed payload size ("+strconv.Itoa(maxResponse)+" bytes).")})
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size ("+strconv.Itoa(maxResponse)+" bytes).")
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequest", "The body was cut off")
		return
	}
	p := posted{payload: body}
	// A response that is streamed may fail half-way: the trailers say so.
	if kind := r.Trailer.Get(errorHeader); kind != "" {
		p = posted{payload: told(kind, "The function failed while it streamed its response"), failure: kind}
	}
	if !a.finish(c, p) {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	accepted(w)
}

// invocationError takes what the handler threw.
func (a *runtimeAPI) invocationError(w http.ResponseWriter, r *http.Request) {
	c := a.asked(w, r)
	if c == nil {
		return
	}
	kind, body := a.readError(r)
	if !a.finish(c, posted{payload: body, failure: kind}) {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	accepted(w)
}

// initError takes why the runtime or the function did not start.
func (a *runtimeAPI) initError(w http.ResponseWriter, r *http.Request) {
	kind, body := a.readError(r)
	a.mu.Lock()
	late := a.first
	a.mu.Unlock()
	if late {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "The init phase is over")
		return
	}
	select {
	case a.failed <- failure{kind: kind, status: "error", payload: body}:
	default: // it was told before
	}
	accepted(w)
}

// readError reads an error's document, and finds its type.
func (a *runtimeAPI) readError(r *http.Request) (kind string, body []byte) {
	body, err := a.readBody(r, maxError)
	var document struct {
		ErrorType string `json:"errorType"`
	}
	if err != nil || json.Unmarshal(body, &document) != nil {
		kind = r.Header.Get(errorHeader)
		if kind == "" {
			kind = "Runtime.UnknownReason"
		}
		return kind, told(kind, "The runtime told of an error without a document of at most "+strconv.Itoa(maxError)+" bytes")
	}
	if kind = r.Header.Get(errorHeader); kind == "" {
		kind = document.ErrorType
	}
	if kind == "" {
		kind = "Unhandled"
	}
	return kind, body
}

// readBody reads a body, one at a time: a function can have this process hold no
// more than that of it.
func (a *runtimeAPI) readBody(r *http.Request, most int64) ([]byte, error) {
	select {
	case a.bodies <- struct{}{}:
		defer func() { <-a.bodies }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-a.quit:
		return nil, http.ErrServerClosed
	}
	if n := r.ContentLength; n >= 0 && n <= most {
		body := make([]byte, n)
		_, err := io.ReadFull(r.Body, body)
		return body, err
	}
	return io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
}

// told is an error document.
func told(kind, message string) []byte {
	b, _ := json.Marshal(struct { // cannot fail: two strings
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{kind, message})
	return b
}

func accepted(w http.ResponseWriter) { write(w, http.StatusAccepted, []byte(`{"status":"OK"}`)) }

func refuse(w http.ResponseWriter, status int, kind, message string) {
	write(w, status, told(kind, message))
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// notBuilt answers an API of AWS's that this host does not have.
func notBuilt(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotImplemented, "NotImplemented", what+" is not built")
	}
}

// await waits until the init phase is over. The error is a failure's or ctx's.
func (a *runtimeAPI) await(ctx context.Context, done <-chan struct{}) (f failure, ready bool, err error) {
	select {
	case <-a.ready:
		return f, true, nil
	case f = <-a.failed:
		return f, false, nil
	case <-done:
		select {
		case f = <-a.failed: // it told, and ended
		default:
		}
		return f, false, nil
	case <-ctx.Done():
		return f, false, ctx.Err()
	}
}
