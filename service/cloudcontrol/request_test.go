package cloudcontrol

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func TestLifeOfAResource(t *testing.T) {
	w := newWorld(t, nil)
	e := w.create(t, thing, `{"Name":"a","Value":"one","Password":"hush-hush","List":["x"]}`)
	if e.OperationStatus != pending || e.Identifier != "a" || e.Operation != "CREATE" {
		t.Errorf("at first %+v", e)
	}
	e = w.done(t, e)
	want := `{"Arn":"arn:a","List":["x"],"Name":"a","Value":"one"}`
	if e.OperationStatus != succeeded || e.Identifier != "a" || e.ResourceModel != want {
		t.Errorf("created: %+v", e)
	}
	if c := w.cloud.calls[0]; c.Principal.Name != "ann" || c.Token == "" || c.Service != "cloudformation" || c.Scope != scope {
		t.Errorf("the handler was called as %+v", c)
	}

	e = w.done(t, w.update(t, "a", `[{"op":"add","path":"/List/-","value":"y"},{"op":"replace","path":"/Value","value":"two"}]`))
	want = `{"Arn":"arn:a","List":["x","y"],"Name":"a","Value":"two"}`
	if e.OperationStatus != succeeded || e.ResourceModel != want {
		t.Errorf("updated: %+v", e)
	}
	got, err := w.GetResource(w.ctx, &api.GetResourceInput{TypeName: thing, Identifier: `{"Name":"a"}`})
	if err != nil {
		t.Fatal(err)
	}
	if d := got.ResourceDescription; d.Identifier != "a" || d.Properties != want {
		t.Errorf("GetResource = %+v", d)
	}

	if e = w.done(t, w.remove(t, "a")); e.OperationStatus != succeeded || e.Identifier != "a" || e.ResourceModel != "" {
		t.Errorf("deleted: %+v", e)
	}
	if there := w.cloud.things(); len(there) > 0 {
		t.Errorf("%v are left", there)
	}
	if e = w.done(t, w.remove(t, "a")); e.OperationStatus != failed || e.ErrorCode != "NotFound" {
		t.Errorf("deleted again: %+v", e)
	}
}

func TestFailuresOfHandlers(t *testing.T) {
	w := newWorld(t, nil)
	w.done(t, w.create(t, thing, `{"Name":"a"}`))
	for _, tt := range []struct {
		name          string
		e             *api.ProgressEvent
		code, message string
	}{
		{"exists", w.create(t, thing, `{"Name":"a","Value":"other"}`), "AlreadyExists", "Resource of type 'AWS::Test::Thing' with identifier 'a' already exists."},
		{"refused", w.create(t, thing, `{"Name":"b","Fail":"create"}`), "InvalidRequest", "the thing is not possible (InvalidThing)"},
		{"denied", w.update(t, "a", `[{"op":"add","path":"/Fail","value":"update"}]`), "AccessDenied", "not you (AccessDeniedException)"},
	} {
		e := w.done(t, tt.e)
		if e.OperationStatus != failed || e.ErrorCode != tt.code || e.StatusMessage != tt.message {
			t.Errorf("%s: %s %s %q", tt.name, e.OperationStatus, e.ErrorCode, e.StatusMessage)
		}
	}
	if d := cmp.Diff([]string{"a"}, w.cloud.things()); d != "" {
		t.Errorf("what a failed creation made is left:\n%s", d)
	}

	w.cloud.create = func(context.Context, cfn.Request) error { return errors.New("the text of an internal error") }
	if e := w.done(t, w.create(t, thing, `{"Name":"c"}`)); e.ErrorCode != "InternalFailure" || strings.Contains(e.StatusMessage, "the text") {
		t.Errorf("internal: %+v", e)
	}
}

