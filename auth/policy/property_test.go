package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The generated policies speak of few names, so that they often meet.
var (
	someActions    = []string{"sqs:SendMessage", "sqs:Send*", "sqs:*", "*", "s3:GetObject", "SQS:sendmessage"}
	someResources  = []string{"*", queue, "arn:aws:sqs:*:*:orders", "arn:aws:s3:::b/*", "arn:aws:sqs:*:*:${aws:username}"}
	somePrincipals = []any{
		"*", map[string]any{"AWS": home}, map[string]any{"AWS": "arn:aws:iam::" + home + ":user/orders"},
		map[string]any{"AWS": "arn:aws:iam::" + home + ":role/r"}, map[string]any{"AWS": []string{other, "arn:aws:sts::" + home + ":assumed-role/r/s"}},
	}
	someConditions = []any{
		nil, map[string]any{"StringEquals": map[string]any{"aws:username": "orders"}}, map[string]any{"Null": map[string]any{"none": true}},
		map[string]any{"ForAllValues:StringLike": map[string]any{"aws:tagkeys": []string{"T*"}}}, map[string]any{"NumericLessThan": map[string]any{"n": 5}},
		map[string]any{"StringNotEqualsIfExists": map[string]any{"unheard": "x"}},
	}
	someCallers = []Caller{
		{Account: home, ARN: "arn:aws:iam::" + home + ":user/orders"}, {Account: home, ARN: "arn:aws:sts::" + home + ":assumed-role/r/s", RoleName: "r"},
		{Account: other, ARN: "arn:aws:iam::" + other + ":user/eve"}, {},
	}
)

func genStatement(t *rapid.T, kind Kind, effect string) map[string]any {
	s := map[string]any{"Effect": effect}
	pick := func(name string, from []string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(t, name)
	}
	s[rapid.SampledFrom([]string{"Action", "Action", "NotAction"}).Draw(t, "action element")] = pick("actions", someActions)
	s[rapid.SampledFrom([]string{"Resource", "Resource", "NotResource"}).Draw(t, "resource element")] = pick("resources", someResources)
	if kind == Resource {
		s[rapid.SampledFrom([]string{"Principal", "Principal", "NotPrincipal"}).Draw(t, "principal element")] = rapid.SampledFrom(somePrincipals).Draw(t, "principal")
	}
	if c := rapid.SampledFrom(someConditions).Draw(t, "condition"); c != nil {
		s["Condition"] = c
	}
	return s
}

func genDocument(t *rapid.T, kind Kind) (*Document, []map[string]any) {
	var statements []map[string]any
	for range rapid.IntRange(1, 3).Draw(t, "statements") {
		statements = append(statements, genStatement(t, kind, rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect")))
	}
	return document(t, kind, statements), statements
}

func document(t *rapid.T, kind Kind, statements []map[string]any) *Document {
	text, err := json.Marshal(map[string]any{"Version": version2012, "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(string(text), kind)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func genInquiry(t *rapid.T) *Inquiry {
	q := &Inquiry{
		Request: Request{
			Action: rapid.SampledFrom([]string{"sqs:SendMessage", "s3:GetObject"}).Draw(t, "asked"), Resource: rapid.SampledFrom([]string{queue, "arn:aws:s3:::b/k", Unknown}).Draw(t, "on"),
			Context: Context{"aws:username": {"orders"}, "none": nil, "aws:tagkeys": {"Team"}, "n": {"4"}},
		},
		Caller: rapid.SampledFrom(someCallers).Draw(t, "caller"), Owner: rapid.SampledFrom([]string{"", home, other}).Draw(t, "owner"),
		Delegates: rapid.Bool().Draw(t, "delegates"), Unbound: rapid.Bool().Draw(t, "unbound"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "identity policies") {
		d, _ := genDocument(t, Identity)
		q.Identity = append(q.Identity, d)
	}
	if rapid.Bool().Draw(t, "has a boundary") {
		q.Boundary, _ = genDocument(t, Identity)
	}
	for range rapid.IntRange(0, 2).Draw(t, "session policies") {
		d, _ := genDocument(t, Identity)
		q.Session = append(q.Session, d)
	}
	if rapid.Bool().Draw(t, "has a resource policy") {
		q.Attached, _ = genDocument(t, Resource)
	}
	return q
}

// TestDenyWins adds a statement that denies the request, anywhere: nothing then
// allows it.
func TestDenyWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genInquiry(t)
		deny := map[string]any{"Effect": "Deny", "Action": "*", "Resource": "*"}
		switch rapid.SampledFrom([]string{"identity", "boundary", "session", "resource"}).Draw(t, "where") {
		case "identity":
			q.Unbound = false
			q.Identity = append(q.Identity, document(t, Identity, []map[string]any{deny}))
		case "boundary":
			q.Unbound = false
			q.Boundary = document(t, Identity, []map[string]any{{"Effect": "Allow", "Action": "*", "Resource": "*"}, deny})
		case "session":
			q.Unbound = false
			q.Session = append(q.Session, document(t, Identity, []map[string]any{deny}))
		case "resource":
			deny["Principal"] = "*"
			q.Attached = document(t, Resource, []map[string]any{deny})
		}
		if v := q.Decide(); v.Decision != Denied {
			t.Fatalf("%+v", v)
		}
	})
}

// TestAnAllowNeverTakesAway adds a statement that allows something: whoever was
// allowed still is.
func TestAnAllowNeverTakesAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genInquiry(t)
		before := q.Decide().Decision
		switch rapid.SampledFrom([]string{"identity", "boundary", "session", "resource"}).Draw(t, "where") {
		case "identity":
			q.Identity = append(q.Identity, document(t, Identity, []map[string]any{genStatement(t, Identity, "Allow")}))
		case "boundary":
			if q.Boundary == nil {
				return // to give a boundary is to narrow
			}
			more := document(t, Identity, []map[string]any{genStatement(t, Identity, "Allow")})
			q.Boundary = &Document{Version: version2012, Statements: append(more.Statements, q.Boundary.Statements...)}
		case "session":
			if q.Session == nil {
				return
			}
			q.Session = append(q.Session, document(t, Identity, []map[string]any{genStatement(t, Identity, "Allow")}))
		case "resource":
			more := document(t, Resource, []map[string]any{genStatement(t, Resource, "Allow")})
			if q.Attached != nil {
				more.Statements = append(more.Statements, q.Attached.Statements...)
			}
			q.Attached = more
		}
		if after := q.Decide().Decision; before == Allowed && after != Allowed {
			t.Fatalf("allowed before, %d after", after)
		}
	})
}

