package cloudformation_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/sqlite"
	"github.com/slipway/slipway/workflow"
)

// wide is a template of n resources in chains of depth.
func wide(n, depth int) string {
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range n {
		value := fmt.Sprint(i)
		if i%depth > 0 {
			value = fmt.Sprintf("!GetAtt R%d.Arn", i-1)
		}
		fmt.Fprintf(&b, "  R%d: {Type: 'AWS::Test::Thing', Properties: {Value: %s}}\n", i, value)
	}
	return b.String()
}

// benchWorld is a service on a store with its fsyncs.
func benchWorld(b *testing.B) *world {
	s, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	e := workflow.New(workflow.Config{Store: s})
	c := &cloud{there: map[string]cfn.Properties{}}
	held := &timed{Store: s}
	w := &world{Service: service(held, e, c, nil), t: b, cloud: c, store: held, engine: e, ctx: callContext(b.Context())}
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Stop)
	return w
}

// BenchmarkStack500 creates and deletes a stack of 500 resources in chains of
// ten.
func BenchmarkStack500(b *testing.B) {
	w := benchWorld(b)
	body := wide(500, 10)
	for b.Loop() {
		id := w.create("s", body)
		w.settle("s", "CREATE_COMPLETE")
		w.drop("s")
		w.settle(id, "DELETE_COMPLETE")
	}
}

// driftLimit is how long the drift of 500 resources may take.
const driftLimit = 300 * time.Millisecond

// BenchmarkDrift500 detects the drift of a stack of 500 resources.
func BenchmarkDrift500(b *testing.B) {
	w := benchWorld(b)
	w.create("s", wide(500, 10))
	w.settle("s", "CREATE_COMPLETE")
	for b.Loop() {
		if st := w.detect("s"); st.StackDriftStatus != "IN_SYNC" {
			b.Fatalf("the stack is %s: %v", st.StackDriftStatus, w.drifts("s", "MODIFIED"))
		}
	}
	if each := b.Elapsed() / time.Duration(b.N); each > driftLimit {
		b.Errorf("%v for the drift of 500 resources, limit %v", each, driftLimit)
	}
}

// timed is a store that tells how long its one writer was held.
type timed struct {
	store.Store
	held atomic.Int64
}

func (s *timed) Update(ctx context.Context, fn func(store.Tx) error) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		start := time.Now()
		defer func() { s.held.Add(int64(time.Since(start))) }()
		return fn(tx)
	})
}

// BenchmarkChangeSet500 decides change sets over a stack of 500 resources. What it
// reports beside is how long everybody else's updates wait for one.
func BenchmarkChangeSet500(b *testing.B) {
	w := benchWorld(b)
	w.create("s", wide(500, 10))
	w.settle("s", "CREATE_COMPLETE")
	body := strings.ReplaceAll(wide(500, 10), "Value: ", "Size: 1, Value: ")
	s := w.store.(*timed)
	var held, n int64
	for b.Loop() {
		n++
		s.held.Store(0)
		cs := w.changeSet(fmt.Sprintf("c%d", n), "UPDATE", "s", body)
		b.StopTimer()
		held += s.held.Load()
		if _, err := w.DeleteChangeSet(w.ctx, &api.DeleteChangeSetInput{ChangeSetName: cs.Id}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(held/n)/1e6, "held-ms")
}
