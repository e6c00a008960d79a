package cloudformation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/fault"
	types "github.com/slipway/slipway/resource/cloudformation"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

// The schemas of the tests' own types. A Thing has everything; a Fixed cannot
// be updated; a Single cannot exist twice.
var schemas = map[string]string{
	"AWS::Test::Thing": `{"typeName":"AWS::Test::Thing","additionalProperties":false,
		"properties":{"Name":{"type":"string"},"Value":{"type":"string"},"Size":{"type":"integer"},"Fail":{"type":"string"},
			"Arn":{"type":"string"},"Tags":{"type":"array","items":{"type":"object"}}},
		"tagging":{"taggable":true,"tagProperty":"/properties/Tags"},
		"createOnlyProperties":["/properties/Name"],"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/Arn"]}`,
	"AWS::Test::Named": `{"typeName":"AWS::Test::Named","additionalProperties":false,
		"properties":{"Name":{"type":"string"},"Value":{"type":"string"},"Fail":{"type":"string"}},"createOnlyProperties":["/properties/Name"],"primaryIdentifier":["/properties/Name"]}`,
	"AWS::Test::Fixed": `{"typeName":"AWS::Test::Fixed","additionalProperties":false,
		"properties":{"Value":{"type":"string"},"Arn":{"type":"string"}},
		"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/Arn"]}`,
	"AWS::Test::Keyed": `{"typeName":"AWS::Test::Keyed","additionalProperties":false,
		"properties":{"Arn":{"type":"string"},"Secret":{"type":"string"}},
		"readOnlyProperties":["/properties/Arn","/properties/Secret"],"primaryIdentifier":["/properties/Arn"]}`,
	"AWS::Test::Echo": `{"typeName":"AWS::Test::Echo","additionalProperties":false,
		"properties":{"Value":{"type":"string"},"Told":{"type":"string"},"Id":{"type":"string"}},
		"readOnlyProperties":["/properties/Told","/properties/Id"],"primaryIdentifier":["/properties/Id"]}`,
	"AWS::Test::Single": `{"typeName":"AWS::Test::Single","additionalProperties":false,"replacementStrategy":"delete_then_create",
		"properties":{"Name":{"type":"string"},"Arn":{"type":"string"}},
		"createOnlyProperties":["/properties/Name"],"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/Arn"]}`,
	"AWS::EC2::Volume": `{"typeName":"AWS::EC2::Volume","properties":{"Name":{"type":"string"},"Value":{"type":"string"},
		"Arn":{"type":"string"}},"createOnlyProperties":["/properties/Name"],"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/Arn"]}`,
	"AWS::RDS::DBCluster": `{"typeName":"AWS::RDS::DBCluster","replacementStrategy":"delete_then_create","properties":{"Name":{"type":"string"},
		"Arn":{"type":"string"}},"createOnlyProperties":["/properties/Name"],"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/Arn"]}`,
	"AWS::IAM::Role": `{"typeName":"AWS::IAM::Role","properties":{"RoleName":{"type":"string"},"AssumeRolePolicyDocument":{"type":"object"},
		"Arn":{"type":"string"}},"createOnlyProperties":["/properties/RoleName"],"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/RoleName"]}`,
	"AWS::CloudFormation::Stack": `{"typeName":"AWS::CloudFormation::Stack","additionalProperties":false,
		"properties":{"TemplateURL":{"type":"string"},"Parameters":{"type":"object"},"Tags":{"type":"array","items":{"type":"object"}},
			"TimeoutInMinutes":{"type":"integer"},"NotificationARNs":{"type":"array"},"StackId":{"type":"string"}},
		"tagging":{"taggable":true,"tagProperty":"/properties/Tags"},"required":["TemplateURL"],
		"readOnlyProperties":["/properties/StackId"],"writeOnlyProperties":["/properties/TemplateURL"],"primaryIdentifier":["/properties/StackId"]}`,
	"AWS::CloudFormation::WaitCondition": `{"typeName":"AWS::CloudFormation::WaitCondition",
		"properties":{"Count":{"type":"integer"},"Data":{"type":"object"},"Handle":{"type":"string"},"Id":{"type":"string"},"Timeout":{"type":"string"}},
		"readOnlyProperties":["/properties/Data","/properties/Id"],"primaryIdentifier":["/properties/Id"]}`,
	"AWS::CloudFormation::WaitConditionHandle": `{"typeName":"AWS::CloudFormation::WaitConditionHandle",
		"properties":{"Id":{"type":"string"}},"readOnlyProperties":["/properties/Id"],"primaryIdentifier":["/properties/Id"]}`,
}

type cfnRequest = cfn.Request

