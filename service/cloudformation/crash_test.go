package cloudformation_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	types "github.com/slipway/slipway/resource/cloudformation"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// flowCase is an operation that is crashed and repeated at every journal entry.
// Whatever happens, the events and what is left in the cloud are the same.
type flowCase struct {
	name   string
	before string // template of the stack that is there, "" for none
	policy string // of that stack, "" for none
	there  string // name of a thing that no stack has, "" for none
	begin  func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error)
	after  func(w *world)       // happens once the stack is there; nil: nothing
	alarm  func(cl *cloud) bool // whether the alarm of a monitored operation is on
	status string
	events []string
	things int
}

func creates(body string) func(*cloudformation.Service, context.Context) (cloudformation.Beginning, error) {
	return func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
		return s.BeginCreate(ctx, "s", body)
	}
}

func updates(body string) func(*cloudformation.Service, context.Context) (cloudformation.Beginning, error) {
	return func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
		return s.BeginUpdate(ctx, "s", body)
	}
}

// monitors updates with a rollback trigger and a time of monitoring.
func monitors(body string) func(*cloudformation.Service, context.Context) (cloudformation.Beginning, error) {
	return func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
		return s.BeginMonitored(ctx, "s", body, &api.RollbackConfiguration{RollbackTriggers: trigger(alarmARN), MonitoringTimeInMinutes: new(int32(1))})
	}
}

func deletes(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
	return s.BeginDelete(ctx, "s"), nil
}

