package cloudwatch

import (
	"context"
	"strings"

	sns "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// Topics are the actions that tell a topic of SNS.
type Topics struct{ SNS sns.Service }

var _ Action = Topics{}

// maxSubject is how long the subject of a message may be, in bytes.
const maxSubject = 99

// Take publishes the message. The topic's policy is asked whether alarms may.
func (t Topics) Take(ctx context.Context, target arn.ARN, n Notification) error {
	text, err := n.Message()
	if err != nil {
		return err
	}
	in := &sns.PublishInput{TopicArn: target.String(), Subject: n.subject(), Message: text}
	if strings.HasSuffix(target.Resource, ".fifo") {
		alarm := arn.Hash(n.Place)
		in.MessageGroupId, in.MessageDeduplicationId = alarm, arn.Hash(alarm+wireTime(n.Now.Turned))
	}
	_, err = t.SNS.Publish(ctx, in)
	if call := auth.From(ctx); fault.Is(err, fault.AuthorizationError) && target.Account == call.SourceAccount {
		// The policy that every topic begins with names no service. It lets its owner in,
		// for whom the alarms of the account act, too.
		call.Principal.Account, call.Principal.Name = call.SourceAccount, ""
		call.Principal.ARN = arn.ARN{Service: "iam", Account: call.SourceAccount, Resource: "root"}.String()
		_, err = t.SNS.Publish(auth.With(ctx, call), in)
	}
	return err
}

// subject is Subject as SNS takes it: no more than it takes, and in ASCII.
func (n Notification) subject() string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, n.Subject())
	return text[:min(len(text), maxSubject)]
}
