package stackset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

// managed makes a service-managed set that follows its units.
func (w *world) managed(name string, dependsOn ...string) string {
	w.t.Helper()
	id := must[*api.CreateStackSetOutput](w.t)(w.CreateStackSet(admin, &api.CreateStackSetInput{
		StackSetName: name, TemplateBody: "one", PermissionModel: "SERVICE_MANAGED",
		AutoDeployment: &api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(false), DependsOn: dependsOn},
	})).StackSetId
	return "arn:aws:cloudformation:us-east-1:" + administrator + ":stackset/" + id
}

// settles takes the steps of the loop that the organization asks for now, one set
// after another, and tells the stacks that were made.
func (w *world) settles(sets ...string) string {
	w.t.Helper()
	ctx, stop := context.WithTimeout(admin, 30*time.Second)
	defer stop()
	changed := w.store.Watch(ctx, "cloudformation/")
	for {
		if err := w.follow(ctx); err != nil {
			w.t.Fatal(err)
		}
		if !slices.ContainsFunc(sets, w.busyWith) {
			break
		}
		if _, ok := <-changed; !ok {
			w.t.Fatal("operations stay under way")
		}
	}
	w.stacks.mu.Lock()
	defer w.stacks.mu.Unlock()
	var out []string
	for _, st := range w.stacks.there {
		if strings.HasSuffix(st.status, "E_COMPLETE") && st.status != "ROLLBACK_COMPLETE" {
			name, _, _ := strings.Cut(strings.TrimPrefix(st.name, "StackSet-"), "-")
			out = append(out, st.account+" "+name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (w *world) busyWith(set string) bool {
	out := must[*api.ListStackSetOperationsOutput](w.t)(w.ListStackSetOperations(admin, &api.ListStackSetOperationsInput{StackSetName: set}))
	return slices.ContainsFunc(out.Summaries, func(o api.StackSetOperationSummary) bool { return o.EndTimestamp == nil })
}

// TestDependsOn has an account come to two sets of which one waits for the other.
func TestDependsOn(t *testing.T) {
	w := newWorld(t)
	w.tree.access = true
	base := w.managed("base")
	app := w.managed("app", base)
	if got := must[*api.DescribeStackSetOutput](t)(w.DescribeStackSet(admin, &api.DescribeStackSetInput{StackSetName: "app"})).StackSet; !slices.Equal(got.AutoDeployment.DependsOn, []string{base}) {
		t.Errorf("app depends on %v", got.AutoDeployment.DependsOn)
	}
	for _, set := range []string{"app", "base"} {
		w.deploy("", "us-east-1", func(in *api.CreateStackInstancesInput) {
			in.StackSetName, in.Accounts, in.DeploymentTargets = set, nil, &api.DeploymentTargets{OrganizationalUnitIds: []string{"ou-a"}}
		})
	}
	w.want("at first", w.settles("app", "base"), first+" app, "+first+" base")

	// The account fails base: app waits, there and nowhere else.
	w.stacks.mu.Lock()
	w.stacks.fails[third] = true
	w.stacks.mu.Unlock()
	w.tree.place(third, "ou-a")
	w.tree.place(second, "ou-a")
	w.want("while base fails", w.settles("app", "base"), first+" app, "+first+" base, "+second+" app, "+second+" base")

	w.stacks.mu.Lock()
	w.stacks.fails[third] = false
	made := len(w.stacks.log)
	w.stacks.mu.Unlock()
	must[*api.UpdateStackInstancesOutput](t)(w.UpdateStackInstances(admin, &api.UpdateStackInstancesInput{
		StackSetName: "base", DeploymentTargets: &api.DeploymentTargets{OrganizationalUnitIds: []string{"ou-a"}}, Regions: []string{"us-east-1"},
	}))
	w.want("once base is there", w.settles("app", "base"), first+" app, "+first+" base, "+second+" app, "+second+" base, "+third+" app, "+third+" base")
	if made == len(w.stacks.log) {
		t.Error("nothing was made")
	}

	for _, c := range []struct {
		in   api.AutoDeployment
		want string
	}{
		{api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true), DependsOn: []string{app}}, "wait for itself"},
		{api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true), DependsOn: []string{base}}, "wait for itself"},
		{api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true), DependsOn: []string{base + "x"}}, "no SERVICE_MANAGED"},
		{api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true), DependsOn: []string{"app"}}, "not the ARN"},
		{api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true), DependsOn: []string{strings.Replace(app, administrator, first, 1)}}, "not in account"},
		{api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true), DependsOn: []string{app, app}}, "given twice"},
		{api.AutoDeployment{Enabled: new(false), DependsOn: []string{app}}, "enabled"},
		{api.AutoDeployment{Enabled: new(true)}, "RetainStacksOnAccountRemoval"},
		{api.AutoDeployment{}, "Enabled"},
	} {
		_, err := w.UpdateStackSet(admin, &api.UpdateStackSetInput{StackSetName: "base", UsePreviousTemplate: new(true), AutoDeployment: &c.in})
		refused(t, err, fault.ValidationError, c.want)
	}
	many := api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true)}
	for i := range maxDependencies + 1 {
		many.DependsOn = append(many.DependsOn, fmt.Sprint(app, i))
	}
	_, err := w.UpdateStackSet(admin, &api.UpdateStackSetInput{StackSetName: "base", UsePreviousTemplate: new(true), AutoDeployment: &many})
	refused(t, err, fault.ValidationError, "at most 10")
}

