package cloudformation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	types "github.com/slipway/slipway/resource/cloudformation"
	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

// provider stands for the function, and the topic, behind a ServiceToken.
type provider struct {
	mu      sync.Mutex
	asked   []types.CustomRequest
	ids     map[string]bool
	answers func(r types.CustomRequest) map[string]any // nil: it says nothing
	handler func() http.Handler
}

func (p *provider) take(_ context.Context, _ string, payload []byte) error {
	var r types.CustomRequest
	if err := json.Unmarshal(payload, &r); err != nil {
		return err
	}
	answer := p.answers(r) // before it is known that it was asked
	p.mu.Lock()
	if p.ids == nil {
		p.ids = map[string]bool{}
	}
	if !p.ids[r.RequestId] { // a repeated step asks the same
		p.asked = append(p.asked, r)
	}
	p.ids[r.RequestId] = true
	p.mu.Unlock()
	if answer != nil {
		if code := p.put(r, answer); code != http.StatusOK {
			return fmt.Errorf("the answer was refused: %d", code)
		}
	}
	return nil
}

// put answers a request; what answer leaves out is as it should be.
func (p *provider) put(r types.CustomRequest, answer map[string]any) int {
	full := map[string]any{
		"Status": "SUCCESS", "StackId": r.StackId, "RequestId": r.RequestId, "LogicalResourceId": r.LogicalResourceId,
		"PhysicalResourceId": "thing-1",
	}
	if r.PhysicalResourceId != "" {
		full["PhysicalResourceId"] = r.PhysicalResourceId
	}
	for k, v := range answer {
		full[k] = v
	}
	body, _ := json.Marshal(full)
	rec := httptest.NewRecorder()
	p.handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPut, r.ResponseURL, strings.NewReader(string(body))))
	return rec.Code
}

func (p *provider) requests() []types.CustomRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// did lists the requests as "Type physical id".
func (p *provider) did() []string {
	var out []string
	for _, r := range p.requests() {
		out = append(out, strings.TrimSpace(r.RequestType+" "+r.PhysicalResourceId))
	}
	return out
}

func (p *provider) config(cfg *cloudformation.Config) {
	cfg.Enqueue, cfg.Ring = p.take, keyring.Ephemeral()
	cfg.Publish = func(ctx context.Context, topic, subject, message string) error {
		if subject != "AWS CloudFormation custom resource request" {
			return fmt.Errorf("subject %q", subject)
		}
		return p.take(ctx, topic, []byte(message))
	}
}

// newCustom is a world with a provider that says what answers says.
func newCustom(t *testing.T, answers func(r types.CustomRequest) map[string]any) (*world, *provider) {
	p := &provider{answers: answers}
	w := newWorld(t, p.config)
	p.handler = w.AnswerHandler
	return w, p
}

func says(answer map[string]any) func(types.CustomRequest) map[string]any {
	return func(types.CustomRequest) map[string]any { return answer }
}

const functionARN = "arn:aws:lambda:us-east-1:111111111111:function:provider"

func customs(properties string) string {
	return "Resources:\n  C: {Type: 'Custom::Thing', Properties: {ServiceToken: '" + functionARN + "', " + properties + "}}\n"
}

