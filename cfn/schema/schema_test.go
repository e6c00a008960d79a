package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/model"
)

// small is a schema with one of everything.
const small = `{
 "typeName": "AWS::T::Thing", "additionalProperties": false,
 "properties": {
  "Name": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^(?!aws)[a-z]+$"},
  "Count": {"type": "integer", "minimum": 1, "maximum": 9},
  "Ratio": {"type": "number", "multipleOf": 0.5},
  "On": {"type": "boolean"},
  "Kind": {"type": "string", "enum": ["A", "B"]},
  "Loose": {"type": "string", "enumCaseInsensitive": ["x"]},
  "Doc": {"type": ["object", "string"]},
  "Json": {"type": "string", "format": "json"},
  "List": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3, "uniqueItems": true},
  "Tags": {"type": "array", "items": {"$ref": "#/definitions/Tag"}},
  "Map": {"type": "object", "patternProperties": {"^k": {"type": "integer"}}, "additionalProperties": false, "maxProperties": 2},
  "Free": {"type": "object", "additionalProperties": {"type": "boolean"}},
  "Either": {"type": "object", "oneOf": [{"required": ["A"]}, {"required": ["B"]}], "properties": {"A": {"type": "string"}, "B": {"type": "string"}}, "additionalProperties": false},
  "One": {"type": "object", "requiredXor": ["A", "B"], "dependentExcluded": {"A": ["C"], "C": ["A"]}, "dependentRequired": {"B": ["C"]}},
  "Arn": {"type": "string"},
  "Endpoint": {"type": "object", "properties": {"Port": {"type": "string"}}}
 },
 "definitions": {"Tag": {"type": "object", "required": ["Key"], "additionalProperties": false, "properties": {"Key": {"type": "string"}, "Value": {"type": "string"}}}},
 "required": ["Name"],
 "createOnlyProperties": ["/properties/Name"], "readOnlyProperties": ["/properties/Arn", "/properties/Endpoint/Port"],
 "primaryIdentifier": ["/properties/Arn"], "replacementStrategy": "delete_then_create",
 "tagging": {"taggable": true, "tagProperty": "/properties/Tags", "cloudFormationSystemTags": false}
}`

func parse(t *testing.T) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type m = map[string]any
type l = []any

