package replay

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/api/iam"
)

// listener keeps what a comparison reports.
type listener struct {
	testing.TB
	said []string
}

func (l *listener) Helper() {}
func (l *listener) Errorf(format string, args ...any) {
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

func TestCompare(t *testing.T) {
	object := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		name      string
		want, got any
		says      string // "" where they are the same
	}{
		{"same", object("a", "b", "n", 1.0, "l", []any{true}), object("a", "b", "n", 1.0, "l", []any{true}), ""},
		{"text", object("a", "b"), object("a", "c"), `p/a: AWS has "b", the answer "c"`},
		{"number", object("a", 1.0), object("a", 2.0), "p/a: AWS has 1, the answer 2"},
		{"missing", object("a", "b"), object(), "p/a: AWS has it"},
		{"more", object(), object("a", "b"), "p/a: the answer has it"},
		{"shorter list", object("l", []any{"a"}), object("l", []any{}), "p/l: AWS has [a], the answer []"},
		{"placeholder", object("a", "x/<id:1>/y"), object("a", "x/i-1/y"), ""},
		{"placeholder of one text", []any{"<id:1>", "<id:1>"}, []any{"a", "a"}, ""},
		{"placeholder of two texts", []any{"<id:1>", "<id:1>"}, []any{"a", "b"}, `p/1: AWS has "<id:1>", the answer "b"`},
		{"two placeholders of one text", []any{"<id:1>", "<id:2>"}, []any{"a", "a"}, "p/1: <id:2> and <id:1> are both"},
		{"two kinds of one text", []any{"<id:1>", "<name:1>"}, []any{"a", "a"}, ""},
		{"placeholder as a name", []any{"<id_2:1>", object("<id_2:1>", "b")}, []any{"a", object("a", "b")}, ""},
		{"placeholder with digits", "<a-0idx>/b", "x/b", ""},
		{"times", []any{"<datetime>", "datetime"}, []any{"2026", "2027"}, ""},
		{"no time", []any{"<datetime>"}, []any{""}, "p/0"},
		{"region", []any{"<region>"}, []any{"eu-west-1"}, "p/0"},
		{"document", object("d", object("a", "b")), object("d", "%7B%22a%22%3A%22b%22%7D"), ""},
		{"other document", object("d", object("a", "b")), object("d", `{"a":"c"}`), "p/d/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &listener{TB: t}
			c := &Case{TB: l, bound: map[string]string{"<region>": "us-east-1"}, expected: map[string]string{}, differed: map[string]bool{}}
			c.Compare("p", tt.want, tt.got)
			said := strings.Join(l.said, "\n")
			if (tt.says == "") != (said == "") || !strings.HasPrefix(said, tt.says) {
				t.Errorf("said %q, want %q", said, tt.says)
			}
		})
	}
}

func TestExceptionsAreNeeded(t *testing.T) {
	l := &listener{TB: t}
	c := &Case{TB: l, bound: map[string]string{}, expected: map[string]string{"p/a": "known", "p/b": "stale"}, differed: map[string]bool{}}
	c.Compare("p", map[string]any{"a": "1", "b": "1"}, map[string]any{"a": "2", "b": "1"})
	if len(l.said) != 0 {
		t.Errorf("said %q of what was expected", l.said)
	}
	c.close()
	if len(l.said) != 1 || !strings.Contains(l.said[0], "p/b is as AWS's now") {
		t.Errorf("said %q, want the stale exception", l.said)
	}
}

func TestStructure(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	out := &iam.CreateUserOutput{User: &iam.User{UserName: "u", CreateDate: &created, Tags: []iam.Tag{{Key: "k"}}}}
	desc := iam.Describe()
	got := structure(desc, desc.Operation("CreateUser").Output, reflect.ValueOf(out).Elem())
	user := got["User"].(map[string]any)
	if _, there := user["Path"]; there || user["UserName"] != "u" || user["CreateDate"] != "2026-01-02T03:04:05Z" || len(user["Tags"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
}
