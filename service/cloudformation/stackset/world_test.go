package stackset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/api/sts"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

const (
	administrator = "111111111111"
	first         = "222222222222"
	second        = "333333333333"
	third         = "444444444444"
)

// stacks is a CloudFormation whose stacks are what they are asked to be at once, but
// in the accounts that fail, and while they are held.
type stacks struct {
	api.Unimplemented
	mu    sync.Mutex
	there map[string]*one // by id
	fails map[string]bool // accounts
	hold  chan struct{}   // nil: nothing is held
	log   []string
	drift string
}

type one struct {
	id, name, account, region, token, status, template string
	parameters                                         map[string]string
	tags                                               int
}

func (s *stacks) text() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, st := range s.there {
		out = append(out, fmt.Sprintf("%s %s %s %v", st.account, st.region, st.status, st.parameters))
	}
	slices.Sort(out)
	return out
}

// caller is the call, which must be by a session of a role of its account.
func (s *stacks) caller(ctx context.Context) (auth.Call, error) {
	c := auth.From(ctx)
	if c.Principal.Kind != auth.AssumedRole || c.Principal.Account != c.Scope.Account {
		return c, fault.New(fault.AccessDenied, "%s is not of account %s", c.Principal.ARN, c.Scope.Account)
	}
	return c, nil
}

