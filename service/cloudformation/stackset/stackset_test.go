package stackset

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

// TestSelfManaged takes a stack set through its life.
func TestSelfManaged(t *testing.T) {
	w := newWorld(t)
	w.create(func(in *api.CreateStackSetInput) {
		in.Parameters = []api.Parameter{{ParameterKey: "Size", ParameterValue: "2"}, {ParameterKey: "Secret", ParameterValue: "x"}}
		in.Tags = []api.Tag{{Key: "k", Value: "v"}}
	})
	op := w.deploy(first+" "+second, "us-east-1 eu-west-1", func(in *api.CreateStackInstancesInput) {
		in.OperationPreferences = &api.StackSetOperationPreferences{RegionOrder: []string{"eu-west-1"}}
		in.OperationId = "first"
	})
	w.ended(op, "SUCCEEDED")
	w.want("results", w.results(op), "eu-west-1 222222222222 SUCCEEDED\neu-west-1 333333333333 SUCCEEDED\nus-east-1 222222222222 SUCCEEDED\nus-east-1 333333333333 SUCCEEDED\n")
	w.want("order", strings.Join(w.stacks.log, "\n"), "create 222222222222 eu-west-1\ncreate 333333333333 eu-west-1\ncreate 222222222222 us-east-1\ncreate 333333333333 us-east-1")
	if again := w.deploy(first+" "+second, "us-east-1 eu-west-1", func(in *api.CreateStackInstancesInput) {
		in.OperationPreferences = &api.StackSetOperationPreferences{RegionOrder: []string{"eu-west-1"}}
		in.OperationId = "first"
	}); again != op || len(w.stacks.text()) != 4 {
		t.Errorf("a repeated request began %s; there are %v", again, w.stacks.text())
	}
	_, err := w.CreateStackInstances(admin, &api.CreateStackInstancesInput{StackSetName: "s", Accounts: []string{first}, Regions: []string{"us-east-1"}, OperationId: "first"})
	refused(t, err, fault.CFNOperationIDExists, "first")

	// Overrides of one instance, which an update of the set leaves.
	over := must[*api.UpdateStackInstancesOutput](t)(w.UpdateStackInstances(admin, &api.UpdateStackInstancesInput{
		StackSetName: "s", Accounts: []string{second}, Regions: []string{"us-east-1"}, ParameterOverrides: []api.Parameter{{ParameterKey: "Size", ParameterValue: "9"}},
	}))
	w.ended(over.OperationId, "SUCCEEDED")
	up := must[*api.UpdateStackSetOutput](t)(w.UpdateStackSet(admin, &api.UpdateStackSetInput{StackSetName: "s", TemplateBody: "two", Parameters: []api.Parameter{{ParameterKey: "Size", ParameterValue: "3"}, {ParameterKey: "Secret", UsePreviousValue: new(true)}}}))
	w.ended(up.OperationId, "SUCCEEDED")
	w.want("stacks", strings.Join(w.stacks.text(), "\n"), "222222222222 eu-west-1 UPDATE_COMPLETE map[Secret:x Size:3]\n222222222222 us-east-1 UPDATE_COMPLETE map[Secret:x Size:3]\n"+
		"333333333333 eu-west-1 UPDATE_COMPLETE map[Secret:x Size:3]\n333333333333 us-east-1 UPDATE_COMPLETE map[Secret:x Size:9]")
	s := must[*api.DescribeStackSetOutput](t)(w.DescribeStackSet(admin, &api.DescribeStackSetInput{StackSetName: "s"})).StackSet
	if s.TemplateBody != "two" || s.Parameters[1].ParameterValue != "****" || strings.Join(s.Regions, " ") != "eu-west-1 us-east-1" {
		t.Errorf("the set is %+v", s)
	}
	i := must[*api.DescribeStackInstanceOutput](t)(w.DescribeStackInstance(admin, &api.DescribeStackInstanceInput{StackSetName: "s", StackInstanceAccount: second, StackInstanceRegion: "us-east-1"})).StackInstance
	if i.Status != "CURRENT" || i.LastOperationId != up.OperationId || i.ParameterOverrides[0].ParameterValue != "9" {
		t.Errorf("the instance is %+v", i)
	}

	// One update for one account makes the others outdated.
	some := must[*api.UpdateStackSetOutput](t)(w.UpdateStackSet(admin, &api.UpdateStackSetInput{StackSetName: "s", TemplateBody: "three", Accounts: []string{first}, Regions: []string{"us-east-1"}}))
	w.ended(some.OperationId, "SUCCEEDED")
	w.want("instances", w.list(), "222222222222 eu-west-1 OUTDATED SUCCEEDED\n222222222222 us-east-1 CURRENT SUCCEEDED\n333333333333 eu-west-1 OUTDATED SUCCEEDED\n333333333333 us-east-1 OUTDATED SUCCEEDED\n")

	_, err = w.DeleteStackSet(admin, &api.DeleteStackSetInput{StackSetName: "s"})
	refused(t, err, fault.CFNStackSetNotEmpty, "StackSet is not empty")
	remove := func(account string, retain bool) {
		in := &api.DeleteStackInstancesInput{StackSetName: "s", Accounts: []string{account}, Regions: []string{"us-east-1", "eu-west-1"}, RetainStacks: &retain}
		w.ended(must[*api.DeleteStackInstancesOutput](t)(w.DeleteStackInstances(admin, in)).OperationId, "SUCCEEDED")
	}
	remove(first, true)
	remove(second, false)
	w.want("instances", w.list(), "")
	if got := w.stacks.text(); len(got) != 2 || !strings.HasPrefix(got[0], first) {
		t.Errorf("what is left: %v", got)
	}
	must[*api.DeleteStackSetOutput](t)(w.DeleteStackSet(admin, &api.DeleteStackSetInput{StackSetName: "s"}))
	_, err = w.ListStackInstances(admin, &api.ListStackInstancesInput{StackSetName: "s"})
	refused(t, err, fault.CFNStackSetNotFound, "s")
	w.create() // the name is free
	if got := must[*api.ListStackSetsOutput](t)(w.ListStackSets(admin, &api.ListStackSetsInput{})).Summaries; len(got) != 2 {
		t.Errorf("the sets are %+v", got)
	}
}

