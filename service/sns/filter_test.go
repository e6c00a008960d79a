package sns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFiltersOnAttributes(t *testing.T) {
	text := func(v string) messageAttribute { return messageAttribute{Type: "String", Text: v} }
	number := func(v string) messageAttribute { return messageAttribute{Type: "Number", Text: v} }
	array := func(v string) messageAttribute { return messageAttribute{Type: typeArray, Text: v} }
	type attrs = map[string]messageAttribute
	for _, r := range []struct {
		policy  string
		message attrs
		want    bool
	}{
		{`{"a":["x","y"]}`, attrs{"a": text("y")}, true},
		{`{"a":["x","y"]}`, attrs{"a": text("z")}, false},
		{`{"a":["x"]}`, nil, false},
		{`{"a":["x"],"b":["y"]}`, attrs{"a": text("x")}, false},
		{`{"a":[100]}`, attrs{"a": number("1e2")}, true},
		{`{"a":[100]}`, attrs{"a": text("100")}, false},
		{`{"a":[{"numeric":["=",301.5]}]}`, attrs{"a": number("301.50")}, true},
		{`{"a":[{"numeric":[">",0,"<=",150]}]}`, attrs{"a": number("150")}, true},
		{`{"a":[{"numeric":[">",0,"<=",150]}]}`, attrs{"a": number("0")}, false},
		{`{"a":[{"numeric":["<",0]}]}`, attrs{"a": number("-0.00001")}, true},
		{`{"a":[{"prefix":"bas"}]}`, attrs{"a": text("baseball")}, true},
		{`{"a":[{"suffix":"ball"}]}`, attrs{"a": text("baseball")}, true},
		{`{"a":[{"suffix":"ball"}]}`, attrs{"a": text("balls")}, false},
		{`{"a":[{"equals-ignore-case":"Tennis"}]}`, attrs{"a": text("tENNIS")}, true},
		{`{"a":[{"anything-but":["rugby","tennis"]}]}`, attrs{"a": text("golf")}, true},
		{`{"a":[{"anything-but":["rugby","tennis"]}]}`, attrs{"a": text("rugby")}, false},
		{`{"a":[{"anything-but":"rugby"}]}`, nil, false},
		{`{"a":[{"anything-but":{"prefix":"order-"}}]}`, attrs{"a": text("order-1")}, false},
		{`{"a":[{"anything-but":{"suffix":["-1","-2"]}}]}`, attrs{"a": text("order-3")}, true},
		{`{"a":[{"anything-but":[1,2]}]}`, attrs{"a": number("3")}, true},
		{`{"a":[{"exists":true}]}`, attrs{"a": text("x")}, true},
		{`{"a":[{"exists":false}]}`, attrs{"a": text("x")}, false},
		{`{"a":[{"exists":false}]}`, attrs{"b": text("x")}, true},
		{`{"a":["x"]}`, attrs{"a": array(`["w","x"]`)}, true},
		{`{"a":[true]}`, attrs{"a": array(`[true,null]`)}, true},
		{`{"a":[null]}`, attrs{"a": array(`[true,null]`)}, true},
		{`{"a":[null]}`, attrs{"a": array(`[true]`)}, false},
		{`{"a":[null]}`, nil, true},
		{`{"a":["x"]}`, attrs{"a": {Type: "Binary", Binary: []byte("x")}}, false},
		{`{"a":[{"cidr":"10.0.0.0/24"}]}`, attrs{"a": text("10.0.0.255")}, true},
		{`{"a":[{"cidr":"10.0.0.0/24"}]}`, attrs{"a": text("10.0.1.0")}, false},
		{`{"s":["aws"],"$or":[{"m":["a"]},{"n":["b"]}]}`, attrs{"s": text("aws"), "n": text("b")}, true},
		{`{"s":["aws"],"$or":[{"m":["a"]},{"n":["b"]}]}`, attrs{"s": text("aws"), "n": text("c")}, false},
		{`{"s":["aws"],"$or":[{"m":["a"]},{"n":["b"]}]}`, attrs{"n": text("b")}, false},
		{`{"$or":["a"]}`, attrs{"$or": text("a")}, true},
	} {
		f, err := parseFilter(r.policy, false)
		if err != nil {
			t.Errorf("%s: %v", r.policy, err)
			continue
		}
		if got := f.matchesAttributes(r.message); got != r.want {
			t.Errorf("%s matches %v: %v", r.policy, r.message, got)
		}
	}
}

