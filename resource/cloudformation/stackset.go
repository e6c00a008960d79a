package cloudformation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

const stackSetName = "AWS::CloudFormation::StackSet"

type stackSetProperties struct {
	StackSetName          string             `json:"StackSetName"`
	PermissionModel       string             `json:"PermissionModel"`
	Description           string             `json:"Description,omitempty"`
	TemplateBody          string             `json:"TemplateBody,omitempty"`
	TemplateURL           string             `json:"TemplateURL,omitempty"`
	Parameters            []parameter        `json:"Parameters,omitempty"`
	Capabilities          []string           `json:"Capabilities,omitempty"`
	Tags                  []resource.Tag     `json:"Tags,omitempty"`
	AdministrationRoleARN string             `json:"AdministrationRoleARN,omitempty"`
	ExecutionRoleName     string             `json:"ExecutionRoleName,omitempty"`
	CallAs                string             `json:"CallAs,omitempty"`
	AutoDeployment        *autoDeployment    `json:"AutoDeployment,omitempty"`
	ManagedExecution      *managedExecution  `json:"ManagedExecution,omitempty"`
	OperationPreferences  *operationSettings `json:"OperationPreferences,omitempty"`
	StackInstancesGroup   []instanceGroup    `json:"StackInstancesGroup,omitempty"`
}

type parameter struct {
	ParameterKey   string `json:"ParameterKey"`
	ParameterValue string `json:"ParameterValue"`
}

type autoDeployment struct {
	Enabled                      *bool    `json:"Enabled,omitempty"`
	RetainStacksOnAccountRemoval *bool    `json:"RetainStacksOnAccountRemoval,omitempty"`
	DependsOn                    []string `json:"DependsOn,omitempty"`
}

type managedExecution struct {
	Active *bool `json:"Active,omitempty"`
}

type operationSettings struct {
	RegionOrder                []string `json:"RegionOrder,omitempty"`
	RegionConcurrencyType      string   `json:"RegionConcurrencyType,omitempty"`
	ConcurrencyMode            string   `json:"ConcurrencyMode,omitempty"`
	FailureToleranceCount      *int32   `json:"FailureToleranceCount,omitempty"`
	FailureTolerancePercentage *int32   `json:"FailureTolerancePercentage,omitempty"`
	MaxConcurrentCount         *int32   `json:"MaxConcurrentCount,omitempty"`
	MaxConcurrentPercentage    *int32   `json:"MaxConcurrentPercentage,omitempty"`
}

type instanceGroup struct {
	DeploymentTargets  deploymentTargets `json:"DeploymentTargets"`
	Regions            []string          `json:"Regions"`
	ParameterOverrides []parameter       `json:"ParameterOverrides,omitempty"`
}

type deploymentTargets struct {
	Accounts              []string `json:"Accounts,omitempty"`
	AccountsURL           string   `json:"AccountsUrl,omitempty"`
	AccountFilterType     string   `json:"AccountFilterType,omitempty"`
	OrganizationalUnitIDs []string `json:"OrganizationalUnitIds,omitempty"`
}

// stackSetHandler keeps a stack set and its instances: each action waits until the
// operations that it begins have ended. Their ids come from the action's token, so a
// repeated one finds them.
type stackSetHandler struct{ svc api.Service }

