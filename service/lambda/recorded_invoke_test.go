package lambda

import (
	"encoding/json"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/tests/corpus/replay"
)

const recordedCalls = "lambda_/test_lambda"

// answers has the runner answer with what a function makes.
func (c *recorded) answers(handle func(spec function.Spec, inv function.Invocation) (function.Result, error)) {
	c.runner.mu.Lock()
	defer c.runner.mu.Unlock()
	c.runner.handle = handle
}

func TestRecordedInvocationTypes(t *testing.T) {
	for name, kind := range map[string]string{
		"test_invocation_type_request_response[python3.10]": api.InvocationTypeRequestResponse, "test_invocation_type_request_response[nodejs16.x]": "",
		"test_invocation_type_event[python3.10]": api.InvocationTypeEvent, "test_invocation_type_dry_run[python3.9]": api.InvocationTypeDryRun,
		"test_invocation_type_dry_run[nodejs16.x]": api.InvocationTypeDryRun, "test_invocation_type_no_return_payload[python-Event]": api.InvocationTypeEvent,
	} {
		c := replayed(t, recordedCalls, "TestLambdaFeatures::"+name)
		c.function("f")
		if kind == api.InvocationTypeEvent || kind == api.InvocationTypeDryRun {
			c.Except("invoke-result/Payload", "it is empty")
			c.Except("invoke-result/ResponseMetadata/HTTPStatusCode", "it is a member of the answer, which is compared")
		}
		c.call("invoke-result", &api.InvokeInput{FunctionName: "f", InvocationType: kind, Payload: []byte("{}")})
	}

	c := replayed(t, recordedCalls, "TestLambdaBaseFeatures::test_lambda_too_large_response")
	c.function("f")
	c.answers(func(function.Spec, function.Invocation) (function.Result, error) {
		return function.Result{FunctionError: "Unhandled", Payload: []byte(`{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}`)}, nil
	})
	c.call("invoke_result", &api.InvokeInput{FunctionName: "f"})
	c.call("invoke_result_2", &api.InvokeInput{FunctionName: "f"})
}

// sha is for entries whose hash is in no placeholder's place.
func (c *recorded) sha(entries ...string) {
	for _, entry := range entries {
		c.Except(entry+"/CodeSha256", "the record has a word for it")
	}
}

func TestRecordedAliasMoving(t *testing.T) {
	c := replayed(t, recordedCalls, "TestLambdaAliases::test_lambda_alias_moving")
	c.answers(func(spec function.Spec, inv function.Invocation) (function.Result, error) {
		b, err := json.Marshal(map[string]string{"version_id": spec.Environment["CUSTOM_VAR"], "invoked_arn": inv.InvokedARN, "version_from_ctx": spec.Version})
		return function.Result{Payload: b}, err
	})
	in := c.creation("f")
	in.Handler, in.Description, in.Environment = "handler.handler", "No version :(", &api.Environment{Variables: map[string]string{"CUSTOM_VAR": "version1"}}
	for _, entry := range []string{"create_response", "update_lambda_response", "second_publish_response"} {
		c.sha(entry)
		c.Except(entry+"/Environment", "the recording has its version in the code")
	}
	c.call("create_response", in)
	c.settled("f")
	c.call("", &api.PublishVersionInput{FunctionName: "f", Description: "First version description :)"})
	c.call("create_alias_response", &api.CreateAliasInput{FunctionName: "f", Name: "alias1", FunctionVersion: "1"})
	run := func(entry, name, q string) {
		c.Case.Helper()
		c.call(entry, &api.InvokeInput{FunctionName: name, Qualifier: q, Payload: []byte("{}")})
	}
	run("invocation_result_qualifier_v1", "f", "alias1")
	run("invocation_result_qualifier_v1_arn", "arn:aws:lambda:us-east-1:111111111111:function:f:alias1", "")
	c.call("", &api.UpdateFunctionConfigurationInput{FunctionName: "f", Environment: &api.Environment{Variables: map[string]string{"CUSTOM_VAR": "version2"}}})
	c.settled("f")
	c.call("update_lambda_response", &api.UpdateFunctionCodeInput{FunctionName: "f", ZipFile: zipped(t, "handler.py", "version 2")})
	c.settled("f")
	run("invocation_result_qualifier_v1_after_update", "f", "alias1")
	c.call("second_publish_response", &api.PublishVersionInput{FunctionName: "f", Description: "Second version description :)"})
	run("invocation_result_qualifier_v1_after_publish", "f", "alias1")
	c.call("update_alias_response", &api.UpdateAliasInput{FunctionName: "f", Name: "alias1", FunctionVersion: "2"})
	run("invocation_result_qualifier_v2", "f", "alias1")
	run("invocation_exc_not_existent", "f", "non-existent-alias")
}