func TestRolesThatAreMissing(t *testing.T) {
	w := newWorld(t)
	w.create()
	delete(w.roles.trusts, arnOfRole(first, defaultExecution))
	op := w.deploy(first, "us-east-1")
	w.ended(op, "FAILED")
	w.want("results", w.results(op), "us-east-1 222222222222 FAILED Account 222222222222 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role 'AWSCloudFormationStackSetAdministrationRole'.\n")
	clear(w.roles.trusts)
	op = w.deploy(second, "us-east-1")
	w.ended(op, "FAILED")
	w.want("results", w.results(op), "us-east-1 333333333333 FAILED Account 111111111111 should have 'AWSCloudFormationStackSetAdministrationRole' role with trust relationship to CloudFormation service.\n")
}

// TestFailures fails in one account: what is tolerated, what is given up, and what a
// second try makes good.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	w.create()
	w.stacks.fails[first] = true
	op := w.deploy(first+" "+second, "us-east-1 eu-west-1")
	o := w.ended(op, "FAILED")
	if *o.StatusDetails.FailedStackInstancesCount != 1 {
		t.Errorf("the operation is %+v", o)
	}
	const gone = " CANCELLED Cancelled since failure tolerance has exceeded\n"
	w.want("results", w.results(op), "us-east-1 222222222222 FAILED ResourceLogicalId:A, ResourceType:AWS::SQS::Queue, ResourceStatusReason:no.\n"+
		"us-east-1 333333333333"+gone+"eu-west-1 222222222222"+gone+"eu-west-1 333333333333"+gone)
	w.want("instances", w.list(), "222222222222 eu-west-1 OUTDATED CANCELLED\n222222222222 us-east-1 OUTDATED FAILED\n333333333333 eu-west-1 OUTDATED CANCELLED\n333333333333 us-east-1 OUTDATED CANCELLED\n")

	tolerant := func(in *api.CreateStackInstancesInput) {
		in.OperationPreferences = &api.StackSetOperationPreferences{FailureToleranceCount: new(int32(1)), MaxConcurrentCount: new(int32(2))}
	}
	op = w.deploy(first+" "+second, "us-east-1 eu-west-1", tolerant)
	w.ended(op, "SUCCEEDED")
	w.want("instances", w.list(), "222222222222 eu-west-1 OUTDATED FAILED\n222222222222 us-east-1 OUTDATED FAILED\n333333333333 eu-west-1 CURRENT SUCCEEDED\n333333333333 us-east-1 CURRENT SUCCEEDED\n")
	filtered := must[*api.ListStackInstancesOutput](t)(w.ListStackInstances(admin, &api.ListStackInstancesInput{StackSetName: "s", Filters: []api.StackInstanceFilter{{Name: "DETAILED_STATUS", Values: "FAILED"}}}))
	if len(filtered.Summaries) != 2 {
		t.Errorf("the failed instances are %+v", filtered.Summaries)
	}
	// A stack that was rolled back is made anew.
	delete(w.stacks.fails, first)
	w.ended(w.deploy(first, "us-east-1 eu-west-1"), "SUCCEEDED")
	// A deletion that fails leaves it inoperable, and updates leave it alone.
	w.stacks.fails[second] = true
	in := &api.DeleteStackInstancesInput{StackSetName: "s", Accounts: []string{second}, Regions: []string{"us-east-1"}, RetainStacks: new(false)}
	w.ended(must[*api.DeleteStackInstancesOutput](t)(w.DeleteStackInstances(admin, in)).OperationId, "FAILED")
	w.want("instances", w.list(), "222222222222 eu-west-1 CURRENT SUCCEEDED\n222222222222 us-east-1 CURRENT SUCCEEDED\n333333333333 eu-west-1 CURRENT SUCCEEDED\n333333333333 us-east-1 INOPERABLE INOPERABLE\n")
}

