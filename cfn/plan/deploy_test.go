package plan_test

import (
	"fmt"
	"testing"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/cfn/template"
)

// schemas are what the tests need of a few types.
var schemas = map[string]string{
	"AWS::SNS::Topic": `{"typeName": "AWS::SNS::Topic", "additionalProperties": false, "properties": {"TopicName": {"type": "string"}, "DisplayName": {"type": "string"}, "TopicArn": {"type": "string"},
		"Tags": {"type": "array", "items": {"type": "object"}}},
		"createOnlyProperties": ["/properties/TopicName"], "readOnlyProperties": ["/properties/TopicArn"], "primaryIdentifier": ["/properties/TopicArn"], "tagging": {"taggable": true, "tagProperty": "/properties/Tags"}}`,
	"AWS::SSM::Parameter": `{"typeName": "AWS::SSM::Parameter", "additionalProperties": false, "properties": {"Name": {"type": "string"}, "Type": {"type": "string"}, "Value": {"type": "string"}, "Description": {"type": "string"}},
		"createOnlyProperties": ["/properties/Name"], "primaryIdentifier": ["/properties/Name"], "required": ["Type", "Value"]}`,
	"AWS::T::Link": `{"typeName": "AWS::T::Link", "properties": {"Name": {"type": "string"}, "From": {"type": "string"}, "Size": {"type": "integer"}, "Rules": {"type": "array", "items": {"type": "object", "properties": {"Port": {"type": "integer"}, "Zone": {"type": "string"}}}}},
		"createOnlyProperties": ["/properties/From", "/properties/Rules/*/Zone"], "conditionalCreateOnlyProperties": ["/properties/Size"], "readOnlyProperties": ["/properties/Id"], "primaryIdentifier": ["/properties/Name"], "replacementStrategy": "delete_then_create"}`,
	"AWS::T::Named": `{"typeName": "AWS::T::Named", "properties": {"Name": {"type": "string"}, "Path": {"type": "string"}}, "createOnlyProperties": ["/properties/Name", "/properties/Path"], "primaryIdentifier": ["/properties/Name"]}`,
}

func types() plan.Types {
	c := schema.New(nil, func(name string) ([]byte, bool) { s, ok := schemas[name]; return []byte(s), ok }, func(string) bool { return true })
	return plan.Types{Schema: c.Lookup, Provider: func(name string) (cfn.Type, bool) {
		if name != "AWS::T::Link" {
			return cfn.Type{}, false
		}
		return cfn.Type{
			Name: name, Update: nilUpdate,
			Replaces: func(_ string, before, after cfn.Properties) bool {
				return fmt.Sprint(after["Size"]) < fmt.Sprint(before["Size"]) // it can only grow
			},
		}, true
	}}
}

// stack makes a plan's input: the stack that old left, and a new template.
type stack struct {
	t        *testing.T
	physical map[string]string // by logical id; others are <id>-1
	state    plan.State
}

func (s *stack) input(body string, given map[string]string, tags map[string]string) plan.Input {
	s.t.Helper()
	tmpl, problems := template.Parse([]byte(body))
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	var params []template.Given
	for k, v := range given {
		params = append(params, template.Given{Key: k, Value: v})
	}
	values, problems := tmpl.Resolve(params, s.state.Parameters, nil)
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	return plan.Input{Old: s.state, New: tmpl, Env: template.Env{Parameters: values, Pseudo: template.Pseudo{Region: "us-east-1", StackName: "s"}}, Tags: tags, Types: types()}
}

// deploy does what a plan says, as apply does: each step evaluates with what
// the steps before it have become.
func (s *stack) deploy(in plan.Input) {
	s.t.Helper()
	p, problems := plan.Make(in)
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	now := map[string]plan.Resource{}
	for id, r := range in.Old.Resources {
		now[id] = r
	}
	env := in.Env
	env.Resource = func(id string) (template.Live, bool) {
		r, ok := now[id]
		return template.Live{PhysicalID: r.PhysicalID, Attributes: r.Attributes, Properties: r.Properties}, ok
	}
	scope, problems := in.New.Enter(env)
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	for _, step := range p.Steps {
		now[step.LogicalID] = s.apply(scope, step, now[step.LogicalID])
	}
	for _, step := range p.Cleanup {
		if p.Step(step.LogicalID) == nil {
			delete(now, step.LogicalID)
		}
	}
	s.state = plan.State{Resources: now, Template: in.New, Parameters: in.Env.Parameters, Tags: in.Tags}
}

func (s *stack) apply(scope *template.Scope, step plan.Step, was plan.Resource) plan.Resource {
	r := scope.Template().Resource(step.LogicalID)
	props, problems := scope.Properties(step.LogicalID)
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	metadata, _ := scope.Eval(r.Metadata)
	sch, _ := types().Schema(r.Type)
	props, _ = sch.Conform(props)
	d, err := plan.Decide(types(), r.Type, was.Properties, props)
	if err != nil {
		s.t.Fatal(err)
	}
	now := plan.Resource{LogicalID: step.LogicalID, Type: step.Type, PhysicalID: was.PhysicalID, Properties: props, DependsOn: step.After,
		DeletionPolicy: r.DeletionPolicy, UpdateReplacePolicy: r.UpdateReplacePolicy, Metadata: metadata}
	if was.PhysicalID == "" || d.Action == plan.Replace {
		var n int
		_, _ = fmt.Sscanf(was.PhysicalID, step.LogicalID+"-%d", &n)
		now.PhysicalID = fmt.Sprintf("%s-%d", step.LogicalID, n+1)
		if p := s.physical[step.LogicalID]; p != "" && was.PhysicalID == "" {
			now.PhysicalID = p
		}
	}
	now.Attributes = cfn.Properties{"Id": now.PhysicalID, "TopicArn": now.PhysicalID}
	return now
}