func TestRecordedReservedConcurrency(t *testing.T) {
	c := replayed(t, recordedCalls, "TestLambdaConcurrency::test_reserved_concurrency_async_queue")
	c.function("f")
	c.sha("fn")
	c.call("fn", &api.GetFunctionConfigurationInput{FunctionName: "f", Qualifier: "$LATEST"})
	c.call("put_fn_concurrency", &api.PutFunctionConcurrencyInput{FunctionName: "f", ReservedConcurrentExecutions: new(int32(1))})
	begun, end, done := make(chan bool), make(chan bool), make(chan error)
	c.answers(func(function.Spec, function.Invocation) (function.Result, error) {
		begun <- true
		<-end
		return function.Result{Payload: []byte("{}")}, nil
	})
	go func() {
		_, err := c.Invoke(c.ctx, &api.InvokeInput{FunctionName: "f"})
		done <- err
	}()
	<-begun
	c.call("too_many_requests_exc", &api.InvokeInput{FunctionName: "f"})
	close(end)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// raises is a function that fails as that of a record does.
func raises(message, frame string) func(function.Spec, function.Invocation) (function.Result, error) {
	return func(_ function.Spec, inv function.Invocation) (function.Result, error) {
		b, err := json.Marshal(map[string]any{"errorMessage": message, "errorType": "Exception", "requestId": inv.RequestID, "stackTrace": []string{frame}})
		return function.Result{FunctionError: "Unhandled", Payload: b}, err
	}
}

// body is what a recorded message says, and with what attributes.
func body(c *recorded, message any) (said any, attributes any) {
	c.Case.Helper()
	m, ok := message.(map[string]any)
	if !ok || m["Body"] == nil {
		c.Case.Fatalf("%v is no message", message)
	}
	return m["Body"], m["MessageAttributes"]
}

// first is the first message of a recorded answer of SQS.
func first(c *recorded, entry string) (said any, attributes any) {
	c.Case.Helper()
	answer, _ := c.Entry(entry).(map[string]any)
	list, _ := answer["Messages"].([]any)
	if len(list) != 1 {
		c.Case.Fatalf("%s has %d messages", entry, len(list))
	}
	c.Leave(entry, "what is around the message is SQS's")
	return body(c, list[0])
}

// letterOf waits for a letter, and gives what it says.
func letterOf(t *testing.T, q *queues, n int) string {
	t.Helper()
	until(t, "a letter", func() bool { return len(q.all()) > n })
	return q.all()[n].MessageBody
}

func TestRecordedDestinations(t *testing.T) {
	const file = "lambda_/test_lambda_destinations"
	destined := func(name string, scale float64, change ...func(*Config)) (*recorded, *queues) {
		q := &queues{}
		w := newWorld(t, append(change, withQueues(q, scale))...)
		return &recorded{replay.Open(t, file, api.Describe(), w.Service).Case(t, name), w}, q
	}
	failure := func(age *int32, retries int32) *api.PutFunctionEventInvokeConfigInput {
		return &api.PutFunctionEventInvokeConfigInput{
			FunctionName: "f", MaximumEventAgeInSeconds: age, MaximumRetryAttempts: &retries,
			DestinationConfig: &api.DestinationConfig{OnFailure: &api.OnFailure{Destination: queueARN}},
		}
	}
	const frame = "  File \"/var/task/handler.py\", line 7, in handler\n    raise Exception(\"intentional failure\")\n"

	c, q := destined("TestLambdaDestinationSqs::test_retries", 0.0005)
	c.function("f")
	c.call("", failure(nil, 2))
	c.answers(raises("intentional failure", frame))
	c.event("f", `{"message":"the id"}`)
	want, _ := first(c, "queue_destination_payload")
	c.Bind("<test-msg-id>", "the id")
	c.Compare("queue_destination_payload", want, letterOf(t, q, 0))

	// An event of 60 s is too old for the first retry, after a minute; none passes here.
	c, q = destined("TestLambdaDestinationSqs::test_maxeventage", 0.0005, func(cfg *Config) { cfg.Now = newClock().time })
	c.function("f")
	c.call("", failure(new(int32(60)), 2))
	c.answers(raises("intentional failure", frame))
	c.Bind("<test-msg-id>", "the id")
	c.event("f", `{"message":"the id"}`)
	want, _ = body(c, c.Entry("no_retry_failure_message"))
	c.Compare("no_retry_failure_message", want, letterOf(t, q, 0))
	c.Leave("no_retry_failure_message", "what is around the message is SQS's")
	c.Leave("single_retry_failure_message", "the clock of the test stands still")

	c, q = destined("TestLambdaDestinationSqs::test_lambda_destination_default_retries", 0.0005)
	c.function("f")
	c.call("put_function_event_invoke_config", &api.PutFunctionEventInvokeConfigInput{FunctionName: "f", DestinationConfig: &api.DestinationConfig{
		OnSuccess: &api.OnSuccess{Destination: queueARN}, OnFailure: &api.OnFailure{Destination: queueARN},
	}})
	c.answers(raises("Test exception (this is intentional)", "  File \"/var/task/handler.py\", line 55, in handler\n    raise Exception(\"Test exception (this is intentional)\")\n"))
	c.event("f", `{"raise_error":1}`)
	want, _ = first(c, "receive_message_result")
	c.Compare("receive_message_result", want, letterOf(t, q, 0))

	c, q = destined("TestLambdaDLQ::test_dead_letter_queue", 0.0005)
	c.make("f", func(in *api.CreateFunctionInput) {
		in.Handler, in.Timeout, in.Environment = "handler.handler", new(int32(30)), &api.Environment{Variables: map[string]string{}}
		in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: queueARN}
	})
	c.answers(raises("Test exception (this is intentional)", "  File \"/var/task/handler.py\", line 55, in handler\n    raise Exception(\"Test exception (this is intentional)\")\n"))
	c.event("f", `{"raise_error":1}`)
	want, attributes := first(c, "receive_result")
	c.Compare("receive_result", want, letterOf(t, q, 0))
	told := map[string]any{}
	for name, a := range q.all()[0].MessageAttributes {
		told[name] = map[string]any{"DataType": a.DataType, "StringValue": a.StringValue}
	}
	c.Compare("receive_result/MessageAttributes", attributes, told)
	c.Bind("<log-result:1>", "U1RBUlQ=")
	c.answers(func(spec function.Spec, inv function.Invocation) (function.Result, error) {
		res, err := raises("Test exception (this is intentional)", "  File \"/var/task/handler.py\", line 55, in handler\n    raise Exception(\"Test exception (this is intentional)\")\n")(spec, inv)
		res.Tail = []byte("START")
		return res, err
	})
	c.call("invoke_result", &api.InvokeInput{FunctionName: "f", LogType: api.LogTypeTail, Payload: []byte(`{"raise_error":1}`)})
	c.Except("delete_dlq/DeadLetterConfig", "an empty structure and one with an empty ARN, which takes it away, are one here")
	c.call("delete_dlq", &api.UpdateFunctionConfigurationInput{FunctionName: "f", DeadLetterConfig: &api.DeadLetterConfig{}})
	c.Leave("create_lambda_with_dlq", "it is two answers in one")
	c.Leave("log_result", "package compute/function runs real programs, and holds what they print")
}

