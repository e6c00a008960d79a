package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// holding is a policy that a user, group or role has.
type holding struct {
	entity, owner string // "user", "ann": where an inline policy stands
	name          string
	arn           string // of a managed policy
	text          string // "" of a policy of AWS whose document is not known
}

// id is how the answers of simulations name it.
func (h *holding) id() string {
	if h.arn != "" {
		return h.name
	}
	return h.entity + "_" + h.owner + "_" + h.name
}

type holdings struct {
	policies []holding
	boundary *holding
}

// holdings gathers the policies of the user (and its groups), group or role that
// an ARN names.
func (s *Service) holdings(ctx context.Context, source string) (out holdings, err error) {
	account := auth.From(ctx).Scope.Account
	a, err := arn.Parse(source)
	kind, path, ok := strings.Cut(a.Resource, "/")
	if err != nil || !ok || a.Service != "iam" || a.Account != account || !slices.Contains([]string{"user", "group", "role"}, kind) {
		return out, fault.New(fault.InvalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", source)
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	err = s.store.View(ctx, func(tx store.Tx) error {
		out = holdings{}
		switch kind {
		case "group":
			g, err := groups.find(tx, account, name)
			if err != nil {
				return err
			}
			return s.hold(tx, account, &out, kind, name, &g.grants)
		case "role":
			r, err := roles.find(tx, account, name)
			if err != nil {
				return err
			}
			if err := s.bound(tx, account, &out, r.Boundary); err != nil {
				return err
			}
			return s.hold(tx, account, &out, kind, name, &r.grants)
		}
		u, err := users.find(tx, account, name)
		if err != nil {
			return err
		}
		if err := s.bound(tx, account, &out, u.Boundary); err != nil {
			return err
		}
		if err := s.hold(tx, account, &out, kind, name, &u.grants); err != nil {
			return err
		}
		for _, n := range u.Groups {
			g, err := groups.find(tx, account, n)
			if err != nil {
				return err
			}
			if err := s.hold(tx, account, &out, "group", n, &g.grants); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (s *Service) hold(tx store.Tx, account string, out *holdings, entity, owner string, g *grants) error {
	for name, text := range g.Inline {
		out.policies = append(out.policies, holding{entity: entity, owner: owner, name: name, text: text})
	}
	for _, a := range g.Attached {
		text, err := s.inForce(tx, account, a)
		if err != nil {
			return err
		}
		_, name := splitPolicyARN(a)
		out.policies = append(out.policies, holding{entity: entity, owner: owner, name: name, arn: a, text: text})
	}
	slices.SortStableFunc(out.policies, func(a, b holding) int { return strings.Compare(a.id(), b.id()) })
	return nil
}

func (s *Service) bound(tx store.Tx, account string, out *holdings, policyARN string) error {
	if policyARN == "" {
		return nil
	}
	text, err := s.inForce(tx, account, policyARN)
	_, name := splitPolicyARN(policyARN)
	out.boundary = &holding{name: name, arn: policyARN, text: text}
	return err
}
