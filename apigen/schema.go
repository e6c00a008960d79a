package main

import (
	"bytes"
	"fmt"
)

func (s *selection) writeSchema(w *bytes.Buffer) {
	fmt.Fprintf(w, "package %s\n", s.pkg)
}