func TestFiltersOnBodies(t *testing.T) {
	for _, r := range []struct {
		policy, body string
		want         bool
	}{
		{`{"a":{"b":["x"]}}`, `{"a":{"b":"x"}}`, true},
		{`{"a":{"b":["x"]}}`, `{"a":{"b":["w","x"]}}`, true},
		{`{"a":{"b":["x"],"c":["y"]}}`, `{"a":[{"b":"x"},{"c":"y"}]}`, false},
		{`{"a":{"b":["x"],"c":["y"]}}`, `{"a":[{"b":"w"},{"b":"x","c":"y"}]}`, true},
		{`{"a":{"b":[{"exists":false}]}}`, `{"a":{"c":1}}`, true},
		{`{"a":{"b":[{"exists":false}]}}`, `{"x":1}`, true},
		{`{"a":[{"exists":true}]}`, `{"a":{"b":1}}`, false},
		{`{"a":[null]}`, `{"a":null}`, true},
		{`{"a":[null]}`, `{}`, false},
		{`{"a":[true]}`, `{"a":true}`, true},
		{`{"a":[{"numeric":[">=",1]}]}`, `{"a":1}`, true},
		{`{"a":[{"numeric":[">=",1]}]}`, `{"a":"1"}`, false},
		{`{"a":[""]}`, `{"a":"","r":[]}`, true},
		{`{"r":[{"exists":false}]}`, `{"r":[]}`, true},
		{`{"a":["x"]}`, `no JSON`, false},
		{`{"a":["x"]}`, `["a","x"]`, false},
		{`{"$or":[{"a":{"b":["x"]}},{"c":[1]}]}`, `{"c":1}`, true},
	} {
		f, err := parseFilter(r.policy, true)
		if err != nil {
			t.Errorf("%s: %v", r.policy, err)
			continue
		}
		var body any
		if json.Unmarshal([]byte(r.body), &body) != nil {
			body = nil
		}
		if got := f.matchesBody(body); got != r.want {
			t.Errorf("%s matches %s: %v", r.policy, r.body, got)
		}
	}
}

func TestFiltersThatAreRefused(t *testing.T) {
	for policy, want := range map[string]string{
		`[]`:                                           "Filter is not an object",
		`{}`:                                           "Empty objects are not allowed",
		`{"a":"x"}`:                                    `"a" must be an object or an array`,
		`{"a":{"b":["x"]}}`:                            "does not support nested filter policy",
		`{"a":[["x"]]}`:                                "Match value must be String, number, true, false, or null",
		`{"a":[{"prefix":"x","suffix":"y"}]}`:          "Only one key allowed in match expression",
		`{"a":[{"wild":"x"}]}`:                         "Unrecognized match type wild",
		`{"a":[{"numeric":5}]}`:                        "Value of numeric must be an array.",
		`{"a":[{"numeric":[]}]}`:                       "Invalid member in numeric match: ]",
		`{"a":[{"numeric":[5]}]}`:                      "Invalid member in numeric match: 5",
		`{"a":[{"numeric":["~",5]}]}`:                  "Unrecognized numeric range operator: ~",
		`{"a":[{"numeric":["<","5"]}]}`:                "Value of < must be numeric",
		`{"a":[{"numeric":[">",5,"<",1]}]}`:            "Bottom must be less than top",
		`{"a":[{"numeric":["=",5,"<",1]}]}`:            "Too many elements in numeric expression",
		`{"a":[{"numeric":[">",2000000000]}]}`:         "Value must be between",
		`{"a":[{"anything-but":[]}]}`:                  "Empty arrays are not allowed",
		`{"a":[{"anything-but":["x",1]}]}`:             "mixed type is not supported",
		`{"a":[{"anything-but":{"numeric":["=",1]}}]}`: "Unsupported anything-but pattern: numeric",
		`{"a":[{"cidr":"10.0.0.0/33"}]}`:               "mask bits",
		`{"a":["x"]`:                                   "failed to parse JSON. Unexpected end-of-input",
		`{"a":["x"],}`:                                 "was expecting double-quote to start field name",
		`{"a":["x" "y"]}`:                              "was expecting comma to separate Array entries",
		`{"a":[01]}`:                                   "failed to parse JSON",
		strings.Repeat(`{"a":`, 200):                   "nesting depth",
	} {
		if _, err := parseFilter(policy, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", policy, err, want)
		}
	}
}

