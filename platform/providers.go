package platform

import (
	"context"

	lambdaapi "github.com/slipway/slipway/api/lambda"
	snsapi "github.com/slipway/slipway/api/sns"
)

// providers are how CloudFormation reaches what provides custom resources: functions
// and topics, as the stack's caller.
type providers struct{ apis *apis }

// enqueue has a function run on a payload, some time: its answer comes another way.
func (p providers) enqueue(ctx context.Context, functionARN string, payload []byte) error {
	_, err := p.apis.lambda.Invoke(ctx, &lambdaapi.InvokeInput{FunctionName: functionARN, InvocationType: "Event", Payload: payload})
	return err
}

func (p providers) publish(ctx context.Context, topicARN, subject, message string) error {
	_, err := p.apis.sns.Publish(ctx, &snsapi.PublishInput{TopicArn: topicARN, Subject: subject, Message: message})
	return err
}
