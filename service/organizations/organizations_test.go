package organizations

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway/slipway/api/iam"
	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

const (
	management = "111111111111"
	friend     = "222222222222"
	stranger   = "333333333333"
)

// roles is an IAM that keeps the roles which were made, by account and name, with
// the token that made each.
type roles struct {
	iam.Unimplemented
	mu       sync.Mutex
	made     map[string]string
	attached map[string]bool
	broken   bool
}

func newRoles() *roles { return &roles{made: map[string]string{}, attached: map[string]bool{}} }

func (r *roles) CreateRole(ctx context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := auth.From(ctx)
	key := c.Scope.Account + "/" + in.RoleName
	if r.broken {
		return nil, fault.New(fault.LimitExceeded, "Cannot exceed quota for RolesPerAccount: 1000")
	}
	if have, ok := r.made[key]; ok && have != c.Token {
		return nil, fault.New(fault.EntityAlreadyExists, "Role with name %s already exists.", in.RoleName)
	}
	if !strings.Contains(in.AssumeRolePolicyDocument, management) {
		return nil, fmt.Errorf("the role trusts %s", in.AssumeRolePolicyDocument)
	}
	r.made[key] = c.Token
	return &iam.CreateRoleOutput{}, nil
}

func (r *roles) AttachRolePolicy(ctx context.Context, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attached[auth.From(ctx).Scope.Account+"/"+in.RoleName+"/"+in.PolicyArn] = true
	return &iam.AttachRolePolicyOutput{}, nil
}

// world is a service on a store of its own.
type world struct {
	*Service
	t      *testing.T
	engine *workflow.Engine
	roles  *roles
	now    time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, roles: newRoles(), now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	st := storetest.New(t)
	w.engine = workflow.New(workflow.Config{Store: st, Retry: workflow.Retry{Attempts: 2, First: time.Millisecond, Max: time.Millisecond}})
	w.Service = New(Config{Store: st, Workflows: w.engine, IAM: w.roles, Now: func() time.Time { return w.now }})
	if err := w.engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.engine.Stop)
	return w
}

func as(account string) context.Context {
	return auth.With(context.Background(), auth.Call{
		Principal: auth.Principal{Kind: auth.Root, Account: account}, Scope: arn.Scope{Account: account, Region: "us-east-1"},
	})
}

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

func wantCode(t *testing.T, err error, code, reason string) {
	t.Helper()
	e, ok := fault.As(err)
	if !ok || e.Code != code || reason != "" && e.Fields["Reason"] != reason {
		t.Errorf("the error is %v, want %s %s", err, code, reason)
	}
}

func (w *world) organization() (root string) {
	w.t.Helper()
	must[*api.CreateOrganizationOutput](w.t)(w.CreateOrganization(as(management), &api.CreateOrganizationInput{}))
	return must[*api.ListRootsOutput](w.t)(w.ListRoots(as(management), &api.ListRootsInput{})).Roots[0].Id
}

func (w *world) unit(parent, name string) string {
	w.t.Helper()
	in := &api.CreateOrganizationalUnitInput{ParentId: parent, Name: name}
	return must[*api.CreateOrganizationalUnitOutput](w.t)(w.CreateOrganizationalUnit(as(management), in)).OrganizationalUnit.Id
}

// account makes an account and waits for its end.
func (w *world) account(name, email string) *api.CreateAccountStatus {
	w.t.Helper()
	out := must[*api.CreateAccountOutput](w.t)(w.CreateAccount(as(management), &api.CreateAccountInput{AccountName: name, Email: email}))
	if s := out.CreateAccountStatus; s.State != api.CreateAccountStateInProgress || s.AccountId != "" {
		w.t.Errorf("a request begins as %+v", s)
	}
	id := out.CreateAccountStatus.Id
	if _, err := w.engine.Wait(w.t.Context(), flowCreateAccount+"/"+id); err != nil {
		w.t.Fatal(err)
	}
	in := &api.DescribeCreateAccountStatusInput{CreateAccountRequestId: id}
	return must[*api.DescribeCreateAccountStatusOutput](w.t)(w.DescribeCreateAccountStatus(as(management), in)).CreateAccountStatus
}

// join lets an account in by invitation.
func (w *world) join(account string) {
	w.t.Helper()
	in := &api.InviteAccountToOrganizationInput{Target: &api.HandshakeParty{Id: account, Type: api.HandshakePartyTypeAccount}, Notes: "come"}
	h := must[*api.InviteAccountToOrganizationOutput](w.t)(w.InviteAccountToOrganization(as(management), in)).Handshake
	must[*api.AcceptHandshakeOutput](w.t)(w.AcceptHandshake(as(account), &api.AcceptHandshakeInput{HandshakeId: h.Id}))
}

