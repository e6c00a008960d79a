package lambda

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	logs "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/fault"
)

// groups stand for CloudWatch Logs.
type groups struct {
	logs.Unimplemented
	mu     sync.Mutex
	there  map[string]bool // groups, and groups with streams
	text   map[string][]string
	refuse error
}

func (g *groups) CreateLogGroup(_ context.Context, in *logs.CreateLogGroupInput) (*logs.CreateLogGroupOutput, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.there[in.LogGroupName] = true
	return &logs.CreateLogGroupOutput{}, nil
}

func (g *groups) CreateLogStream(_ context.Context, in *logs.CreateLogStreamInput) (*logs.CreateLogStreamOutput, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.there[in.LogGroupName] {
		return nil, fault.New(fault.ResourceNotFoundException, "The specified log group does not exist.")
	}
	g.there[in.LogGroupName+" "+in.LogStreamName] = true
	return &logs.CreateLogStreamOutput{}, nil
}

func (g *groups) PutLogEvents(_ context.Context, in *logs.PutLogEventsInput) (*logs.PutLogEventsOutput, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := in.LogGroupName + " " + in.LogStreamName
	if g.refuse != nil {
		err := g.refuse
		g.refuse = nil
		return nil, err
	}
	if !g.there[key] {
		return nil, fault.New(fault.ResourceNotFoundException, "The specified log stream does not exist.")
	}
	for _, e := range in.LogEvents {
		g.text[key] = append(g.text[key], e.Message)
	}
	return &logs.PutLogEventsOutput{}, nil
}

func (g *groups) read(key string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.text[key], "")
}

func TestLinesGoToTheLogs(t *testing.T) {
	g := &groups{there: map[string]bool{}, text: map[string][]string{}}
	w := newWorld(t, func(c *Config) { c.Logs = g })
	w.make("f")
	if err := w.flush(w.ctx); err != nil { // of nothing
		t.Fatal(err)
	}
	print := func(texts ...string) {
		t.Helper()
		w.invoke("f", "{}")
		spec, _ := w.runner.last(t)
		for _, text := range texts {
			w.Line(spec, "2026/11/29/[$LATEST]0", time.Now(), []byte(text))
		}
	}
	const key = "/aws/lambda/f 2026/11/29/[$LATEST]0"
	print("one", "two")
	until(t, "lines are written", func() bool { return g.read(key) == "one\ntwo\n" })
	// The group is deleted under it, and a write fails.
	g.mu.Lock()
	clear(g.there)
	g.mu.Unlock()
	print("three")
	until(t, "the group is made again", func() bool { return g.read(key) == "one\ntwo\nthree\n" })
	g.mu.Lock()
	g.refuse = errors.New("the disk")
	g.mu.Unlock()
	print("four")
	until(t, "it is tried again", func() bool { return g.read(key) == "one\ntwo\nthree\nfour\n" })
	// What is refused is dropped, as it would be ever after.
	g.mu.Lock()
	g.refuse = fault.New(fault.AccessDeniedException, "no")
	g.mu.Unlock()
	print("five")
	until(t, "it is refused", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.refuse == nil })
	print("six")
	w.Stop() // writes what is left
	if text := g.read(key); text != "one\ntwo\nthree\nfour\nsix\n" {
		t.Errorf("the log has %q", text)
	}
}

func TestLinesThatAreTooMany(t *testing.T) {
	g := &groups{there: map[string]bool{}, text: map[string][]string{}}
	w := newWorld(t, func(c *Config) { c.Logs = g })
	w.logLoop.Stop()
	w.make("f")
	w.invoke("f", "{}")
	spec, _ := w.runner.last(t)
	long := bytes.Repeat([]byte("x"), 256<<10)
	for range 40 {
		w.Line(spec, "s", time.Now(), long)
	}
	if err := w.flush(w.ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(g.read("/aws/lambda/f s")); n == 0 || n > maxWaiting {
		t.Errorf("%d bytes were written", n)
	}
}
