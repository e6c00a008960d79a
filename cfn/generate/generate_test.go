package generate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/generate"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

var schemas = map[string]string{
	"AWS::X::Role": `{"typeName":"AWS::X::Role","properties":{"RoleName":{"type":"string"},"Arn":{"type":"string"},"Trust":{"type":"object"}},
		"readOnlyProperties":["/properties/Arn"],"primaryIdentifier":["/properties/RoleName"]}`,
	"AWS::X::Function": `{"typeName":"AWS::X::Function","properties":{"Name":{"type":"string"},"Role":{"type":"string"},"RoleName":{"type":"string"},"Word":{"type":"string"},
		"Code":{"type":"string"},"Must":{"type":"string"},"Text":{"type":"string"},"Nested":{"type":"object","properties":{"A":{"type":"string"},"B":{"type":"string"}}},
		"List":{"type":"array","items":{"type":"object","properties":{"A":{"type":"string"},"B":{"type":"string"}}}},
		"Tags":{"type":"array","items":{"type":"object"}}},"tagging":{"taggable":true,"tagProperty":"/properties/Tags"},
		"required":["Code","Must"],"writeOnlyProperties":["/properties/Code"],"readOnlyProperties":["/properties/Nested/B","/properties/List/*/B"],"primaryIdentifier":["/properties/Name"]}`,
}

func lookup(name string) (*schema.Schema, error) { return schema.Parse([]byte(schemas[name])) }

func TestTemplate(t *testing.T) {
	resources := []generate.Resource{
		{LogicalID: "F", Type: "AWS::X::Function", PhysicalID: "worker", Properties: cfn.Properties{
			"Name": "worker", "Role": "arn:aws:iam::1:role/prod", "RoleName": "prod", "Word": "prod", "Text": "{{resolve:ssm:x}}",
			"Nested": map[string]any{"A": "a", "B": "told"}, "List": []any{map[string]any{"A": "a", "B": "told"}}, "Tags": []any{map[string]any{"Key": "aws:stack", "Value": "s"}, map[string]any{"Key": "k", "Value": "v"}},
		}},
		{LogicalID: "R", Type: "AWS::X::Role", PhysicalID: "prod", Properties: cfn.Properties{
			"RoleName": "prod", "Arn": "arn:aws:iam::1:role/prod", "Trust": map[string]any{"Function": "worker"},
		}},
	}
	body, warnings := generate.Template(nil, resources, generate.Config{ID: "g", DeletionPolicy: "Retain", UpdateReplacePolicy: "Delete"}, lookup)
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"Metadata":   map[string]any{"TemplateId": "g"},
		"Parameters": map[string]any{"FCode": map[string]any{"Type": "String", "NoEcho": true, "Description": "Code of F, which its service does not tell"}},
		"Resources": map[string]any{
			"F": map[string]any{"Type": "AWS::X::Function", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Delete", "Properties": map[string]any{
				"Name": "worker", "Code": map[string]any{"Ref": "FCode"}, "Word": "prod",
				"Role": map[string]any{"Fn::GetAtt": []any{"R", "Arn"}}, "RoleName": map[string]any{"Ref": "R"},
				"Nested": map[string]any{"A": "a"}, "List": []any{map[string]any{"A": "a"}}, "Tags": []any{map[string]any{"Key": "k", "Value": "v"}},
			}},
			// That it names the function would make a circle.
			"R": map[string]any{"Type": "AWS::X::Role", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Delete", "Properties": map[string]any{
				"RoleName": "prod", "Trust": map[string]any{"Function": "worker"},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantWarnings := map[string][]generate.Warning{"F": {
		{Type: generate.Excluded, Properties: []generate.Property{{Path: "Text"}}},
		{Type: generate.Unsupported, Properties: []generate.Property{{Path: "Must", Required: true}}},
	}}
	if diff := cmp.Diff(wantWarnings, warnings); diff != "" {
		t.Error(diff)
	}
	if _, problems := template.Parse(body); len(problems) > 0 {
		t.Error(problems)
	}
}

// The resources join those of a template that is there; YAML says the same as JSON.
func TestBase(t *testing.T) {
	root, _ := template.Read([]byte("Description: d\nResources: {A: {Type: AWS::X::Role, Properties: {RoleName: !Sub '${AWS::StackName}'}}}"))
	body, _ := generate.Template(root, []generate.Resource{{LogicalID: "R", Type: "AWS::X::Role", PhysicalID: "7", Properties: cfn.Properties{"RoleName": "7"}}}, generate.Config{DeletionPolicy: "Retain", UpdateReplacePolicy: "Retain"}, lookup)
	text, err := generate.YAML(body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `RoleName: "7"`) || !strings.Contains(string(text), "Fn::Sub: ${AWS::StackName}") {
		t.Errorf("%s", text)
	}
	a, problems := template.Parse(body)
	b, more := template.Parse(text)
	if len(problems)+len(more) > 0 {
		t.Fatal(problems, more)
	}
	if diff := cmp.Diff(a.Root.Value(), b.Root.Value()); diff != "" {
		t.Error(diff)
	}
}

func TestLogicalID(t *testing.T) {
	for _, c := range []struct{ kind, id, want string }{
		{"AWS::SQS::Queue", "http://127.0.0.1:4566/1/my-orders", "SQSQueueMyOrders"},
		{"AWS::SSM::Parameter", "/a/b.c", "SSMParameterBC"},
		{"AWS::S3::Bucket", "taken", "S3BucketTaken2"},
	} {
		if got := generate.LogicalID(c.kind, c.id, func(id string) bool { return id == "S3BucketTaken" }); got != c.want {
			t.Errorf("%s: %s, want %s", c.id, got, c.want)
		}
	}
}
