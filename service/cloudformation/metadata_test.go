package cloudformation_test

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
)

const described = `
Resources:
  A:
    Type: AWS::Test::Thing
    Metadata: {Says: !Sub 'VERSION of ${B}'}
    CreationPolicy: {ResourceSignal: {Count: 1, Timeout: PT10M}}
    Properties: {Name: VERSION}
  B: {Type: 'AWS::Test::Thing'}
`

func withVersion(v string) string { return strings.ReplaceAll(described, "VERSION", v) }

// TestMetadataOfWhatIsMade: what a replacement reads while it is being made is
// its own metadata, with the functions evaluated; going back, the old one.
func TestMetadataOfWhatIsMade(t *testing.T) {
	w := newWorld(t, nil)
	says := func(want string) {
		t.Helper()
		r, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: "s", LogicalResourceId: "A"})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.StackResourceDetail.Metadata; got != want {
			t.Errorf("%s: %s, want %s", r.StackResourceDetail.ResourceStatus, got, want)
		}
	}
	w.create("s", withVersion("one"))
	w.until("s", "A CREATE_IN_PROGRESS Resource creation Initiated")
	b, err := w.DescribeStackResource(w.ctx, &api.DescribeStackResourceInput{StackName: "s", LogicalResourceId: "B"})
	if err != nil {
		t.Fatal(err)
	}
	one := `{"Says":"one of ` + b.StackResourceDetail.PhysicalResourceId + `"}`
	two := `{"Says":"two of ` + b.StackResourceDetail.PhysicalResourceId + `"}`
	says(one)
	if err := w.signal(w.ctx, "s", "A", "i-1", "SUCCESS"); err != nil {
		t.Fatal(err)
	}
	w.settle("s", "CREATE_COMPLETE")
	says(one)
	w.updateTo("s", withVersion("two"))
	w.until("s", "A UPDATE_IN_PROGRESS Resource creation Initiated")
	says(two)
	if err := w.signal(w.ctx, "s", "A", "i-2", "FAILURE"); err != nil {
		t.Fatal(err)
	}
	w.settle("s", "UPDATE_ROLLBACK_COMPLETE")
	says(one)
}
