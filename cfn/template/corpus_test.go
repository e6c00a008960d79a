package template_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/cfn/template"
)

// corpus lists real templates, which stand beside the repository where the
// project is developed and are no part of it.
func corpus(tb testing.TB) []string {
	tb.Helper()
	var files []string
	for _, folder := range []string{"templates", "recorded-templates"} {
		root := filepath.Join("..", "..", "..", "shared", "corpus", folder)
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.Contains(".yaml .yml .json", filepath.Ext(path)) && filepath.Ext(path) != "" {
				files = append(files, path)
			}
			return nil
		})
	}
	if len(files) == 0 {
		tb.Skip("the corpus of templates (../shared/corpus) is not here")
	}
	return files
}

// Every template of the corpus parses and validates, or is refused with a place.
func TestCorpus(t *testing.T) {
	for _, file := range corpus(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tmpl, problems := template.Parse(body)
			if tmpl != nil {
				problems = append(problems, tmpl.Validate(nil)...)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 {
					t.Errorf("a problem without a place: %v", p)
				}
				t.Log(p)
			}
			if tmpl == nil && len(problems) == 0 {
				t.Error("neither a template nor a problem")
			}
		})
	}
}

func BenchmarkCorpus(b *testing.B) {
	for _, file := range corpus(b) {
		body, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(file), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			best := time.Hour // what else the machine does is not the parser's fault
			for b.Loop() {
				start := time.Now()
				if tmpl, _ := template.Parse(body); tmpl != nil {
					tmpl.Validate(nil)
				}
				best = min(best, time.Since(start))
			}
			if best > 20*time.Millisecond {
				b.Errorf("%s takes %v, more than 20 ms", file, best)
			}
		})
	}
}

// BenchmarkMegabyte holds the largest template that may come, with references
// all over, against its limit.
func BenchmarkMegabyte(b *testing.B) {
	var t strings.Builder
	t.WriteString("Resources:\n")
	for i := 0; t.Len() < 990_000; i++ {
		if i < template.MaxResources {
			fmt.Fprintf(&t, "  R%d:\n    Type: AWS::SQS::Queue\n    Properties:\n      Tags:\n", i)
		}
		for range 20 {
			fmt.Fprintf(&t, "        - {Key: !Sub '${R0.Arn}-%d', Value: !Ref R0}\n", i)
		}
		if i == 0 {
			t.Reset()
			t.WriteString("Resources:\n  R0:\n    Type: AWS::SQS::Queue\n")
		}
	}
	body := []byte(t.String())
	b.SetBytes(int64(len(body)))
	best := time.Hour // what else the machine does is not the parser's fault
	for b.Loop() {
		start := time.Now()
		tmpl, problems := template.Parse(body)
		if len(problems) > 0 {
			b.Fatal(problems[0])
		}
		if problems := tmpl.Validate(nil); len(problems) > 0 {
			b.Fatal(problems[0])
		}
		best = min(best, time.Since(start))
	}
	if best > 250*time.Millisecond {
		b.Errorf("a template of 1 MB takes %v, more than 250 ms", best)
	}
}
