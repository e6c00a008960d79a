package organizations

import (
	"context"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// CreateOrganization makes the caller's account the management account of a new
// organization.
func (s *Service) CreateOrganization(ctx context.Context, in *api.CreateOrganizationInput) (*api.CreateOrganizationOutput, error) {
	call := auth.From(ctx)
	var out *api.Organization
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		self := call.Scope.Account
		o, err := organizationOf(tx, self)
		if err != nil {
			return err
		}
		if o != nil && (call.Token == "" || o.Token != call.Token) {
			return fault.New(fault.AlreadyInOrganization, "The AWS account is already a member of an organization.")
		}
		who, err := knownAs(tx, self)
		if err != nil {
			return err
		}
		if o == nil {
			o = &organization{
				ID: "o-" + idFrom(call.Token, 10), Management: self, FeatureSet: in.FeatureSet,
				Root: "r-" + idFrom(call.Token, 4), Token: call.Token,
			}
			if o.FeatureSet == "" {
				o.FeatureSet = api.OrganizationFeatureSetAll
			}
			if err := organizationsByID.Put(tx, o.ID, o); err != nil {
				return err
			}
			if err := join(tx, o, &account{
				ID: self, Name: who.Name, Email: who.Email, Parent: o.Root, State: api.AccountStateActive,
				Method: api.AccountJoinedMethodInvited, Joined: s.now(),
			}); err != nil {
				return err
			}
		}
		out = o.api(who)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateOrganizationOutput{Organization: out}, nil
}

func (o *organization) api(management known) *api.Organization {
	out := &api.Organization{
		Id: o.ID, FeatureSet: o.FeatureSet, MasterAccountId: o.Management, MasterAccountEmail: management.Email,
		MasterAccountArn: o.arnOf("account", o.Management), AvailablePolicyTypes: []api.PolicyTypeSummary{},
	}
	out.Arn = o.arnOf("organization", "")
	if o.allFeatures() {
		out.AvailablePolicyTypes = []api.PolicyTypeSummary{
			{Type: api.PolicyTypeServiceControlPolicy, Status: api.PolicyTypeStatusEnabled},
		}
	}
	return out
}

// DescribeOrganization tells any member about its organization.
func (s *Service) DescribeOrganization(ctx context.Context, _ *api.DescribeOrganizationInput) (*api.DescribeOrganizationOutput, error) {
	var out *api.Organization
	err := s.view(ctx, member, func(tx store.Tx, o *organization) error {
		who, err := knownAs(tx, o.Management)
		out = o.api(who)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.DescribeOrganizationOutput{Organization: out}, nil
}

// DeleteOrganization ends an organization that has no members, units or policies
// of its own left.
func (s *Service) DeleteOrganization(ctx context.Context, _ *api.DeleteOrganizationInput) (*api.DeleteOrganizationOutput, error) {
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		empty, err := isEmpty(tx, o)
		if err != nil {
			return err
		}
		if !empty {
			return fault.New(fault.OrganizationNotEmpty, "To delete an organization you must first remove all member accounts (except the master).")
		}
		if err := cancelAll(tx, o); err != nil {
			return err
		}
		for _, collection := range []string{requests.Prefix(), attachments.Prefix(), policies.Prefix(), units.Prefix()} {
			if err := deleteAll(tx, collection+o.ID+"/"); err != nil {
				return err
			}
		}
		if err := part(tx, o, o.Management); err != nil {
			return err
		}
		return organizationsByID.Delete(tx, o.ID)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteOrganizationOutput{}, nil
}

func isEmpty(tx store.Tx, o *organization) (bool, error) {
	for e, err := range accounts.Scan(tx, o.ID+"/") {
		if err != nil || e.Value.ID != o.Management {
			return false, err
		}
	}
	for e, err := range requests.Scan(tx, o.ID+"/") {
		if err != nil || e.Value.State == api.CreateAccountStateInProgress {
			return false, err
		}
	}
	for _, err := range units.Scan(tx, o.ID+"/") {
		return false, err
	}
	for _, err := range policies.Scan(tx, o.ID+"/") {
		return false, err
	}
	return true, nil
}

func deleteAll(tx store.Tx, prefix string) error {
	for doc, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
		if err != nil {
			return err
		}
		if err := tx.Delete(doc.Key); err != nil {
			return err
		}
	}
	return nil
}

func (o *organization) root() *api.Root {
	out := &api.Root{Id: o.Root, Arn: o.arnOf("root", o.Root), Name: "Root", PolicyTypes: []api.PolicyTypeSummary{}}
	for _, t := range o.Types {
		out.PolicyTypes = append(out.PolicyTypes, api.PolicyTypeSummary{Type: t, Status: api.PolicyTypeStatusEnabled})
	}
	return out
}

// ListRoots lists the one root.
func (s *Service) ListRoots(ctx context.Context, in *api.ListRootsInput) (*api.ListRootsOutput, error) {
	if in.NextToken != "" {
		return nil, invalid("INVALID_NEXT_TOKEN", "You specified an invalid value for NextToken.")
	}
	out := &api.ListRootsOutput{}
	err := s.view(ctx, readable, func(_ store.Tx, o *organization) error {
		out.Roots = []api.Root{*o.root()}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
