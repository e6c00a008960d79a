package auth

import (
	"context"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth/policy"
)

// Organizations tells where accounts stand. Package service/organizations does.
type Organizations interface {
	OrganizationOf(ctx context.Context, account string) (Membership, error)
}

// Membership is where an account stands in its organization; the zero value is one
// that is in none.
type Membership struct {
	ID   string // "o-a1b2c3d4e5"
	Path string // "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"
	// Control are the service control policies that bind the account's principals,
	// for each level from the root to the account. Each level must allow.
	Control [][]*policy.Document
}

// control are the service control policies that bind a principal. A service's own
// roles are bound by none ("Service control policies (SCPs)", AWS Organizations
// User Guide).
func (a *IAM) control(ctx context.Context, p Principal) ([][]*policy.Document, error) {
	if a.Organizations == nil || !arn.IsAccount(p.Account) {
		return nil, nil
	}
	m, err := a.Organizations.OrganizationOf(ctx, p.Account)
	if err != nil || len(m.Control) == 0 || p.Kind != AssumedRole {
		return m.Control, err
	}
	full, err := a.Policies.FullARN(ctx, roleARN(&p))
	if err != nil || strings.Contains(full, ":role/aws-service-role/") {
		return nil, err
	}
	return m.Control, nil
}

// organization tells the condition keys of organizations: of the caller's account,
// or of the resource's.
func (k *requestKeys) organization(name string) ([]string, bool) {
	if k.iam == nil || k.iam.Organizations == nil {
		return nil, true
	}
	account := k.call.Principal.Account
	if strings.HasPrefix(name, "resource") {
		owner, known := k.resourceAccount()
		if len(owner) == 0 {
			return nil, known
		}
		account = owner[0]
	} else if k.call.Principal.Kind == Service || k.call.Principal.Kind == Anonymous {
		return nil, true
	}
	m, err := k.iam.Organizations.OrganizationOf(k.ctx, account)
	if err != nil {
		return nil, false
	}
	if strings.HasSuffix(name, "orgid") {
		return one(m.ID), true
	}
	return one(m.Path), true
}
