package wire

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// Validate checks an operation's input, a pointer to its Go struct, against
// the service's model. The error is a *fault.Error in AWS's words. Calls over
// the wire were validated already; callers within Slipway ask for themselves.
func Validate(svc *api.Service, operation string, input any) error {
	op := svc.Operation(operation)
	if op == nil {
		return fault.New(fault.InvalidAction, "Could not find operation %s for version %s", operation, svc.APIVersion)
	}
	return validate(svc, op, reflect.ValueOf(input).Elem(), nil, !svc.Speaks(api.AWSQuery))
}

// validate checks an input. json chooses between the codes of the two families
// of protocols.
func validate(svc *api.Service, op *api.Operation, in reflect.Value, empty empties, json bool) error {
	p := planOf(svc, op.Input, in.Type())
	c := checker{style: svc.Validation, empty: empty}
	c.structure(p, in, "")
	if c.first != nil {
		return c.first
	}
	if len(c.broken) == 0 {
		return nil
	}
	noun := "error"
	if len(c.broken) > 1 {
		noun = "errors"
	}
	code := fault.ValidationError
	if json {
		code = fault.ValidationException
	}
	if svc.ValidationCode != "" {
		code = svc.ValidationCode
	}
	return fault.New(code, "%d validation %s detected: %s", len(c.broken), noun, strings.Join(c.broken, "; "))
}

// maxBroken bounds how many violations one message lists.
const maxBroken = 100

// checker collects what is wrong with an input.
type checker struct {
	style  api.Validation
	empty  empties
	broken []string
	first  *fault.Error // of the styles that report one problem, with its own code
}

func (c *checker) full() bool { return c.first != nil || len(c.broken) >= maxBroken }

func (c *checker) structure(p *plan, v reflect.Value, path string) {
	for i := range p.fields {
		f := &p.fields[i]
		if c.full() {
			return
		}
		fv := v.Field(f.index)
		where := path + f.path
		if unset(fv) && !c.empty.has(fv) {
			if f.Flags.Has(api.Required) {
				c.missing(f, where)
			}
			continue
		}
		if f.stream {
			continue
		}
		if f.pointer {
			fv = fv.Elem()
		}
		c.value(f.plan, fv, where)
	}
}

// empties are the string members that a request gave as "": in Go they look
// like those that it left out.
type empties map[*string]struct{}

func (e empties) has(v reflect.Value) bool {
	if len(e) == 0 || v.Kind() != reflect.String || !v.CanAddr() {
		return false
	}
	_, ok := e[v.Addr().Interface().(*string)]
	return ok
}

// unset tells members that the caller left out, or gave as an empty string.
func unset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

