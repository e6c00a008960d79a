package lambda

import (
	"bytes"
	"context"
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

// Half an hour before they end, credentials are made anew, and with them the
// environments that were told the old ones.
func TestCredentialsAreRenewed(t *testing.T) {
	now, made := time.Now(), 0
	w := newWorld(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Credentials = func(context.Context, arn.Scope, string, string) (Credentials, error) {
			made++
			return Credentials{AccessKeyID: "ASIA", Expires: now.Add(time.Hour)}, nil
		}
	})
	w.make("f")
	w.invoke("f", "{}")
	w.invoke("f", "{}")
	first, _ := w.runner.last(t)
	now = now.Add(31 * time.Minute)
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
