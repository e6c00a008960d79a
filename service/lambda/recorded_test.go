package lambda

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/tests/corpus/replay"
)

const recordedAPI = "lambda_/test_lambda_api"

// recorded is one case, and a world to replay it in.
type recorded struct {
	*replay.Case
	*world
}

func replayed(t *testing.T, file, name string) *recorded {
	t.Helper()
	w := newWorld(t, func(c *Config) { c.SQS = newLine() })
	return &recorded{replay.Open(t, file, api.Describe(), w.Service).Case(t, name), w}
}

// each replays a case for each of its recorded parameters, "name[parameter]".
func each(t *testing.T, file, name string, run func(c *recorded, parameter string)) {
	t.Helper()
	names := replay.Open(t, file, api.Describe(), nil).Names(name + "[")
	if len(names) == 0 {
		t.Fatalf("no case %s is recorded", name)
	}
	for _, full := range names {
		_, parameter, _ := strings.Cut(full, "[")
		t.Run(strings.TrimSuffix(parameter, "]"), func(t *testing.T) {
			run(replayed(t, file, name+"["+parameter), strings.TrimSuffix(parameter, "]"))
		})
	}
}

// call makes a call and holds its answer against an entry.
func (c *recorded) call(entry string, in any) any {
	c.Case.Helper()
	out, _ := c.Case.Call(entry, c.ctx, in)
	return out
}

// function makes a function that is not an entry of the record, with variables that
// are none, as the recorded tests do.
func (c *recorded) function(name string) {
	c.Case.Helper()
	c.make(name, func(in *api.CreateFunctionInput) {
		in.Handler, in.Timeout, in.Environment = "handler.handler", new(int32(30)), &api.Environment{Variables: map[string]string{}}
	})
}

// input is the input of an operation that names a function, and nothing else.
func input(operation, name, qualifier string) any {
	switch operation {
	case "delete_function":
		return &api.DeleteFunctionInput{FunctionName: name, Qualifier: qualifier}
	case "get_function":
		return &api.GetFunctionInput{FunctionName: name, Qualifier: qualifier}
	case "get_function_concurrency":
		return &api.GetFunctionConcurrencyInput{FunctionName: name}
	case "get_function_configuration":
		return &api.GetFunctionConfigurationInput{FunctionName: name, Qualifier: qualifier}
	case "get_function_event_invoke_config":
		return &api.GetFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: qualifier}
	case "get_function_url_config":
		return &api.GetFunctionUrlConfigInput{FunctionName: name, Qualifier: qualifier}
	}
	return nil
}

func TestRecordedNames(t *testing.T) {
	each(t, recordedAPI, "test_get_function_wrong_region", func(c *recorded, operation string) {
		in := input(operation, "arn:aws:lambda:eu-west-1:111111111111:function:f", "")
		if in == nil {
			c.Leave("wrong_region_exception", "code signing is not built")
			return
		}
		c.Bind("<wrong-region>", "eu-west-1")
		c.call("wrong_region_exception", in)
	})
	each(t, recordedAPI, "test_ops_on_nonexisting_fn", func(c *recorded, operation string) {
		c.Bind("<nonexisting-fn-name>", "nowhere")
		c.call("not_found_exception", input(operation, "nowhere", ""))
	})
	each(t, recordedAPI, "test_ops_on_nonexisting_version", func(c *recorded, operation string) {
		c.function("f")
		c.Bind("<fn-name>", "f")
		c.call("version_not_found_exception", input(operation, "f", "1221"))
	})
	each(t, recordedAPI, "test_ops_with_arn_qualifier_mismatch", func(c *recorded, operation string) {
		full := "arn:aws:lambda:us-east-1:111111111111:function:some-function"
		c.call("not_match_exception", input(operation, full+":1", "$LATEST"))
		c.call("match_exception", input(operation, full+":$LATEST", "$LATEST"))
	})
	each(t, recordedAPI, "test_create_deprecated_function_runtime_with_validation_enabled", func(c *recorded, runtime string) {
		in := c.creation("old")
		in.Runtime = runtime
		c.call("deprecation_error", in)
	})
}

