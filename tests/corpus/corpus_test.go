// Package corpus deploys real templates: those of ../shared/corpus, beside the
// checkout, whose resource types are all in this build. Each goes through the
// whole life of a stack in an account of its own: create, the same again as an
// update, delete; or it ends as table.go says, with the reason. The templates
// stay where they are and are no part of the project; where they are missing,
// the tests say so and are skipped.
//
// It may import cfn/template, cfn/transform, platform (for what is built), auth (to sign) and
// tests/server. Its goroutines are the subtests'.
package corpus

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/platform"
	"github.com/slipway/slipway/tests/server"
)

// candidate is a template that this build has every resource type for.
type candidate struct {
	path     string // below the corpus: recorded-templates/ec2_keypair.yml
	body     []byte
	template *template.Template
	problems template.Problems
	active   map[string]string // logical id -> type of what the conditions leave
}

// has reports whether a resource of the type is to be made.
func (c *candidate) has(kind string) bool {
	for _, k := range c.active {
		if k == kind {
			return true
		}
	}
	return false
}

// runs reports whether an instance of the template runs user data.
func (c *candidate) runs() bool {
	for id := range c.active {
		if r := c.template.Resource(id); r.Type == "AWS::EC2::Instance" && r.Properties.Get("UserData") != nil {
			return true
		}
	}
	return false
}

// candidates finds the templates of the corpus that this build has every type
// for, with the parameters that the table gives. None: there is no corpus.
func candidates() ([]*candidate, error) {
	root := filepath.Join(server.Root(), "..", "shared", "corpus")
	_, built := platform.Built()
	var found []*candidate
	for _, folder := range []string{"templates", "recorded-templates"} {
		top := filepath.Join(root, folder)
		if _, err := os.Stat(top); os.IsNotExist(err) {
			continue
		}
		err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(path)) {
				return err
			}
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			path, err = filepath.Rel(root, path)
			if c := consider(filepath.ToSlash(path), body, built); c != nil {
				found = append(found, c)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// consider makes a candidate of a template, nil if it is none.
func consider(path string, body []byte, built []string) *candidate {
	c := &candidate{path: path, body: body, active: map[string]string{}}
	if !c.read() || len(c.template.Resources) == 0 {
		return nil
	}
	t := c.template
	c.problems = append(c.problems, t.Validate(nil)...)
	active := make([]*template.Resource, 0, len(t.Resources))
	for i := range t.Resources {
		active = append(active, &t.Resources[i])
	}
	if len(c.problems) == 0 {
		if scope, problems := t.Enter(template.Env{
			Parameters: c.values(), Pseudo: template.Pseudo{AccountID: arn.DefaultAccount, Region: arn.DefaultRegion, StackName: "s", StackID: "s"},
		}); len(problems) == 0 {
			active = scope.Active()
		}
	}
	for _, r := range active {
		if !slices.Contains(built, r.Type) {
			return nil
		}
		c.active[r.LogicalID] = r.Type
	}
	return c
}

// read reads the template, after AWS::LanguageExtensions if it asks for that. false:
// it is none, or asks for macros, which are not here.
func (c *candidate) read() bool {
	root, problems := template.Read(c.body)
	if root == nil {
		return false
	}
	names := template.Transforms(root)
	if len(names) == 0 {
		c.template, c.problems = template.Interpret(root, problems)
		return true
	}
	if len(names) > 1 || names[0] != transform.LanguageExtensions {
		return false
	}
	c.template, _ = template.Declared(root)
	processed, problems, err := transform.Process(transform.Input{Root: root, Env: template.Env{
		Parameters: c.values(), Pseudo: template.Pseudo{AccountID: arn.DefaultAccount, Region: arn.DefaultRegion, StackName: "s"},
	}})
	if err != nil || processed == nil {
		return false
	}
	c.template, c.problems = processed, problems
	return true
}

// values are the parameters as the conditions see them.
func (c *candidate) values() template.Values {
	values := template.Values{}
	for i := range c.template.Parameters {
		p := &c.template.Parameters[i]
		text, ok := table[c.path].parameters[p.Name]
		if !ok && p.Default != nil {
			text, ok = *p.Default, true
		}
		if !ok {
			text = template.Unknown
		}
		values[p.Name] = template.Value{Text: text, Resolved: text, List: strings.Contains(p.Type, "List")}
	}
	return values
}
