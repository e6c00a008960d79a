package arch

import (
	"go/ast"
	"testing"
)

// Bounds beyond which a file or function is asked why.
const (
	maxFile     = 500
	maxFunction = 60
)

// TestLongFilesAndFunctionsSayWhy: what is longer stands, with the reason, in
// testdata/long.txt. Generated files do not count, nor do tests' functions: a
// table is as long as it has cases.
func TestLongFilesAndFunctionsSayWhy(t *testing.T) {
	const list = "testdata/long.txt"
	allowed, err := Exceptions(list)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	long := func(subject string, lines, most int) {
		used[subject] = true
		if allowed[subject] == "" {
			t.Errorf("%s has %d lines, more than %d: split it, or say in %s why not", subject, lines, most, list)
		}
	}
	for _, p := range module(t) {
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			if f.Lines > maxFile {
				long(f.Path, f.Lines, maxFile)
			}
			for _, d := range f.Syntax.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || f.Test || p.Suite() {
					continue
				}
				if n := f.Set.Position(fn.End()).Line - f.Set.Position(fn.Pos()).Line + 1; n > maxFunction {
					long(p.Path+"."+FuncName(fn), n, maxFunction)
				}
			}
		}
	}
	for subject := range allowed {
		if !used[subject] {
			t.Errorf("%s: %s needs no exception any more", list, subject)
		}
	}
}
