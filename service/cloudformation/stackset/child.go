package stackset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// outcome is what became of a place.
type outcome struct {
	Failed           bool        `json:",omitempty"`
	Reason           string      `json:",omitempty"`
	Stack            string      `json:",omitempty"`
	Gate, GateReason string      `json:",omitempty"`
	Drift            string      `json:",omitempty"`
	Revision         int64       `json:",omitempty"`
	Overrides        []parameter `json:",omitempty"`
}

// few are the tries of a step in another account: a user waits.
var few = []workflow.Option{workflow.Attempts(5), workflow.Backoff(50*time.Millisecond, time.Second)}

// entry is that a place was entered, as whom, and what its gate said.
type entry struct {
	Principal        auth.Principal
	Gate, GateReason string
}

// act does what an operation does in one place. What goes wrong there is its
// outcome; an error is the workflow's own.
func (s *Service) act(f *workflow.Flow, j job, t task) (outcome, error) {
	if t.Kind == deleting && (t.Forget || t.Stack == "") {
		return outcome{}, nil
	}
	e, err := workflow.Step(f, "enter", func(ctx context.Context, token string) (entry, error) {
		o, err := s.operation(ctx, j)
		if err != nil {
			return entry{}, err
		}
		var e entry
		if e.Principal, err = s.enter(ctx, o, t.Account, token); err != nil {
			return e, err
		}
		e.Gate, e.GateReason, err = s.gate(ctx, o, e.Principal, t)
		return e, err
	}, few...)
	if err != nil {
		return failed(f, outcome{}, err)
	}
	out := outcome{Gate: e.Gate, GateReason: e.GateReason}
	if e.Gate == api.AccountGateStatusFailed {
		out.Failed, out.Reason = true, "Account gate check failed: "+e.GateReason
		return out, nil
	}
	w := visit{s, f, j, t, e.Principal}
	switch t.Kind {
	case deleting:
		return w.remove(out, "delete", t.Stack)
	case detecting:
		return w.detect(out)
	case importing:
		return w.adopt(out)
	}
	return w.ensure(out)
}

// failed makes an outcome of an error, unless the workflow was interrupted.
func failed(f *workflow.Flow, out outcome, err error) (outcome, error) {
	if errors.Is(err, workflow.ErrInterrupted) || errors.Is(err, workflow.ErrNondeterministic) {
		return out, err
	}
	out.Failed, out.Reason = true, "Internal failure"
	if e, ok := fault.As(err); ok {
		out.Reason = e.Message
	} else {
		f.Log().Error("stackset: a place cannot be worked on", "error", err)
	}
	return out, nil
}

func (s *Service) operation(ctx context.Context, j job) (o *operation, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		o, err = operations.Get(tx, j.key())
		return err
	})
	return o, err
}

// accountGate is the function that an account may have say whether stack sets may
// come ("Prerequisites for stack sets: account gating", AWS CloudFormation User Guide).
const accountGate = "AWSCloudFormationStackSetAccountGate"

// gate asks the account's gate, if it has one.
func (s *Service) gate(ctx context.Context, o *operation, p auth.Principal, t task) (status, reason string, err error) {
	if t.Kind == detecting {
		return "", "", nil
	}
	name := arn.Scope{Account: t.Account, Region: t.Region}.ARN("lambda", "function:"+accountGate).String()
	missing := "Function not found: " + name
	if s.cfg.Lambda == nil {
		return api.AccountGateStatusSkipped, missing, nil
	}
	ctx = s.in(ctx, o, p, t.Region, "Invoke", "")
	out, err := s.cfg.Lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, Payload: fmt.Appendf(nil, `{"accountId":%q,"region":%q}`, t.Account, t.Region)})
	switch {
	case fault.Is(err, fault.ResourceNotFoundException):
		return api.AccountGateStatusSkipped, missing, nil
	case fault.Is(err, fault.AccessDenied, fault.AccessDeniedException):
		return api.AccountGateStatusSkipped, "The execution role may not invoke " + name, nil
	case err != nil:
		if e, ok := fault.As(err); ok {
			return api.AccountGateStatusFailed, e.Message, nil
		}
		return "", "", err
	}
	var answer struct{ Status string }
	if out.FunctionError == "" && json.Unmarshal(out.Payload, &answer) == nil && answer.Status == api.AccountGateStatusSucceeded {
		return api.AccountGateStatusSucceeded, "", nil
	}
	return api.AccountGateStatusFailed, "The function " + name + " did not answer with the status SUCCEEDED", nil
}

