package lambda

import (
	"strconv"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
)

// newerModel is why some messages differ: the model of the records knows a kind of
// regions, and runtimes, that ours does not.
const newerModel = "the record has another version of the model"

func TestRecordedURLRefusals(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaUrl::test_url_config_exceptions")
	c.make("f", func(in *api.CreateFunctionInput) {
		in.Handler, in.Runtime, in.Timeout, in.Environment = "lambda_handler.handler", "nodejs20.x", new(int32(30)), &api.Environment{Variables: map[string]string{}}
	})
	c.call("fn_version_result", &api.PublishVersionInput{FunctionName: "f"})
	c.call("create_alias_result", &api.CreateAliasInput{FunctionName: "f", Name: "urlalias", FunctionVersion: "1"})
	const full = "arn:aws:lambda:us-east-1:111111111111:function:"
	for name, of := range map[string][2]string{
		"name_doesnotexist": {"doesnotexist"}, "arn_doesnotexist": {full + "doesnotexist"}, "name_doesnotexist_qualifier": {"doesnotexist", "1"},
		"qualifier_version": {"f", "1"}, "qualifier_version_doesnotexist": {"f", "2"}, "qualifier_alias_doesnotexist": {"f", "doesnotexist"},
		"qualifier_alias_doesnotmatch_arn": {full + "f:urlalias", "nomatch"}, "qualifier_latest": {"f", "$LATEST"}, "config_doesnotexist": {"f"},
	} {
		if name != "config_doesnotexist" {
			c.call("create_function_url_config_"+name, &api.CreateFunctionUrlConfigInput{FunctionName: of[0], Qualifier: of[1], AuthType: "NONE"})
		}
		c.call("get_function_url_config_"+name, &api.GetFunctionUrlConfigInput{FunctionName: of[0], Qualifier: of[1]})
		c.call("update_function_url_config_"+name, &api.UpdateFunctionUrlConfigInput{FunctionName: of[0], Qualifier: of[1], AuthType: "AWS_IAM"})
		if name == "qualifier_alias_doesnotmatch_arn" {
			c.Leave("delete_function_url_config_"+name, "AWS failed by itself")
			continue
		}
		c.call("delete_function_url_config_"+name, &api.DeleteFunctionUrlConfigInput{FunctionName: of[0], Qualifier: of[1]})
	}
}

