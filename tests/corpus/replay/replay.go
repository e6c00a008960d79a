// Package replay holds a service against the answers that AWS was recorded to
// give: those of ../shared/corpus/recorded, beside the checkout. It is for the
// tests of services, and may import api, fault and wire: what a service's own
// tests may. It starts no goroutine.
//
// A test opens a file of records, takes a case out of it, and makes the calls
// that the case's name tells of, each with the name of the entry that has AWS's
// answer:
//
//	records := replay.Open(t, "sts/test_sts", sts.Describe(), service) // skips where there is no corpus
//	c := records.Case(t, "TestSTSIntegrations::test_assume_role")
//	c.Call("", ctx, &sts.GetCallerIdentityInput{})                     // compares nothing
//	out := replay.As[sts.AssumeRoleOutput](c.Call("assume-role", ctx, &sts.AssumeRoleInput{...}))
//
// Every member, code, message and status is compared. <resource:1> and its like
// stand for one text throughout a case; <datetime> and others without a number
// for any, or for what Bind says. What is known to differ is named, with the
// reason, before the call: c.Except("assume-role/PackedPolicySize", "why").
// An exception that no longer differs fails, and so does an entry that no call
// named: c.Leave("entry", "why") says that it is left out.
// The recorded account is Account.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/wire"
)

// Account is the account that the records' calls were made in.
const Account = "111111111111"

// Records are the cases of one file, and the service that is held against them.
type Records struct {
	desc  *api.Service
	impl  any
	cases map[string]map[string]any
}

// Open reads recorded/<file>.snapshot.json. It skips the test, and says so,
// where the corpus is not beside the checkout.
func Open(t testing.TB, file string, desc *api.Service, impl any) *Records {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), "..", "shared", "corpus", "recorded", filepath.FromSlash(file)+".snapshot.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("AWS's recorded answers (../shared/corpus) are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Content map[string]any `json:"recorded-content"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	r := &Records{desc: desc, impl: impl, cases: map[string]map[string]any{}}
	for name, c := range all {
		r.cases[name] = c.Content
	}
	return r
}

// root is the checkout: the folder of go.mod above the test's.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
}

