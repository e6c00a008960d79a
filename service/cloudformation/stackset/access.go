package stackset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

// The roles of self-managed stack sets ("Grant self-managed permissions", AWS
// CloudFormation User Guide).
const (
	defaultAdministration = "AWSCloudFormationStackSetAdministrationRole"
	defaultExecution      = "AWSCloudFormationStackSetExecutionRole"
)

// Who acts for stack sets: CloudFormation itself, and for service-managed ones the
// principals of their access to an organization.
const (
	servicePrincipal = "cloudformation.amazonaws.com"
	memberPrincipal  = "member.org.stacksets.cloudformation.amazonaws.com"
)

// asService is a context in which an AWS service calls.
func (s *Service) asService(ctx context.Context, scope arn.Scope, principal, operation, token string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: principalIn(scope.Account, principal), Scope: scope, Service: "cloudformation", Operation: operation,
		Time: s.now(), RequestID: arn.NewID("req-"), SourceIP: principal, UserAgent: principal, Token: token,
	})
}

// scope is where the stack sets of a request are: in the caller's account or, for a
// delegated administrator, in the management account.
func (s *Service) scope(ctx context.Context, callAs string) (arn.Scope, auth.Call, error) {
	c, err := caller(ctx)
	if err != nil || callAs != api.CallAsDelegatedAdmin {
		return c.Scope, c, err
	}
	management, err := s.management(ctx, c.Scope)
	if err != nil {
		return c.Scope, c, err
	}
	if management == "" || management == c.Scope.Account {
		return c.Scope, c, notAdministrator()
	}
	scope := arn.Scope{Account: management, Region: c.Scope.Region}
	in := &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: memberPrincipal}
	for {
		out, err := s.cfg.Organizations.ListDelegatedAdministrators(s.asService(ctx, scope, memberPrincipal, "ListDelegatedAdministrators", ""), in)
		if err != nil {
			return scope, c, err
		}
		for _, a := range out.DelegatedAdministrators {
			if a.Id == c.Scope.Account {
				return scope, c, nil
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return scope, c, notAdministrator()
		}
	}
}

func notAdministrator() error {
	return invalid("You must be the management account or delegated admin account of an organization before operating a SERVICE_MANAGED stack set")
}

// management is the account that manages the organization of an account, "" where
// that is in none.
func (s *Service) management(ctx context.Context, scope arn.Scope) (string, error) {
	if s.cfg.Organizations == nil {
		return "", nil
	}
	out, err := s.cfg.Organizations.DescribeOrganization(s.asService(ctx, scope, memberPrincipal, "DescribeOrganization", ""), &organizations.DescribeOrganizationInput{})
	if fault.Is(err, fault.OrganizationsNotInUse) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return out.Organization.MasterAccountId, nil
}

// checkAccess checks that an account may have service-managed stack sets.
func (s *Service) checkAccess(ctx context.Context, account, callAs string) error {
	scope := arn.Scope{Account: account, Region: auth.From(ctx).Scope.Region}
	if callAs != api.CallAsDelegatedAdmin {
		management, err := s.management(ctx, scope)
		if err != nil {
			return err
		}
		if management != account {
			return notAdministrator()
		}
	}
	enabled, err := s.trusted(ctx, scope)
	if err == nil && !enabled {
		err = invalid("You must enable organizations access to operate a service managed stack set")
	}
	return err
}

