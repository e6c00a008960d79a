package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// followingSet is a service-managed stack set: its stacks have a queue each.
const (
	followingSet      = "crash-following"
	followingTemplate = "Resources: { Queue: { Type: AWS::SQS::Queue } }"
	members           = 2
)

// accounts is use of an organization whose accounts come to a unit and leave it: a
// stack set follows them, with one stack in each account of the unit and none else.
type accounts struct {
	root, unit string
	ids        []string
	n          int
	active     bool
}

func newAccounts(ctx context.Context, c *client) (*accounts, error) {
	a := &accounts{}
	if err := c.json(ctx, "organizations", "CreateOrganization", map[string]string{"FeatureSet": "ALL"}, nil); err != nil {
		return nil, err
	}
	var roots struct{ Roots []struct{ Id string } } //nolint:revive // the name on the wire
	if err := c.json(ctx, "organizations", "ListRoots", struct{}{}, &roots); err != nil {
		return nil, err
	}
	a.root = roots.Roots[0].Id
	var unit struct{ OrganizationalUnit struct{ Id string } } //nolint:revive // the name on the wire
	if err := c.json(ctx, "organizations", "CreateOrganizationalUnit", map[string]string{"ParentId": a.root, "Name": "crash"}, &unit); err != nil {
		return nil, err
	}
	a.unit = unit.OrganizationalUnit.Id
	for i := range members {
		id, err := createAccount(ctx, c, fmt.Sprint("crash-", i))
		if err != nil {
			return nil, err
		}
		a.ids = append(a.ids, id)
	}
	slices.Sort(a.ids)
	return a, a.follow(ctx, c)
}

func createAccount(ctx context.Context, c *client, name string) (id string, err error) {
	var out struct {
		CreateAccountStatus struct{ Id, AccountId, State, FailureReason string } //nolint:revive // the names on the wire
	}
	if err := c.json(ctx, "organizations", "CreateAccount", map[string]string{"AccountName": name, "Email": name + "@example.com"}, &out); err != nil {
		return "", err
	}
	request := out.CreateAccountStatus.Id
	err = poll(ctx, c, func() (bool, error) {
		err := c.json(ctx, "organizations", "DescribeCreateAccountStatus", map[string]string{"CreateAccountRequestId": request}, &out)
		return out.CreateAccountStatus.State != "IN_PROGRESS", err
	})
	if err == nil && out.CreateAccountStatus.State != "SUCCEEDED" {
		err = fmt.Errorf("account %s: %+v", name, out)
	}
	return out.CreateAccountStatus.AccountId, err
}

// follow makes the stack set, of the unit, which is empty.
func (a *accounts) follow(ctx context.Context, c *client) error {
	if _, err := c.query(ctx, "cloudformation", "ActivateOrganizationsAccess"); err != nil {
		return err
	}
	_, err := c.query(ctx, "cloudformation", "CreateStackSet", "StackSetName", followingSet, "TemplateBody", followingTemplate,
		"PermissionModel", "SERVICE_MANAGED", "AutoDeployment.Enabled", "true", "AutoDeployment.RetainStacksOnAccountRemoval", "false")
	if err != nil {
		return err
	}
	_, err = c.query(ctx, "cloudformation", "CreateStackInstances", "StackSetName", followingSet,
		"DeploymentTargets.OrganizationalUnitIds.member.1", a.unit, "Regions.member.1", "us-east-1")
	return err
}

func (*accounts) owned(inventory) {}

func (a *accounts) flow(ctx context.Context, c *client) error {
	a.n++
	a.active = true
	return repeat(ctx, c, 1, func(ctx context.Context, c *client) error {
		for i, id := range a.ids {
			if a.n%(i+2) == 0 {
				continue
			}
			if err := a.move(ctx, c, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// move takes an account to the unit, or from it.
func (a *accounts) move(ctx context.Context, c *client, id string) error {
	from, err := a.parent(ctx, c, id)
	if err != nil {
		return err
	}
	to := a.unit
	if from == a.unit {
		to = a.root
	}
	return c.json(ctx, "organizations", "MoveAccount", map[string]string{"AccountId": id, "SourceParentId": from, "DestinationParentId": to}, nil)
}

func (a *accounts) parent(ctx context.Context, c *client, id string) (string, error) {
	var out struct{ Parents []struct{ Id string } } //nolint:revive // the name on the wire
	err := c.json(ctx, "organizations", "ListParents", map[string]string{"ChildId": id}, &out)
	if err != nil || len(out.Parents) != 1 {
		return "", fmt.Errorf("account %s has parents %v: %w", id, out.Parents, err)
	}
	return out.Parents[0].Id, nil
}

// check waits until the stacks are where the accounts are.
func (a *accounts) check(ctx context.Context, c *client) (wrong []string, err error) {
	if !a.active {
		return nil, nil
	}
	a.active = false
	var inUnit []string
	for _, id := range a.ids {
		parent, err := a.parent(ctx, c, id)
		if err != nil {
			return nil, err
		}
		if parent == a.unit {
			inUnit = append(inUnit, id)
		}
	}
	instances := ""
	err = poll(ctx, c, func() (bool, error) {
		operations, err := c.query(ctx, "cloudformation", "ListStackSetOperations", "StackSetName", followingSet)
		if err != nil {
			return false, err
		}
		out, err := c.query(ctx, "cloudformation", "ListStackInstances", "StackSetName", followingSet)
		if err != nil {
			return false, err
		}
		list := out.texts("Summaries/member/Account")
		slices.Sort(list)
		instances = strings.Join(list, " ")
		statuses := operations.texts("Summaries/member/Status")
		for _, status := range statuses {
			if status != "SUCCEEDED" && status != "RUNNING" && status != "QUEUED" {
				return false, fmt.Errorf("an operation of %s is %s", followingSet, status)
			}
		}
		return instances == strings.Join(inUnit, " ") && !slices.Contains(statuses, "RUNNING"), nil
	})
	if err != nil {
		return nil, fmt.Errorf("the unit has accounts %v, and there are instances in %q: %w", inUnit, instances, err)
	}
	return a.stacksOf(ctx, c, inUnit)
}

// stacksOf compares stacks and queues of each account with what is to be there.
func (a *accounts) stacksOf(ctx context.Context, c *client, inUnit []string) (wrong []string, err error) {
	for _, id := range a.ids {
		in := newClient(c.endpoint)
		in.account = id
		defer in.close()
		out, err := in.query(ctx, "cloudformation", "DescribeStacks")
		if err != nil {
			return nil, err
		}
		var queues struct{ QueueUrls []string }
		if err := in.json(ctx, "sqs", "ListQueues", struct{}{}, &queues); err != nil {
			return nil, err
		}
		want := 0
		if slices.Contains(inUnit, id) {
			want = 1
		}
		if stacks := out.texts("Stacks/member/StackStatus"); len(stacks) != want || len(queues.QueueUrls) != want {
			wrong = append(wrong, fmt.Sprintf("account %s has stacks %v and queues %v, want %d", id, stacks, queues.QueueUrls, want))
		}
	}
	return wrong, nil
}
