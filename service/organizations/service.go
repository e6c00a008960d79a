// Package organizations implements the AWS Organizations API: organizations, their
// units, accounts, invitations, delegated administrators and service control
// policies. It also answers package auth's question which of those policies bind an
// account. It may import api/organizations, api/iam, arn, auth, fault, store and
// workflow. Its goroutines are the workflow engine's.
//
// An organization has no region, and is kept apart from others by its id. The kinds
// of policies other than service control policies are not built, nor are delegation
// policies and transfers of responsibility.
package organizations

import (
	"context"
	"errors"
	"time"

	"github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Config is what the service stands on. Store, Workflows and IAM are needed.
type Config struct {
	Store     store.Store
	Workflows *workflow.Engine
	IAM       iam.Service // makes the roles of new accounts
	Now       func() time.Time
}

// Service is the Organizations API.
type Service struct {
	api.Unimplemented
	cfg  Config
	docs policy.Cache
}

var _ api.Service = (*Service)(nil)

// New makes the service. Call it before the workflow engine starts.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{cfg: cfg}
	if cfg.Workflows != nil {
		workflow.Register(cfg.Workflows, flowCreateAccount, s.createAccountFlow)
	}
	return s
}

func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// member is the caller's organization, which must be there.
func member(ctx context.Context, tx store.Tx) (*organization, error) {
	o, err := organizationOf(tx, auth.From(ctx).Scope.Account)
	if err == nil && o == nil {
		err = fault.New(fault.OrganizationsNotInUse, "Your account is not a member of an organization.")
	}
	return o, err
}

// managed is the organization that the caller's account manages.
func managed(ctx context.Context, tx store.Tx) (*organization, error) {
	o, err := member(ctx, tx)
	if err == nil && o.Management != auth.From(ctx).Scope.Account {
		err = noAccess()
	}
	return o, err
}

// readable is the organization that the caller's account may look into: it manages
// it, or is a delegated administrator of a service.
func readable(ctx context.Context, tx store.Tx) (*organization, error) {
	o, err := member(ctx, tx)
	self := auth.From(ctx).Scope.Account
	if err != nil || o.Management == self {
		return o, err
	}
	a, err := accounts.Get(tx, o.ID+"/"+self)
	if err == nil && len(a.Delegated) == 0 {
		err = noAccess()
	}
	return o, err
}

func noAccess() error {
	return fault.New(fault.AccessDeniedException, "You don't have permissions to access this resource.")
}

// rightTo is one of member, managed and readable.
type rightTo func(context.Context, store.Tx) (*organization, error)

func (s *Service) view(ctx context.Context, right rightTo, fn func(tx store.Tx, o *organization) error) error {
	return s.cfg.Store.View(ctx, func(tx store.Tx) error {
		o, err := right(ctx, tx)
		if err != nil {
			return err
		}
		return fn(tx, o)
	})
}

func (s *Service) update(ctx context.Context, right rightTo, fn func(tx store.Tx, o *organization) error) error {
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		o, err := right(ctx, tx)
		if err != nil {
			return err
		}
		return fn(tx, o)
	})
}

// invalid is an InvalidInputException of a reason.
func invalid(reason, format string, args ...any) error {
	return fault.New(fault.InvalidInputException, format, args...).With("Reason", reason)
}

// breaks is a ConstraintViolationException of a reason.
func breaks(reason, format string, args ...any) error {
	return fault.New(fault.ConstraintViolation, format, args...).With("Reason", reason)
}

// missing is err, or the error of the code where the store has no such record.
func missing(err error, code, format string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(code, format, args...)
	}
	return err
}

const defaultPage = 20

// pageOf lists the part of an organization's records that a request asks for.
func pageOf[T any](tx store.Tx, c *store.Collection[T], prefix, token string, most *int32, keep func(*T) bool) ([]*T, string, error) {
	limit := defaultPage
	if most != nil {
		limit = int(*most)
	}
	items, next, err := c.Page(tx, prefix, token, limit, keep)
	if errors.Is(err, store.ErrBadToken) {
		return nil, "", invalid(api.InvalidInputExceptionReasonInvalidNextToken, "You specified an invalid value for NextToken.")
	}
	out := make([]*T, len(items))
	for i := range items {
		out[i] = items[i].Value
	}
	return out, next, err
}

// arnOf names a part of an organization.
func (o *organization) arnOf(kind, id string) string {
	resource := kind + "/" + o.ID
	if id != "" {
		resource += "/" + id
	}
	return arn.Scope{Account: o.Management}.Global("organizations", resource).String()
}