func TestRefusedRequests(t *testing.T) {
	w := newWorld(t, nil)
	w.done(t, w.create(t, thing, `{"Name":"a","List":["x"]}`))
	create := func(typeName, desired string) error {
		_, err := w.CreateResource(w.ctx, &api.CreateResourceInput{TypeName: typeName, DesiredState: desired})
		return err
	}
	update := func(identifier, patch string) error {
		_, err := w.UpdateResource(w.ctx, &api.UpdateResourceInput{TypeName: thing, Identifier: identifier, PatchDocument: patch})
		return err
	}
	get := func(typeName, identifier string) error {
		_, err := w.GetResource(w.ctx, &api.GetResourceInput{TypeName: typeName, Identifier: identifier})
		return err
	}
	_, noRequest := w.CancelResourceRequest(w.ctx, &api.CancelResourceRequestInput{RequestToken: "none"})
	_, version := w.GetResource(w.ctx, &api.GetResourceInput{TypeName: thing, Identifier: "a", TypeVersionId: "00000001"})
	_, fixed := w.UpdateResource(w.ctx, &api.UpdateResourceInput{TypeName: "AWS::Test::Pair", Identifier: "a|b", PatchDocument: "[]"})
	bomb := `[{"op":"add","path":"/List","value":["` + strings.Repeat("x", 1<<16) + `"]}` + strings.Repeat(`,{"op":"copy","from":"/List","path":"/List/-"}`, 30) + `]`
	for _, tt := range []struct {
		name, code, message string
		err                 error
	}{
		{"unknown type", fault.TypeNotFoundException, "The type 'AWS::No::Thing' cannot be found.", create("AWS::No::Thing", "{}")},
		{"type that is not built", fault.NotImplemented, "AWS::Test::Unbuilt is not built", create("AWS::Test::Unbuilt", "{}")},
		{"type of stacks alone", fault.UnsupportedActionException, "Resource type AWS::Test::Bound does not support CREATE action", create("AWS::Test::Bound", "{}")},
		{"type without Update", fault.UnsupportedActionException, "AWS::Test::Pair does not support UPDATE action", fixed},
		{"version of a public type", fault.ValidationException, "TypeVersionId", version},
		{"no JSON", fault.ValidationException, "DesiredState is not a JSON object", create(thing, "{")},
		{"no object", fault.ValidationException, "DesiredState is not a JSON object", create(thing, "null")},
		{"two values", fault.ValidationException, "DesiredState is not a JSON object", create(thing, "{}{}")},
		{"unknown property", fault.ValidationException, "Model validation failed (#/Nme: extraneous key [Nme] is not permitted", create(thing, `{"Nme":"a"}`)},
		{"read-only property", fault.ValidationException, "the property is read-only", create(thing, `{"Arn":"a"}`)},
		{"missing property", fault.ValidationException, "Model validation failed (#: required key [Right] not found)", create("AWS::Test::Pair", `{"Left":"a"}`)},
		{"number too large", fault.ValidationException, "expected type: Integer", create(thing, `{"Size":1e999}`)},
		{"half an identifier", fault.ValidationException, "is not valid for identifier [/properties/Left, /properties/Right]", get("AWS::Test::Pair", "a")},
		{"identifier of another type", fault.ValidationException, "is not valid for identifier", get(thing, `{"Left":"a"}`)},
		{"nothing there", fault.ResourceNotFoundException, "AWS::Test::Thing Handler returned status FAILED: Resource of type", get(thing, "nobody")},
		{"update of nothing", fault.ResourceNotFoundException, "(HandlerErrorCode: NotFound, RequestToken: ", update("nobody", "[]")},
		{"no patch", fault.ValidationException, "PatchDocument is not a JSON patch", update("a", `{"Value":"b"}`)},
		{"patch of what is not there", fault.ValidationException, "PatchDocument cannot be applied", update("a", `[{"op":"remove","path":"/Value"}]`)},
		{"test that fails", fault.ValidationException, "PatchDocument cannot be applied", update("a", `[{"op":"test","path":"/Name","value":"b"}]`)},
		{"create-only in a patch", fault.NotUpdatableException, "Invalid patch update: createOnlyProperties [/properties/Name] cannot be updated", update("a", `[{"op":"replace","path":"/Name","value":"b"}]`)},
		{"read-only in a patch", fault.ValidationException, "Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated", update("a", `[{"op":"remove","path":"/Arn"}]`)},
		{"patch that breaks the schema", fault.ValidationException, "Model validation failed (#/Size: expected type: Integer", update("a", `[{"op":"add","path":"/Size","value":"big"}]`)},
		{"patch that doubles", fault.ValidationException, "the accumulated size", update("a", bomb)},
		{"no such request", fault.RequestTokenNotFound, "Request with token none was not found", noRequest},
	} {
		e, ok := fault.As(tt.err)
		if !ok || e.Code != tt.code || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
}

func TestClientTokens(t *testing.T) {
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	ask := func(desired string) (*api.ProgressEvent, error) {
		out, err := w.CreateResource(w.ctx, &api.CreateResourceInput{TypeName: thing, ClientToken: "token", DesiredState: desired})
		if err != nil {
			return nil, err
		}
		return w.done(t, out.ProgressEvent), nil
	}
	first, err := ask(`{"Name":"a"}`)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ask(`{"Name":"a"}`)
	if err != nil || again.RequestToken != first.RequestToken || again.OperationStatus != succeeded {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	if _, err = ask(`{"Name":"b"}`); !fault.Is(err, fault.ClientTokenConflict) {
		t.Errorf("another request with the token: %v", err)
	}
	now = now.Add(tokenLife)
	if e, err := ask(`{"Name":"b"}`); err != nil || e.RequestToken == first.RequestToken || e.OperationStatus != succeeded {
		t.Errorf("after 36 hours: %+v, %v", e, err)
	}
}

// A patch that was applied may not fit again: its repetition is the request that was,
// all the same.
func TestAnUpdateIsRepeated(t *testing.T) {
	w := newWorld(t, nil)
	w.done(t, w.create(t, thing, `{"Name":"a","Value":"one"}`))
	in := &api.UpdateResourceInput{TypeName: thing, Identifier: "a", ClientToken: "token", PatchDocument: `[{"op":"remove","path":"/Value"}]`}
	first, err := w.UpdateResource(w.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if e := w.done(t, first.ProgressEvent); e.OperationStatus != succeeded {
		t.Fatalf("%+v", e)
	}
	again, err := w.UpdateResource(w.ctx, in)
	if err != nil || again.ProgressEvent.RequestToken != first.ProgressEvent.RequestToken || again.ProgressEvent.OperationStatus != succeeded {
		t.Errorf("%+v, %v", again, err)
	}
	in.PatchDocument = "[]"
	if _, err := w.UpdateResource(w.ctx, in); !fault.Is(err, fault.ClientTokenConflict) {
		t.Errorf("another patch with the token: %v", err)
	}
}

func TestOneRequestChangesAResource(t *testing.T) {
	w := newWorld(t, nil)
	w.done(t, w.create(t, thing, `{"Name":"a"}`))
	enter, leave := make(chan struct{}), make(chan struct{})
	w.cloud.delete = func(context.Context, cfn.Request) error {
		enter <- struct{}{}
		<-leave
		return nil
	}
	e := w.remove(t, "a")
	<-enter
	_, err := w.UpdateResource(w.ctx, &api.UpdateResourceInput{TypeName: thing, Identifier: "a", PatchDocument: "[]"})
	if !fault.Is(err, fault.ConcurrentOperationException) || !strings.Contains(err.Error(), e.RequestToken) {
		t.Errorf("an update meanwhile: %v", err)
	}
	// What acts goes on to its end.
	if _, err := w.CancelResourceRequest(w.ctx, &api.CancelResourceRequestInput{RequestToken: e.RequestToken}); err != nil {
		t.Fatal(err)
	}
	w.reaches(t, e, cancelRequested)
	close(leave)
	if e = w.done(t, e); e.OperationStatus != succeeded {
		t.Errorf("%+v", e)
	}
	if _, err := w.CancelResourceRequest(w.ctx, &api.CancelResourceRequestInput{RequestToken: e.RequestToken}); !fault.Is(err, fault.ConcurrentModificationException) {
		t.Errorf("cancelled after the end: %v", err)
	}
	w.cloud.delete = nil
	w.done(t, w.create(t, thing, `{"Name":"a"}`))
	w.done(t, w.update(t, "a", `[{"op":"add","path":"/Value","value":"x"}]`))
}

func TestCancelBeforeTheAction(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Parallel = 1 })
	enter, leave := make(chan struct{}), make(chan struct{})
	w.cloud.create = func(context.Context, cfn.Request) error {
		enter <- struct{}{}
		<-leave
		return nil
	}
	first := w.create(t, thing, `{"Name":"a"}`)
	<-enter
	second := w.create(t, thing, `{"Name":"b"}`)
	if _, err := w.CancelResourceRequest(w.ctx, &api.CancelResourceRequestInput{RequestToken: second.RequestToken}); err != nil {
		t.Fatal(err)
	}
	close(leave)
	if e := w.done(t, second); e.OperationStatus != cancelled {
		t.Errorf("%+v", e)
	}
	w.done(t, first)
	if d := cmp.Diff([]string{"a"}, w.cloud.things()); d != "" {
		t.Error(d)
	}
}

func TestLists(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 5 {
		w.done(t, w.create(t, thing, fmt.Sprintf(`{"Name":"t%d","Value":"v%d"}`, i, i%2)))
	}
	list := func(model string, size int32) (pages [][]string) {
		in := &api.ListResourcesInput{TypeName: thing, MaxResults: &size, ResourceModel: model}
		for {
			out, err := w.ListResources(w.ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			var page []string
			for _, d := range out.ResourceDescriptions {
				page = append(page, d.Properties)
			}
			pages = append(pages, page)
			if in.NextToken = out.NextToken; in.NextToken == "" {
				return pages
			}
		}
	}
	want := [][]string{{`{"Name":"t0"}`, `{"Name":"t1"}`}, {`{"Name":"t2"}`, `{"Name":"t3"}`}, {`{"Name":"t4"}`}}
	if d := cmp.Diff(want, list("", 2)); d != "" {
		t.Error(d)
	}
	want = [][]string{{`{"Name":"t1","Value":"v1"}`, `{"Name":"t3","Value":"v1"}`}}
	if d := cmp.Diff(want, list(`{"Value":"v1"}`, 20)); d != "" {
		t.Error(d)
	}
	if _, err := w.ListResources(w.ctx, &api.ListResourcesInput{TypeName: thing, NextToken: "bm9wZQ=="}); !fault.Is(err, fault.ValidationException) {
		t.Errorf("a token of nothing: %v", err)
	}

	w.done(t, w.remove(t, "t0"))
	two := int32(2)
	in := &api.ListResourceRequestsInput{MaxResults: &two, ResourceRequestStatusFilter: &api.ResourceRequestStatusFilter{Operations: []string{"CREATE"}, OperationStatuses: []string{succeeded}}}
	var names []string
	for {
		out, err := w.ListResourceRequests(w.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.ResourceRequestStatusSummaries {
			names = append(names, e.Identifier)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
	}
	if d := cmp.Diff([]string{"t4", "t3", "t2", "t1", "t0"}, names); d != "" {
		t.Errorf("the newest come first:\n%s", d)
	}
}

func TestIdentifierThatIsNotThePhysicalID(t *testing.T) {
	w := newWorld(t, nil)
	if e := w.done(t, w.create(t, "AWS::Test::Pair", `{"Left":"a","Right":"b"}`)); e.Identifier != "a|b" {
		t.Errorf("created: %+v", e)
	}
	for _, identifier := range []string{"a|b", `{"Left":"a","Right":"b"}`, `{"/properties/Left":"a","/properties/Right":"b"}`} {
		out, err := w.GetResource(w.ctx, &api.GetResourceInput{TypeName: "AWS::Test::Pair", Identifier: identifier})
		if err != nil || out.ResourceDescription.Identifier != "a|b" {
			t.Errorf("%s: %+v, %v", identifier, out, err)
		}
	}
	out, err := w.ListResources(w.ctx, &api.ListResourcesInput{TypeName: "AWS::Test::Pair"})
	if err != nil || len(out.ResourceDescriptions) != 1 || out.ResourceDescriptions[0].Identifier != "a|b" {
		t.Errorf("ListResources = %+v, %v", out, err)
	}
}

func TestNothingSecretIsKeptOpen(t *testing.T) {
	w := newWorld(t, nil)
	w.done(t, w.create(t, thing, `{"Name":"a","Password":"hush-hush"}`))
	w.done(t, w.update(t, "a", `[{"op":"add","path":"/Password","value":"hush-hush too"}]`))
	err := w.store.View(t.Context(), func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			if strings.Contains(string(doc.Value), "hush-hush") {
				t.Errorf("%s has the password", doc.Key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOldRequestsAreForgotten(t *testing.T) {
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	out, err := w.CreateResource(w.ctx, &api.CreateResourceInput{TypeName: thing, DesiredState: `{"Name":"a"}`, ClientToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	w.done(t, out.ProgressEvent)
	left := func() (n int) {
		t.Helper()
		if err := w.keepUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := w.store.View(t.Context(), func(tx store.Tx) error {
			n = 0
			for doc, err := range tx.Scan("cloudcontrol/", store.PrefixEnd("cloudcontrol/")) {
				if err != nil {
					return err
				}
				_ = doc
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := left(); n != 2 {
		t.Errorf("%d records at first, want the request and its client token", n)
	}
	now = now.Add(kept - time.Second)
	if n := left(); n != 1 {
		t.Errorf("%d records within seven days, want the request", n)
	}
	now = now.Add(time.Second)
	if n := left(); n != 0 {
		t.Errorf("%d records after seven days", n)
	}
}