func stackSet(svc api.Service) cfn.Type {
	h := stackSetHandler{svc}
	return cfn.Type{Name: stackSetName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

func (g instanceGroup) targets() *api.DeploymentTargets {
	t := g.DeploymentTargets
	return &api.DeploymentTargets{Accounts: t.Accounts, AccountsUrl: t.AccountsURL, AccountFilterType: t.AccountFilterType, OrganizationalUnitIds: t.OrganizationalUnitIDs}
}

// target is one account, or the units of one filter, of a group. Groups are compared
// by these, so that an account which comes to a group or leaves it moves no other.
type target struct {
	key   string
	group instanceGroup
}

func (g instanceGroup) split() []target {
	one := func(t deploymentTargets) target {
		return target{fmt.Sprintf("%v", t), instanceGroup{DeploymentTargets: t, Regions: g.Regions, ParameterOverrides: g.ParameterOverrides}}
	}
	t := g.DeploymentTargets
	var out []target
	switch {
	case t.AccountsURL != "" || len(t.Accounts) > 0 && len(t.OrganizationalUnitIDs) > 0:
		return []target{one(t)}
	case len(t.OrganizationalUnitIDs) > 0:
		for _, u := range t.OrganizationalUnitIDs {
			out = append(out, one(deploymentTargets{OrganizationalUnitIDs: []string{u}, AccountFilterType: t.AccountFilterType}))
		}
	default:
		for _, a := range t.Accounts {
			out = append(out, one(deploymentTargets{Accounts: []string{a}}))
		}
	}
	return out
}

func parameters(in []parameter) []api.Parameter {
	out := []api.Parameter{}
	for _, p := range in {
		out = append(out, api.Parameter{ParameterKey: p.ParameterKey, ParameterValue: p.ParameterValue})
	}
	return out
}

func (s *operationSettings) api() *api.StackSetOperationPreferences {
	if s == nil {
		return nil
	}
	return &api.StackSetOperationPreferences{
		RegionOrder: s.RegionOrder, RegionConcurrencyType: s.RegionConcurrencyType, ConcurrencyMode: s.ConcurrencyMode,
		FailureToleranceCount: s.FailureToleranceCount, FailureTolerancePercentage: s.FailureTolerancePercentage,
		MaxConcurrentCount: s.MaxConcurrentCount, MaxConcurrentPercentage: s.MaxConcurrentPercentage,
	}
}

func (a *autoDeployment) api() *api.AutoDeployment {
	if a == nil {
		return nil
	}
	return &api.AutoDeployment{Enabled: a.Enabled, RetainStacksOnAccountRemoval: a.RetainStacksOnAccountRemoval, DependsOn: a.DependsOn}
}

func (m *managedExecution) api() *api.ManagedExecution {
	if m == nil {
		return nil
	}
	return &api.ManagedExecution{Active: m.Active}
}

// tags are the set's own and the stack's, without those of CloudFormation itself,
// which each stack has of its own.
func (p *stackSetProperties) tags(r cfn.Request) []api.Tag {
	all := resource.OwnTags(resource.Tags(r, p.Tags))
	out := make([]api.Tag, 0, len(all))
	for _, t := range all {
		out = append(out, api.Tag{Key: t.Key, Value: t.Value})
	}
	return out
}

func (h stackSetHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p stackSetProperties
	if err := resource.Decode(stackSetName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	out, err := h.svc.CreateStackSet(ctx, &api.CreateStackSetInput{
		StackSetName: p.StackSetName, PermissionModel: p.PermissionModel, Description: p.Description, TemplateBody: p.TemplateBody,
		TemplateURL: p.TemplateURL, Parameters: parameters(p.Parameters), Capabilities: p.Capabilities, Tags: p.tags(r),
		AdministrationRoleARN: p.AdministrationRoleARN, ExecutionRoleName: p.ExecutionRoleName, CallAs: p.CallAs,
		AutoDeployment: p.AutoDeployment.api(), ManagedExecution: p.ManagedExecution.api(),
	})
	if err != nil {
		return cfn.Result{}, err
	}
	made := cfn.Result{PhysicalID: out.StackSetId, Attributes: cfn.Properties{"StackSetId": out.StackSetId}}
	r.Initiated(out.StackSetId)
	for i, g := range p.StackInstancesGroup {
		if err := h.deploy(ctx, r, out.StackSetId, &p, g, fmt.Sprint("create-", i)); err != nil {
			return made, err
		}
	}
	return made, nil
}

// operationID is that of one operation of an action.
func operationID(r cfn.Request, name string) string { return arn.Hash(r.Token + "/" + name)[:32] }

func (h stackSetHandler) deploy(ctx context.Context, r cfn.Request, id string, p *stackSetProperties, g instanceGroup, name string) error {
	out, err := h.svc.CreateStackInstances(ctx, &api.CreateStackInstancesInput{
		StackSetName: id, DeploymentTargets: g.targets(), Regions: g.Regions, ParameterOverrides: parameters(g.ParameterOverrides),
		OperationPreferences: p.OperationPreferences.api(), OperationId: operationID(r, name), CallAs: p.CallAs,
	})
	if err != nil {
		return err
	}
	return h.wait(ctx, id, out.OperationId, p.CallAs)
}

func (h stackSetHandler) withdraw(ctx context.Context, r cfn.Request, id string, p *stackSetProperties, g instanceGroup, name string) error {
	out, err := h.svc.DeleteStackInstances(ctx, &api.DeleteStackInstancesInput{
		StackSetName: id, DeploymentTargets: g.targets(), Regions: g.Regions, RetainStacks: new(false),
		OperationPreferences: p.OperationPreferences.api(), OperationId: operationID(r, name), CallAs: p.CallAs,
	})
	if err != nil {
		return err
	}
	return h.wait(ctx, id, out.OperationId, p.CallAs)
}

// wait waits for the end of an operation, which is durable itself.
func (h stackSetHandler) wait(ctx context.Context, id, operation, callAs string) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		out, err := h.svc.DescribeStackSetOperation(ctx, &api.DescribeStackSetOperationInput{StackSetName: id, OperationId: operation, CallAs: callAs})
		if err != nil {
			return err
		}
		switch o := out.StackSetOperation; o.Status {
		case api.StackSetOperationStatusSucceeded:
			return nil
		case api.StackSetOperationStatusFailed, api.StackSetOperationStatusStopped:
			return fault.New(fault.CFNInvalidOperation, "Operation %s of stack set %s ended as %s. %s", operation, id, o.Status, h.why(ctx, id, operation, callAs))
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// why is the first failure of an operation.
func (h stackSetHandler) why(ctx context.Context, id, operation, callAs string) string {
	out, err := h.svc.ListStackSetOperationResults(ctx, &api.ListStackSetOperationResultsInput{
		StackSetName: id, OperationId: operation, CallAs: callAs,
		Filters: []api.OperationResultFilter{{Name: api.OperationResultFilterNameOperationResultStatus, Values: api.StackSetOperationResultStatusFailed}},
	})
	if err != nil || len(out.Summaries) == 0 {
		return ""
	}
	s := out.Summaries[0]
	return fmt.Sprintf("Account %s, region %s: %s", s.Account, s.Region, s.StatusReason)
}

func (h stackSetHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	callAs, _ := r.Properties["CallAs"].(string)
	out, err := h.svc.DescribeStackSet(ctx, &api.DescribeStackSetInput{StackSetName: r.PhysicalID, CallAs: callAs})
	if err == nil && out.StackSet.Status != api.StackSetStatusActive {
		err = resource.Missing(stackSetName, r.PhysicalID)
	}
	if err != nil {
		return nil, resource.Found(err, stackSetName, r.PhysicalID, fault.CFNStackSetNotFound)
	}
	s := out.StackSet
	p := stackSetProperties{
		StackSetName: s.StackSetName, PermissionModel: s.PermissionModel, Description: s.Description, Capabilities: s.Capabilities,
		AdministrationRoleARN: s.AdministrationRoleARN, ExecutionRoleName: s.ExecutionRoleName,
	}
	if _, byURL := r.Properties["TemplateURL"]; !byURL {
		p.TemplateBody = s.TemplateBody
	}
	if a := s.AutoDeployment; a != nil {
		p.AutoDeployment = &autoDeployment{Enabled: a.Enabled, RetainStacksOnAccountRemoval: a.RetainStacksOnAccountRemoval, DependsOn: a.DependsOn}
	}
	if m := s.ManagedExecution; m != nil && m.Active != nil && *m.Active {
		p.ManagedExecution = &managedExecution{Active: m.Active}
	}
	for _, one := range s.Parameters {
		p.Parameters = append(p.Parameters, parameter{one.ParameterKey, one.ParameterValue})
	}
	tags := map[string]string{}
	for _, t := range s.Tags {
		tags[t.Key] = t.Value
	}
	p.Tags = resource.OwnTags(tags)
	all, err := resource.Encode(p)
	if err == nil {
		all["StackSetId"] = s.StackSetId
	}
	return all, err
}

func (h stackSetHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, old stackSetProperties
	if err := resource.Decode(stackSetName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(stackSetName, r.Prior, &old); err != nil {
		return cfn.Result{}, err
	}
	done := cfn.Result{PhysicalID: r.PhysicalID, Attributes: cfn.Properties{"StackSetId": r.PhysicalID}}
	out, err := h.svc.UpdateStackSet(ctx, &api.UpdateStackSetInput{
		StackSetName: r.PhysicalID, Description: p.Description, TemplateBody: p.TemplateBody, TemplateURL: p.TemplateURL,
		Parameters: parameters(p.Parameters), Capabilities: p.Capabilities, Tags: p.tags(r), AdministrationRoleARN: p.AdministrationRoleARN,
		ExecutionRoleName: p.ExecutionRoleName, CallAs: p.CallAs, AutoDeployment: p.AutoDeployment.api(), ManagedExecution: p.ManagedExecution.api(),
		OperationPreferences: p.OperationPreferences.api(), OperationId: operationID(r, "update"),
	})
	if err != nil {
		return cfn.Result{}, resource.Found(err, stackSetName, r.PhysicalID, fault.CFNStackSetNotFound)
	}
	if err := h.wait(ctx, r.PhysicalID, out.OperationId, p.CallAs); err != nil {
		return cfn.Result{}, err
	}
	return done, h.regroup(ctx, r, &old, &p)
}

// regroup brings the instances from the old groups to the new ones.
func (h stackSetHandler) regroup(ctx context.Context, r cfn.Request, old, p *stackSetProperties) error {
	byKey := func(groups []instanceGroup) map[string]instanceGroup {
		out := map[string]instanceGroup{}
		for _, g := range groups {
			for _, t := range g.split() {
				out[t.key] = t.group
			}
		}
		return out
	}
	was, want := byKey(old.StackInstancesGroup), byKey(p.StackInstancesGroup)
	for _, key := range slices.Sorted(maps.Keys(was)) {
		g := was[key]
		if g.Regions = without(g.Regions, want[key].Regions); len(g.Regions) == 0 {
			continue
		}
		if err := h.withdraw(ctx, r, r.PhysicalID, p, g, "withdraw "+key); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		g := want[key]
		if before, ok := was[key]; ok && slices.Equal(before.ParameterOverrides, g.ParameterOverrides) {
			g.Regions = without(g.Regions, before.Regions)
		}
		if len(g.Regions) == 0 {
			continue
		}
		if err := h.deploy(ctx, r, r.PhysicalID, p, g, "deploy "+key); err != nil {
			return err
		}
	}
	return nil
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(v string) bool { return slices.Contains(some, v) })
}

func (h stackSetHandler) delete(ctx context.Context, r cfn.Request) error {
	var p stackSetProperties
	if err := resource.Decode(stackSetName, r.Properties, &p); err != nil {
		return err
	}
	if _, err := h.read(ctx, r); err != nil {
		return resource.Gone(err, cfn.NotFound)
	}
	for i, g := range p.StackInstancesGroup {
		if err := h.withdraw(ctx, r, r.PhysicalID, &p, g, fmt.Sprint("delete-", i)); err != nil {
			return err
		}
	}
	_, err := h.svc.DeleteStackSet(ctx, &api.DeleteStackSetInput{StackSetName: r.PhysicalID, CallAs: p.CallAs})
	return resource.Gone(err, fault.CFNStackSetNotFound)
}

func (h stackSetHandler) list(ctx context.Context) ([]string, error) {
	var found []string
	in := &api.ListStackSetsInput{Status: api.StackSetStatusActive}
	for {
		out, err := h.svc.ListStackSets(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range out.Summaries {
			found = append(found, s.StackSetId)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			return found, nil
		}
	}
}
