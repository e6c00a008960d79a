package kms

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ResourcePolicy is what bears on a key: its policy, and its grants as statements
// of it. A key is named by its ARN or that of an alias.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (auth.ResourcePolicy, error) {
	var out auth.ResourcePolicy
	if err := s.ensureManaged(ctx, resource); err != nil {
		return out, err
	}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		out = auth.ResourcePolicy{}
		k, err := s.resolve(ctx, tx, resource)
		if err != nil {
			if _, known := fault.As(err); known { // the operation tells
				return nil
			}
			return err
		}
		text, err := s.withGrants(tx, k)
		if err != nil {
			return err
		}
		out = auth.ResourcePolicy{Owner: k.Account, Delegates: true, ARN: k.name()}
		out.Document, err = s.policies.Parse(text, policy.Resource)
		return err
	})
	return out, err
}

// ResourceTags are a key's tags.
func (s *Service) ResourceTags(ctx context.Context, resource string) (tags map[string]string, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		k, err := s.resolve(ctx, tx, resource)
		if err != nil {
			if _, known := fault.As(err); known {
				return nil
			}
			return err
		}
		tags = k.Tags
		return nil
	})
	return tags, err
}

type grantStatement struct {
	Effect    string
	Principal map[string]string
	Action    []string
	Resource  string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// withGrants is a key's policy with its grants.
func (s *Service) withGrants(tx store.Tx, k *key) (string, error) {
	var more []json.RawMessage
	for e, err := range s.grants.Scan(tx, k.path()+"/") {
		if err != nil {
			return "", err
		}
		for _, st := range e.Value.statements() {
			b, err := json.Marshal(st)
			if err != nil {
				return "", err
			}
			more = append(more, b)
		}
	}
	if more == nil {
		return k.Policy, nil
	}
	var doc struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(k.Policy), &doc); err != nil {
		return "", err
	}
	own := []json.RawMessage{doc.Statement}
	if bytes.HasPrefix(bytes.TrimSpace(doc.Statement), []byte("[")) {
		if err := json.Unmarshal(doc.Statement, &own); err != nil {
			return "", err
		}
	}
	if doc.Version == "" {
		doc.Version = "2008-10-17"
	}
	all, err := json.Marshal(slices.Concat(own, more))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Version": doc.Version, "Statement": json.RawMessage(all)})
	return string(text), err
}

// statements are a grant in the words of policies: first the operations that its
// constraints bind, then the others.
func (g *grant) statements() []grantStatement {
	bound := grantStatement{Effect: "Allow", Principal: map[string]string{"AWS": g.Grantee}, Resource: "*"}
	free := bound
	bound.Condition = g.condition()
	for _, o := range g.Operations {
		switch {
		case o == "RetireGrant": // decided by the service alone
		case slices.Contains(constrained, o):
			bound.Action = append(bound.Action, "kms:"+o)
		case o == "CreateGrant":
		default:
			free.Action = append(free.Action, "kms:"+o)
		}
	}
	create := grantStatement{
		Effect: "Allow", Principal: bound.Principal, Resource: "*", Action: []string{"kms:CreateGrant"},
		Condition: map[string]map[string][]string{"ForAllValues:StringEquals": {"kms:GrantOperations": g.Operations}},
	}
	var out []grantStatement
	for _, st := range []grantStatement{bound, free} {
		if st.Action != nil {
			out = append(out, st)
		}
	}
	if slices.Contains(g.Operations, "CreateGrant") {
		out = append(out, create)
	}
	return out
}

func (g *grant) condition() map[string]map[string][]string {
	c := g.Constraints
	if c == nil {
		return nil
	}
	pairs := maps.Clone(c.EncryptionContextSubset)
	if pairs == nil {
		pairs = map[string]string{}
	}
	maps.Copy(pairs, c.EncryptionContextEquals)
	out := map[string]map[string][]string{"StringEquals": {}}
	for name, value := range pairs {
		out["StringEquals"]["kms:EncryptionContext:"+name] = []string{escape(value)}
	}
	if c.EncryptionContextEquals != nil {
		out["ForAllValues:StringEquals"] = map[string][]string{"kms:EncryptionContextKeys": slices.Sorted(maps.Keys(c.EncryptionContextEquals))}
	}
	return out
}

// escape keeps a value from being read as a policy variable.
func escape(value string) string { return strings.ReplaceAll(value, "${", "${$}{") }
