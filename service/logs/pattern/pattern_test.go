package pattern

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	apache = `127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	trail  = `{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],` +
		`"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"ThisFlag":true,"Other":false,"cpu":4.5e1,` +
		`"a.b":"dotted","user":{"id":1,"email":"John@example.com"},"code":"400"}`
)

func TestMatch(t *testing.T) {
	for _, c := range []struct{ pattern, message, want string }{
		{"", "anything", "yes"},
		{" ", "anything", "yes"},
		{`""`, "anything", "yes"},
		{"ERROR", "[ERROR 400] BAD REQUEST", "yes"},
		{"ERROR", "[error 400] BAD REQUEST", "no"},
		{"ERROR ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS", "yes"},
		{"ERROR ARGUMENTS", "[ERROR 401] UNAUTHORIZED", "no"},
		{"?ERROR ?ARGUMENTS", "MISSING ARGUMENTS", "yes"},
		{"?ERROR ?ARGUMENTS", "fine", "no"},
		{"?ERROR REQUEST", "GET REQUEST", "yes"}, // optional terms beside others say nothing
		{"ERROR -ARGUMENTS", "ERROR MISSING ARGUMENTS", "no"},
		{"ERROR -ARGUMENTS", "ERROR 400", "yes"},
		{`"INTERNAL SERVER ERROR"`, "[ERROR 500] INTERNAL SERVER ERROR", "yes"},
		{`"INTERNAL SERVER ERROR"`, "INTERNAL ERROR", "no"},
		{`-"a \"b\""`, `a "b"`, "no"},
		{"%AUTHORIZED%", "[ERROR 401] UNAUTHORIZED", "yes"},
		{"%^[hc]at%", "a cat", "no"},
		{"%10\\.10\\.0\\.1%", "from 10.10.0.1", "yes"},

		{`{ $.eventType = "UpdateTrail" }`, trail, "yes"},
		{`{ $.eventType = UpdateTrail }`, trail, "yes"},
		{`{$.eventType="Update*"}`, trail, "yes"},
		{`{ $.eventType != "Other" }`, trail, "yes"},
		{`{ $.none != "Other" }`, trail, "no"},
		{`{ $.sourceIPAddress != 123.123.* }`, trail, "yes"},
		{`{ $.sourceIPAddress = 111.111.* }`, trail, "yes"},
		{`{ $.arrayKey[0] = "value" }`, trail, "yes"},
		{`{ $.arrayKey[7] = "value" }`, trail, "no"},
		{`{ $.arrayKey[*] = "another value" }`, trail, "yes"},
		{`{ $.objectList[1].id = 2 }`, trail, "yes"},
		{`{ $.objectList[*].id > 2 }`, trail, "no"},
		{`{ $.SomeObject IS NULL }`, trail, "yes"},
		{`{ $.SomeOtherObject NOT EXISTS }`, trail, "yes"},
		{`{ $.SomeObject NOT EXISTS }`, trail, "no"},
		{`{ $.ThisFlag IS TRUE && $.Other IS FALSE }`, trail, "yes"},
		{`{ $.cpu >= 45 }`, trail, "yes"},
		{`{ $.cpu < 4.5e1 }`, trail, "no"},
		{`{ $.cpu = 45.0 }`, trail, "yes"},
		{`{ $.code = 400 }`, trail, "yes"},
		{`{ $.code = 4* }`, trail, "yes"},
		{`{ $['a.b'] = dotted }`, trail, "yes"},
		{`{ ($.user.id = 2 && $.cpu > 0) || $.user.email = "John@*.com" }`, trail, "yes"},
		{`{ $.user.id = 1 || $.cpu > 0 && $.cpu > 100 }`, trail, "yes"}, // && binds closer
		{`{ ($.user.id = 1 || $.cpu > 0) && $.cpu > 100 }`, trail, "no"},
		{`{ $.eventType = %^Update[A-Z]% }`, trail, "yes"},
		{`{ $.user = * }`, trail, "yes"},
		{`{ $.a = 1 }`, "no JSON", "no"},
		{`{ $.a = 1 }`, `{"a":1`, "no"},

		{"[ip, id, user, timestamp, request, status_code, bytes]", apache, "yes"},
		{"[ip, id, user, timestamp, request, status_code]", apache, "no"},
		{"[ip, id, user, timestamp, request =*.html*, status_code = 4*, bytes > 1000]", apache, "yes"},
		{"[ip, id, user, timestamp, request, status_code = 404 || status_code = 410, bytes]", apache, "yes"},
		{"[ip, id, user, timestamp, request, status_code = 410, bytes]", apache, "no"},
		{"[..., status_code = 4*, bytes]", apache, "yes"},
		{`[ip, ..., user != "frank", a, b, c, d]`, apache, "no"},
		{"[ip=%127\\.0\\.0\\.[1-9]%, ...]", apache, "yes"},
		{"[,,,,,,]", apache, "yes"},
		{"[w1=ERROR, w2]", "ERROR text", "yes"},
		{"[w1!=ERROR && w1!=WARN, w2]", "WARN text", "no"},
		{"[]", "a b c", "yes"},
	} {
		p, err := Parse(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := map[bool]string{true: "yes", false: "no"}[p.Match([]byte(c.message))]; got != c.want {
			t.Errorf("%s: %s, want %s", c.pattern, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for pattern, says := range map[string]string{
		"foo-bar":                         "Invalid character(s) in term 'foo-bar'",
		`"open`:                           "not closed",
		"-":                               "missing",
		"%open":                           "not closed",
		"%a(b)%":                          "not supported",
		"%é%":                             "not supported",
		"%a** {%":                         "not valid",
		"{ }":                             "begins with $",
		"{ $.a }":                         "operator",
		"{ $.a = 1":                       "} is missing",
		"{ $.a = 1 } x":                   "behind the }",
		"{ ($.a = 1 }":                    ") is missing",
		"{ $.a > abc }":                   "wants a number",
		"{ $.a IS x }":                    "IS wants",
		"{ $.a[x] = 1 }":                  "no number",
		"{ $ = 1 }":                       "lacks a name",
		"[a, b":                           "missing",
		"[..., ...]":                      "second ...",
		"[a = 1 && b = 2]":                "another one",
		"{$.a=%a% && $.b=%b% && $.c=%c%}": "may have 2",
		"{" + strings.Repeat("(", 1024):   "longer than 1024",
	} {
		if _, err := Parse(pattern); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", pattern, err, says)
		}
	}
}

func TestExtract(t *testing.T) {
	for _, c := range []struct {
		pattern, message string
		want             map[string]string
	}{
		{"[]", `a "b c"`, map[string]string{"$1": "a", "$2": "b c"}},
		{"[]", `[x [y "z`, map[string]string{"$1": "[x", "$2": "[y", "$3": `"z`}},
		{"[]", `[a b] [c ["d e" [f`, map[string]string{"$1": "a b", "$2": "[c", "$3": `["d`, "$4": `e"`, "$5": "[f"}},
		{"[ip, ..., size]", apache, map[string]string{
			"$ip": "127.0.0.1", "$2": "-", "$3": "frank", "$4": "10/Oct/2000:13:25:15 -0700", "$5": "GET /index.html HTTP/1.0", "$6": "404", "$size": "1534",
		}},
		{`{ $.eventType = * && $.user.id = 1 && $.none NOT EXISTS }`, trail, map[string]string{"$.eventType": "UpdateTrail", "$.user.id": "1"}},
		{"ERROR", "ERROR", map[string]string{}},
	} {
		p, err := Parse(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, p.Extract([]byte(c.message))); d != "" {
			t.Errorf("%s: %s", c.pattern, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"ERROR -x ?y", `{ ($.a[0] = "b*" || $['c'] IS NULL) && $.d > 1e3 }`, "[a, b=%x%, ..., c != 1]"} {
		f.Add(s, trail)
	}
	f.Fuzz(func(_ *testing.T, pattern, message string) {
		if p, err := Parse(pattern); err == nil && p.Match([]byte(message)) {
			p.Extract([]byte(message))
		}
	})
}
