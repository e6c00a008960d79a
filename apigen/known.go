package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
)

// writeKnown writes the table of all operations of all services.
func writeKnown(root string) error {
	names, err := readList(filepath.Join(root, "model", "services.txt"))
	if err != nil {
		return err
	}
	sort.Strings(names)
	var w bytes.Buffer
	fmt.Fprintf(&w, "package known\n\nimport \"%s/api\"\n\nvar services = []*Service{\n", module)
	for _, name := range names {
		m, err := load(modelPath(root, name))
		if err != nil {
			return err
		}
		s := &selection{name: name, model: m}
		s.writeKnownService(&w)
	}
	w.WriteString("}\n")
	return writeSource(filepath.Join(root, "api", "known", "table.go"), w.Bytes())
}

func (s *selection) writeKnownService(w *bytes.Buffer) {
	w.WriteString("{Service: api.Service{\n")
	s.writeHead(w)
	w.WriteString("},\n")
	if s.model.Metadata.GlobalEndpoint != "" {
		w.WriteString("Global: true,\n")
	}
	w.WriteString("table: \"\"")
	var names []string
	for _, op := range s.model.Operations {
		names = append(names, op.Name)
	}
	sort.Strings(names)
	for _, name := range names {
		op, _ := s.model.Operations.get(name)
		line := name
		if strings.HasPrefix(s.model.Metadata.Protocol, "rest-") {
			line += " " + op.HTTP.Method + " " + op.HTTP.RequestURI
			for _, need := range s.needs(op) {
				line += " " + need
			}
		}
		fmt.Fprintf(w, "+\n%q", "\n"+line)
	}
	w.WriteString(",\n},\n")
}

// needs lists the required members that a request carries in its query or
// headers: they tell apart operations of one method and path.
func (s *selection) needs(op *Operation) []string {
	if op.Input == nil {
		return nil
	}
	var needs []string
	shape := s.shape(op.Input.Shape)
	for i := range shape.Members {
		m := &shape.Members[i]
		if !contains(shape.Required, m.Name) {
			continue
		}
		name := m.Value.LocationName
		if name == "" {
			name = m.Name
		}
		switch m.Value.Location {
		case "querystring":
			needs = append(needs, name)
		case "header":
			needs = append(needs, name+":")
		}
	}
	return needs
}
