package stackset

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var setName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// Limits ("AWS CloudFormation quotas").
const (
	maxTags = 50
	maxSets = 1000
)

// CreateStackSet makes a stack set. It deploys nothing yet.
func (s *Service) CreateStackSet(ctx context.Context, in *api.CreateStackSetInput) (*api.CreateStackSetOutput, error) {
	scope, c, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	if !setName.MatchString(in.StackSetName) {
		return nil, invalid("1 validation error detected: Value '%s' at 'stackSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", in.StackSetName)
	}
	v := &set{
		Name: in.StackSetName, Scope: scope, Description: in.Description, Status: api.StackSetStatusActive, Model: in.PermissionModel,
		Capabilities: in.Capabilities, AdminRole: in.AdministrationRoleARN, ExecRole: in.ExecutionRoleName, Managed: in.ManagedExecution != nil && yes(in.ManagedExecution.Active),
		Revision: 1, Token: in.ClientRequestToken, Hash: hashOf(in), Enforced: c.Principal.Enforced, Endpoint: c.Endpoint,
	}
	if v.Token == "" {
		v.Token = c.Token
	}
	if v.Tags, err = tagsOf(in.Tags); err != nil {
		return nil, err
	}
	if err := s.checkModel(ctx, v, in.AutoDeployment, in.CallAs); err != nil {
		return nil, err
	}
	text, err := s.text(ctx, in)
	if err != nil {
		return nil, err
	}
	tmpl, err := s.cfg.Template(ctx, text, in.TemplateURL, in.Capabilities)
	if err != nil {
		return nil, err
	}
	if err := s.declare(v, tmpl, in.Parameters); err != nil {
		return nil, err
	}
	v.ID = newID(c.Token)
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if err := insert(tx, v, tmpl.Body); err != nil {
			return err
		}
		return dependable(tx, v)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateStackSetOutput{StackSetId: v.wholeID()}, nil
}

// insert writes a new stack set, or finds what the same request has made before.
func insert(tx store.Tx, v *set, text string) error {
	switch have, err := findSet(tx, v.Scope, v.Name, ""); {
	case err == nil && v.Token != "" && have.Token == v.Token && have.Hash == v.Hash:
		*v = *have
		return nil
	case err == nil && v.Token != "" && have.Token == v.Token:
		return fault.New(fault.CFNCreatedButModified, "The specified resource exists, but has been changed.")
	case err == nil:
		return fault.New(fault.CFNNameAlreadyExists, "Stack Set %s already exists", v.Name)
	case !fault.Is(err, fault.CFNStackSetNotFound):
		return err
	}
	n := 0
	for e, err := range sets.Scan(tx, v.Scope.Key()+"/") {
		if err != nil {
			return err
		}
		if e.Value.Status == api.StackSetStatusActive {
			n++
		}
	}
	if n >= maxSets {
		return fault.New(fault.CFNLimitExceeded, "You have reached the limit of %d stack sets.", maxSets)
	}
	if err := setNames.Put(tx, v.Scope.Key()+"/"+v.Name, &v.ID); err != nil {
		return err
	}
	if err := bodies.Put(tx, v.key(), &body{text}); err != nil {
		return err
	}
	return sets.Put(tx, v.key(), v)
}

// newID is a UUID, the same for one token.
func newID(token string) string {
	if token == "" {
		return arn.NewUUID()
	}
	return arn.UUIDFrom(token)
}

// hashOf tells requests apart that have one token.
func hashOf(in any) string {
	b, err := json.Marshal(in)
	if err != nil {
		panic("stackset: a request that cannot be written: " + err.Error()) // they are plain structs
	}
	return arn.Hash(string(b))
}

// text is the template that a request gives: as text, or that of a stack.
func (s *Service) text(ctx context.Context, in *api.CreateStackSetInput) (string, error) {
	if in.StackId == "" {
		return in.TemplateBody, nil
	}
	if in.TemplateBody != "" || in.TemplateURL != "" {
		return "", invalid("You must specify either a template or a StackId, but not both.")
	}
	out, err := s.cfg.Stacks().GetTemplate(ctx, &api.GetTemplateInput{StackName: in.StackId})
	if err != nil {
		return "", err
	}
	return out.TemplateBody, nil
}

