package cloudformation_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// survivor is a workflow beside the operations of stacks, crashed and repeated at
// every entry of its journal.
type survivor struct {
	change func(c *cloudformation.Config)
	cloud  func(c *cloud)
	before func(w *world) // what is there
	begin  func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error)
	after  func(w *world) // what must be there
}

func (c survivor) setup(t testing.TB, s store.Store) workflowtest.Scenario {
	cl := &cloud{there: map[string]cfn.Properties{}}
	ctx := auth.WithToken(callContext(context.WithoutCancel(t.Context())), "the test")
	if c.before != nil {
		e := workflow.New(workflow.Config{Store: s})
		w := &world{Service: service(s, e, cl, c.change), t: t, cloud: cl, store: s, engine: e, ctx: callContext(context.WithoutCancel(t.Context()))}
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		c.before(w)
		e.Stop()
	}
	if c.cloud != nil {
		c.cloud(cl)
	}
	var svc *cloudformation.Service
	var last *workflow.Engine
	return workflowtest.Scenario{
		Register: func(e *workflow.Engine) { svc, last = service(s, e, cl, c.change), e },
		Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
			begin, err := c.begin(svc, ctx)
			if err != nil {
				return "", err
			}
			return begin(tx)
		},
		Check: func(t testing.TB, s store.Store, st workflow.Status) {
			if st.State != workflow.Done {
				t.Errorf("the workflow is %s: %v", st.State, st.Err)
			}
			w := &world{Service: svc, t: t, cloud: cl, store: s, engine: last, ctx: ctx}
			c.after(w)
			if err := s.View(ctx, func(tx store.Tx) error { return errors.Join(cloudformation.CheckInvariants(tx, last)...) }); err != nil {
				t.Errorf("records: %v", err)
			}
		},
	}
}

func refactoring(w *world) {
	w.create("a", "Resources: {Box: {Type: AWS::Test::Thing, Properties: {Name: box}}, Lid: {Type: AWS::Test::Named, Properties: {Name: lid}}}")
	w.settle("a", "CREATE_COMPLETE")
	w.refactor(&api.CreateStackRefactorInput{EnableStackCreation: yes(), StackDefinitions: []api.StackDefinition{
		definition("a", "Resources: {Lid: {Type: AWS::Test::Named, Properties: {Name: lid}}}"),
		definition("b", "Resources: {Box: {Type: AWS::Test::Thing, Properties: {Name: box}}}"),
	}})
}

func beginRefactor(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
	return s.BeginRefactor(ctx), nil
}

// What outlives a request survives a crash before and after each entry of its
// journal, and the repetition of each of its steps.
func TestWorkflowsSurvive(t *testing.T) {
	for name, c := range map[string]survivor{
		"a macro that fails": {
			change: func(c *cloudformation.Config) {
				c.Invoke = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"no": "answer"}`), nil }
			},
			before: func(w *world) {
				if err := w.CreateMacro(w.ctx, cfn.Macro{Name: "Broken", FunctionName: "f"}); err != nil {
					w.t.Fatal(err)
				}
			},
			begin: func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
				return s.BeginMacros(ctx, "s", withMacro("Broken"))
			},
			after: func(w *world) {
				want := "(stack) CREATE_IN_PROGRESS User Initiated\n(stack) ROLLBACK_IN_PROGRESS Received malformed response from transform 111111111111::Broken. Rollback requested by user.\n(stack) ROLLBACK_COMPLETE"
				if got := strings.Join(w.events("s"), "\n"); got != want {
					w.t.Errorf("events:\n%s", got)
				}
			},
		},
		"a scan": {
			cloud: func(c *cloud) {
				c.found("AWS::Test::Thing", "box", cfn.Properties{"Name": "box"})
				c.found("AWS::Test::Named", "lid", cfn.Properties{"Name": "lid"})
			},
			begin: func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
				return s.BeginScan(ctx), nil
			},
			after: func(w *world) {
				all, err := w.ListResourceScans(w.ctx, &api.ListResourceScansInput{})
				if err != nil || len(all.ResourceScanSummaries) != 1 || all.ResourceScanSummaries[0].Status != "COMPLETE" {
					w.t.Fatalf("%+v %v", all, err)
				}
				out, err := w.DescribeResourceScan(w.ctx, &api.DescribeResourceScanInput{ResourceScanId: all.ResourceScanSummaries[0].ResourceScanId})
				if err != nil || *out.ResourcesRead != 2 || *out.ResourcesScanned != 2 {
					w.t.Errorf("%+v %v", out, err)
				}
			},
		},
		"a generated template": {
			cloud: func(c *cloud) { c.found("AWS::Test::Named", "lid", cfn.Properties{"Name": "lid"}) },
			begin: func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
				return s.BeginGenerating(ctx, []api.ResourceDefinition{
					{ResourceType: "AWS::Test::Named", ResourceIdentifier: map[string]string{"Name": "lid"}},
					{ResourceType: "AWS::Test::Named", ResourceIdentifier: map[string]string{"Name": "nothing"}},
				}), nil
			},
			after: func(w *world) {
				if g := w.generatedTemplate("g"); g.Status != "COMPLETE" || *g.Progress.ResourcesSucceeded != 1 || *g.Progress.ResourcesFailed != 1 {
					w.t.Errorf("%+v %+v", g, g.Progress)
				}
			},
		},
		"a refactoring": {
			before: refactoring, begin: beginRefactor,
			after: func(w *world) {
				if a, b, now := w.logical("a"), w.logical("b"), w.describeRefactor("fixed").ExecutionStatus; a != "Lid lid" || b != "Box box" || now != "EXECUTE_COMPLETE" {
					w.t.Errorf("a has %s, b has %s, the refactoring is %s", a, b, now)
				}
				if a, b := w.stack("a").StackStatus, w.stack("b").StackStatus; a != "UPDATE_COMPLETE" || b != "CREATE_COMPLETE" {
					w.t.Errorf("a is %s, b is %s", a, b)
				}
			},
		},
		"a refactoring that fails": {
			before: refactoring, begin: beginRefactor,
			cloud: func(c *cloud) {
				c.update = func(_ context.Context, r cfn.Request) error {
					if r.StackName == "b" {
						return fault.New(fault.AccessDenied, "no leave to tag")
					}
					return nil
				}
			},
			after: func(w *world) {
				if a, b, now := w.logical("a"), w.logical("b"), w.describeRefactor("fixed").ExecutionStatus; a != "Box box, Lid lid" || b != "" || now != "ROLLBACK_COMPLETE" {
					w.t.Errorf("a has %s, b has %s, the refactoring is %s", a, b, now)
				}
				if a, b := w.stack("a").StackStatus, w.stack("b").StackStatus; a != "UPDATE_ROLLBACK_COMPLETE" || b != "ROLLBACK_COMPLETE" {
					w.t.Errorf("a is %s, b is %s", a, b)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) { workflowtest.Check(t, workflowtest.Case{Setup: c.setup}) })
	}
}
