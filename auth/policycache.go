package auth

import (
	"context"
	"strings"

	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/store"
)

// PolicyCache keeps the policies of principals that were looked up, which every
// call asks for and few calls change. The documents are compiled once.
type PolicyCache struct {
	Policies
	principals *Memo[principalID, principalPolicies]
	managed    *Memo[[2]string, *policy.Document]
	tags       *Memo[principalID, map[string]string]
	arns       *Memo[string, string]
	orgs       *Memo[string, Membership]
	asked      Organizations
}

type principalID struct {
	kind                  Kind
	account, name, unique string
}

type principalPolicies struct {
	identity []*policy.Document
	boundary *policy.Document
}

func idOf(p Principal) principalID {
	unique, _, _ := strings.Cut(p.UserID, ":") // without the session
	return principalID{p.Kind, p.Account, p.Name, unique}
}

// NewPolicyCache puts a cache before policies, whose records begin with the
// prefixes. Close ends its watches.
func NewPolicyCache(policies Policies, st store.Store, prefixes ...string) *PolicyCache {
	return &PolicyCache{
		policies, NewMemo[principalID, principalPolicies](st, prefixes...), NewMemo[[2]string, *policy.Document](st, prefixes...),
		NewMemo[principalID, map[string]string](st, prefixes...), NewMemo[string, string](st, prefixes...), nil, nil,
	}
}

// Ask has the cache stand before the organizations, too, whose records begin with
// the prefixes. It is called before the first look-up.
func (c *PolicyCache) Ask(of Organizations, st store.Store, prefixes ...string) {
	c.orgs, c.asked = NewMemo[string, Membership](st, prefixes...), of
}

// OrganizationOf tells where an account stands.
func (c *PolicyCache) OrganizationOf(ctx context.Context, account string) (Membership, error) {
	return c.orgs.Get(account, func() (Membership, error) { return c.asked.OrganizationOf(ctx, account) })
}

// Close ends the watches; the cache is not used after.
func (c *PolicyCache) Close() {
	c.principals.Close()
	c.managed.Close()
	c.tags.Close()
	c.arns.Close()
	if c.orgs != nil {
		c.orgs.Close()
	}
}

// PoliciesOf returns the documents of a user or an assumed role.
func (c *PolicyCache) PoliciesOf(ctx context.Context, p Principal) ([]*policy.Document, *policy.Document, error) {
	held, err := c.principals.Get(idOf(p), func() (principalPolicies, error) {
		identity, boundary, err := c.Policies.PoliciesOf(ctx, p)
		return principalPolicies{identity, boundary}, err
	})
	return held.identity, held.boundary, err
}

// ManagedPolicy returns the version in force of a managed policy.
func (c *PolicyCache) ManagedPolicy(ctx context.Context, account, policyARN string) (*policy.Document, error) {
	return c.managed.Get([2]string{account, policyARN}, func() (*policy.Document, error) {
		return c.Policies.ManagedPolicy(ctx, account, policyARN)
	})
}

// PrincipalTags returns the tags of a user or of a session's role.
func (c *PolicyCache) PrincipalTags(ctx context.Context, p Principal) (map[string]string, error) {
	return c.tags.Get(idOf(p), func() (map[string]string, error) { return c.Policies.PrincipalTags(ctx, p) })
}

// FullARN puts the path into the ARN of one of IAM's resources.
func (c *PolicyCache) FullARN(ctx context.Context, name string) (string, error) {
	return c.arns.Get(name, func() (string, error) { return c.Policies.FullARN(ctx, name) })
}
