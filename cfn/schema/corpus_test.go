package schema_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/model"
)

func catalog() *schema.Catalog {
	return schema.New(model.ResourceTypeNames(), model.Schema, func(name string) bool {
		_, ok := model.Schema(name)
		return ok
	})
}

// misfits are templates that do not fit with their defaults, for AWS neither: this
// one's parameter says "AWS::NoValue" as a text.
var misfits = map[string]bool{"logs_group.yml": true}

// Real templates fit the schemas, with every parameter at its default or unknown.
func TestCorpus(t *testing.T) {
	c := schema.New(model.ResourceTypeNames(), model.Schema, func(string) bool { return true })
	files := 0
	for _, folder := range []string{"templates", "recorded-templates"} {
		root := filepath.Join("..", "..", "..", "shared", "corpus", folder)
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tmpl, problems := template.Parse(body)
			if tmpl == nil || len(problems) > 0 || len(tmpl.Validate(nil)) > 0 {
				return nil
			}
			files++
			for i := range tmpl.Parameters {
				if p := &tmpl.Parameters[i]; p.Default == nil {
					unknown := template.Unknown
					p.Default, p.AllowedPattern, p.AllowedValues, p.MaxLength = &unknown, "", nil, nil
				}
			}
			values, _ := tmpl.Resolve(nil, nil, nil)
			scope, problems := tmpl.Enter(template.Env{Parameters: values, Pseudo: template.Pseudo{AccountID: "111111111111", Region: "us-east-1", StackName: "s", StackID: "arn:aws:cloudformation:us-east-1:111111111111:stack/s/51af3dc0-da77-11e4-872e-1234567db123"}})
			if len(problems) > 0 {
				t.Logf("%s: %v", path, problems)
				return nil
			}
			for _, p := range c.Check(scope) {
				if misfits[filepath.Base(path)] {
					continue
				}
				t.Errorf("%s: %v", path, p)
			}
			return nil
		})
	}
	if files == 0 {
		t.Skip("the corpus of templates (../shared/corpus) is not here")
	}
	t.Logf("%d templates", files)
}
