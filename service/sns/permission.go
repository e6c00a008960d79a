package sns

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

// permissions is a topic's policy with its statements as they were written.
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

// shared are the actions that AddPermission can open to others.
var shared = []string{
	"GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe", "ListSubscriptionsByTopic", "Publish",
}

func (p *permissions) find(label string) int {
	return slices.IndexFunc(p.Statement, func(b json.RawMessage) bool {
		var s struct{ Sid string }
		return json.Unmarshal(b, &s) == nil && s.Sid == label
	})
}

func (t *topic) permissions(p place) (*permissions, error) {
	doc := &permissions{}
	return doc, json.Unmarshal([]byte(t.policy(p)), doc)
}

func (t *topic) setPermissions(doc *permissions) error {
	if doc.Statement == nil {
		doc.Statement = statements{}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if len(doc.Statement) > 0 {
		if _, err := policy.Parse(string(b), policy.Resource); err != nil || len(b) > maxPolicy {
			return invalid("Policy")
		}
	}
	t.Attributes.Policy = string(b)
	return nil
}

// AddPermission adds a statement to the topic's policy.
func (s *Service) AddPermission(ctx context.Context, in *api.AddPermissionInput) (*api.AddPermissionOutput, error) {
	add := permission{Sid: in.Label, Effect: "Allow"}
	if in.Label == "" {
		return nil, invalid("Label")
	}
	for _, account := range in.AWSAccountId {
		if !arn.IsAccount(account) {
			return nil, invalid("AccountId")
		}
		add.Principal.AWS = append(add.Principal.AWS, "arn:aws:iam::"+account+":root")
	}
	for _, action := range in.ActionName {
		if !slices.Contains(shared, action) {
			return nil, invalid("Policy statement action out of service scope!")
		}
		add.Action = append(add.Action, "SNS:"+action)
	}
	if len(add.Principal.AWS) == 0 || len(add.Action) == 0 {
		return nil, invalid("AWSAccountId and ActionName Reason: no value for required parameter")
	}
	return &api.AddPermissionOutput{}, s.update(ctx, "TopicArn", in.TopicArn, func(_ store.Tx, p place, t *topic) error {
		doc, err := t.permissions(p)
		if err != nil {
			return err
		}
		if doc.find(in.Label) >= 0 {
			return invalid("Statement already exists")
		}
		add.Resource = p.arn()
		b, err := json.Marshal(add)
		if err != nil {
			return err
		}
		doc.Statement = append(doc.Statement, b)
		return t.setPermissions(doc)
	})
}

// RemovePermission takes a statement out of the topic's policy; that there is none of
// the label is no error.
func (s *Service) RemovePermission(ctx context.Context, in *api.RemovePermissionInput) (*api.RemovePermissionOutput, error) {
	return &api.RemovePermissionOutput{}, s.update(ctx, "TopicArn", in.TopicArn, func(_ store.Tx, p place, t *topic) error {
		doc, err := t.permissions(p)
		if err != nil {
			return err
		}
		i := doc.find(in.Label)
		if i < 0 {
			return nil
		}
		doc.Statement = slices.Delete(doc.Statement, i, i+1)
		return t.setPermissions(doc)
	})
}