func TestConform(t *testing.T) {
	const unknown, dynamic = template.Unknown, "{{resolve:ssm:/x}}"
	for _, c := range []struct {
		name     string
		in, want cfn.Properties // want nil: as in
		issues   []string
	}{
		{"fits", m{"Name": "ab", "Count": int64(3), "On": true, "Doc": m{"any": l{int64(1)}}}, nil, nil},
		{"coerced", m{"Name": "ab", "Count": "3", "Ratio": "1.5", "On": "True", "List": l{"1", int64(2)}, "Free": m{"a": "false"}, "Map": m{"k": "7"}},
			m{"Name": "ab", "Count": int64(3), "Ratio": 1.5, "On": true, "List": l{int64(1), int64(2)}, "Free": m{"a": false}, "Map": m{"k": int64(7)}}, nil},
		{"to text", m{"Name": "ab", "Tags": l{m{"Key": int64(1), "Value": true}}, "Doc": int64(3), "Kind": "A"},
			m{"Name": "ab", "Tags": l{m{"Key": "1", "Value": "true"}}, "Doc": "3", "Kind": "A"}, nil},
		{"yaml 1.1", m{"Name": "ab", "On": "yes", "Count": "2.0"}, m{"Name": "ab", "On": true, "Count": int64(2)}, nil},
		{"not known yet", m{"Name": unknown, "Count": unknown, "Tags": unknown, "List": l{unknown, unknown, dynamic}, "Kind": dynamic, "Map": unknown}, nil, nil},
		{"missing", m{}, nil, []string{"#: required key [Name] not found"}},
		{"extraneous", m{"Name": "ab", "Cuont": int64(1), "count": int64(1)}, nil, []string{"#/Cuont: extraneous key [Cuont] is not permitted; did you mean Count?", "#/count: extraneous key [count] is not permitted; did you mean Count?"}},
		{"nested", m{"Name": "ab", "Tags": l{m{"Key": "a"}, m{"Value": "b", "Vlaue": "c"}}}, nil, []string{"#/Tags/1: required key [Key] not found", "#/Tags/1/Vlaue: extraneous key [Vlaue] is not permitted; did you mean Value?"}},
		{"read-only", m{"Name": "ab", "Arn": "x"}, nil, []string{"#/Arn: extraneous key [Arn] is not permitted: the property is read-only"}},
		{"types", m{"Name": m{}, "Count": "x", "On": "maybe", "List": "1", "Map": l{}, "Ratio": true, "Doc": l{}}, nil, []string{
			"#/Count: expected type: Integer, found: String", "#/Doc: expected type: JSONObject or String, found: JSONArray", "#/List: expected type: JSONArray, found: String",
			"#/Map: expected type: JSONObject, found: JSONArray", "#/Name: expected type: String, found: JSONObject", "#/On: expected type: Boolean, found: String", "#/Ratio: expected type: Number, found: Boolean"}},
		{"lengths", m{"Name": "a"}, nil, []string{"#/Name: expected minLength: 2, actual: 1"}},
		{"pattern", m{"Name": "awsab"}, nil, []string{"#/Name: failed validation constraint for keyword [pattern]: \"awsab\" does not match ^(?!aws)[a-z]+$"}},
		{"ranges", m{"Name": "ab", "Count": int64(10), "Ratio": 1.25}, nil, []string{"#/Count: 10 is not less or equal to 9", "#/Ratio: 1.25 is not a multiple of 0.5"}},
		{"enum", m{"Name": "ab", "Kind": "C", "Loose": "X"}, nil, []string{"#/Kind: C is not a valid enum value: it must be one of [A, B]"}},
		{"json", m{"Name": "ab", "Json": "{"}, nil, []string{"#/Json: failed validation constraint for keyword [format]: the text is not JSON"}},
		{"items", m{"Name": "ab", "List": l{}}, nil, []string{"#/List: expected minimum item count: 1, found: 0"}},
		{"unique", m{"Name": "ab", "List": l{"1", int64(1)}}, m{"Name": "ab", "List": l{int64(1), int64(1)}}, []string{"#/List: array items are not unique"}},
		{"map", m{"Name": "ab", "Map": m{"k1": int64(1), "k2": int64(1), "x": int64(1)}}, nil, []string{"#/Map: maximum size: [2], found: [3]", "#/Map/x: extraneous key [x] is not permitted"}},
		{"one of", m{"Name": "ab", "Either": m{}}, nil, []string{"#/Either: 0 subschemas matched of 2; the closest: #/Either: required key [A] not found"}},
		{"xor none", m{"Name": "ab", "One": m{}}, nil, []string{"#/One: one of the keys [A, B] is required"}},
		{"related", m{"Name": "ab", "One": m{"A": "1", "B": "2"}}, nil, []string{"#/One: required key [C] not found: [B] needs it", "#/One: only one of the keys [A, B] is permitted"}},
		{"excluded", m{"Name": "ab", "One": m{"A": "1", "C": "2"}}, nil, []string{"#/One: the keys [A] and [C] may not stand together"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, issues := parse(t).Conform(c.in)
			want := c.want
			if want == nil {
				want = c.in
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			for i, issue := range issues {
				if i >= len(c.issues) || !strings.HasPrefix(issue.String(), c.issues[i]) {
					t.Errorf("issue %v", issue)
				}
			}
			if len(issues) != len(c.issues) {
				t.Errorf("%d issues instead of %d", len(issues), len(c.issues))
			}
		})
	}
}

// Conforming what conforms changes nothing, and no properties are lost.
func TestConformTwice(t *testing.T) {
	scalar := rapid.OneOf(rapid.Just[any](int64(3)), rapid.Just[any]("4"), rapid.Just[any](true), rapid.Just[any]("no"), rapid.Just[any](1.5), rapid.Just[any](template.Unknown))
	s := parse(t)
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOf(rapid.SampledFrom([]string{"Name", "Count", "Ratio", "On", "Kind", "Doc", "Odd"}), scalar).Draw(t, "properties")
		once, first := s.Conform(in)
		twice, second := s.Conform(once)
		if diff := cmp.Diff(once, twice); diff != "" || len(first) != len(second) || len(once) != len(in) {
			t.Fatalf("%s\n%v\n%v", diff, first, second)
		}
	})
}

func TestFacts(t *testing.T) {
	s := parse(t)
	got := fmt.Sprint(s.TypeName, s.CreateOnly, s.ReadOnly, s.PrimaryIdentifier, s.Required, s.TagProperty, s.DeleteFirst, s.SystemTags)
	if want := "AWS::T::Thing[Name] [Arn Endpoint/Port] [Arn] [Name]Tagstruefalse"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s", got)
	}
}

