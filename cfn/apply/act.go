package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// acted is what an action came to. Failures are results, too: what a failed
// creation left must be known after a crash.
type acted struct {
	PhysicalID string
	Attributes cfn.Properties
	Wait       *cfn.Wait
	Failure    string
}

// action is a function of a resource type.
type action func(context.Context, cfn.Request) (cfn.Result, error)

// actionTries is how often an action is tried that fails without a code.
const actionTries = 30

// afterCrash is what an action that a crash has interrupted gets although the
// creation has timed out meanwhile: enough to find, and tell, what it has made.
const afterCrash = 10 * time.Second

// act calls a function of a resource type as a durable step. An error without a
// code is tried again, as the workflow engine does with every step; one with a
// code is the action's failure.
func (o *operation) act(f *workflow.Flow, name string, s *Stack, r plan.Resource, prior cfn.Properties, fn action) (acted, error) {
	return o.run(f, name, s, r, prior, fn, o.resolver(r.Type))
}

// part is act for a deletion, and for the snapshot before it. What the resource's
// dynamic references stood for may be gone already; that keeps nothing from being
// deleted.
func (o *operation) part(f *workflow.Flow, name string, s *Stack, r plan.Resource, fn action) (acted, error) {
	resolve := o.resolver(r.Type)
	return o.run(f, name, s, r, nil, fn, func(ctx context.Context, p cfn.Properties) (resolved, error) {
		out, err := resolve(ctx, p)
		if _, classified := fault.As(err); classified {
			err = nil
		}
		return out, err
	})
}

// resolving replaces the dynamic references of properties.
type resolving func(context.Context, cfn.Properties) (resolved, error)

func (o *operation) run(f *workflow.Flow, name string, s *Stack, r plan.Resource, prior cfn.Properties, fn action, resolve resolving) (acted, error) {
	tries, left := 0, ""
	out, err := workflow.Step(f, name, func(ctx context.Context, token string) (acted, error) {
		tries++
		select {
		case o.slots <- struct{}{}:
			defer func() { <-o.slots }()
		case <-ctx.Done():
			return acted{}, ctx.Err()
		}
		req := request(s, r, token)
		req.Prior = prior
		o.keepForeign(&req)
		ctx = o.callContext(ctx, s, token)
		ctx, cancel := o.deadline(ctx, s)
		defer cancel()
		o.equip(ctx, s, &req)
		res, secrets, err := o.call(ctx, r.Type, req, fn, resolve)
		out := acted{PhysicalID: res.PhysicalID, Attributes: res.Attributes, Wait: res.Wait}
		if sealErr := o.seal(r.Type, out.Attributes, secrets); sealErr != nil {
			out.Attributes, err = nil, errors.Join(err, sealErr)
		}
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return acted{}, ctx.Err() // shutting down: the next run goes on
		}
		if _, classified := fault.As(err); !classified && ctx.Err() == nil && tries < actionTries {
			left = res.PhysicalID
			return acted{}, err
		}
		// The end of the action, with what it has left, must be in the journal.
		o.tell(s, r, name, err)
		out.Failure = o.reason(r.Type, err, token)
		return out, nil
	}, workflow.Attempts(actionTries))
	// It panicked each time, or its result cannot be kept.
	if final := new(workflow.Error); errors.As(err, &final) {
		o.tell(s, r, name, err)
		return acted{PhysicalID: left, Failure: failureReason(err, s.Last+name+r.LogicalID)}, nil
	}
	return out, err
}

// tell logs an action's failure whose text a client does not see.
func (o *operation) tell(s *Stack, r plan.Resource, action string, err error) {
	if _, classified := fault.As(err); !classified {
		o.r.cfg.Logger.Error("resource action failed", "stack", s.ID, "resource", r.LogicalID, "action", action, "error", err)
	}
}

// call resolves the dynamic references and calls the function. It tells which
// secrets that has brought in: no error has them.
func (o *operation) call(ctx context.Context, typeName string, req cfn.Request, fn action, resolve resolving) (cfn.Result, []string, error) {
	known, err := resolve(ctx, req.Properties)
	if err != nil {
		return cfn.Result{}, nil, err
	}
	req.Properties = known.properties
	if sch, err := o.types().Schema(typeName); err == nil && sch != nil {
		req.Properties, _ = sch.Conform(req.Properties)
		if req.Prior, err = o.prior(ctx, sch, req.Prior, resolve); err != nil {
			return cfn.Result{}, nil, err
		}
	}
	res, err := fn(ctx, req)
	return res, known.secrets, concealed(err, known.secrets)
}