func TestRecordedVersions(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaVersions::test_version_lifecycle")
	in := c.creation("f")
	in.Description = "No version :("
	c.call("create_response", in)
	c.settled("f")
	get := func(qualifier string) *api.GetFunctionInput {
		return &api.GetFunctionInput{FunctionName: "f", Qualifier: qualifier}
	}
	c.call("get_function_result", get(""))
	list := &api.ListVersionsByFunctionInput{FunctionName: "f"}
	c.call("list_versions_result", list)
	c.call("first_update_response", &api.UpdateFunctionConfigurationInput{FunctionName: "f", Description: "First version :)"})
	c.settled("f")
	c.call("first_update_get_function", get(""))
	c.call("first_publish_response", &api.PublishVersionInput{FunctionName: "f", Description: "First version description :)"})
	c.call("first_publish_get_function", get("1"))
	c.call("first_publish_get_function_config", &api.GetFunctionConfigurationInput{FunctionName: "f", Qualifier: "1"})
	c.call("second_update_response", &api.UpdateFunctionConfigurationInput{FunctionName: "f", Description: "Second version :))"})
	c.settled("f")
	c.call("first_publish_get_function_after_update", get("1"))
	c.call("second_publish_response", &api.PublishVersionInput{FunctionName: "f"})
	c.call("third_publish_response", &api.PublishVersionInput{FunctionName: "f"})
	c.call("list_versions_result_after_third_publish", list)
	c.call("", &api.DeleteFunctionInput{FunctionName: "f", Qualifier: "1"})
	c.call("list_versions_result_after_deletion_of_first_version", list)

	c = replayed(t, recordedAPI, "TestLambdaVersions::test_publish_with_update")
	c.call("create_response", c.creation("f"))
	c.settled("f")
	c.call("get_function_result", get(""))
	c.activate.Stop() // what follows is looked at before it is through
	c.call("update_function_code_result", &api.UpdateFunctionCodeInput{FunctionName: "f", ZipFile: zipped(t, "index.py", "other"), Publish: new(true)})
	c.call("get_function_version_result", get("1"))
	c.call("get_function_latest_result", get("$LATEST"))

	c = replayed(t, recordedAPI, "TestLambdaAlias::test_non_existent_alias_update")
	in = c.creation("f")
	in.Environment = &api.Environment{Variables: map[string]string{"testenv": "staging"}}
	c.call("create_response", in)
	c.call("update_alias_response", &api.UpdateAliasInput{FunctionName: "f", Name: "non-existent"})
}

func TestRecordedConcurrency(t *testing.T) {
	c := replayed(t, "lambda_/test_lambda", "TestLambdaConcurrency::test_lambda_concurrency_crud")
	c.function("f")
	get := &api.GetFunctionConcurrencyInput{FunctionName: "f"}
	c.call("get_function_concurrency_default", get)
	c.call("put_function_concurrency", &api.PutFunctionConcurrencyInput{FunctionName: "f", ReservedConcurrentExecutions: new(int32(0))})
	c.call("get_function_concurrency_updated", get)
	c.call("", &api.DeleteFunctionConcurrencyInput{FunctionName: "f"})
	c.call("get_function_concurrency_deleted", get)
}

func TestRecordedPermissions(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaPermissions::test_create_multiple_lambda_permissions")
	c.function("f")
	for i, name := range []string{"logs", "kinesis"} {
		c.call("add_permission_response_"+string(rune('1'+i)), &api.AddPermissionInput{FunctionName: "f", StatementId: name, Action: "lambda:InvokeFunction", Principal: name + ".amazonaws.com"})
	}
	c.call("policy_after_2_add", &api.GetPolicyInput{FunctionName: "f"})

	c = replayed(t, recordedAPI, "TestLambdaPermissions::test_permission_exceptions")
	c.function("f")
	c.Bind("<function-name>", "f")
	add := func(name, sid, qualifier, principal string) *api.AddPermissionInput {
		return &api.AddPermissionInput{FunctionName: name, StatementId: sid, Action: "lambda:InvokeFunction", Qualifier: qualifier, Principal: principal}
	}
	const s3 = "s3.amazonaws.com"
	c.call("add_permission_invalid_statement_id", add("f", "example.com", "", s3))
	c.call("add_permission_fn_qualifier_mismatch", add("f:alias-not-42", "s3", "42", s3))
	c.call("add_permission_fn_qualifier_latest", add("f", "s3", "$LATEST", s3))
	c.call("add_permission_principal_invalid", add("f", "lambda", "", "invalid.nonaws.com"))
	c.call("get_policy_fn_doesnotexist", &api.GetPolicyInput{FunctionName: "doesnotexist"})
	c.call("get_policy_fn_version_doesnotexist", &api.GetPolicyInput{FunctionName: "f", Qualifier: "42"})
	c.call("add_permission_fn_doesnotexist", add("doesnotexist", "s3", "", s3))
	c.call("remove_permission_policy_doesnotexist", &api.RemovePermissionInput{FunctionName: "f", StatementId: "s3"})
	c.call("add_permission_fn_alias_doesnotexist", add("f", "s3", "alias-doesnotexist", s3))
	c.call("add_permission_fn_version_doesnotexist", add("f", "s3", "42", s3))
	c.call("add_permission_fn_qualifier_invalid", add("f", "s3", "invalid-qualifier-with-?-char", s3))
	c.call("add_permission_fn_qualifier_valid_doesnotexist", add("f", "s3", "valid-with-$-but-doesnotexist", s3))
	c.call("", add("f", "s3", "", s3))
	c.call("add_permission_conflicting_statement_id", add("f", "s3", "", s3))
	c.call("remove_permission_fn_doesnotexist", &api.RemovePermissionInput{FunctionName: "doesnotexist", StatementId: "s3"})
	c.call("remove_permission_fn_alias_doesnotexist", &api.RemovePermissionInput{FunctionName: "f", StatementId: "s3", Qualifier: "alias-doesnotexist"})
}

