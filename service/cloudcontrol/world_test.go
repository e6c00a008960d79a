package cloudcontrol

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

// A Thing is identified by its name, a Pair by two, a Fixed cannot be updated.
var schemas = map[string]string{
	"AWS::Test::Thing": `{"typeName":"AWS::Test::Thing","additionalProperties":false,
		"properties":{"Name":{"type":"string"},"Value":{"type":"string"},"List":{"type":"array","items":{"type":"string"}},
			"Password":{"type":"string"},"Fail":{"type":"string"},"Arn":{"type":"string"},"Size":{"type":"integer"}},
		"createOnlyProperties":["/properties/Name"],"readOnlyProperties":["/properties/Arn"],
		"writeOnlyProperties":["/properties/Password"],"primaryIdentifier":["/properties/Name"]}`,
	"AWS::Test::Pair": `{"typeName":"AWS::Test::Pair","additionalProperties":false,
		"properties":{"Left":{"type":"string"},"Right":{"type":"string"}},"required":["Left","Right"],
		"createOnlyProperties":["/properties/Left","/properties/Right"],"primaryIdentifier":["/properties/Left","/properties/Right"]}`,
	"AWS::Test::Bound": `{"typeName":"AWS::Test::Bound","properties":{"Id":{"type":"string"}},"primaryIdentifier":["/properties/Id"]}`,
}

// cloud is the outside world: what the types have made, by physical id.
type cloud struct {
	mu    sync.Mutex
	there map[string]cfn.Properties
	by    map[string]string // physical id by the token that made it
	// The functions, where they are set, come before what the types do.
	create, delete func(ctx context.Context, r cfn.Request) error
	calls          []auth.Call
}

func (c *cloud) things() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.there))
}