var flowCases = []flowCase{
	{name: "create", begin: creates(chain), status: "CREATE_COMPLETE", things: 3, events: []string{
		"(stack) CREATE_IN_PROGRESS User Initiated",
		"A CREATE_IN_PROGRESS", "A CREATE_IN_PROGRESS Resource creation Initiated", "A CREATE_COMPLETE",
		"B CREATE_IN_PROGRESS", "B CREATE_IN_PROGRESS Resource creation Initiated", "B CREATE_COMPLETE",
		"C CREATE_IN_PROGRESS", "C CREATE_IN_PROGRESS Resource creation Initiated", "C CREATE_COMPLETE",
		"(stack) CREATE_COMPLETE",
	}},
	{name: "create that fails", begin: creates(failing), status: "ROLLBACK_COMPLETE", events: []string{
		"(stack) CREATE_IN_PROGRESS User Initiated",
		"A CREATE_IN_PROGRESS", "A CREATE_IN_PROGRESS Resource creation Initiated", "A CREATE_COMPLETE",
		"B CREATE_IN_PROGRESS", "B CREATE_IN_PROGRESS Resource creation Initiated", "B CREATE_FAILED " + reasonB,
		"(stack) ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [B]. Rollback requested by user.",
		"B DELETE_IN_PROGRESS", "B DELETE_COMPLETE", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
		"(stack) ROLLBACK_COMPLETE",
	}},
	{name: "update with replacement", before: pair, begin: updates(strings.Replace(pair, "Name: first", "Name: second", 1)), status: "UPDATE_COMPLETE", things: 2, events: []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"A UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
		"A UPDATE_IN_PROGRESS Resource creation Initiated", "A UPDATE_COMPLETE",
		"B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE",
		"(stack) UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
		"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
		"(stack) UPDATE_COMPLETE",
	}},
	{name: "update that fails", before: pair, status: "UPDATE_ROLLBACK_COMPLETE", things: 2, begin: updates(`
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: second, Value: two}}
  B: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref A, Fail: update}}
`), events: []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"A UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
		"A UPDATE_IN_PROGRESS Resource creation Initiated", "A UPDATE_COMPLETE",
		"B UPDATE_IN_PROGRESS", `B UPDATE_FAILED Resource handler returned message: "the thing cannot change (InvalidThing)" (RequestToken: `,
		"(stack) UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [B].",
		"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE", "B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE",
		"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
		"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
		"(stack) UPDATE_ROLLBACK_COMPLETE",
	}},
	{name: "update that the stack policy denies", before: pair, policy: protectA, things: 2, status: "UPDATE_ROLLBACK_COMPLETE",
		begin: updates("Resources:\n  B: {Type: 'AWS::Test::Thing', Properties: {Value: changed}}\n"), events: []string{
			"(stack) UPDATE_IN_PROGRESS User Initiated",
			"A UPDATE_FAILED Action denied by stack policy: Statement [#2] does not allow [Update:Delete] for resource [LogicalResourceId/A]",
			"(stack) UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [A].",
			"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
			"(stack) UPDATE_ROLLBACK_COMPLETE",
		}},
	{name: "update that is monitored", before: pair, begin: monitors(strings.Replace(pair, "Name: first", "Name: second", 1)),
		alarm: func(*cloud) bool { return false }, status: "UPDATE_COMPLETE", things: 2, events: []string{
			"(stack) UPDATE_IN_PROGRESS User Initiated",
			"A UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
			"A UPDATE_IN_PROGRESS Resource creation Initiated", "A UPDATE_COMPLETE",
			"B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE",
			"(stack) UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
			"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
			"(stack) UPDATE_COMPLETE",
		}},
	{name: "update that a trigger ends", before: pair, begin: monitors(strings.Replace(pair, "Name: first", "Name: second", 1)),
		alarm: func(cl *cloud) bool { return slices.Contains(cl.things(), "second") }, status: "UPDATE_ROLLBACK_COMPLETE", things: 2, events: []string{
			"(stack) UPDATE_IN_PROGRESS User Initiated",
			"A UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
			"A UPDATE_IN_PROGRESS Resource creation Initiated", "A UPDATE_COMPLETE",
			"B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE",
			"(stack) UPDATE_ROLLBACK_IN_PROGRESS The rollback trigger " + alarmARN + " is in ALARM state.",
			"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE", "B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE",
			"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
			"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
			"(stack) UPDATE_ROLLBACK_COMPLETE",
		}},
	{name: "delete", before: pair, begin: deletes, status: "DELETE_COMPLETE", events: []string{
		"(stack) DELETE_IN_PROGRESS User Initiated",
		"B DELETE_IN_PROGRESS", "B DELETE_COMPLETE", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
		"(stack) DELETE_COMPLETE",
	}},
	{name: "delete with a snapshot", before: "Resources:\n  V: {Type: 'AWS::EC2::Volume', DeletionPolicy: Snapshot}\n", begin: deletes, status: "DELETE_COMPLETE", events: []string{
		"(stack) DELETE_IN_PROGRESS User Initiated",
		"V DELETE_IN_PROGRESS", "V DELETE_COMPLETE",
		"(stack) DELETE_COMPLETE",
	}},
	{name: "import", there: "one", begin: takes(taken, "C", "one"), status: "IMPORT_COMPLETE", things: 1, events: []string{
		"(stack) REVIEW_IN_PROGRESS User Initiated", "(stack) IMPORT_IN_PROGRESS User Initiated",
		"C IMPORT_IN_PROGRESS Resource import started.", "C IMPORT_COMPLETE Resource import completed.",
		"C UPDATE_IN_PROGRESS Apply stack-level tags to imported resource if applicable.", "C UPDATE_COMPLETE",
		"(stack) IMPORT_COMPLETE",
	}},
	{name: "import that fails", before: pair, there: "one", begin: takes(pair+strings.TrimPrefix(taken, "\nResources:\n")+`
  D: {Type: 'AWS::Test::Thing', DeletionPolicy: Delete, DependsOn: C}
`, "C", "one", "D", "two"), status: "IMPORT_ROLLBACK_COMPLETE", things: 3, events: []string{
		"(stack) IMPORT_IN_PROGRESS User Initiated",
		"C IMPORT_IN_PROGRESS Resource import started.", "C IMPORT_COMPLETE Resource import completed.",
		"C UPDATE_IN_PROGRESS Apply stack-level tags to imported resource if applicable.", "C UPDATE_COMPLETE",
		"D IMPORT_IN_PROGRESS Resource import started.", `D IMPORT_FAILED Resource handler returned message: "two is gone (NotFound)" (RequestToken: `,
		"(stack) IMPORT_ROLLBACK_IN_PROGRESS The following resource(s) failed to import: [D].",
		"C IMPORT_ROLLBACK_IN_PROGRESS", "C IMPORT_ROLLBACK_COMPLETE", "D IMPORT_ROLLBACK_IN_PROGRESS", "D IMPORT_ROLLBACK_COMPLETE",
		"(stack) IMPORT_ROLLBACK_COMPLETE",
	}},
	{name: "create of a tree", begin: creates(tree("one", "no")), status: "CREATE_COMPLETE", things: 2, events: []string{
		"(stack) CREATE_IN_PROGRESS User Initiated",
		"Child CREATE_IN_PROGRESS", "Child CREATE_IN_PROGRESS Resource creation Initiated", "Child CREATE_COMPLETE",
		"Z CREATE_IN_PROGRESS", "Z CREATE_IN_PROGRESS Resource creation Initiated", "Z CREATE_COMPLETE",
		"(stack) CREATE_COMPLETE",
	}},
	{name: "update of a tree", before: tree("one", "no"), begin: updates(tree("two", "no")), status: "UPDATE_COMPLETE", things: 2, events: []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"Child UPDATE_IN_PROGRESS", "Child UPDATE_COMPLETE", "Z UPDATE_IN_PROGRESS", "Z UPDATE_COMPLETE",
		"(stack) UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "Child UPDATE_COMPLETE", "(stack) UPDATE_COMPLETE",
	}},
	{name: "update of a tree that fails", before: tree("one", "no"), begin: updates(tree("two", "update")), status: "UPDATE_ROLLBACK_COMPLETE", things: 2, events: []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"Child UPDATE_IN_PROGRESS", "Child UPDATE_COMPLETE",
		"Z UPDATE_IN_PROGRESS", `Z UPDATE_FAILED Resource handler returned message: "the thing cannot change (InvalidThing)" (RequestToken: `,
		"(stack) UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [Z].",
		"Child UPDATE_IN_PROGRESS", "Child UPDATE_COMPLETE", "Z UPDATE_IN_PROGRESS", "Z UPDATE_COMPLETE",
		"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "Child UPDATE_COMPLETE", "(stack) UPDATE_ROLLBACK_COMPLETE",
	}},
	{name: "delete of a tree", before: tree("one", "no"), begin: deletes, status: "DELETE_COMPLETE", events: []string{
		"(stack) DELETE_IN_PROGRESS User Initiated",
		"Z DELETE_IN_PROGRESS", "Z DELETE_COMPLETE", "Child DELETE_IN_PROGRESS", "Child DELETE_COMPLETE",
		"(stack) DELETE_COMPLETE",
	}},
	{name: "update of a custom resource that fails", before: customPair("1", "no"), begin: updates(customPair("2", "update")), status: "UPDATE_ROLLBACK_COMPLETE", things: 2, events: []string{
		"(stack) UPDATE_IN_PROGRESS User Initiated",
		"C UPDATE_IN_PROGRESS", "C UPDATE_IN_PROGRESS Requested update required the provider to create a new physical resource", "C UPDATE_COMPLETE",
		"Z UPDATE_IN_PROGRESS", `Z UPDATE_FAILED Resource handler returned message: "the thing cannot change (InvalidThing)" (RequestToken: `,
		"(stack) UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [Z].",
		"C UPDATE_IN_PROGRESS", "C UPDATE_COMPLETE", "Z UPDATE_IN_PROGRESS", "Z UPDATE_COMPLETE",
		"(stack) UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "C DELETE_IN_PROGRESS", "C DELETE_COMPLETE", "(stack) UPDATE_ROLLBACK_COMPLETE",
	}},
	{name: "create and delete of a custom resource", begin: creates(customPair("1", "create")), status: "ROLLBACK_COMPLETE", events: []string{
		"(stack) CREATE_IN_PROGRESS User Initiated",
		"C CREATE_IN_PROGRESS", "C CREATE_IN_PROGRESS Resource creation Initiated", "C CREATE_COMPLETE",
		"Z CREATE_IN_PROGRESS", "Z CREATE_IN_PROGRESS Resource creation Initiated", `Z CREATE_FAILED Resource handler returned message: "the thing is not possible (InvalidThing)" (RequestToken: `,
		"(stack) ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Z]. Rollback requested by user.",
		"Z DELETE_IN_PROGRESS", "Z DELETE_COMPLETE", "C DELETE_IN_PROGRESS", "C DELETE_COMPLETE", "(stack) ROLLBACK_COMPLETE",
	}},
	{name: "create that times out", begin: creates(conditionedShort), status: "ROLLBACK_COMPLETE", events: []string{
		"(stack) CREATE_IN_PROGRESS User Initiated",
		"Handle CREATE_IN_PROGRESS", "Handle CREATE_IN_PROGRESS Resource creation Initiated", "Handle CREATE_COMPLETE",
		"Wait CREATE_IN_PROGRESS", "Wait CREATE_IN_PROGRESS Resource creation Initiated",
		"Wait CREATE_FAILED WaitCondition timed out. Received 0 conditions when expecting 1",
		"(stack) ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Wait]. Rollback requested by user.",
		"Wait DELETE_IN_PROGRESS", "Wait DELETE_COMPLETE", "Handle DELETE_IN_PROGRESS", "Handle DELETE_COMPLETE",
		"(stack) ROLLBACK_COMPLETE",
	}},
}