func TestRecordedLayers(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaLayer::test_layer_function_exceptions")
	publish := &api.PublishLayerVersionInput{LayerName: "l", CompatibleArchitectures: []string{"x86_64"}, Content: &api.LayerVersionContentInput{ZipFile: zipped(t, "a", "b")}}
	c.call("publish_result", publish)
	c.call("publish_result_2", publish)
	c.call("publish_result_3", publish)
	c.function("f")
	c.call("get_fn_result", &api.GetFunctionInput{FunctionName: "f"})
	const l = "arn:aws:lambda:us-east-1:111111111111:layer:"
	update := func(layers ...string) *api.UpdateFunctionConfigurationInput {
		return &api.UpdateFunctionConfigurationInput{FunctionName: "f", Layers: layers}
	}
	c.call("two_layer_versions_single_function_exc", update(l+"l:1", l+"l:2"))
	c.call("three_layer_versions_single_function_exc", update(l+"l:1", l+"l:2", l+"l:3"))
	c.call("two_identical_layer_versions_single_function_exc", update(l+"l:1", l+"l:1"))
	c.call("add_nonexistent_layer_exc", update(l+"doesnotexist:1"))
	c.call("add_nonexistent_layer_version_exc", update(l+"l:9"))
	c.Leave("add_layer_arn_without_version_exc", "the validator words the violation of a list's element by itself")
	in := c.creation("g")
	in.Layers = []string{"arn:aws:lambda:eu-west-1:111111111111:layer:l:1"}
	c.call("create_function_with_layer_in_different_region", in)

	c = replayed(t, recordedAPI, "TestLambdaLayer::test_layer_compatibilities[runtimes2]")
	c.call("publish_result", &api.PublishLayerVersionInput{
		LayerName: "l", CompatibleArchitectures: []string{"arm64", "x86_64"}, CompatibleRuntimes: []string{"provided.al2023", "provided.al2", "provided"},
		Content: &api.LayerVersionContentInput{ZipFile: zipped(t, "a", "b")},
	})
}

func TestRecordedEventConfigs(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaEventInvokeConfig::test_lambda_eventinvokeconfig_lifecycle")
	c.function("f")
	put := func(q string, retries, age *int32) *api.PutFunctionEventInvokeConfigInput {
		return &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", Qualifier: q, MaximumRetryAttempts: retries, MaximumEventAgeInSeconds: age}
	}
	update := func(retries, age *int32) *api.UpdateFunctionEventInvokeConfigInput {
		return &api.UpdateFunctionEventInvokeConfigInput{FunctionName: "f", MaximumRetryAttempts: retries, MaximumEventAgeInSeconds: age}
	}
	get := func(q string) *api.GetFunctionEventInvokeConfigInput {
		return &api.GetFunctionEventInvokeConfigInput{FunctionName: "f", Qualifier: q}
	}
	list := &api.ListFunctionEventInvokeConfigsInput{FunctionName: "f"}
	c.call("put_invokeconfig_retries_0", put("", new(int32(0)), nil))
	c.call("put_invokeconfig_eventage_60", put("", nil, new(int32(60))))
	c.call("update_invokeconfig_eventage_nochange", update(nil, new(int32(60))))
	c.call("update_invokeconfig_retries", update(new(int32(1)), nil))
	c.call("get_invokeconfig", get(""))
	c.call("get_invokeconfig_latest", get("$LATEST"))
	c.call("list_single_invokeconfig", list)
	c.call("publish_version_result", &api.PublishVersionInput{FunctionName: "f"})
	c.call("get_invokeconfig_postpublish", get("1"))
	c.call("put_published_invokeconfig", put("1", nil, new(int32(120))))
	c.call("get_published_invokeconfig", get("1"))
	c.call("", &api.DeleteFunctionEventInvokeConfigInput{FunctionName: "f"})
	c.call("list_paging_nolimit_postdelete", list)
}

