package cloudformation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	types "github.com/slipway/slipway/resource/cloudformation"
)

// An update that is undone by yet another physical resource leaves two of one to the
// clean-up, which waits for both answers: each ends its own wait.
func TestCustomResourceLeavesTwo(t *testing.T) {
	const resources = 6
	var n atomic.Int32
	held := make(chan types.CustomRequest, 2*resources)
	w, p := newCustom(t, func(r types.CustomRequest) map[string]any {
		if r.RequestType == "Delete" {
			held <- r
			return nil
		}
		return map[string]any{"PhysicalResourceId": fmt.Sprint("thing-", n.Add(1))}
	})
	version := func(n, fail string) string {
		t, all := "Resources:\n", ""
		for i := range resources {
			all += fmt.Sprintf("C%d,", i)
			t += fmt.Sprintf("  C%d: {Type: 'Custom::Thing', Properties: {ServiceToken: '%s', N: '%s'}}\n", i, functionARN, n)
		}
		return t + "  Z: {Type: 'AWS::Test::Thing', DependsOn: [" + strings.TrimSuffix(all, ",") + "], Properties: {Value: '" + n + "', Fail: '" + fail + "'}}\n"
	}
	w.create("s", version("1", ""))
	w.settle("s", "CREATE_COMPLETE")
	w.updateTo("s", version("2", "update"))
	var deletions []types.CustomRequest
	for range 2 * resources {
		deletions = append(deletions, <-held)
	}
	for _, r := range deletions {
		if code := p.put(r, map[string]any{}); code != http.StatusOK {
			t.Errorf("the answer to %s is refused: %d", r.PhysicalResourceId, code)
		}
	}
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
}

// A provider need not be asked once more what it has answered.
func TestAnswered(t *testing.T) {
	w, p := newCustom(t, says(nil))
	w.create("s", customs("A: b"))
	changed := w.store.Watch(w.ctx, "workflow/journal/")
	for len(p.requests()) == 0 {
		<-changed
	}
	r := p.requests()[0]
	answered := func(url string) bool {
		t.Helper()
		b, err := json.Marshal(types.CustomRequest{ResponseURL: url})
		if err != nil {
			t.Fatal(err)
		}
		over, err := w.Answered(w.ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		return over
	}
	if answered(r.ResponseURL) {
		t.Error("it is answered before it was")
	}
	if code := p.put(r, nil); code != http.StatusOK {
		t.Fatalf("the answer is refused: %d", code)
	}
	w.settle("s", "CREATE_COMPLETE")
	if !answered(r.ResponseURL) {
		t.Error("it is not answered though the stack is there")
	}
	for _, url := range []string{"", "http://127.0.0.1:4566/elsewhere", "://"} {
		if answered(url) {
			t.Errorf("%q is answered", url)
		}
	}
	if over, err := w.Answered(w.ctx, []byte("[1]")); over || err != nil {
		t.Errorf("what is no request is answered: %v, %v", over, err)
	}
}