func TestCatalog(t *testing.T) {
	c := catalog()
	for name, want := range map[string]string{
		"AWS::SQS::Queue": "known built", "AWS::Athena::WorkGroup": "known", "AWS::No::Such": "", "Custom::Mine": "known", "AWS::CloudFormation::CustomResource": "known",
	} {
		got := ""
		if c.Known(name) {
			got = "known"
		}
		if c.Built(name) {
			got += " built"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for attribute, want := range map[string]bool{"Arn": true, "QueueName": true, "QueueUrl": true, "Nope": false, "Arn.x": true} {
		if got := c.HasAttribute("AWS::SQS::Queue", attribute); got != want {
			t.Errorf("attribute %s: %v", attribute, got)
		}
	}
	if !c.HasAttribute("AWS::S3::Bucket", "MetadataConfiguration.JournalTableConfiguration.TableName") || !c.HasAttribute("Custom::Mine", "Whatever") {
		t.Error("a nested attribute, or one of a custom resource, is not found")
	}
	if s, err := c.Lookup("Custom::Mine"); s != nil || err != nil {
		t.Errorf("custom resource: %v, %v", s, err)
	}
}

// Every schema that is kept can be read, and names only properties that it has.
func TestModel(t *testing.T) {
	c := catalog()
	read := 0
	for _, name := range model.ResourceTypeNames() {
		s, err := c.Lookup(name)
		if err != nil {
			t.Error(err)
		}
		if s == nil {
			continue
		}
		read++
		for _, p := range append(append([]string(nil), s.PrimaryIdentifier...), s.CreateOnly...) {
			if !c.HasAttribute(name, strings.Split(p, "/")[0]) {
				t.Errorf("%s has no property %s", name, p)
			}
		}
	}
	if read == 0 {
		t.Error("no schema is kept")
	}
}

// Problems of properties stand where the template has them.
func TestCheck(t *testing.T) {
	tmpl, problems := template.Parse([]byte(`
Parameters:
  Delay: {Type: String, Default: soon}
Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties:
      DelaySeconds: !Ref Delay
      FifoQueue: "true"
      Tags:
        - Key: a
          Valeu: b
        - !If [Never, x, {Key: k, Value: !GetAtt Third.Arn}]
  Other:
    Type: AWS::SSM::Parameter
    Properties: {Type: Strin, Value: !Ref Q}
  Third: {Type: 'AWS::SQS::Queue'}
Conditions: {Never: !Equals [a, b]}
`))
	if problems = append(problems, tmpl.Validate(catalog())...); len(problems) > 0 {
		t.Fatal(problems)
	}
	values, _ := tmpl.Resolve(nil, nil, nil)
	scope, _ := tmpl.Enter(template.Env{Parameters: values})
	var got []string
	for _, p := range catalog().Check(scope) {
		got = append(got, p.String())
	}
	want := []string{
		"line 8, column 21, /Resources/Q/Properties/DelaySeconds: Properties validation failed for resource Q with message: #/DelaySeconds: expected type: Integer, found: String",
		"line 11, column 11, /Resources/Q/Properties/Tags/0: Properties validation failed for resource Q with message: #/Tags/0: required key [Value] not found",
		"line 12, column 18, /Resources/Q/Properties/Tags/0/Valeu: Properties validation failed for resource Q with message: #/Tags/0/Valeu: extraneous key [Valeu] is not permitted; did you mean Value?",
		"line 16, column 24, /Resources/Other/Properties/Type: Properties validation failed for resource Other with message: #/Type: Strin is not a valid enum value: it must be one of [String, StringList]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A type that is not built matters only where its condition holds.
func TestCheckConditionalType(t *testing.T) {
	tmpl, problems := template.Parse([]byte(`
Parameters:
  Run: {Type: String, Default: "no"}
Conditions: {Runs: !Equals [!Ref Run, "yes"]}
Resources:
  Q: {Type: 'AWS::SQS::Queue'}
  F: {Type: 'AWS::Athena::WorkGroup', Condition: Runs}
`))
	if problems = append(problems, tmpl.Validate(catalog())...); len(problems) > 0 {
		t.Fatal(problems)
	}
	for run, want := range map[string]string{
		"no":  "",
		"yes": "line 7, column 13, /Resources/F/Type: Resource type AWS::Athena::WorkGroup is not built yet: this Slipway has no provider for it",
	} {
		values, _ := tmpl.Resolve([]template.Given{{Key: "Run", Value: run}}, nil, nil)
		scope, _ := tmpl.Enter(template.Env{Parameters: values})
		got := ""
		if problems := catalog().Check(scope); len(problems) > 0 {
			got = problems[0].String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", run, got, want)
		}
	}
}
