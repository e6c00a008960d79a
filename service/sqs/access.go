package sqs

import (
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// shared are the actions that a queue's policy can open to other accounts
// ("Limitations of Amazon SQS custom policies", Developer Guide).
var shared = map[string]bool{
	"sqs:SendMessage": true, "sqs:ReceiveMessage": true, "sqs:DeleteMessage": true, "sqs:ChangeMessageVisibility": true,
	"sqs:GetQueueAttributes": true, "sqs:GetQueueUrl": true, "sqs:ListDeadLetterSourceQueues": true, "sqs:PurgeQueue": true,
}

// rootActions are what the root user of the queue's account may always do, or
// nobody could take a policy back that denies everybody.
var rootActions = map[string]bool{"sqs:GetQueueAttributes": true, "sqs:SetQueueAttributes": true}

// permit applies the queue's policy: a Deny to all principals that policies
// bind, an Allow to those of other accounts, who need one. What a caller's own
// policies allow was decided before the call got here.
func permit(call auth.Call, p place, q *queue) error {
	other := call.Scope.Account != p.Account
	text := q.Attributes.Policy
	if !other && (text == "" || !call.Principal.Enforced || call.Principal.Kind == auth.Service) {
		return nil
	}
	ask := call.Requests(nil)[0]
	if !other && call.Principal.Kind == auth.Root && rootActions[ask.Action] {
		return nil
	}
	decision := policy.NoMatch
	if text != "" {
		doc, err := parsedPolicies.Parse(text, policy.Resource)
		if err != nil {
			return err
		}
		decision = doc.Decide(call.Principal.Caller(), policy.Request{Action: ask.Action, Resource: p.arn(), Context: ask.Context})
	}
	switch {
	case decision == policy.Denied:
		return fault.New(fault.AccessDenied, "User: %s is not authorized to perform: %s on resource: %s with an explicit deny in a resource-based policy",
			call.Principal.ARN, ask.Action, p.arn())
	case other && (decision != policy.Allowed || !shared[ask.Action]):
		return fault.New(fault.AccessDenied, "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
			call.Principal.ARN, ask.Action, p.arn(), ask.Action)
	}
	return nil
}
