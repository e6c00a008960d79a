package transform_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/cfn/transform"
)

// fragments are the modules that there are.
var fragments = map[string]string{
	"My::S3::Bucket::MODULE": `
Parameters: {Name: {Type: String}, Versions: {Type: String, Default: Enabled, AllowedValues: [Enabled, Suspended]}, Zones: {Type: CommaDelimitedList, Default: "a, b"}}
Mappings: {Sizes: {small: {n: 1}}}
Conditions: {Kept: !Equals [!Ref Versions, Enabled], Both: !And [{Condition: Kept}, !Condition Kept]}
Resources:
  Bucket: {Type: "AWS::X::Bucket", DeletionPolicy: Retain, Properties: {BucketName: !Ref Name, Versioning: !Ref Versions, Zones: !Ref Zones, Size: !FindInMap [Sizes, small, n]}}
  Policy:
    Type: AWS::X::Policy
    Condition: Both
    DependsOn: Bucket
    Properties: {Bucket: !Ref Bucket, Arn: !GetAtt Bucket.Arn, Text: !Sub "${Name}/${Bucket}/${Bucket.Arn}/${Zone}/${!Name}/${AWS::Region}", If: !If [Kept, !Ref Name, !Ref "AWS::NoValue"], Both: !Sub ["${Name} ${Own}", {Own: !Ref Versions}]}
Outputs: {Arn: {Value: !GetAtt [Bucket, Arn], Export: {Name: !Sub "${Name}-arn"}}}
`,
	"My::Org::Parent::MODULE": `
Parameters: {Title: {Type: String}}
Resources:
  Child: {Type: "My::S3::Bucket::MODULE", Properties: {Name: !Sub "${Title}-child"}}
  Queue: {Type: "AWS::X::Queue", DependsOn: Child, Properties: {A: !Ref Child.Bucket, B: !GetAtt Child.Bucket.Arn, C: !Sub "${Child.Bucket} ${ChildBucket.Arn}"}}
`,
	"My::Org::Self::MODULE": `Resources: {S: {Type: "My::Org::Self::MODULE"}}`,
	"My::Org::Many::MODULE": `Parameters: {P: {Type: String}}
Resources: {R: {Type: "AWS::X::Y", Properties: {A: [` + strings.Repeat("!Ref P, ", 2000) + `!Ref P]}}}`,
}

