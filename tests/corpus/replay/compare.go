package replay

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/api"
)

// Tree makes a tree, as JSON has it, of an operation's output, for Hold.
func Tree(svc *api.Service, operation string, out any) map[string]any {
	return structure(svc, svc.Operation(operation).Output, reflect.ValueOf(out).Elem())
}

// structure makes a tree, as JSON has it, of an answer: what is unset is absent.
func structure(svc *api.Service, shape int32, v reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range svc.Shapes[shape].Members {
		m := &svc.Shapes[shape].Members[i]
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
			if f.IsNil() || f.Kind() != reflect.Pointer && f.Kind() != reflect.Interface && f.Len() == 0 && m.Flags&(api.Flattened|api.LeaveOut) != 0 {
				continue
			}
		case reflect.String:
			if f.Len() == 0 && !m.Flags.Has(api.KeepEmpty) {
				continue
			}
		}
		out[m.Name] = tree(svc, m.Shape, f)
	}
	return out
}

func tree(svc *api.Service, shape int32, v reflect.Value) any {
	if r, ok := v.Interface().(io.ReadCloser); ok {
		b, err := io.ReadAll(r)
		if err != nil {
			return "cannot be read: " + err.Error()
		}
		_ = r.Close() // all of it is read
		return string(b)
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	s := &svc.Shapes[shape]
	switch s.Kind {
	case api.Structure:
		return structure(svc, shape, v)
	case api.List:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = tree(svc, s.Members[0].Shape, v.Index(i))
		}
		return out
	case api.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = tree(svc, s.Members[1].Shape, v.MapIndex(k))
		}
		return out
	case api.Integer, api.Long:
		return float64(v.Int())
	case api.Float, api.Double:
		return v.Float()
	case api.Boolean:
		return v.Bool()
	case api.Timestamp:
		return v.Interface().(time.Time).UTC().Format(time.RFC3339)
	case api.Blob:
		return string(v.Bytes())
	case api.Document:
		return v.Interface()
	}
	return v.String()
}

// Compare holds a tree against a recorded one, and reports each difference with
// its path: "list-users/Users/0/Arn".
func (c *Case) Compare(path string, want, got any) {
	c.Helper()
	switch want := want.(type) {
	case map[string]any:
		if text, ok := got.(string); ok {
			got = document(text)
		}
		m, ok := got.(map[string]any)
		if !ok {
			c.differs(path, "AWS has %v, the answer %v", want, got)
			return
		}
		c.members(path, want, m)
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			c.differs(path, "AWS has %v, the answer %v", want, got)
			return
		}
		want, list = inOrder(want), inOrder(list)
		for i := range want {
			c.Compare(path+"/"+strconv.Itoa(i), want[i], list[i])
		}
	case string:
		c.text(path, want, fmt.Sprint(got))
	default:
		if !reflect.DeepEqual(want, got) {
			c.differs(path, "AWS has %v, the answer %v", want, got)
		}
	}
}

// inOrder puts lists whose order nobody promises into one: a stack's parameters by
// their keys, the details of a change by what they say.
func inOrder(list []any) []any {
	key := func(v any) string {
		m, _ := v.(map[string]any)
		if k, ok := m["ParameterKey"].(string); ok {
			return k
		}
		if _, ok := m["ChangeSource"]; !ok {
			return ""
		}
		return fmt.Sprint(m["Target"], m["ChangeSource"], m["CausingEntity"])
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(key(a), key(b)) })
	return list
}

func (c *Case) members(path string, want, got map[string]any) {
	c.Helper()
	want = c.named(want)
	names := make([]string, 0, len(want)+len(got))
	for name := range want {
		names = append(names, name)
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		w, recorded := want[name]
		g, answered := got[name]
		switch at := path + "/" + name; {
		case !answered:
			c.differs(at, "AWS has it (%v), the answer has not", w)
		case !recorded:
			c.differs(at, "the answer has it (%v), AWS has not", g)
		default:
			c.Compare(at, w, g)
		}
	}
}

// named puts what placeholders stand for into the names of members, as far as it
// is known.
func (c *Case) named(want map[string]any) map[string]any {
	out := make(map[string]any, len(want))
	for name, v := range want {
		for placeholder, text := range c.bound {
			name = strings.ReplaceAll(name, placeholder, text)
		}
		out[name] = v
	}
	return out
}

// document parses a text that the records have parsed: JSON, which may be
// URL-encoded.
func document(text string) any {
	if plain, err := url.PathUnescape(text); err == nil && strings.HasPrefix(plain, "{") && !strings.HasPrefix(text, "{") {
		text = plain
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

var (
	placeholder = regexp.MustCompile(`<[a-zA-Z_-][a-zA-Z0-9_-]*(:\d+)?>|\bdatetime\b|\btimestamp\b`)
	numbered    = regexp.MustCompile(`:\d+>$`)
)

// text compares a text with one that may have placeholders.
func (c *Case) text(path, want, got string) {
	c.Helper()
	if want == "date" && got != "" { // as some records have a time
		return
	}
	var pattern strings.Builder
	var names []string
	rest := want
	for at := placeholder.FindStringIndex(rest); at != nil; at = placeholder.FindStringIndex(rest) {
		pattern.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		name := rest[at[0]:at[1]]
		if known, ok := c.bound[name]; ok {
			pattern.WriteString(regexp.QuoteMeta(known))
		} else {
			pattern.WriteString("(.+?)")
			names = append(names, name)
		}
		rest = rest[at[1]:]
	}
	pattern.WriteString(regexp.QuoteMeta(rest))
	found := regexp.MustCompile("^(?s:" + pattern.String() + ")$").FindStringSubmatch(got)
	if found == nil && want != base64.StdEncoding.EncodeToString([]byte(got)) {
		c.differs(path, "AWS has %q, the answer %q", want, got)
		return
	}
	for i, name := range names {
		if found == nil || !numbered.MatchString(name) {
			continue
		}
		if known, ok := c.bound[name]; ok && known != found[i+1] {
			c.differs(path, "%s is %q here, and %q before in the text", name, found[i+1], known)
			return
		}
		kind := name[:strings.LastIndexByte(name, ':')]
		for other, text := range c.bound {
			if other != name && text == found[i+1] && strings.HasPrefix(other, kind+":") {
				c.differs(path, "%s and %s are both %q", name, other, text)
				return
			}
		}
		c.bound[name] = found[i+1]
	}
}

func (c *Case) differs(path, format string, args ...any) {
	c.Helper()
	if _, ok := c.expected[path]; ok {
		c.differed[path] = true
		return
	}
	c.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
}