// prior gives the properties before an update the types that the schema has, where
// references stand in them: a reference is a text, whatever it stands for. One that
// cannot be resolved was never the resource's.
func (o *operation) prior(ctx context.Context, s *schema.Schema, p cfn.Properties, resolve resolving) (cfn.Properties, error) {
	if !hasDynamic(p) {
		return p, nil
	}
	out := cfn.Properties{}
	for name, v := range p {
		if !hasDynamic(v) {
			out[name] = v
			continue
		}
		known, err := resolve(ctx, cfn.Properties{name: v})
		if _, classified := fault.As(err); err != nil && !classified {
			return nil, err
		}
		if err != nil {
			continue
		}
		out[name] = v
		if conformed, _ := s.Conform(known.properties); !same(conformed, known.properties) {
			out[name] = conformed[name]
		}
	}
	return out, nil
}

// seal seals the attributes that the type calls secret, and those that tell a
// secret of another service, before anything keeps them.
func (o *operation) seal(typeName string, attributes cfn.Properties, secrets []string) error {
	var names []string
	if o.types().Provider != nil {
		t, _ := o.types().Provider(typeName)
		names = t.Secret
	}
	for name, v := range attributes {
		text, ok := v.(string)
		if !ok || !slices.Contains(names, name) && mask(text, secrets) == v {
			continue
		}
		if o.r.cfg.Seal == nil {
			return fmt.Errorf("attribute %s of %s is secret, and there is no key to seal it with", name, typeName)
		}
		sealed, err := o.r.cfg.Seal(text)
		if err != nil {
			return err
		}
		attributes[name] = cfn.Sealed(sealed)
	}
	return nil
}

// open opens a sealed attribute for the template. Events mask what it was.
func (o *operation) open(sealed string) (string, bool) {
	if o.r.cfg.Open == nil {
		return "", false
	}
	text, ok := o.r.cfg.Open(sealed)
	if ok && text != "" && !slices.Contains(o.opened, text) {
		o.opened = append(o.opened, text)
	}
	return text, ok
}

// callContext makes the context in which the operation calls services: as the
// operation's caller, with the step's token.
func (o *operation) callContext(ctx context.Context, s *Stack, token string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: o.Caller.Principal,
		Scope:     s.Scope,
		RequestID: o.Caller.RequestID,
		Service:   "cloudformation",
		Operation: string(o.Kind),
		Time:      o.r.cfg.Now(),
		UserAgent: "cloudformation.amazonaws.com",
		SourceIP:  "cloudformation.amazonaws.com",
		Endpoint:  o.Caller.Endpoint,
		Token:     token,
	})
}

// deadline ends an action when the stack's creation has timed out. Rolling back
// and deleting have all the time they need.
func (o *operation) deadline(ctx context.Context, s *Stack) (context.Context, context.CancelFunc) {
	if s.Until == nil || s.Status != CreateInProgress {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(s.Until.Sub(o.r.cfg.Now()), afterCrash))
}

// equip gives a request the functions by which a type tells of its progress.
func (o *operation) equip(ctx context.Context, s *Stack, req *cfn.Request) {
	tell := func(change func(r *Resource) string) {
		err := o.r.cfg.Store.Update(ctx, func(tx store.Tx) error {
			r, err := getResource(tx, s, req.LogicalID)
			if err != nil || r == nil || !strings.HasSuffix(r.Status, "_IN_PROGRESS") {
				return err
			}
			reason := change(r)
			if reason == "" || reason == r.Reason {
				return nil
			}
			now, err := Stacks.Get(tx, s.Key())
			if err != nil {
				return err
			}
			return (&Ledger{Tx: tx, Now: o.r.cfg.Now()}).resource(now, r, r.Status, reason)
		})
		if err != nil && ctx.Err() == nil {
			o.r.cfg.Logger.Warn("event not written", "stack", s.ID, "resource", req.LogicalID, "error", err)
		}
	}
	req.Progress = func(message string) {
		tell(func(*Resource) string { return message })
	}
	create := req.PhysicalID == ""
	req.Initiated = func(id string) {
		tell(func(r *Resource) string {
			if !create || id == "" || r.Pending == id {
				return ""
			}
			r.Pending = id
			return creationInitiated
		})
	}
}

