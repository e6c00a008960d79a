package cloudformation_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
)

// programs are local handlers, of which all are one backend.
type programs struct {
	backend
	mu     sync.Mutex
	failed string
	ran    map[string]string // archives by key
	gone   []string
}

func (p *programs) Run(ctx context.Context, h cloudformation.LocalHandler, request []byte) ([]byte, string, error) {
	code, err := h.Code(ctx)
	if err != nil {
		return nil, "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ran[h.Key] = h.Name + " " + h.Program + " " + string(code)
	if p.failed != "" {
		return nil, p.failed, nil
	}
	var r map[string]any
	if err := json.Unmarshal(request, &r); err != nil {
		return nil, "", err
	}
	out, err := json.Marshal(p.handle(r))
	return out, "", err
}

func (p *programs) Forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = append(p.gone, key)
}

func localPackage(t testing.TB, code string) string {
	return packed(t, map[string]string{
		"schema.json": ownSchema, "ResourceProvider.zip": code, ".rpdk-config": `{"typeName":"My::Org::Thing","runtime":"local","entrypoint":"bin/thing"}`,
	})
}

// TestLocalHandlers takes a type through its life whose handler is no function.
func TestLocalHandlers(t *testing.T) {
	p := &programs{backend: backend{there: map[string]map[string]any{}}, ran: map[string]string{}}
	w := newWorld(t, func(c *cloudformation.Config) {
		(&judges{}).with(c)
		c.Local = p
	})
	w.cloud.file("package", localPackage(t, strings.Repeat("x", 1<<20+1)))
	if r := register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing"); r.ProgressStatus != "FAILED" || !strings.Contains(r.Description, "at most 1048576 bytes") {
		t.Errorf("%+v", r)
	}
	w.cloud.file("package", localPackage(t, "the code"))
	if r := register(t, w.Service, w.ctx, "RESOURCE", "My::Org::Thing"); r.ProgressStatus != "COMPLETE" {
		t.Fatalf("%+v", r)
	}
	id := w.create("s", ownStack)
	if st := w.settle("s", "CREATE_COMPLETE"); st.Outputs[0].OutputValue != "arn:a" {
		t.Errorf("outputs %v", st.Outputs)
	}
	if len(p.ran) != 1 {
		t.Errorf("%v ran", p.ran)
	}
	for _, what := range p.ran {
		if what != "My::Org::Thing bin/thing the code" {
			t.Errorf("%s ran", what)
		}
	}
	p.mu.Lock()
	p.failed = "exit status 1: no disk"
	p.mu.Unlock()
	w.updateTo("s", strings.Replace(ownStack, "one", "two", 1))
	w.settle("s", "UPDATE_ROLLBACK_FAILED")
	events, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "s"})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range events.StackEvents {
		found = found || strings.Contains(e.ResourceStatusReason, "the program bin/thing failed: exit status 1: no disk")
	}
	if !found {
		t.Errorf("no event says why: %+v", events.StackEvents)
	}
	p.mu.Lock()
	p.failed = ""
	p.mu.Unlock()
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
	if _, err := w.DeregisterType(w.ctx, &api.DeregisterTypeInput{Type: "RESOURCE", TypeName: "My::Org::Thing"}); err != nil {
		t.Fatal(err)
	}
	forgotten := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.gone) == 1
	}
	for end := time.Now().Add(30 * time.Second); !forgotten(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the handler is not forgotten")
		}
	}
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "s", TemplateBody: ownStack})
	refused(t, err, fault.ValidationError, "Unrecognized resource types: [My::Org::Thing]")
}