func (c *cloud) thing() cfn.Type {
	return cfn.Type{
		Name: "AWS::Test::Thing",
		Create: func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
			if c.create != nil {
				if err := c.create(ctx, r); err != nil {
					return cfn.Result{}, err
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.calls = append(c.calls, auth.From(ctx))
			id, _ := r.Properties["Name"].(string)
			if id == "" {
				id = r.Name
			}
			if _, ok := c.there[id]; ok && c.by[r.Token] != id {
				return cfn.Result{}, fault.New("ThingAlreadyExists", "there is a thing %s", id)
			}
			c.there[id], c.by[r.Token] = r.Properties, id
			if r.Properties["Fail"] == "create" {
				return cfn.Result{PhysicalID: id}, fault.New("InvalidThing", "the thing is not possible")
			}
			return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Arn": "arn:" + id, "Name": id}}, nil
		},
		Read: func(_ context.Context, r cfn.Request) (cfn.Properties, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			p, ok := c.there[r.PhysicalID]
			if !ok {
				return nil, fault.New(cfn.NotFound, "Resource of type 'AWS::Test::Thing' with identifier '%s' was not found.", r.PhysicalID)
			}
			out := maps.Clone(p)
			delete(out, "Password")
			out["Arn"], out["Name"] = "arn:"+r.PhysicalID, r.PhysicalID
			return out, nil
		},
		Update: func(_ context.Context, r cfn.Request) (cfn.Result, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if r.Properties["Fail"] == "update" {
				return cfn.Result{}, fault.New("AccessDeniedException", "not you")
			}
			c.there[r.PhysicalID] = r.Properties
			return cfn.Result{PhysicalID: r.PhysicalID}, nil
		},
		Delete: func(ctx context.Context, r cfn.Request) error {
			if c.delete != nil {
				if err := c.delete(ctx, r); err != nil {
					return err
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.there, r.PhysicalID)
			return nil
		},
		List: func(context.Context) ([]string, error) { return c.things(), nil },
	}
}

// pair is a type whose physical id is not its identifier.
func (c *cloud) pair() cfn.Type {
	t := c.thing()
	t.Name, t.Update = "AWS::Test::Pair", nil
	t.Identify = func(id map[string]string) string { return id["Left"] + "+" + id["Right"] }
	t.Create = func(_ context.Context, r cfn.Request) (cfn.Result, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		id := r.Properties["Left"].(string) + "+" + r.Properties["Right"].(string)
		c.there[id] = r.Properties
		return cfn.Result{PhysicalID: id}, nil
	}
	t.Read = func(_ context.Context, r cfn.Request) (cfn.Properties, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if p, ok := c.there[r.PhysicalID]; ok {
			return p, nil
		}
		return nil, fault.New(cfn.NotFound, "no pair")
	}
	return t
}

// world is a service with an engine that runs.
type world struct {
	*Service
	cloud *cloud
	store store.Store
	ctx   context.Context
	now   time.Time
}

var scope = arn.Scope{Account: "111122223333", Region: "eu-west-1"}

func newService(s store.Store, e *workflow.Engine, c *cloud, change func(*Config)) *Service {
	r := &cfn.Registry{}
	r.Add(c.thing(), c.pair(), cfn.Type{Name: "AWS::Test::Bound", Bound: true, Read: c.thing().Read, Create: c.thing().Create})
	names := slices.Concat(slices.Collect(maps.Keys(schemas)), []string{"AWS::Test::Unbuilt"})
	catalog := schema.New(names, func(n string) ([]byte, bool) { text, ok := schemas[n]; return []byte(text), ok },
		func(n string) bool { _, ok := r.Lookup(n); return ok })
	cfg := Config{
		Store: s, Workflows: e, Ring: ring, Known: catalog.Known,
		Types: func(arn.Scope) plan.Types { return plan.Types{Schema: catalog.Lookup, Provider: r.Lookup} },
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

var ring = keyring.Ephemeral()

func caller1() auth.Call {
	p := auth.Principal{Kind: auth.User, Account: scope.Account, Name: "ann", ARN: scope.Global("iam", "user/ann").String()}
	return auth.Call{Principal: p, Scope: scope, RequestID: "req-1", Service: "cloudcontrol"}
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{
		cloud: &cloud{there: map[string]cfn.Properties{}, by: map[string]string{}}, store: storetest.New(t),
		ctx: auth.With(t.Context(), caller1()), now: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC),
	}
	e := workflow.New(workflow.Config{Store: w.store, Server: "t", Retry: workflow.Retry{First: time.Millisecond, Max: 2 * time.Millisecond}})
	w.Service = newService(w.store, e, w.cloud, change)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return w
}

// done waits for a request's end.
func (w *world) done(t *testing.T, e *api.ProgressEvent) *api.ProgressEvent {
	t.Helper()
	return w.reaches(t, e, succeeded, failed, cancelled)
}

func (w *world) reaches(t *testing.T, e *api.ProgressEvent, statuses ...string) *api.ProgressEvent {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		out, err := w.GetResourceRequestStatus(w.ctx, &api.GetResourceRequestStatusInput{RequestToken: e.RequestToken})
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(statuses, out.ProgressEvent.OperationStatus) {
			return out.ProgressEvent
		}
	}
	t.Fatalf("request %s did not come to any of %v", e.RequestToken, statuses)
	return nil
}

func (w *world) create(t *testing.T, typeName, desired string) *api.ProgressEvent {
	t.Helper()
	out, err := w.CreateResource(w.ctx, &api.CreateResourceInput{TypeName: typeName, DesiredState: desired})
	if err != nil {
		t.Fatal(err)
	}
	return out.ProgressEvent
}

func (w *world) update(t *testing.T, identifier, patch string) *api.ProgressEvent {
	t.Helper()
	out, err := w.UpdateResource(w.ctx, &api.UpdateResourceInput{TypeName: thing, Identifier: identifier, PatchDocument: patch})
	if err != nil {
		t.Fatal(err)
	}
	return out.ProgressEvent
}

func (w *world) remove(t *testing.T, identifier string) *api.ProgressEvent {
	t.Helper()
	out, err := w.DeleteResource(w.ctx, &api.DeleteResourceInput{TypeName: thing, Identifier: identifier})
	if err != nil {
		t.Fatal(err)
	}
	return out.ProgressEvent
}

const thing = "AWS::Test::Thing"
