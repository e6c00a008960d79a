package sns

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var (
	_ auth.ResourcePolicies = (*Service)(nil)
	_ auth.ResourceTags     = (*Service)(nil)
)

// permit lets callers of other accounts, and AWS services that call for themselves,
// have what a topic's policy opens to them. Callers that policies bind were judged
// before the call got here, by all of their policies.
func (s *Service) permit(call auth.Call, p place, t *topic) error {
	if call.Scope.Account == p.Account || call.Principal.Enforced && call.Principal.Kind != auth.Service {
		return nil
	}
	doc, err := s.policies.Parse(t.policy(p), policy.Resource)
	if err != nil {
		return err
	}
	ask := call.Requests(nil)[0]
	if doc.Decide(call.Principal.Caller(), policy.Request{Action: ask.Action, Resource: p.arn(), Context: ask.Context}) == policy.Allowed {
		return nil
	}
	action := "SNS:" + strings.TrimPrefix(ask.Action, "sns:")
	return fault.New(fault.AuthorizationError, "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		call.Principal.ARN, action, p.arn(), action)
}

// ResourcePolicy is a topic's policy. That of a topic that does not exist is empty, but
// its owner is known.
func (s *Service) ResourcePolicy(ctx context.Context, resource string) (auth.ResourcePolicy, error) {
	p, t, err := s.named(ctx, resource)
	if err != nil || p.Account == "" {
		return auth.ResourcePolicy{}, err
	}
	out := auth.ResourcePolicy{Owner: p.Account}
	if t != nil {
		out.Document, err = s.policies.Parse(t.policy(p), policy.Resource)
	}
	return out, err
}

// ResourceTags are a topic's tags.
func (s *Service) ResourceTags(ctx context.Context, resource string) (map[string]string, error) {
	_, t, err := s.named(ctx, resource)
	if err != nil || t == nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, tag := range t.Tags {
		tags[tag.Key] = tag.Value
	}
	return tags, nil
}

// named finds the topic of an ARN; nil where there is none. The place's account is ""
// where the ARN is none of a topic.
func (s *Service) named(ctx context.Context, resource string) (p place, t *topic, err error) {
	a, err := arn.Parse(resource)
	if err != nil || a.Service != "sns" || !arn.IsAccount(a.Account) {
		return place{}, nil, nil
	}
	p = place{arn.Scope{Account: a.Account, Region: a.Region}, a.Resource}
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		t, err = topics.Get(tx, p.key())
		if errors.Is(err, store.ErrNotFound) {
			t, err = nil, nil
		}
		return err
	})
	return p, t, err
}
