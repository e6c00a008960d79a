package stackset

import (
	"context"
	"errors"
	"slices"
	"strconv"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxPlaces bounds the instances of one operation.
const maxPlaces = 10_000

// aim sets what an operation is for.
func (s *Service) aim(ctx context.Context, o *operation, v *set, accounts []string, units *api.DeploymentTargets, regions []string) error {
	for i, r := range regions {
		if slices.Contains(regions[:i], r) {
			return invalid("Region %s is given twice in Regions.", r)
		}
	}
	for _, r := range o.Prefs.Order {
		if len(regions) > 0 && !slices.Contains(regions, r) {
			return invalid("Region %s of RegionOrder is not among Regions.", r)
		}
	}
	o.Regions = regions
	units, err := s.targetsOf(ctx, units)
	if err != nil {
		return err
	}
	if v.Model == api.PermissionModelsServiceManaged {
		if len(accounts) > 0 {
			return invalid("Accounts cannot be specified for a SERVICE_MANAGED stack set: give DeploymentTargets.")
		}
		o.Units, err = checkDeployment(o.Kind, units)
		return err
	}
	if units != nil {
		if len(units.OrganizationalUnitIds) > 0 || len(accounts) > 0 || units.AccountFilterType != "" {
			return invalid("OrganizationalUnitIds cannot be specified for a SELF_MANAGED stack set.")
		}
		accounts = units.Accounts
	}
	if len(accounts) == 0 {
		return invalid("You must specify Accounts for a SELF_MANAGED stack set.")
	}
	if len(accounts)*len(regions) > maxPlaces {
		return tooMany()
	}
	if err := checkAccounts(accounts); err != nil {
		return err
	}
	o.Accounts = accounts
	return nil
}

func checkAccounts(accounts []string) error {
	seen := map[string]bool{}
	for _, a := range accounts {
		switch {
		case !arn.IsAccount(a):
			return invalid("%s is not an account.", a)
		case seen[a]:
			return invalid("Account %s is given twice in Accounts.", a)
		}
		seen[a] = true
	}
	return nil
}

func tooMany() error {
	return fault.New(fault.CFNLimitExceeded, "An operation may be for at most %d stack instances.", maxPlaces)
}

// CreateStackInstances deploys a set to accounts and regions.
func (s *Service) CreateStackInstances(ctx context.Context, in *api.CreateStackInstancesInput) (*api.CreateStackInstancesOutput, error) {
	o, err := s.operate(ctx, in.StackSetName, in.CallAs, creating, in.OperationId, in.OperationPreferences, in,
		func(v *set, o *operation) (err error) {
			if o.Overrides, err = s.overridesOf(v, in.ParameterOverrides); err != nil {
				return err
			}
			return s.aim(ctx, o, v, in.Accounts, in.DeploymentTargets, in.Regions)
		},
		func(_ store.Tx, v *set, o *operation) error {
			v.deploy(o)
			return nil
		})
	if err != nil {
		return nil, err
	}
	return &api.CreateStackInstancesOutput{OperationId: o.ID}, nil
}

// deploy notes the units that a set is deployed to.
func (v *set) deploy(o *operation) {
	if o.Units == nil {
		return
	}
	for _, u := range o.Units.Units {
		i := slices.IndexFunc(v.Units, func(t unitTarget) bool {
			return t.Unit == u && t.Filter == o.Units.Filter && slices.Equal(t.Accounts, o.Units.Accounts)
		})
		if i < 0 {
			v.Units, i = append(v.Units, unitTarget{Unit: u, Filter: o.Units.Filter, Accounts: o.Units.Accounts}), len(v.Units)
		}
		for _, r := range o.Regions {
			if !slices.Contains(v.Units[i].Regions, r) {
				v.Units[i].Regions = append(v.Units[i].Regions, r)
			}
		}
	}
}

// withdraw notes those that it is not deployed to any more.
func (v *set) withdraw(o *operation) {
	if o.Units == nil {
		return
	}
	var left []unitTarget
	for _, t := range v.Units {
		if slices.Contains(o.Units.Units, t.Unit) && o.Units.Filter == "" {
			t.Regions = slices.DeleteFunc(slices.Clone(t.Regions), func(r string) bool { return slices.Contains(o.Regions, r) })
		} else if slices.Contains(o.Units.Units, t.Unit) && t.Filter == o.Units.Filter && slices.Equal(t.Accounts, o.Units.Accounts) {
			t.Regions = slices.DeleteFunc(slices.Clone(t.Regions), func(r string) bool { return slices.Contains(o.Regions, r) })
		}
		if len(t.Regions) > 0 {
			left = append(left, t)
		}
	}
	v.Units = left
}

// operate checks a request for an operation, and begins it.
func (s *Service) operate(ctx context.Context, name, callAs, kind, id string, prefs *api.StackSetOperationPreferences, in any,
	fill func(v *set, o *operation) error, then func(tx store.Tx, v *set, o *operation) error,
) (*operation, error) {
	scope, c, err := s.scope(ctx, callAs)
	if err != nil {
		return nil, err
	}
	v, _, err := s.load(ctx, scope, name, callAs)
	if err != nil {
		return nil, err
	}
	o, err := s.newOperation(c, v, kind, id, prefs, in)
	if err != nil {
		return nil, err
	}
	if err := fill(v, o); err != nil {
		return nil, err
	}
	return o, s.request(ctx, v.wholeID(), o, func(tx store.Tx, v *set) error {
		if then == nil {
			return nil
		}
		return then(tx, v, o)
	})
}

// UpdateStackInstances updates instances to the set, with other overrides.
func (s *Service) UpdateStackInstances(ctx context.Context, in *api.UpdateStackInstancesInput) (*api.UpdateStackInstancesOutput, error) {
	o, err := s.operate(ctx, in.StackSetName, in.CallAs, updating, in.OperationId, in.OperationPreferences, in,
		func(v *set, o *operation) (err error) {
			if o.Overrides, err = s.overridesOf(v, in.ParameterOverrides); err != nil {
				return err
			}
			o.Override = in.ParameterOverrides != nil
			return s.aim(ctx, o, v, in.Accounts, in.DeploymentTargets, in.Regions)
		}, allThere)
	if err != nil {
		return nil, err
	}
	return &api.UpdateStackInstancesOutput{OperationId: o.ID}, nil
}

// allThere checks that the instances which an operation names exist.
func allThere(tx store.Tx, v *set, o *operation) error {
	for _, p := range o.places() {
		if _, err := findInstance(tx, v, p.Account, p.Region); err != nil {
			return err
		}
	}
	return nil
}

func findInstance(tx store.Tx, v *set, account, region string) (*instance, error) {
	i, err := instances.Get(tx, instanceKey(v.key(), account, region))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.CFNStackInstanceNotFound, "Stack instance for stack set %s, account %s and region %s not found", v.wholeID(), account, region)
	}
	return i, err
}