func TestCustomResource(t *testing.T) {
	w, p := newCustom(t, says(map[string]any{"Data": map[string]any{"Image": "ami-1", "In": map[string]any{"N": 7}}}))
	body := func(size string) string {
		return customs("Size: "+size+", On: true, List: [1, a], ServiceTimeout: 60") +
			"  T: {Type: 'AWS::Test::Thing', Properties: {Value: !Sub '${C}:${C.Image}:${C.In.N}'}}\n"
	}
	id := w.create("s", body("5"))
	w.settle("s", "CREATE_COMPLETE")
	if got := w.cloud.there[w.cloud.things()[0]]["Value"]; got != "thing-1:ami-1:7" {
		t.Errorf("the template got %v", got)
	}
	want := map[string]any{"ServiceToken": functionARN, "Size": "5", "On": "true", "List": []any{"1", "a"}, "ServiceTimeout": "60"}
	r := p.requests()[0]
	if diff := cmp.Diff(want, r.ResourceProperties); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	if r.RequestType != "Create" || r.ServiceToken != functionARN || r.StackId != id || r.LogicalResourceId != "C" || r.ResourceType != "Custom::Thing" || r.PhysicalResourceId != "" || r.OldResourceProperties != nil {
		t.Errorf("the request is %+v", r)
	}
	if code := p.put(r, nil); code != http.StatusForbidden {
		t.Errorf("a second answer is let in: %d", code)
	}

	w.updateTo("s", body("6"))
	w.settle("s", "UPDATE_COMPLETE")
	r = p.requests()[1]
	old := r.OldResourceProperties.(map[string]any)
	if r.RequestType != "Update" || r.PhysicalResourceId != "thing-1" || old["Size"] != "5" || r.ResourceProperties.(map[string]any)["Size"] != "6" {
		t.Errorf("the request is %+v", r)
	}
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	if diff := cmp.Diff([]string{"Create", "Update thing-1", "Delete thing-1"}, p.did()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A provider that names another physical resource has replaced it: the one before is
// deleted in the clean-up, or the new one when the update is undone.
func TestCustomResourceIsReplaced(t *testing.T) {
	w, p := newCustom(t, func(r types.CustomRequest) map[string]any {
		if r.RequestType == "Delete" {
			return map[string]any{}
		}
		return map[string]any{"PhysicalResourceId": "thing-" + fmt.Sprint(r.ResourceProperties.(map[string]any)["N"])}
	})
	after := func(n, fail string) string {
		return customs("N: "+n) + "  Z: {Type: 'AWS::Test::Thing', DependsOn: C, Properties: {Value: '" + n + "', Fail: '" + fail + "'}}\n"
	}
	w.create("s", after("1", ""))
	w.settle("s", "CREATE_COMPLETE")
	w.updateTo("s", after("2", ""))
	w.settle("s", "UPDATE_COMPLETE")
	w.updateTo("s", after("3", "update"))
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	want := []string{"Create", "Update thing-1", "Delete thing-1", "Update thing-2", "Update thing-3", "Delete thing-3"}
	if diff := cmp.Diff(want, p.did()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	wantEvents := []string{
		"C UPDATE_IN_PROGRESS", "C UPDATE_IN_PROGRESS Requested update required the provider to create a new physical resource", "C UPDATE_COMPLETE",
	}
	if !strings.Contains(strings.Join(w.events("s"), "\n"), strings.Join(wantEvents, "\n")) {
		t.Errorf("events:\n%s", strings.Join(w.events("s"), "\n"))
	}
}

func TestCustomResourceFails(t *testing.T) {
	long := strings.Repeat("x", 4096)
	for _, c := range []struct {
		name   string
		answer map[string]any
		reason string
		left   string // the physical id that is deleted
	}{
		{"it says so", map[string]any{"Status": "FAILED", "Reason": "no room", "PhysicalResourceId": "half"}, "Received response status [FAILED] from custom resource. Message returned: no room (RequestId: ", "half"},
		{"too long", map[string]any{"Data": map[string]any{"X": long}}, "Response object is too long.", "s-C-"},
		{"another stack", map[string]any{"StackId": "arn"}, "Invalid response object: StackId is not that of the request", "s-C-"},
		{"another request", map[string]any{"RequestId": "r"}, "Invalid response object: RequestId is not that of the request", "s-C-"},
		{"another resource", map[string]any{"LogicalResourceId": "D"}, "Invalid response object: LogicalResourceId is not that of the request", "s-C-"},
		{"no status", map[string]any{"Status": "OK"}, "Invalid response object: Status must be SUCCESS or FAILED", "s-C-"},
		{"no id", map[string]any{"PhysicalResourceId": ""}, "Invalid PhysicalResourceId", "s-C-"},
		{"data", map[string]any{"Data": "text"}, "Invalid response object: it is not JSON with the members of an answer", "s-C-"},
		{"sealed", map[string]any{"Data": map[string]any{"A": map[string]any{"slipway:sealed": "x"}}}, "Invalid response object: Data has a reserved name", "thing-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &provider{}
			w := newWorld(t, p.config)
			p.handler = w.AnswerHandler
			p.answers = func(r types.CustomRequest) map[string]any {
				if r.RequestType == "Delete" {
					return map[string]any{}
				}
				p.put(r, c.answer) // what is no answer is refused, and counts
				return nil
			}
			id := w.create("s", customs("A: b"))
			w.settle("s", "ROLLBACK_COMPLETE")
			if !slices.ContainsFunc(w.events(id), func(e string) bool { return strings.HasPrefix(e, "C CREATE_FAILED "+c.reason) }) {
				t.Errorf("events:\n%s", strings.Join(w.events(id), "\n"))
			}
			if did := p.did(); len(did) != 2 || !strings.HasPrefix(did[1], "Delete "+c.left) {
				t.Errorf("requests %v", did)
			}
		})
	}
}

func TestCustomResourceIsRefused(t *testing.T) {
	w, p := newCustom(t, says(map[string]any{}))
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: "Resources:\n  C: {Type: 'Custom::Thing'}\n"})
	refused(t, err, fault.ValidationError, "required key [ServiceToken] not found")
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: "Resources:\n  C: {Type: 'Custom::No/Such'}\n"})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [Custom::No/Such]")
	for token, reason := range map[string]string{
		"arn:aws:sqs:us-east-1:111111111111:q":               "Invalid service token: ",
		"arn:aws:lambda:eu-west-1:111111111111:function:far": "is not in the stack's region",
	} {
		w.create("s", strings.Replace(customs("A: b"), functionARN, token, 1))
		w.settle("s", "ROLLBACK_COMPLETE")
		if events := strings.Join(w.events("s"), "\n"); !strings.Contains(events, reason) {
			t.Errorf("events:\n%s", events)
		}
		w.drop("s")
		w.gone("s")
	}
	w.create("s", customs("A: b"))
	w.settle("s", "CREATE_COMPLETE")
	w.updateTo("s", strings.Replace(customs("A: c"), "function:provider", "function:another", 1))
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	if events := strings.Join(w.events("s"), "\n"); !strings.Contains(events, "C UPDATE_FAILED Modifying service token is not allowed.") {
		t.Errorf("events:\n%s", events)
	}
	if slices.Contains(p.did(), "Delete thing-1") {
		t.Errorf("requests %v", p.did())
	}
}