// Names lists the cases whose names have a text in them: the parameters of a
// case that was recorded several times, between the brackets.
func (r *Records) Names(part string) []string {
	var names []string
	for name := range r.cases {
		if strings.Contains(name, part) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Case is one recorded case.
type Case struct {
	testing.TB
	records  *Records
	content  map[string]any
	bound    map[string]string
	expected map[string]string // path to the reason of a difference
	differed map[string]bool
	blanks   map[string]string // what Blank has replaced, and by what
}

// Case finds a case by the end of its name, "Class::test" or "test[parameter]".
func (r *Records) Case(t testing.TB, name string) *Case {
	t.Helper()
	c := &Case{TB: t, records: r, bound: map[string]string{"<partition>": "aws", "<region>": "us-east-1"},
		expected: map[string]string{}, differed: map[string]bool{}, blanks: map[string]string{}}
	for full, content := range r.cases {
		if full != name && !strings.HasSuffix(full, "::"+name) {
			continue
		}
		if c.content != nil {
			t.Fatalf("more than one case ends in %s", name)
		}
		c.content = map[string]any{}
		for entry, v := range content {
			c.content[entry] = v
		}
	}
	if c.content == nil {
		t.Fatalf("no recorded case ends in %s", name)
	}
	t.Cleanup(c.close)
	return c
}

// Bind says what a placeholder stands for.
func (c *Case) Bind(placeholder, text string) { c.bound[placeholder] = text }

// Leave says why an entry is not replayed.
func (c *Case) Leave(entry, _ string) {
	c.Helper()
	if _, ok := c.content[entry]; !ok {
		c.Errorf("the record has no entry %s to leave", entry)
	}
	delete(c.content, entry)
}

// Except names a path whose value differs from AWS's, and says why.
func (c *Case) Except(path, why string) { c.expected[path] = why }

// close says what is left over: entries and exceptions that nothing met.
func (c *Case) close() {
	if c.Failed() || c.Skipped() {
		return
	}
	for entry := range c.content {
		c.Errorf("no call was held against the entry %s", entry)
	}
	for path, why := range c.expected {
		if !c.differed[path] {
			c.Errorf("%s is as AWS's now, and no exception any more (%s)", path, why)
		}
	}
}

// Call makes a call as over the wire, its input validated, and holds the answer
// against an entry. The operation is the one that the input's type is of.
func (c *Case) Call(entry string, ctx context.Context, in any) (any, error) {
	c.Helper()
	name := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
	op := c.records.desc.Operation(name)
	if op == nil {
		c.Fatalf("%s has no operation %s", c.records.desc.Name, name)
	}
	err := wire.Validate(c.records.desc, name, in)
	var out any
	if err == nil {
		out, err = op.Call(ctx, c.records.impl, in)
	}
	if entry == "" {
		if err != nil {
			c.Fatalf("%s: %v", name, err)
		}
		return out, nil
	}
	want, ok := c.content[entry].(map[string]any)
	if !ok {
		c.Fatalf("the record has no answer %s", entry)
	}
	delete(c.content, entry)
	var got map[string]any
	if err != nil {
		got = c.refusal(op, err)
	} else {
		got = structure(c.records.desc, op.Output, reflect.ValueOf(out).Elem())
		got[metadata] = map[string]any{"HTTPStatusCode": float64(success(op))}
	}
	c.Compare(entry, trimmed(want), got)
	return out, err
}

// Refusal makes a call as over the wire, and returns its error and HTTP status.
func (c *Case) Refusal(ctx context.Context, in any) (e *fault.Error, status int) {
	c.Helper()
	name := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
	op := c.records.desc.Operation(name)
	if op == nil {
		c.Fatalf("%s has no operation %s", c.records.desc.Name, name)
	}
	err := wire.Validate(c.records.desc, name, in)
	if err == nil {
		_, err = op.Call(ctx, c.records.impl, in)
	}
	if err == nil {
		c.Fatalf("%s is not refused", name)
	}
	status = int(c.refusal(op, err)[metadata].(map[string]any)["HTTPStatusCode"].(float64))
	e, _ = fault.As(err)
	return e, status
}

// Hold holds a value, as JSON has it, against an entry that is no answer of one
// call.
func (c *Case) Hold(entry string, got any) {
	c.Helper()
	want, ok := c.content[entry]
	if !ok {
		c.Fatalf("the record has no entry %s", entry)
	}
	delete(c.content, entry)
	c.Compare(entry, want, got)
}

// As is the output of a call that must have succeeded.
func As[T any](out any, err error) *T {
	if err != nil {
		return new(T)
	}
	o, ok := out.(*T)
	if !ok {
		return new(T)
	}
	return o
}

const metadata = "ResponseMetadata"

func success(op *api.Operation) int {
	if op.Status != 0 {
		return op.Status
	}
	return 200
}

// trimmed leaves of an answer's metadata what tells of the service.
func trimmed(want map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range want {
		out[k] = v
	}
	if m, ok := out[metadata].(map[string]any); ok {
		out[metadata] = map[string]any{"HTTPStatusCode": m["HTTPStatusCode"]}
	}
	if e, ok := out["Error"].(map[string]any); ok {
		kept := map[string]any{}
		for k, v := range e {
			// The form of Query errors: "Sender", an empty member, and the name
			// that package wire gives the exception in JSON.
			if k != "Type" && k != "Detail" && k != "QueryErrorCode" {
				kept[k] = v
			}
		}
		out["Error"] = kept
		for _, copied := range []string{"message", "Message"} {
			if out[copied] == kept["Message"] {
				delete(out, copied)
			}
		}
	}
	return out
}

// refusal is an error in the form of the records.
func (c *Case) refusal(op *api.Operation, err error) map[string]any {
	e, ok := fault.As(err)
	if !ok {
		c.Fatalf("%s: an internal error: %v", op.Name, err)
	}
	text := map[string]any{"Code": e.Code, "Message": e.Message}
	status := e.Status
	for _, i := range op.Errors {
		if s := &c.records.desc.Shapes[i]; status == 0 && (s.Code == e.Code || s.Name == e.Code) {
			status = int(s.Status)
			if s.Code != "" {
				text["Code"] = s.Code
			}
		}
	}
	if status == 0 {
		status = fault.Status(e.Code)
	}
	out := map[string]any{"Error": text, metadata: map[string]any{"HTTPStatusCode": float64(status)}}
	into := text
	if c.records.desc.Speaks(api.RESTJSON) { // whose errors are members of one object
		into = out
	}
	for name, v := range e.Fields {
		into[name] = v
	}
	return out
}

// Entry is what the record has, for a test that looks before it holds.
func (c *Case) Entry(name string) any {
	c.Helper()
	entry, ok := c.content[name]
	if !ok {
		c.Fatalf("the record has no entry %s", name)
	}
	return entry
}

// Blank puts a placeholder in the place of each text of the record that a pattern
// matches: ids of the recording that its makers have left as they were.
func (c *Case) Blank(pattern *regexp.Regexp) {
	known := c.blanks
	for entry, v := range c.content {
		c.content[entry] = blanked(v, func(text string) string {
			return pattern.ReplaceAllStringFunc(text, func(id string) string {
				if known[id] == "" {
					known[id] = "<blank:" + strconv.Itoa(len(known)+1) + ">"
				}
				return known[id]
			})
		})
	}
}

// blanked is a copy of a tree with each text replaced.
func blanked(v any, replace func(string) string) any {
	switch v := v.(type) {
	case string:
		return replace(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = blanked(v[i], replace)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = blanked(v[name], replace)
		}
		return out
	}
	return v
}
