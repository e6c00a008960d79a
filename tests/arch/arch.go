// Package arch checks the rules that hold the house up: who may import whom,
// what a package says of itself, who owns goroutines, how long files and
// functions are. It reads the module with `go list` and go/parser, imports
// nothing of ours and starts no goroutine.
package arch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Module is this module's path.
const Module = "github.com/slipway/slipway"

// Package is a package of the module.
type Package struct {
	ImportPath     string
	Name           string
	Dir            string
	Imports        []string
	GoFiles        []string
	IgnoredGoFiles []string // of other systems
	TestGoFiles    []string
	XTestGoFiles   []string
	TestImports    []string
	XTestImports   []string

	Path  string // below the module: "service/s3"
	Files []*File
}

// File is a parsed Go file.
type File struct {
	Path      string // below the module
	Syntax    *ast.File
	Set       *token.FileSet
	Lines     int
	Generated bool
	Test      bool
}

// Root is the top folder of the checkout that the tests run in.
func Root() string {
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(mod, []byte("module github.com/slipway/slipway\n")) {
			return dir
		}
	}
	panic("the tests run outside of a checkout")
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// Load lists and parses the module.
func Load() ([]*Package, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Imports,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,TestImports,XTestImports", "./...")
	cmd.Dir = Root()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []*Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(Package)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		p.Path = strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, Module), "/")
		if err := p.parse(); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

func (p *Package) parse() error {
	for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return err
		}
		f := &File{
			Path: strings.TrimPrefix(p.Path+"/"+name, "/"), Set: token.NewFileSet(), Test: strings.HasSuffix(name, "_test.go"),
			Lines: bytes.Count(src, []byte("\n")), Generated: generated.Match(src),
		}
		if f.Syntax, err = parser.ParseFile(f.Set, name, src, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return err
		}
		p.Files = append(p.Files, f)
	}
	return nil
}

// Suite reports whether a package is a suite that tests of others run, such as
// storetest: its functions are tests.
func (p *Package) Suite() bool { return strings.HasSuffix(p.Name, "test") || Within(p.Path, "tests") }

// Doc is the package comment: that of a file which is built here, else of one
// that other systems build, else of a test.
func (p *Package) Doc() string {
	for _, f := range p.Files {
		if f.Syntax.Doc != nil && strings.HasPrefix(f.Syntax.Doc.Text(), "Package ") {
			return f.Syntax.Doc.Text()
		}
	}
	for _, f := range p.Files {
		if f.Syntax.Doc != nil {
			return f.Syntax.Doc.Text()
		}
	}
	return ""
}

// Own are the imports of this module, below it.
func (p *Package) Own() []string {
	var own []string
	for _, path := range p.Imports {
		if rest, ok := strings.CutPrefix(path, Module+"/"); ok {
			own = append(own, rest)
		}
	}
	return own
}

// Within reports whether a package is at or below a folder.
func Within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// Exceptions reads lines of "subject: reason"; # begins a comment.
func Exceptions(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := map[string]string{}
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return list, lines.Err()
		}
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		subject, reason, ok := strings.Cut(line, ": ")
		if reason = strings.TrimSpace(reason); !ok || len(reason) < 10 {
			return nil, fmt.Errorf("%s: %q gives no reason", path, line)
		}
		if _, twice := list[subject]; twice {
			return nil, fmt.Errorf("%s: %q stands there twice", path, subject)
		}
		list[subject] = reason
	}
}

// FuncName names a function as Go's own tools do: "(*Store).Read", "New".
func FuncName(d *ast.FuncDecl) string {
	recv := Receiver(d)
	if recv == "" {
		return d.Name.Name
	}
	if _, pointer := d.Recv.List[0].Type.(*ast.StarExpr); pointer {
		return "(*" + recv + ")." + d.Name.Name
	}
	return recv + "." + d.Name.Name
}

// Receiver is the name of a method's type, or "".
func Receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	return typeName(d.Recv.List[0].Type)
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
