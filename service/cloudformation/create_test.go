package cloudformation_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/cloudformation"
)

const chain = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Value: root}}
  B: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref A, Size: "3"}}
  C: {Type: 'AWS::Test::Thing', Properties: {Value: !GetAtt B.Arn}}
Outputs:
  Last: {Value: !Ref C, Description: the last}
`

// The order of events is that of the recorded answers of AWS
// (test_change_set_depends_on): by dependency, and per resource begin, id, end.
func TestCreateStackInOrder(t *testing.T) {
	w := newWorld(t, nil)
	id := w.create("chain", chain)
	st := w.settle("chain", "CREATE_COMPLETE")
	want := []string{
		"(stack) CREATE_IN_PROGRESS User Initiated",
		"A CREATE_IN_PROGRESS",
		"A CREATE_IN_PROGRESS Resource creation Initiated",
		"A CREATE_COMPLETE",
		"B CREATE_IN_PROGRESS",
		"B CREATE_IN_PROGRESS Resource creation Initiated",
		"B CREATE_COMPLETE",
		"C CREATE_IN_PROGRESS",
		"C CREATE_IN_PROGRESS Resource creation Initiated",
		"C CREATE_COMPLETE",
		"(stack) CREATE_COMPLETE",
	}
	if diff := cmp.Diff(want, w.events("chain")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if st.StackId != id || len(st.Outputs) != 1 || st.Outputs[0].OutputKey != "Last" || !strings.HasPrefix(st.Outputs[0].OutputValue, "chain-C-") {
		t.Errorf("stack %+v", st)
	}
	w.drop("chain")
	w.settle(id, "DELETE_COMPLETE")
	want = append(want,
		"(stack) DELETE_IN_PROGRESS User Initiated",
		"C DELETE_IN_PROGRESS", "C DELETE_COMPLETE",
		"B DELETE_IN_PROGRESS", "B DELETE_COMPLETE",
		"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
		"(stack) DELETE_COMPLETE")
	if diff := cmp.Diff(want, w.events(id)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{StackName: "chain"})
	refused(t, err, fault.ValidationError, "Stack with id chain does not exist")
}

const failing = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Value: root}}
  B: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref A, Fail: create}}
  C: {Type: 'AWS::Test::Thing', Properties: {Value: !Ref B}}
`

const reasonB = `Resource handler returned message: "the thing is not possible (InvalidThing)" (RequestToken: `

// trimTokens cuts request tokens, which differ from run to run.
func trimTokens(events []string) []string {
	for i, e := range events {
		if at := strings.Index(e, "(RequestToken: "); at >= 0 {
			events[i] = e[:at+len("(RequestToken: ")]
		}
	}
	return events
}

func TestCreateStackRollsBack(t *testing.T) {
	w := newWorld(t, nil)
	w.create("failing", failing)
	w.settle("failing", "ROLLBACK_COMPLETE")
	want := []string{
		"(stack) CREATE_IN_PROGRESS User Initiated",
		"A CREATE_IN_PROGRESS",
		"A CREATE_IN_PROGRESS Resource creation Initiated",
		"A CREATE_COMPLETE",
		"B CREATE_IN_PROGRESS",
		"B CREATE_IN_PROGRESS Resource creation Initiated",
		"B CREATE_FAILED " + reasonB,
		"(stack) ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [B]. Rollback requested by user.",
		"B DELETE_IN_PROGRESS", "B DELETE_COMPLETE",
		"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
		"(stack) ROLLBACK_COMPLETE",
	}
	if diff := cmp.Diff(want, trimTokens(w.events("failing"))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if left := w.cloud.things(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_, err := w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "failing", TemplateBody: chain})
	refused(t, err, fault.ValidationError, "is in ROLLBACK_COMPLETE state and can not be updated.")
	_, err = w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "failing", TemplateBody: chain})
	refused(t, err, fault.CFNAlreadyExists, "Stack [failing] already exists")
	w.drop("failing")
}

