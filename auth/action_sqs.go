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
	if path, ok := QueuePath(in.text("QueueUrl")); ok && path != "" {
		path = strings.Trim(path, "/")
		cut := strings.LastIndexByte(path, '/')
		name = path[cut+1:]
		if cut >= 0 {
			account := path[:cut]
			scope.Account = account[strings.LastIndexByte(account, '/')+1:]
		}
	}
	if owner := in.text("QueueOwnerAWSAccountId"); owner != "" {
		scope.Account = owner
	}
	if name != "" {
		return []string{scope.ARN("sqs", name).String()}
	}
	if handle, err := base64.StdEncoding.DecodeString(in.text("TaskHandle")); err == nil {
		var task struct {
			Source string `json:"sourceArn"`
		}
		if json.Unmarshal(handle, &task) == nil && task.Source != "" {
			return []string{task.Source}
		}
	}
	return in.some("SourceArn")
}

// QueuePath is the path of a queue's URL. Those that SQS gives out need no more
// than a look at each of their characters.
func QueuePath(queueURL string) (path string, ok bool) {
	if path, ok := plainPath(queueURL); ok {
		return path, true
	}
	u, err := url.Parse(queueURL)
	if err != nil {
		return "", false
	}
	return u.Path, true
}

// plainPath is the path of a URL of a plain host, with or without a port, and a
// path in which every character stands for itself.
func plainPath(text string) (path string, ok bool) {
	host, ok := strings.CutPrefix(text, "http://")
	if !ok {
		if host, ok = strings.CutPrefix(text, "https://"); !ok {
			return "", false
		}
	}
	port := false
	for i := range len(host) {
		switch c := host[i]; {
		case c == '/':
			path = host[i:]
			for j := range len(path) {
				if c := path[j]; c != '/' && (c == '~' || !unreserved(c)) {
					return "", false
				}
			}
			return path, i > 0
		case c == ':' && !port && i > 0:
			port = true
		case '0' <= c && c <= '9':
		case !port && c != '~' && unreserved(c):
		default:
			return "", false
		}
	}
	return "", false
}