// visit is the work in one place.
type visit struct {
	s *Service
	f *workflow.Flow
	j job
	t task
	p auth.Principal
}

func (w visit) in(ctx context.Context, o *operation, operation, token string) context.Context {
	return w.s.in(ctx, o, w.p, w.t.Region, operation, token)
}

// step runs a step that calls in the place.
func step[T any](w visit, name string, fn func(ctx context.Context, o *operation, token string) (T, error)) (T, error) {
	return workflow.Step(w.f, name, func(ctx context.Context, token string) (T, error) {
		o, err := w.s.operation(ctx, w.j)
		if err != nil {
			var none T
			return none, err
		}
		return fn(w.in(ctx, o, name, token), o, token)
	}, few...)
}

// condition is how a stack is; the zero value is that there is none.
type condition struct {
	Status, Reason string
	Revision       int64  `json:",omitempty"`
	Stack          string `json:",omitempty"`
	Same           bool   `json:",omitempty"` // nothing was to be done
}

// look tells how a stack is.
func (w visit) look(ctx context.Context, stack string) (condition, error) {
	if stack == "" {
		return condition{}, nil
	}
	out, err := w.s.cfg.Stacks().DescribeStacks(ctx, &api.DescribeStacksInput{StackName: stack})
	if fault.Is(err, fault.ValidationError) && strings.Contains(err.Error(), "does not exist") || err == nil && len(out.Stacks) == 0 {
		return condition{}, nil
	}
	if err != nil {
		return condition{}, err
	}
	return condition{Status: out.Stacks[0].StackStatus, Reason: out.Stacks[0].StackStatusReason}, nil
}

// patience is how long a look at a stack waits for a change.
const patience = time.Second

// pause waits between two looks.
func pause(ctx context.Context, changed <-chan struct{}) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-t.C:
	}
	return nil
}

// settled waits until nothing is under way in a stack, and tells why it failed.
func (w visit) settled(name, stack string) (condition, error) {
	return step(w, name, func(ctx context.Context, _ *operation, _ string) (condition, error) {
		changed := w.s.cfg.Store.Watch(ctx, "cloudformation/")
		for {
			c, err := w.look(ctx, stack)
			if err != nil {
				return c, err
			}
			if !strings.HasSuffix(c.Status, "_IN_PROGRESS") {
				if !good(c.Status) && c.Status != "" && c.Status != "DELETE_COMPLETE" {
					c.Reason, err = w.why(ctx, stack, c.Reason)
				}
				return c, err
			}
			if err := pause(ctx, changed); err != nil {
				return c, err
			}
		}
	})
}