// customPair is a stack with a custom resource and a thing that comes after it.
func customPair(n, fail string) string {
	return customs("N: "+n) + "  Z: {Type: 'AWS::Test::Thing', DependsOn: C, Properties: {Value: '" + n + "', Fail: '" + fail + "'}}\n"
}

// customCloud is a provider whose resources are the cloud's.
func customCloud(cl *cloud) *provider {
	return &provider{answers: func(r types.CustomRequest) map[string]any {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		if r.RequestType == "Delete" {
			delete(cl.there, r.PhysicalResourceId)
			return map[string]any{}
		}
		id := "thing-" + fmt.Sprint(r.ResourceProperties.(map[string]any)["N"])
		cl.there[id] = cfn.Properties{}
		return map[string]any{"PhysicalResourceId": id}
	}}
}

// ofCustom chooses the entries in which custom resources differ from others.
func ofCustom(what, key string) bool { return what != "crash after" && strings.Contains(key, "%2FC") }

// tree is a stack with one that is nested in it, and a thing that comes after that.
func tree(v, fail string) string {
	return fmt.Sprintf(`
Resources:
  Child: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: 'https://s3.amazonaws.com/templates/child', Parameters: {V: %s}}}
  Z: {Type: 'AWS::Test::Thing', DependsOn: Child, Properties: {Value: %s, Fail: %s}}
`, v, v, fail)
}