// trusted tells whether stack sets have access to the organization that an account
// manages.
func (s *Service) trusted(ctx context.Context, scope arn.Scope) (bool, error) {
	in := &organizations.ListAWSServiceAccessForOrganizationInput{}
	for {
		out, err := s.cfg.Organizations.ListAWSServiceAccessForOrganization(s.asService(ctx, scope, memberPrincipal, "ListAWSServiceAccessForOrganization", ""), in)
		if err != nil {
			return false, err
		}
		for _, e := range out.EnabledServicePrincipals {
			if e.ServicePrincipal == memberPrincipal {
				return true, nil
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return false, nil
		}
	}
}

// manages is the scope of a request of a management account.
func (s *Service) manages(ctx context.Context) (arn.Scope, error) {
	c, err := caller(ctx)
	if err != nil {
		return c.Scope, err
	}
	management, err := s.management(ctx, c.Scope)
	if err == nil && management != c.Scope.Account {
		err = fault.New(fault.CFNInvalidOperation, "Organizations access can be changed by the management account of an organization only")
	}
	return c.Scope, err
}

// ActivateOrganizationsAccess gives stack sets access to the caller's organization.
func (s *Service) ActivateOrganizationsAccess(ctx context.Context, _ *api.ActivateOrganizationsAccessInput) (*api.ActivateOrganizationsAccessOutput, error) {
	scope, err := s.manages(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.cfg.Organizations.EnableAWSServiceAccess(s.asService(ctx, scope, memberPrincipal, "EnableAWSServiceAccess", ""),
		&organizations.EnableAWSServiceAccessInput{ServicePrincipal: memberPrincipal})
	if e, ok := fault.As(err); ok {
		err = fault.New(fault.CFNInvalidOperation, "%s", e.Message)
	}
	if err != nil {
		return nil, err
	}
	return &api.ActivateOrganizationsAccessOutput{}, nil
}

// DeactivateOrganizationsAccess takes it back.
func (s *Service) DeactivateOrganizationsAccess(ctx context.Context, _ *api.DeactivateOrganizationsAccessInput) (*api.DeactivateOrganizationsAccessOutput, error) {
	scope, err := s.manages(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.cfg.Organizations.DisableAWSServiceAccess(s.asService(ctx, scope, memberPrincipal, "DisableAWSServiceAccess", ""),
		&organizations.DisableAWSServiceAccessInput{ServicePrincipal: memberPrincipal})
	if err != nil {
		return nil, err
	}
	return &api.DeactivateOrganizationsAccessOutput{}, nil
}

// DescribeOrganizationsAccess tells whether there is such access.
func (s *Service) DescribeOrganizationsAccess(ctx context.Context, in *api.DescribeOrganizationsAccessInput) (*api.DescribeOrganizationsAccessOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	management, err := s.management(ctx, scope)
	if err != nil {
		return nil, err
	}
	if management != scope.Account {
		return nil, fault.New(fault.CFNInvalidOperation, "Organizations access is told to the management account and to delegated administrators only")
	}
	enabled, err := s.trusted(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeOrganizationsAccessOutput{Status: api.OrganizationStatusDisabled}
	if enabled {
		out.Status = api.OrganizationStatusEnabled
	}
	return out, nil
}

// enter is the principal of a stack set in an account: a session of the execution
// role there.
func (s *Service) enter(ctx context.Context, o *operation, account, token string) (auth.Principal, error) {
	session := "StackSet-" + arn.Hash(o.ID)[:16]
	if o.ExecRole == "" {
		return s.enterMember(ctx, o, account, session, token)
	}
	admin, err := s.assume(s.asService(ctx, o.Scope, servicePrincipal, "AssumeRole", ""), o.AdminRole, session, o.Enforced)
	if _, final := fault.As(err); final {
		return admin, fault.New(fault.AccessDenied, "Account %s should have '%s' role with trust relationship to CloudFormation service.", o.Scope.Account, roleName(o.AdminRole)).Because(err)
	}
	if err != nil {
		return admin, err
	}
	target := arn.Scope{Account: account}.Global("iam", "role/"+o.ExecRole).String()
	asAdmin := s.asService(ctx, o.Scope, servicePrincipal, "AssumeRole", "")
	call := auth.From(asAdmin)
	call.Principal = admin
	p, err := s.assume(auth.With(asAdmin, call), target, session, o.Enforced)
	if _, final := fault.As(err); final {
		err = fault.New(fault.AccessDenied, "Account %s should have '%s' role with trust relationship to Role '%s'.", account, o.ExecRole, roleName(o.AdminRole)).Because(err)
	}
	return p, err
}

// memberRole begins the name of the role of service-managed stack sets, which is in
// every account that they are deployed to.
const memberRole = "stacksets-exec-"

// enterMember makes the role where it is not there yet.
func (s *Service) enterMember(ctx context.Context, o *operation, account, session, token string) (auth.Principal, error) {
	scope := arn.Scope{Account: account, Region: o.Scope.Region}
	name := memberRole + arn.Hash("stack sets in " + account)[:32]
	in := s.asService(ctx, scope, memberPrincipal, "CreateRole", token)
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"%s"},"Action":"sts:AssumeRole"}]}`, memberPrincipal)
	_, err := s.cfg.IAM.CreateRole(in, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: trust})
	if err != nil && !fault.Is(err, fault.EntityAlreadyExists) {
		return auth.Principal{}, err
	}
	_, err = s.cfg.IAM.AttachRolePolicy(in, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess"})
	if err != nil {
		return auth.Principal{}, err
	}
	return s.assume(s.asService(ctx, scope, memberPrincipal, "AssumeRole", ""), scope.Global("iam", "role/"+name).String(), session, o.Enforced)
}

// assume begins a session of a role.
func (s *Service) assume(ctx context.Context, role, session string, enforced bool) (auth.Principal, error) {
	if s.cfg.STS == nil {
		return auth.Principal{}, errors.New("stackset: there is no STS")
	}
	out, err := s.cfg.STS.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: role, RoleSessionName: session})
	if err != nil {
		return auth.Principal{}, err
	}
	a, err := arn.Parse(out.AssumedRoleUser.Arn)
	return auth.Principal{
		Kind: auth.AssumedRole, Account: a.Account, ARN: out.AssumedRoleUser.Arn, UserID: out.AssumedRoleUser.AssumedRoleId,
		Name: roleName(role), Enforced: enforced,
	}, err
}

// roleName is the last part of a role's ARN.
func roleName(role string) string { return role[strings.LastIndexByte(role, '/')+1:] }

// in is a context in which a role's session calls in a place.
func (s *Service) in(ctx context.Context, o *operation, p auth.Principal, region, operation, token string) context.Context {
	return auth.With(ctx, auth.Call{
		Principal: p, Scope: arn.Scope{Account: p.Account, Region: region}, Service: "cloudformation", Operation: operation,
		Time: s.now(), RequestID: arn.NewID("req-"), SourceIP: servicePrincipal, UserAgent: servicePrincipal, Endpoint: o.Endpoint, Token: token,
	})
}

// members are the accounts of an organization but for the one that manages it.
func (s *Service) members(ctx context.Context, scope arn.Scope) ([]member, error) {
	ctx = s.asService(ctx, scope, memberPrincipal, "ListAccountsForParent", "")
	roots, err := s.cfg.Organizations.ListRoots(ctx, &organizations.ListRootsInput{})
	if err != nil {
		return nil, err
	}
	var out []member
	for next := [][]string{{roots.Roots[0].Id}}; len(next) > 0; next = next[1:] {
		path := next[0]
		parent := path[len(path)-1]
		in := &organizations.ListAccountsForParentInput{ParentId: parent}
		for {
			page, err := s.cfg.Organizations.ListAccountsForParent(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, a := range page.Accounts {
				if a.Id != scope.Account {
					out = append(out, member{Account: a.Id, Path: path, Suspended: a.State != organizations.AccountStateActive})
				}
			}
			if in.NextToken = page.NextToken; in.NextToken == "" {
				break
			}
		}
		units := &organizations.ListOrganizationalUnitsForParentInput{ParentId: parent}
		for {
			page, err := s.cfg.Organizations.ListOrganizationalUnitsForParent(ctx, units)
			if err != nil {
				return nil, err
			}
			for _, u := range page.OrganizationalUnits {
				next = append(next, append(slices.Clip(path), u.Id))
			}
			if units.NextToken = page.NextToken; units.NextToken == "" {
				break
			}
		}
	}
	return out, nil
}
