package template_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn/template"
)

func TestResolve(t *testing.T) {
	previous := template.Values{"P": {Text: "before"}}
	ssm := func(name string) (string, error) {
		if name == "/gone" {
			return "", fmt.Errorf("ParameterNotFound")
		}
		return "v" + name, nil
	}
	for _, c := range []struct {
		name, declaration string
		given             []template.Given
		want              template.Value
		problem           string
	}{
		{name: "default", declaration: "{Type: String, Default: d}", want: template.Value{Text: "d"}},
		{name: "default number", declaration: "{Type: Number, Default: 1.50}", want: template.Value{Text: "1.50"}},
		{name: "given", declaration: "{Type: String, Default: d}", given: []template.Given{{Key: "P", Value: ""}}, want: template.Value{}},
		{name: "previous", declaration: "{Type: String, Default: d, NoEcho: true}", given: []template.Given{{Key: "P", UsePrevious: true}}, want: template.Value{Text: "before", NoEcho: true}},
		{name: "list", declaration: "{Type: 'List<AWS::EC2::Subnet::Id>', Default: 'a,b'}", want: template.Value{Text: "a,b", List: true}},
		{name: "stored", declaration: "{Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /ami}", want: template.Value{Text: "/ami", Resolved: "v/ami"}},
		{name: "stored list", declaration: "{Type: 'AWS::SSM::Parameter::Value<List<String>>', Default: /l}", want: template.Value{Text: "/l", Resolved: "v/l", List: true}},
		{name: "missing", declaration: "{Type: String}", problem: "Parameters: [P] must have values"},
		{name: "not in the template", declaration: "{Type: String, Default: d}", given: []template.Given{{Key: "Q", Value: "x"}, {Key: "R", Value: "x"}}, problem: "Parameters: [Q, R] do not exist in the template"},
		{name: "no number", declaration: "{Type: Number}", given: []template.Given{{Key: "P", Value: "x"}}, problem: "Parameter 'P' must be a number."},
		{name: "no numbers", declaration: "{Type: List<Number>}", given: []template.Given{{Key: "P", Value: "1, x"}}, problem: "Parameter 'P' must be a list of numbers."},
		{name: "too small", declaration: "{Type: Number, MinValue: 2}", given: []template.Given{{Key: "P", Value: "1"}}, problem: "Parameter 'P' must be a number not less than 2"},
		{name: "too large", declaration: "{Type: Number, MaxValue: 2}", given: []template.Given{{Key: "P", Value: "3"}}, problem: "Parameter 'P' must be a number not greater than 2"},
		{name: "too short", declaration: "{Type: String, MinLength: 2}", given: []template.Given{{Key: "P", Value: "é"}}, problem: "Parameter 'P' must contain at least 2 characters"},
		{name: "too long", declaration: "{Type: String, MaxLength: 2}", given: []template.Given{{Key: "P", Value: "abc"}}, problem: "Parameter 'P' must contain at most 2 characters"},
		{name: "not allowed", declaration: "{Type: String, AllowedValues: [a, 1]}", given: []template.Given{{Key: "P", Value: "b"}}, problem: "Parameter 'P' must be one of AllowedValues"},
		{name: "allowed", declaration: "{Type: CommaDelimitedList, AllowedValues: [a, 1]}", given: []template.Given{{Key: "P", Value: "1,a"}}, want: template.Value{Text: "1,a", List: true}},
		{name: "pattern", declaration: "{Type: String, AllowedPattern: '[a-z]+'}", given: []template.Given{{Key: "P", Value: "a1"}}, problem: "Parameter 'P' must match pattern [a-z]+"},
		{name: "described", declaration: "{Type: String, AllowedPattern: '[a-z]+', ConstraintDescription: must be letters}", given: []template.Given{{Key: "P", Value: "1"}}, problem: "Parameter 'P' failed to satisfy constraint: must be letters"},
		{name: "too many bytes", declaration: "{Type: String}", given: []template.Given{{Key: "P", Value: strings.Repeat("x", 4097)}}, problem: "Parameter 'P' must contain at most 4096 bytes"},
		{name: "no previous", declaration: "{Type: String}", given: []template.Given{{Key: "P2", UsePrevious: true}, {Key: "P", Value: "x"}}, problem: "Invalid input for parameter key P2. Cannot specify usePreviousValue as true for a parameter key not in the previous template"},
		{name: "twice", declaration: "{Type: String}", given: []template.Given{{Key: "P", Value: "1"}, {Key: "P", Value: "2"}}, problem: "Duplicate Parameter Key: P"},
		{name: "not stored", declaration: "{Type: 'AWS::SSM::Parameter::Value<String>', Default: /gone}", problem: "Unable to fetch parameters [/gone] from parameter store for this account."},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl, problems := template.Parse([]byte("Parameters:\n  P2: {Type: String, Default: x}\n  P: " + c.declaration + "\nResources: {A: {Type: 'AWS::X::Y'}}"))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			values, problems := tmpl.Resolve(c.given, previous, ssm)
			if c.problem != "" {
				if len(problems) != 1 || problems[0].Message != c.problem {
					t.Errorf("got %v, want %s", problems, c.problem)
				}
				return
			}
			if diff := cmp.Diff(c.want, values["P"]); diff != "" || len(problems) > 0 {
				t.Error(diff, problems)
			}
		})
	}
}