// ofTrees chooses the entries in which a tree differs from other stacks. To crash
// after one is to crash before the next.
func ofTrees(what, key string) bool {
	return what != "crash after" && (strings.Contains(key, "Child") || key == "finish" || key == "rolled%20back" || key == "end")
}

// ofTriggers chooses the entries in which a monitored update differs from others.
func ofTriggers(what, key string) bool {
	return what != "crash after" && (strings.Contains(key, "trigger") || strings.Contains(key, "monitor") || key == "finish")
}

// nestedChild is what tree nests. Each of its operations, a clean-up too, acts.
const nestedChild = `
Parameters: {V: {Type: String}}
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: !Sub 'the-${V}'}}
`

// phases are those in which a stack begins operations of what is nested in it.
var phases = map[string]string{
	"CREATE_IN_PROGRESS": "apply", "UPDATE_IN_PROGRESS": "apply", "DELETE_IN_PROGRESS": "delete", "UPDATE_ROLLBACK_IN_PROGRESS": "rollback",
	"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "cleanup", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "rollback%20cleanup",
}

// parentFirst holds an action of a nested stack back until its parent waits for it,
// so that the entries of the parent's journal are the same in every run.
func parentFirst(s store.Store) func(ctx context.Context, r cfn.Request) error {
	return func(ctx context.Context, r cfn.Request) error {
		if r.StackName == "s" {
			return nil
		}
		changed := s.Watch(ctx, "workflow/journal/")
		for {
			waits := false
			err := s.View(ctx, func(tx store.Tx) error {
				name, err := apply.Names.Get(tx, scope.Key()+"/s")
				if err != nil {
					return err
				}
				st, err := apply.Stacks.Get(tx, scope.Key()+"/"+apply.UUID(name.StackID))
				if err != nil {
					return err
				}
				for doc, err := range tx.Scan("workflow/journal/", store.PrefixEnd("workflow/journal/")) {
					if err != nil {
						return err
					}
					key, _ := url.PathUnescape(doc.Key)
					phase, _ := url.PathUnescape(phases[st.Status])
					waits = waits || strings.Contains(key, phase+"/Child/wait 0")
				}
				return nil
			})
			if err != nil || waits {
				return err
			}
			if _, ok := <-changed; !ok {
				return ctx.Err()
			}
		}
	}
}

