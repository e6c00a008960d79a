package cloudformation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/fault"
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
