package auth

import (
	"strings"

	"github.com/slipway/slipway/auth/policy"
)

// operation is the entry of an operation in its service's table: the leave that
// it needs ("Actions, resources, and condition keys for AWS services", Service
// Authorization Reference).
type operation struct {
	action string // "s3:GetObject"; "" is the operation's own name
	on     namer  // nil: the action is on "*"
	// needs says what else the operation needs leave for.
	needs func(a *asking)
}

// namer builds the ARNs of what an operation acts on. None is a resource that the
// input does not name: only an Allow of every resource covers it.
type namer func(c *Call, in membersOf) []string

// table is the operations of a service.
type table struct {
	prefix     string // of its actions and condition keys
	operations map[string]operation
	// keys tells the service's own condition keys, without the prefix and in
	// lower case. known is false for one that is not evaluated.
	keys func(k *requestKeys, key string) (values []string, known bool)
}

// tables are the services that are built, by their names here.
var tables = map[string]*table{
	"cloudcontrol":   &controlTable,
	"cloudformation": &stackTable, "cloudwatch": &cloudwatchTable, "ec2": &ec2Table, "iam": &iamTable, "kms": &kmsTable, "lambda": &lambdaTable,
	"logs": &logsTable, "organizations": &organizationsTable, "s3": &s3Table, "secretsmanager": &secretsTable, "sns": &snsTable, "sqs": &sqsTable, "ssm": &ssmTable, "sts": &stsTable,
}

// entries joins the parts of a table.
func entries(parts ...map[string]operation) map[string]operation {
	out := map[string]operation{}
	for _, p := range parts {
		for name, o := range p {
			if _, ok := out[name]; ok {
				panic("auth: two entries for operation " + name)
			}
			out[name] = o
		}
	}
	return out
}

// act is entries of one kind: the operations, which are separated by spaces, name
// their own actions.
func act(on namer, operations string) map[string]operation {
	out := map[string]operation{}
	for name := range strings.FieldsSeq(operations) {
		out[name] = operation{on: on}
	}
	return out
}

// prefixes are the IAM prefixes that differ from the names of services here that
// have no table yet.
var prefixes = map[string]string{
	"elbv2":                    "elasticloadbalancing",
	"stepfunctions":            "states",
	"sfn":                      "states",
	"apigatewayv2":             "apigateway",
	"resourcegroupstaggingapi": "tag",
	"monitoring":               "cloudwatch",
}

// asking collects what an operation needs leave for.
type asking struct {
	call *Call
	in   membersOf
	out  []Request
	// launch is what RunInstances comes to, where the service has told.
	launch *Launch
}

// also adds an action. Its resources may be none: policy.Unknown.
func (a *asking) also(action string, resources ...string) {
	a.with(nil, action, resources...)
}

// with is also, with condition keys of its own.
func (a *asking) with(own policy.Context, action string, resources ...string) {
	if len(resources) == 0 {
		resources = []string{policy.Unknown}
	}
	a.out = append(a.out, Request{
		Principal: a.call.Principal, Service: a.call.Service, Action: action, Resources: resources,
		Context: a.call.keys(a.in, action, own),
	})
}

// passRole asks leave to give a role to a service.
func (a *asking) passRole(role, service string) {
	if role != "" {
		a.out = append(a.out, a.call.PassRole(role, service))
	}
}

// HasEntry reports whether the table of a service says what an operation needs.
func HasEntry(service, operation string) bool {
	t, ok := tables[service]
	if !ok {
		return false
	}
	_, ok = t.operations[operation]
	return ok
}

// Requests are what the call's operation needs leave for: the action on its
// resources, and sometimes other actions.
func (c Call) Requests(input any) []Request { return c.requests(input) }

// requests is Requests of a call that does not change while they are used.
func (c *Call) requests(input any) []Request {
	a := asking{call: c, in: members(input)}
	if l, ok := input.(*Launch); ok {
		a.launch, a.in = l, members(l.Input)
	}
	t, o, ok := c.entry()
	if !ok {
		prefix := c.Service
		if p, ok := prefixes[c.Service]; ok {
			prefix = p
		}
		resource := policy.Unknown
		if t == nil && (strings.HasPrefix(c.Operation, "List") || strings.HasPrefix(c.Operation, "Describe")) {
			resource = "*"
		}
		a.also(prefix+":"+c.Operation, resource)
		return a.out
	}
	action := o.action
	if action == "" {
		action = t.prefix + ":" + c.Operation
	}
	resources := []string{"*"}
	if o.on != nil {
		resources = o.on(c, a.in)
	}
	if action != noAction {
		a.also(action, resources...)
	}
	if o.needs != nil {
		o.needs(&a)
	}
	return a.out
}

// noAction marks an operation whose needs say all.
const noAction = "-"

func (c *Call) entry() (*table, operation, bool) {
	t, ok := tables[c.Service]
	if !ok {
		return nil, operation{}, false
	}
	o, ok := t.operations[c.Operation]
	return t, o, ok
}

// PassRole is the leave that the caller needs to give a role to an AWS service
// ("Grant a user permissions to pass a role to an AWS service", IAM User Guide).
// A service asks it itself where only its records know the role.
func (c Call) PassRole(role, service string) Request {
	return Request{
		Principal: c.Principal, Service: c.Service, Action: "iam:PassRole", Resources: []string{role},
		Context: c.keys(membersOf{}, "iam:PassRole", policy.Context{"iam:passedtoservice": {service}}),
	}
}

// Asking is the leave for one action on one resource, for services that learn
// what a call acts on only from their records.
func (c Call) Asking(action, resource string, own policy.Context) Request {
	return Request{
		Principal: c.Principal, Service: c.Service, Action: action, Resources: []string{resource},
		Context: c.keys(membersOf{}, action, own),
	}
}
