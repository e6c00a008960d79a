package iam

import (
	"context"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// ManagedPolicy is the version in force of a managed policy of AWS or of the
// account; nil where it does not exist.
func (s *Service) ManagedPolicy(ctx context.Context, account, policyARN string) (*policy.Document, error) {
	var text string
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		text, err = s.inForce(tx, account, policyARN)
		return err
	})
	if fault.Is(err, fault.NoSuchEntity) || err == nil && text == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.docs.Parse(text, policy.Identity)
}

// PrincipalTags are the tags of a user or of a session's role.
func (s *Service) PrincipalTags(ctx context.Context, p auth.Principal) (map[string]string, error) {
	var tags []api.Tag
	id, _, _ := strings.Cut(p.UserID, ":")
	err := s.store.View(ctx, func(tx store.Tx) error {
		tags = nil
		switch p.Kind {
		case auth.User:
			u, err := users.find(tx, p.Account, p.Name)
			if err == nil && u.ID == id {
				tags = u.Tags
			}
			return err
		case auth.AssumedRole:
			r, err := roles.find(tx, p.Account, p.Name)
			if err == nil && r.ID == id {
				tags = r.Tags
			}
			return err
		}
		return nil
	})
	if err != nil && !fault.Is(err, fault.NoSuchEntity) {
		return nil, err
	}
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out, nil
}
