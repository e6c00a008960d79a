package organizations

import (
	"context"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func accountOf(tx store.Tx, o *organization, id string) (*account, error) {
	a, err := accounts.Get(tx, o.ID+"/"+id)
	return a, missing(err, fault.AccountNotFound, "You specified an account that doesn't exist.")
}

// status is an account's state in the words that were there before states.
func (a *account) status() string {
	switch a.State {
	case api.AccountStateClosed:
		return api.AccountStatusSuspended
	case api.AccountStatePendingActivation:
		return ""
	}
	return a.State
}

func (a *account) api(tx store.Tx, o *organization) (api.Account, error) {
	path, err := pathOf(tx, o, a.Parent)
	return api.Account{
		Id: a.ID, Arn: o.arnOf("account", a.ID), Name: a.Name, Email: a.Email, State: a.State, Status: a.status(),
		JoinedMethod: a.Method, JoinedTimestamp: &a.Joined, Paths: []string{pathText(o, path, a.ID)},
	}, err
}

// DescribeAccount describes an account of the organization.
func (s *Service) DescribeAccount(ctx context.Context, in *api.DescribeAccountInput) (*api.DescribeAccountOutput, error) {
	out := &api.DescribeAccountOutput{}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		a, err := accountOf(tx, o, in.AccountId)
		if err != nil {
			return err
		}
		described, err := a.api(tx, o)
		out.Account = &described
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) listAccounts(ctx context.Context, parent, token string, most *int32) (out []api.Account, next string, err error) {
	err = s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		out = []api.Account{}
		var keep func(*account) bool
		if parent != "" {
			found, err := isParent(tx, o, parent)
			if err := cmpErr(err, found); err != nil {
				return missing(err, fault.ParentNotFound, "You specified parent that doesn't exist.")
			}
			keep = func(a *account) bool { return a.Parent == parent }
		}
		var page []*account
		if page, next, err = pageOf(tx, accounts, o.ID+"/", token, most, keep); err != nil {
			return err
		}
		for _, a := range page {
			described, err := a.api(tx, o)
			if err != nil {
				return err
			}
			out = append(out, described)
		}
		return nil
	})
	return out, next, err
}

// ListAccounts lists the accounts of the organization.
func (s *Service) ListAccounts(ctx context.Context, in *api.ListAccountsInput) (*api.ListAccountsOutput, error) {
	list, next, err := s.listAccounts(ctx, "", in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &api.ListAccountsOutput{Accounts: list, NextToken: next}, nil
}

// ListAccountsForParent lists the accounts directly in a parent.
func (s *Service) ListAccountsForParent(ctx context.Context, in *api.ListAccountsForParentInput) (*api.ListAccountsForParentOutput, error) {
	list, next, err := s.listAccounts(ctx, in.ParentId, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &api.ListAccountsForParentOutput{Accounts: list, NextToken: next}, nil
}

// MoveAccount moves an account to another parent.
func (s *Service) MoveAccount(ctx context.Context, in *api.MoveAccountInput) (*api.MoveAccountOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		a, err := accountOf(tx, o, in.AccountId)
		if err != nil {
			return err
		}
		found, err := isParent(tx, o, in.SourceParentId)
		if err = cmpErr(err, found && a.Parent == in.SourceParentId); err != nil {
			return missing(err, fault.SourceParentNotFound, "You specified a source parent that doesn't exist.")
		}
		found, err = isParent(tx, o, in.DestinationParentId)
		if err = cmpErr(err, found); err != nil {
			return missing(err, fault.DestinationParentNotFound, "You specified a destination parent that doesn't exist.")
		}
		if in.SourceParentId == in.DestinationParentId {
			return fault.New(fault.DuplicateAccount, "The account is already in the destination that you specified.")
		}
		a.Parent = in.DestinationParentId
		return accounts.Put(tx, o.ID+"/"+a.ID, a)
	})
	if err != nil {
		return nil, err
	}
	return &api.MoveAccountOutput{}, nil
}

// remove takes an account out of its organization, where it may go.
func remove(tx store.Tx, o *organization, id string) error {
	if id == o.Management {
		return fault.New(fault.MasterCannotLeave, "You can't remove a management account from an organization.")
	}
	a, err := accountOf(tx, o, id)
	switch {
	case err != nil:
		return err
	case a.State == api.AccountStatePendingActivation:
		return breaks("ACCOUNT_CREATION_NOT_COMPLETE", "Your account setup isn't complete or your account isn't fully active.")
	case len(a.Delegated) > 0:
		return breaks("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG", "You can't remove the account: it is a delegated administrator for an AWS service.")
	case a.State != api.AccountStateActive:
		return breaks("ACCOUNT_CANNOT_LEAVE_ORGANIZATION", "The account is closed and cannot leave the organization.")
	}
	return part(tx, o, id)
}

// RemoveAccountFromOrganization makes a member stand alone.
func (s *Service) RemoveAccountFromOrganization(ctx context.Context, in *api.RemoveAccountFromOrganizationInput) (*api.RemoveAccountFromOrganizationOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error { return remove(tx, o, in.AccountId) })
	if err != nil {
		return nil, err
	}
	return &api.RemoveAccountFromOrganizationOutput{}, nil
}

// LeaveOrganization is that by the member itself.
func (s *Service) LeaveOrganization(ctx context.Context, _ *api.LeaveOrganizationInput) (*api.LeaveOrganizationOutput, error) {
	err := s.update(ctx, member, func(tx store.Tx, o *organization) error { return remove(tx, o, auth.From(ctx).Scope.Account) })
	if err != nil {
		return nil, err
	}
	return &api.LeaveOrganizationOutput{}, nil
}

// CloseAccount suspends a member: nobody in it may do anything any more, where
// policies are enforced. What it has stays.
func (s *Service) CloseAccount(ctx context.Context, in *api.CloseAccountInput) (*api.CloseAccountOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		if in.AccountId == o.Management {
			return breaks("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You can't close the management account of an organization.")
		}
		if !o.allFeatures() {
			return breaks("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE", "You can close an account only when all features are enabled in the organization.")
		}
		a, err := accountOf(tx, o, in.AccountId)
		switch {
		case err != nil:
			return err
		case a.State == api.AccountStatePendingActivation:
			return breaks("ACCOUNT_CREATION_NOT_COMPLETE", "Your account setup isn't complete or your account isn't fully active.")
		case a.State != api.AccountStateActive:
			return fault.New(fault.AccountAlreadyClosed, "You attempted to close an account that is already closed.")
		case len(a.Delegated) > 0:
			return breaks("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG", "You can't close the account: it is a delegated administrator for an AWS service.")
		}
		a.State = api.AccountStateSuspended
		return accounts.Put(tx, o.ID+"/"+a.ID, a)
	})
	if err != nil {
		return nil, err
	}
	return &api.CloseAccountOutput{}, nil
}
