package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// enders are the methods by which an owner ends its goroutines, exported or not.
var enders = map[string]bool{"stop": true, "close": true, "shutdown": true, "wait": true}

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
		if p.Suite() {
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
			if fn, ok := d.(*ast.FuncDecl); ok && enders[strings.ToLower(fn.Name.Name)] && Receiver(fn) != "" {
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

// waits reports whether a function waits for what it started: by a Wait, or by
// receiving from a channel outside of its function literals.
func waits(fn *ast.FuncDecl) (found bool) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Wait" {
				found = true
			}
		case *ast.UnaryExpr:
			found = found || n.Op == token.ARROW
		}
		return !found
	})
	return found
}

// TestOwnersOfGoroutinesSaySo: a package that starts goroutines says in its
// comment who owns them.
func TestOwnersOfGoroutinesSaySo(t *testing.T) {
	for _, p := range module(t) {
		if p.Suite() || p.Name == "main" {
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
				if at := startsGoroutine(f, fn); at != "" && !strings.Contains(p.Doc(), "goroutine") && !strings.Contains(p.Doc(), " own") {
					t.Errorf("%s: package %s starts goroutines, and its comment does not say who owns them", at, p.Path)
				}
			}
		}
	}
}
