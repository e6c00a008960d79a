package template_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

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

// BenchmarkCorpus reads and checks every template of the corpus, none of which
// may take more than 20 ms.
func BenchmarkCorpus(b *testing.B) {
	files := corpus(b)
	bodies := make([][]byte, len(files))
	best := make([]time.Duration, len(files)) // what else the machine does is not the parser's fault
	for i, file := range files {
		var err error
		if bodies[i], err = os.ReadFile(file); err != nil {
			b.Fatal(err)
		}
		best[i] = time.Hour
	}
	for b.Loop() {
		for i, body := range bodies {
			start := time.Now()
			if tmpl, _ := template.Parse(body); tmpl != nil {
				tmpl.Validate(nil)
			}
			best[i] = min(best[i], time.Since(start))
		}
	}
	slowest := slices.Index(best, slices.Max(best))
	b.ReportMetric(best[slowest].Seconds()*1000, "slowest-ms")
	if best[slowest] > 20*time.Millisecond {
		b.Errorf("%s takes %v, more than 20 ms", files[slowest], best[slowest])
	}
}

// BenchmarkMegabyte reads and checks the largest template that may come, with
// references all over, and holds the time against that of the YAML library alone
// in the same run: the limit of 250 ms is for an idle machine, the ratio for any.
func BenchmarkMegabyte(b *testing.B) {
	body := megabyte()
	b.SetBytes(int64(len(body)))
	ours, theirs := time.Hour, time.Hour
	for b.Loop() {
		start := time.Now()
		tmpl, problems := template.Parse(body)
		if len(problems) > 0 {
			b.Fatal(problems[0])
		}
		if problems := tmpl.Validate(nil); len(problems) > 0 {
			b.Fatal(problems[0])
		}
		ours = min(ours, time.Since(start))
		start = time.Now()
		var doc yaml.Node
		if err := yaml.Unmarshal(body, &doc); err != nil {
			b.Fatal(err)
		}
		theirs = min(theirs, time.Since(start))
	}
	ratio := ours.Seconds() / theirs.Seconds()
	b.ReportMetric(ratio, "yaml-parses")
	b.ReportMetric(ours.Seconds()*1000, "best-ms")
	if ratio > 2.5 {
		b.Errorf("a template of 1 MB takes %v, %.1f times what the YAML library alone takes", ours, ratio)
	}
}

func megabyte() []byte {
	var t strings.Builder
	t.WriteString("Resources:\n  R0:\n    Type: AWS::SQS::Queue\n")
	for i := 1; t.Len() < 990_000; i++ {
		if i < template.MaxResources {
			fmt.Fprintf(&t, "  R%d:\n    Type: AWS::SQS::Queue\n    Properties:\n      Tags:\n", i)
		}
		for range 40 {
			fmt.Fprintf(&t, "        - {Key: !Sub '${R0.Arn}-%d', Value: !Ref R0}\n", i)
		}
	}
	return []byte(t.String())
}
