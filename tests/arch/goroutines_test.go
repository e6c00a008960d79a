package arch

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// enders are the methods by which an owner ends its goroutines.
var enders = map[string]bool{"Stop": true, "Close": true, "Shutdown": true, "Wait": true}

// TestEveryGoroutineHasAnOwner: a goroutine is started by a type that can be
// stopped, or by a constructor of one, or by a function that waits for it before
// it returns. Others stand, with the reason, in testdata/goroutines.txt.
func TestEveryGoroutineHasAnOwner(t *testing.T) {
	const list = "testdata/goroutines.txt"
	allowed, err := Exceptions(list)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, p := range module(t) {
		if Within(p.Path, "tests") {
			continue
		}
		owners := stoppable(p)
		for _, f := range p.Files {
			if f.Test || f.Generated {
				continue
			}
			for _, d := range f.Syntax.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				at := startsGoroutine(f, fn)
				if at == "" || owners[Receiver(fn)] || constructs(fn, owners) || waits(fn) {
					continue
				}
				subject := p.Path + "." + FuncName(fn)
				if allowed[subject] == "" {
					t.Errorf("%s: %s starts a goroutine that nothing ends; give it to a type with a blocking Stop or Close, or say in %s why not", at, subject, list)
				}
				used[subject] = true
			}
		}
	}
	for subject := range allowed {
		if !used[subject] {
			t.Errorf("%s: %s needs no exception any more", list, subject)
		}
	}
}

func stoppable(p *Package) map[string]bool {
	owners := map[string]bool{}
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && enders[fn.Name.Name] && Receiver(fn) != "" {
				owners[Receiver(fn)] = true
			}
		}
	}
	return owners
}

// startsGoroutine finds a go statement, a call of Go with a function, or of
// time.AfterFunc, and says where.
func startsGoroutine(f *File, fn *ast.FuncDecl) (at string) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			at = place(f, n)
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "Go" || sel.Sel.Name == "AfterFunc") {
				at = place(f, n)
			}
		}
		return at == ""
	})
	return at
}

func place(f *File, n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.Path, f.Set.Position(n.Pos()).Line)
}

// constructs reports whether a function returns a type that can be stopped.
func constructs(fn *ast.FuncDecl, owners map[string]bool) bool {
	if fn.Type.Results == nil {
		return false
	}
	for _, r := range fn.Type.Results.List {
		if owners[typeName(r.Type)] {
			return true
		}
	}
	return false
}

// waits reports whether a function waits for what it started.
func waits(fn *ast.FuncDecl) (found bool) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Wait" {
				found = true
			}
		}
		return !found
	})
	return found
}

// TestOwnersOfGoroutinesSaySo: a package that starts goroutines says in its
// comment who owns them.
func TestOwnersOfGoroutinesSaySo(t *testing.T) {
	for _, p := range module(t) {
		if Within(p.Path, "tests") || p.Name == "main" {
			continue
		}
		for _, f := range p.Files {
			if f.Test || f.Generated {
				continue
			}
			for _, d := range f.Syntax.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				if at := startsGoroutine(f, fn); at != "" && !strings.Contains(strings.ToLower(p.Doc()), "goroutine") {
					t.Errorf("%s: package %s starts goroutines, and its comment does not say who owns them", at, p.Path)
				}
			}
		}
	}
}