func good(status string) bool {
	return slices.Contains([]string{"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}, status)
}

// why is the first failure of a stack's last operation.
func (w visit) why(ctx context.Context, stack, reason string) (string, error) {
	in := &api.DescribeStackEventsInput{StackName: stack}
	for {
		out, err := w.s.cfg.Stacks().DescribeStackEvents(ctx, in)
		if err != nil {
			return reason, err
		}
		for _, e := range out.StackEvents {
			own := e.PhysicalResourceId == e.StackId
			switch {
			case own && e.ResourceStatusReason == "User Initiated":
				return reason, nil
			case !own && strings.HasSuffix(e.ResourceStatus, "_FAILED") && !strings.Contains(e.ResourceStatusReason, "cancelled"):
				reason = fmt.Sprintf("ResourceLogicalId:%s, ResourceType:%s, ResourceStatusReason:%s.", e.LogicalResourceId, e.ResourceType, e.ResourceStatusReason)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return reason, nil
		}
	}
}

// broken are the statuses of stacks that have to be made anew.
var broken = []string{"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"}

// ensure makes the place's stack what the set says, whether or not it is there.
func (w visit) ensure(out outcome) (outcome, error) {
	c, err := w.settled("look", w.t.Stack)
	if err != nil {
		return failed(w.f, out, err)
	}
	stack := w.t.Stack
	if slices.Contains(broken, c.Status) {
		if gone, err := w.remove(out, "clear", stack); err != nil || gone.Failed {
			return gone, err
		}
		c.Status = ""
	}
	var did condition
	if c.Status == "" || c.Status == "DELETE_COMPLETE" {
		did, err = step(w, "create", w.create)
	} else {
		did, err = step(w, "update", func(ctx context.Context, o *operation, token string) (condition, error) {
			return w.update(ctx, stack, token)
		})
	}
	if err != nil {
		return failed(w.f, out, err)
	}
	out.Stack, out.Revision = did.Stack, did.Revision
	if did.Same {
		return out, nil
	}
	if _, err := workflow.Tx(w.f, "made", func(tx store.Tx) (bool, error) { return true, w.note(tx, did.Stack) }); err != nil {
		return out, err
	}
	if c, err = w.settled("wait", did.Stack); err != nil {
		return failed(w.f, out, err)
	}
	out.Failed, out.Reason = !good(c.Status), c.Reason
	if out.Failed && out.Reason == "" {
		out.Reason = "The stack ended as " + c.Status
	}
	if !out.Failed {
		out.Reason = ""
	}
	return out, nil
}

// note keeps the stack's id while it is being made.
func (w visit) note(tx store.Tx, stack string) error {
	key := instanceKey(w.j.setKey(), w.t.Account, w.t.Region)
	i, err := instances.Get(tx, key)
	if err != nil {
		return err
	}
	i.StackID = stack
	return instances.Put(tx, key, i)
}

// wanted is what a stack is to be.
type wanted struct {
	set        *set
	body       string
	parameters []api.Parameter
}

func (w visit) wanted(ctx context.Context) (out wanted, err error) {
	err = w.s.cfg.Store.View(ctx, func(tx store.Tx) error {
		if out.set, err = sets.Get(tx, w.j.setKey()); err != nil {
			return err
		}
		b, err := bodies.Get(tx, w.j.setKey())
		if err != nil {
			return err
		}
		i, err := findInstance(tx, out.set, w.t.Account, w.t.Region)
		if err != nil {
			return err
		}
		out.body = b.Text
		out.parameters, err = w.s.of(out.set, i)
		return err
	})
	return out, err
}

// requestToken is a step's token in the form of a request's.
func requestToken(token string) string { return "stackset-" + newID(token) }

// maxStackName is how long the name of a stack may be.
const maxStackName = 128

func (w visit) create(ctx context.Context, _ *operation, token string) (condition, error) {
	want, err := w.wanted(ctx)
	if err != nil {
		return condition{}, err
	}
	tail := "-" + newID(token)
	name := "StackSet-" + want.set.Name
	name = name[:min(len(name), maxStackName-len(tail))] + tail
	out, err := w.s.cfg.Stacks().CreateStack(withTemplate(ctx, want.body), &api.CreateStackInput{
		StackName: name, TemplateURL: InternalURL, Parameters: want.parameters, Capabilities: want.set.Capabilities,
		Tags: tagList(want.set.Tags), ClientRequestToken: requestToken(token),
	})
	if err != nil {
		return condition{}, err
	}
	return condition{Stack: out.StackId, Revision: want.set.Revision}, nil
}

func (w visit) update(ctx context.Context, stack, token string) (condition, error) {
	want, err := w.wanted(ctx)
	if err != nil {
		return condition{}, err
	}
	did := condition{Stack: stack, Revision: want.set.Revision}
	_, err = w.s.cfg.Stacks().UpdateStack(withTemplate(ctx, want.body), &api.UpdateStackInput{
		StackName: stack, TemplateURL: InternalURL, Parameters: want.parameters, Capabilities: want.set.Capabilities,
		Tags: tagList(want.set.Tags), ClientRequestToken: requestToken(token),
	})
	if fault.Is(err, fault.ValidationError) && strings.Contains(err.Error(), "No updates are to be performed") {
		did.Same, err = true, nil
	}
	return did, err
}

// remove deletes a stack.
func (w visit) remove(out outcome, name, stack string) (outcome, error) {
	_, err := step(w, name, func(ctx context.Context, _ *operation, token string) (bool, error) {
		c, err := w.look(ctx, stack)
		if err != nil || c.Status == "" || c.Status == "DELETE_COMPLETE" {
			return false, err
		}
		_, err = w.s.cfg.Stacks().DeleteStack(ctx, &api.DeleteStackInput{StackName: stack, ClientRequestToken: requestToken(token)})
		return true, err
	})
	if err != nil {
		return failed(w.f, out, err)
	}
	c, err := w.settled(name+" wait", stack)
	if err != nil {
		return failed(w.f, out, err)
	}
	if out.Failed = c.Status != "" && c.Status != "DELETE_COMPLETE"; out.Failed {
		out.Reason = c.Reason
	}
	return out, nil
}