// DeleteStackInstances deletes instances, with their stacks or without.
func (s *Service) DeleteStackInstances(ctx context.Context, in *api.DeleteStackInstancesInput) (*api.DeleteStackInstancesOutput, error) {
	o, err := s.operate(ctx, in.StackSetName, in.CallAs, deleting, in.OperationId, in.OperationPreferences, in,
		func(v *set, o *operation) error {
			o.Retain = in.RetainStacks
			return s.aim(ctx, o, v, in.Accounts, in.DeploymentTargets, in.Regions)
		},
		func(_ store.Tx, v *set, o *operation) error {
			v.withdraw(o)
			return nil
		})
	if err != nil {
		return nil, err
	}
	return &api.DeleteStackInstancesOutput{OperationId: o.ID}, nil
}

func (i *instance) summary(v *set) api.StackInstanceSummary {
	out := api.StackInstanceSummary{
		StackSetId: v.wholeID(), Account: i.Account, Region: i.Region, StackId: i.StackID, Status: i.Status, StatusReason: i.Reason,
		StackInstanceStatus:  &api.StackInstanceComprehensiveStatus{DetailedStatus: i.Detail},
		OrganizationalUnitId: i.Unit, DriftStatus: i.drift(), LastOperationId: i.Operation,
	}
	if !i.Checked.IsZero() {
		out.LastDriftCheckTimestamp = &i.Checked
	}
	return out
}