func TestOrganization(t *testing.T) {
	w := newWorld(t)
	_, err := w.DescribeOrganization(as(management), &api.DescribeOrganizationInput{})
	wantCode(t, err, fault.OrganizationsNotInUse, "")
	root := w.organization()
	_, err = w.CreateOrganization(as(management), &api.CreateOrganizationInput{})
	wantCode(t, err, fault.AlreadyInOrganization, "")
	o := must[*api.DescribeOrganizationOutput](t)(w.DescribeOrganization(as(management), &api.DescribeOrganizationInput{})).Organization
	if o.FeatureSet != "ALL" || o.MasterAccountId != management || o.Arn != "arn:aws:organizations::111111111111:organization/"+o.Id {
		t.Errorf("the organization is %+v", o)
	}

	ou := w.unit(root, "prod")
	_, err = w.CreateOrganizationalUnit(as(management), &api.CreateOrganizationalUnitInput{ParentId: root, Name: "prod"})
	wantCode(t, err, fault.DuplicateOrganizationalUnit, "")
	_, err = w.CreateOrganizationalUnit(as(management), &api.CreateOrganizationalUnitInput{ParentId: "ou-0000-00000000", Name: "x"})
	wantCode(t, err, fault.ParentNotFound, "")
	deep := ou
	for i := range 4 {
		deep = w.unit(deep, fmt.Sprint(i))
	}
	_, err = w.CreateOrganizationalUnit(as(management), &api.CreateOrganizationalUnitInput{ParentId: deep, Name: "x"})
	wantCode(t, err, fault.ConstraintViolation, "OU_DEPTH_LIMIT_EXCEEDED")
	_, err = w.DeleteOrganizationalUnit(as(management), &api.DeleteOrganizationalUnitInput{OrganizationalUnitId: ou})
	wantCode(t, err, fault.OrganizationalUnitNotEmpty, "")
	_, err = w.DeleteOrganization(as(management), &api.DeleteOrganizationInput{})
	wantCode(t, err, fault.OrganizationNotEmpty, "")
	for deep != root {
		parents := must[*api.ListParentsOutput](t)(w.ListParents(as(management), &api.ListParentsInput{ChildId: deep}))
		must[*api.DeleteOrganizationalUnitOutput](t)(w.DeleteOrganizationalUnit(as(management), &api.DeleteOrganizationalUnitInput{OrganizationalUnitId: deep}))
		deep = parents.Parents[0].Id
	}
	must[*api.DeleteOrganizationOutput](t)(w.DeleteOrganization(as(management), &api.DeleteOrganizationInput{}))
	_, err = w.ListRoots(as(management), &api.ListRootsInput{})
	wantCode(t, err, fault.OrganizationsNotInUse, "")
	w.organization() // the account may begin anew
}

