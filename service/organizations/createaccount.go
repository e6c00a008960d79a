package organizations

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// flowCreateAccount makes an account.
const flowCreateAccount = "organizations.createaccount"

// defaultRole is what the management account enters a new account by.
const defaultRole = "OrganizationAccountAccessRole"

// request is a CreateAccount and what became of it.
type request struct {
	ID, Account, Name string
	State             string // api.CreateAccountState...
	Reason            string `json:",omitempty"`
	Begun             time.Time
	Ended             time.Time `json:",omitzero"`
}

func (r *request) api() *api.CreateAccountStatus {
	out := &api.CreateAccountStatus{
		Id: r.ID, AccountName: r.Name, State: r.State, RequestedTimestamp: &r.Begun, FailureReason: r.Reason,
	}
	if !r.Ended.IsZero() {
		out.CompletedTimestamp = &r.Ended
	}
	if r.State == api.CreateAccountStateSucceeded {
		out.AccountId = r.Account
	}
	return out
}

// creation is what the workflow is told.
type creation struct {
	Organization, Request, Account string
	Management                     string
	Name, Email, Role              string
	Tags                           map[string]string
}

// CreateAccount begins to make an account.
func (s *Service) CreateAccount(ctx context.Context, in *api.CreateAccountInput) (*api.CreateAccountOutput, error) {
	tags, err := mergeTags(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	role := in.RoleName
	if role == "" {
		role = defaultRole
	}
	out := &api.CreateAccountOutput{}
	err = s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		r := &request{ID: "car-" + arn.Hash(call.Token)[:32], Name: in.AccountName, State: api.CreateAccountStateInProgress, Begun: s.now()}
		if call.Token == "" {
			r.ID = "car-" + idFrom("", 32)
		} else if have, err := requests.Get(tx, o.ID+"/"+r.ID); err == nil {
			out.CreateAccountStatus = have.api()
			return nil
		}
		if n, err := countOf(tx, accounts, o.ID+"/"); err != nil || n >= maxAccounts {
			if err == nil {
				err = breaks("ACCOUNT_NUMBER_LIMIT_EXCEEDED", "You have exceeded the allowed number of AWS accounts.")
			}
			return err
		}
		var err error
		if r.Account, err = newAccountID(tx); err != nil {
			return err
		}
		out.CreateAccountStatus = r.api()
		if err := requests.Put(tx, o.ID+"/"+r.ID, r); err != nil {
			return err
		}
		return s.cfg.Workflows.Begin(tx, flowCreateAccount, flowCreateAccount+"/"+r.ID, creation{
			Organization: o.ID, Request: r.ID, Account: r.Account, Management: o.Management,
			Name: in.AccountName, Email: in.Email, Role: role, Tags: tags,
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func countOf[T any](tx store.Tx, c *store.Collection[T], prefix string) (n int, err error) {
	for _, err := range c.Scan(tx, prefix) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// newAccountID is twelve digits that no account here has had, the first not zero.
func newAccountID(tx store.Tx) (string, error) {
	span := big.NewInt(900_000_000_000)
	for {
		n, err := rand.Int(rand.Reader, span)
		if err != nil {
			return "", err
		}
		id := fmt.Sprint(n.Int64() + 100_000_000_000)
		if _, err := knowns.Get(tx, id); errors.Is(err, store.ErrNotFound) {
			return id, nil
		} else if err != nil {
			return "", err
		}
	}
}

// createAccountFlow takes the address, makes the role and lets the account in.
func (s *Service) createAccountFlow(f *workflow.Flow, p creation) error {
	free, err := workflow.Tx(f, "reserve", func(tx store.Tx) (bool, error) { return reserve(tx, p) })
	if err != nil {
		return err
	}
	if !free {
		return s.endCreation(f, p, api.CreateAccountFailureReasonEmailAlreadyExists)
	}
	_, err = workflow.Step(f, "role", func(ctx context.Context, token string) (bool, error) { return true, s.makeRole(ctx, p, token) })
	if errors.Is(err, workflow.ErrInterrupted) {
		return err
	}
	if err != nil {
		f.Log().Error("organizations: the role of a new account cannot be made", "account", p.Account, "error", err)
		return s.endCreation(f, p, api.CreateAccountFailureReasonInternalFailure)
	}
	return s.endCreation(f, p, "")
}

// reserve takes the e-mail address, false where another account has it.
func reserve(tx store.Tx, p creation) (bool, error) {
	key := strings.ToLower(p.Email)
	switch have, err := emails.Get(tx, key); {
	case err == nil:
		return have.Account == p.Account, nil
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	if err := emails.Put(tx, key, &holder{p.Account}); err != nil {
		return false, err
	}
	return true, knowns.Put(tx, p.Account, &known{Name: p.Name, Email: p.Email})
}

// administrator lets the role do everything in the new account.
const administrator = "arn:aws:iam::aws:policy/AdministratorAccess"

// makeRole makes the role that the management account may assume.
func (s *Service) makeRole(ctx context.Context, p creation, token string) error {
	ctx = asService(ctx, p.Account, s.now(), token)
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"sts:AssumeRole"}]}`, p.Management)
	if _, err := s.cfg.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: p.Role, AssumeRolePolicyDocument: trust}); err != nil {
		return err
	}
	_, err := s.cfg.IAM.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: p.Role, PolicyArn: administrator})
	return err
}

// principalName is Organizations as it calls other services.
const principalName = "organizations.amazonaws.com"

// asService is a context in which Organizations calls in an account.
func asService(ctx context.Context, account string, now time.Time, token string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: auth.Principal{Kind: auth.Service, Account: account, Name: principalName, ARN: principalName, UserID: principalName},
		Scope:     arn.Scope{Account: account, Region: arn.DefaultRegion}, Service: "organizations", Operation: "CreateAccount",
		Time: now, RequestID: arn.NewID("req-"), SourceIP: principalName, UserAgent: principalName, Token: token,
	})
}

// endCreation writes what came of a request, with the account where it came to be.
func (s *Service) endCreation(f *workflow.Flow, p creation, reason string) error {
	_, err := workflow.Tx(f, "end", func(tx store.Tx) (bool, error) {
		r, err := requests.Get(tx, p.Organization+"/"+p.Request)
		if err != nil {
			return false, err
		}
		r.Ended, r.State, r.Reason = s.now(), api.CreateAccountStateFailed, reason
		if reason == "" {
			o, err := organizationsByID.Get(tx, p.Organization)
			if err != nil {
				return false, err
			}
			r.State = api.CreateAccountStateSucceeded
			if err := join(tx, o, &account{
				ID: p.Account, Name: p.Name, Email: p.Email, Parent: o.Root, State: api.AccountStateActive,
				Method: api.AccountJoinedMethodCreated, Joined: r.Ended, Tags: p.Tags,
			}); err != nil {
				return false, err
			}
		} else if reason != api.CreateAccountFailureReasonEmailAlreadyExists {
			if err := emails.Delete(tx, strings.ToLower(p.Email)); err != nil {
				return false, err
			}
		}
		return true, requests.Put(tx, p.Organization+"/"+p.Request, r)
	})
	return err
}

// DescribeCreateAccountStatus tells what became of a request.
func (s *Service) DescribeCreateAccountStatus(ctx context.Context, in *api.DescribeCreateAccountStatusInput) (*api.DescribeCreateAccountStatusOutput, error) {
	out := &api.DescribeCreateAccountStatusOutput{}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		r, err := requests.Get(tx, o.ID+"/"+in.CreateAccountRequestId)
		if err != nil {
			return missing(err, fault.CreateAccountStatusNotFound, "You specified an account creation request that doesn't exist.")
		}
		out.CreateAccountStatus = r.api()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListCreateAccountStatus lists requests by their states.
func (s *Service) ListCreateAccountStatus(ctx context.Context, in *api.ListCreateAccountStatusInput) (*api.ListCreateAccountStatusOutput, error) {
	out := &api.ListCreateAccountStatusOutput{CreateAccountStatuses: []api.CreateAccountStatus{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		page, next, err := pageOf(tx, requests, o.ID+"/", in.NextToken, in.MaxResults, func(r *request) bool {
			return len(in.States) == 0 || slices.Contains(in.States, r.State)
		})
		for _, r := range page {
			out.CreateAccountStatuses = append(out.CreateAccountStatuses, *r.api())
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