func (i *instance) drift() string {
	if i.Drift == "" {
		return api.StackDriftStatusNotChecked
	}
	return i.Drift
}

// DescribeStackInstance describes an instance.
func (s *Service) DescribeStackInstance(ctx context.Context, in *api.DescribeStackInstanceInput) (*api.DescribeStackInstanceOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeStackInstanceOutput{}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		i, err := findInstance(tx, v, in.StackInstanceAccount, in.StackInstanceRegion)
		if err != nil {
			return err
		}
		of := i.summary(v)
		out.StackInstance = &api.StackInstance{
			StackSetId: of.StackSetId, Account: of.Account, Region: of.Region, StackId: of.StackId, Status: of.Status, StatusReason: of.StatusReason,
			StackInstanceStatus: of.StackInstanceStatus, OrganizationalUnitId: of.OrganizationalUnitId, DriftStatus: of.DriftStatus,
			LastDriftCheckTimestamp: of.LastDriftCheckTimestamp, LastOperationId: of.LastOperationId, ParameterOverrides: v.show(i.Overrides),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListStackInstances lists the instances of a set.
func (s *Service) ListStackInstances(ctx context.Context, in *api.ListStackInstancesInput) (*api.ListStackInstancesOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	out := &api.ListStackInstancesOutput{Summaries: []api.StackInstanceSummary{}}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		page, next, err := pageOf(tx, instances, v.key()+"/", in.NextToken, in.MaxResults, func(i *instance) bool {
			return (in.StackInstanceAccount == "" || i.Account == in.StackInstanceAccount) &&
				(in.StackInstanceRegion == "" || i.Region == in.StackInstanceRegion) && i.matches(in.Filters)
		})
		for _, i := range page {
			out.Summaries = append(out.Summaries, i.summary(v))
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (i *instance) matches(filters []api.StackInstanceFilter) bool {
	for _, f := range filters {
		has := i.Detail
		switch f.Name {
		case api.StackInstanceFilterNameLastOperationId:
			has = i.Operation
		case api.StackInstanceFilterNameDriftStatus:
			has = i.drift()
		}
		if has != f.Values {
			return false
		}
	}
	return true
}

// ListStackSetAutoDeploymentTargets lists the units that a set follows.
func (s *Service) ListStackSetAutoDeploymentTargets(ctx context.Context, in *api.ListStackSetAutoDeploymentTargetsInput) (*api.ListStackSetAutoDeploymentTargetsOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	first := 0
	if in.NextToken != "" {
		if first, err = strconv.Atoi(in.NextToken); err != nil || first <= 0 {
			return nil, invalid("Invalid value for parameter NextToken")
		}
	}
	limit := maxPage
	if in.MaxResults != nil {
		limit = min(int(*in.MaxResults), maxPage)
	}
	out := &api.ListStackSetAutoDeploymentTargetsOutput{Summaries: []api.StackSetAutoDeploymentTargetSummary{}}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		if v.Auto == nil || !v.Auto.Enabled {
			return nil
		}
		last := min(first+limit, len(v.Units))
		if last < len(v.Units) {
			out.NextToken = strconv.Itoa(last)
		}
		for _, t := range v.Units[min(first, last):last] {
			out.Summaries = append(out.Summaries, api.StackSetAutoDeploymentTargetSummary{OrganizationalUnitId: t.Unit, Regions: t.Regions})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
