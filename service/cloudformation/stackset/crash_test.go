package stackset

import (
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
	"github.com/slipway/slipway/workflow/workflowtest"
)

// some leaves out what other entries show: to crash after one is to crash before the
// next, and but for a creation one account is enough.
func some(creation bool) func(what, key string) bool {
	return func(what, key string) bool {
		return what != "crash after" && (creation || strings.HasPrefix(key, "us-east-1/0/0/"))
	}
}

// TestOperationsSurvive crashes and repeats operations at every entry of their
// journals: no stack is made twice, and none is forgotten.
func TestOperationsSurvive(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   string
		before []string // accounts with stacks
		fails  string
		log    string
		status string
	}{
		{"create", creating, nil, "", "create 222222222222 us-east-1\ncreate 333333333333 us-east-1", "222222222222 CURRENT 333333333333 CURRENT"},
		{"create that fails", creating, nil, first, "create 222222222222 us-east-1", "222222222222 OUTDATED 333333333333 OUTDATED"},
		{"update", updating, []string{first, second}, "", "update 222222222222 us-east-1\nupdate 333333333333 us-east-1", "222222222222 CURRENT 333333333333 CURRENT"},
		{"delete", deleting, []string{first, second}, "", "delete 222222222222 us-east-1\ndelete 333333333333 us-east-1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			workflowtest.Check(t, workflowtest.Case{Only: some(c.name == "create"), Setup: func(t testing.TB, st store.Store) workflowtest.Scenario {
				s, r, o := others()
				v := &set{ID: "id", Name: "s", Scope: scopeOf(administrator), Status: api.StackSetStatusActive, Revision: 2, Seq: 1}
				op := &operation{
					ID: "op", Set: "id", Scope: v.Scope, Kind: c.kind, Status: api.StackSetOperationStatusRunning, Seq: 1, Accounts: []string{first, second},
					Regions: []string{"us-east-1"}, AdminRole: arnOfRole(administrator, defaultAdministration), ExecRole: defaultExecution, Retain: new(false),
				}
				for _, account := range c.before {
					id := "arn:aws:cloudformation:us-east-1:" + account + ":stack/x/1"
					s.there[id] = &one{id: id, account: account, region: "us-east-1", status: "CREATE_COMPLETE", template: "old"}
				}
				s.fails[c.fails] = true
				return workflowtest.Scenario{
					Register: func(e *workflow.Engine) { newService(st, e, s, r, o) },
					Begin: func(tx store.Tx, e *workflow.Engine) (string, error) {
						for _, account := range c.before {
							i := &instance{Set: "id", Account: account, Region: "us-east-1", StackID: "arn:aws:cloudformation:us-east-1:" + account + ":stack/x/1", Status: api.StackInstanceStatusOutdated}
							if err := instances.Put(tx, instanceKey(v.key(), account, "us-east-1"), i); err != nil {
								return "", err
							}
						}
						for _, put := range []error{
							sets.Put(tx, v.key(), v), bodies.Put(tx, v.key(), &body{"new"}), operations.Put(tx, op.key(), op),
						} {
							if put != nil {
								return "", put
							}
						}
						return "f", e.Begin(tx, flowName, "f", job{Scope: v.Scope, Set: "id", Operation: "op"})
					},
					Check: func(t testing.TB, st store.Store, _ workflow.Status) {
						if got := strings.Join(s.log, "\n"); got != c.log {
							t.Errorf("what was done:\n%s\nwant:\n%s", got, c.log)
						}
						var got []string
						err := st.View(t.Context(), func(tx store.Tx) error {
							o, err := operations.Get(tx, op.key())
							if err != nil {
								return err
							}
							if o.open() {
								t.Errorf("the operation is %s", o.Status)
							}
							all, err := allOf(tx, instances, v.key()+"/")
							for _, i := range all {
								got = append(got, i.Account+" "+i.Status)
							}
							return err
						})
						if err != nil || strings.Join(got, " ") != c.status {
							t.Errorf("the instances are %v, %v; want %s", got, err, c.status)
						}
					},
				}
			}})
		})
	}
}
