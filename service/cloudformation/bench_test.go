package cloudformation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/cfn"
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
	w := &world{Service: service(s, e, c, nil), t: b, cloud: c, store: s, engine: e, ctx: callContext(b.Context())}
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