// TestOneAtATime holds an operation up: others are refused or queued, and it stops.
func TestOneAtATime(t *testing.T) {
	w := newWorld(t)
	w.create()
	w.stacks.hold = make(chan struct{})
	op := w.deploy(first+" "+second, "us-east-1")
	_, err := w.CreateStackInstances(admin, &api.CreateStackInstancesInput{StackSetName: "s", Accounts: []string{third}, Regions: []string{"us-east-1"}})
	refused(t, err, fault.CFNOperationInProgress, op)
	_, err = w.DeleteStackSet(admin, &api.DeleteStackSetInput{StackSetName: "s"})
	refused(t, err, fault.CFNOperationInProgress, op)
	w.running(op)
	must[*api.StopStackSetOperationOutput](t)(w.StopStackSetOperation(admin, &api.StopStackSetOperationInput{StackSetName: "s", OperationId: op}))
	close(w.stacks.hold)
	w.ended(op, "STOPPED")
	w.want("results", w.results(op), "us-east-1 222222222222 SUCCEEDED\nus-east-1 333333333333 CANCELLED Cancelled since the operation was stopped\n")
	_, err = w.StopStackSetOperation(admin, &api.StopStackSetOperationInput{StackSetName: "s", OperationId: "none"})
	refused(t, err, fault.CFNOperationNotFound, "none")
}

// running waits until an operation has begun with its first stack.
func (w *world) running(op string) {
	w.t.Helper()
	changed := w.store.Watch(w.t.Context(), "cloudformation/")
	for !strings.Contains(w.results(op), "RUNNING") {
		if _, ok := <-changed; !ok {
			w.t.Fatal("the operation does not begin")
		}
	}
}

func TestManagedExecution(t *testing.T) {
	w := newWorld(t)
	w.create(func(in *api.CreateStackSetInput) { in.ManagedExecution = &api.ManagedExecution{Active: new(true)} })
	w.stacks.hold = make(chan struct{})
	a, b, c := w.deploy(first, "us-east-1"), w.deploy(first, "us-east-1 eu-west-1"), w.deploy(second, "us-east-1")
	status := func(id string) string {
		return must[*api.DescribeStackSetOperationOutput](t)(w.DescribeStackSetOperation(admin, &api.DescribeStackSetOperationInput{StackSetName: "s", OperationId: id})).StackSetOperation.Status
	}
	if got := status(a) + " " + status(b) + " " + status(c); got != "RUNNING QUEUED RUNNING" {
		t.Errorf("the operations are %s", got)
	}
	close(w.stacks.hold)
	w.ended(a, "SUCCEEDED")
	w.ended(b, "SUCCEEDED")
	w.ended(c, "SUCCEEDED")
	if got := w.stacks.text(); len(got) != 3 {
		t.Errorf("the stacks are %v", got)
	}
	list := must[*api.ListStackSetOperationsOutput](t)(w.ListStackSetOperations(admin, &api.ListStackSetOperationsInput{StackSetName: "s", MaxResults: new(int32(2))}))
	if len(list.Summaries) != 2 || list.Summaries[0].OperationId != c || list.NextToken == "" {
		t.Errorf("the operations are %+v", list)
	}
}

