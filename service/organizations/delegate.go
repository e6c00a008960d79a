package organizations

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"time"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// servicePrincipal is the form of the names of AWS services.
var servicePrincipal = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com$`)

func checkService(name string) error {
	if !servicePrincipal.MatchString(name) {
		return invalid("UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified an unrecognized service principal.")
	}
	return nil
}

// EnableAWSServiceAccess lets a service work in all accounts of the organization.
func (s *Service) EnableAWSServiceAccess(ctx context.Context, in *api.EnableAWSServiceAccessInput) (*api.EnableAWSServiceAccessOutput, error) {
	if err := checkService(in.ServicePrincipal); err != nil {
		return nil, err
	}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		if !o.allFeatures() {
			return breaks("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE", "You can enable access for a service only when all features are enabled in the organization.")
		}
		if _, ok := o.Services[in.ServicePrincipal]; ok {
			return nil
		}
		if o.Services == nil {
			o.Services = map[string]time.Time{}
		}
		o.Services[in.ServicePrincipal] = s.now()
		return organizationsByID.Put(tx, o.ID, o)
	})
	if err != nil {
		return nil, err
	}
	return &api.EnableAWSServiceAccessOutput{}, nil
}

// DisableAWSServiceAccess takes that back, and the service's delegated
// administrators with it.
func (s *Service) DisableAWSServiceAccess(ctx context.Context, in *api.DisableAWSServiceAccessInput) (*api.DisableAWSServiceAccessOutput, error) {
	if err := checkService(in.ServicePrincipal); err != nil {
		return nil, err
	}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		var holders []*account
		for e, err := range accounts.Scan(tx, o.ID+"/") {
			if err != nil {
				return err
			}
			if _, ok := e.Value.Delegated[in.ServicePrincipal]; ok {
				holders = append(holders, e.Value)
			}
		}
		for _, a := range holders {
			delete(a.Delegated, in.ServicePrincipal)
			if err := accounts.Put(tx, o.ID+"/"+a.ID, a); err != nil {
				return err
			}
		}
		delete(o.Services, in.ServicePrincipal)
		return organizationsByID.Put(tx, o.ID, o)
	})
	if err != nil {
		return nil, err
	}
	return &api.DisableAWSServiceAccessOutput{}, nil
}

// named is a service with the time since when it has something.
type named struct {
	name  string
	since time.Time
}

// servicePage cuts the part of some services that a request asks for. The token is
// the name of the last one given.
func servicePage(all map[string]time.Time, token string, most *int32) (page []named, next string, err error) {
	limit := defaultPage
	if most != nil {
		limit = int(*most)
	}
	if token != "" && !servicePrincipal.MatchString(token) {
		return nil, "", invalid("INVALID_NEXT_TOKEN", "You specified an invalid value for NextToken.")
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name <= token {
			continue
		}
		if len(page) == limit {
			return page, page[limit-1].name, nil
		}
		page = append(page, named{name, all[name]})
	}
	return page, "", nil
}

// ListAWSServiceAccessForOrganization lists the services with access.
func (s *Service) ListAWSServiceAccessForOrganization(ctx context.Context, in *api.ListAWSServiceAccessForOrganizationInput) (*api.ListAWSServiceAccessForOrganizationOutput, error) {
	out := &api.ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: []api.EnabledServicePrincipal{}}
	err := s.view(ctx, readable, func(_ store.Tx, o *organization) error {
		page, next, err := servicePage(o.Services, in.NextToken, in.MaxResults)
		for _, n := range page {
			out.EnabledServicePrincipals = append(out.EnabledServicePrincipals, api.EnabledServicePrincipal{ServicePrincipal: n.name, DateEnabled: &n.since})
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RegisterDelegatedAdministrator lets a member administer a service.
func (s *Service) RegisterDelegatedAdministrator(ctx context.Context, in *api.RegisterDelegatedAdministratorInput) (*api.RegisterDelegatedAdministratorOutput, error) {
	if err := checkService(in.ServicePrincipal); err != nil {
		return nil, err
	}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		if in.AccountId == o.Management {
			return breaks("CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR", "You cannot register master account/yourself as delegated administrator for your organization.")
		}
		a, err := accountOf(tx, o, in.AccountId)
		if err != nil {
			return err
		}
		if _, ok := o.Services[in.ServicePrincipal]; !ok {
			return breaks("SERVICE_ACCESS_NOT_ENABLED", "You cannot register a delegated administrator before you enable service access.")
		}
		if a.State != api.AccountStateActive {
			return breaks("CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR", "You can't register a suspended account as a delegated administrator.")
		}
		if _, ok := a.Delegated[in.ServicePrincipal]; ok {
			return fault.New(fault.AccountAlreadyRegistered, "The provided account is already a delegated administrator for your organization.")
		}
		if a.Delegated == nil {
			a.Delegated = map[string]time.Time{}
		}
		a.Delegated[in.ServicePrincipal] = s.now()
		return accounts.Put(tx, o.ID+"/"+a.ID, a)
	})
	if err != nil {
		return nil, err
	}
	return &api.RegisterDelegatedAdministratorOutput{}, nil
}

// DeregisterDelegatedAdministrator takes that back.
func (s *Service) DeregisterDelegatedAdministrator(ctx context.Context, in *api.DeregisterDelegatedAdministratorInput) (*api.DeregisterDelegatedAdministratorOutput, error) {
	if err := checkService(in.ServicePrincipal); err != nil {
		return nil, err
	}
	err := s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		a, err := accountOf(tx, o, in.AccountId)
		if err != nil {
			return err
		}
		if _, ok := a.Delegated[in.ServicePrincipal]; !ok {
			return fault.New(fault.AccountNotRegistered, "The provided account is not a registered delegated administrator for your organization.")
		}
		delete(a.Delegated, in.ServicePrincipal)
		return accounts.Put(tx, o.ID+"/"+a.ID, a)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeregisterDelegatedAdministratorOutput{}, nil
}

// ListDelegatedAdministrators lists them, of one service or of all.
func (s *Service) ListDelegatedAdministrators(ctx context.Context, in *api.ListDelegatedAdministratorsInput) (*api.ListDelegatedAdministratorsOutput, error) {
	if in.ServicePrincipal != "" {
		if err := checkService(in.ServicePrincipal); err != nil {
			return nil, err
		}
	}
	out := &api.ListDelegatedAdministratorsOutput{DelegatedAdministrators: []api.DelegatedAdministrator{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		page, next, err := pageOf(tx, accounts, o.ID+"/", in.NextToken, in.MaxResults, func(a *account) bool {
			_, ok := a.Delegated[in.ServicePrincipal]
			return ok || in.ServicePrincipal == "" && len(a.Delegated) > 0
		})
		for _, a := range page {
			since := slices.MinFunc(slices.Collect(maps.Values(a.Delegated)), time.Time.Compare)
			out.DelegatedAdministrators = append(out.DelegatedAdministrators, api.DelegatedAdministrator{
				Id: a.ID, Arn: o.arnOf("account", a.ID), Email: a.Email, Name: a.Name, Status: a.status(), State: a.State,
				JoinedMethod: a.Method, JoinedTimestamp: &a.Joined, DelegationEnabledDate: &since,
			})
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListDelegatedServicesForAccount lists the services that a member administers.
func (s *Service) ListDelegatedServicesForAccount(ctx context.Context, in *api.ListDelegatedServicesForAccountInput) (*api.ListDelegatedServicesForAccountOutput, error) {
	out := &api.ListDelegatedServicesForAccountOutput{DelegatedServices: []api.DelegatedService{}}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) error {
		a, err := accountOf(tx, o, in.AccountId)
		if err != nil {
			return err
		}
		if len(a.Delegated) == 0 {
			return fault.New(fault.AccountNotRegistered, "The provided account is not a registered delegated administrator for your organization.")
		}
		page, next, err := servicePage(a.Delegated, in.NextToken, in.MaxResults)
		for _, n := range page {
			out.DelegatedServices = append(out.DelegatedServices, api.DelegatedService{ServicePrincipal: n.name, DelegationEnabledDate: &n.since})
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