func (c *checker) missing(f *field, where string) {
	switch c.style {
	case api.EC2Validation:
		name := f.Name
		if f.Wire != "" {
			name = f.Wire
		}
		c.first = fault.New(fault.MissingParameter, "The request must contain the parameter %s", name)
	case api.SQSValidation:
		if f.plan.shape.Kind != api.List {
			c.first = fault.New(fault.MissingParameter, "The request must contain the parameter %s.", f.Name)
		}
	case api.S3Validation:
		if f.Location == api.InHeader || f.Location == api.InQuery {
			c.first = fault.New(fault.InvalidRequest, "Missing required parameter for this request: '%s'", f.name)
			return
		}
		c.first = fault.New(fault.MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
	default:
		c.broken = append(c.broken, "Value null at '"+where+"' failed to satisfy constraint: Member must not be null")
	}
}

func (c *checker) value(p *plan, v reflect.Value, path string) {
	if c.style == api.ModelValidation {
		for _, text := range violations(p, v) {
			c.add(p, v, path, text)
		}
	} else if c.style == api.EC2Validation {
		c.ec2Range(p, v, path)
	}
	switch p.shape.Kind {
	case api.Structure:
		if c.style == api.ModelValidation && p.shape.Flags.Has(api.Union) {
			c.union(p, v, path)
		}
		c.structure(p, v, path+".")
	case api.List:
		c.list(p, v, path)
	case api.Map:
		c.mapping(p, v, path)
	}
}

func (c *checker) add(p *plan, v reflect.Value, path, text string) {
	value := " '" + render(p, v, 0) + "'"
	if p.shape.Flags.Has(api.Sensitive) {
		value = ""
	}
	c.broken = append(c.broken, "Value"+value+" at '"+path+"' failed to satisfy constraint: "+text)
}

func (c *checker) union(p *plan, v reflect.Value, path string) {
	set := 0
	for i := range p.fields {
		if !unset(v.Field(i)) {
			set++
		}
	}
	if set != 1 {
		c.broken = append(c.broken, fmt.Sprintf("Value at '%s' failed to satisfy constraint: Member must have exactly one of its members set, not %d", path, set))
	}
}

func (c *checker) list(p *plan, v reflect.Value, path string) {
	if isScalar(p.elem.plan.shape.Kind) {
		if c.style == api.ModelValidation {
			c.elements(p, v, path)
		}
		return
	}
	for i := range v.Len() {
		if c.full() {
			return
		}
		c.value(p.elem.plan, v.Index(i), path+"."+strconv.Itoa(i+1)+".member")
	}
}

// elements checks a list of scalars: one message tells of them all.
func (c *checker) elements(p *plan, v reflect.Value, path string) {
	for i := range v.Len() {
		if len(violations(p.elem.plan, v.Index(i))) > 0 {
			c.add(p, v, path, "Member must satisfy constraint: ["+strings.Join(constraints(p.elem.plan), ", ")+"]")
			return
		}
	}
}

func (c *checker) mapping(p *plan, v reflect.Value, path string) {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	scalar := isScalar(p.elem.plan.shape.Kind)
	badKey, badValue := false, false
	for _, k := range keys {
		if c.full() {
			return
		}
		if c.style == api.ModelValidation {
			badKey = badKey || len(violations(p.key.plan, k)) > 0
			badValue = badValue || scalar && len(violations(p.elem.plan, v.MapIndex(k))) > 0
		}
		if !scalar {
			c.value(p.elem.plan, v.MapIndex(k), path+"."+k.String()+".member")
		}
	}
	if badKey {
		c.add(p, v, path, "Map keys must satisfy constraint: ["+strings.Join(constraints(p.key.plan), ", ")+"]")
	}
	if badValue {
		c.add(p, v, path, "Map value must satisfy constraint: ["+strings.Join(constraints(p.elem.plan), ", ")+"]")
	}
}

// ec2Range checks a number in EC2's words.
func (c *checker) ec2Range(p *plan, v reflect.Value, path string) {
	s := p.shape
	if s.Kind != api.Integer && s.Kind != api.Long || c.full() {
		return
	}
	n := v.Int()
	switch {
	case s.Flags.Has(api.HasMin) && float64(n) < s.Min:
		c.first = fault.New(fault.InvalidParameterValue, "Value ( %d ) for parameter %s is invalid. Expecting a value greater than or equal to %s.", n, path, number(s.Min))
	case s.Flags.Has(api.HasMax) && float64(n) > s.Max:
		c.first = fault.New(fault.InvalidParameterValue, "Value ( %d ) for parameter %s is invalid. Expecting a value less than or equal to %s.", n, path, number(s.Max))
	}
}

// violations lists the constraints of its own that a value breaks.
func violations(p *plan, v reflect.Value) []string {
	s := p.shape
	var out []string
	switch s.Kind {
	case api.String:
		text := v.String()
		if s.Pattern != "" {
			if re := patternOf(s.Pattern); re != nil && !re.MatchString(text) {
				out = append(out, patternText(s))
			}
		}
		out = lengths(out, s, utf8.RuneCountInString(text))
		if len(s.Enum) > 0 && !among(s.Enum, text) {
			out = append(out, enumText(s))
		}
	case api.Blob, api.List, api.Map:
		out = lengths(out, s, v.Len())
	case api.Integer, api.Long:
		out = ranges(out, s, float64(v.Int()))
	case api.Float, api.Double:
		out = ranges(out, s, v.Float())
	}
	return out
}

func lengths(out []string, s *api.Shape, n int) []string {
	if s.Flags.Has(api.HasMax) && float64(n) > s.Max {
		out = append(out, maxLength(s))
	}
	if s.Flags.Has(api.HasMin) && float64(n) < s.Min {
		out = append(out, minLength(s))
	}
	return out
}

func ranges(out []string, s *api.Shape, n float64) []string {
	if s.Flags.Has(api.HasMax) && n > s.Max {
		out = append(out, "Member must have value less than or equal to "+number(s.Max))
	}
	if s.Flags.Has(api.HasMin) && n < s.Min {
		out = append(out, "Member must have value greater than or equal to "+number(s.Min))
	}
	return out
}

// constraints lists all constraints of a scalar shape, broken or not.
func constraints(p *plan) []string {
	s := p.shape
	var out []string
	switch s.Kind {
	case api.String, api.Blob:
		if s.Flags.Has(api.HasMax) {
			out = append(out, maxLength(s))
		}
		if s.Flags.Has(api.HasMin) {
			out = append(out, minLength(s))
		}
		if s.Pattern != "" {
			out = append(out, patternText(s))
		}
		if len(s.Enum) > 0 {
			out = append(out, enumText(s))
		}
	default:
		if s.Flags.Has(api.HasMax) {
			out = append(out, "Member must have value less than or equal to "+number(s.Max))
		}
		if s.Flags.Has(api.HasMin) {
			out = append(out, "Member must have value greater than or equal to "+number(s.Min))
		}
	}
	return out
}

func maxLength(s *api.Shape) string {
	return "Member must have length less than or equal to " + number(s.Max)
}

func minLength(s *api.Shape) string {
	return "Member must have length greater than or equal to " + number(s.Min)
}

func patternText(s *api.Shape) string {
	return "Member must satisfy regular expression pattern: " + s.Pattern
}

func enumText(s *api.Shape) string {
	return "Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]"
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func among(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// maxRender bounds how much of a value a message repeats.
const maxRender = 2048

// render writes a value as AWS's messages show it.
func render(p *plan, v reflect.Value, depth int) string {
	s := p.shape
	if s.Flags.Has(api.Sensitive) {
		return "***Sensitive Data Redacted***"
	}
	var parts []string
	switch {
	case depth > 4:
		return "..."
	case isScalar(s.Kind) && s.Kind != api.Blob:
		return clip(string(appendText(nil, p, v, api.ISO8601)))
	case s.Kind == api.List:
		for i := range v.Len() {
			parts = append(parts, render(p.elem.plan, v.Index(i), depth+1))
		}
		return clip("[" + strings.Join(parts, ", ") + "]")
	case s.Kind == api.Map:
		for _, k := range v.MapKeys() {
			parts = append(parts, k.String()+"="+render(p.elem.plan, v.MapIndex(k), depth+1))
		}
		sort.Strings(parts)
		return clip("{" + strings.Join(parts, ", ") + "}")
	case s.Kind == api.Structure:
		for i := range p.fields {
			f := &p.fields[i]
			text := "null"
			if fv, ok := f.get(v); ok && !f.stream {
				text = render(f.plan, fv, depth+1)
			}
			parts = append(parts, f.path+"="+text)
		}
		return clip(s.Name + "(" + strings.Join(parts, ", ") + ")")
	}
	return "..."
}

func clip(s string) string {
	if len(s) > maxRender {
		return strings.ToValidUTF8(s[:maxRender], "") + "..."
	}
	return s
}