// request is what every action of a resource is told.
func request(s *Stack, r plan.Resource, token string) cfn.Request {
	tags := map[string]string{}
	for k, v := range s.Version.Tags {
		tags[k] = v
	}
	tags["aws:cloudformation:stack-name"] = s.Name
	tags["aws:cloudformation:stack-id"] = s.ID
	tags["aws:cloudformation:logical-id"] = r.LogicalID
	return cfn.Request{
		StackID: s.ID, StackName: s.Name, LogicalID: r.LogicalID, Type: r.Type,
		PhysicalID: r.PhysicalID, Properties: r.Properties, Tags: tags, Token: token,
		Name: physicalName(s.Name, r.LogicalID, token),
	}
}

// physicalName is the name that CloudFormation makes for a resource whose
// template gives it none.
func physicalName(stack, logicalID, token string) string {
	return stack + "-" + logicalID + "-" + arn.SuffixFrom(token, 12)
}

// reason words an action's failure.
func (o *operation) reason(typeName string, err error, token string) string {
	if t, ok := o.types().Provider(typeName); ok && t.Plain {
		if e, ok := fault.As(err); ok {
			return e.Message
		}
	}
	return failureReason(err, token)
}

// failureReason words an action's failure as the registry's handlers do.
func failureReason(err error, token string) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "The creation of the stack timed out before the resource was complete"
	}
	code, message := "InternalFailure", "an internal error; Slipway's log has its text"
	if e, ok := fault.As(err); ok {
		code, message = cfn.HandlerCode(e.Code), fmt.Sprintf("%s (%s)", e.Message, e.Code)
	}
	return fmt.Sprintf("Resource handler returned message: %q (RequestToken: %s, HandlerErrorCode: %s)", message, arn.UUIDFrom(token), code)
}

// resolver replaces the dynamic references that a type lets the engine replace.
func (o *operation) resolver(typeName string) resolving {
	var services []string
	if o.types().Provider != nil {
		t, _ := o.types().Provider(typeName)
		services = t.References
	}
	return func(ctx context.Context, p cfn.Properties) (resolved, error) { return o.resolve(ctx, p, services) }
}

// resolve replaces dynamic references, of the services alone where some are named.
// Records and events keep the references; only the resource type sees what they
// stand for.
func (o *operation) resolve(ctx context.Context, p cfn.Properties, services []string) (out resolved, _ error) {
	if out.properties = p; o.r.cfg.Dynamic == nil {
		return out, nil
	}
	var failed error
	v, problems := template.ResolveDynamic(p, nil, func(service, reference string) (string, error) {
		if services != nil && !slices.Contains(services, service) {
			return "{{resolve:" + service + ":" + reference + "}}", nil
		}
		value, err := o.r.cfg.Dynamic(auth.WithToken(ctx, ""), service, reference)
		if _, classified := fault.As(err); err != nil && !classified {
			failed = err // worth trying again
		}
		if service != "ssm" && value != "" {
			out.secrets = append(out.secrets, value)
		}
		return value, err
	})
	if failed != nil {
		return out, failed
	}
	out.properties, _ = v.(map[string]any)
	return out, problems.Err()
}

// resolved is properties without dynamic references, and what those of secrets
// stand for.
type resolved struct {
	properties cfn.Properties
	secrets    []string
}

// concealed is an error without the secrets that its text repeats, as services do
// with what is wrong: it goes into events and the log.
func concealed(err error, secrets []string) error {
	if err == nil || len(secrets) == 0 {
		return err
	}
	if f, ok := fault.As(err); ok {
		if masked := mask(f.Message, secrets); masked != f.Message {
			return fault.New(f.Code, "%s", masked)
		}
		return err
	}
	if masked := mask(err.Error(), secrets); masked != err.Error() {
		return &maskedError{masked.(string), err}
	}
	return err
}

// maskedError is an error whose text is told in other words.
type maskedError struct {
	text  string
	cause error
}

func (e *maskedError) Error() string { return e.text }

func (e *maskedError) Unwrap() error { return e.cause }

// normalize gives numbers that went through JSON their types back.
func normalize(r *plan.Resource) {
	r.Properties, _ = integers(r.Properties).(map[string]any)
	r.Attributes, _ = integers(r.Attributes).(map[string]any)
}

// Integers gives whole numbers that went through JSON the type that properties have.
func Integers(p cfn.Properties) cfn.Properties {
	p, _ = integers(p).(map[string]any)
	return p
}

func integers(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = integers(v[k])
		}
	}
	return v
}
