package template_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn/template"
)

// types is a fake of what AWS and this Slipway have.
type types struct{}

func (types) Known(name string) bool {
	return strings.HasPrefix(name, "AWS::") && name != "AWS::No::Such"
}
func (types) Built(name string) bool { return name != "AWS::Lambda::Function" }
func (types) HasAttribute(typeName, attribute string) bool {
	return attribute != "Invalid"
}

// Each template has one thing wrong, or the listed ones; messages begin as AWS's
// do (recorded answers, and the CloudFormation user guide's troubleshooting pages).
var refusals = []struct {
	name, body string
	want       []string
}{
	{"empty", "", []string{"line 1, column 1: Template format error: unsupported structure."}},
	{"no map", "- a", []string{"line 1, column 1, /: Template format error: unsupported structure."}},
	{"broken JSON", `{"Resources": {"A": oops}}`, []string{"line 1, column 21: Template format error: JSON not well-formed. (line 1, column 22): unexpected 'o'"}},
	{"JSON cut off", "{\n  \"Resources\": {", []string{"line 2, column 17: Template format error: JSON not well-formed. (line 2, column 17)"}},
	{"JSON duplicate key", `{"Resources": {"A": {"Type": "AWS::X::Y"}, "A": {"Type": "AWS::X::Y"}}}`, []string{`line 1, column 44: Template format error: the key "A" stands twice in one map`}},
	{"JSON control character", "{\"Description\": \"a\x01\"}", []string{"line 1, column 19: Template format error: JSON not well-formed."}},
	{"broken YAML", "Resources:\n  A:\n\tType: x", []string{"line 3, column 2: Template format error: YAML not well-formed. (line 3, column 2)"}},
	{"YAML duplicate key", "Resources:\n  A: {Type: 'AWS::X::Y'}\n  A: {Type: 'AWS::X::Y'}", []string{`line 3, column 3: Template format error: the key "A" stands twice in one map`}},
	{"YAML alias", "Resources:\n  A: &a {Type: 'AWS::X::Y'}\n  B: *a", []string{"line 2, column 6: Template format error: YAML aliases are not allowed in CloudFormation templates"}},
	{"YAML merge", "Resources:\n  A: {Type: 'AWS::X::Y', <<: {}}", []string{"line 2, column 26: Template format error: YAML hash merges are not allowed"}},
	{"YAML binary", "Description: !!binary aGk=\nResources:\n  A: {Type: 'AWS::X::Y'}", []string{"line 1, column 14: Template format error: YAML's !!binary is not allowed"}},
	{"two documents", "Resources:\n  A: {Type: 'AWS::X::Y'}\n---\na: 1", []string{"line 3, column 1: Template format error: YAML not well-formed: more than one document"}},
	{"unknown short form", "Resources:\n  A:\n    Type: AWS::X::Y\n    Properties: {P: !Foo x}", []string{"line 4, column 21: Template format error: !Foo is not a function"}},
	{"unknown section", "Resource:\n  A: {Type: 'AWS::X::Y'}", []string{
		"line 1, column 1, /Resource: Invalid template property or properties [Resource]",
		"line 1, column 1, /: Template format error: At least one Resources member must be defined."}},
	{"version", "AWSTemplateFormatVersion: 2010-09-10\nResources:\n  A: {Type: 'AWS::X::Y'}", []string{"line 1, column 27, /AWSTemplateFormatVersion: Template format error: 2010-09-10 is not a supported value"}},
	{"no type", "Resources:\n  Foo:\n    Properties: {}", []string{"line 3, column 5, /Resources/Foo: Template format error: [/Resources/Foo] Every Resources object must contain a Type member."}},
	{"malformed resource", "Resources:\n  Foo: x", []string{"line 2, column 8, /Resources/Foo: Template format error: [/Resources/Foo] resource definition is malformed"}},
	{"resource member", "Resources:\n  A: {Type: 'AWS::X::Y', Invalid: 1}", []string{"line 2, column 35, /Resources/A/Invalid: Invalid template resource property 'Invalid'"}},
	{"resource name", "Resources:\n  my-bad-resource-id: {Type: 'AWS::X::Y'}", []string{"line 2, column 3, /Resources/my-bad-resource-id: Template format error: Resource name my-bad-resource-id is non alphanumeric."}},
	{"parameter name", "Parameters:\n  AWS::NoValue: {Type: String}\nResources:\n  A: {Type: 'AWS::X::Y'}", []string{"line 2, column 3, /Parameters/AWS::NoValue: Template format error: Parameter name AWS::NoValue is non alphanumeric."}},
	{"parameter type", "Parameters:\n  P: {Type: Strin}\nResources:\n  A: {Type: 'AWS::X::Y'}", []string{"line 2, column 13, /Parameters/P/Type: Template format error: Unrecognized parameter type: Strin"}},
	{"null", "Resources:\n  A: {Type: 'AWS::X::Y'}\nOutputs:\n  MyOutput:\n    Value:", []string{"line 5, column 11, /Outputs/MyOutput/Value: [/Outputs/MyOutput/Value] 'null' values are not allowed in templates"}},
	{"mapping function", "Mappings:\n  M: {A: {B: {Ref: X}}}\nResources:\n  A: {Type: 'AWS::X::Y'}", []string{"line 2, column 14, /Mappings/M/A/B: Template format error: Every Mappings attribute must be a String or a List."}},
	{"transform name", "Transform: {Name: {Ref: X}}\nResources:\n  A: {Type: 'AWS::X::Y'}", []string{"line 1, column 12, /Transform: Key Name of transform definition must be a string."}},
	{"transform", "Transform: AWS::Serverless-2016-10-31\nGlobals: {}\nResources:\n  A: {Type: 'AWS::Serverless::Api'}", []string{"line 1, column 12, /Transform: Transform AWS::Serverless-2016-10-31 is not implemented"}},
	{"deletion policy", "Resources:\n  A: {Type: 'AWS::X::Y', DeletionPolicy: Keep}", []string{"line 2, column 42, /Resources/A/DeletionPolicy: Template format error: Unrecognized DeletionPolicy Keep for resource A"}},

	{"unresolved references", "Resources:\n  A:\n    Type: AWS::X::Y\n    Properties:\n      P: !Ref InvalidRef\n      Q: !Sub '${Other} ${AWS::Region} ${!Literal}'", []string{
		"line 5, column 10, /Resources/A/Properties/P: Template format error: Unresolved resource dependencies [InvalidRef, Other] in the Resources block of the template"}},
	{"unresolved output", "Resources:\n  A: {Type: 'AWS::X::Y'}\nOutputs:\n  O: {Value: !Ref B}", []string{"line 4, column 14, /Outputs/O/Value: Template format error: Unresolved resource dependencies [B] in the Outputs block of the template"}},
	{"unresolved DependsOn", "Resources:\n  A: {Type: 'AWS::X::Y', DependsOn: B}", []string{"line 2, column 37, /Resources/A/DependsOn: Template format error: Unresolved resource dependencies [B] in the Resources block of the template"}},
	{"undefined GetAtt", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !GetAtt B.Arn}}", []string{"line 2, column 42, /Resources/A/Properties/P: Template error: instance of Fn::GetAtt references undefined resource B"}},
	{"unknown attribute", "Resources:\n  A: {Type: 'AWS::X::Y'}\nOutputs:\n  O: {Value: !GetAtt A.Invalid}", []string{"line 4, column 14, /Outputs/O/Value: [Error] /Outputs/O/Value/Fn::GetAtt: Resource type AWS::X::Y does not support attribute {Invalid}"}},
	{"GetAtt shape", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !GetAtt A}}", []string{"line 2, column 42, /Resources/A/Properties/P: Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"}},
	{"circle", "Resources:\n  A: {Type: 'AWS::X::Y', DependsOn: B}\n  B: {Type: 'AWS::X::Y', Properties: {P: !GetAtt C.X}}\n  C: {Type: 'AWS::X::Y', Properties: {P: !Sub '${A}'}}", []string{"line 2, column 6, /Resources/A: Circular dependency between resources: [A, B, C]"}},
	{"self", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !Ref A}}", []string{"line 2, column 6, /Resources/A: Circular dependency between resources: [A]"}},
	{"types", "Resources:\n  A: {Type: 'AWS::No::Such'}\n  B: {Type: 'AWS::Lambda::Function'}\n  C: {Type: 'Foo::Bar::Baz'}", []string{
		"line 2, column 13, /Resources/A/Type: Template format error: Unrecognized resource types: [AWS::No::Such, Foo::Bar::Baz]",
		"line 3, column 13, /Resources/B/Type: Resource type AWS::Lambda::Function is not built yet"}},
	{"undefined condition", "Resources:\n  A: {Type: 'AWS::X::Y', Condition: C, Properties: {P: !If [D, 1, 2]}}", []string{
		"line 2, column 37, /Resources/A/Condition: Template format error: Unresolved condition dependency C in the Resources block of the template",
		"line 2, column 56, /Resources/A/Properties/P: Template error: unresolved condition dependency D in Fn::If"}},
	{"condition circle", "Conditions:\n  A: !Not [!Condition B]\n  B: !Not [Condition: A]\nResources:\n  A: {Type: 'AWS::X::Y'}", []string{"line 2, column 6, /Conditions/A: Template format error: Circular dependency between conditions: [A, B]"}},
	{"condition resource", "Conditions:\n  A: !Equals [!Ref R, x]\nResources:\n  R: {Type: 'AWS::X::Y'}", []string{"line 2, column 15, /Conditions/A/Fn::Equals/0: Template format error: Unresolved dependencies [R]. Cannot reference resources in the Conditions block of the template"}},
	{"condition value", "Conditions:\n  A: !Join ['', [a]]\nResources:\n  R: {Type: 'AWS::X::Y'}", []string{"line 2, column 6, /Conditions/A: Template format error: Conditions can only be boolean operations on parameters and other conditions"}},
	{"equals arity", "Conditions:\n  A: !Equals [a]\nResources:\n  R: {Type: 'AWS::X::Y'}", []string{"line 2, column 6, /Conditions/A: Template error: every Fn::Equals object requires a list of 2 string parameters."}},
	{"select index", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !Select [3, [a]]}}", []string{"line 2, column 42, /Resources/A/Properties/P: Template error: Fn::Select requires a list argument with two elements: an integer index and a list"}},
	{"join", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !Join [a, b]}}", []string{"line 2, column 42, /Resources/A/Properties/P: Template error: every Fn::Join object requires two parameters, (1) a string delimiter"}},
	{"map", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !FindInMap [M, a, b]}}", []string{"line 2, column 42, /Resources/A/Properties/P: Template error: Mapping named 'M' is not present in the 'Mappings' section of template."}},
	{"map key", "Mappings: {TopicSuffixMap: {A: {Suffix: x}}}\nResources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !FindInMap [TopicSuffixMap, C, Suffix]}}", []string{"line 3, column 42, /Resources/A/Properties/P: Template error: Unable to get mapping for TopicSuffixMap::C::Suffix"}},
	{"unsupported function", `{"Resources": {"A": {"Type": "AWS::X::Y", "Properties": {"P": {"Fn::Foo": "x"}}}}}`, []string{`line 1, column 63, /Resources/A/Properties/P: Template format error: Encountered unsupported function: "Fn::Foo". Supported functions are: [Fn::And, Fn::Base64`}},
	{"sub variable", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !Sub '${a b}'}}", []string{"line 2, column 42, /Resources/A/Properties/P: Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons"}},
	{"import of a resource", "Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !ImportValue {Ref: B}}}\n  B: {Type: 'AWS::X::Y'}", []string{"line 2, column 42, /Resources/A/Properties/P: Template error: the attribute in Fn::ImportValue must not depend on any resources"}},
	{"snapshot", "Resources:\n  A: {Type: 'AWS::X::Y', DeletionPolicy: Snapshot}", []string{"line 2, column 42, /Resources/A/DeletionPolicy: Template error: resource type AWS::X::Y does not support deletion policy Snapshot"}},
}

