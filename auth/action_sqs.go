package auth

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
)

var sqsTable = table{prefix: "sqs", keys: noKeys, operations: entries(
	act(queue, "AddPermission ChangeMessageVisibility CreateQueue DeleteMessage DeleteQueue GetQueueAttributes GetQueueUrl "+
		"ListDeadLetterSourceQueues ListQueueTags PurgeQueue ReceiveMessage RemovePermission SendMessage SetQueueAttributes "+
		"TagQueue UntagQueue ListMessageMoveTasks CancelMessageMoveTask"),
	act(nil, "ListQueues"),
	map[string]operation{
		"ChangeMessageVisibilityBatch": {action: "sqs:ChangeMessageVisibility", on: queue},
		"DeleteMessageBatch":           {action: "sqs:DeleteMessage", on: queue},
		"SendMessageBatch":             {action: "sqs:SendMessage", on: queue},
		"StartMessageMoveTask": {on: queue, needs: func(a *asking) {
			from := a.in.text("SourceArn")
			a.also("sqs:ReceiveMessage", from)
			a.also("sqs:DeleteMessage", from)
			a.also("sqs:GetQueueAttributes", from)
			if to := a.in.text("DestinationArn"); to != "" {
				a.also("sqs:SendMessage", to)
			}
		}},
	},
)}

// noKeys is a service without condition keys of its own.
func noKeys(*requestKeys, string) ([]string, bool) { return nil, false }

// queue is named by its URL, its name or, by the tasks that move messages, its ARN.
func queue(c *Call, in membersOf) []string {
	scope := c.Scope
	name := in.text("QueueName")
	if u, err := url.Parse(in.text("QueueUrl")); err == nil && u.Path != "" {
		parts := strings.Split(strings.Trim(u.Path, "/"), "/")
		name = parts[len(parts)-1]
		if len(parts) > 1 {
			scope.Account = parts[len(parts)-2]
		}
	}
	if owner := in.text("QueueOwnerAWSAccountId"); owner != "" {
		scope.Account = owner
	}
	if handle, err := base64.StdEncoding.DecodeString(in.text("TaskHandle")); err == nil && name == "" {
		var task struct {
			Source string `json:"sourceArn"`
		}
		if json.Unmarshal(handle, &task) == nil && task.Source != "" {
			return []string{task.Source}
		}
	}
	if name == "" {
		return in.some("SourceArn")
	}
	return []string{scope.ARN("sqs", name).String()}
}
