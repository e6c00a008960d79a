package lambda

import (
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/fault"
)

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		yes, not []string
	}{
		{`{"body":{"a":["x","y"],"b":["go"]}}`, []string{`{"body":{"a":"y","b":"go","c":1}}`}, []string{`{"body":{"a":"y"}}`, `{"body":{"a":"z","b":"go"}}`, `{"body":"text"}`, `{}`}},
		{`{"body":{"n":[{"numeric":[">",100]}]}}`, []string{`{"body":{"n":101}}`, `{"body":{"n":1e3}}`}, []string{`{"body":{"n":100}}`, `{"body":{"n":"101"}}`, `{"body":{"n":null}}`}},
		{`{"body":{"n":[{"numeric":[">=",100,"<",200]}]}}`, []string{`{"body":{"n":100}}`}, []string{`{"body":{"n":200}}`, `{"body":{"n":99.9}}`}},
		{`{"body":{"n":[{"numeric":["=",3.0]}]}}`, []string{`{"body":{"n":3}}`}, []string{`{"body":{"n":4}}`}},
		{`{"body":{"s":[{"prefix":"us-"}]}}`, []string{`{"body":{"s":"us-1"}}`, `{"body":{"s":["eu","us-2"]}}`}, []string{`{"body":{"s":"eu"}}`, `{"body":{"s":5}}`}},
		{`{"body":{"s":[{"suffix":".png"}]}}`, []string{`{"body":{"s":"a.png"}}`}, []string{`{"body":{"s":"a.jpg"}}`}},
		{`{"body":{"s":[{"equals-ignore-case":"Yes"}]}}`, []string{`{"body":{"s":"yES"}}`}, []string{`{"body":{"s":"no"}}`}},
		{`{"body":{"s":[{"anything-but":["a",1]}]}}`, []string{`{"body":{"s":"b"}}`, `{"body":{"s":2}}`}, []string{`{"body":{"s":"a"}}`, `{"body":{"s":1}}`, `{"body":{}}`}},
		{`{"body":{"s":[{"anything-but":{"prefix":"a"}}]}}`, []string{`{"body":{"s":"b"}}`}, []string{`{"body":{"s":"ab"}}`}},
		{`{"body":{"s":[{"exists":true}]}}`, []string{`{"body":{"s":null}}`, `{"body":{"s":""}}`}, []string{`{"body":{}}`, `{"body":{"s":{"t":1}}}`}},
		{`{"body":{"s":[{"exists":false}]}}`, []string{`{"body":{}}`, `{"body":"text"}`}, []string{`{"body":{"s":1}}`}},
		{`{"body":{"s":[null,true,""]}}`, []string{`{"body":{"s":null}}`, `{"body":{"s":true}}`, `{"body":{"s":""}}`}, []string{`{"body":{"s":false}}`, `{"body":{}}`}},
		{`{"body":["text"]}`, []string{`{"body":"text"}`}, []string{`{"body":"other"}`, `{"body":{"text":1}}`}},
		{`{"$or":[{"a":["1"]},{"b":["2"]}]}`, []string{`{"a":"1"}`, `{"b":"2"}`}, []string{`{"a":"2"}`}},
		{`{"ip":[{"cidr":"10.0.0.0/8"}]}`, []string{`{"ip":"10.1.2.3"}`}, []string{`{"ip":"11.0.0.1"}`, `{"ip":"x"}`}},
	} {
		f, err := parseFilters(&api.FilterCriteria{Filters: []api.Filter{{Pattern: c.pattern}}})
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for want, records := range map[bool][]string{true: c.yes, false: c.not} {
			for _, text := range records {
				v, _ := readJSON([]byte(text))
				if got := f.match(v.(map[string]any)); got != want {
					t.Errorf("%s of %s: %v", c.pattern, text, got)
				}
			}
		}
	}
	for _, bad := range []string{"", "null", "simple string", `"x"`, `[]`, `{}`, `{"a":"b"}`, `{"a":[]}`, `{"a":[{"numeric":[">"]}]}`, `{"a":[{"numeric":["~",1]}]}`,
		`{"a":[{"made-up":1}]}`, `{"a":[["x"]]}`, `{"a":[{"exists":1}]}`, `{"a":{}}`, `{"a":["x"]} x`, `{"$or":[]}`, `{"a":[{"anything-but":[{}]}]}`} {
		if _, err := parsePattern(bad); !fault.Is(err, fault.InvalidParameterValueException) {
			t.Errorf("%s is let in: %v", bad, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`{"body":{"a":[{"anything-but":{"prefix":"a"}},{"numeric":["<",1]}]}}`, `{"body":{"a":["b",1]}}`)
	f.Add(`{"$or":[{"a":["1"]}]}`, `{"a":null}`)
	f.Fuzz(func(t *testing.T, pattern, record string) {
		p, err := parsePattern(pattern)
		v, _ := readJSON([]byte(record))
		if o, ok := v.(map[string]any); err == nil && ok {
			filters{p}.match(o) // must not panic
		}
	})
}