// cloud is the outside world: what the fake types have made, by physical id. It
// outlives crashes.
type cloud struct {
	mu    sync.Mutex
	there map[string]cfn.Properties
	log   []string // "create A", "update A", "delete A", in the order of their ends
	// The functions, where they are set, come before what the types do.
	create, update, delete, snapshot func(ctx context.Context, r cfn.Request) error
	read                             func(r cfn.Request) error
	listed                           map[string][]string // by type

	s3.Unimplemented
	files map[string]string // templates in the bucket "templates", by key
}

// GetObject reads a template from the bucket "templates".
func (c *cloud) GetObject(_ context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, ok := c.files[in.Key]
	if !ok || in.Bucket != "templates" {
		return nil, fault.New("NoSuchKey", "The specified key does not exist.")
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader(body))}, nil
}

// file keeps a template in the bucket.
func (c *cloud) file(key, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = map[string]string{}
	}
	c.files[key] = body
}

func (c *cloud) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if len(c.log) == 0 || c.log[len(c.log)-1] != line { // a repeated step is one action
		c.log = append(c.log, line)
	}
}

func (c *cloud) things() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for id := range c.there {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (c *cloud) calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

func (c *cloud) typed(name string) cfn.Type {
	result := func(id string, r cfn.Request) cfn.Result {
		return cfn.Result{PhysicalID: id, Attributes: cfn.Properties{"Arn": "arn:" + id}}
	}
	t := cfn.Type{Name: name, Signals: true}
	t.Create = func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
		if auth.From(ctx).Token == "" || auth.From(ctx).Token != r.Token {
			return cfn.Result{}, fmt.Errorf("no token")
		}
		id := r.Name
		if name, ok := r.Properties["Name"].(string); ok {
			id = name
		}
		r.Initiated(id)
		if c.create != nil {
			if err := c.create(ctx, r); err != nil {
				return cfn.Result{}, err
			}
		}
		if r.Properties["Fail"] == "create" {
			return cfn.Result{}, fault.New("InvalidThing", "the thing is not possible")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.there[id] = r.Properties
		c.note("create %s", r.LogicalID)
		return result(id, r), nil
	}
	t.Update = func(ctx context.Context, r cfn.Request) (cfn.Result, error) {
		if c.update != nil {
			if err := c.update(ctx, r); err != nil {
				return cfn.Result{}, err
			}
		}
		if r.Properties["Fail"] == "update" {
			return cfn.Result{}, fault.New("InvalidThing", "the thing cannot change")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, ok := c.there[r.PhysicalID]; !ok {
			return cfn.Result{}, fault.New(cfn.NotFound, "%s is gone", r.PhysicalID)
		}
		c.there[r.PhysicalID] = r.Properties
		c.note("update %s", r.LogicalID)
		return result(r.PhysicalID, r), nil
	}
	t.Read = func(_ context.Context, r cfn.Request) (cfn.Properties, error) {
		if c.read != nil {
			if err := c.read(r); err != nil {
				return nil, err
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		p, ok := c.there[r.PhysicalID]
		if !ok {
			return nil, fault.New(cfn.NotFound, "%s is gone", r.PhysicalID)
		}
		p = maps.Clone(p)
		if name != "AWS::Test::Named" {
			p["Arn"] = "arn:" + r.PhysicalID
		}
		return p, nil
	}
	if name != "AWS::Test::Named" {
		t.Identify = func(id map[string]string) string { return strings.TrimPrefix(id["Arn"], "arn:") }
	}
	if cfn.HasSnapshots(name) {
		t.Snapshot = func(ctx context.Context, r cfn.Request) (string, error) {
			if c.snapshot != nil {
				if err := c.snapshot(ctx, r); err != nil {
					return "", err
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.there[r.PhysicalID] == nil {
				return "", fault.New(cfn.NotFound, "%s is gone before its snapshot", r.PhysicalID)
			}
			c.note("snapshot %s", r.LogicalID)
			return "snap-" + r.PhysicalID, nil
		}
	}
	t.List = func(context.Context) ([]string, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.listed[name], nil
	}
	t.Delete = func(ctx context.Context, r cfn.Request) error {
		if c.delete != nil {
			if err := c.delete(ctx, r); err != nil {
				return err
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.there, r.PhysicalID)
		c.note("delete %s", r.LogicalID)
		return nil
	}
	return t
}

// world is a service with its engine and the cloud.
type world struct {
	*cloudformation.Service
	t      testing.TB
	cloud  *cloud
	store  store.Store
	engine *workflow.Engine
	ctx    context.Context

	functions *functions // of a macroWorld
}

var scope = arn.Scope{Account: "111111111111", Region: "us-east-1"}

func callContext(ctx context.Context) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Root, Account: scope.Account, ARN: "arn:aws:iam::111111111111:root"},
		Scope:     scope, Endpoint: "http://127.0.0.1:4566", RequestID: "r",
	})
}

// service builds the service over a store, an engine and a cloud.
func service(s store.Store, e *workflow.Engine, c *cloud, change func(*cloudformation.Config)) *cloudformation.Service {
	var names []string
	for n := range schemas {
		names = append(names, n)
	}
	registry := &cfn.Registry{}
	catalog := schema.New(names,
		func(n string) ([]byte, bool) { text, ok := schemas[n]; return []byte(text), ok },
		func(n string) bool { _, ok := registry.Lookup(n); return ok })
	cfg := cloudformation.Config{Store: s, Workflows: e, Types: registry, Schemas: catalog, S3: c}
	if change != nil {
		change(&cfg)
	}
	svc := cloudformation.New(cfg)
	registry.Add(c.typed("AWS::Test::Thing"), c.typed("AWS::Test::Named"), c.typed("AWS::Test::Single"), c.typed("AWS::IAM::Role"), c.typed("AWS::EC2::Volume"), c.typed("AWS::RDS::DBCluster"))
	fixed := c.typed("AWS::Test::Fixed")
	fixed.Update = nil
	registry.Add(fixed)
	registry.Add(types.Types(svc, svc)...)
	return svc
}

func newWorld(t testing.TB, change func(*cloudformation.Config)) *world {
	t.Helper()
	st := storetest.New(t)
	e := workflow.New(workflow.Config{Store: st, Retry: workflow.Retry{Attempts: 3, First: time.Millisecond, Max: time.Millisecond}})
	c := &cloud{there: map[string]cfn.Properties{}}
	w := &world{Service: service(st, e, c, change), t: t, cloud: c, store: st, engine: e, ctx: callContext(t.Context())}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Stop()
		w.sound()
	})
	return w
}

// sound checks that the records are consistent.
func (w *world) sound() {
	w.t.Helper()
	err := w.store.View(context.WithoutCancel(w.ctx), func(tx store.Tx) error {
		return errors.Join(cloudformation.CheckInvariants(tx, w.engine)...)
	})
	if err != nil {
		w.t.Errorf("the records are not sound: %v", err)
	}
}

func (w *world) stack(name string) *api.Stack {
	w.t.Helper()
	out, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{StackName: name})
	if err != nil {
		w.t.Fatalf("DescribeStacks %s: %v", name, err)
	}
	return &out.Stacks[0]
}

