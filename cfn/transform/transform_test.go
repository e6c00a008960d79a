package transform_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/fault"
)

// files are what AWS::Include finds.
var files = map[string]string{
	"s3://b/member.yaml":  "Name: included\nValue: foo\n",
	"s3://b/top.json":     `{"Resources": {"B": {"Type": "AWS::X::Y"}}, "Outputs": {"O": {"Value": {"Ref": "B"}}}}`,
	"s3://b/list.yaml":    "- a\n- b\n",
	"s3://b/broken.yaml":  "a: [",
	"s3://b/nesting.yaml": "Fn::Transform: {Name: Upper}",
}

var hosts = transform.Hosts{
	Include: func(location string) ([]byte, error) {
		if body, ok := files[location]; ok {
			return []byte(body), nil
		}
		return nil, fault.New("NoSuchKey", "The specified key does not exist.")
	},
	Macro: macro,
}

// macro runs the tests' macros.
func macro(name string, r transform.Request) ([]byte, error) {
	answer := map[string]any{"requestId": r.RequestID, "status": "success", "fragment": r.Fragment}
	var fragment any
	if err := json.Unmarshal(r.Fragment, &fragment); err != nil {
		return nil, err
	}
	switch name {
	case "Print":
		text, _ := json.Marshal(r)
		answer["fragment"] = map[string]any{"Resources": map[string]any{"R": map[string]any{"Type": "AWS::X::Y", "Properties": map[string]any{"P": string(text)}}}}
	case "Replace": // appends its parameter to every Value
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for k, x := range v {
					if s, ok := x.(string); ok && k == "Value" {
						v[k] = strings.TrimSpace(s + " " + fmt.Sprint(r.Params["Input"]))
					} else {
						walk(x)
					}
				}
			case []any:
				for _, x := range v {
					walk(x)
				}
			}
		}
		walk(fragment)
		answer["fragment"] = fragment
	case "Upper":
		answer["fragment"] = strings.ToUpper(fmt.Sprint(r.Params["Text"]))
	case "Fails":
		answer["status"], answer["errorMessage"] = "failure", "failed because it is a test"
	case "Silent":
		answer["status"] = "failure"
	case "Text":
		answer["fragment"] = "text"
	case "Other":
		answer["requestId"] = "other"
	case "Malformed":
		return []byte(`{"errorMessage": "boom", "errorType": "Exception"}`), nil
	case "Nests":
		answer["fragment"] = map[string]any{"Transform": "Print"}
	case "Denied":
		return nil, fault.New(fault.AccessDenied, "no leave to invoke")
	case "Down":
		return nil, errors.New("the function service is down")
	default:
		return nil, transform.ErrNoMacro
	}
	return json.Marshal(answer)
}

func process(t testing.TB, body string, values template.Values) (*template.Template, template.Problems, error) {
	t.Helper()
	root, problems := template.Read([]byte(body))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if values == nil {
		values = template.Values{}
	}
	return transform.Process(transform.Input{Root: root, Hosts: hosts, RequestID: "q",
		Env: template.Env{Parameters: values, Pseudo: template.Pseudo{AccountID: "111111111111", Region: "eu-west-1", StackName: "s"}}})
}

const extensions = "Transform: AWS::LanguageExtensions\n"

