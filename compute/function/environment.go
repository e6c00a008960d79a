package function

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slipway/slipway/compute"
)

// environment is an execution environment: one invocation at a time runs in it.
// What is not guarded by the host's lock belongs to whoever runs the invocation.
type environment struct {
	host    *Host
	spec    Spec
	runtime Runtime
	stream  string
	closed  chan struct{} // by close

	enc  compute.Enclosure // nil until the first invocation
	api  *runtimeAPI
	out  *output
	peak int64         // of memory, at the ends of invocations
	init time.Duration // of the init phase

	measured time.Time // when its memory was

	frost  sync.Mutex // held while it is frozen, thawed or ended
	frozen bool

	// With the host's lock held:
	idleSince time.Time
	cooled    bool // it was to be frozen since
	retired   bool
}

func newEnvironment(h *Host, spec Spec) *environment {
	return &environment{
		host: h, spec: spec, closed: make(chan struct{}),
		stream: time.Now().UTC().Format("2006/01/02/") + "[" + spec.Version + "]" + randomHex(16),
	}
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// dead says that the environment's program ended while nobody used it.
func (e *environment) dead() bool {
	if e.enc == nil {
		return false
	}
	select {
	case <-e.enc.Done():
		return true
	default:
		return false
	}
}

// outcome is what an invocation came to, before it is reported.
type outcome struct {
	payload  []byte
	failure  *failure
	duration time.Duration
}

// invoke runs one invocation. fit says that the environment can take another.
func (e *environment) invoke(c *call) (res Result, fit bool, err error) {
	cold := e.enc == nil
	var o outcome
	if cold {
		f, err := e.start(phaseInit)
		if err != nil {
			return Result{}, false, err
		}
		if f != nil && f.status == "timeout" {
			// As on AWS, it is tried once more, on the invocation's own time.
			o, err = e.startAgain(c)
			if err != nil {
				return Result{}, false, err
			}
		} else if f != nil {
			o.failure = f
			e.out.say("START RequestId: " + c.RequestID + " Version: " + e.spec.Version)
		} else {
			o = e.serve(c, e.spec.Timeout)
		}
	} else {
		if err := e.thaw(); err != nil {
			return Result{}, false, err
		}
		o = e.serve(c, e.spec.Timeout)
	}
	if o.failure != nil && o.failure.kind == stoppedKind {
		return Result{}, false, ErrStopped
	}
	res = e.report(c, o, cold)
	return res, o.failure == nil || o.failure.status == "", nil
}

// stoppedKind is the failure of an invocation whose host was stopped.
const stoppedKind = "stopped"

// serve hands the call to the runtime and waits for what becomes of it.
func (e *environment) serve(c *call, patience time.Duration) outcome {
	e.out.begin()
	began := time.Now()
	c.deadline = began.Add(patience)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	e.out.say("START RequestId: " + c.RequestID + " Version: " + e.spec.Version)
	calls := e.api.calls
	for {
		select {
		case calls <- c:
			calls = nil
		case p := <-c.posted:
			return e.told(p, began)
		case <-e.enc.Done():
			select {
			case p := <-c.posted: // it answered, and ended
				return e.told(p, began)
			default:
			}
			return outcome{failure: e.exit(c.RequestID), duration: time.Since(began)}
		case <-timer.C:
			return outcome{failure: e.timedOut(c.RequestID), duration: e.spec.Timeout}
		case <-e.host.ctx.Done():
			return outcome{failure: &failure{kind: stoppedKind}}
		}
	}
}

// told is the outcome that the runtime posted.
func (e *environment) told(p posted, began time.Time) outcome {
	o := outcome{payload: p.payload, duration: p.at.Sub(began)}
	if p.failure != "" {
		o.failure = &failure{kind: p.failure, payload: p.payload}
	}
	return o
}

// phase is when a program is started.
type phase string

const (
	phaseInit   phase = "init"
	phaseInvoke phase = "invoke"
)

// start makes the environment and runs its init phase. The failure is the
// function's, the error the host's.
func (e *environment) start(p phase) (*failure, error) {
	limit := e.host.initTimeout
	if p == phaseInvoke {
		limit = e.spec.Timeout
	}
	var err error
	if e.runtime, err = e.host.Runtime(e.spec.Runtime); err != nil {
		return nil, err
	}
	args, missing := e.command()
	if missing != nil {
		e.out = discard(e.line)
		return missing, nil
	}
	enc, err := e.host.enclosure(&e.spec)
	if err != nil {
		return nil, err
	}
	e.enc = enc
	if e.out, err = newOutput(enc.Output(), e.line); err != nil {
		return nil, fmt.Errorf("function: %w", err)
	}
	e.api = newRuntimeAPI(enc.Listener())
	e.out.say("INIT_START Runtime Version: " + e.runtime.line())
	began := time.Now()
	ctx, cancel := context.WithTimeout(e.host.ctx, limit)
	defer cancel()
	if err := enc.Show(ctx, e.folders()); err != nil {
		return nil, fmt.Errorf("function: show its code: %w", err)
	}
	for i := range args {
		args[i] = enc.Path(args[i])
	}
	err = enc.Run(ctx, compute.Program{Args: args, Dir: enc.Path(taskRoot), Environment: e.variables(), Limits: e.spec.limits()})
	if err != nil {
		return nil, fmt.Errorf("function: start its runtime: %w", err)
	}
	f, ready, err := e.api.await(ctx, enc.Done())
	e.init = time.Since(began)
	switch {
	case ready:
		return nil, nil
	case e.host.ctx.Err() != nil:
		return nil, ErrStopped
	case errors.Is(err, context.DeadlineExceeded):
		e.out.say(fmt.Sprintf("INIT_REPORT Init Duration: %s ms\tPhase: %s\tStatus: timeout", milliseconds(e.init), p))
		return &failure{kind: "Sandbox.Timedout", status: "timeout"}, nil
	case f.kind == "":
		f = *e.exit("")
	}
	e.out.say(fmt.Sprintf("INIT_REPORT Init Duration: %s ms\tPhase: %s\tStatus: error\tError Type: %s", milliseconds(e.init), p, f.kind))
	return &f, nil
}

// startAgain starts the function anew on the invocation's time.
func (e *environment) startAgain(c *call) (outcome, error) {
	e.end()
	began := time.Now()
	f, err := e.start(phaseInvoke)
	if err != nil {
		return outcome{}, err
	}
	if f == nil {
		o := e.serve(c, max(e.spec.Timeout-time.Since(began), time.Millisecond))
		o.duration = min(time.Since(began), e.spec.Timeout)
		return o, nil
	}
	e.out.say("START RequestId: " + c.RequestID + " Version: " + e.spec.Version)
	if f.status == "timeout" {
		f = e.timedOut(c.RequestID)
	}
	return outcome{failure: f, duration: min(time.Since(began), e.spec.Timeout)}, nil
}

// line hands a line on to the log.
func (e *environment) line(at time.Time, line []byte) { e.host.cfg.Log(e.spec, e.stream, at, line) }

// timedOut is the failure of an invocation that took too long.
func (e *environment) timedOut(id string) *failure {
	said := fmt.Sprintf("Task timed out after %.2f seconds", e.spec.Timeout.Seconds())
	return &failure{
		kind: "Sandbox.Timedout", status: "timeout", payload: told("Sandbox.Timedout", "RequestId: "+id+" Error: "+said),
		said: time.Now().UTC().Format("2006-01-02T15:04:05.000Z ") + id + " " + said,
	}
}

// exit is the failure of a runtime that ended.
func (e *environment) exit(id string) *failure {
	end := e.enc.Ended()
	f := &failure{kind: "Runtime.ExitError", status: "error"}
	how := "Runtime exited without providing a reason"
	switch {
	case end.Failed != "":
		f.kind, how = "Runtime.InvalidEntrypoint", end.Failed
	case end.Lost && !end.Memory:
		how = "Runtime exited with error: signal: killed"
	case end.Memory:
		f.kind, how = "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"
	case end.Signal != 0:
		how = "Runtime exited with error: signal: " + signalName(end.Signal)
	case end.Code != 0:
		how = fmt.Sprintf("Runtime exited with error: exit status %d", end.Code)
	}
	f.said = how
	f.payload = told(payloadKind(f.kind), how)
	if id != "" {
		f.with(id)
	}
	return f
}

// payloadKind is the type that the caller is told: that a runtime ran out of memory
// is in the report only.
func payloadKind(kind string) string {
	if kind == "Runtime.OutOfMemory" {
		return "Runtime.ExitError"
	}
	return kind
}

// with names the invocation in what is told of a runtime that ended.
func (f *failure) with(id string) {
	if f.said == "" || strings.Contains(f.said, id) {
		return
	}
	f.said = "RequestId: " + id + " Error: " + f.said
	f.payload = told(payloadKind(f.kind), f.said)
	f.said += "\n" + payloadKind(f.kind)
}

// end ends what start made. The spec stays.
func (e *environment) end() {
	if e.enc == nil {
		return
	}
	e.frost.Lock()
	defer e.frost.Unlock()
	if e.out != nil {
		e.out.drain()
	}
	if err := e.enc.Close(); err != nil {
		e.host.cfg.Logger.Error("cannot remove an execution environment whole", "function", e.spec.ARN, "error", err)
	}
	if e.api != nil {
		e.api.close()
	}
	if e.out != nil {
		e.out.wait()
	}
	e.enc, e.api, e.frozen = nil, nil, false
}

// close ends the environment for good.
func (e *environment) close() {
	e.end()
	close(e.closed)
	e.host.gone(e)
}