// gone waits until no live stack has the name.
func (w *world) gone(name string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.ctx, 20*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/stack/")
	for {
		if _, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{StackName: name}); err != nil {
			return
		}
		if _, ok := <-changed; !ok {
			w.t.Fatalf("stack %s stays", name)
		}
	}
}

// What a provider gives with NoEcho is nowhere to be read but where the template
// puts it.
func TestCustomResourceNoEcho(t *testing.T) {
	const secret = "n0t-to-be-seen"
	w, _ := newCustom(t, says(map[string]any{"NoEcho": true, "Data": map[string]any{"Password": secret, "In": map[string]any{"Pin": 4711}}}))
	w.create("s", customs("A: b"))
	w.settle("s", "CREATE_COMPLETE")
	if err := w.store.View(w.ctx, func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			if strings.Contains(string(doc.Value), secret) {
				t.Errorf("%s holds the secret", doc.Key)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	user := customs("A: b") + "  T: {Type: 'AWS::Test::Thing', Properties: {Name: t, Value: !Sub 'x-${C.Password}-${C.In.Pin}'}}\n"
	w.updateTo("s", user)
	w.settle("s", "UPDATE_COMPLETE")
	if got := w.cloud.there["t"]["Value"]; got != "x-"+secret+"-4711" {
		t.Errorf("the template got %v", got)
	}
	events, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.StackEvents {
		if strings.Contains(e.ResourceProperties, secret) {
			t.Errorf("an event shows the secret: %s", e.ResourceProperties)
		}
	}
	if _, err := w.CreateChangeSet(w.ctx, &api.CreateChangeSetInput{StackName: "s", ChangeSetName: "c", TemplateBody: strings.Replace(user, "x-", "y-", 1)}); err != nil {
		t.Fatal(err)
	}
	cs, err := w.DescribeChangeSet(w.ctx, &api.DescribeChangeSetInput{StackName: "s", ChangeSetName: "c", IncludePropertyValues: yes()})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %+v", *cs.Changes[0].ResourceChange, cs.Changes[0].ResourceChange.Details[0].Target); strings.Contains(text, secret) || !strings.Contains(text, "****") {
		t.Errorf("the change set shows %s", text)
	}
}

// The time for an answer is bounded; Cancel ends it at once.
func TestCustomResourceWithoutAnswer(t *testing.T) {
	answering := false
	w, p := newCustom(t, nil)
	var mu sync.Mutex
	p.answers = func(r types.CustomRequest) map[string]any {
		mu.Lock()
		defer mu.Unlock()
		if r.RequestType == "Delete" || answering {
			return map[string]any{}
		}
		return nil
	}
	answer := func(yes bool) { mu.Lock(); answering = yes; mu.Unlock() }
	w.create("s", customs("ServiceTimeout: 1"))
	w.settle("s", "ROLLBACK_COMPLETE")
	if events := strings.Join(w.events("s"), "\n"); !strings.Contains(events, "C CREATE_FAILED CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId ["+p.requests()[0].RequestId+"].") {
		t.Errorf("events:\n%s", events)
	}
	if code := p.put(p.requests()[0], nil); code != http.StatusForbidden {
		t.Errorf("a late answer is let in: %d", code)
	}
	w.drop("s")
	w.gone("s")

	answer(true)
	w.create("s", customs("A: b"))
	w.settle("s", "CREATE_COMPLETE")
	answer(false)
	asked := len(p.requests())
	changed := w.store.Watch(w.ctx, "workflow/journal/")
	w.updateTo("s", customs("A: c"))
	for len(p.requests()) == asked {
		<-changed
	}
	answer(true)
	if _, err := w.CancelUpdateStack(w.ctx, &api.CancelUpdateStackInput{StackName: "s"}); err != nil {
		t.Fatal(err)
	}
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
}

// A topic's request names the topic, and its URL is the one by which the caller
// came: what listens may be on another machine.
func TestCustomResourceOverTopic(t *testing.T) {
	w, p := newCustom(t, says(map[string]any{}))
	const topic = "arn:aws:sns:us-east-1:111111111111:providers"
	w.create("s", strings.Replace(customs("A: b"), functionARN, topic, 1))
	w.settle("s", "CREATE_COMPLETE")
	if r := p.requests()[0]; r.TopicArn != topic || r.ServiceToken != "" || !strings.HasPrefix(r.ResponseURL, "http://127.0.0.1:4566/_slipway/cfn/answer/") {
		t.Errorf("the request is %+v", r)
	}
}

// An answer that comes while no server runs the stack is there for the next one; so
// is one that comes before the server has died.
func TestCustomResourceAcrossRestarts(t *testing.T) {
	st := storetest.New(t)
	p := &provider{answers: says(nil)}
	cl := &cloud{there: map[string]cfn.Properties{}}
	run := func() (*world, *workflow.Engine) {
		e := workflow.New(workflow.Config{Store: st, Server: "one"})
		w := &world{Service: service(st, e, cl, p.config), t: t, cloud: cl, store: st, engine: e, ctx: callContext(t.Context())}
		p.handler = w.AnswerHandler
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Stop)
		return w, e
	}
	w, e := run()
	id := w.create("s", customs("A: b"))
	w.until(id, "C CREATE_IN_PROGRESS")
	e.Stop()
	w, e = run()
	asked := func() []types.CustomRequest {
		changed := st.Watch(w.ctx, "workflow/journal/")
		for len(p.requests()) == 0 {
			<-changed
		}
		return p.requests()
	}()
	if code := p.put(asked[0], nil); code != http.StatusOK {
		t.Errorf("the answer is refused: %d", code)
	}
	e.Stop()
	w, _ = run()
	w.settle("s", "CREATE_COMPLETE")
	if got := p.did(); len(got) != 1 {
		t.Errorf("requests %v", got)
	}
}

