package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"sync"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxActions is how many actions AddPermission names at most ("AddPermission",
// Amazon SQS API Reference).
const maxActions = 7

var labelForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`) })

// permissions is a queue's policy with its statements as they were written.
type permissions struct {
	Version   string
	ID        string `json:"Id,omitempty"`
	Statement statements
}

// statements are a list, also where the policy has a single one.
type statements []json.RawMessage

func (s *statements) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		*s = statements{bytes.Clone(b)}
		return nil
	}
	return json.Unmarshal(b, (*[]json.RawMessage)(s))
}

// permission is the statement that AddPermission makes.
type permission struct {
	Sid       string
	Effect    string
	Principal struct {
		AWS oneOrMany
	}
	Action   oneOrMany
	Resource string
}

// oneOrMany is a string where there is one value, as AWS writes its policies.
type oneOrMany []string

func (o oneOrMany) MarshalJSON() ([]byte, error) {
	if len(o) == 1 {
		return json.Marshal(o[0])
	}
	return json.Marshal([]string(o))
}

func (p *permissions) find(label string) int {
	return slices.IndexFunc(p.Statement, func(b json.RawMessage) bool {
		var s struct{ Sid string }
		return json.Unmarshal(b, &s) == nil && s.Sid == label
	})
}

func (q *queue) permissions() (*permissions, error) {
	p := &permissions{}
	if q.Attributes.Policy == "" {
		return p, nil
	}
	return p, json.Unmarshal([]byte(q.Attributes.Policy), p)
}

func badLabel(label, reason string) error {
	return invalidValue("Value %s for parameter Label is invalid. Reason: %s", label, reason)
}

// checkPermission refuses what cannot be shared, and makes the actions whole.
func checkPermission(in *api.AddPermissionInput) (accounts, actions oneOrMany, err error) {
	if !labelForm().MatchString(in.Label) {
		return nil, nil, badLabel(in.Label, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.")
	}
	if len(in.Actions) > maxActions {
		return nil, nil, fault.New(fault.OverLimit, "%d Actions were found, maximum allowed is %d.", len(in.Actions), maxActions)
	}
	for _, account := range in.AWSAccountIds {
		if !arn.IsAccount(account) {
			return nil, nil, invalidValue("Value %v for parameter PrincipalId is invalid. Reason: Unable to verify.", in.AWSAccountIds)
		}
		accounts = append(accounts, "arn:aws:iam::"+account+":root")
	}
	for _, action := range in.Actions {
		if action != "*" && !shared["sqs:"+action] {
			return nil, nil, invalidValue("Value SQS:%s for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action.", action)
		}
		actions = append(actions, "SQS:"+action)
	}
	if len(accounts) == 0 || len(actions) == 0 {
		return nil, nil, fault.New(fault.MissingParameter, "The request must contain AWSAccountIds and Actions.")
	}
	return accounts, actions, nil
}

// AddPermission adds a statement to the queue's policy.
func (s *Service) AddPermission(ctx context.Context, in *api.AddPermissionInput) (*api.AddPermissionOutput, error) {
	accounts, actions, err := checkPermission(in)
	if err != nil {
		return nil, err
	}
	return &api.AddPermissionOutput{}, s.update(ctx, in.QueueUrl, func(tx store.Tx, at place, q *queue) error {
		p, err := q.permissions()
		if err != nil {
			return err
		}
		if p.find(in.Label) >= 0 {
			return badLabel(in.Label, "Already exists.")
		}
		if q.Attributes.Policy == "" {
			p.Version, p.ID = "2008-10-17", at.arn()+"/SQSDefaultPolicy"
		}
		add := permission{Sid: in.Label, Effect: "Allow", Action: actions, Resource: at.arn()}
		add.Principal.AWS = accounts
		b, err := json.Marshal(add)
		if err != nil {
			return err
		}
		p.Statement = append(p.Statement, b)
		return s.setPolicy(tx, at, q, p)
	})
}

// RemovePermission takes a statement out of the queue's policy, and with the
// last one the policy.
func (s *Service) RemovePermission(ctx context.Context, in *api.RemovePermissionInput) (*api.RemovePermissionOutput, error) {
	return &api.RemovePermissionOutput{}, s.update(ctx, in.QueueUrl, func(tx store.Tx, at place, q *queue) error {
		p, err := q.permissions()
		if err != nil {
			return err
		}
		i := p.find(in.Label)
		if i < 0 {
			return badLabel(in.Label, "can't find label.")
		}
		p.Statement = slices.Delete(p.Statement, i, i+1)
		return s.setPolicy(tx, at, q, p)
	})
}

func (s *Service) setPolicy(tx store.Tx, at place, q *queue, p *permissions) error {
	q.Attributes.Policy = ""
	if len(p.Statement) > 0 {
		b, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if _, err := policy.Parse(string(b), policy.Resource); err != nil {
			return invalid(api.QueueAttributeNamePolicy)
		}
		q.Attributes.Policy = string(b)
	}
	q.Modified = s.now().UTC()
	return queues.Put(tx, at.key(), q)
}