var processed = []struct {
	name, body, want string
	values           template.Values
}{
	{"loop over a parameter", extensions + `
Parameters: {L: {Type: CommaDelimitedList}}
Resources:
  Fn::ForEach::Topics:
    - TopicName
    - !Ref L
    - SnsTopic${TopicName}:
        Type: AWS::SNS::Topic
        Properties:
          TopicName: !Join ['.', [!Ref TopicName, fifo]]
          FifoTopic: true
`, `{"Parameters":{"L":{"Type":"CommaDelimitedList"}},"Resources":{` +
		`"SnsTopica":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":"a.fifo","FifoTopic":true}},` +
		`"SnsTopicb":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":"b.fifo","FifoTopic":true}}}}`,
		template.Values{"L": {Text: "a, b", List: true}}},
	{"nested loops", extensions + `
Resources:
  A: {Type: AWS::X::Y}
Outputs:
  Fn::ForEach::Outer:
    - I
    - [A]
    - Fn::ForEach::Inner:
        - P
        - [Arn, Name]
        - ${I}${P}:
            Value: !GetAtt [!Sub '${I}', !Ref P]
`, `{"Resources":{"A":{"Type":"AWS::X::Y"}},"Outputs":{"AArn":{"Value":{"Fn::GetAtt":["A","Arn"]}},"AName":{"Value":{"Fn::GetAtt":["A","Name"]}}}}`, nil},
	{"non-alphanumeric values, properties and conditions", extensions + `
Mappings: {M: {k: {ips: ['10.0.0.1', '10.0.0.2']}}}
Conditions:
  Fn::ForEach::Cs: [C, [x], {'Is${C}': !Equals [!Ref AWS::Region, !Ref C]}]
Resources:
  Fn::ForEach::Hosts:
    - Ip
    - !FindInMap [M, k, ips]
    - Host&{Ip}:
        Type: AWS::X::Y
        Condition: Isx
        Properties:
          Fn::ForEach::Ps: [P, [One, Two], {'${P}': '${Ip} ${P}'}]
          Same: ${Other}
`, `{"Mappings":{"M":{"k":{"ips":["10.0.0.1","10.0.0.2"]}}},"Conditions":{"Isx":{"Fn::Equals":[{"Ref":"AWS::Region"},"x"]}},"Resources":{` +
		`"Host10001":{"Type":"AWS::X::Y","Condition":"Isx","Properties":{"One":"10.0.0.1 One","Two":"10.0.0.1 Two","Same":"${Other}"}},` +
		`"Host10002":{"Type":"AWS::X::Y","Condition":"Isx","Properties":{"One":"10.0.0.2 One","Two":"10.0.0.2 Two","Same":"${Other}"}}}}`, nil},
	{"functions", extensions + `
Parameters: {L: {Type: CommaDelimitedList}, Stage: {Type: String}, Secret: {Type: String, NoEcho: true}}
Mappings: {M: {Prod: {Size: 3}}}
Conditions: {IsProd: !Equals [!Ref Stage, Prod]}
Resources:
  R:
    Type: AWS::X::Y
    DeletionPolicy: !If [IsProd, Retain, Delete]
    UpdateReplacePolicy: !Ref Policy
    Properties:
      Length: !Length [a, b]
      OfParameter: {Fn::Length: !Ref L}
      Text: !ToJsonString {z: 1, a: [x, true, !Ref Stage], gone: !Ref AWS::NoValue}
      Later: !ToJsonString {a: !GetAtt R2.Arn}
      Hidden: !ToJsonString {a: !Ref Secret}
      Found: !FindInMap [M, Prod, Size]
      Default: !FindInMap [M, Prod, Colour, DefaultValue: red]
      Ref: {Ref: !Sub '${Stage}Thing'}
      Kept: !Sub '${R2} ${AWS::StackId}'
  R2: {Type: AWS::X::Y}
`, `{"Parameters":{"L":{"Type":"CommaDelimitedList"},"Stage":{"Type":"String"},"Secret":{"Type":"String","NoEcho":true}},` +
		`"Mappings":{"M":{"Prod":{"Size":3}}},"Conditions":{"IsProd":{"Fn::Equals":[{"Ref":"Stage"},"Prod"]}},"Resources":{"R":{"Type":"AWS::X::Y",` +
		`"DeletionPolicy":"Retain","UpdateReplacePolicy":"Snapshot","Properties":{"Length":2,"OfParameter":3,"Text":"{\"z\":1,\"a\":[\"x\",true,\"Prod\"]}",` +
		`"Later":{"Fn::ToJsonString":{"a":{"Fn::GetAtt":"R2.Arn"}}},"Hidden":{"Fn::ToJsonString":{"a":{"Ref":"Secret"}}},"Found":3,"Default":"red",` +
		`"Ref":{"Ref":"ProdThing"},"Kept":{"Fn::Sub":"${R2} ${AWS::StackId}"}}},"R2":{"Type":"AWS::X::Y"}}}`,
		template.Values{"L": {Text: "a,b,c", List: true}, "Stage": {Text: "Prod"}, "Secret": {Text: "hush", NoEcho: true}, "Policy": {Text: "Snapshot"}}},
	{"include among members", `
Parameters: {B: {Type: String}}
Resources:
  R:
    Type: AWS::X::Y
    Properties:
      Other: 1
      Fn::Transform: {Name: AWS::Include, Parameters: {Location: !Sub 's3://${B}/member.yaml'}}
`, `{"Parameters":{"B":{"Type":"String"}},"Resources":{"R":{"Type":"AWS::X::Y","Properties":{"Other":1,"Name":"included","Value":"foo"}}}}`,
		template.Values{"B": {Text: "b"}}},
	{"include at the top and as a value", `
Transform: {Name: AWS::Include, Parameters: {Location: 's3://b/top.json'}}
Resources: {A: {Type: AWS::X::Y, Properties: {L: !Transform {Name: AWS::Include, Parameters: {Location: 's3://b/list.yaml'}}}}}
`, `{"Resources":{"A":{"Type":"AWS::X::Y","Properties":{"L":["a","b"]}},"B":{"Type":"AWS::X::Y"}},"Outputs":{"O":{"Value":{"Ref":"B"}}}}`, nil},
	{"macros from inside outward", `
Transform:
  - {Name: Replace, Parameters: {Input: global}}
  - {Name: Replace, Parameters: {Input: second-global}}
Resources:
  R:
    Type: AWS::X::Y
    Properties:
      Value: x
      Fn::Transform:
        - {Name: Replace, Parameters: {Input: snippet}}
        - {Name: '111111111111::Replace', Parameters: {Input: second-snippet}}
      Upper: {Fn::Transform: {Name: Upper, Parameters: {Text: !Sub '${AWS::Region}'}}}
`, `{"Resources":{"R":{"Properties":{"Upper":"EU-WEST-1","Value":"x snippet second-snippet global second-global"},"Type":"AWS::X::Y"}}}`, nil},
	{"what a macro is told", `
AWSTemplateFormatVersion: 2010-09-09
Transform: {Name: Print, Parameters: {Input: test-input}}
Parameters: {E: {Type: String}, L: {Type: CommaDelimitedList}}
`, `{"Resources":{"R":{"Properties":{"P":"{\"region\":\"eu-west-1\",\"accountId\":\"111111111111\",` +
		`\"fragment\":{\"AWSTemplateFormatVersion\":\"2010-09-09\",\"Parameters\":{\"E\":{\"Type\":\"String\"},\"L\":{\"Type\":\"CommaDelimitedList\"}}},` +
		`\"transformId\":\"111111111111::Print\",\"params\":{\"Input\":\"test-input\"},\"requestId\":\"q\",\"templateParameterValues\":{\"E\":\"v\",\"L\":[\"a\",\"b\"]}}"},"Type":"AWS::X::Y"}}}`,
		template.Values{"E": {Text: "v"}, "L": {Text: "a,b", List: true}}},
}