func TestDriftAndImport(t *testing.T) {
	w := newWorld(t)
	w.create()
	w.ended(w.deploy(first+" "+second, "us-east-1"), "SUCCEEDED")
	w.stacks.drift = "DRIFTED"
	op := must[*api.DetectStackSetDriftOutput](t)(w.DetectStackSetDrift(admin, &api.DetectStackSetDriftInput{StackSetName: "s"})).OperationId
	o := w.ended(op, "SUCCEEDED")
	if d := o.StackSetDriftDetectionDetails; d.DriftStatus != "DRIFTED" || d.DriftDetectionStatus != "COMPLETED" || *d.TotalStackInstancesCount != 2 || *d.DriftedStackInstancesCount != 2 || *d.InProgressStackInstancesCount != 0 {
		t.Errorf("the drift is %+v", d)
	}
	w.want("instances", w.list(), "222222222222 us-east-1 CURRENT SUCCEEDED\n333333333333 us-east-1 CURRENT SUCCEEDED\n")

	const id = "arn:aws:cloudformation:us-east-1:444444444444:stack/mine/1"
	w.stacks.there[id] = &one{id: id, name: "mine", account: third, region: "us-east-1", status: "CREATE_COMPLETE", template: "one", parameters: map[string]string{"Size": "7", "Secret": "****"}}
	in := &api.ImportStacksToStackSetInput{StackSetName: "s", StackIds: []string{id}}
	w.ended(must[*api.ImportStacksToStackSetOutput](t)(w.ImportStacksToStackSet(admin, in)).OperationId, "SUCCEEDED")
	i := must[*api.DescribeStackInstanceOutput](t)(w.DescribeStackInstance(admin, &api.DescribeStackInstanceInput{StackSetName: "s", StackInstanceAccount: third, StackInstanceRegion: "us-east-1"})).StackInstance
	if i.StackId != id || i.Status != "CURRENT" || len(i.ParameterOverrides) != 1 || i.ParameterOverrides[0].ParameterValue != "7" {
		t.Errorf("the instance is %+v", i)
	}
	_, err := w.ImportStacksToStackSet(admin, in)
	refused(t, err, fault.CFNInvalidOperation, "already in stack set")
}

func TestRequestsAreChecked(t *testing.T) {
	w := newWorld(t)
	create := func(change func(*api.CreateStackSetInput)) error {
		in := &api.CreateStackSetInput{StackSetName: "s", TemplateBody: "one"}
		change(in)
		_, err := w.CreateStackSet(admin, in)
		return err
	}
	refused(t, create(func(in *api.CreateStackSetInput) { in.StackSetName = "1" }), fault.ValidationError, "stackSetName")
	refused(t, create(func(in *api.CreateStackSetInput) { in.AutoDeployment = &api.AutoDeployment{} }), fault.ValidationError, "AutoDeployment")
	refused(t, create(func(in *api.CreateStackSetInput) { in.Parameters = []api.Parameter{{ParameterKey: "No"}} }), fault.ValidationError, "[No] do not exist")
	refused(t, create(func(in *api.CreateStackSetInput) { in.AdministrationRoleARN = arnOfRole(first, "theirs") }), fault.ValidationError, "Cross-account")
	refused(t, create(func(in *api.CreateStackSetInput) { in.PermissionModel = "SERVICE_MANAGED" }), fault.ValidationError, "enable organizations access")
	w.create(func(in *api.CreateStackSetInput) { in.ClientRequestToken = "t" })
	w.create(func(in *api.CreateStackSetInput) { in.ClientRequestToken = "t" })
	refused(t, create(func(*api.CreateStackSetInput) {}), fault.CFNNameAlreadyExists, "s")
	refused(t, create(func(in *api.CreateStackSetInput) { in.ClientRequestToken, in.Description = "t", "other" }), fault.CFNCreatedButModified, "")
	deploy := func(in api.CreateStackInstancesInput) error {
		in.StackSetName = "s"
		_, err := w.CreateStackInstances(admin, &in)
		return err
	}
	refused(t, deploy(api.CreateStackInstancesInput{Regions: []string{"us-east-1"}}), fault.ValidationError, "Accounts")
	refused(t, deploy(api.CreateStackInstancesInput{Accounts: []string{first, first}, Regions: []string{"us-east-1"}}), fault.ValidationError, "twice")
	refused(t, deploy(api.CreateStackInstancesInput{Accounts: []string{first}, Regions: []string{"us-east-1"}, ParameterOverrides: []api.Parameter{{ParameterKey: "No"}}}), fault.ValidationError, "No")
	refused(t, deploy(api.CreateStackInstancesInput{DeploymentTargets: &api.DeploymentTargets{OrganizationalUnitIds: []string{"ou-a"}}, Regions: []string{"us-east-1"}}), fault.ValidationError, "OrganizationalUnitIds")
	_, err := w.UpdateStackInstances(admin, &api.UpdateStackInstancesInput{StackSetName: "s", Accounts: []string{first}, Regions: []string{"us-east-1"}})
	refused(t, err, fault.CFNStackInstanceNotFound, first)
	_, err = w.DescribeStackSet(admin, &api.DescribeStackSetInput{StackSetName: "s", CallAs: "DELEGATED_ADMIN"})
	refused(t, err, fault.ValidationError, "management account")
}
