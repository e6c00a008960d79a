package platform

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// recordings is where AWS's recorded answers of CloudFormation are, beside the
// checkout.
var recordings = filepath.Join("..", "..", "shared", "corpus", "recorded", "cloudformation")

// TestRecorded plays AWS's recorded cases of CloudFormation on the whole platform:
// every member, status, reason, code, message and order of events is compared.
// testdata/recorded.txt says of each case that is not played why it is not.
func TestRecorded(t *testing.T) {
	if _, err := os.Stat(recordings); err != nil {
		t.Skip("AWS's recorded answers (../shared/corpus) are not here")
	}
	w := newRecordedWorld(t)
	t.Run("macros", w.macros)
	t.Run("change sets", w.changeSets)
	t.Run("refusals", w.refusals)
	t.Run("stacks", w.stacks)
	t.Run("operations", w.operations)
	t.Run("resources", w.resources)
	t.Run("transforms", w.transforms)
	t.Run("functions", w.functions)
	t.Run("extensions", w.extensions)
	t.Run("modules", w.modules)
	t.Run("services", w.services)
	if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // not all are played
	}
	w.account(t)
}

// account holds the cases that there are against those that were played or are
// said to be left, and the figures of docs/cloudformation.md against both.
func (w *recordedWorld) account(t *testing.T) {
	left := w.left(t)
	total, rows := 0, map[string]int{}
	for _, reason := range left {
		rows[reason]++
	}
	for _, file := range recordedFiles(t) {
		for name := range file.cases {
			total++
			_, said := left[file.name+" "+name]
			switch played := w.hasPlayed(file.name, name); {
			case played && said:
				t.Errorf("%s %s is played, and said to be left", file.name, name)
			case !played && !said:
				t.Errorf("%s %s is neither played nor said why not", file.name, name)
			}
			delete(left, file.name+" "+name)
		}
	}
	for name := range left {
		t.Errorf("no case is %s", name)
	}
	doc, err := os.ReadFile(filepath.Join("..", "docs", "cloudformation.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d of %d recorded cases", len(w.played), total); !strings.Contains(string(doc), want) {
		t.Errorf("docs/cloudformation.md does not say that %s are played", want)
	}
	for reason, n := range rows {
		if want := fmt.Sprintf("\n| %d | %s |\n", n, reason); !strings.Contains(string(doc), want) {
			t.Errorf("docs/cloudformation.md has no row %q", want)
		}
	}
}

// hasPlayed reports whether a case was played, by the end of its name.
func (w *recordedWorld) hasPlayed(file, name string) bool {
	for key := range w.played {
		f, end, _ := strings.Cut(key, " ")
		if f == file && (name == end || strings.HasSuffix(name, "::"+end)) {
			return true
		}
	}
	return false
}

// left reads why cases are left: a heading is a reason, what follows it the files
// and names.
func (w *recordedWorld) left(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/recorded.txt")
	if err != nil {
		t.Fatal(err)
	}
	left, reason := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "# "); ok {
			reason = heading
		} else if line != "" {
			left[line] = reason
		}
	}
	return left
}

type recordedFile struct {
	name  string
	cases map[string]json.RawMessage // by the name without the path
}

func recordedFiles(t *testing.T) []recordedFile {
	t.Helper()
	var files []recordedFile
	err := filepath.WalkDir(recordings, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(b, &all); err != nil {
			return err
		}
		rel, err := filepath.Rel(recordings, path)
		f := recordedFile{strings.TrimSuffix(filepath.ToSlash(rel), ".snapshot.json"), map[string]json.RawMessage{}}
		for name, c := range all {
			_, short, _ := strings.Cut(name, "::")
			f.cases[short] = c
		}
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// recordedWorld is a platform in which AWS's recorded cases of CloudFormation are
// played, and their account's root.
type recordedWorld struct {
	p      *Platform
	ctx    context.Context
	played map[string]bool // cases, as file and name
}

func newRecordedWorld(t *testing.T) *recordedWorld {
	t.Helper()
	p, err := New(t.Context(), Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Compute: "process", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &recordedWorld{p: p, played: map[string]bool{}, ctx: auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf(replay.Account), Scope: arn.Scope{Account: replay.Account, Region: "us-east-1"},
	})}
}

// open opens a case of a file of records.
func (w *recordedWorld) open(t *testing.T, file, name string) *replay.Case {
	t.Helper()
	c := replay.Open(t, "cloudformation/"+file, cloudformation.Describe(), w.p.services.cloudformation).Case(t, name)
	w.played[file+" "+name] = true
	return c
}