func TestProcess(t *testing.T) {
	for _, c := range processed {
		t.Run(c.name, func(t *testing.T) {
			tmpl, problems, err := process(t, c.body, c.values)
			if err != nil || len(problems) > 0 {
				t.Fatal(err, problems)
			}
			if got := string(tmpl.Root.JSON()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if again, problems := template.ParseProcessed(tmpl.Root.JSON()); len(problems) > 0 || len(again.Resources) != len(tmpl.Resources) {
				t.Errorf("does not read again: %v", problems)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	const r = "\nResources: {A: {Type: AWS::X::Y}}"
	const le = extensions + "Resources:\n  A: {Type: AWS::X::Y}\n  "
	for _, c := range []struct{ name, body, want string }{
		{"failed macro", "Transform: Fails" + r, "line 1, column 12: Transform 111111111111::Fails failed with: failed because it is a test."},
		{"silent macro", "Transform: [{Name: Silent}]" + r, "line 1, column 13: Transform 111111111111::Silent failed without an error message."},
		{"no template", "Transform: Text" + r, "line 1, column 12: Template format error: unsupported structure."},
		{"malformed", "Transform: Malformed" + r, "line 1, column 12: Received malformed response from transform 111111111111::Malformed"},
		{"other request", "Transform: Other" + r, "line 1, column 12: Received malformed response from transform 111111111111::Other"},
		{"no macro", "Transform: Nobody" + r, "line 1, column 12: No transform named 111111111111::Nobody found."},
		{"no transform of AWS", "Transform: AWS::Nothing" + r, "line 1, column 12: No transform named AWS::Nothing found."},
		{"denied", "Transform: Denied" + r, "line 1, column 12: Transform 111111111111::Denied failed with: no leave to invoke"},
		{"macro in a macro", "Transform: Nests" + r, "line 1, column 12: Transform 111111111111::Nests failed with: what it returned asks for transforms"},
		{"the SAM transform", "Transform: AWS::Serverless-2016-10-31" + r, "line 1, column 12: Transform AWS::Serverless-2016-10-31 is not implemented"},
		{"nested extensions", "Resources: {A: {Type: AWS::X::Y, Properties: {Fn::Transform: AWS::LanguageExtensions}}}", "line 1, column 62, /Resources/A/Properties/Fn::Transform: Transform AWS::LanguageExtensions failed with: it can be declared at the top level"},
		{"missing file", "Transform: {Name: AWS::Include, Parameters: {Location: 's3://b/nothing'}}" + r, "line 1, column 12: Transform AWS::Include failed with: The specified key does not exist."},
		{"no location", "Transform: AWS::Include" + r, "line 1, column 12: Transform AWS::Include failed with: The location parameter is not a valid S3 uri."},
		{"broken file", "Transform: {Name: AWS::Include, Parameters: {Location: 's3://b/broken.yaml'}}" + r, "line 1, column 12: Transform AWS::Include failed with: The specified S3 object's content should be valid Yaml/JSON"},
		{"include that includes", "Transform: {Name: AWS::Include, Parameters: {Location: 's3://b/nesting.yaml'}}" + r, "line 1, column 12: Transform AWS::Include failed with: what is included asks for transforms"},
		{"loop layout", le + "Fn::ForEach::X: [A, [b]]", "line 4, column 19, /Resources/Fn::ForEach::X: Transform AWS::LanguageExtensions failed with: Fn::ForEach::X layout is incorrect"},
		{"loop of a resource's name", le + "Fn::ForEach::A: [I, [b], {'R${I}': {}}]", "line 4, column 19, /Resources/Fn::ForEach::A: Transform AWS::LanguageExtensions failed with: Fn::ForEach::A: the name of a loop must be unique"},
		{"key without the identifier", le + "Fn::ForEach::X: [I, [b], {R: {}}]", "line 4, column 32, /Resources/Fn::ForEach::X/2/R: Transform AWS::LanguageExtensions failed with: Fn::ForEach::X: the key R must contain ${I} or &{I}"},
		{"collection of a resource", le + "Fn::ForEach::X: [I, !GetAtt A.L, {'R${I}': {}}]", "line 4, column 23, /Resources/Fn::ForEach::X/1: Transform AWS::LanguageExtensions failed with: Fn::ForEach::X: the collection must be a list"},
		{"the same key", le + "Fn::ForEach::X: [I, [b, b], {'R${I}': {Type: AWS::X::Y}}]", "line 4, column 19, /Resources/Fn::ForEach::X: Transform AWS::LanguageExtensions failed with: Fn::ForEach::X makes the key Rb, which is there already"},
		{"policy of a resource", extensions + "Resources: {A: {Type: AWS::X::Y, DeletionPolicy: !GetAtt A.P}}", "line 2, column 50, /Resources/A/DeletionPolicy: Transform AWS::LanguageExtensions failed with: DeletionPolicy of resource A must be a string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems, err := process(t, c.body, nil)
			if err != nil || len(problems) == 0 {
				t.Fatalf("no problem, %v", err)
			}
			got := problems[0].String()
			if got = strings.Replace(got, ", /Transform/0:", ":", 1); !strings.HasPrefix(strings.Replace(got, ", /Transform:", ":", 1), c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if _, problems, err := process(t, "Transform: Down"+r, nil); err == nil || len(problems) > 0 {
		t.Errorf("a function that cannot be reached: %v, %v", problems, err)
	}
}

// A problem in what loops have made has the place of the loop's body.
func TestPlaces(t *testing.T) {
	tmpl, problems, err := process(t, extensions+"Resources:\n  Fn::ForEach::X:\n    - I\n    - [a]\n    - R${I}:\n        Type: AWS::X::Y\n        Properties: {P: !Ref Nobody}\n", nil)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	const want = "line 8, column 25, /Resources/Ra/Properties/P: Template format error: Unresolved resource dependencies [Nobody] in the Resources block of the template"
	if got := tmpl.Validate(nil); len(got) != 1 || got[0].String() != want {
		t.Errorf("got %v", got)
	}
}

// Loops that would make more than a template may have are refused, not suffered.
func TestBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString(extensions + "Resources:\n")
	list := "[" + strings.Repeat("x,", 300) + "x]"
	for i := range 6 {
		fmt.Fprintf(&b, "%sFn::ForEach::L%d:\n%s- I%d\n%s- %s\n%s-\n", strings.Repeat("  ", 2*i+1), i, strings.Repeat("  ", 2*i+2), i, strings.Repeat("  ", 2*i+2), list, strings.Repeat("  ", 2*i+2))
	}
	fmt.Fprintf(&b, "%s'${I0}${I1}${I2}${I3}${I4}${I5}': {Type: AWS::X::Y}\n", strings.Repeat("  ", 14))
	_, problems, err := process(t, b.String(), nil)
	if err != nil || len(problems) == 0 {
		t.Fatal("a template of 300^6 resources is let in", err)
	}
}

// corpus lists real templates that ask for transforms, which stand beside the
// repository where the project is developed and are no part of it.
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
	return files
}

// Every template of the corpus that asks for AWS::LanguageExtensions is processed
// and holds together.
func TestCorpus(t *testing.T) {
	n := 0
	for _, file := range corpus(t) {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root, problems := template.Read(body)
		if len(problems) > 0 || root.Kind != template.Map {
			continue
		}
		if names := template.Transforms(root); len(names) != 1 || names[0] != transform.LanguageExtensions {
			continue
		}
		n++
		declared, _ := template.Declared(root)
		values := template.Values{}
		for _, p := range declared.Parameters {
			values[p.Name] = template.Value{Text: "One,Two", List: strings.Contains(p.Type, "List")}
		}
		tmpl, problems, err := process(t, string(body), values)
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", file, problems, err)
			continue
		}
		for _, p := range tmpl.Validate(nil) {
			if strings.Contains(p.Message, "has not built yet") {
				continue // a function of Rules
			}
			t.Errorf("%s: %v", file, p)
		}
	}
	if n == 0 {
		t.Skip("the corpus of templates (../shared/corpus) is not here")
	}
	t.Logf("%d templates", n)
}

// FuzzProcess: whatever the template, its transforms end without a panic, and what
// they make reads again.
func FuzzProcess(f *testing.F) {
	for _, c := range processed {
		f.Add([]byte(c.body))
	}
	for _, file := range corpus(f) {
		if body, err := os.ReadFile(file); err == nil && len(body) < 8000 {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		root, problems := template.Read(body)
		if len(problems) > 0 {
			return
		}
		declared, _ := template.Declared(root)
		values, _ := declared.Resolve(nil, nil, nil)
		tmpl, problems, err := transform.Process(transform.Input{Root: root, Hosts: hosts, RequestID: "q",
			Env: template.Env{Parameters: values, Pseudo: template.Pseudo{AccountID: "111111111111", Region: "eu-west-1"}}})
		if err != nil || len(problems) > 0 {
			return
		}
		tmpl.Validate(nil)
		if _, problems := template.ParseProcessed(tmpl.Root.JSON()); len(problems) > 0 {
			t.Fatalf("does not read again: %v\n%s", problems, tmpl.Root.JSON())
		}
	})
}
