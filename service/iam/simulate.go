package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
)

// simulation is what SimulateCustomPolicy and SimulatePrincipalPolicy have in
// common. It decides as every call is decided, by package policy.
type simulation struct {
	actions   []string
	resources []string
	inquiry   policy.Inquiry
	names     map[*policy.Document]string // of the answer's SourcePolicyId
}

// add takes one more document in.
func (m *simulation) add(id, text string, kind policy.Kind, to func(*policy.Document)) error {
	d, err := policy.Parse(text, kind)
	if err != nil {
		return fault.New(fault.InvalidInput, "%s: %s", id, err.Error())
	}
	m.names[d] = id
	to(d)
	return nil
}

// prepare reads the members that both operations have.
func prepare(ctx context.Context, in *api.SimulateCustomPolicyInput) (*simulation, error) {
	if in.ResourceHandlingOption != "" {
		return nil, fault.New(fault.NotImplemented, "ResourceHandlingOption of a simulation is not built.")
	}
	m := &simulation{actions: in.ActionNames, resources: in.ResourceArns, names: map[*policy.Document]string{}}
	if len(m.resources) == 0 {
		m.resources = []string{"*"}
	}
	for _, a := range m.actions {
		vendor, name, ok := strings.Cut(a, ":")
		if !ok || vendor == "" || name == "" || strings.ContainsAny(a, "*? ") {
			return nil, fault.New(fault.InvalidInput, "Invalid Action: %s. An action is service:operation, without wildcards.", a)
		}
	}
	given := policy.Given{}
	for _, e := range in.ContextEntries {
		given[strings.ToLower(e.ContextKeyName)] = e.ContextKeyValues
	}
	m.inquiry.Context = given
	m.inquiry.Caller.Account = auth.From(ctx).Scope.Account
	if err := m.caller(in); err != nil {
		return nil, err
	}
	for i, text := range in.PolicyInputList {
		err := m.add("PolicyInputList."+strconv.Itoa(i+1), text, policy.Identity, func(d *policy.Document) { m.inquiry.Identity = append(m.inquiry.Identity, d) })
		if err != nil {
			return nil, err
		}
	}
	if len(in.PermissionsBoundaryPolicyInputList) > 1 {
		return nil, fault.New(fault.InvalidInput, "There is at most one permissions boundary.")
	}
	for i, text := range in.PermissionsBoundaryPolicyInputList {
		err := m.add("PermissionsBoundaryPolicyInputList."+strconv.Itoa(i+1), text, policy.Identity, func(d *policy.Document) { m.inquiry.Boundary = d })
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// caller reads who is taken to ask, and of whom.
func (m *simulation) caller(in *api.SimulateCustomPolicyInput) error {
	if in.CallerArn != "" {
		a, err := arn.Parse(in.CallerArn)
		if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "user/") {
			return fault.New(fault.InvalidInput, "Invalid CallerArn: %s. It must be the ARN of an IAM user.", in.CallerArn)
		}
		m.inquiry.Caller = policy.Caller{Account: a.Account, ARN: in.CallerArn}
	}
	owner := in.ResourceOwner
	if a, err := arn.Parse(owner); err == nil {
		owner = a.Account
	}
	if owner != "" && !arn.IsAccount(owner) {
		return fault.New(fault.InvalidInput, "Invalid ResourceOwner: %s. It is an account's id or the ARN of its root.", in.ResourceOwner)
	}
	m.inquiry.Owner = owner
	if in.ResourcePolicy == "" {
		return nil
	}
	if in.CallerArn == "" {
		return fault.New(fault.InvalidInput, "CallerArn is required with ResourcePolicy.")
	}
	return m.add("ResourcePolicy", in.ResourcePolicy, policy.Resource, func(d *policy.Document) { m.inquiry.Attached = d })
}

// page decides every action on every resource, as many as fit.
func (m *simulation) page(marker string, max *int32) (out []api.EvaluationResult, next string, err error) {
	from := 0
	if marker != "" {
		if from, err = strconv.Atoi(marker); err != nil || from < 0 || from > len(m.actions)*len(m.resources) {
			return nil, "", badMarker(marker)
		}
	}
	out = []api.EvaluationResult{}
	to := min(from+pageSize(max), len(m.actions)*len(m.resources))
	for i := from; i < to; i++ {
		out = append(out, m.decide(m.actions[i/len(m.resources)], m.resources[i%len(m.resources)]))
	}
	if to < len(m.actions)*len(m.resources) {
		next = strconv.Itoa(to)
	}
	return out, next, nil
}

func wordOf(d policy.Decision) string {
	switch d {
	case policy.Allowed:
		return api.PolicyEvaluationDecisionTypeAllowed
	case policy.Denied:
		return api.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return api.PolicyEvaluationDecisionTypeImplicitDeny
}

func (m *simulation) decide(action, resource string) api.EvaluationResult {
	q := m.inquiry
	q.Action, q.Request.Resource = action, resource
	e := q.Explain()
	matched := []api.Statement{}
	for _, s := range e.Matched {
		matched = append(matched, api.Statement{
			SourcePolicyId: m.names[s.Document], SourcePolicyType: sourceTypes[s.Source],
			StartPosition: positionOf(behindBrace(s.Statement.Start)), EndPosition: positionOf(s.Statement.End),
		})
	}
	details := map[string]string{}
	if e.Resource != nil && q.Owner != "" && q.Owner != q.Caller.Account {
		details["IAM Policy"], details["Resource Policy"] = wordOf(*e.Identity), wordOf(*e.Resource)
	}
	var boundary *api.PermissionsBoundaryDecisionDetail
	if e.Boundary != nil {
		boundary = &api.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: new(*e.Boundary == policy.Allowed)}
	}
	missing := append([]string{}, e.Missing...)
	return api.EvaluationResult{
		EvalActionName: action, EvalResourceName: resource, EvalDecision: wordOf(e.Decision), MatchedStatements: matched,
		MissingContextValues: missing, EvalDecisionDetails: details, PermissionsBoundaryDecisionDetail: boundary,
		ResourceSpecificResults: []api.ResourceSpecificResult{{
			EvalResourceName: resource, EvalResourceDecision: wordOf(e.Decision), MatchedStatements: matched, MissingContextValues: missing,
			PermissionsBoundaryDecisionDetail: boundary,
		}},
	}
}

var sourceTypes = map[policy.Source]string{
	policy.ByIdentity: "IAM Policy", policy.ByResource: "Resource Policy", policy.ByBoundary: "IAM Permissions Boundary Policy",
	policy.ByControl: "Organizations SCP",
}

// behindBrace is where AWS has a statement start: behind its brace, as it ends
// behind the other one.
func behindBrace(p policy.Position) policy.Position {
	return policy.Position{Line: p.Line, Column: p.Column + 1}
}

func positionOf(p policy.Position) *api.Position {
	return &api.Position{Line: new(int32(p.Line)), Column: new(int32(p.Column))} //nolint:gosec // a policy has at most 131072 bytes
}

// SimulateCustomPolicy decides by policies that the caller gives.
func (s *Service) SimulateCustomPolicy(ctx context.Context, in *api.SimulateCustomPolicyInput) (*api.SimulateCustomPolicyOutput, error) {
	m, err := prepare(ctx, in)
	if err != nil {
		return nil, err
	}
	results, next, err := m.page(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &api.SimulateCustomPolicyOutput{EvaluationResults: results, Marker: next, IsTruncated: new(next != "")}, nil
}

// SimulatePrincipalPolicy decides by the policies of a user, group or role, and
// by those that the caller gives more.
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, in *api.SimulatePrincipalPolicyInput) (*api.SimulatePrincipalPolicyOutput, error) {
	held, err := s.holdings(ctx, in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	custom := &api.SimulateCustomPolicyInput{
		PolicyInputList: in.PolicyInputList, PermissionsBoundaryPolicyInputList: in.PermissionsBoundaryPolicyInputList, ActionNames: in.ActionNames,
		ResourceArns: in.ResourceArns, ResourcePolicy: in.ResourcePolicy, ResourceOwner: in.ResourceOwner, CallerArn: in.CallerArn,
		ContextEntries: in.ContextEntries, ResourceHandlingOption: in.ResourceHandlingOption,
	}
	if custom.CallerArn == "" && strings.Contains(in.PolicySourceArn, ":user/") {
		custom.CallerArn = in.PolicySourceArn
	}
	m, err := prepare(ctx, custom)
	if err != nil {
		return nil, err
	}
	for _, h := range held.policies {
		if h.text == "" {
			continue // of AWS's, and not known: it grants nothing
		}
		if err := m.add(h.id(), h.text, policy.Identity, func(d *policy.Document) { m.inquiry.Identity = append(m.inquiry.Identity, d) }); err != nil {
			return nil, err
		}
	}
	if b := held.boundary; b != nil && m.inquiry.Boundary == nil {
		if b.text == "" {
			b.text = nothing
		}
		if err := m.add(b.id(), b.text, policy.Identity, func(d *policy.Document) { m.inquiry.Boundary = d }); err != nil {
			return nil, err
		}
	}
	results, next, err := m.page(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &api.SimulatePrincipalPolicyOutput{EvaluationResults: results, Marker: next, IsTruncated: new(next != "")}, nil
}

// GetContextKeysForCustomPolicy lists the condition keys that policies ask for.
func (s *Service) GetContextKeysForCustomPolicy(_ context.Context, in *api.GetContextKeysForCustomPolicyInput) (*api.GetContextKeysForCustomPolicyOutput, error) {
	keys, err := contextKeys(in.PolicyInputList)
	if err != nil {
		return nil, err
	}
	return &api.GetContextKeysForCustomPolicyOutput{ContextKeyNames: keys}, nil
}

// GetContextKeysForPrincipalPolicy lists the condition keys that the policies of
// a user, group or role ask for, and those given more.
func (s *Service) GetContextKeysForPrincipalPolicy(ctx context.Context, in *api.GetContextKeysForPrincipalPolicyInput) (*api.GetContextKeysForPrincipalPolicyOutput, error) {
	held, err := s.holdings(ctx, in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	texts := slices.Clone(in.PolicyInputList)
	for _, h := range held.policies {
		if h.text != "" {
			texts = append(texts, h.text)
		}
	}
	keys, err := contextKeys(texts)
	if err != nil {
		return nil, err
	}
	return &api.GetContextKeysForPrincipalPolicyOutput{ContextKeyNames: keys}, nil
}

func contextKeys(texts []string) ([]string, error) {
	keys := []string{}
	for i, text := range texts {
		d, err := policy.Parse(text, policy.Identity)
		if err != nil {
			return nil, fault.New(fault.InvalidInput, "PolicyInputList.%d: %s", i+1, err.Error())
		}
		keys = append(keys, d.Keys()...)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}
