package cloudcontrol

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// TestRequestsSurviveCrashes crashes and repeats each kind of request at every
// entry of its journal.
func TestRequestsSurviveCrashes(t *testing.T) {
	for _, tt := range []struct {
		name, operation, desired string
		status                   string
		there                    map[string]cfn.Properties
	}{
		{"create", api.OperationCreate, `{"Name":"b"}`, succeeded, map[string]cfn.Properties{"a": {"List": []any{"x"}}, "b": {"Name": "b"}}},
		{"create of what is there", api.OperationCreate, `{"Name":"a"}`, failed, map[string]cfn.Properties{"a": {"List": []any{"x"}}}},
		{"create that fails", api.OperationCreate, `{"Name":"b","Fail":"create"}`, failed, map[string]cfn.Properties{"a": {"List": []any{"x"}}}},
		{"update", api.OperationUpdate, `[{"op":"add","path":"/List/-","value":"y"}]`, succeeded, map[string]cfn.Properties{"a": {"Name": "a", "List": []any{"x", "y"}}}},
		{"delete", api.OperationDelete, "", succeeded, map[string]cfn.Properties{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			workflowtest.Check(t, workflowtest.Case{Setup: func(t testing.TB, st store.Store) workflowtest.Scenario {
				c := &cloud{there: map[string]cfn.Properties{"a": {"List": []any{"x"}}}, by: map[string]string{}}
				var s *Service
				r := &request{Token: newToken(tt.name), Scope: scope, Type: thing, Operation: tt.operation}
				r.Caller.Principal = caller1().Principal
				return workflowtest.Scenario{
					Register: func(e *workflow.Engine) { s = newService(st, e, c, nil) },
					Begin: func(tx store.Tx, _ *workflow.Engine) (_ string, err error) {
						var desired any = tt.desired
						if r.Identifier, r.PhysicalID = "a", "a"; tt.operation == api.OperationCreate {
							p, err := properties("DesiredState", tt.desired)
							if err != nil {
								return "", err
							}
							desired, r.Identifier, r.PhysicalID = p, p["Name"].(string), ""
						}
						if r.Desired, err = s.seal(desired); err != nil {
							return "", err
						}
						_, err = s.begin(tx, r, "", "")
						return r.flow(), err
					},
					Check: func(t testing.TB, st store.Store, _ workflow.Status) {
						if d := cmp.Diff(tt.there, c.there); d != "" {
							t.Errorf("there is (-want +got):\n%s", d)
						}
						err := st.View(t.Context(), func(tx store.Tx) error {
							now, err := find(tx, scope, r.Token)
							if err == nil && now.Status != tt.status {
								t.Errorf("status %s %q, want %s", now.Status, now.Message, tt.status)
							}
							for c, err := range claims.Scan(tx, "") {
								t.Errorf("%s is still claimed: %v", c.Key, err)
							}
							return err
						})
						if err != nil {
							t.Error(err)
						}
					},
				}
			}})
		})
	}
}
