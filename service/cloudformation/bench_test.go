package cloudformation_test

import (
	"fmt"
	"strings"
	"testing"

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

// BenchmarkStack500 creates and deletes a stack of 500 resources in chains of
// ten, on a store with its fsyncs.
func BenchmarkStack500(b *testing.B) {
	s, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	e := workflow.New(workflow.Config{Store: s})
	c := &cloud{there: map[string]cfn.Properties{}}
	w := &world{Service: service(s, e, c, nil), t: b, cloud: c, store: s, engine: e, ctx: callContext(b.Context())}
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer e.Stop()
	body := wide(500, 10)
	for b.Loop() {
		id := w.create("s", body)
		w.settle("s", "CREATE_COMPLETE")
		w.drop("s")
		w.settle(id, "DELETE_COMPLETE")
	}
}