// settle waits until no operation is under way and checks the status.
func (w *world) settle(name, want string) *api.Stack {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.ctx, 20*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/stack/")
	for {
		st := w.stack(name)
		if !strings.HasSuffix(st.StackStatus, "_IN_PROGRESS") {
			if st.StackStatus != want {
				w.t.Fatalf("stack %s is %s (%s), want %s\n%s", name, st.StackStatus, st.StackStatusReason, want, strings.Join(w.events(st.StackId), "\n"))
			}
			return st
		}
		if _, ok := <-changed; !ok {
			w.t.Fatalf("stack %s stays in %s\n%s", name, st.StackStatus, strings.Join(w.events(st.StackId), "\n"))
		}
	}
}

// events are the stack's events, oldest first: "logical STATUS reason".
func (w *world) events(name string) []string {
	w.t.Helper()
	var out []string
	token := ""
	for {
		page, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: name, NextToken: token})
		if err != nil {
			w.t.Fatalf("DescribeStackEvents: %v", err)
		}
		for _, e := range page.StackEvents {
			who := e.LogicalResourceId
			if e.PhysicalResourceId == e.StackId {
				who = "(stack)"
			}
			out = append(out, strings.TrimSpace(who+" "+e.ResourceStatus+" "+e.ResourceStatusReason))
		}
		if token = page.NextToken; token == "" {
			slices.Reverse(out)
			return out
		}
	}
}

func (w *world) create(name, body string, change ...func(*api.CreateStackInput)) string {
	w.t.Helper()
	in := &api.CreateStackInput{StackName: name, TemplateBody: body}
	for _, f := range change {
		f(in)
	}
	out, err := w.CreateStack(w.ctx, in)
	if err != nil {
		w.t.Fatalf("CreateStack: %v", err)
	}
	return out.StackId
}

func (w *world) updateTo(name, body string, change ...func(*api.UpdateStackInput)) {
	w.t.Helper()
	in := &api.UpdateStackInput{StackName: name, TemplateBody: body}
	for _, f := range change {
		f(in)
	}
	if _, err := w.UpdateStack(w.ctx, in); err != nil {
		w.t.Fatalf("UpdateStack: %v", err)
	}
}

func (w *world) drop(name string) {
	w.t.Helper()
	if _, err := w.DeleteStack(w.ctx, &api.DeleteStackInput{StackName: name}); err != nil {
		w.t.Fatalf("DeleteStack: %v", err)
	}
}

// refused checks an error's code and a part of its message.
func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	e, ok := fault.As(err)
	if !ok || e.Code != code || !strings.Contains(e.Message, message) {
		t.Errorf("error %v, want %s: …%s…", err, code, message)
	}
}

func yes() *bool { b := true; return &b }