func TestCreateStackOnFailure(t *testing.T) {
	for _, c := range []struct {
		onFailure, status string
		left              int
	}{
		{"DO_NOTHING", "CREATE_FAILED", 1},
		{"DELETE", "DELETE_COMPLETE", 0},
		{"ROLLBACK", "ROLLBACK_COMPLETE", 0},
	} {
		t.Run(c.onFailure, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.create("failing", failing, func(in *api.CreateStackInput) { in.OnFailure = c.onFailure })
			w.settle(id, c.status)
			if left := w.cloud.things(); len(left) != c.left {
				t.Errorf("left: %v, want %d", left, c.left)
			}
		})
	}
}

// An update after a creation that was left as it failed makes what is missing.
func TestUpdateAfterCreateFailed(t *testing.T) {
	w := newWorld(t, nil)
	w.create("failing", failing, func(in *api.CreateStackInput) { in.DisableRollback = yes() })
	w.settle("failing", "CREATE_FAILED")
	w.updateTo("failing", strings.Replace(failing, ", Fail: create", "", 1))
	w.settle("failing", "UPDATE_COMPLETE")
	if things := w.cloud.things(); len(things) != 3 {
		t.Errorf("things %v, want 3", things)
	}
}

func TestCreateStackRefusals(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		name    string
		in      api.CreateStackInput
		code    string
		message string
	}{
		{"no template", api.CreateStackInput{StackName: "x"}, fault.ValidationError, "Either Template URL or Template Body must be specified."},
		{"bad name", api.CreateStackInput{StackName: "1x", TemplateBody: chain}, fault.ValidationError, "[a-zA-Z][-a-zA-Z0-9]*"},
		{"too long", api.CreateStackInput{StackName: "x", TemplateBody: strings.Repeat(" ", 51201)}, fault.ValidationError, "51200"},
		{"foreign host", api.CreateStackInput{StackName: "x", TemplateURL: "https://example.com/b/k"}, fault.ValidationError, "S3 error: Domain name specified in example.com is not a valid S3 domain"},
		{"notifications", api.CreateStackInput{StackName: "x", TemplateBody: chain, NotificationARNs: []string{"arn:aws:sns:us-east-1:111111111111:t"}}, fault.NotImplemented, "SNS"},
		{"triggers", api.CreateStackInput{StackName: "x", TemplateBody: chain, RollbackConfiguration: &api.RollbackConfiguration{RollbackTriggers: []api.RollbackTrigger{{}}}}, fault.NotImplemented, "no CloudWatch alarms"},
		{"role", api.CreateStackInput{StackName: "x", TemplateBody: chain, RoleARN: "arn:aws:iam::111111111111:role/r"}, fault.NotImplemented, "RoleARN"},
		{"policy", api.CreateStackInput{StackName: "x", TemplateBody: chain, StackPolicyBody: "{"}, fault.ValidationError, "Error validating stack policy"},
		{"unknown property", api.CreateStackInput{StackName: "x", TemplateBody: "Resources:\n  A:\n    Type: AWS::Test::Thing\n    Properties:\n      Wrong: 1\n"}, fault.ValidationError, "line 5"},
		{"both failure modes", api.CreateStackInput{StackName: "x", TemplateBody: chain, OnFailure: "DELETE", DisableRollback: yes()}, fault.ValidationError, "not both"},
		{"resource types", api.CreateStackInput{StackName: "x", TemplateBody: chain, ResourceTypes: []string{"AWS::EC2::*"}}, fault.ValidationError, "Resource type AWS::Test::Thing is not allowed by parameter ResourceTypes [AWS::EC2::*]"},
		{"snapshot", api.CreateStackInput{StackName: "x", TemplateBody: "Resources:\n  A: {Type: 'AWS::Test::Thing', DeletionPolicy: Snapshot}\n"}, fault.ValidationError, "deletion policy Snapshot"},
		{"aws tag", api.CreateStackInput{StackName: "x", TemplateBody: chain, Tags: []api.Tag{{Key: "aws:x", Value: "y"}}}, fault.ValidationError, "aws:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.CreateStack(w.ctx, &c.in)
			refused(t, err, c.code, c.message)
			if _, err := w.DescribeStacks(w.ctx, &api.DescribeStacksInput{StackName: "x"}); err == nil {
				t.Error("there is a stack")
			}
		})
	}
}

