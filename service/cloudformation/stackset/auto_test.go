package stackset

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

// until follows the organization until the instances are as wanted. The loop's own
// wakings would do, later.
func (w *world) until(want string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(admin, 30*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/")
	for {
		if err := w.follow(ctx); err != nil {
			w.t.Fatal(err)
		}
		got := w.list()
		if got == want && !w.busy() {
			return
		}
		if _, ok := <-changed; !ok {
			w.t.Fatalf("the instances stay\n%swant\n%s", got, want)
		}
	}
}

func (w *world) busy() bool {
	out := must[*api.ListStackSetOperationsOutput](w.t)(w.ListStackSetOperations(admin, &api.ListStackSetOperationsInput{StackSetName: "s"}))
	return slices.ContainsFunc(out.Summaries, func(o api.StackSetOperationSummary) bool { return o.EndTimestamp == nil })
}

// TestServiceManaged has accounts come to units and leave them.
func TestServiceManaged(t *testing.T) {
	w := newWorld(t)
	_, err := w.ActivateOrganizationsAccess(as(first), &api.ActivateOrganizationsAccessInput{})
	refused(t, err, fault.CFNInvalidOperation, "management account")
	must[*api.ActivateOrganizationsAccessOutput](t)(w.ActivateOrganizationsAccess(admin, &api.ActivateOrganizationsAccessInput{}))
	if got := must[*api.DescribeOrganizationsAccessOutput](t)(w.DescribeOrganizationsAccess(admin, &api.DescribeOrganizationsAccessInput{})); got.Status != "ENABLED" {
		t.Errorf("the access is %s", got.Status)
	}
	w.tree.place(third, "ou-a")
	w.tree.suspended[third] = true
	w.create(func(in *api.CreateStackSetInput) {
		in.PermissionModel = "SERVICE_MANAGED"
		in.AutoDeployment = &api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(false)}
	})
	_, err = w.CreateStackInstances(admin, &api.CreateStackInstancesInput{StackSetName: "s", Accounts: []string{first}, Regions: []string{"us-east-1"}})
	refused(t, err, fault.ValidationError, "DeploymentTargets")
	op := w.deploy("", "us-east-1", func(in *api.CreateStackInstancesInput) {
		in.Accounts, in.DeploymentTargets = nil, &api.DeploymentTargets{OrganizationalUnitIds: []string{"ou-a"}}
	})
	w.ended(op, "SUCCEEDED")
	const skipped = "444444444444 us-east-1 OUTDATED SKIPPED_SUSPENDED_ACCOUNT\n"
	w.want("instances", w.list(), "222222222222 us-east-1 CURRENT SUCCEEDED\n"+skipped)

	w.tree.place(second, "ou-a")
	w.until("222222222222 us-east-1 CURRENT SUCCEEDED\n333333333333 us-east-1 CURRENT SUCCEEDED\n" + skipped)
	w.tree.place(first, "r-root")
	w.until("333333333333 us-east-1 CURRENT SUCCEEDED\n" + skipped)
	if got := strings.Join(w.stacks.text(), "\n"); got != "333333333333 us-east-1 CREATE_COMPLETE map[]" {
		t.Errorf("the stacks are %s", got)
	}
	// Set to retain, the stacks of an account that leaves stay.
	up := must[*api.UpdateStackSetOutput](t)(w.UpdateStackSet(admin, &api.UpdateStackSetInput{
		StackSetName: "s", UsePreviousTemplate: new(true), AutoDeployment: &api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true)},
	}))
	w.ended(up.OperationId, "SUCCEEDED")
	w.tree.place(second, "")
	w.until(skipped)
	if got := w.stacks.text(); len(got) != 1 {
		t.Errorf("the stacks are %v", got)
	}
	targets := must[*api.ListStackSetAutoDeploymentTargetsOutput](t)(w.ListStackSetAutoDeploymentTargets(admin, &api.ListStackSetAutoDeploymentTargetsInput{StackSetName: "s"})).Summaries
	if len(targets) != 1 || targets[0].OrganizationalUnitId != "ou-a" || targets[0].Regions[0] != "us-east-1" {
		t.Errorf("the targets are %+v", targets)
	}

	if _, err := w.ListStackSetAutoDeploymentTargets(admin, &api.ListStackSetAutoDeploymentTargetsInput{StackSetName: "s", NextToken: "x"}); !fault.Is(err, fault.ValidationError) {
		t.Errorf("a token that is none: %v", err)
	}

	// A delegated administrator works on the management account's sets.
	w.tree.delegated = first
	set := must[*api.DescribeStackSetOutput](t)(w.DescribeStackSet(as(first), &api.DescribeStackSetInput{StackSetName: "s", CallAs: "DELEGATED_ADMIN"})).StackSet
	if !strings.Contains(set.StackSetARN, administrator) || set.OrganizationalUnitIds[0] != "ou-a" {
		t.Errorf("a delegated administrator sees %+v", set)
	}
	_, err = w.DescribeStackSet(as(first), &api.DescribeStackSetInput{StackSetName: "s"})
	refused(t, err, fault.CFNStackSetNotFound, "s")

	// The management account's own sets, which act by its own role, are not theirs.
	must[*api.CreateStackSetOutput](t)(w.CreateStackSet(admin, &api.CreateStackSetInput{StackSetName: "own", TemplateBody: "one"}))
	_, err = w.DescribeStackSet(as(first), &api.DescribeStackSetInput{StackSetName: "own", CallAs: "DELEGATED_ADMIN"})
	refused(t, err, fault.CFNStackSetNotFound, "own")
	_, err = w.CreateStackInstances(as(first), &api.CreateStackInstancesInput{StackSetName: "own", CallAs: "DELEGATED_ADMIN", Accounts: []string{first}, Regions: []string{"us-east-1"}})
	refused(t, err, fault.CFNStackSetNotFound, "own")
	_, err = w.UpdateStackSet(as(first), &api.UpdateStackSetInput{StackSetName: "own", CallAs: "DELEGATED_ADMIN", TemplateBody: "mine"})
	refused(t, err, fault.CFNStackSetNotFound, "own")
	_, err = w.DeleteStackSet(as(first), &api.DeleteStackSetInput{StackSetName: "own", CallAs: "DELEGATED_ADMIN"})
	if got := must[*api.DescribeStackSetOutput](t)(w.DescribeStackSet(admin, &api.DescribeStackSetInput{StackSetName: "own"})).StackSet; err != nil || got.Status != "ACTIVE" {
		t.Errorf("a delegated administrator deletes the management account's set: %+v, %v", got, err)
	}

	w.tree.access = false
	_, err = w.UpdateStackSet(admin, &api.UpdateStackSetInput{StackSetName: "s", UsePreviousTemplate: new(true)})
	refused(t, err, fault.ValidationError, "enable organizations access")
}

// TestTheLoopFollows has the loop itself notice an account.
func TestTheLoopFollows(t *testing.T) {
	w := newWorld(t)
	w.tree.access = true
	w.create(func(in *api.CreateStackSetInput) {
		in.PermissionModel = "SERVICE_MANAGED"
		in.AutoDeployment = &api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(false)}
	})
	w.stacks.hold = make(chan struct{})
	op := w.deploy("", "us-east-1", func(in *api.CreateStackInstancesInput) {
		in.Accounts, in.DeploymentTargets = nil, &api.DeploymentTargets{OrganizationalUnitIds: []string{"ou-a"}}
	})
	w.running(op)
	w.tree.place(second, "ou-a") // while an operation is under way, whose end wakes the loop
	w.Start(t.Context())
	close(w.stacks.hold)
	w.ended(op, "SUCCEEDED")
	ctx, stop := context.WithTimeout(admin, 30*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/")
	for !strings.Contains(w.list(), "333333333333 us-east-1 CURRENT SUCCEEDED") {
		if _, ok := <-changed; !ok {
			t.Fatalf("nobody notices the account:\n%s", w.list())
		}
	}
}