func (s *stacks) wait(ctx context.Context) error {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold == nil {
		return nil
	}
	select {
	case <-hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stacks) CreateStack(ctx context.Context, in *api.CreateStackInput) (*api.CreateStackOutput, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	body, ok := TemplateOf(ctx)
	if !ok || in.TemplateURL != InternalURL {
		return nil, fault.New(fault.ValidationError, "there is no template")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.there {
		if st.token == c.Token {
			return &api.CreateStackOutput{StackId: st.id}, nil
		}
	}
	st := &one{
		name: in.StackName, account: c.Scope.Account, region: c.Scope.Region, token: c.Token, status: "CREATE_COMPLETE", template: body,
		parameters: values(in.Parameters), tags: len(in.Tags), id: c.Scope.ARN("cloudformation", "stack/"+in.StackName+"/"+newID(c.Token)).String(),
	}
	if s.fails[c.Scope.Account] {
		st.status = "ROLLBACK_COMPLETE"
	}
	s.there[st.id] = st
	s.log = append(s.log, "create "+c.Scope.Account+" "+c.Scope.Region)
	return &api.CreateStackOutput{StackId: st.id}, nil
}

func values(in []api.Parameter) map[string]string {
	out := map[string]string{}
	for _, p := range in {
		out[p.ParameterKey] = p.ParameterValue
	}
	return out
}

func (s *stacks) UpdateStack(ctx context.Context, in *api.UpdateStackInput) (*api.UpdateStackOutput, error) {
	if _, err := s.caller(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.there[in.StackName]
	body, _ := TemplateOf(ctx)
	if st.token == in.ClientRequestToken {
		return &api.UpdateStackOutput{StackId: st.id}, nil
	}
	now := values(in.Parameters)
	if st.template == body && fmt.Sprint(st.parameters) == fmt.Sprint(now) {
		return nil, fault.New(fault.ValidationError, "No updates are to be performed.")
	}
	st.template, st.parameters, st.status, st.token = body, now, "UPDATE_COMPLETE", in.ClientRequestToken
	if s.fails[st.account] {
		st.status = "UPDATE_ROLLBACK_COMPLETE"
	}
	s.log = append(s.log, "update "+st.account+" "+st.region)
	return &api.UpdateStackOutput{StackId: st.id}, nil
}

func (s *stacks) DeleteStack(ctx context.Context, in *api.DeleteStackInput) (*api.DeleteStackOutput, error) {
	if _, err := s.caller(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.there[in.StackName]
	if s.fails[st.account] {
		st.status = "DELETE_FAILED"
		return &api.DeleteStackOutput{}, nil
	}
	delete(s.there, in.StackName)
	s.log = append(s.log, "delete "+st.account+" "+st.region)
	return &api.DeleteStackOutput{}, nil
}

func (s *stacks) DescribeStacks(ctx context.Context, in *api.DescribeStacksInput) (*api.DescribeStacksOutput, error) {
	if _, err := s.caller(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.there[in.StackName]
	if st == nil {
		return nil, fault.New(fault.ValidationError, "Stack with id %s does not exist", in.StackName)
	}
	out := api.Stack{StackId: st.id, StackName: st.name, StackStatus: st.status}
	for k, v := range st.parameters {
		out.Parameters = append(out.Parameters, api.Parameter{ParameterKey: k, ParameterValue: v})
	}
	return &api.DescribeStacksOutput{Stacks: []api.Stack{out}}, nil
}

func (s *stacks) GetTemplate(_ context.Context, in *api.GetTemplateInput) (*api.GetTemplateOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &api.GetTemplateOutput{TemplateBody: s.there[in.StackName].template}, nil
}

func (s *stacks) DescribeStackEvents(_ context.Context, in *api.DescribeStackEventsInput) (*api.DescribeStackEventsOutput, error) {
	return &api.DescribeStackEventsOutput{StackEvents: []api.StackEvent{
		{StackId: in.StackName, PhysicalResourceId: in.StackName, ResourceStatus: "ROLLBACK_COMPLETE"},
		{StackId: in.StackName, LogicalResourceId: "B", ResourceType: "AWS::SQS::Queue", ResourceStatus: "CREATE_FAILED", ResourceStatusReason: "Resource creation cancelled"},
		{StackId: in.StackName, LogicalResourceId: "A", ResourceType: "AWS::SQS::Queue", ResourceStatus: "CREATE_FAILED", ResourceStatusReason: "no"},
		{StackId: in.StackName, PhysicalResourceId: in.StackName, ResourceStatus: "CREATE_IN_PROGRESS", ResourceStatusReason: "User Initiated"},
		{StackId: in.StackName, LogicalResourceId: "Old", ResourceType: "AWS::SQS::Queue", ResourceStatus: "CREATE_FAILED", ResourceStatusReason: "long ago"},
	}}, nil
}

func (s *stacks) DetectStackDrift(ctx context.Context, _ *api.DetectStackDriftInput) (*api.DetectStackDriftOutput, error) {
	_, err := s.caller(ctx)
	return &api.DetectStackDriftOutput{StackDriftDetectionId: "d"}, err
}

func (s *stacks) DescribeStackDriftDetectionStatus(context.Context, *api.DescribeStackDriftDetectionStatusInput) (*api.DescribeStackDriftDetectionStatusOutput, error) {
	return &api.DescribeStackDriftDetectionStatusOutput{DetectionStatus: "DETECTION_COMPLETE", StackDriftStatus: s.drift}, nil
}

// roles is STS and IAM: whom the roles that exist let in.
type roles struct {
	sts.Unimplemented
	mu     sync.Mutex
	trusts map[string]string // by the role's ARN: the ARN or service that it trusts
}

func (r *roles) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := auth.From(ctx).Principal
	who := p.Name
	if p.Kind == auth.AssumedRole {
		who = arn.Scope{Account: p.Account}.Global("iam", "role/"+p.Name).String()
	}
	if r.trusts[in.RoleArn] != who {
		return nil, fault.New(fault.AccessDenied, "%s may not assume %s", who, in.RoleArn)
	}
	a, err := arn.Parse(in.RoleArn)
	name := roleName(in.RoleArn)
	return &sts.AssumeRoleOutput{AssumedRoleUser: &sts.AssumedRoleUser{
		Arn: arn.Scope{Account: a.Account}.Global("sts", "assumed-role/"+name+"/"+in.RoleSessionName).String(), AssumedRoleId: "AROA:" + in.RoleSessionName,
	}}, err
}

// makers is the part of IAM that makes roles.
type makers struct {
	iam.Unimplemented
	*roles
}

func (m makers) CreateRole(ctx context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trusts[auth.From(ctx).Scope.Global("iam", "role/"+in.RoleName).String()] = memberPrincipal
	return &iam.CreateRoleOutput{}, nil
}

func (m makers) AttachRolePolicy(context.Context, *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	return &iam.AttachRolePolicyOutput{}, nil
}

// tree is an organization of one root with two units, a and b.
type tree struct {
	organizations.Unimplemented
	mu        sync.Mutex
	in        map[string]string // account -> parent
	suspended map[string]bool
	access    bool
	delegated string
}

func (o *tree) place(account, parent string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if parent == "" {
		delete(o.in, account)
		return
	}
	o.in[account] = parent
}

func (o *tree) DescribeOrganization(ctx context.Context, _ *organizations.DescribeOrganizationInput) (*organizations.DescribeOrganizationOutput, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.in[auth.From(ctx).Scope.Account] == "" {
		return nil, fault.New(fault.OrganizationsNotInUse, "Your account is not a member of an organization.")
	}
	return &organizations.DescribeOrganizationOutput{Organization: &organizations.Organization{MasterAccountId: administrator}}, nil
}

func (o *tree) ListRoots(context.Context, *organizations.ListRootsInput) (*organizations.ListRootsOutput, error) {
	return &organizations.ListRootsOutput{Roots: []organizations.Root{{Id: "r-root"}}}, nil
}

func (o *tree) ListOrganizationalUnitsForParent(_ context.Context, in *organizations.ListOrganizationalUnitsForParentInput) (*organizations.ListOrganizationalUnitsForParentOutput, error) {
	out := &organizations.ListOrganizationalUnitsForParentOutput{}
	if in.ParentId == "r-root" {
		out.OrganizationalUnits = []organizations.OrganizationalUnit{{Id: "ou-a"}, {Id: "ou-b"}}
	}
	return out, nil
}

func (o *tree) ListAccountsForParent(_ context.Context, in *organizations.ListAccountsForParentInput) (*organizations.ListAccountsForParentOutput, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := &organizations.ListAccountsForParentOutput{}
	for a, parent := range o.in {
		if parent != in.ParentId {
			continue
		}
		state := organizations.AccountStateActive
		if o.suspended[a] {
			state = organizations.AccountStateSuspended
		}
		out.Accounts = append(out.Accounts, organizations.Account{Id: a, State: state})
	}
	return out, nil
}

func (o *tree) ListAWSServiceAccessForOrganization(context.Context, *organizations.ListAWSServiceAccessForOrganizationInput) (*organizations.ListAWSServiceAccessForOrganizationOutput, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := &organizations.ListAWSServiceAccessForOrganizationOutput{}
	if o.access {
		out.EnabledServicePrincipals = []organizations.EnabledServicePrincipal{{ServicePrincipal: memberPrincipal}}
	}
	return out, nil
}

func (o *tree) EnableAWSServiceAccess(context.Context, *organizations.EnableAWSServiceAccessInput) (*organizations.EnableAWSServiceAccessOutput, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.access = true
	return &organizations.EnableAWSServiceAccessOutput{}, nil
}

func (o *tree) ListDelegatedAdministrators(context.Context, *organizations.ListDelegatedAdministratorsInput) (*organizations.ListDelegatedAdministratorsOutput, error) {
	return &organizations.ListDelegatedAdministratorsOutput{DelegatedAdministrators: []organizations.DelegatedAdministrator{{Id: o.delegated}}}, nil
}

// world is a service on fakes of all others.
type world struct {
	*Service
	t      *testing.T
	engine *workflow.Engine
	store  store.Store
	stacks *stacks
	roles  *roles
	tree   *tree
}

// others are the fakes, which outlive crashes.
func others() (*stacks, *roles, *tree) {
	r := &roles{trusts: map[string]string{arnOfRole(administrator, defaultAdministration): servicePrincipal}}
	for _, a := range []string{first, second, third} {
		r.trusts[arnOfRole(a, defaultExecution)] = arnOfRole(administrator, defaultAdministration)
	}
	return &stacks{there: map[string]*one{}, fails: map[string]bool{}}, r,
		&tree{in: map[string]string{administrator: "r-root", first: "ou-a", second: "ou-b"}, suspended: map[string]bool{}}
}

func arnOfRole(account, name string) string {
	return arn.Scope{Account: account}.Global("iam", "role/"+name).String()
}

func newService(st store.Store, e *workflow.Engine, s *stacks, r *roles, o *tree) *Service {
	return New(Config{
		Seal: veil, Open: unveil, List: lists.list, Store: st, Workflows: e, Stacks: func() api.Service { return s }, STS: r, IAM: makers{roles: r}, Organizations: o,
		Template: func(ctx context.Context, body, url string, _ []string) (Template, error) {
			if url == InternalURL {
				body, _ = TemplateOf(ctx)
			}
			if body == "" {
				return Template{}, fault.New(fault.ValidationError, "Either Template URL or Template Body must be specified.")
			}
			return Template{Body: body, Parameters: []Declared{{Key: "Size", Default: new("1")}, {Key: "Secret", Default: new("s"), NoEcho: true}}}, nil
		},
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: storetest.New(t)}
	w.stacks, w.roles, w.tree = others()
	w.engine = workflow.New(workflow.Config{Store: w.store, Retry: workflow.Retry{Attempts: 2, First: time.Millisecond, Max: time.Millisecond}})
	w.Service = newService(w.store, w.engine, w.stacks, w.roles, w.tree)
	if err := w.engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Stop()
		w.engine.Stop()
	})
	return w
}

func as(account string) context.Context {
	return auth.With(context.Background(), auth.Call{
		Principal: auth.Principal{Kind: auth.Root, Account: account}, Scope: arn.Scope{Account: account, Region: "us-east-1"},
	})
}

var admin = as(administrator)

// must ends the test on an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	e, ok := fault.As(err)
	if !ok || e.Code != code || !strings.Contains(e.Message, message) {
		t.Errorf("error %v, want %s: …%s…", err, code, message)
	}
}

// ended waits for the end of an operation.
func (w *world) ended(id, want string) *api.StackSetOperation {
	w.t.Helper()
	ctx, stop := context.WithTimeout(admin, 30*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/")
	for {
		o := must[*api.DescribeStackSetOperationOutput](w.t)(w.DescribeStackSetOperation(admin, &api.DescribeStackSetOperationInput{StackSetName: "s", OperationId: id})).StackSetOperation
		if o.Status == want {
			return o
		}
		if o.EndTimestamp != nil {
			w.t.Fatalf("operation %s ended as %s (%s), want %s: %s", id, o.Status, o.StatusReason, want, w.results(id))
		}
		if _, ok := <-changed; !ok {
			w.t.Fatalf("operation %s stays in %s", id, o.Status)
		}
	}
}

// results are those of an operation, one in a line.
func (w *world) results(id string) string {
	w.t.Helper()
	var b strings.Builder
	for _, r := range must[*api.ListStackSetOperationResultsOutput](w.t)(w.ListStackSetOperationResults(admin, &api.ListStackSetOperationResultsInput{StackSetName: "s", OperationId: id})).Summaries {
		b.WriteString(strings.TrimSpace(r.Region+" "+r.Account+" "+r.Status+" "+r.StatusReason) + "\n")
	}
	return b.String()
}

// list are the instances of the set, one in a line.
func (w *world) list() string {
	w.t.Helper()
	var b strings.Builder
	for _, i := range must[*api.ListStackInstancesOutput](w.t)(w.ListStackInstances(admin, &api.ListStackInstancesInput{StackSetName: "s"})).Summaries {
		b.WriteString(i.Account + " " + i.Region + " " + i.Status + " " + i.StackInstanceStatus.DetailedStatus + "\n")
	}
	return b.String()
}

func (w *world) create(change ...func(*api.CreateStackSetInput)) {
	w.t.Helper()
	in := &api.CreateStackSetInput{StackSetName: "s", TemplateBody: "one"}
	for _, f := range change {
		f(in)
	}
	must[*api.CreateStackSetOutput](w.t)(w.CreateStackSet(admin, in))
}

func (w *world) deploy(accounts, regions string, change ...func(*api.CreateStackInstancesInput)) string {
	w.t.Helper()
	in := &api.CreateStackInstancesInput{StackSetName: "s", Accounts: strings.Fields(accounts), Regions: strings.Fields(regions)}
	for _, f := range change {
		f(in)
	}
	return must[*api.CreateStackInstancesOutput](w.t)(w.CreateStackInstances(admin, in)).OperationId
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s:\n%swant:\n%s", what, got, want)
	}
}

func scopeOf(account string) arn.Scope { return arn.Scope{Account: account, Region: "us-east-1"} }
