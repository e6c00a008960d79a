package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// stackSetTemplate makes a queue and a parameter that tells the set's version.
const stackSetTemplate = `
Parameters:
  Version: { Type: String }
Resources:
  Queue: { Type: AWS::SQS::Queue }
  Parameter:
    Type: AWS::SSM::Parameter
    DependsOn: Queue
    Properties: { Name: /crash/version, Type: String, Value: !Ref Version }
`

var stackSetRegions = []string{"us-east-1", "eu-west-1", "ap-south-1"}

// TestStackSetKills kills the server while it works on a stack set: every operation
// that was acknowledged succeeds, and there is one stack for each instance.
func TestStackSetKills(t *testing.T) {
	wanted := max(4, int(setting(t, "SLIPWAY_CRASH_KILLS", 12))/4)
	h := newHarness(t, 1)
	h.window = 300 * time.Millisecond
	h.start()
	w := &stackSetRun{harness: h}
	w.roles()
	for n := range wanted {
		w.round(n)
	}
}

type stackSetRun struct {
	*harness
	deployed bool
	version  int
}

func (w *stackSetRun) query(ctx context.Context, region, service, action string, params ...string) (*node, error) {
	c := newClient(w.server.Endpoint)
	c.region = region
	defer c.close()
	return c.query(ctx, service, action, params...)
}

// roles makes those that stack sets need, in the one account, and the set.
func (w *stackSetRun) roles() {
	w.t.Helper()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{%s},"Action":"sts:AssumeRole"}]}`
	for name, who := range map[string]string{
		"AWSCloudFormationStackSetAdministrationRole": `"Service":"cloudformation.amazonaws.com"`,
		"AWSCloudFormationStackSetExecutionRole":      `"AWS":"arn:aws:iam::000000000000:root"`,
	} {
		_, err := w.query(w.t.Context(), "", "iam", "CreateRole", "RoleName", name, "AssumeRolePolicyDocument", fmt.Sprintf(trust, who))
		w.must(err)
	}
	_, err := w.query(w.t.Context(), "", "cloudformation", "CreateStackSet", "StackSetName", "s", "TemplateBody", stackSetTemplate,
		"Parameters.member.1.ParameterKey", "Version", "Parameters.member.1.ParameterValue", "0")
	w.must(err)
}

// round begins an operation, kills the server, and sees what comes of it.
func (w *stackSetRun) round(n int) {
	w.t.Helper()
	id := fmt.Sprint("op-", n)
	action, params := w.choose()
	params = append(params, "StackSetName", "s", "OperationId", id)
	ctx, cancel := context.WithTimeout(w.t.Context(), settleTimeout)
	defer cancel()
	var acked bool
	var call sync.WaitGroup
	call.Go(func() {
		_, err := w.query(ctx, "", "cloudformation", action, params...)
		acked = err == nil
	})
	w.wait(w.instant())
	w.kill()
	call.Wait()
	w.start()
	for {
		o, err := w.query(ctx, "", "cloudformation", "DescribeStackSetOperation", "StackSetName", "s", "OperationId", id)
		if refused(err, "OperationNotFoundException") {
			if acked {
				w.fail("round %d: %s was acknowledged and is lost", n, action)
			}
			break
		}
		w.must(err)
		status := o.text("StackSetOperation/Status")
		if status == "SUCCEEDED" {
			w.done(action)
			break
		}
		if status != "RUNNING" {
			w.fail("round %d: %s ended as %s", n, action, status)
		}
		w.wait(20 * time.Millisecond)
	}
	w.check(ctx, n, action)
}

// choose picks an operation on the set.
func (w *stackSetRun) choose() (action string, params []string) {
	places := []string{"Accounts.member.1", "000000000000", "OperationPreferences.RegionConcurrencyType", "PARALLEL"}
	for i, r := range stackSetRegions {
		places = append(places, fmt.Sprintf("Regions.member.%d", i+1), r)
	}
	switch {
	case !w.deployed:
		return "CreateStackInstances", places
	case w.rnd.IntN(2) == 0:
		return "DeleteStackInstances", append(places, "RetainStacks", "false")
	}
	return "UpdateStackSet", []string{
		"UsePreviousTemplate", "true", "OperationPreferences.RegionConcurrencyType", "PARALLEL",
		"Parameters.member.1.ParameterKey", "Version", "Parameters.member.1.ParameterValue", fmt.Sprint(w.version + 1),
	}
}

func (w *stackSetRun) done(action string) {
	switch action {
	case "UpdateStackSet":
		w.version++
	default:
		w.deployed = action == "CreateStackInstances"
	}
}

// check holds the instances against the stacks, and those against what they made.
func (w *stackSetRun) check(ctx context.Context, n int, action string) {
	w.t.Helper()
	list, err := w.query(ctx, "", "cloudformation", "ListStackInstances", "StackSetName", "s")
	w.must(err)
	want := list.texts("Summaries/member/StackId")
	for _, status := range list.texts("Summaries/member/Status") {
		if status != "CURRENT" {
			w.fail("round %d: after %s an instance is %s", n, action, status)
		}
	}
	if w.deployed != (len(want) == len(stackSetRegions)) {
		w.fail("round %d: after %s there are %d instances", n, action, len(want))
	}
	var have []string
	for _, r := range stackSetRegions {
		stacks, err := w.query(ctx, r, "cloudformation", "DescribeStacks")
		w.must(err)
		have = append(have, stacks.texts("Stacks/member/StackId")...)
		c := newClient(w.server.Endpoint)
		c.region = r
		var queues struct{ QueueUrls []string }
		w.must(c.json(ctx, "sqs", "ListQueues", struct{}{}, &queues))
		if len(queues.QueueUrls) != len(stacks.texts("Stacks/member/StackId")) {
			w.fail("round %d: after %s region %s has queues %v", n, action, r, queues.QueueUrls)
		}
		if w.deployed {
			var p struct{ Parameter struct{ Value string } }
			w.must(c.json(ctx, "ssm", "GetParameter", map[string]any{"Name": "/crash/version"}, &p))
			if p.Parameter.Value != fmt.Sprint(w.version) {
				w.fail("round %d: after %s region %s has version %s, want %d", n, action, r, p.Parameter.Value, w.version)
			}
		}
		c.close()
	}
	slices.Sort(want)
	slices.Sort(have)
	if strings.Join(want, " ") != strings.Join(have, " ") {
		w.fail("round %d: after %s the stacks are %v, the instances' are %v", n, action, have, want)
	}
}