func TestRecordedPolicyVersions(t *testing.T) {
	c := replayed(t, recordedAPI, "TestLambdaPermissions::test_lambda_permission_versioning")
	c.function("f")
	add := func(sid, q string) *api.AddPermissionInput {
		return &api.AddPermissionInput{FunctionName: "f", StatementId: sid, Qualifier: q, Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com", SourceArn: "arn:aws:s3:::bucket"}
	}
	get := func(q string) *api.GetPolicyInput { return &api.GetPolicyInput{FunctionName: "f", Qualifier: q} }
	c.call("add_permission", add("s3", ""))
	c.call("get_policy", get(""))
	c.call("", &api.PublishVersionInput{FunctionName: "f"})
	for _, entry := range []string{"get_policy_after_publishing_latest", "get_policy_after_adding_to_new_version"} {
		c.Except(entry+"/RevisionId", "the record does not tell what the recording changed; in the other case it stays")
	}
	c.call("get_policy_after_publishing_latest", get(""))
	c.call("get_policy_after_publishing_new_version", get("1"))
	c.call("", add("s3", "1"))
	c.call("get_policy_after_adding_to_new_version", get(""))
	c.call("", add("s3_2", ""))
	c.call("get_policy_after_adding_2", get(""))

	c = replayed(t, recordedAPI, "TestLambdaPermissions::test_lambda_permission_fn_versioning")
	c.function("f")
	c.call("add_permission", add("s3", ""))
	c.call("get_policy", get(""))
	c.call("publish_version_result", &api.PublishVersionInput{FunctionName: "f"})
	c.call("get_function_result_after_publishing", &api.GetFunctionInput{FunctionName: "f"})
	c.call("get_policy_after_publishing_latest", get(""))
	c.call("get_policy_after_publishing_new_version", get("1"))
	c.call("", add("s3", "1"))
	c.call("get_policy_version", get("1"))
	c.call("create_alias_response", &api.CreateAliasInput{FunctionName: "f", Name: "permission-alias", FunctionVersion: "1"})
	c.call("get_alias", &api.GetAliasInput{FunctionName: "f", Name: "permission-alias"})
	wrong := add("s3", "permission-alias")
	wrong.RevisionId = "5c1b0e7e-6a8a-4a39-8e07-2f2c16a1e6b1"
	c.call("add_permission_alias_revision_exception", wrong)
	c.call("", add("s3", "permission-alias"))
	c.call("get_policy_alias", get("permission-alias"))
	c.call("get_policy_after_adding_to_new_version", get(""))
	c.call("", add("s3_2", ""))
	c.call("get_policy_after_adding_2", get(""))
}
