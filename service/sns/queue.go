package sns

import (
	"context"
	"strings"

	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

const servicePrincipal = "sns.amazonaws.com"

// asSNS is the context in which SNS itself calls on behalf of a topic. It acts in no
// account, so that what it calls asks its own policy.
func (s *Service) asSNS(ctx context.Context, sub *subscription, region string) context.Context {
	topicARN, _ := arn.Parse(sub.Topic) // made by us
	return auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal},
		Scope:     arn.Scope{Region: region}, Service: "sns", Time: s.now(), RequestID: arn.NewID("req-"),
		SourceIP: servicePrincipal, UserAgent: servicePrincipal, SourceARN: sub.Topic, SourceAccount: topicARN.Account,
	})
}

// send sends a message to a subscription's queue, by leave of the queue's policy.
func (s *Service) send(ctx context.Context, sub *subscription, m *message) error {
	return s.sendTo(ctx, sub, sub.Endpoint, m)
}

// bury sends a message to a subscription's dead-letter queue.
func (s *Service) bury(ctx context.Context, sub *subscription, m *message) error {
	if sub.Attributes.DeadLetter == "" {
		return nil // there is none any more
	}
	return s.sendTo(ctx, sub, sub.Attributes.DeadLetter, m)
}

func (s *Service) sendTo(ctx context.Context, sub *subscription, queueARN string, m *message) error {
	to, err := arn.Parse(queueARN)
	if err != nil {
		return fault.New(fault.InvalidParameter, "%s is no queue", queueARN)
	}
	in := &sqs.SendMessageInput{
		QueueUrl: "https://sqs." + to.Region + ".amazonaws.com/" + to.Account + "/" + to.Resource, MessageGroupId: m.Group,
	}
	if strings.HasSuffix(to.Resource, fifoSuffix) {
		in.MessageDeduplicationId = m.Dedup
	} else if m.Sequence != "" {
		in.MessageGroupId = ""
	}
	if sub.Attributes.Raw && sub.Protocol == protoSQS {
		in.MessageBody, in.MessageAttributes = m.Body, queueAttributes(m.Attributes)
	} else if in.MessageBody, err = s.envelope(ctx, sub, m); err != nil {
		return err
	}
	_, err = s.sqs.SendMessage(s.asSNS(ctx, sub, to.Region), in)
	return err
}

func queueAttributes(from map[string]messageAttribute) map[string]sqs.MessageAttributeValue {
	if len(from) == 0 {
		return nil
	}
	out := map[string]sqs.MessageAttributeValue{}
	for name, a := range from {
		out[name] = sqs.MessageAttributeValue{DataType: a.Type, StringValue: a.Text, BinaryValue: a.Binary}
	}
	return out
}