func expanded(t *testing.T, body string) (string, map[string]transform.Origin, template.Problems) {
	t.Helper()
	root, problems := template.Read([]byte(body))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	origins, problems, err := transform.Expand(root, func(name string) ([]byte, error) {
		if text, ok := fragments[name]; ok {
			return []byte(text), nil
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(root.JSON()), origins, problems
}

// TestExpand holds what becomes of each part of a fragment.
func TestExpand(t *testing.T) {
	got, origins, problems := expanded(t, `
Parameters: {Who: {Type: String}}
Conditions: {Prod: !Equals [!Ref Who, me]}
Resources:
  Bucket: {Type: "AWS::X::Y"}
  M: {Type: "My::S3::Bucket::MODULE", DependsOn: Bucket, Condition: Prod, Metadata: {Note: x}, Properties: {Name: !Sub "x-${Bucket}", Zones: [c]}}
  User: {Type: "AWS::X::Y", DependsOn: [M, Bucket], Properties: {A: !Ref M.Bucket, B: !GetAtt M.Bucket.Arn, C: {Fn::GetAtt: [M.Bucket, Arn]}, D: !Ref MBucket, E: !Sub "${M.Bucket.Arn} ${Bucket.A.B}"}}
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	name := `{"Fn::Sub":"x-${Bucket}"}`
	want := `{"Parameters":{"Who":{"Type":"String"}},"Conditions":{"Prod":{"Fn::Equals":[{"Ref":"Who"},"me"]},` +
		`"MKept":{"Fn::And":[{"Condition":"Prod"},{"Fn::Equals":["Enabled","Enabled"]}]},"MBoth":{"Fn::And":[{"Condition":"Prod"},{"Fn::And":[{"Condition":"MKept"},{"Condition":"MKept"}]}]}},` +
		`"Resources":{"Bucket":{"Type":"AWS::X::Y"},` +
		`"MBucket":{"Type":"AWS::X::Bucket","DeletionPolicy":"Retain","Properties":{"BucketName":` + name + `,"Versioning":"Enabled","Zones":["c"],"Size":{"Fn::FindInMap":["MSizes","small","n"]}},"Condition":"Prod","DependsOn":["Bucket"]},` +
		`"MPolicy":{"Type":"AWS::X::Policy","Condition":"MBoth","Properties":{"Bucket":{"Ref":"MBucket"},"Arn":{"Fn::GetAtt":"MBucket.Arn"},` +
		`"Text":{"Fn::Sub":["${MName}/${MBucket}/${MBucket.Arn}/${Zone}/${!Name}/${AWS::Region}",{"MName":` + name + `}]},` +
		`"If":{"Fn::If":["MKept",` + name + `,{"Ref":"AWS::NoValue"}]},"Both":{"Fn::Sub":["${MName} ${Own}",{"Own":"Enabled","MName":` + name + `}]}},"DependsOn":["MBucket","Bucket"]},` +
		`"User":{"Type":"AWS::X::Y","DependsOn":["MBucket","MPolicy","Bucket"],"Properties":{"A":{"Ref":"MBucket"},"B":{"Fn::GetAtt":"MBucket.Arn"},"C":{"Fn::GetAtt":["MBucket","Arn"]},"D":{"Ref":"MBucket"},"E":{"Fn::Sub":"${MBucket.Arn} ${Bucket.A.B}"}}}},` +
		`"Mappings":{"MSizes":{"small":{"n":1}}},` +
		`"Outputs":{"MArn":{"Value":{"Fn::GetAtt":["MBucket","Arn"]},"Export":{"Name":{"Fn::Sub":["${MName}-arn",{"MName":` + name + `}]}},"Condition":"Prod"}}}`
	if diff := cmp.Diff(strings.ReplaceAll(want, `,"`, ",\n\""), strings.ReplaceAll(got, `,"`, ",\n\"")); diff != "" {
		t.Error(diff)
	}
	m := transform.Origin{Types: "My::S3::Bucket::MODULE", IDs: "M"}
	if diff := cmp.Diff(map[string]transform.Origin{"MBucket": m, "MPolicy": m}, origins); diff != "" {
		t.Error(diff)
	}
}

// TestExpandNested puts modules in modules, whose values with ${ in them stay text.
func TestExpandNested(t *testing.T) {
	got, origins, problems := expanded(t, `Resources: {P: {Type: "My::Org::Parent::MODULE", Properties: {Title: "a${b}"}}, Z: {Type: "AWS::X::Y", Properties: {V: !Ref P.Child.Bucket}}}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, part := range []string{
		`"PChildBucket":{"Type":"AWS::X::Bucket"`, `"BucketName":{"Fn::Sub":"a${!b}-child"}`, `"Zones":["a","b"]`,
		`"PQueue":{"Type":"AWS::X::Queue","DependsOn":["PChildBucket","PChildPolicy"],"Properties":{"A":{"Ref":"PChildBucket"},"B":{"Fn::GetAtt":"PChildBucket.Arn"},"C":{"Fn::Sub":"${PChildBucket} ${PChildBucket.Arn}"}}}`,
		`"Z":{"Type":"AWS::X::Y","Properties":{"V":{"Ref":"PChildBucket"}}}`,
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
	child := transform.Origin{Types: "My::S3::Bucket::MODULE/My::Org::Parent::MODULE", IDs: "Child/P"}
	want := map[string]transform.Origin{"PChildBucket": child, "PChildPolicy": child, "PQueue": {Types: "My::Org::Parent::MODULE", IDs: "P"}}
	if diff := cmp.Diff(want, origins); diff != "" {
		t.Error(diff)
	}
}

func TestExpandRefusals(t *testing.T) {
	const bucket = `Type: "My::S3::Bucket::MODULE"`
	for resources, want := range map[string]string{
		`M: {` + bucket + `}`: "Resource M: Parameters: [Name] must have values",
		`M: {` + bucket + `, Properties: {Name: a, Nome: b}}`:                                          "extraneous key [Nome] is not permitted",
		`M: {` + bucket + `, Properties: {Name: a, Versions: x}}`:                                      "Parameter 'Versions' must be one of AllowedValues",
		`M: {` + bucket + `, DeletionPolicy: Retain, Properties: {Name: a}}`:                           "DeletionPolicy of a module is not implemented",
		`MBucket: {Type: "AWS::X::Y"}, M: {` + bucket + `, Properties: {Name: a}}`:                     "Resources has MBucket twice",
		`S: {Type: "My::Org::Self::MODULE"}`:                                                           "up to 3 levels deep",
		`M: {Type: "My::Org::Many::MODULE", Properties: {P: "` + strings.Repeat("x", 999) + `"}}`:      "may not exceed 1000000 bytes",
		`M: {Type: "My::Org::Many::MODULE", Properties: {P: !Sub "` + strings.Repeat("x", 999) + `"}}`: "may not exceed 1000000 bytes",
	} {
		_, _, problems := expanded(t, `Resources: {`+resources+`}`)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) || problems[0].Line != 1 {
			t.Errorf("%.80s: %v, not %s", resources, problems, want)
		}
	}
	if got, _, problems := expanded(t, `Resources: {N: {Type: "No::Such::Thing::MODULE"}}`); len(problems) > 0 || !strings.Contains(got, "No::Such::Thing::MODULE") {
		t.Error(got, problems)
	}
	broken := errors.New("the registry cannot be read")
	root, _ := template.Read([]byte(`Resources: {N: {Type: "No::Such::Thing::MODULE"}}`))
	if _, _, err := transform.Expand(root, func(string) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestCheckFragment(t *testing.T) {
	for text, want := range map[string]string{
		`Resources: {A: {Type: "AWS::X::Y"}}`: "<nil>",
		`Parameters: {}`:                      "has no Resources",
		`Transform: X`:                        "has no Resources",
		"Transform: X\nResources: {A: {Type: 'AWS::X::Y'}}":                                                  "section Transform is not implemented",
		`Resources: {A: {Type: "AWS::X::Y", Properties: {"Fn::Transform": X}}}`:                              "Fn::Transform is not implemented",
		"Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>'}}\nResources: {A: {Type: 'AWS::X::Y'}}": "parameter P: the type AWS::SSM::Parameter::Value<String> is not implemented",
		"Parameters: {P: {Kind: String}}\nResources: {A: {Type: 'AWS::X::Y'}}":                               "Invalid template parameter property 'Kind'",
		`[`: "line 1",
	} {
		if got := fmt.Sprint(transform.CheckFragment([]byte(text))); !strings.Contains(got, want) {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
	}
}

// FuzzExpand expands any fragment in any template, and validates what comes out.
func FuzzExpand(f *testing.F) {
	for _, fragment := range fragments {
		f.Add(`{"Resources": {"M": {"Type": "A::B::C::MODULE", "Properties": {"Name": {"Ref": "X"}, "Title": "t", "P": 1}, "DependsOn": "X", "Condition": "C"}}}`, fragment)
	}
	f.Add(`{"Resources": {"M": {"Type": "A::B::C::MODULE"}, "N": {"Fn::GetAtt": ["M.A", "B"]}}}`, `{"Resources": {"A": [], "B": "x"}, "Conditions": {"Fn::If": 1}, "Outputs": 3, "Mappings": {"A": null}}`)
	f.Fuzz(func(t *testing.T, body, fragment string) {
		root, problems := template.Read([]byte(body))
		if root == nil || len(problems) > 0 {
			return
		}
		_, problems, err := transform.Expand(root, func(string) ([]byte, error) { return []byte(fragment), nil })
		if err != nil {
			t.Fatal(err)
		}
		if tmpl, _ := template.FromTree(root); len(problems) == 0 {
			tmpl.Validate(nil)
		}
	})
}