func TestAnswersNeedTheirSecret(t *testing.T) {
	w, p := newCustom(t, says(nil))
	id := w.create("s", customs("A: b"))
	changed := w.store.Watch(w.ctx, "workflow/journal/")
	for len(p.requests()) == 0 {
		<-changed
	}
	url := p.requests()[0].ResponseURL
	at := url[strings.Index(url, cloudformation.AnswerPath):]
	for _, c := range []struct {
		method, path string
		code         int
	}{
		{http.MethodGet, at, http.StatusMethodNotAllowed},
		{http.MethodPut, at[:len(at)-1] + "g", http.StatusForbidden},
		{http.MethodPut, at[:strings.LastIndexByte(at, '/')+1], http.StatusForbidden},
		{http.MethodPut, cloudformation.AnswerPath + "a/b/c/d/e", http.StatusForbidden},
		{http.MethodPut, cloudformation.AnswerPath, http.StatusForbidden},
	} {
		rec := httptest.NewRecorder()
		w.AnswerHandler().ServeHTTP(rec, httptest.NewRequest(c.method, c.path, strings.NewReader("{}")))
		if rec.Code != c.code {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, rec.Code, c.code)
		}
	}
	p.put(p.requests()[0], nil)
	w.settle(id, "CREATE_COMPLETE")
}