func TestRecordedEventConfigRefusals(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaEventInvokeConfig::test_lambda_eventinvokeconfig_exceptions")
	c.function("f")
	c.function("g")
	const full = "arn:aws:lambda:us-east-1:111111111111:function:"
	c.call("fn_version_result", &api.PublishVersionInput{FunctionName: "f"})
	c.call("fn_alias_result", &api.CreateAliasInput{FunctionName: "f", Name: "eventinvokealias", FunctionVersion: "1"})
	put := func(entry, name, q string, retries *int32) {
		c.Case.Helper()
		c.call(entry, &api.PutFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: q, MaximumRetryAttempts: retries})
	}
	to := func(entry, success, failure string) {
		c.Case.Helper()
		d := &api.DestinationConfig{}
		if success != "" {
			d.OnSuccess = &api.OnSuccess{Destination: strings.TrimSpace(success)}
		}
		if failure != "" {
			d.OnFailure = &api.OnFailure{Destination: strings.TrimSpace(failure)}
		}
		c.call(entry, &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", DestinationConfig: d})
	}
	one := new(int32(1))
	put("put_functionname_name_notfound", "unknown", "", one)
	put("put_functionname_arn_notfound", full+"unknown", "", one)
	put("put_functionname_nootherargs", "f", "", nil)
	to("put_destination_lambda_doesntexist", full+"doesnotexist", "")
	to("put_destination_recursive", full+"f", "")
	to("put_destination_other_lambda", full+"g", "")
	to("put_destination_invalid_service_arn", strings.Replace(full, ":lambda:", ":iam:", 1)+"f", "")
	to("put_destination_success_no_destination_arn", " ", "")
	to("put_destination_failure_no_destination_arn", "", " ")
	c.Except("put_destination_invalid_arn_pattern/Error/Message", newerModel)
	to("put_destination_invalid_arn_pattern", "", strings.Replace(full, ":lambda:", ":_-/!lambda:", 1)+"f")
	for entry, of := range map[string][2]string{
		"put_destination_latest": {"f"}, "put_destination_latest_explicit_qualifier": {"f", "$LATEST"}, "put_destination_version": {"f", "1"},
		"put_alias_functionname_qualifier": {"f", "eventinvokealias"}, "put_alias_doesnotexist": {"f", "doesnotexist"},
		"put_alias_qualifiedarn": {full + "f:eventinvokealias"}, "put_alias_qualifiedarn_qualifier": {full + "f:eventinvokealias", "eventinvokealias"},
		"put_alias_qualifiedarn_qualifierconflict": {full + "f:eventinvokealias", "doesnotexist"}, "put_alias_shorthand": {"f:eventinvokealias"},
		"put_alias_shorthand_qualifier": {"f:eventinvokealias", "eventinvokealias"}, "put_alias_shorthand_qualifierconflict": {"f:eventinvokealias", "doesnotexist"},
		"put_version_shorthand": {"f:1"}, "put_shorthand_qualifier_match": {"f:$LATEST", "$LATEST"}, "put_shorthand_qualifier_mismatch_1": {"f:$LATEST", "1"},
		"put_shorthand_qualifier_mismatch_2": {"f:1", "$LATEST"}, "put_shorthand_qualifier_mismatch_3": {"f:1", "2"},
	} {
		put(entry, of[0], of[1], one)
	}
	whole := func(entry string, retries, age *int32) {
		c.Case.Helper()
		c.call(entry, &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", MaximumRetryAttempts: retries, MaximumEventAgeInSeconds: age})
	}
	none, two, minute := new(int32(0)), new(int32(2)), new(int32(60))
	whole("put_maxevent_maxvalue_result", two, new(int32(21600)))
	whole("put_pre_overwrite", two, minute)
	whole("put_post_overwrite", none, nil)
	whole("second_overwrite_existing_response", none, nil)
	c.call("get_post_overwrite", &api.GetFunctionEventInvokeConfigInput{FunctionName: "f"})
	whole("pre_update_response", two, minute)
	update := &api.UpdateFunctionEventInvokeConfigInput{FunctionName: "f", MaximumRetryAttempts: none}
	c.call("update_response", update)
	c.call("update_response_existing", update)
	list := &api.ListFunctionEventInvokeConfigsInput{FunctionName: "f"}
	c.call("list_configs", list)
	remove := func(name, q string) *api.DeleteFunctionEventInvokeConfigInput {
		return &api.DeleteFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: q}
	}
	c.call("delete_latest", remove("f", "$LATEST"))
	c.call("delete_version", remove("f", "1"))
	c.call("delete_alias", remove("f", "eventinvokealias"))
	c.call("list_configs_postdelete", list)
	c.call("delete_function_not_found", remove("f", "$LATEST"))
	c.call("delete_function_doesnotexist", remove("doesnotexist", ""))
	c.call("list_function_doesnotexist", &api.ListFunctionEventInvokeConfigsInput{FunctionName: "doesnotexist"})
	c.call("get_function_doesnotexist", &api.GetFunctionEventInvokeConfigInput{FunctionName: "doesnotexist"})
	c.call("get_qualifier_doesnotexist", &api.GetFunctionEventInvokeConfigInput{FunctionName: "f", Qualifier: "doesnotexist"})
	c.call("get_eventinvokeconfig_doesnotexist", &api.GetFunctionEventInvokeConfigInput{FunctionName: "f", Qualifier: "eventinvokealias"})
	change := func(name, q string) *api.UpdateFunctionEventInvokeConfigInput {
		return &api.UpdateFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: q, MaximumRetryAttempts: one}
	}
	c.call("update_eventinvokeconfig_function_doesnotexist", change("doesnotexist", ""))
	c.call("update_eventinvokeconfig_config_doesnotexist_with_qualifier", change("f", "eventinvokealias"))
	c.call("update_eventinvokeconfig_config_doesnotexist_without_qualifier", change("f", ""))
}

func TestRecordedTagRefusals(t *testing.T) {
	const full = "arn:aws:lambda:us-east-1:111111111111:function:f"
	some := func(from, to int) map[string]string {
		tags := map[string]string{}
		for i := from; i < to; i++ {
			tags[strconv.Itoa(i)+"_key"] = strconv.Itoa(i) + "_value"
		}
		return tags
	}
	c := replayed(t, recordedAPI, "TestLambdaTags::test_tag_limits")
	c.function("f")
	c.call("tag_lambda_too_many_tags", &api.TagResourceInput{Resource: full, Tags: some(0, 51)})
	c.call("tag_response", &api.TagResourceInput{Resource: full, Tags: some(0, 50)})
	c.call("list_tags_response", &api.ListTagsInput{Resource: full})
	c.call("get_fn_response", &api.GetFunctionInput{FunctionName: "f"})
	c.call("tag_lambda_too_many_tags_additional", &api.TagResourceInput{Resource: full, Tags: map[string]string{"a_key": "a_value"}})
	in := c.creation("g")
	in.Tags = some(0, 51)
	c.call("create_function_invalid_tags", in)

	c = replayed(t, recordedAPI, "TestLambdaTags::test_tag_versions")
	c.function("f")
	c.call("", &api.PublishVersionInput{FunctionName: "f"})
	c.call("tag_resource_exception", &api.TagResourceInput{Resource: full + ":1", Tags: map[string]string{"a": "b"}})
	c.call("tag_resource_latest_exception", &api.TagResourceInput{Resource: full + ":$LATEST", Tags: map[string]string{"a": "b"}})

	c = replayed(t, recordedAPI, "TestLambdaTag::test_tag_exceptions[event_source_mapping]")
	const mapping = "arn:aws:lambda:us-east-1:111111111111:event-source-mapping:"
	const id = "5c1b0e7e-6a8a-4a39-8e07-2f2c16a1e6b1"
	c.Bind("<resource-name>", id)
	c.call("not_found_exception_tag", &api.TagResourceInput{Resource: mapping + id, Tags: map[string]string{"A": "B"}})
	c.call("not_found_exception_untag", &api.UntagResourceInput{Resource: mapping + id, TagKeys: []string{"A"}})
	c.call("not_found_exception_list", &api.ListTagsInput{Resource: mapping + id})
	c.Except("aliased_arn_exception/Error/Message", newerModel)
	c.Except("invalid_arn_exception/Error/Message", newerModel)
	c.call("aliased_arn_exception", &api.TagResourceInput{Resource: mapping + id + ":alias", Tags: map[string]string{"A": "B"}})
	c.call("invalid_arn_exception", &api.TagResourceInput{Resource: strings.Replace(mapping, "event-source-mapping", "foobar", 1) + id, Tags: map[string]string{"A": "B"}})
}

