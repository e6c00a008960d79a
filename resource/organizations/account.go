package organizations

import (
	"context"
	"fmt"
	"time"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const accountName = "AWS::Organizations::Account"

type accountProperties struct {
	AccountName string         `json:"AccountName"`
	Email       string         `json:"Email"`
	RoleName    string         `json:"RoleName,omitempty"`
	ParentIDs   []string       `json:"ParentIds,omitempty"`
	Tags        []resource.Tag `json:"Tags,omitempty"`
}

type accountHandler struct{ svc api.Service }

// A deletion closes the account, as the type's own handler does on AWS; what it has
// stays in it.
func accountType(svc api.Service) cfn.Type {
	h := accountHandler{svc}
	return cfn.Type{Name: accountName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func decodeAccount(from cfn.Properties) (p accountProperties, err error) {
	if err = resource.Decode(accountName, from, &p); err == nil && len(p.ParentIDs) > 1 {
		err = fault.New(fault.ValidationError, "%s: ParentIds must have at most one member", accountName)
	}
	return p, err
}

func (h accountHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := decodeAccount(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateAccount(ctx, &api.CreateAccountInput{
		AccountName: p.AccountName, Email: p.Email, RoleName: p.RoleName, Tags: list(resource.Tags(r, p.Tags)),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	status, err := h.made(ctx, out.CreateAccountStatus)
	if err != nil {
		return cfn.Result{}, err
	}
	if status.State != api.CreateAccountStateSucceeded {
		return cfn.Result{}, fault.New(fault.InvalidRequest, "Account creation failed: %s", status.FailureReason)
	}
	left := cfn.Result{PhysicalID: status.AccountId}
	if err := h.place(ctx, status.AccountId, p.ParentIDs); err != nil {
		return left, err
	}
	a, err := h.svc.DescribeAccount(ctx, &api.DescribeAccountInput{AccountId: status.AccountId})
	if err != nil {
		return left, err
	}
	left.Attributes = accountAttributes(a.Account)
	return left, nil
}

// made waits until the account was made. The request's own workflow makes it.
func (h accountHandler) made(ctx context.Context, status *api.CreateAccountStatus) (*api.CreateAccountStatus, error) {
	for wait := 5 * time.Millisecond; status.State == api.CreateAccountStateInProgress; wait = min(2*wait, time.Second) {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
		out, err := h.svc.DescribeCreateAccountStatus(ctx, &api.DescribeCreateAccountStatusInput{CreateAccountRequestId: status.Id})
		if err != nil {
			return nil, fmt.Errorf("wait for the account: %w", err)
		}
		status = out.CreateAccountStatus
	}
	return status, nil
}

// place moves the account to where the template wants it; nowhere is where it is.
func (h accountHandler) place(ctx context.Context, id string, want []string) error {
	if len(want) == 0 {
		return nil
	}
	parents, err := h.svc.ListParents(ctx, &api.ListParentsInput{ChildId: id})
	if err != nil || parents.Parents[0].Id == want[0] {
		return err
	}
	_, err = h.svc.MoveAccount(ctx, &api.MoveAccountInput{AccountId: id, SourceParentId: parents.Parents[0].Id, DestinationParentId: want[0]})
	return err
}

func accountAttributes(a *api.Account) cfn.Properties {
	paths := make([]any, len(a.Paths))
	for i, p := range a.Paths {
		paths[i] = p
	}
	return cfn.Properties{
		"AccountId": a.Id, "Arn": a.Arn, "Status": a.Status, "State": a.State, "JoinedMethod": a.JoinedMethod,
		"JoinedTimestamp": a.JoinedTimestamp.Format(time.RFC3339), "Paths": paths,
	}
}

func (h accountHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.svc.DescribeAccount(ctx, &api.DescribeAccountInput{AccountId: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, accountName, r.PhysicalID, fault.AccountNotFound, fault.OrganizationsNotInUse)
	}
	parents, err := h.svc.ListParents(ctx, &api.ListParentsInput{ChildId: r.PhysicalID})
	if err != nil {
		return nil, resource.Found(err, accountName, r.PhysicalID, fault.ChildNotFound)
	}
	tags, err := tagsOf(ctx, h.svc, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	a := out.Account
	p, err := resource.Encode(accountProperties{AccountName: a.Name, Email: a.Email, ParentIDs: []string{parents.Parents[0].Id}, Tags: resource.OwnTags(tags)})
	if err != nil {
		return nil, err
	}
	for k, v := range accountAttributes(a) {
		p[k] = v
	}
	return p, nil
}

func (h accountHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := decodeAccount(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	old, err := decodeAccount(r.Prior)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.AccountName != old.AccountName || p.Email != old.Email || p.RoleName != old.RoleName {
		return cfn.Result{}, fault.New(fault.InvalidRequest, "You cannot update the AccountName, Email, or RoleName of an account.")
	}
	if err := h.place(ctx, r.PhysicalID, p.ParentIDs); err != nil {
		return cfn.Result{}, resource.Found(err, accountName, r.PhysicalID, fault.ChildNotFound)
	}
	if err := retag(ctx, h.svc, r.PhysicalID, resource.Tags(r, p.Tags)); err != nil {
		return cfn.Result{}, err
	}
	a, err := h.svc.DescribeAccount(ctx, &api.DescribeAccountInput{AccountId: r.PhysicalID})
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: r.PhysicalID, Attributes: accountAttributes(a.Account)}, nil
}

func (h accountHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.CloseAccount(ctx, &api.CloseAccountInput{AccountId: r.PhysicalID})
	return resource.Gone(err, fault.AccountNotFound, fault.AccountAlreadyClosed, fault.OrganizationsNotInUse)
}

func (h accountHandler) list(ctx context.Context) ([]string, error) {
	var found []string
	in := &api.ListAccountsInput{}
	for {
		out, err := h.svc.ListAccounts(ctx, in)
		if err != nil {
			return nil, resource.Gone(err, fault.OrganizationsNotInUse)
		}
		for _, a := range out.Accounts {
			found = append(found, a.Id)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return found, nil
		}
	}
}