func TestUnitsPage(t *testing.T) {
	w := newWorld(t)
	root := w.organization()
	want := map[string]bool{}
	for i := range 5 {
		want[w.unit(root, fmt.Sprint(i))] = true
	}
	in := &api.ListOrganizationalUnitsForParentInput{ParentId: root, MaxResults: new(int32(2))}
	pages := 0
	for {
		out := must[*api.ListOrganizationalUnitsForParentOutput](t)(w.ListOrganizationalUnitsForParent(as(management), in))
		pages++
		for _, u := range out.OrganizationalUnits {
			delete(want, u.Id)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
	}
	if pages != 3 || len(want) > 0 {
		t.Errorf("%d pages, missed %v", pages, want)
	}
	in.NextToken = "bm90IGEgdG9rZW4"
	_, err := w.ListOrganizationalUnitsForParent(as(management), in)
	wantCode(t, err, fault.InvalidInputException, "INVALID_NEXT_TOKEN")
}

func TestCreateAccount(t *testing.T) {
	w := newWorld(t)
	root := w.organization()
	st := w.account("web", "web@example.com")
	if st.State != "SUCCEEDED" || !arn.IsAccount(st.AccountId) || st.CompletedTimestamp == nil {
		t.Fatalf("the request ended as %+v", st)
	}
	role := st.AccountId + "/OrganizationAccountAccessRole"
	if w.roles.made[role] == "" || !w.roles.attached[role+"/"+administrator] {
		t.Errorf("the account has roles %v with %v", w.roles.made, w.roles.attached)
	}
	a := must[*api.DescribeAccountOutput](t)(w.DescribeAccount(as(management), &api.DescribeAccountInput{AccountId: st.AccountId})).Account
	if a.Name != "web" || a.Email != "web@example.com" || a.State != "ACTIVE" || a.JoinedMethod != "CREATED" || !strings.HasSuffix(a.Paths[0], "/"+root+"/"+st.AccountId+"/") {
		t.Errorf("the account is %+v", a)
	}
	if st := w.account("again", "WEB@example.com"); st.State != "FAILED" || st.FailureReason != "EMAIL_ALREADY_EXISTS" {
		t.Errorf("a second account of one address ended as %+v", st)
	}
	w.roles.broken = true
	if st := w.account("broken", "b@example.com"); st.State != "FAILED" || st.FailureReason != "INTERNAL_FAILURE" {
		t.Errorf("an account without its role ended as %+v", st)
	}
	w.roles.broken = false
	if st := w.account("fixed", "b@example.com"); st.State != "SUCCEEDED" {
		t.Errorf("the address of an account that failed is taken: %+v", st)
	}
	failed := must[*api.ListCreateAccountStatusOutput](t)(w.ListCreateAccountStatus(as(management), &api.ListCreateAccountStatusInput{States: []string{"FAILED"}}))
	if len(failed.CreateAccountStatuses) != 2 {
		t.Errorf("the requests that failed are %+v", failed.CreateAccountStatuses)
	}
}

func TestCreateRepeatsUnderItsToken(t *testing.T) {
	w := newWorld(t)
	ctx := auth.WithToken(as(management), "step")
	create := must[*api.CreateOrganizationOutput](t)
	a, b := create(w.CreateOrganization(ctx, &api.CreateOrganizationInput{})), create(w.CreateOrganization(ctx, &api.CreateOrganizationInput{}))
	root := must[*api.ListRootsOutput](t)(w.ListRoots(ctx, &api.ListRootsInput{})).Roots[0].Id
	unit := must[*api.CreateOrganizationalUnitOutput](t)
	in := &api.CreateOrganizationalUnitInput{ParentId: root, Name: "u"}
	c, d := unit(w.CreateOrganizationalUnit(ctx, in)), unit(w.CreateOrganizationalUnit(ctx, in))
	account := must[*api.CreateAccountOutput](t)
	of := &api.CreateAccountInput{AccountName: "n", Email: "n@example.com"}
	e, f := account(w.CreateAccount(ctx, of)), account(w.CreateAccount(ctx, of))
	policy := must[*api.CreatePolicyOutput](t)
	is := &api.CreatePolicyInput{Name: "p", Type: api.PolicyTypeServiceControlPolicy, Content: denyQueues}
	g, h := policy(w.CreatePolicy(ctx, is)), policy(w.CreatePolicy(ctx, is))
	if a.Organization.Id != b.Organization.Id || c.OrganizationalUnit.Id != d.OrganizationalUnit.Id ||
		e.CreateAccountStatus.Id != f.CreateAccountStatus.Id || g.Policy.PolicySummary.Id != h.Policy.PolicySummary.Id {
		t.Error("a repeated step made a second one")
	}
}

// TestCreateAccountSurvives crashes and repeats the workflow at every step.
func TestCreateAccountSurvives(t *testing.T) {
	workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, st store.Store) workflowtest.Scenario {
		iam := newRoles()
		var svc *Service
		o := &organization{ID: "o-aaaaaaaaaa", Management: management, FeatureSet: "ALL", Root: "r-aaaa"}
		p := creation{Organization: o.ID, Request: "car-1", Account: friend, Management: management, Name: "n", Email: "n@example.com", Role: defaultRole}
		return workflowtest.Scenario{
			Register: func(e *workflow.Engine) { svc = New(Config{Store: st, Workflows: e, IAM: iam}) },
			Begin: func(tx store.Tx, e *workflow.Engine) (string, error) {
				if err := organizationsByID.Put(tx, o.ID, o); err != nil {
					return "", err
				}
				if err := requests.Put(tx, o.ID+"/car-1", &request{ID: "car-1", Account: friend, State: "IN_PROGRESS"}); err != nil {
					return "", err
				}
				return "f", e.Begin(tx, flowCreateAccount, "f", p)
			},
			Check: func(t testing.TB, st store.Store, _ workflow.Status) {
				ctx := as(friend)
				if _, err := svc.DescribeOrganization(ctx, &api.DescribeOrganizationInput{}); err != nil {
					t.Errorf("the account is not in the organization: %v", err)
				}
				err := st.View(ctx, func(tx store.Tx) error {
					r, err := requests.Get(tx, o.ID+"/car-1")
					if err == nil && r.State != api.CreateAccountStateSucceeded {
						t.Errorf("the request is %s %s", r.State, r.Reason)
					}
					return err
				})
				if err != nil || len(iam.made) != 1 || len(iam.attached) != 1 {
					t.Errorf("%v; roles %v with %v", err, iam.made, iam.attached)
				}
			},
		}
	}})
}