// checkModel checks what depends on the permission model, and fills it in.
func (s *Service) checkModel(ctx context.Context, v *set, auto *api.AutoDeployment, callAs string) (err error) {
	if v.Model == "" {
		v.Model = api.PermissionModelsSelfManaged
	}
	if v.Model == api.PermissionModelsSelfManaged {
		switch {
		case auto != nil:
			return invalid("AutoDeployment can only be specified for SERVICE_MANAGED stack sets.")
		case callAs == api.CallAsDelegatedAdmin:
			return invalid("CallAs DELEGATED_ADMIN can only be used with SERVICE_MANAGED stack sets.")
		}
		if v.ExecRole == "" {
			v.ExecRole = defaultExecution
		}
		if v.AdminRole == "" {
			v.AdminRole = v.Scope.Global("iam", "role/"+defaultAdministration).String()
		}
		return v.checkRole()
	}
	if v.AdminRole != "" || v.ExecRole != "" {
		return invalid("AdministrationRoleARN and ExecutionRoleName cannot be specified for a SERVICE_MANAGED stack set.")
	}
	if err := s.checkAccess(ctx, v.Scope.Account, callAs); err != nil {
		return err
	}
	if auto == nil || auto.Enabled == nil {
		return invalid("AutoDeployment must be specified for a SERVICE_MANAGED stack set.")
	}
	v.Auto, err = automaticOf(v, auto)
	return err
}

// checkRole keeps CloudFormation from acting by a role of another account.
func (v *set) checkRole() error {
	a, err := arn.Parse(v.AdminRole)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return invalid("AdministrationRoleARN %s is not the ARN of a role.", v.AdminRole)
	}
	if a.Account != v.Scope.Account {
		return invalid("Cross-account pass role is not allowed.")
	}
	return nil
}

func tagsOf(in []api.Tag) (map[string]string, error) {
	if len(in) > maxTags {
		return nil, invalid("1 validation error detected: Value '%d' at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50", len(in))
	}
	out := map[string]string{}
	for _, t := range in {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, invalid("Tag keys must not start with aws: [%s]", t.Key)
		}
		if _, ok := out[t.Key]; ok {
			return nil, invalid("Duplicate tag key [%s]", t.Key)
		}
		out[t.Key] = t.Value
	}
	return out, nil
}

func tagList(in map[string]string) []api.Tag {
	out := []api.Tag{}
	for _, k := range slices.Sorted(maps.Keys(in)) {
		out = append(out, api.Tag{Key: k, Value: in[k]})
	}
	return out
}

// DescribeStackSet describes a stack set.
func (s *Service) DescribeStackSet(ctx context.Context, in *api.DescribeStackSetInput) (*api.DescribeStackSetOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeStackSetOutput{}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			return err
		}
		text, err := bodies.Get(tx, v.key())
		if err != nil {
			return err
		}
		have, err := allOf(tx, instances, v.key()+"/")
		if err != nil {
			return err
		}
		out.StackSet = v.api(text.Text, have)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (v *set) api(text string, have []*instance) *api.StackSet {
	out := &api.StackSet{
		StackSetName: v.Name, StackSetId: v.wholeID(), StackSetARN: v.arn(), Description: v.Description, Status: v.Status,
		TemplateBody: text, Parameters: v.show(v.Parameters), Capabilities: v.Capabilities, Tags: tagList(v.Tags),
		AdministrationRoleARN: v.AdminRole, ExecutionRoleName: v.ExecRole, PermissionModel: v.Model,
		AutoDeployment: v.Auto.api(), ManagedExecution: &api.ManagedExecution{Active: &v.Managed}, StackSetDriftDetectionDetails: v.Drift.api(),
		OrganizationalUnitIds: []string{}, Regions: []string{},
	}
	for _, t := range v.Units {
		if !slices.Contains(out.OrganizationalUnitIds, t.Unit) {
			out.OrganizationalUnitIds = append(out.OrganizationalUnitIds, t.Unit)
		}
	}
	for _, i := range have {
		if !slices.Contains(out.Regions, i.Region) {
			out.Regions = append(out.Regions, i.Region)
		}
	}
	slices.Sort(out.Regions)
	return out
}

func (a *automatic) api() *api.AutoDeployment {
	if a == nil {
		return nil
	}
	return &api.AutoDeployment{Enabled: &a.Enabled, RetainStacksOnAccountRemoval: &a.Retain, DependsOn: a.DependsOn}
}