// FuzzFilter sees that no policy crashes its reader or what matches it.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{`{"a":["x"]}`, `{"a":{"b":[{"numeric":[">",1]}]}}`, `{"$or":[{"a":["x"]},{"b":[null]}]}`, `{"a":[{"anything-but":{"prefix":"x"}}]}`, "{\"a\n\":", `{"é":["\u00e9"]}`} {
		f.Add(seed, `{"a":["x",1,null,{"b":2}]}`)
	}
	f.Fuzz(func(t *testing.T, policy, body string) {
		for _, scope := range []bool{false, true} {
			p, err := parseFilter(policy, scope)
			if err != nil {
				if !json.Valid([]byte(policy)) && !strings.Contains(err.Error(), "failed to parse JSON") {
					t.Errorf("%q: %v", policy, err)
				}
				continue
			}
			if !json.Valid([]byte(policy)) {
				t.Errorf("%q is no JSON, and was read", policy)
			}
			var v any
			_ = json.Unmarshal([]byte(body), &v) // nil is a body, too
			p.matchesBody(v)
			p.matchesAttributes(map[string]messageAttribute{"a": {Type: typeArray, Text: body}})
		}
	})
}

func TestPhasesOfADeliveryPolicy(t *testing.T) {
	d, err := parseTopicDelivery(`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":2,"maxDelayTarget":10,"numRetries":9,"numNoDelayRetries":2,"numMinDelayRetries":1,"numMaxDelayRetries":2,"backoffFunction":"linear"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	p := d.Healthy.resolved()
	var got []string
	for n := 1; n <= *p.Retries; n++ {
		got = append(got, fmt.Sprint(p.delay(n).Seconds()))
	}
	// Two at once, one after the least, four from the least to the longest, two after that.
	if want := "0 0 2 2 4.666666666 7.333333333 10 10 10"; strings.Join(got, " ") != want {
		t.Errorf("the delays are %s, want %s", strings.Join(got, " "), want)
	}
	for _, name := range backoffs {
		last := 0.0
		for i := range 10 {
			v := backoff(name, i, 9, 1, 20)
			if v < last || v < 1 || v > 20.0001 {
				t.Errorf("%s: step %d is %v after %v", name, i, v, last)
			}
			last = v
		}
		if first := backoff(name, 0, 9, 1, 20); first != 1 || last < 19.999 {
			t.Errorf("%s goes from %v to %v", name, first, last)
		}
	}
	if d, ok := insideDelay(100015); !ok || d.Seconds() != 20 {
		t.Errorf("the last try at a queue is after %v, %v", d, ok)
	}
	if _, ok := insideDelay(100016); ok {
		t.Error("a queue is tried for ever")
	}
	for _, bad := range []string{
		`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":1}}}`, `{"http":{"defaultHealthyRetryPolicy":{"numRetries":101}}}`,
		`{"http":{"defaultHealthyRetryPolicy":{"numRetries":1,"numNoDelayRetries":2}}}`, `{"http":{}}}`,
		`{"http":{"defaultHealthyRetryPolicy":{"numNoDelayRetries":9223372036854775807,"numMinDelayRetries":9223372036854775807}}}`, `{"http":{"defaultHealthyRetryPolicy":{"backoffFunction":"cubic"}}}`,
		`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":3600,"maxDelayTarget":3600,"numRetries":2}}}`, `{"http":{"unknown":1}}`, `[`,
		`{"http":{"defaultRequestPolicy":{"headerContentType":"video/mp4"}}}`, `{"http":{"defaultThrottlePolicy":{"maxReceivesPerSecond":0}}}`,
	} {
		if _, err := parseTopicDelivery(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
