package platform

import (
	"testing"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// transforms plays the cases of templates with AWS::LanguageExtensions.
func (w *recordedWorld) transforms(t *testing.T) {
	const file, class = "api/test_transformers", "TestLanguageExtensionsTransform::"
	w.play(t, file, class+"test_transform_foreach", func(p *play) {
		for i, name := range []string{"alpha", "beta", "gamma"} {
			p.Bind("<topic-name-"+string(rune('0'+i))+">", name)
		}
		p.deploy(`{"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::LanguageExtensions",
			"Parameters": {"pRepoARNs": {"Description": "ARN of SSO instance", "Type": "CommaDelimitedList"}},
			"Resources": {"Fn::ForEach::Topics": ["TopicName", {"Ref": "pRepoARNs"}, {"SnsTopic${TopicName}": {"Type": "AWS::SNS::Topic",
				"Properties": {"TopicName": {"Fn::Join": [".", [{"Ref": "TopicName"}, "fifo"]]}, "FifoTopic": true}}}]}}`, "pRepoARNs", "alpha,beta,gamma")
		p.transformed()
	})
	w.play(t, file, class+"test_transform_foreach_multiple_resources", func(p *play) {
		parameter := func(name, value string) string {
			return `"` + name + `": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::Sub": "my value ` + value + `"}}}`
		}
		p.deploy(`{"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::LanguageExtensions", "Resources": {` +
			`"Fn::ForEach::Outer": ["Kind", ["Foo", "Bar"], {` + parameter("My${Kind}Parameter", "${Kind}") + `,
			"Fn::ForEach::Inner": ["Suffix", ["A", "B", "C"], {` + parameter("My${Kind}Parameter${Suffix}", "${Suffix}") + `}]}]}}`)
		p.transformed()
	})
	w.play(t, file, class+"test_transform_to_json_string", func(p *play) {
		p.deploy(`{"Transform": "AWS::LanguageExtensions", "Resources": {
			"MyObjectParameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ToJsonString": {"a": "foo", "b": "bar"}}}},
			"MyArrayParameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ToJsonString": ["a", "b", "c"]}}}},
			"Outputs": {"ObjectName": {"Value": {"Ref": "MyObjectParameter"}}, "ArrayName": {"Value": {"Ref": "MyArrayParameter"}}}}`)
		p.transformed()
		for entry, name := range map[string]string{"object-value": "ObjectName", "array-value": "ArrayName"} {
			p.Hold(entry, w.value(p, p.outputs()[name].(string)))
		}
	})
}

// transformed holds what a transform made of the template, and what that made.
func (p *play) transformed() {
	p.Helper()
	p.Bind("<stack-name>", p.stack)
	p.Blank(randomID)
	p.Call("resources", p.w.ctx, &cloudformation.DescribeStackResourcesInput{StackName: p.id})
	out := replay.As[cloudformation.GetTemplateOutput](p.Call("", p.w.ctx, &cloudformation.GetTemplateInput{StackName: p.id, TemplateStage: "Processed"}))
	p.Hold("transformed", out.TemplateBody)
}
