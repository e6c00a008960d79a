package platform

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// TestObjectsInvokeFunctions: a bucket's events reach a function, once its policy lets
// S3 in; what it answers shows that it was invoked with them.
func TestObjectsInvokeFunctions(t *testing.T) {
	p := start(t, nil)
	const account, function = "000000000000", "arn:aws:lambda:us-east-1:000000000000:function:f"
	makeFunction(t, p)
	a := p.services.apis
	ctx := auth.With(t.Context(), auth.Call{Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: "us-east-1"}, Time: time.Now(), Endpoint: p.Endpoint()})
	queue := got[*sqs.CreateQueueOutput](t)(a.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: "answers"})).QueueUrl
	got[*lambda.PutFunctionEventInvokeConfigOutput](t)(a.lambda.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: "f", DestinationConfig: &lambda.DestinationConfig{OnSuccess: &lambda.OnSuccess{Destination: "arn:aws:sqs:us-east-1:000000000000:answers"}},
	}))
	got[*s3.CreateBucketOutput](t)(a.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: "uploads"}))
	notify := func(function string) error {
		_, err := a.s3.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{Bucket: "uploads", NotificationConfiguration: &s3.NotificationConfiguration{
			LambdaFunctionConfigurations: []s3.LambdaFunctionConfiguration{{LambdaFunctionArn: function, Events: []string{"s3:ObjectCreated:*"}}},
		}})
		return err
	}
	for _, refused := range []string{function, function + "-none"} { // who may not call it is not told whether it is there
		why := "Not authorized to invoke function [" + refused + "]"
		if e, ok := fault.As(notify(refused)); !ok || e.Fields["ArgumentName"] != refused || e.Fields["ArgumentValue"] != why {
			t.Errorf("notifications of %s: %v %v, want refused: %s", refused, e, e.Fields, why)
		}
	}
	got[*lambda.AddPermissionOutput](t)(a.lambda.AddPermission(ctx, &lambda.AddPermissionInput{
		FunctionName: "f", StatementId: "s3", Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com", SourceArn: "arn:aws:s3:::uploads", SourceAccount: account,
	}))
	if err := notify(function); err != nil {
		t.Fatal(err)
	}
	got[*s3.PutObjectOutput](t)(a.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: "uploads", Key: "a b", Body: io.NopCloser(strings.NewReader("hello"))}))
	for end := time.Now().Add(time.Minute); ; {
		out := got[*sqs.ReceiveMessageOutput](t)(a.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: new(int32(5))}))
		if len(out.Messages) > 0 {
			body := out.Messages[0].Body
			if !strings.Contains(body, `"eventName":"ObjectCreated:Put"`) || !strings.Contains(body, `"key":"a+b"`) || !strings.Contains(body, `"responsePayload":{"Records"`) {
				t.Errorf("the answer is %s", body)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("no answer comes")
		}
	}
}
