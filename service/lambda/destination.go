package lambda

import (
	"context"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	sns "github.com/slipway/slipway/api/sns"
	sqs "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// post sends what is to be told of an event, a letter after the other. A letter
// that its destination refuses is lost, as on AWS: there is nobody to tell that.
func (s *Service) post(ctx context.Context, key string, e *event) error {
	for len(e.Outcome.Letters) > 0 {
		l := e.Outcome.Letters[0]
		err := s.sendLetter(ctx, e, l)
		switch _, refused := fault.As(err); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !refused && e.Outcome.Tries < mostLetter:
			e.Outcome.Tries++
			return errors.Join(err, s.again(ctx, key, e, letterRetry<<e.Outcome.Tries))
		case err != nil:
			s.log.Warn("lambda destination", "function", e.place().arn(e.Qualifier), "destination", l.To, "requestId", e.Request, "error", err)
		}
		e.Outcome.Letters, e.Outcome.Tries = e.Outcome.Letters[1:], 0
		if len(e.Outcome.Letters) > 0 {
			if err := s.store.Update(ctx, func(tx store.Tx) error { return events.Put(tx, key, e) }); err != nil {
				return err
			}
		}
	}
	return s.forget(ctx, key)
}

// asRole is the context in which a function's execution role calls. Where policies
// bind nobody, the service calls itself: the role need not be there.
func (s *Service) asRole(ctx context.Context, p place, role string, enforced bool, service string) (context.Context, error) {
	who := auth.Principal{Kind: auth.Service, Account: p.Account, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal}
	if enforced {
		if s.cfg.Assume == nil {
			return nil, errors.New("lambda: nobody can assume execution roles")
		}
		var err error
		if who, err = s.cfg.Assume(ctx, p.Scope, role, sessionName(p.name)); err != nil {
			return nil, err
		}
	}
	return auth.With(ctx, auth.Call{
		Principal: who, Scope: p.Scope, Service: service, Time: s.now(), RequestID: arn.NewUUID(), SourceIP: servicePrincipal,
		UserAgent: servicePrincipal, SourceARN: p.arn(""), SourceAccount: p.Account,
	}), nil
}

// sendLetter sends one letter, as the function's role.
func (s *Service) sendLetter(ctx context.Context, e *event, l letter) error {
	to, err := arn.Parse(l.To)
	if err != nil {
		return invalid("%s is no ARN", l.To)
	}
	ctx, err = s.asRole(ctx, e.place(), e.Outcome.Role, e.Outcome.Enforced, to.Service)
	if err != nil {
		return err
	}
	ctx = auth.WithToken(ctx, "lambda/"+e.Request)
	switch to.Service {
	case "sqs":
		in := &sqs.SendMessageInput{QueueUrl: queueURL(to), MessageBody: l.Body, MessageAttributes: map[string]sqs.MessageAttributeValue{}}
		for k, v := range l.Attributes {
			in.MessageAttributes[k] = sqs.MessageAttributeValue{DataType: kindOf(k), StringValue: v}
		}
		_, err = s.cfg.SQS.SendMessage(ctx, in)
		return err
	case "sns":
		in := &sns.PublishInput{TopicArn: l.To, Message: l.Body, MessageAttributes: map[string]sns.MessageAttributeValue{}}
		for k, v := range l.Attributes {
			in.MessageAttributes[k] = sns.MessageAttributeValue{DataType: kindOf(k), StringValue: v}
		}
		_, err = s.cfg.SNS.Publish(ctx, in)
		return err
	case "lambda":
		_, err = s.self().Invoke(ctx, &api.InvokeInput{FunctionName: l.To, InvocationType: api.InvocationTypeEvent, Payload: []byte(l.Body)})
		return err
	}
	return notBuilt("Invoke", "a destination of "+to.Service)
}

// kindOf is the type of an attribute of a dead letter.
func kindOf(attribute string) string {
	if attribute == "ErrorCode" {
		return "Number"
	}
	return "String"
}

// self is the service as others call it: behind what authorizes.
func (s *Service) self() api.Service {
	if s.cfg.Self != nil {
		return s.cfg.Self()
	}
	return s
}

// queueURL is the address of a queue; SQS goes by its path.
func queueURL(queue arn.ARN) string {
	return "https://sqs." + queue.Region + ".amazonaws.com/" + queue.Account + "/" + queue.Resource
}

// scaled is a deliberate wait as long as it is here.
func (c *Config) scaled(d time.Duration) time.Duration {
	if c.WaitScale <= 0 {
		return d
	}
	return time.Duration(float64(d) * c.WaitScale)
}
