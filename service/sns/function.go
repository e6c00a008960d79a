package sns

import (
	"context"
	"encoding/base64"
	"encoding/json"

	lambda "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

// functionEvent is what a function gets ("Process Amazon SNS notifications with Lambda",
// AWS Lambda Developer Guide).
type functionEvent struct {
	Records []functionRecord
}

type functionRecord struct {
	EventSource          string
	EventVersion         string
	EventSubscriptionArn string
	Sns                  functionMessage
}

type functionMessage struct {
	Type              string
	MessageID         string `json:"MessageId"`
	TopicArn          string
	Subject           *string
	Message           string
	Timestamp         string
	SignatureVersion  string
	Signature         string
	SigningCertURL    string                       `json:"SigningCertUrl"`
	UnsubscribeURL    string                       `json:"UnsubscribeUrl"`
	MessageAttributes map[string]functionAttribute // never null
}

type functionAttribute struct{ Type, Value string }

// invoke gives a message to a subscription's function, which Lambda invokes as an event:
// what becomes of it there is Lambda's to see to.
func (s *Service) invoke(ctx context.Context, sub *subscription, m *message) error {
	to, err := arn.Parse(sub.Endpoint)
	if err != nil || s.lambda == nil {
		return fault.New(fault.InvalidParameter, "%s is no function", sub.Endpoint)
	}
	k, err := s.signingKey(ctx)
	if err != nil {
		return err
	}
	const version = "1" // also where the topic has another one, as on AWS
	signature, err := k.sign(version, s.signed(sub, m))
	if err != nil {
		return err
	}
	record := functionRecord{EventSource: "aws:sns", EventVersion: "1.0", EventSubscriptionArn: sub.arn(), Sns: functionMessage{
		Type: m.Kind.text(), MessageID: m.ID, TopicArn: m.Topic, Message: m.Body, Timestamp: stamp(m.Time), SignatureVersion: version, Signature: signature,
		SigningCertURL: s.base(sub) + k.path, UnsubscribeURL: s.unsubscribeURL(sub), MessageAttributes: map[string]functionAttribute{},
	}}
	if m.Subject != "" {
		record.Sns.Subject = &m.Subject
	}
	for name, a := range m.Attributes {
		value := a.Text
		if a.isBinary() {
			value = base64.StdEncoding.EncodeToString(a.Binary)
		}
		record.Sns.MessageAttributes[name] = functionAttribute{a.Type, value}
	}
	payload, err := json.Marshal(functionEvent{Records: []functionRecord{record}})
	if err != nil {
		return err
	}
	_, err = s.lambda().Invoke(s.asSNS(ctx, sub, to.Region), &lambda.InvokeInput{
		FunctionName: sub.Endpoint, InvocationType: lambda.InvocationTypeEvent, Payload: payload,
	})
	return err
}
