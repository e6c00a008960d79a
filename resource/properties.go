// Package resource holds CloudFormation's resource types: a folder for each
// service, a file for each type. They call services only through their api
// interfaces, with the context that the engine gives them. This package is what
// the types share: reading properties, documents, tags. It may import cfn and
// fault; it starts no goroutine.
package resource

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// Decode reads properties into a struct whose json tags name them. A property
// that the struct has no member for is one that the type does not honour: it is
// refused by name, never ignored.
func Decode(typeName string, from cfn.Properties, into any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.New(fault.NotImplemented, "%s: the property %s is not built in Slipway yet", typeName, strings.Trim(name, `"`))
	}
	return fault.New(fault.ValidationError, "%s: %s", typeName, strings.TrimPrefix(err.Error(), "json: "))
}

// Encode makes properties of a struct; members left out of its JSON are unset.
func Encode(from any) (cfn.Properties, error) {
	b, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var p cfn.Properties
	if err := d.Decode(&p); err != nil {
		return nil, err
	}
	return numbers(p).(cfn.Properties), nil
}

// numbers turns JSON numbers into the int64 and float64 of properties.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // the decoder has checked its form
		return f
	}
	return v
}

// Document is a property that holds a JSON document, such as a policy, as an
// object or as text. Text is the document as the services take it.
type Document struct{ Text string }

// UnmarshalJSON takes a text as it is and writes an object as JSON.
func (d *Document) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &d.Text)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil {
		return err
	}
	d.Text = compact.String()
	return nil
}

// MarshalJSON writes the document as an object where its text is one.
func (d Document) MarshalJSON() ([]byte, error) {
	if json.Valid([]byte(d.Text)) {
		return []byte(d.Text), nil
	}
	return json.Marshal(d.Text)
}

// Tag is a tag as templates write it.
type Tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// Tags joins the stack's tags and the resource's own, which win.
func Tags(r cfn.Request, own []Tag) map[string]string {
	all := maps.Clone(r.Tags)
	if all == nil {
		all = map[string]string{}
	}
	for _, t := range own {
		all[t.Key] = t.Value
	}
	return all
}

// OwnTags are a service's tags but for those of CloudFormation itself, by key,
// in the form of a template; nil if there are none.
func OwnTags(tags map[string]string) []Tag {
	var own []Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if !strings.HasPrefix(k, "aws:") {
			own = append(own, Tag{Key: k, Value: tags[k]})
		}
	}
	return own
}

// Retag tells which tags to set and which keys to remove so that a resource
// that has the tags has ends with want. CloudFormation's own tags stay.
func Retag(has, want map[string]string) (set map[string]string, remove []string) {
	set = map[string]string{}
	for k, v := range want {
		if old, ok := has[k]; !ok || old != v {
			set[k] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(has)) {
		if _, ok := want[k]; !ok && !strings.HasPrefix(k, "aws:") {
			remove = append(remove, k)
		}
	}
	return set, remove
}

// Missing is the answer of Read and Update for a resource that is gone.
func Missing(typeName, physicalID string) error {
	return fault.New(cfn.NotFound, "Resource of type '%s' with identifier '%s' was not found.", typeName, physicalID)
}

// Gone turns a service's error with one of the codes into success: what Delete
// wants gone is gone.
func Gone(err error, codes ...string) error {
	if fault.Is(err, codes...) {
		return nil
	}
	return err
}

// Found turns a service's error with one of the codes into Missing.
func Found(err error, typeName, physicalID string, codes ...string) error {
	if fault.Is(err, codes...) {
		return Missing(typeName, physicalID)
	}
	return err
}

// Name is the template's name, or the request's generated one within limit
// characters: its end, which tells stacks apart, stays.
func Name(r cfn.Request, given string, limit int) string {
	if given != "" || len(r.Name) <= limit {
		return cmp.Or(given, r.Name)
	}
	cut := strings.LastIndexByte(r.Name, '-')
	tail := r.Name[max(cut, 0):]
	if len(tail) >= limit {
		return tail[len(tail)-limit:]
	}
	return strings.TrimRight(r.Name[:limit-len(tail)], "-") + tail
}

// Text writes a value as a service's attributes do; one that is unset is "".
func Text[T any](v *T) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}