func TestParameters(t *testing.T) {
	w := newWorld(t, nil)
	body := `
Parameters:
  Word: {Type: String}
  Secret: {Type: String, NoEcho: true, Default: tops3cret}
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Value: !Sub '${Word} ${Secret}'}}
`
	_, err := w.CreateStack(w.ctx, &api.CreateStackInput{StackName: "p", TemplateBody: body})
	refused(t, err, fault.ValidationError, "Parameters: [Word] must have values")
	w.create("p", body, func(in *api.CreateStackInput) {
		in.Parameters = []api.Parameter{{ParameterKey: "Word", ParameterValue: "hello"}}
	})
	st := w.settle("p", "CREATE_COMPLETE")
	want := []api.Parameter{{ParameterKey: "Word", ParameterValue: "hello"}, {ParameterKey: "Secret", ParameterValue: "****"}}
	if diff := cmp.Diff(want, st.Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	events, err := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.StackEvents {
		if strings.Contains(e.ResourceProperties, "tops3cret") {
			t.Errorf("event shows the secret: %s", e.ResourceProperties)
		}
	}
	for id, p := range w.cloud.there {
		if p["Value"] != "hello tops3cret" {
			t.Errorf("%s got %v", id, p)
		}
	}
}

func TestClientRequestToken(t *testing.T) {
	w := newWorld(t, nil)
	token := func(in *api.CreateStackInput) { in.ClientRequestToken = "once" }
	first := w.create("tok", chain, token)
	w.settle("tok", "CREATE_COMPLETE")
	if again := w.create("tok", chain, token); again != first {
		t.Errorf("a repeated request made %s beside %s", again, first)
	}
	_, err := w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "tok", TemplateBody: failing, ClientRequestToken: "once"})
	refused(t, err, fault.CFNTokenAlreadyExists, "once")
	events, _ := w.DescribeStackEvents(w.ctx, &api.DescribeStackEventsInput{StackName: "tok"})
	ids := map[string]bool{}
	for _, e := range events.StackEvents {
		if e.ClientRequestToken != "once" {
			t.Errorf("event %s has token %q", e.EventId, e.ClientRequestToken)
		}
		if ids[e.EventId] {
			t.Errorf("event id %s is given twice", e.EventId)
		}
		ids[e.EventId] = true
	}
}

func TestTimeoutInMinutes(t *testing.T) {
	var late atomic.Bool
	w := newWorld(t, func(c *cloudformation.Config) {
		c.Now = func() time.Time {
			if late.Load() {
				return time.Now().Add(2 * time.Minute)
			}
			return time.Now()
		}
	})
	w.cloud.create = func(_ context.Context, r cfn.Request) error {
		late.Store(true)
		return nil
	}
	minutes := int32(1)
	w.create("s", chain, func(in *api.CreateStackInput) { in.TimeoutInMinutes = &minutes })
	st := w.settle("s", "ROLLBACK_COMPLETE")
	if *st.TimeoutInMinutes != 1 || len(w.cloud.things()) > 0 {
		t.Errorf("stack %+v left %v", st, w.cloud.things())
	}
	want := "(stack) ROLLBACK_IN_PROGRESS The stack was not complete within 1 minutes. Rollback requested by user."
	if events := w.events("s"); !slices.Contains(events, want) {
		t.Errorf("no %q in %v", want, events)
	}
}

// A template that AWS's events were recorded for fails at an output.
func TestOutputFails(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", "Resources:\n  A: {Type: 'AWS::Test::Thing'}\nOutputs:\n  O: {Value: !Sub '${A.Value}'}\n")
	w.settle("s", "ROLLBACK_COMPLETE")
	if events := w.events("s"); !slices.ContainsFunc(events, func(e string) bool {
		return strings.HasPrefix(e, "(stack) ROLLBACK_IN_PROGRESS [Error] /Outputs/O/Value")
	}) {
		t.Errorf("events %v", events)
	}
}