// TestImportIntoServiceManaged takes a stack into a set that an organization has.
func TestImportIntoServiceManaged(t *testing.T) {
	w := newWorld(t)
	w.tree.access = true
	w.tree.place(third, "ou-b")
	w.create(func(in *api.CreateStackSetInput) {
		in.PermissionModel, in.AutoDeployment = "SERVICE_MANAGED", &api.AutoDeployment{Enabled: new(false)}
	})
	const id = "arn:aws:cloudformation:us-east-1:444444444444:stack/mine/1"
	w.stacks.there[id] = &one{id: id, name: "mine", account: third, region: "us-east-1", status: "CREATE_COMPLETE", template: "one"}
	in := func(units ...string) *api.ImportStacksToStackSetInput {
		return &api.ImportStacksToStackSetInput{StackSetName: "s", StackIdsUrl: "s3://bucket/stacks.txt", OrganizationalUnitIds: units}
	}
	_, err := w.ImportStacksToStackSet(admin, in())
	refused(t, err, fault.ValidationError, "OrganizationalUnitIds")
	_, err = w.ImportStacksToStackSet(admin, in("ou-a"))
	refused(t, err, fault.CFNInvalidOperation, "not in the organizational units ou-a")
	both := in("ou-b")
	both.StackIds = []string{id}
	_, err = w.ImportStacksToStackSet(admin, both)
	refused(t, err, fault.ValidationError, "but not both")
	w.ended(must[*api.ImportStacksToStackSetOutput](t)(w.ImportStacksToStackSet(admin, in("ou-a", "ou-b"))).OperationId, "SUCCEEDED")
	i := must[*api.DescribeStackInstanceOutput](t)(w.DescribeStackInstance(admin, &api.DescribeStackInstanceInput{StackSetName: "s", StackInstanceAccount: third, StackInstanceRegion: "us-east-1"})).StackInstance
	if i.StackId != id || i.Status != "CURRENT" || i.OrganizationalUnitId != "ou-b" {
		t.Errorf("the instance is %+v", i)
	}
	up := must[*api.UpdateStackSetOutput](t)(w.UpdateStackSet(admin, &api.UpdateStackSetInput{
		StackSetName: "s", UsePreviousTemplate: new(true), AutoDeployment: &api.AutoDeployment{Enabled: new(true), RetainStacksOnAccountRemoval: new(true)},
	}))
	w.ended(up.OperationId, "SUCCEEDED")
	w.ended(w.deploy("", "us-east-1", func(in *api.CreateStackInstancesInput) {
		in.Accounts, in.DeploymentTargets = nil, &api.DeploymentTargets{OrganizationalUnitIds: []string{"ou-a"}}
	}), "SUCCEEDED")
	page := &api.ListStackSetAutoDeploymentTargetsInput{StackSetName: "s", MaxResults: new(int32(1))}
	var units []string
	for {
		out := must[*api.ListStackSetAutoDeploymentTargetsOutput](t)(w.ListStackSetAutoDeploymentTargets(admin, page))
		if len(out.Summaries) != 1 {
			t.Fatalf("a page of one has %d", len(out.Summaries))
		}
		units = append(units, out.Summaries[0].OrganizationalUnitId)
		if page.NextToken = out.NextToken; page.NextToken == "" {
			break
		}
	}
	if !slices.Equal(units, []string{"ou-b", "ou-a"}) {
		t.Errorf("the units are %v", units)
	}
	set := must[*api.DescribeStackSetOutput](t)(w.DescribeStackSet(admin, &api.DescribeStackSetInput{StackSetName: "s"})).StackSet
	if !slices.Equal(set.OrganizationalUnitIds, units) {
		t.Errorf("the set's units are %v", set.OrganizationalUnitIds)
	}
}
