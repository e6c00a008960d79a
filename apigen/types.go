package main

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

func (s *selection) writeTypes(w *bytes.Buffer) {
	var body bytes.Buffer
	for _, t := range s.types {
		shape := s.shape(t.shape)
		fmt.Fprintf(&body, "\n// %s %s\ntype %s struct {\n", t.name, t.role, t.name)
		for _, m := range shape.Members {
			note := ""
			if contains(shape.Required, m.Name) {
				note = " // required"
			}
			fmt.Fprintf(&body, "%s %s%s\n", export(m.Name), s.fieldType(shape, &m.Value), note)
		}
		body.WriteString("}\n")
	}
	fmt.Fprintf(w, "package %s\n", s.pkg)
	writeImports(w, body.Bytes(), "io", "time")
	w.Write(body.Bytes())
}

// writeImports imports those packages that the body names.
func writeImports(w *bytes.Buffer, body []byte, pkgs ...string) {
	for _, p := range pkgs {
		short := p[strings.LastIndexByte(p, '/')+1:]
		if bytes.Contains(body, []byte(short+".")) {
			fmt.Fprintf(w, "\nimport %q\n", p)
		}
	}
}

// fieldType is the type of a structure's field: pointers tell unset from zero.
func (s *selection) fieldType(owner *Shape, r *Ref) string {
	shape := s.shape(r.Shape)
	if shape.Type == "blob" && isStreaming(owner, r, shape) {
		return "io.ReadCloser"
	}
	t := s.valueType(r.Shape)
	switch shape.Type {
	case "integer", "long", "float", "double", "boolean", "timestamp":
		return "*" + t
	case "structure":
		if t != "any" {
			return "*" + t
		}
	}
	return t
}

func isStreaming(owner *Shape, r *Ref, shape *Shape) bool {
	return r.Streaming || shape.Streaming
}

// valueType is the type of a list element, map value or field's target.
func (s *selection) valueType(name string) string {
	shape := s.shape(name)
	switch shape.Type {
	case "string", "character":
		return "string"
	case "integer":
		return "int32"
	case "long":
		return "int64"
	case "float":
		return "float32"
	case "double":
		return "float64"
	case "boolean":
		return "bool"
	case "timestamp":
		return "time.Time"
	case "blob":
		return "[]byte"
	case "list":
		return "[]" + s.valueType(shape.Member.Shape)
	case "map":
		return "map[string]" + s.valueType(shape.Value.Shape)
	case "structure":
		if shape.Document {
			return "any"
		}
		if gn, ok := s.gos[name]; ok {
			return gn
		}
	}
	panic(fmt.Sprintf("apigen: %s: shape %s of type %s has no Go type", s.name, name, shape.Type))
}

func (s *selection) writeEnums(w *bytes.Buffer) {
	var names []string
	for _, name := range s.order[1:] {
		if len(s.shape(name).Enum) > 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	sort.Strings(names)
	fmt.Fprintf(w, "package %s\n", s.pkg)
	for _, name := range names {
		fmt.Fprintf(w, "\n// Values of %s.\nconst (\n", name)
		for _, v := range s.shape(name).Enum {
			id := export(name) + camel(v)
			for n := 2; s.taken[id]; n++ {
				id = export(name) + camel(v) + "_" + strconv.Itoa(n)
			}
			s.taken[id] = true
			fmt.Fprintf(w, "%s = %q\n", id, v)
		}
		w.WriteString(")\n")
	}
}

// camel makes CREATE_COMPLETE, create-complete and createComplete all end as
// CreateComplete.
func camel(v string) string {
	var b strings.Builder
	upper := v == strings.ToUpper(v)
	start := true
	for _, r := range v {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			if r == '*' {
				b.WriteString("Any")
			}
			start = true
			continue
		}
		switch {
		case start:
			r = unicode.ToUpper(r)
		case upper:
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
		start = false
	}
	if b.Len() == 0 {
		return "Empty"
	}
	return b.String()
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
