package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// function is one of the language's ("Guard built-in functions").
type function struct {
	args int
	run  func(args [][]result) ([]*Value, error)
}

// functions are called in assignments. Those of one text give a text for each that
// their argument has, and leave out what is none.
var functions = map[string]function{
	"count":         {1, count},
	"join":          {2, join},
	"json_parse":    {1, each(parseJSON)},
	"regex_replace": {3, replace},
	"substring":     {3, substring},
	"to_lower":      {1, each(func(s string) (*Value, error) { return text(strings.ToLower(s)), nil })},
	"to_upper":      {1, each(func(s string) (*Value, error) { return text(strings.ToUpper(s)), nil })},
	"url_decode":    {1, each(decodeURL)},
	"parse_int":     {1, convert(toInt)},
	"parse_float":   {1, convert(toFloat)},
	"parse_boolean": {1, convert(toBoolean)},
	"parse_string":  {1, convert(toString)},
	"parse_char":    {1, convert(toChar)},
	"parse_epoch":   {1, each(parseEpoch)},
	"now": {0, func([][]result) ([]*Value, error) {
		return []*Value{{kind: intKind, int: time.Now().Unix()}}, nil
	}},
}

// call calls a function.
func (s *scope) call(c *call) ([]result, error) {
	args := make([][]result, len(c.args))
	for i, o := range c.args {
		var err error
		if args[i], err = s.operand(o); err != nil {
			return nil, err
		}
	}
	made, err := functions[c.name].run(args)
	if err != nil {
		return nil, s.e.fail(c.Position, "%s: %s", c.name, err)
	}
	out := make([]result, 0, len(made))
	for _, v := range made {
		out = append(out, result{Value: v})
	}
	return out, nil
}

// each makes a function of one that takes a text.
func each(f func(s string) (*Value, error)) func([][]result) ([]*Value, error) {
	return func(args [][]result) (out []*Value, err error) {
		for _, r := range found(args[0]) {
			if r.kind != stringKind {
				continue
			}
			v, err := f(r.text)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
}

// convert makes a function of one that takes any value; nil: it has no other type.
func convert(f func(v *Value) (*Value, error)) func([][]result) ([]*Value, error) {
	return func(args [][]result) (out []*Value, err error) {
		for _, r := range found(args[0]) {
			v, err := f(r.Value)
			if err != nil {
				return nil, err
			}
			if v != nil {
				out = append(out, v)
			}
		}
		return out, nil
	}
}

func count(args [][]result) ([]*Value, error) {
	return []*Value{{kind: intKind, int: int64(len(found(args[0])))}}, nil
}

// one is the text that an argument is.
func one(arg []result, which string) (string, error) {
	if len(arg) == 0 || arg[0].lost != nil || arg[0].kind != stringKind {
		return "", fmt.Errorf("the %s argument is no string", which)
	}
	return arg[0].text, nil
}

func join(args [][]result) ([]*Value, error) {
	between, err := one(args[1], "second")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	n := 0
	for _, r := range found(args[0]) {
		if r.kind != stringKind {
			continue
		}
		if n++; n > 1 {
			b.WriteString(between)
		}
		b.WriteString(r.text)
		if b.Len() > maxText {
			return nil, fmt.Errorf("the text is longer than %d bytes", maxText)
		}
	}
	return []*Value{text(b.String())}, nil
}

func parseJSON(s string) (*Value, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil || d.More() {
		return nil, fmt.Errorf("the text is no JSON document")
	}
	return Of(document)
}

func replace(args [][]result) ([]*Value, error) {
	pattern, err := one(args[1], "second")
	if err != nil {
		return nil, err
	}
	by, err := one(args[2], "third")
	if err != nil {
		return nil, err
	}
	re, err := compile(pattern)
	if err != nil {
		return nil, err
	}
	return each(func(s string) (*Value, error) {
		var b []byte
		last := 0
		for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
			b = append(b, s[last:m[0]]...)
			b = re.ExpandString(b, by, s, m)
			if last = m[1]; len(b) > maxText {
				return nil, fmt.Errorf("the text is longer than %d bytes", maxText)
			}
		}
		return text(string(append(b, s[last:]...))), nil
	})(args)
}

func substring(args [][]result) ([]*Value, error) {
	var limits [2]int
	for i := range limits {
		arg := args[i+1]
		if len(arg) == 0 || arg[0].lost != nil || arg[0].kind != intKind && arg[0].kind != floatKind {
			return nil, fmt.Errorf("an index is no number")
		}
		f := math.Trunc(arg[0].number())
		if f < 0 || f > math.MaxInt32 {
			return nil, fmt.Errorf("%s is no index", arg[0].Value)
		}
		limits[i] = int(f)
	}
	var out []*Value
	for _, r := range found(args[0]) {
		if r.kind != stringKind {
			continue
		}
		if letters := []rune(r.text); limits[0] <= limits[1] && limits[1] <= len(letters) {
			out = append(out, text(string(letters[limits[0]:limits[1]])))
		}
	}
	return out, nil
}

func decodeURL(s string) (*Value, error) {
	out, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(out) {
		return nil, fmt.Errorf("%q is not URL encoded", squeeze(s))
	}
	return text(out), nil
}

func toInt(v *Value) (*Value, error) {
	switch v.kind {
	case intKind:
		return v, nil
	case floatKind:
		if math.Abs(v.float) < 1<<63 {
			return &Value{kind: intKind, int: int64(v.float)}, nil
		}
	case stringKind:
		if i, err := strconv.ParseInt(v.text, 10, 64); err == nil {
			return &Value{kind: intKind, int: i}, nil
		}
	default:
		return nil, nil
	}
	return nil, fmt.Errorf("%s is no integer of 64 bits", v)
}

func toFloat(v *Value) (*Value, error) {
	switch v.kind {
	case intKind, floatKind:
		return &Value{kind: floatKind, float: v.number()}, nil
	case stringKind:
		f, err := strconv.ParseFloat(v.text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s is no number", v)
		}
		return &Value{kind: floatKind, float: f}, nil
	}
	return nil, nil
}

func toBoolean(v *Value) (*Value, error) {
	switch v.kind {
	case boolKind:
		return v, nil
	case stringKind:
		s := strings.ToLower(v.text)
		if s != "true" && s != "false" {
			return nil, fmt.Errorf("%s is no boolean", v)
		}
		return &Value{kind: boolKind, truth: s == "true"}, nil
	}
	return nil, nil
}

func toString(v *Value) (*Value, error) {
	switch v.kind {
	case stringKind:
		return v, nil
	case boolKind, intKind, floatKind:
		return text(v.String()), nil
	}
	return nil, nil
}

func toChar(v *Value) (*Value, error) {
	switch v.kind {
	case stringKind:
		if utf8.RuneCountInString(v.text) != 1 {
			return nil, fmt.Errorf("%s is not one character", v)
		}
		return v, nil
	case intKind:
		if v.int < 0 || v.int > 9 {
			return nil, fmt.Errorf("%d is not one digit", v.int)
		}
		return text(strconv.FormatInt(v.int, 10)), nil
	}
	return nil, nil
}

// parseEpoch reads a time of RFC 3339 as seconds since 1970.
func parseEpoch(s string) (*Value, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, fmt.Errorf("%q is no time of RFC 3339", squeeze(s))
	}
	return &Value{kind: intKind, int: t.Unix()}, nil
}