func TestMembers(t *testing.T) {
	w := newWorld(t)
	root := w.organization()
	w.join(friend)
	ou := w.unit(root, "prod")
	move := func(from, to string) error {
		_, err := w.MoveAccount(as(management), &api.MoveAccountInput{AccountId: friend, SourceParentId: from, DestinationParentId: to})
		return err
	}
	wantCode(t, move(ou, root), fault.SourceParentNotFound, "")
	wantCode(t, move(root, "ou-0000-00000000"), fault.DestinationParentNotFound, "")
	wantCode(t, move(root, root), fault.DuplicateAccount, "")
	if err := move(root, ou); err != nil {
		t.Fatal(err)
	}
	children := must[*api.ListChildrenOutput](t)(w.ListChildren(as(management), &api.ListChildrenInput{ParentId: ou, ChildType: "ACCOUNT"})).Children
	if len(children) != 1 || children[0].Id != friend {
		t.Errorf("the unit has %v", children)
	}
	_, err := w.ListAccounts(as(friend), &api.ListAccountsInput{})
	wantCode(t, err, fault.AccessDeniedException, "")
	_, err = w.CreateOrganizationalUnit(as(friend), &api.CreateOrganizationalUnitInput{ParentId: root, Name: "mine"})
	wantCode(t, err, fault.AccessDeniedException, "")

	// A delegated administrator may look, and not leave.
	const svc = "member.org.stacksets.cloudformation.amazonaws.com"
	register := func() error {
		_, err := w.RegisterDelegatedAdministrator(as(management), &api.RegisterDelegatedAdministratorInput{AccountId: friend, ServicePrincipal: svc})
		return err
	}
	wantCode(t, register(), fault.ConstraintViolation, "SERVICE_ACCESS_NOT_ENABLED")
	must[*api.EnableAWSServiceAccessOutput](t)(w.EnableAWSServiceAccess(as(management), &api.EnableAWSServiceAccessInput{ServicePrincipal: svc}))
	if err := register(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, register(), fault.AccountAlreadyRegistered, "")
	if got := must[*api.ListAccountsOutput](t)(w.ListAccounts(as(friend), &api.ListAccountsInput{})).Accounts; len(got) != 2 {
		t.Errorf("a delegated administrator sees %v", got)
	}
	_, err = w.LeaveOrganization(as(friend), &api.LeaveOrganizationInput{})
	wantCode(t, err, fault.ConstraintViolation, "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG")
	must[*api.DisableAWSServiceAccessOutput](t)(w.DisableAWSServiceAccess(as(management), &api.DisableAWSServiceAccessInput{ServicePrincipal: svc}))
	if got := must[*api.ListDelegatedAdministratorsOutput](t)(w.ListDelegatedAdministrators(as(management), &api.ListDelegatedAdministratorsInput{})); len(got.DelegatedAdministrators) != 0 {
		t.Errorf("administrators of no service: %v", got.DelegatedAdministrators)
	}

	_, err = w.LeaveOrganization(as(management), &api.LeaveOrganizationInput{})
	wantCode(t, err, fault.MasterCannotLeave, "")
	must[*api.LeaveOrganizationOutput](t)(w.LeaveOrganization(as(friend), &api.LeaveOrganizationInput{}))
	_, err = w.DescribeOrganization(as(friend), &api.DescribeOrganizationInput{})
	wantCode(t, err, fault.OrganizationsNotInUse, "")
	w.join(friend)
	must[*api.CloseAccountOutput](t)(w.CloseAccount(as(management), &api.CloseAccountInput{AccountId: friend}))
	_, err = w.CloseAccount(as(management), &api.CloseAccountInput{AccountId: friend})
	wantCode(t, err, fault.AccountAlreadyClosed, "")
	a := must[*api.DescribeAccountOutput](t)(w.DescribeAccount(as(management), &api.DescribeAccountInput{AccountId: friend})).Account
	if a.Status != "SUSPENDED" {
		t.Errorf("a closed account is %+v", a)
	}
}

