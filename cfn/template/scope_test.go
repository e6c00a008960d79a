package template_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/template"
)

// head is what the evaluation tests have before the expression under test.
const head = `
Parameters:
  Name: {Type: String, Default: web}
  Number: {Type: Number, Default: 3}
  List: {Type: CommaDelimitedList, Default: 'a, b ,c'}
  Empty: {Type: CommaDelimitedList, Default: ''}
  Stored: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /name}
Mappings:
  M: {us-east-1: {Ami: ami-1, Zones: [x, y], Count: 2}}
Conditions:
  Yes: !Equals [!Ref Name, web]
  No: !Not [Condition: Yes]
  Both: !And [!Condition Yes, !Condition No]
  Either: !Or [!Condition Yes, !Condition No]
  Nested: !Equals [!If [Later, 'true', 'false'], 'true']
  Later: !Equals [3, !Ref Number]
Resources:
  Made: {Type: 'AWS::SQS::Queue'}
  New: {Type: 'AWS::SQS::Queue'}
  Off: {Type: 'AWS::SQS::Queue', Condition: No}
  T:
    Type: AWS::X::Y
    Properties:
      P: `

func enter(t *testing.T, body string) *template.Scope {
	t.Helper()
	tmpl, problems := template.Parse([]byte(body))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	values, problems := tmpl.Resolve(nil, nil, func(name string) (string, error) { return "value of " + name, nil })
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	scope, problems := tmpl.Enter(template.Env{
		Parameters: values,
		Pseudo:     template.Pseudo{AccountID: "111111111111", Region: "us-east-1", StackName: "shop", StackID: "arn:shop", NotificationARNs: []string{"t1"}},
		Resource: func(id string) (template.Live, bool) {
			return template.Live{PhysicalID: "made-1", Attributes: cfn.Properties{"Arn": "arn:made", "Endpoint": map[string]any{"Port": int64(80)}, "Flat.Name": "flat"},
				Properties: cfn.Properties{"QueueName": "q"}}, id == "Made"
		},
		Export: func(name string) (string, bool) { return "exported " + name, name == "shared" },
		Zones:  func(region string) []string { return []string{region + "a", region + "b"} },
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return scope
}

func TestEvaluate(t *testing.T) {
	type m = map[string]any
	type l = []any
	const unknown = template.Unknown
	for _, c := range []struct {
		expression string
		want       any // nil: the property is not there
	}{
		{`text`, "text"}, {`80`, int64(80)}, {`1.5`, 1.5}, {`true`, true}, {`"80"`, "80"},
		{`012345678901`, "012345678901"}, {`1.0`, "1.0"}, {`0x1F`, int64(31)}, {`12345678901234567890`, "12345678901234567890"},
		{`2012-10-17`, "2012-10-17"}, {`1e3`, "1e3"}, {`yes`, "yes"}, {`{a: [1, {b: c}]}`, m{"a": l{int64(1), m{"b": "c"}}}},
		{`!Ref Name`, "web"}, {`!Ref Number`, "3"}, {`!Ref List`, l{"a", "b", "c"}}, {`!Ref Empty`, l{}}, {`!Ref Stored`, "value of /name"},
		{`!Ref AWS::Region`, "us-east-1"}, {`!Ref AWS::Partition`, "aws"}, {`!Ref AWS::URLSuffix`, "amazonaws.com"}, {`!Ref AWS::AccountId`, "111111111111"},
		{`!Ref AWS::StackName`, "shop"}, {`!Ref AWS::StackId`, "arn:shop"}, {`!Ref AWS::NotificationARNs`, l{"t1"}}, {`!Ref AWS::NoValue`, nil},
		{`[a, !Ref AWS::NoValue]`, l{"a"}}, {`{a: 1, b: !Ref AWS::NoValue}`, m{"a": int64(1)}},
		{`!Ref Made`, "made-1"}, {`!Ref New`, unknown},
		{`!GetAtt Made.Arn`, "arn:made"}, {`!GetAtt Made.QueueName`, "q"}, {`!GetAtt Made.Endpoint.Port`, int64(80)}, {`!GetAtt [Made, Flat.Name]`, "flat"},
		{`!GetAtt [Made, Endpoint, Port]`, int64(80)}, {`!GetAtt [Made, !Sub 'A${Missing}']`, nil}, {`!GetAtt New.Arn`, unknown},
		{`!Sub '${Name}-${AWS::Region}-${Made.Arn}-${Made}-${!Kept}-$x'`, "web-us-east-1-arn:made-made-1-${Kept}-$x"},
		{`!Sub 'arn:${New.Arn}/x'`, "arn:" + unknown + "/x"}, {`!Sub ['${A}${Number}', {A: !Ref Name}]`, "web3"}, {`!Sub '${Made.Endpoint.Port}'`, "80"},
		{`!Join ['-', [a, !Ref Name, 1, true, 1.0]]`, "a-web-1-true-1.0"}, {`!Join [',', !Ref List]`, "a,b,c"}, {`!Join [',', [x, !Ref AWS::NoValue]]`, "x"},
		{`!Join [',', [!Ref AWS::NoValue]]`, ""}, {`!Join [',', [!If [Yes, !Ref AWS::NoValue, x]]]`, ""}, {`!Join ['/', [a, !Ref New]]`, "a/" + unknown},
		{`!Join ['/', !Split [',', !GetAtt New.Arn]]`, unknown}, {`!Join [',', !GetAZs '']`, "us-east-1a,us-east-1b"},
		{`!Split [',', 'a,b']`, l{"a", "b"}}, {`!Split [',', !Ref New]`, unknown}, {`!Select [1, !Ref List]`, "b"}, {`!Select ['0', [x, y]]`, "x"},
		{`!Select [!Ref AWS::NoValue, [x]]`, nil}, {`!Select [1, !Split ['-', !Ref New]]`, unknown}, {`!Select [0, !GetAZs {Ref: 'AWS::Region'}]`, "us-east-1a"},
		{`!If [Yes, a, b]`, "a"}, {`!If [No, a, !Ref AWS::NoValue]`, nil}, {`!If [Both, a, b]`, "b"}, {`!If [Either, a, b]`, "a"}, {`!If [Nested, a, b]`, "a"},
		{`!If [No, !GetAtt Off.Arn, b]`, "b"},
		{`!FindInMap [M, !Ref AWS::Region, Ami]`, "ami-1"}, {`!FindInMap [M, us-east-1, Zones]`, l{"x", "y"}}, {`!FindInMap [M, us-east-1, Count]`, int64(2)},
		{`!Base64 hi`, "aGk="}, {`!Base64 {'Fn::Sub': '${Name}'}`, "d2Vi"}, {`!Base64 {Ref: New}`, unknown},
		{`!ImportValue shared`, "exported shared"}, {`!ImportValue {'Fn::Sub': 'shar${Empty}'}`, nil},
		{`!Cidr ['10.0.0.0/16', 3, 8]`, l{"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"}}, {`!Cidr ['2001:db8::/56', 2, 64]`, l{"2001:db8::/64", "2001:db8:0:1::/64"}},
		{`!Select [2, !Cidr [10.0.0.0/24, 4, 6]]`, "10.0.0.128/26"},
		{`'{{resolve:ssm:/x:1}}'`, "{{resolve:ssm:/x:1}}"},
	} {
		t.Run(c.expression, func(t *testing.T) {
			props, problems := enter(t, head+c.expression).Properties("T")
			if c.want == nil {
				if v, ok := props["P"]; ok && len(problems) == 0 {
					t.Errorf("got %v, want nothing", v)
				}
				return
			}
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(c.want, props["P"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEvaluateRefuses(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{`!GetAtt Made.Nope`, "line 24, column 10, /Resources/T/Properties/P: [Error] /Resources/T/Properties/P/Fn::GetAtt: Resource type AWS::SQS::Queue does not support attribute {Nope}"},
		{`!Select [9, !Ref List]`, "line 24, column 10, /Resources/T/Properties/P: Template error: Fn::Select cannot select nonexistent value at index 9"},
		{`!FindInMap [M, eu-west-1, Ami]`, "line 24, column 10, /Resources/T/Properties/P: Template error: Unable to get mapping for M::eu-west-1::Ami"},
		{`!ImportValue nothing`, "line 24, column 10, /Resources/T/Properties/P: No export named nothing found"},
		{`!Sub '${List}'`, "line 24, column 10, /Resources/T/Properties/P: Template error: variable List in Fn::Sub expression does not resolve to a string"},
		{`!Cidr ['10.0.0.0/30', 9, 1]`, "line 24, column 10, /Resources/T/Properties/P: Template error: Fn::Cidr cannot make 9 blocks of /31 out of 10.0.0.0/30"},
		{`!Join [',', [{a: b}]]`, "line 24, column 23, /Resources/T/Properties/P/Fn::Join/1/0: Template error: every Fn::Join object requires"},
	} {
		_, problems := enter(t, head+c.expression).Properties("T")
		if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), c.want) {
			t.Errorf("%s:\n got  %v\n want %s", c.expression, problems, c.want)
		}
	}
}

// JSON and YAML, long and short forms, mean the same.
func TestForms(t *testing.T) {
	yaml := "Resources:\n  A: {Type: 'AWS::X::Y'}\n  B:\n    Type: AWS::X::Y\n    Properties:\n      P: !Join ['', [!Ref A, !GetAtt A.Arn, !Sub 'x${A}']]\n      Q: !Base64 {Ref: A}\n"
	json := "\ufeff" + `{"Resources": {"A": {"Type": "AWS::X::Y"},
	"B": {"Type": "AWS::X::Y", "Properties": {"P": {"Fn::Join": ["", [{"Ref": "A"}, {"Fn::GetAtt": "A.Arn"}, {"Fn::Sub": "x\u0024{A}"}]]},
	"Q": {"Fn::Base64": {"Ref": "A"}}}}}}`
	a, _ := template.Parse([]byte(yaml))
	b, _ := template.Parse([]byte(json))
	if diff := cmp.Diff(a.Root.Value(), b.Root.Value()); diff != "" {
		t.Error(diff)
	}
}

func TestDependencies(t *testing.T) {
	scope := enter(t, `
Parameters: {On: {Type: String, Default: "no"}}
Conditions: {On: !Equals [!Ref On, "yes"]}
Resources:
  A: {Type: AWS::X::Y}
  B: {Type: AWS::X::Y, DependsOn: [A, Off], Properties: {P: !Sub "${C.Arn}${AWS::Region}"}}
  C: {Type: AWS::X::Y, Metadata: {M: !Ref A}}
  D: {Type: AWS::X::Y, Properties: {P: !If [On, !Ref B, !Ref C]}}
  Off: {Type: AWS::X::Y, Condition: On, Properties: {P: !Ref D}}
Outputs:
  O: {Value: !ImportValue x}
  P: {Value: !ImportValue y, Condition: On}
`)
	want := map[string][]string{"A": nil, "B": {"A", "C"}, "C": {"A"}, "D": {"C"}}
	if diff := cmp.Diff(want, scope.Dependencies()); diff != "" {
		t.Error(diff)
	}
	if imports, _ := scope.Imports(); fmt.Sprint(imports) != "[x]" {
		t.Errorf("imports %v", imports)
	}
}

// What only the conditions' values decide is found when they are known.
func TestEnterRefuses(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"a circle through a branch": {`
Conditions: {C: !Equals [a, a]}
Resources:
  A: {Type: AWS::X::Y, Properties: {P: !If [C, !Ref B, x]}}
  B: {Type: AWS::X::Y, Properties: {P: !Ref A}}`, "line 4, column 6, /Resources/A: Circular dependency between resources: [A, B]"},
		"a reference to what is off": {`
Conditions: {C: !Equals [a, b]}
Resources:
  A: {Type: AWS::X::Y, Properties: {P: !Ref B}}
  B: {Type: AWS::X::Y, Condition: C}`, "line 4, column 40, /Resources/A/Properties/P: Template format error: Unresolved resource dependencies [B] in the Resources block of the template"},
		"a rule": {`
Parameters: {Env: {Type: String, Default: prod}, Size: {Type: String, Default: small}}
Rules:
  Big:
    RuleCondition: !Equals [!Ref Env, prod]
    Assertions:
      - Assert: {'Fn::Contains': [[large, huge], !Ref Size]}
        AssertDescription: production is large
Resources:
  A: {Type: AWS::X::Y}`, "line 7, column 17, /Rules/Big/Assertions/0/Assert: Template validation error: rule Big: production is large"},
	} {
		tmpl, problems := template.Parse([]byte(c.body))
		if problems = append(problems, tmpl.Validate(nil)...); len(problems) > 0 {
			t.Fatal(name, problems)
		}
		values, _ := tmpl.Resolve(nil, nil, nil)
		_, problems = tmpl.Enter(template.Env{Parameters: values})
		if len(problems) != 1 || problems[0].String() != c.want {
			t.Errorf("%s:\n got  %v\n want %s", name, problems, c.want)
		}
	}
}

func TestResolveDynamic(t *testing.T) {
	tmpl, _ := template.Parse([]byte("Resources:\n  A:\n    Type: AWS::X::Y\n    Properties:\n      P: ['{{resolve:ssm:/a:1}}-{{resolve:ssm-secure:/b}}']\n      Q: '{{resolve:secretsmanager:x:SecretString:k}}'\n      S: '{{resolve:elsewhere:x}}'\n      R: '{{resolve:ssm:/gone}}'"))
	resolve := func(service, reference string) (string, error) {
		if reference == "/gone" {
			return "", fmt.Errorf("no parameter %s", reference)
		}
		return service + "=" + reference, nil
	}
	n := tmpl.Resource("A").Properties
	got, problems := template.ResolveDynamic(n.Value(), n, resolve)
	if p := got.(map[string]any)["P"].([]any)[0]; p != "ssm=/a:1-ssm-secure=/b" {
		t.Errorf("got %v", p)
	}
	if q := got.(map[string]any)["Q"]; q != "secretsmanager=x:SecretString:k" {
		t.Errorf("got %v", q)
	}
	want := []string{
		"line 7, column 10, /Resources/A/Properties/S: Dynamic reference {{resolve:elsewhere:x}} names an unknown service",
		"line 8, column 10, /Resources/A/Properties/R: Could not resolve the dynamic reference {{resolve:ssm:/gone}}: no parameter /gone",
	}
	for i, p := range problems {
		if i >= len(want) || p.String() != want[i] {
			t.Errorf("problem %v", p)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems", len(problems))
	}
}

func TestOutputs(t *testing.T) {
	scope := enter(t, head+"x\nOutputs:\n  A: {Value: !Ref Number, Description: d, Export: {Name: !Sub '${AWS::StackName}-a'}}\n  B: {Value: x, Condition: No}\n  C: {Value: true}\n")
	got, problems := scope.Outputs()
	want := []template.OutputValue{{Name: "A", Value: "3", Description: "d", ExportName: "shop-a"}, {Name: "C", Value: "true"}}
	if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
		t.Error(diff, problems)
	}
}

func TestCapabilities(t *testing.T) {
	for body, want := range map[string]string{
		"Resources: {A: {Type: 'AWS::SQS::Queue'}}":                                             "[]  [AWS::SQS::Queue]",
		"Resources: {A: {Type: 'AWS::IAM::Role'}, B: {Type: 'AWS::IAM::Policy'}}":               "[CAPABILITY_IAM] The following resource(s) require capabilities: [AWS::IAM::Policy, AWS::IAM::Role] [AWS::IAM::Policy AWS::IAM::Role]",
		"Resources: {A: {Type: 'AWS::IAM::Role', Properties: {RoleName: x}}}":                   "[CAPABILITY_NAMED_IAM] The following resource(s) require capabilities: [AWS::IAM::Role] [AWS::IAM::Role]",
		"Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: 'AWS::Serverless::Api'}}": "[CAPABILITY_AUTO_EXPAND]  [AWS::Serverless::Api]",
	} {
		tmpl, _ := template.Parse([]byte(body))
		capabilities, reason, types := tmpl.Capabilities()
		if got := fmt.Sprint(capabilities, " ", reason, " ", types); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
