package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn/guard"
)

// document reads JSON.
func document(t testing.TB, text []byte) *guard.Value {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	v, err := guard.Of(doc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// evaluate tells what the rules of a file come to: "a PASS, b FAIL".
func evaluate(t testing.TB, doc *guard.Value, text string) string {
	t.Helper()
	r, err := guard.Parse("test.guard", []byte(text))
	if err != nil {
		t.Fatalf("%v of:\n%s", err, text)
	}
	report, err := r.Evaluate(t.Context(), doc)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, one := range report.Rules {
		out = append(out, one.Name+" "+one.Status.String())
		if (one.Status == guard.Fail) != (len(one.Failures) > 0) {
			t.Errorf("%s is %s with the failures %v", one.Name, one.Status, one.Failures)
		}
	}
	return strings.Join(out, ", ")
}

// TestClauses evaluates each line of testdata/clauses.txt, which begins with what it
// comes to. AWS's cfn-guard 3.1.1 says the same of all that the package comment does
// not except.
func TestClauses(t *testing.T) {
	doc := document(t, read(t, "document.json"))
	for line := range strings.Lines(string(read(t, "clauses.txt"))) {
		want, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if got := evaluate(t, doc, "rule x {\n"+text+"\n}"); got != "x "+want {
			t.Errorf("%s: %s, want %s", strings.TrimSpace(text), got, want)
		}
	}
}

// TestBlocks evaluates the bodies of rules in testdata/blocks.txt.
func TestBlocks(t *testing.T) {
	doc := document(t, read(t, "document.json"))
	for _, section := range strings.Split("\n"+string(read(t, "blocks.txt")), "\n-- ")[1:] {
		want, text, _ := strings.Cut(section, " --\n")
		if got := evaluate(t, doc, "rule x {\n"+text+"\n}"); got != "x "+want {
			t.Errorf("%s\ncame to %s, want %s", text, got, want)
		}
	}
}

func TestRules(t *testing.T) {
	doc := document(t, read(t, "document.json"))
	for _, c := range []struct{ text, want string }{
		{"rule a { Resources.B exists }\nrule b when a { Resources.Z exists }\nrule c { not b }\nrule d when !b { a }\nrule e { b or a }",
			"a PASS, b FAIL, c PASS, d PASS, e PASS"},
		{"rule s when Resources.Z exists { Resources.B exists }\nrule c { s }\nrule d { not s }\nrule e when s { Key exists }\nrule f when not s { Key exists }",
			"s SKIP, c FAIL, d PASS, e SKIP, f PASS"},
		{"rule p(x, y) { %x == %y }\nrule a { p(Key, 'Q') }\nrule b { p(Key, 'R') }\nrule c { not p(Key, 'R') }", "a PASS, b FAIL, c PASS"},
		{"rule p(x) { when %x == 'nope' { Resources.B exists } }\nrule a { p(Key) }\nrule b { p(Key)\n Resources.B exists }", "a SKIP, b PASS"},
		{"rule p(x) { %x == %outer }\nrule a { let outer = 'Q'\n p(Key) }", "a PASS"},
		{"rule a when Resources.Z exists { Resources.Z.X exists }\nrule a { Resources.Z exists }\nrule b { a }", "a FAIL, b FAIL"},
		{"let v = Resources.*[ Type == 'AWS::SQS::Queue' ]\nwhen %v !empty { %v.Properties.QueueName == /^q/ }\nKey == 'Q' or Key == 'R'", "default PASS"},
		{"AWS::S3::Bucket { Properties.Tags exists } or\nAWS::SQS::Queue { Properties exists }", "default PASS"},
		{"let r = Resources.%k\nlet k = Key\nrule a { %r.Type == 'AWS::SQS::Queue' } # variables are evaluated when they are used", "a PASS"},
	} {
		if got := evaluate(t, doc, c.text); got != c.want {
			t.Errorf("%s\ncame to %s, want %s", c.text, got, c.want)
		}
	}
}

func TestFailuresTell(t *testing.T) {
	doc := document(t, read(t, "document.json"))
	r, err := guard.Parse("test.guard", []byte("# first\nrule named {\n  Resources.*[ Type == /S3/ ] {\n    Properties.BucketName == /^o/ << begin with an o >>\n    Properties.Tags exists\n  }\n}"))
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Evaluate(t.Context(), doc)
	if err != nil || report.Status() != guard.Fail || len(report.Rules) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	var got []string
	for _, f := range report.Rules[0].Failures {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s|%s", f.Position, f.Clause, f.Path, f.Reason, f.Message))
	}
	want := []string{
		`line 4, column 5|Properties.BucketName == /^o/|/Resources/B/Properties/BucketName|"my-bucket" is not equal to "/^o/"|begin with an o`,
		`line 5, column 5|Properties.Tags exists|/Resources/C/Properties|there is no key Tags at /Resources/C/Properties|`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

func TestRefused(t *testing.T) {
	deep := strings.Repeat("a[ b ", 80)
	for text, want := range map[string]string{
		"":                                     "line 1, column 1: the file has no rules",
		"# nothing\n":                          "line 2, column 1: the file has no rules",
		"rule a {":                             `line 1, column 9: expected a clause, but the file ends`,
		"rule a { }":                           "line 1, column 10: the block is empty",
		"rule a { é exists }":                  `line 1, column 10: expected a clause, found "é exists }"`,
		"rule a {\n  x ~ 1\n}":                 `line 2, column 5: expected a clause, found "~ 1"`,
		"rule a { x == /a(?!b)/":               "line 1, column 15: the regular expression \"a(?!b)\" has (?!: lookarounds",
		"rule a { x == /(a/ }":                 "line 1, column 15: the regular expression \"(a\" cannot be read: missing closing )",
		"rule a { x == 'y }":                   "line 1, column 15: the string has no end",
		"rule a { x == 1e999 }":                "line 1, column 15: 1e999 is no number of 64 bits",
		"rule a { x == 5x }":                   "line 1, column 15: a letter follows the number",
		"rule a { x == 99999999999999999999 }": "is no number of 64 bits",
		"rule a { x == r[1,'b'] }":             "line 1, column 20: expected the end of the range",
		"rule a { x == r[1,b] }":               "two limits of one type",
		"rule a { x == { a: 1, a: 2 } }":       `line 1, column 23: the key "a" stands twice`,
		"rule a { x exists <<no end\n}\nrule b {y >>":               `line 1, column 19: the message has no >> before the line that begins with "}"`,
		"rule a { let v = 1\n let v = 2\n %v == 1 }":                "line 2, column 2: the variable v is assigned twice in one scope, first at line 1, column 10",
		"rule a { %nope == 1 }":                                     "line 1, column 10: there is no variable nope",
		"rule a { when x exists { let v = 1 } %v==1 }":              "there is no variable v",
		"rule a { nope\n }":                                         "line 1, column 10: there is no rule nope",
		"rule a { nope(1) }":                                        "there is no rule with parameters, or function, nope",
		"rule p(x) { %x == 1 }\nrule a { p(1, 2) }":                 "line 2, column 10: there is no rule with so many parameters as are given to p",
		"rule p(x, x) { %x == 1 }":                                  "line 1, column 11: the parameter x is named twice",
		"rule p(x) { %x == 1 }\nrule p(y) { %y == 1 }":              "line 2, column 1: the rule p with parameters stands twice",
		"rule a { x == count(y) }":                                  "line 1, column 15: a function is called in an assignment alone",
		"rule a { count(y) == 1 }":                                  "line 1, column 10: a function is called in an assignment alone",
		"let a = lookup(x)\nrule b { %a == 1 }":                     "line 1, column 9: there is no function lookup",
		"let a = join(x)\nrule b { %a == 1 }":                       "line 1, column 9: join takes 2 arguments, not 1",
		"rule a { when x exists { AWS::S3::Bucket { y exists } } }": "line 1, column 26: a type stands in a rule",
		"rule a { x IS_REGEX }":                                     `line 1, column 10: there is no rule x`,
		"rule a { x[ 1.5 ] == 1 }":                                  "line 1, column 17: expected an operator or a block",
		"rule a { " + deep:                                          "nested deeper than 64",
		"let a = " + strings.Repeat("[", 100):                       "nested deeper than 64",
		strings.Repeat("#", guard.MaxRules+1):                       "line 1, column 1: the file is longer than 1048576 bytes",
		"rule a { x == '\xff' }":                                    "line 1, column 1: the file is not UTF-8",
	} {
		_, err := guard.Parse("test.guard", []byte(text))
		e := new(guard.Error)
		if !errors.As(err, &e) || e.File != "test.guard" || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

func TestEvaluationEnds(t *testing.T) {
	doc := document(t, []byte(`{"M":{"a":"a","k":["M","M","M","M","M","M","M","M","M","M"]},"text":"abc"}`))
	for _, c := range []struct{ text, want string }{
		{"let x = %x.y\nrule a { %x exists }", "line 1, column 1: the variable x stands for itself"},
		{"let x = %y\nlet y = %x\nrule a { %x exists }", "stands for itself"},
		{"rule a { b\n }\nrule b { a\n }", "the rule a refers to itself"},
		{"rule p(x) { p(%x) }\nrule a { p(1) }", "deeper than 64"},
		{"let k = M.k\nrule a { %n exists }\nlet n = M.%m\nlet m = M.%z\nlet z = M.a", "a PASS"},
		{"let j = json_parse(text)\nrule a { %j exists }", "json_parse: the text is no JSON document"},
		{"let j = parse_int(text)\nrule a { %j exists }", `parse_int: "abc" is no integer of 64 bits`},
		{"let j = regex_replace(text, 'b(?=c)', '')\nrule a { %j exists }", "lookarounds"},
		{"let j = M.%t\nlet t = M\nrule a { %j exists }", "which is no key"},
	} {
		if got := evaluate(t, doc, c.text); !strings.Contains(got, c.want) {
			t.Errorf("%s\ncame to %s, want %s", c.text, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := guard.Parse("test.guard", []byte("let all = M.k[*]\nrule a {\n"+strings.Repeat("%all in M.k[*]\n", 100)+"}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Evaluate(ctx, doc); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// A query cannot find more than a bound of values: each key of ten is followed ten
// times.
func TestProjectionsAreBounded(t *testing.T) {
	var b strings.Builder
	inner := `"end"`
	for range 6 {
		inner = `{"k":` + inner + `}`
	}
	fmt.Fprintf(&b, `{"keys":[%s"k"],"tree":%s}`, strings.Repeat(`"k",`, 9), inner)
	got := evaluate(t, document(t, []byte(b.String())), "let k = keys[*]\nrule a { tree.%k.%k.%k.%k.%k.%k exists }")
	if !strings.Contains(got, "the query finds more than 100000 values") {
		t.Error(got)
	}
}

// FuzzParse reads any text, and evaluates what can be read.
func FuzzParse(f *testing.F) {
	for line := range strings.Lines(string(read(f, "clauses.txt"))) {
		_, text, _ := strings.Cut(line, " ")
		f.Add(text)
	}
	for _, section := range strings.Split(string(read(f, "blocks.txt")), "\n-- ") {
		_, text, _ := strings.Cut(section, " --\n")
		f.Add("rule x {\n" + text + "\n}\nrule p(a) { %a == { b: r(1,2] } <<m>> }")
	}
	doc := document(f, read(f, "document.json"))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := guard.Parse("fuzz.guard", []byte(text))
		if e := new(guard.Error); err != nil {
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 {
				t.Fatalf("%v", err)
			}
			return
		}
		report, err := r.Evaluate(t.Context(), doc)
		if err == nil && len(report.Rules) == 0 {
			t.Fatal("no rules")
		}
	})
}
