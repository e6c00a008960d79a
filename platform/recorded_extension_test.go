package platform

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	cloudformation "github.com/slipway/slipway/api/cloudformation"
	iam "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/tests/corpus/replay"
)

// extensionCode is a hook's handler, which fails each target, and that of a type
// which nothing makes resources of.
const extensionCode = `
def hook(event, context):
    return {"hookStatus": "FAILED", "errorCode": "NonCompliant", "message": "Intentional fail", "clientRequestToken": event["clientRequestToken"]}

def resource(event, context):
    return {"status": "FAILED", "errorCode": "NotFound", "message": "there is none"}
`

const hookSchema = `{"typeName": "LocalStack::Testing::DeployableHook", "description": "Fails each bucket.", "additionalProperties": false,
	"typeConfiguration": {"properties": {}, "additionalProperties": false}, "handlers": {"preCreate": {"targetNames": ["AWS::S3::Bucket"], "permissions": []}}}`

// archive is a zip of files.
func packaged(t testing.TB, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// extension uploads the package of an extension.
func (w *recordedWorld) extension(t testing.TB, name, schema, entrypoint string) (url string) {
	t.Helper()
	w.upload(t, "replayed-packages", entrypoint, packaged(t, map[string]string{
		"schema.json": schema, "ResourceProvider.zip": packaged(t, map[string]string{"handler.py": extensionCode}),
		".rpdk-config": `{"typeName": "` + name + `", "runtime": "python3.12", "entrypoint": "handler.` + entrypoint + `"}`,
	}))
	return "s3://replayed-packages/" + entrypoint
}

// register registers an extension and waits until that is done.
func (p *play) register(entry string, in *cloudformation.RegisterTypeInput) (typeARN, token string) {
	p.Helper()
	token = replay.As[cloudformation.RegisterTypeOutput](p.Call(entry, p.w.ctx, in)).RegistrationToken
	var out *cloudformation.DescribeTypeRegistrationOutput
	deadline := time.After(time.Minute)
	for out == nil || out.ProgressStatus == "IN_PROGRESS" {
		select {
		case <-time.After(5 * time.Millisecond):
			out = replay.As[cloudformation.DescribeTypeRegistrationOutput](p.Call("", p.w.ctx, &cloudformation.DescribeTypeRegistrationInput{RegistrationToken: token}))
		case <-deadline:
			p.Fatal("the registration does not end")
		}
	}
	if out.ProgressStatus != "COMPLETE" {
		p.Fatalf("%s: %s", out.ProgressStatus, out.Description)
	}
	return out.TypeArn, token
}

// extensions plays the cases of the registry.
func (w *recordedWorld) extensions(t *testing.T) {
	const file, class = "api/test_extensions_api", "TestExtensionsApi::"
	w.play(t, file, class+"test_crud_extension[RESOURCE-LocalStack::Testing::TestResource-resourcetypes/localstack-testing-testresource.zip]", func(p *play) {
		schema, err := json.Marshal(p.Entry("describe_response").(map[string]any)["Schema"])
		if err != nil {
			p.Fatal(err)
		}
		role := w.role(p, "resources.cloudformation.amazonaws.com")
		id, token := p.register("register_response", &cloudformation.RegisterTypeInput{Type: "RESOURCE", TypeName: "LocalStack::Testing::TestResource", ExecutionRoleArn: role,
			SchemaHandlerPackage: w.extension(p, "LocalStack::Testing::TestResource", string(schema), "resource")})
		p.Except("describe_type_response/ProgressStatus", "the registration is over here")
		p.Except("describe_type_response/Description", "the registration is over here")
		p.Call("describe_type_response", w.ctx, &cloudformation.DescribeTypeRegistrationInput{RegistrationToken: token})
		p.Call("describe_response", w.ctx, &cloudformation.DescribeTypeInput{Arn: id})
		p.Call("list_response", w.ctx, &cloudformation.ListTypeRegistrationsInput{TypeName: "LocalStack::Testing::TestResource"})
		p.Call("deregister_response", w.ctx, &cloudformation.DeregisterTypeInput{Arn: id})
	})
	w.play(t, file, class+"test_extension_not_complete", func(p *play) {
		// Of a package that is not there, so that the registration cannot be quicker than the next call.
		p.Call("", w.ctx, &cloudformation.RegisterTypeInput{Type: "HOOK", TypeName: "LocalStack::Testing::TestHook", SchemaHandlerPackage: "s3://replayed-packages/none"})
		w.refused(p.Case, "not_found_error", &cloudformation.DescribeTypeInput{Type: "HOOK", TypeName: "LocalStack::Testing::TestHook"})
	})
	hook := &cloudformation.RegisterTypeInput{Type: "HOOK", TypeName: "LocalStack::Testing::DeployableHook",
		SchemaHandlerPackage: w.extension(t, "LocalStack::Testing::DeployableHook", hookSchema, "hook")}
	configuration := func(mode string) string {
		return `{"CloudFormationConfiguration": {"HookConfiguration": {"TargetStacks": "ALL", "FailureMode": "` + mode + `"}}}`
	}
	w.play(t, file, class+"test_extension_type_configuration", func(p *play) {
		id, _ := p.register("", hook)
		p.Call("set_type_configuration_response", w.ctx, &cloudformation.SetTypeConfigurationInput{TypeArn: id, Configuration: configuration("FAIL")})
		w.refused(p.Case, "batch_describe_configurations_errors", &cloudformation.BatchDescribeTypeConfigurationsInput{})
		p.Call("batch_describe_configurations", w.ctx, &cloudformation.BatchDescribeTypeConfigurationsInput{
			TypeConfigurationIdentifiers: []cloudformation.TypeConfigurationIdentifier{{TypeArn: id}}})
	})
	w.play(t, "api/test_extensions_hooks", "TestExtensionsHooks::test_hook_deployment[WARN]", func(p *play) {
		const name = "arn:aws:cloudformation:us-east-1:111111111111:type/hook/LocalStack-Testing-DeployableHook"
		p.Call("", w.ctx, &cloudformation.SetTypeConfigurationInput{TypeArn: name, Configuration: configuration("WARN")})
		p.create(recordedTemplate(p, "s3_bucket_name.yml"), "Name", "replayed-hook-bucket")
		for _, e := range p.allEvents() {
			if event := e.(map[string]any); event["HookStatusReason"] != nil {
				delete(event, "HookInvocationId") // younger than the record
				p.Hold("event_error", event)
			}
		}
		p.Call("", w.ctx, &cloudformation.DeregisterTypeInput{Arn: name})
	})
}

// modules plays the case of a module.
func (w *recordedWorld) modules(t *testing.T) {
	w.play(t, "api/test_extensions_modules", "TestExtensionsModules::test_module_usage", func(p *play) {
		const name = "LocalStack::Testing::TestModule::MODULE"
		w.upload(t, "replayed-packages", "module", packaged(t, map[string]string{
			".rpdk-config": `{"artifact_type": "MODULE", "typeName": "` + name + `"}`,
			"schema.json":  `{"typeName": "` + name + `", "description": "A bucket.", "additionalProperties": true, "properties": {"Parameters": {"type": "object"}, "Resources": {"type": "object"}}}`,
			"fragments/template.json": `{"Parameters": {"BucketName": {"Type": "String"}}, "Resources": {"S3Bucket": {"Type": "AWS::S3::Bucket",
				"Properties": {"BucketName": {"Fn::Sub": "${BucketName}hello"}}}}}`,
		}))
		id, _ := p.register("", &cloudformation.RegisterTypeInput{Type: "MODULE", TypeName: name, SchemaHandlerPackage: "s3://replayed-packages/module"})
		p.deploy(`{"Parameters": {"BucketName": {"Type": "String"}}, "Resources": {"BucketModule": {"Type": "`+name+`", "Properties": {"BucketName": {"Ref": "BucketName"}}}}}`, "BucketName", "bucket-name-")
		out := replay.As[cloudformation.DescribeStackResourcesOutput](p.Call("", w.ctx, &cloudformation.DescribeStackResourcesInput{StackName: p.stack}))
		p.Hold("resource_description", replay.Tree(cloudformation.Describe(), "DescribeStackResources", out)["StackResources"].([]any)[0])
		p.Call("", w.ctx, &cloudformation.DeregisterTypeInput{Arn: id})
	})
}

// role is one that a service and Lambda may assume.
func (w *recordedWorld) role(t testing.TB, service string) string {
	t.Helper()
	out, err := w.p.services.iam.CreateRole(w.ctx, &iam.CreateRoleInput{RoleName: "replayed-" + strings.ReplaceAll(service, ".", "-"),
		AssumeRolePolicyDocument: `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": ["` + service + `", "lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"}]}`})
	if err != nil {
		t.Fatal(err)
	}
	return out.Role.Arn
}