func TestHandshakes(t *testing.T) {
	w := newWorld(t)
	w.organization()
	invite := func() (*api.Handshake, error) {
		out, err := w.InviteAccountToOrganization(as(management), &api.InviteAccountToOrganizationInput{Target: &api.HandshakeParty{Id: friend, Type: "ACCOUNT"}})
		if err != nil {
			return nil, err
		}
		return out.Handshake, nil
	}
	h := must[*api.Handshake](t)(invite())
	_, err := invite()
	wantCode(t, err, fault.DuplicateHandshake, "")
	_, err = w.DescribeHandshake(as(stranger), &api.DescribeHandshakeInput{HandshakeId: h.Id})
	wantCode(t, err, fault.HandshakeNotFound, "")
	_, err = w.AcceptHandshake(as(management), &api.AcceptHandshakeInput{HandshakeId: h.Id})
	wantCode(t, err, fault.AccessDeniedException, "")
	must[*api.DeclineHandshakeOutput](t)(w.DeclineHandshake(as(friend), &api.DeclineHandshakeInput{HandshakeId: h.Id}))
	_, err = w.DeclineHandshake(as(friend), &api.DeclineHandshakeInput{HandshakeId: h.Id})
	wantCode(t, err, fault.HandshakeAlreadyInState, "")
	_, err = w.AcceptHandshake(as(friend), &api.AcceptHandshakeInput{HandshakeId: h.Id})
	wantCode(t, err, fault.InvalidHandshakeTransition, "")

	late := must[*api.Handshake](t)(invite())
	w.now = w.now.Add(handshakeLife + time.Second)
	_, err = w.AcceptHandshake(as(friend), &api.AcceptHandshakeInput{HandshakeId: late.Id})
	wantCode(t, err, fault.InvalidHandshakeTransition, "")
	third := must[*api.Handshake](t)(invite())
	must[*api.CancelHandshakeOutput](t)(w.CancelHandshake(as(management), &api.CancelHandshakeInput{HandshakeId: third.Id}))
	var states []string
	for _, h := range must[*api.ListHandshakesForAccountOutput](t)(w.ListHandshakesForAccount(as(friend), &api.ListHandshakesForAccountInput{})).Handshakes {
		states = append(states, h.State)
	}
	slices.Sort(states)
	if got := strings.Join(states, " "); got != "CANCELED DECLINED EXPIRED" {
		t.Errorf("the invitations are %s", got)
	}
	w.now = w.now.Add(handshakeLife + handshakeKept)
	last := must[*api.Handshake](t)(invite())
	_, err = w.DescribeHandshake(as(friend), &api.DescribeHandshakeInput{HandshakeId: h.Id})
	wantCode(t, err, fault.HandshakeNotFound, "")
	must[*api.CancelHandshakeOutput](t)(w.CancelHandshake(as(management), &api.CancelHandshakeInput{HandshakeId: last.Id}))
	w.join(friend)
	_, err = invite()
	wantCode(t, err, fault.HandshakeConstraintViolation, "ALREADY_IN_AN_ORGANIZATION")
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	root := w.organization()
	ou := w.unit(root, "u")
	for _, id := range []string{root, ou, management} {
		must[*api.TagResourceOutput](t)(w.TagResource(as(management), &api.TagResourceInput{ResourceId: id, Tags: []api.Tag{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}}))
		must[*api.UntagResourceOutput](t)(w.UntagResource(as(management), &api.UntagResourceInput{ResourceId: id, TagKeys: []string{"b"}}))
		got := must[*api.ListTagsForResourceOutput](t)(w.ListTagsForResource(as(management), &api.ListTagsForResourceInput{ResourceId: id})).Tags
		if len(got) != 1 || got[0] != (api.Tag{Key: "a", Value: "1"}) {
			t.Errorf("%s has %v", id, got)
		}
	}
	_, err := w.TagResource(as(management), &api.TagResourceInput{ResourceId: root, Tags: []api.Tag{{Key: "aws:x", Value: "1"}}})
	wantCode(t, err, fault.InvalidInputException, "INVALID_SYSTEM_TAGS_PARAMETER")
	_, err = w.ListTagsForResource(as(management), &api.ListTagsForResourceInput{ResourceId: "p-00000000"})
	wantCode(t, err, fault.TargetNotFound, "")
	full := "arn:aws:organizations::" + management + ":ou/" + ou
	held, err := w.ResourcePolicy(t.Context(), full)
	if err != nil || !strings.Contains(held.ARN, ":ou/o-") {
		t.Errorf("the whole ARN is %q, %v", held.ARN, err)
	}
	if tags, err := w.ResourceTags(t.Context(), held.ARN); err != nil || tags["a"] != "1" {
		t.Errorf("policies see the tags %v, %v", tags, err)
	}
}
