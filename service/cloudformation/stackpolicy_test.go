package cloudformation_test

import (
	"slices"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
)

// protectA lets updates do everything but to A.
const protectA = `{"Statement": [
	{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
	{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/A"}]}`

func (w *world) protect(name, policy string) {
	w.t.Helper()
	if _, err := w.SetStackPolicy(w.ctx, &api.SetStackPolicyInput{StackName: name, StackPolicyBody: policy}); err != nil {
		w.t.Fatal(err)
	}
}

func TestStackPolicy(t *testing.T) {
	const body = `
Resources:
  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: one}}
  B: {Type: 'AWS::Test::Thing', Properties: {Value: one}}
`
	w := newWorld(t, nil)
	w.create("s", body, func(in *api.CreateStackInput) { in.StackPolicyBody = protectA })
	w.settle("s", "CREATE_COMPLETE")
	if out, err := w.GetStackPolicy(w.ctx, &api.GetStackPolicyInput{StackName: "s"}); err != nil || out.StackPolicyBody != protectA {
		t.Errorf("GetStackPolicy: %v, %v", out, err)
	}
	for action, change := range map[string][2]string{
		"Update:Modify":  {"Name: a, Value: one", "Name: a, Value: two"},
		"Update:Replace": {"Name: a,", "Name: other,"},
		"Update:Delete":  {"  A: {Type: 'AWS::Test::Thing', Properties: {Name: a, Value: one}}\n", ""},
	} {
		w.updateTo("s", strings.Replace(body, change[0], change[1], 1))
		w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
		want := "A UPDATE_FAILED Action denied by stack policy: Statement [#2] does not allow [" + action + "] for resource [LogicalResourceId/A]"
		if events := w.events("s"); !slices.Contains(events, want) {
			t.Errorf("no event %q in %v", want, events)
		}
		if things := w.cloud.things(); len(things) != 2 || things[0] != "a" {
			t.Fatalf("after a denied %s there are %v", action, things)
		}
	}
	// B is free, and an update may have a policy of its own.
	w.updateTo("s", strings.Replace(body, "{Value: one}", "{Value: two}", 1))
	w.settle("s", "UPDATE_COMPLETE")
	w.updateTo("s", strings.Replace(body, "Name: a, Value: one", "Name: a, Value: two", 1), func(in *api.UpdateStackInput) {
		in.StackPolicyDuringUpdateBody = `{"Statement": {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}}`
	})
	w.settle("s", "UPDATE_COMPLETE")
	if out, _ := w.GetStackPolicy(w.ctx, &api.GetStackPolicyInput{StackName: "s"}); out.StackPolicyBody != protectA {
		t.Errorf("the policy of one update has become the stack's: %s", out.StackPolicyBody)
	}
	// A deletion of the stack is no update.
	id := w.stack("s").StackId
	w.drop("s")
	w.settle(id, "DELETE_COMPLETE")
}

func TestStackPoliciesAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.create("s", chain)
	w.settle("s", "CREATE_COMPLETE")
	set := func(in api.SetStackPolicyInput) error {
		in.StackName = "s"
		_, err := w.SetStackPolicy(w.ctx, &in)
		return err
	}
	refused(t, set(api.SetStackPolicyInput{}), fault.ValidationError, "StackPolicyURL or StackPolicyBody")
	refused(t, set(api.SetStackPolicyInput{StackPolicyBody: protectA, StackPolicyURL: "https://b.s3.amazonaws.com/k"}), fault.ValidationError, "both")
	refused(t, set(api.SetStackPolicyInput{StackPolicyBody: `{"Statement": [{}]}`}), fault.ValidationError, "Error validating stack policy")
	_, err := w.UpdateStack(w.ctx, &api.UpdateStackInput{StackName: "s", TemplateBody: chain, StackPolicyDuringUpdateBody: "{"})
	refused(t, err, fault.ValidationError, "Error validating stack policy")
	_, err = w.SetStackPolicy(w.ctx, &api.SetStackPolicyInput{StackName: "nobody", StackPolicyBody: protectA})
	refused(t, err, fault.ValidationError, "does not exist")
}