func TestRecordedLayerRefusals(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaLayer::test_layer_exceptions")
	content := &api.LayerVersionContentInput{ZipFile: zipped(t, "a", "b")}
	c.call("publish_result", &api.PublishLayerVersionInput{LayerName: "l", CompatibleArchitectures: []string{"x86_64"}, CompatibleRuntimes: []string{"python3.12"}, Content: content})
	c.Except("list_layers_exc_compatibleruntime_invalid/Error/Message", newerModel)
	c.call("list_layers_exc_compatibleruntime_invalid", &api.ListLayersInput{CompatibleRuntime: "runtimedoesnotexist"})
	c.call("list_layers_exc_compatiblearchitecture_invalid", &api.ListLayersInput{CompatibleArchitecture: "archdoesnotexist"})
	c.call("list_nonexistent_layer", &api.ListLayerVersionsInput{LayerName: "doesnotexist"})
	get := func(name string, n int64) *api.GetLayerVersionInput {
		return &api.GetLayerVersionInput{LayerName: name, VersionNumber: &n}
	}
	c.call("get_layer_version_exc_layer_doesnotexist", get("doesnotexist", 1))
	c.call("get_layer_version_exc_layer_version_doesnotexist_negative", get("l", -1))
	c.call("get_layer_version_exc_layer_version_doesnotexist_zero", get("l", 0))
	c.call("get_layer_version_exc_layer_version_doesnotexist_2", get("l", 2))
	const full = "arn:aws:lambda:us-east-1:111111111111:layer:l"
	c.Except("get_layer_version_by_arn_exc_invalidarn/Error/Message", newerModel)
	c.call("get_layer_version_by_arn_exc_invalidarn", &api.GetLayerVersionByArnInput{Arn: full})
	c.call("get_layer_version_by_arn_exc_nonexistentversion", &api.GetLayerVersionByArnInput{Arn: full + ":2"})
	remove := func(name string, n int64) *api.DeleteLayerVersionInput {
		return &api.DeleteLayerVersionInput{LayerName: name, VersionNumber: &n}
	}
	c.call("delete_nonexistent_response", remove("doesnotexist", 1))
	c.call("delete_nonexistent_version_response", remove("l", 2))
	c.call("delete_layer_response", remove("l", 1))
	c.call("delete_layer_again_response", remove("l", 1))
	c.call("delete_layer_version_exc_layerversion_invalid_version", remove("l", -1))
	c.call("publish_empty_result", &api.PublishLayerVersionInput{LayerName: "m", CompatibleArchitectures: []string{}, CompatibleRuntimes: []string{}, Content: content})
	for entry, given := range map[string][2][]string{
		"publish_layer_version_exc_invalid_runtime_arch":     {{"invalidruntime"}, {"invalidarch"}},
		"publish_layer_version_exc_partially_invalid_values": {{"invalidruntime", "invalidruntime2", "nodejs20.x"}, {"invalidarch", "x86_64"}},
	} {
		c.Except(entry+"/Error/Message", newerModel)
		c.call(entry, &api.PublishLayerVersionInput{LayerName: "m", CompatibleRuntimes: given[0], CompatibleArchitectures: given[1], Content: content})
	}

	c = replayed(t, recordedAPI, "TestLambdaLayer::test_layer_function_quota_exception")
	in := c.creation("f")
	for i := range 6 {
		in.Layers = append(in.Layers, full+strconv.Itoa(i)+":1")
		c.call("", &api.PublishLayerVersionInput{LayerName: "l" + strconv.Itoa(i), Content: content})
	}
	c.call("create_function_with_six_layers", in)
}
