package template_test

import (
	"os"
	"testing"

	"github.com/slipway/slipway/cfn/template"
)

// FuzzParse: whatever the text, reading, checking and evaluating it ends without
// a panic, and what is refused has a reason.
func FuzzParse(f *testing.F) {
	for _, c := range refusals {
		f.Add([]byte(c.body))
	}
	f.Add([]byte(head + "!Sub '${Name}'"))
	f.Add([]byte(`{"Resources": {"A": {"Type": "AWS::X::Y", "Properties": {"P": {"Fn::GetAtt": ["A", "B"]}}}}}`))
	if os.Getenv("CORPUS") != "" {
		for _, file := range corpus(f) {
			if body, err := os.ReadFile(file); err == nil {
				f.Add(body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tmpl, problems := template.Parse(body)
		if tmpl == nil {
			if len(problems) == 0 {
				t.Error("refused without a reason")
			}
			return
		}
		tmpl.Validate(types{})
		tmpl.Capabilities()
		values, _ := tmpl.Resolve(nil, nil, nil)
		scope, problems := tmpl.Enter(template.Env{Parameters: values})
		if len(problems) > 0 {
			return
		}
		scope.Dependencies()
		for _, r := range scope.Active() {
			scope.Properties(r.LogicalID)
		}
		scope.Outputs()
		scope.Imports()
	})
}
