package cloudformation

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The events of a stack with NotificationARNs are published to its topics: at least
// once, and in their order.

const (
	maxTopics        = 5 // of a stack
	notificationName = "AWS CloudFormation Notification"
	servicePrincipal = "cloudformation.amazonaws.com"
)

// checkTopics refuses topics that are none, in the words of SNS. Of another account's
// topic only SNS can say, when it is published to.
func (s *Service) checkTopics(ctx context.Context, topics []string) error {
	if len(topics) > maxTopics {
		return constraint("notificationARNs", "["+strings.Join(topics, ", ")+"]", "Member must have length less than or equal to 5")
	}
	own := auth.From(ctx)
	for _, topic := range topics {
		a, err := arn.Parse(topic)
		if err == nil && a.Account != own.Scope.Account && a.Service == "sns" && arn.IsAccount(a.Account) {
			continue
		}
		call := auth.Call{
			Principal: auth.Principal{Kind: auth.Service, Name: servicePrincipal, ARN: servicePrincipal, UserID: servicePrincipal},
			Scope:     own.Scope, Service: "cloudformation", Time: s.cfg.Now(), RequestID: own.RequestID,
		}
		_, err = s.cfg.SNS.GetTopicAttributes(auth.With(ctx, call), &sns.GetTopicAttributesInput{TopicArn: topic})
		if f, ok := fault.As(err); ok {
			return fault.New(fault.ValidationError, "%s (Service: AmazonSNS; Status Code: %d; Error Code: %s; Request ID: %s; Proxy: null)",
				f.Message, statusOf(f), f.Code, own.RequestID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func statusOf(f *fault.Error) int {
	if f.Code == fault.SNSNotFound {
		return 404
	}
	return fault.Status(f.Code)
}

// noticeBatch bounds what one look at the outbox reads.
const noticeBatch = 100

// publishNotices publishes what the outbox has. Retry rule: it runs again whole; what
// was published but not taken out is published again.
func (s *Service) publishNotices(ctx context.Context) error {
	for {
		var batch []store.Entry[apply.Notice]
		err := s.view(ctx, func(tx store.Tx) error {
			batch = nil
			for e, err := range apply.Notices.Scan(tx, "") {
				if err != nil {
					return err
				}
				if batch = append(batch, e); len(batch) == noticeBatch {
					return nil
				}
			}
			return nil
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		sent, failure := 0, error(nil)
		for ; sent < len(batch) && failure == nil; sent++ {
			if failure = s.publish(ctx, batch[sent].Value); failure != nil {
				break
			}
		}
		err = s.update(ctx, func(l *apply.Ledger) error {
			for _, e := range batch[:sent] {
				if err := apply.Notices.Delete(l.Tx, e.Key); err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(failure, err); err != nil {
			return err
		}
	}
}

// publish tells a stack's topics of one event. What a topic refuses is not tried again:
// the stack's operation does not depend on it.
func (s *Service) publish(ctx context.Context, n *apply.Notice) error {
	for _, topic := range n.Topics {
		a, err := arn.Parse(topic)
		if err != nil || s.cfg.SNS == nil {
			continue
		}
		own, _ := arn.Parse(n.Event.StackID) // made by us
		call := auth.Call{
			Principal: n.By.Principal, Scope: arn.Scope{Account: own.Account, Region: a.Region}, RequestID: n.By.RequestID,
			Endpoint: n.By.Endpoint, Service: "cloudformation", Time: s.cfg.Now(), SourceIP: servicePrincipal, UserAgent: servicePrincipal,
		}
		_, err = s.cfg.SNS.Publish(auth.With(ctx, call), &sns.PublishInput{TopicArn: topic, Subject: notificationName, Message: notification(own.Account, n)})
		if _, refused := fault.As(err); refused {
			s.cfg.Logger.Warn("a topic refuses a stack's event", "stack", n.Event.StackID, "topic", topic, "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// notification is an event as AWS writes it to topics ("Monitor stack progress",
// AWS CloudFormation User Guide): a line for each member.
func notification(account string, n *apply.Notice) string {
	e := &n.Event
	orNull := func(text string) string {
		if text == "" {
			return "null"
		}
		return text
	}
	var b strings.Builder
	for _, line := range [][2]string{
		{"StackId", e.StackID}, {"Timestamp", e.Time.UTC().Format("2006-01-02T15:04:05.000Z")}, {"EventId", e.ID}, {"LogicalResourceId", e.LogicalID},
		{"Namespace", account}, {"PhysicalResourceId", e.PhysicalID}, {"PrincipalId", n.By.Principal.UserID}, {"ResourceProperties", orNull(e.Properties)},
		{"ResourceStatus", e.Status}, {"ResourceStatusReason", e.Reason}, {"ResourceType", e.Type}, {"StackName", e.StackName},
		{"ClientRequestToken", orNull(e.Request)},
	} {
		b.WriteString(line[0] + "='" + line[1] + "'\n")
	}
	return b.String()
}

// asAny is a list as properties have it.
func asAny(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