const taken = `
Resources:
  C: {Type: 'AWS::Test::Thing', DeletionPolicy: Retain, Properties: {Value: found}}
`

// takes imports Things by their names.
func takes(body string, targets ...string) func(*cloudformation.Service, context.Context) (cloudformation.Beginning, error) {
	return func(s *cloudformation.Service, ctx context.Context) (cloudformation.Beginning, error) {
		return s.BeginImport(ctx, "s", body, things(targets...))
	}
}

const conditionedShort = `
Resources:
  Handle: {Type: 'AWS::CloudFormation::WaitConditionHandle'}
  Wait: {Type: 'AWS::CloudFormation::WaitCondition', Properties: {Handle: !Ref Handle, Timeout: 0}}
`

// TestOperationsSurvive crashes each operation before and after each entry of
// its journal, and repeats each of its steps.
func TestOperationsSurvive(t *testing.T) {
	for _, c := range flowCases {
		t.Run(c.name, func(t *testing.T) {
			check := workflowtest.Case{Setup: c.setup}
			if strings.Contains(c.before, "Child:") || strings.HasPrefix(c.name, "create of a tree") {
				check.Only = ofTrees
			}
			if strings.Contains(c.name, "custom") {
				check.Only = ofCustom
			}
			if c.alarm != nil {
				check.Only = ofTriggers
			}
			workflowtest.Check(t, check)
		})
	}
}

func (c flowCase) setup(t testing.TB, s store.Store) workflowtest.Scenario {
	cl := &cloud{there: map[string]cfn.Properties{}}
	cl.file("child", nestedChild)
	cl.create, cl.update, cl.delete = parentFirst(s), parentFirst(s), parentFirst(s)
	if c.there != "" {
		cl.there[c.there] = cfn.Properties{"Value": "found"}
	}
	// The token fixes the ids, by which the cases find the entries of the journal.
	ctx := auth.WithToken(callContext(context.WithoutCancel(t.Context())), "the test")
	custom := customCloud(cl)
	id, skip := "", 0
	if c.before != "" {
		e := workflow.New(workflow.Config{Store: s})
		w := &world{Service: service(s, e, cl, custom.config), t: t, cloud: cl, store: s, engine: e, ctx: ctx}
		custom.handler = w.AnswerHandler
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		id = w.create("s", c.before)
		w.settle("s", "CREATE_COMPLETE")
		if c.policy != "" {
			w.protect("s", c.policy)
		}
		e.Stop()
		if c.after != nil {
			c.after(w)
		}
		skip = len(w.events("s"))
	}
	change := custom.config
	if c.alarm != nil {
		change = (&alarms{on: func() bool { return c.alarm(cl) }}).config(1e-6)
	}
	var svc *cloudformation.Service
	var last *workflow.Engine
	return workflowtest.Scenario{
		Register: func(e *workflow.Engine) {
			svc, last = service(s, e, cl, change), e
			custom.handler = svc.AnswerHandler
		},
		Begin: func(tx store.Tx, _ *workflow.Engine) (string, error) {
			begin, err := c.begin(svc, ctx)
			if err != nil {
				return "", err
			}
			op, err := begin(tx)
			if at := strings.LastIndexByte(op, '/'); err == nil && id == "" {
				parts := strings.Split(op[:at], "/")
				id = fmt.Sprintf("arn:aws:cloudformation:us-east-1:111111111111:stack/s/%s", parts[len(parts)-1])
			}
			return op, err
		},
		Check: func(t testing.TB, s store.Store, st workflow.Status) {
			w := &world{Service: svc, t: t, cloud: cl, store: s, engine: last, ctx: ctx}
			if st.State != workflow.Done {
				t.Errorf("the workflow is %s: %v", st.State, st.Err)
			}
			if got := w.stack(id).StackStatus; got != c.status {
				t.Errorf("stack is %s, want %s", got, c.status)
			}
			got := slices.Clone(since(w.events(id), skip))
			if diff := cmp.Diff(c.events, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if things := cl.things(); len(things) != c.things {
				t.Errorf("the cloud has %v, want %d things", things, c.things)
			}
			err := s.View(ctx, func(tx store.Tx) error {
				return errors.Join(cloudformation.CheckInvariants(tx, last)...)
			})
			if err != nil {
				t.Errorf("records: %v", err)
			}
		},
	}
}
