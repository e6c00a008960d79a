package lambda

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
)

func TestWhatInvokeRefuses(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	for name, c := range map[string]struct {
		in            *api.InvokeInput
		code, message string
	}{
		"none":      {&api.InvokeInput{FunctionName: "g"}, fault.ResourceNotFoundException, "Function not found: arn:aws:lambda:us-east-1:111111111111:function:g:$LATEST"},
		"version":   {&api.InvokeInput{FunctionName: "f", Qualifier: "7"}, fault.ResourceNotFoundException, "function:f:7"},
		"JSON":      {&api.InvokeInput{FunctionName: "f", Payload: []byte("{")}, fault.InvalidRequestContentException, "Could not parse request body into json"},
		"large":     {&api.InvokeInput{FunctionName: "f", Payload: bytes.Repeat([]byte("1"), maxPayload+1)}, fault.RequestTooLargeException, "RequestResponse"},
		"event":     {&api.InvokeInput{FunctionName: "f", InvocationType: "Event", Payload: bytes.Repeat([]byte("1"), maxEvent+1)}, fault.RequestTooLargeException, "limit 1048576 bytes"},
		"context":   {&api.InvokeInput{FunctionName: "f", ClientContext: "%"}, fault.InvalidRequestContentException, "Client context"},
		"qualifier": {&api.InvokeInput{FunctionName: "f:1", Qualifier: "2"}, fault.InvalidParameterValueException, "The derived qualifier from the function name does not match the specified qualifier."},
	} {
		_, err := w.Invoke(w.ctx, c.in)
		t.Run(name, func(t *testing.T) { refused(t, err, c.code, c.message) })
	}
	if n := w.runner.count(); n != 0 {
		t.Errorf("%d ran", n)
	}
	if out, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: "f", InvocationType: api.InvocationTypeDryRun}); err != nil || *out.StatusCode != 204 || w.runner.count() != 0 {
		t.Errorf("a dry run: %+v, %v", out, err)
	}
}

func TestReservedConcurrency(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	begun, end := make(chan bool), make(chan bool)
	w.runner.handle = func(function.Spec, function.Invocation) (function.Result, error) {
		begun <- true
		<-end
		return function.Result{}, nil
	}
	if _, err := w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: "f", ReservedConcurrentExecutions: new(int32(1))}); err != nil {
		t.Fatal(err)
	}
	first := make(chan error)
	go func() {
		_, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: "f"})
		first <- err
	}()
	<-begun
	_, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: "f"})
	refused(t, err, fault.TooManyRequestsException, "Rate Exceeded.")
	if e, _ := fault.As(err); e == nil || e.Fields["Reason"] != "ReservedFunctionConcurrentInvocationLimitExceeded" {
		t.Errorf("the reason is not told: %v", err)
	}
	end <- true
	if err := <-first; err != nil {
		t.Error(err)
	}
	_, err = w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: "f", ReservedConcurrentExecutions: new(int32(901))})
	refused(t, err, fault.InvalidParameterValueException, "below its minimum value of [100]")
}

// What functions reserve is not there for the others.
func TestReservationsLeaveTheRest(t *testing.T) {
	w := newWorld(t)
	w.make("f")
	w.make("g")
	if _, err := w.PutFunctionConcurrency(w.ctx, &api.PutFunctionConcurrencyInput{FunctionName: "g", ReservedConcurrentExecutions: new(int32(700))}); err != nil {
		t.Fatal(err)
	}
	running := func(n int32) {
		w.runs.mu.Lock()
		defer w.runs.mu.Unlock()
		w.runs.account[account+"/"+region] = n
	}
	if key := (arn.Scope{Account: account, Region: region}).Key(); key != account+"/"+region {
		t.Fatalf("a scope's key is %s", key)
	}
	for _, n := range []int32{99, 100, 299} {
		running(n)
		w.invoke("f", "{}")
	}
	running(300)
	_, err := w.Invoke(w.ctx, &api.InvokeInput{FunctionName: "f"})
	refused(t, err, fault.TooManyRequestsException, "Rate Exceeded.")
	w.invoke("g", "{}")
	running(0)
}

// An invocation whose version is retired while it gets ready ends the environments
// of before once, and counts its own code.
func TestRetiredWhileGettingReady(t *testing.T) {
	now, made := newClock(), 0
	var w *world
	w = newWorld(t, func(c *Config) {
		c.Now = now.time
		c.Credentials = func(context.Context, arn.Scope, string, string) (Credentials, error) {
			if made++; made == 2 {
				w.retire(place{arn.Scope{Account: account, Region: region}, "f"}, latest)
			}
			return Credentials{AccessKeyID: "ASIA", Expires: now.time().Add(time.Hour)}, nil
		}
	})
	w.make("f")
	w.invoke("f", "{}")
	first, _ := w.runner.last(t)
	now.Add(int64(31 * time.Minute))
	w.invoke("f", "{}")
	w.runs.retiring.Wait()
	w.runner.mu.Lock()
	if made != 2 || len(w.runner.retired) != 1 || w.runner.retired[0] != first.Key {
		t.Errorf("credentials were made %d times; retired: %v", made, w.runner.retired)
	}
	w.runner.mu.Unlock()
	w.runs.mu.Lock()
	defer w.runs.mu.Unlock()
	if len(w.runs.code) != 1 {
		t.Errorf("code in use: %v", w.runs.code)
	}
	for id, n := range w.runs.code {
		if n != 1 {
			t.Errorf("%s is in use %d times", id, n)
		}
	}
}

// A role that is taken away matters where policies bind.
func TestRolesThatCannotBeAssumed(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Credentials = func(context.Context, arn.Scope, string, string) (Credentials, error) {
			return Credentials{}, fault.New(fault.AccessDenied, "no")
		}
	})
	w.make("open")
	w.invoke("open", "{}")
	if spec, _ := w.runner.last(t); spec.Environment["AWS_ACCESS_KEY_ID"] != "" {
		t.Error("a function without a role has credentials")
	}
	c := auth.From(w.ctx)
	c.Principal.Enforced = true
	_, err := w.CreateFunction(auth.With(w.ctx, c), w.creation("closed"))
	refused(t, err, fault.InvalidParameterValueException, "The role defined for the function cannot be assumed by Lambda.")
}

// clock is the time that a test says, which the service's loops read, too.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	var c clock
	c.Store(time.Now().UnixNano())
	return &c
}

func (c *clock) time() time.Time { return time.Unix(0, c.Load()) }

// Half an hour before they end, credentials are made anew, and with them the
// environments that were told the old ones.
func TestCredentialsAreRenewed(t *testing.T) {
	now, made := newClock(), 0
	w := newWorld(t, func(c *Config) {
		c.Now = now.time
		c.Credentials = func(context.Context, arn.Scope, string, string) (Credentials, error) {
			made++
			return Credentials{AccessKeyID: "ASIA", Expires: now.time().Add(time.Hour)}, nil
		}
	})
	w.make("f")
	w.invoke("f", "{}")
	w.invoke("f", "{}")
	first, _ := w.runner.last(t)
	now.Add(int64(31 * time.Minute))
	w.invoke("f", "{}")
	second, _ := w.runner.last(t)
	if made != 2 || first.Key == second.Key {
		t.Errorf("credentials were made %d times", made)
	}
	w.runner.mu.Lock()
	defer w.runner.mu.Unlock()
	if len(w.runner.retired) != 1 || w.runner.retired[0] != first.Key {
		t.Errorf("retired: %v", w.runner.retired)
	}
}