func TestRecordedMappings(t *testing.T) {
	c := replayed(t, "lambda_/event_source_mapping/test_lambda_integration_sqs", "TestSQSEventSourceMapping::test_event_source_mapping_default_batch_size")
	c.function("f")
	out := replay.As[api.CreateEventSourceMappingOutput](c.Case.Call("create-event-source-mapping", c.ctx, &api.CreateEventSourceMappingInput{FunctionName: "f", EventSourceArn: queueARN}))
	c.call("invalid-update-event-source-mapping", &api.UpdateEventSourceMappingInput{UUID: out.UUID, BatchSize: new(int32(11))})
	c.call("invalid-create-event-source-mapping", &api.CreateEventSourceMappingInput{FunctionName: "f", EventSourceArn: queueARN, BatchSize: new(int32(11))})

	each(t, "lambda_/event_source_mapping/test_lambda_integration_sqs", "test_sqs_invalid_event_filter", func(c *recorded, pattern string) {
		c.function("f")
		c.call("create_event_source_mapping_exception", &api.CreateEventSourceMappingInput{FunctionName: "f", EventSourceArn: queueARN, FilterCriteria: &api.FilterCriteria{Filters: []api.Filter{{Pattern: pattern}}}})
	})
	c = replayed(t, "lambda_/event_source_mapping/test_lambda_integration_sqs", "test_esm_with_not_existing_sqs_queue")
	c.function("f")
	c.call("error", &api.CreateEventSourceMappingInput{FunctionName: "f", EventSourceArn: queueARN + "2"})

	c = replayed(t, recordedAPI, "TestLambdaEventSourceMappings::test_event_source_mapping_exceptions")
	c.function("f")
	unknown := arn.NewUUID()
	c.call("get_unknown_uuid", &api.GetEventSourceMappingInput{UUID: unknown})
	c.call("delete_unknown_uuid", &api.DeleteEventSourceMappingInput{UUID: unknown})
	c.call("update_unknown_uuid", &api.UpdateEventSourceMappingInput{UUID: unknown, Enabled: new(false)})
	c.call("create_no_event_source_arn", &api.CreateEventSourceMappingInput{FunctionName: "doesnotexist"})
	c.call("create_unknown_params", &api.CreateEventSourceMappingInput{FunctionName: "doesnotexist", EventSourceArn: "arn:aws:sqs:us-east-1:111111111111:somequeue"})
	c.call("destination_config_failure", &api.CreateEventSourceMappingInput{FunctionName: "f", EventSourceArn: queueARN, DestinationConfig: &api.DestinationConfig{OnSuccess: &api.OnSuccess{Destination: queueARN}}})
}

func TestRecordedURLs(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaUrl::test_url_config_lifecycle")
	c.function("f")
	create := &api.CreateFunctionUrlConfigInput{FunctionName: "f", AuthType: "NONE"}
	for _, entry := range []string{"url_creation", "get_url_config", "updated_url_config"} {
		c.Except(entry+"/FunctionUrl", "the record has the URL's name for it")
	}
	c.call("url_creation", create)
	c.call("failed_duplication", create)
	c.call("get_url_config", &api.GetFunctionUrlConfigInput{FunctionName: "f"})
	c.call("updated_url_config", &api.UpdateFunctionUrlConfigInput{FunctionName: "f", AuthType: "AWS_IAM"})
	c.call("", &api.DeleteFunctionUrlConfigInput{FunctionName: "f"})
	c.call("failed_getter", &api.GetFunctionUrlConfigInput{FunctionName: "f"})
}

func TestRecordedTags(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaTag::test_tag_nonexisting_resource")
	c.function("f")
	c.call("pre_delete_get_function", &api.GetFunctionInput{FunctionName: "f"})
	c.call("", &api.DeleteFunctionInput{FunctionName: "f"})
	const full = "arn:aws:lambda:us-east-1:111111111111:function:f"
	c.call("not_found_exception_tag", &api.TagResourceInput{Resource: full, Tags: map[string]string{"A": "B"}})
	c.call("not_found_exception_untag", &api.UntagResourceInput{Resource: full, TagKeys: []string{"A"}})
	c.call("not_found_exception_list", &api.ListTagsInput{Resource: full})

	c = replayed(t, recordedAPI, "TestLambdaTags::test_tag_exceptions")
	c.function("f")
	c.Except("tag_lambda_invalidarn/Error/Message", "the pattern is that of another version of the model")
	c.call("tag_lambda_invalidarn", &api.TagResourceInput{Resource: "arn:aws:something", Tags: map[string]string{"a": "b"}})
	c.call("tag_lambda_doesnotexist", &api.TagResourceInput{Resource: full[:len(full)-1] + "doesnotexist", Tags: map[string]string{"a": "b"}})
	c.call("tag_lambda_qualifier_doesnotexist", &api.TagResourceInput{Resource: full + ":v1", Tags: map[string]string{"a": "b"}})
	c.call("list_tag_lambda_empty", &api.ListTagsInput{Resource: full})
	c.call("untag_nomatch", &api.UntagResourceInput{Resource: full, TagKeys: []string{"a"}})
	c.call("untag_empty_keys", &api.UntagResourceInput{Resource: full})
	c.call("tag_empty_tags", &api.TagResourceInput{Resource: full, Tags: map[string]string{}})
}
