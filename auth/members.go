package auth

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// membersOf reads an operation's input by the members' names, which all
// generated inputs share: this package does not import them.
type membersOf struct{ v reflect.Value }

func members(input any) membersOf {
	v := reflect.ValueOf(input)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	return membersOf{v}
}

// get finds a member, or one of a member's ("CreateBucketConfiguration.Tags").
func (m membersOf) get(name string) reflect.Value {
	v := m.v
	for {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return reflect.Value{}
		}
		first, rest, more := strings.Cut(name, ".")
		if i := fieldOf(v.Type(), first); i >= 0 {
			v = v.Field(i)
		} else {
			v = v.FieldByName(first) // within another, or not there
		}
		if !more {
			return v
		}
		name = rest
	}
}

// fields tells where a structure has a member, by fieldKey. Each call asks for
// some, and a search by name makes garbage, as would the keys of a sync.Map.
var fields struct {
	sync.RWMutex
	known map[fieldKey]int
}

type fieldKey struct {
	typ  reflect.Type
	name string
}

// fieldOf is the index of a structure's member, -1 where it has none of its own.
// Only what is there is kept: it is of this build.
func fieldOf(typ reflect.Type, name string) int {
	key := fieldKey{typ, name}
	fields.RLock()
	i, ok := fields.known[key]
	fields.RUnlock()
	if ok {
		return i
	}
	f, ok := typ.FieldByName(name)
	if !ok || len(f.Index) != 1 {
		return -1
	}
	fields.Lock()
	defer fields.Unlock()
	if fields.known == nil {
		fields.known = map[fieldKey]int{}
	}
	fields.known[key] = f.Index[0]
	return f.Index[0]
}

func (m membersOf) member(name string) membersOf { return membersOf{m.get(name)} }

func (m membersOf) text(name string) string {
	if v := m.get(name); v.Kind() == reflect.String {
		return v.String()
	}
	return ""
}

func (m membersOf) some(name string) []string {
	if t := m.text(name); t != "" {
		return []string{t}
	}
	return nil
}

// has reports whether a member is set to anything.
func (m membersOf) has(name string) bool {
	v := m.get(name)
	return v.IsValid() && !v.IsZero() && (v.Kind() != reflect.Slice && v.Kind() != reflect.Map || v.Len() > 0)
}

// flag is an optional boolean.
func (m membersOf) flag(name string) bool {
	v := m.get(name)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v.Kind() == reflect.Bool && v.Bool()
}

// value is a scalar member as condition keys give it: one text, or none.
func (m membersOf) value(name string) []string {
	v := m.get(name)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() {
		return nil
	}
	return textOf(v)
}

// texts are the strings of a list.
func (m membersOf) texts(name string) []string {
	v := m.get(name)
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.String {
		return nil
	}
	out := make([]string, v.Len())
	for i := range out {
		out[i] = v.Index(i).String()
	}
	return out
}

func (m membersOf) list(name string) []membersOf {
	v := m.get(name)
	if v.Kind() != reflect.Slice {
		return nil
	}
	out := make([]membersOf, v.Len())
	for i := range out {
		out[i] = membersOf{v.Index(i)}
	}
	return out
}

// pairs is a map of strings.
func (m membersOf) pairs(name string) map[string]string {
	v := m.get(name)
	if v.Kind() != reflect.Map {
		return nil
	}
	out, _ := v.Interface().(map[string]string)
	return out
}

// requestTags are the tags that a request gives: a list of structures or a map,
// under the names that services use.
func (m membersOf) requestTags(fn func(key, value string)) {
	for _, name := range []string{"Tags", "CreateBucketConfiguration.Tags", "Tagging.TagSet"} {
		v := m.get(name)
		switch v.Kind() {
		case reflect.Map:
			for _, k := range v.MapKeys() {
				if x := v.MapIndex(k); k.Kind() == reflect.String && x.Kind() == reflect.String {
					fn(k.String(), x.String())
				}
			}
		case reflect.Slice:
			eachTag(m.list(name), fn)
		}
	}
	for _, spec := range append(m.list("TagSpecifications"), m.list("TagSpecification")...) {
		eachTag(spec.list("Tags"), fn)
	}
}

// textOf is a scalar as text.
func textOf(v reflect.Value) []string {
	switch v.Kind() {
	case reflect.String:
		if v.Len() == 0 {
			return nil
		}
		return []string{v.String()}
	case reflect.Bool:
		return []string{strconv.FormatBool(v.Bool())}
	case reflect.Int32, reflect.Int64:
		return []string{strconv.FormatInt(v.Int(), 10)}
	case reflect.Float32, reflect.Float64:
		return []string{strconv.FormatFloat(v.Float(), 'g', -1, 64)}
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return []string{t.UTC().Format(time.RFC3339)}
		}
	}
	return nil
}

func eachTag(tags []membersOf, fn func(key, value string)) {
	for _, t := range tags {
		key, value := t.text("Key"), t.text("Value")
		if key == "" {
			key, value = t.text("TagKey"), t.text("TagValue")
		}
		if key != "" {
			fn(key, value)
		}
	}
}