func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			tmpl, problems := template.Parse([]byte(c.body))
			if len(problems) == 0 {
				problems = tmpl.Validate(types{})
			}
			for i, want := range c.want {
				if i >= len(problems) || !strings.HasPrefix(problems[i].String(), want) {
					t.Fatalf("problem %d:\n got  %v\n want %s", i, problems, want)
				}
			}
			if len(problems) != len(c.want) {
				t.Errorf("%d problems instead of %d: %v", len(problems), len(c.want), problems)
			}
		})
	}
}

// Limits of size are refused, not suffered.
func TestBounds(t *testing.T) {
	many := func(section, member string, n int) string {
		var b strings.Builder
		b.WriteString(section + ":\n")
		for i := range n {
			fmt.Fprintf(&b, "  N%d: %s\n", i, member)
		}
		return b.String()
	}
	resources := "Resources: {A: {Type: 'AWS::X::Y'}}\n"
	for name, c := range map[string]struct{ body, want string }{
		"bytes":      {strings.Repeat(" ", template.MaxBody+1), "Template may not exceed 1000000 bytes in size."},
		"resources":  {many("Resources", "{Type: 'AWS::X::Y'}", 501), "Number of resources, 501, is greater than maximum allowed, 500"},
		"parameters": {resources + many("Parameters", "{Type: String}", 201), "Number of parameters, 201, is greater than maximum allowed, 200"},
		"mappings":   {resources + many("Mappings", "{A: {B: c}}", 201), "Number of mappings, 201, is greater than maximum allowed, 200"},
		"attributes": {resources + "Mappings:\n  M:\n    A:\n" + strings.ReplaceAll(strings.TrimPrefix(many("X", "c", 201), "X:\n"), "  N", "      N"), "Number of mapping attributes, 201, is greater than maximum allowed, 200"},
		"text":       {resources + "Description: " + strings.Repeat("x", 1025), "'Description' length is greater than 1024."},
		"name":       {"Resources: {" + strings.Repeat("A", 256) + ": {Type: 'AWS::X::Y'}}", "Resource name is longer than 255 characters."},
		"outputs":    {resources + many("Outputs", "{Value: x}", 201), "Number of outputs, 201, is greater than maximum allowed, 200"},
		"depth":      {resources + "Metadata: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested deeper than 100"},
		"JSON depth": {`{"Metadata": ` + strings.Repeat("[", 100_000), "nested deeper than 100"},
		"YAML depth": {"Metadata: " + strings.Repeat("[", 100_000), "Template format error"},
		"values":     {resources + "Metadata: [" + strings.Repeat("1,", 250_000) + "1]", "more than 200000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := template.Parse([]byte(c.body))
			if len(problems) == 0 || !strings.Contains(problems[0].String(), c.want) {
				t.Errorf("got %v, want %s", problems, c.want)
			}
		})
	}
	full := many("Resources", "{Type: 'AWS::X::Y'}", 500) + many("Parameters", "{Type: String}", 200) + many("Outputs", "{Value: x}", 200) +
		many("Mappings", "{A: {B: c}}", 200) + "Description: " + strings.Repeat("x", 1024)
	if _, problems := template.Parse([]byte(full)); len(problems) > 0 {
		t.Errorf("what is just allowed: %v", problems)
	}
}

// The message of a fault begins as AWS's does and goes on with all places.
func TestMessage(t *testing.T) {
	tmpl, _ := template.Parse([]byte("Resources:\n  A: {Type: 'AWS::X::Y', Properties: {P: !Ref X}, DependsOn: A}"))
	got := tmpl.Validate(nil).Fault()
	want := "ValidationError: Circular dependency between resources: [A]" +
		"\n  line 2, column 6, /Resources/A: Circular dependency between resources: [A]" +
		"\n  line 2, column 42, /Resources/A/Properties/P: Template format error: Unresolved resource dependencies [X] in the Resources block of the template"
	if got.Error() != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if template.Problems(nil).Err() != nil {
		t.Error("no problems make an error")
	}
}