func (d *driftDetails) api() *api.StackSetDriftDetectionDetails {
	if d == nil {
		return &api.StackSetDriftDetectionDetails{DriftStatus: api.StackSetDriftStatusNotChecked}
	}
	return &api.StackSetDriftDetectionDetails{
		DriftStatus: d.Status, DriftDetectionStatus: d.Detection, LastDriftCheckTimestamp: &d.Checked, TotalStackInstancesCount: &d.Total,
		DriftedStackInstancesCount: &d.Drifted, InSyncStackInstancesCount: &d.InSync, InProgressStackInstancesCount: &d.Running,
		FailedStackInstancesCount: &d.Failed,
	}
}

// ListStackSets lists stack sets.
func (s *Service) ListStackSets(ctx context.Context, in *api.ListStackSetsInput) (*api.ListStackSetsOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	out := &api.ListStackSetsOutput{Summaries: []api.StackSetSummary{}}
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		page, next, err := pageOf(tx, sets, scope.Key()+"/", in.NextToken, in.MaxResults, func(v *set) bool {
			return (in.Status == "" || v.Status == in.Status) && (in.CallAs != api.CallAsDelegatedAdmin || v.Model == api.PermissionModelsServiceManaged)
		})
		for _, v := range page {
			one := api.StackSetSummary{
				StackSetName: v.Name, StackSetId: v.wholeID(), Description: v.Description, Status: v.Status, PermissionModel: v.Model,
				AutoDeployment: v.Auto.api(), ManagedExecution: &api.ManagedExecution{Active: &v.Managed}, DriftStatus: api.StackDriftStatusNotChecked,
			}
			if v.Drift != nil {
				one.DriftStatus, one.LastDriftCheckTimestamp = v.Drift.Status, &v.Drift.Checked
			}
			out.Summaries = append(out.Summaries, one)
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteStackSet deletes a stack set that has no instances.
func (s *Service) DeleteStackSet(ctx context.Context, in *api.DeleteStackSetInput) (*api.DeleteStackSetOutput, error) {
	scope, _, err := s.scope(ctx, in.CallAs)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		v, err := findSet(tx, scope, in.StackSetName, in.CallAs)
		if err != nil {
			if fault.Is(err, fault.CFNStackSetNotFound) {
				return nil // as on AWS
			}
			return err
		}
		if v.Status != api.StackSetStatusActive {
			return nil
		}
		if err := idle(tx, v); err != nil {
			return err
		}
		for _, err := range instances.Scan(tx, v.key()+"/") {
			if err != nil {
				return err
			}
			return fault.New(fault.CFNStackSetNotEmpty, "StackSet is not empty")
		}
		v.Status = api.StackSetStatusDeleted
		if err := setNames.Delete(tx, v.Scope.Key()+"/"+v.Name); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return sets.Put(tx, v.key(), v)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteStackSetOutput{}, nil
}

// load reads a stack set, which is about to be operated on, with its template.
func (s *Service) load(ctx context.Context, scope arn.Scope, name, callAs string) (v *set, text string, err error) {
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		if v, err = activeSet(tx, scope, name, callAs); err != nil {
			return err
		}
		b, err := bodies.Get(tx, v.key())
		if err == nil {
			text = b.Text
		}
		return err
	})
	if err == nil && v.Model == api.PermissionModelsServiceManaged {
		err = s.checkAccess(ctx, scope.Account, callAs)
	}
	return v, text, err
}

// newOperation is an operation on a set as a request asks for it.
func (s *Service) newOperation(c auth.Call, v *set, kind, id string, prefs *api.StackSetOperationPreferences, request any) (*operation, error) {
	if id == "" {
		id = newID(c.Token)
	} else if !tokenForm.MatchString(id) {
		return nil, invalid("1 validation error detected: Value '%s' at 'operationId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*", id)
	}
	p, err := preferencesOf(prefs)
	return &operation{
		ID: id, Set: v.ID, Scope: v.Scope, Kind: kind, Prefs: p, AdminRole: v.AdminRole, ExecRole: v.ExecRole,
		Hash: hashOf(request), Created: s.now(), Enforced: c.Principal.Enforced, Endpoint: c.Endpoint,
	}, err
}