// TestBoundariesAndSessionsOnlyNarrow takes a boundary or session policies away:
// what was allowed with them still is.
func TestBoundariesAndSessionsOnlyNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genInquiry(t)
		with := q.Decide().Decision
		if rapid.Bool().Draw(t, "without the boundary") {
			q.Boundary = nil
		} else {
			q.Session = nil
		}
		if without := q.Decide().Decision; with == Allowed && without != Allowed {
			t.Fatalf("allowed with it, %d without", without)
		}
	})
}

// TestExplanationsAgree explains what was decided.
func TestExplanationsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genInquiry(t)
		v, e := q.Decide(), q.Explain()
		if e.Verdict != v {
			t.Fatalf("decided %+v, explained %+v", v, e.Verdict)
		}
		for _, m := range e.Matched {
			if m.Statement.Deny != (v.Decision == Denied) {
				t.Fatalf("%+v is explained by %+v", v, m.Statement)
			}
		}
		if v.Decision == Denied && len(e.Matched) == 0 {
			t.Fatal("denied by no statement")
		}
	})
}

// FuzzEvaluate reads any text as every kind of policy and decides by it: Deny
// wins over it, and it never widens what a boundary leaves.
func FuzzEvaluate(f *testing.F) {
	f.Add(statement(`"Effect":"Allow","Action":"sqs:*","Resource":"arn:*${aws:username, 'x'}?","Condition":{"ForAnyValue:ArnLike":{"a":["arn:aws:*:*:*:${b}"]}}`), "sqs:SendMessage", queue, "aws:username", "ann")
	f.Add(statement(`"Effect":"Deny","NotPrincipal":{"AWS":"`+home+`"},"NotAction":"s3:*","NotResource":"*","Condition":{"DateLessThan":{"k":"2026"}}`), "s3:GetObject", "", "k", "2025-01-01")
	deny, err := Parse(statement(`"Effect":"Deny","Action":"*","Resource":"*"`), Identity)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, action, resource, key, value string) {
		for _, kind := range []Kind{Identity, Managed, Trust, Resource} {
			doc, err := Parse(text, kind)
			if err != nil {
				continue
			}
			q := Inquiry{Request: Request{Action: action, Resource: resource, Context: Context{key: {value}}}, Caller: someCallers[0]}
			if kind.ofIdentity() {
				q.Identity = []*Document{doc}
			} else {
				q.Attached = doc
			}
			v := q.Decide()
			if q.Explain().Verdict != v {
				t.Fatal("explained otherwise than decided")
			}
			q.Boundary = doc
			if v.Decision != Allowed && q.Decide().Decision == Allowed {
				t.Fatal("a boundary widens")
			}
			q.Boundary = deny
			if q.Decide().Decision != Denied {
				t.Fatal("a deny does not win")
			}
		}
	})
}

// slowGlob is what glob must agree with.
func slowGlob(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	if pattern[0] == '*' {
		return slowGlob(pattern[1:], text) || text != "" && slowGlob(pattern, text[1:])
	}
	return text != "" && (pattern[0] == '?' || pattern[0] == text[0]) && slowGlob(pattern[1:], text[1:])
}

func TestMatchIsWhatItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab]{0,8}`).Draw(t, "text")
		if got := Match(p, s); got != slowGlob(p, s) {
			t.Fatalf("Match(%q, %q) is %v", p, s, got)
		}
	})
}

// TestMatchInLinearTime has patterns that make others' matchers try everything.
// It would not end in a test's time if they did here.
func TestMatchInLinearTime(t *testing.T) {
	text := strings.Repeat("a", 1<<20)
	for _, p := range []string{
		strings.Repeat("a*", 1000) + "b", strings.Repeat("*a", 1000) + "b", "*" + strings.Repeat("a", 5000) + "b*",
		strings.Repeat("*"+strings.Repeat("a", 100)+"b", 50) + "*", strings.Repeat("?*", 1000) + "b",
	} {
		if Match(p, text) {
			t.Errorf("%.20s... matches", p)
		}
	}
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{{"*é?", "aéü", true}, {"?", "é", true}, {"*?", "é", true}, {"*??", "é", false}, {"a*?b", "aéb", true}, {"*é", "xé", true}, {"ab*ba", "aba", false}} {
		if Match(c.pattern, c.text) != c.want {
			t.Errorf("Match(%q, %q) is not %v", c.pattern, c.text, c.want)
		}
	}
}
