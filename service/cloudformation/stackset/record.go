package stackset

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// set is a stack set. It belongs to the administrator's account, which is the
// organization's management account where it is service-managed.
type set struct {
	ID, Name     string // ID is the part of the whole id behind the name
	Scope        arn.Scope
	Description  string `json:",omitempty"`
	Status       string
	Model        string // api.PermissionModels...
	Parameters   []parameter
	Hidden       []string          `json:",omitempty"` // keys of NoEcho parameters
	Declared     []string          `json:",omitempty"` // keys of all parameters
	Capabilities []string          `json:",omitempty"`
	Tags         map[string]string `json:",omitempty"`
	AdminRole    string            `json:",omitempty"` // ARN
	ExecRole     string            `json:",omitempty"` // name
	Auto         *automatic        `json:",omitempty"`
	Managed      bool              `json:",omitempty"`
	// Revision grows as what the instances are to be changes.
	Revision int64
	// Units are the organizational units that it is deployed to.
	Units []unitTarget  `json:",omitempty"`
	Drift *driftDetails `json:",omitempty"`
	Seq   int64         // of its last operation
	Token string        `json:",omitempty"` // the request's, or the durable step's
	Hash  string        `json:",omitempty"` // of the request
	// Enforced says that policies bind who made it, and so what follows by itself.
	Enforced bool   `json:",omitempty"`
	Endpoint string `json:",omitempty"`
}

type parameter struct {
	Key, Value string
	Sealed     bool `json:",omitempty"` // Value is that of a NoEcho parameter, sealed
}

// automatic is how a stack set follows the accounts of its units.
type automatic struct {
	Enabled, Retain bool
	DependsOn       []string `json:",omitempty"`
}

// unitTarget is a unit, or a root, with the regions that its accounts get.
type unitTarget struct {
	Unit     string
	Regions  []string
	Filter   string   `json:",omitempty"` // api.AccountFilterType...
	Accounts []string `json:",omitempty"`
}

// driftDetails are what a drift detection of a stack set found.
type driftDetails struct {
	Status, Detection                       string
	Checked                                 time.Time
	Total, Drifted, InSync, Running, Failed int32
}

// body is a stack set's template.
type body struct{ Text string }

// instance is a stack of a stack set, or what is to be one.
type instance struct {
	Set             string // the set's id
	Account, Region string
	Unit            string      `json:",omitempty"`
	StackID         string      `json:",omitempty"`
	Overrides       []parameter `json:",omitempty"`
	Status          string      // api.StackInstanceStatus...
	Detail          string      // api.StackInstanceDetailedStatus...
	Reason          string      `json:",omitempty"`
	Operation       string      `json:",omitempty"`
	Drift           string      `json:",omitempty"`
	Checked         time.Time   `json:",omitzero"`
}

// What operations do.
const (
	creating  = "create"
	updating  = "update"
	deleting  = "delete"
	detecting = "drift"
	importing = "import"
)

// operation is an operation on a stack set.
type operation struct {
	ID, Set             string
	Scope               arn.Scope
	Kind                string
	Status              string // api.StackSetOperationStatus...
	Reason              string `json:",omitempty"`
	Prefs               preferences
	Retain              *bool       `json:",omitempty"`
	Accounts            []string    `json:",omitempty"`
	Regions             []string    `json:",omitempty"`
	Units               *deployment `json:",omitempty"`
	All                 bool        `json:",omitempty"` // all instances of the set
	Exactly             []place     `json:",omitempty"` // these places and no others
	Overrides           []override  `json:",omitempty"`
	Override            bool        `json:",omitempty"` // they replace those that are there
	Stacks              []string    `json:",omitempty"` // to import
	AdminRole, ExecRole string      `json:",omitempty"`
	Hash                string      // of the request
	Seq                 int64
	Created             time.Time
	Ended               time.Time `json:",omitzero"`
	Failed              int32
	// Exceeded says that more has failed in a region than it tolerates.
	Exceeded bool          `json:",omitempty"`
	Drift    *driftDetails `json:",omitempty"`
	Enforced bool          `json:",omitempty"`
	Endpoint string        `json:",omitempty"`
}

// deployment is which accounts of units an operation is for.
type deployment struct {
	Units    []string
	Filter   string   `json:",omitempty"`
	Accounts []string `json:",omitempty"`
}

// override is a parameter of an operation's instances alone.
type override struct {
	parameter
	Previous bool `json:",omitempty"`
}

// place is an account in a region.
type place struct {
	Account, Region string
	Unit            string `json:",omitempty"`
	Stack           string `json:",omitempty"` // to import
	Suspended       bool   `json:",omitempty"`
}

// result is what an operation did in one place.
type result struct {
	Account, Region  string
	Unit             string `json:",omitempty"`
	Status           string // api.StackSetOperationResultStatus...
	Reason           string `json:",omitempty"`
	Gate, GateReason string `json:",omitempty"`
	Stack            string `json:",omitempty"` // to import
	Skipped          bool   `json:",omitempty"`
}

// The records, keyed by account/region of the set first.
var (
	sets      = store.NewCollection[set]("cloudformation/stackset")
	setNames  = store.NewCollection[string]("cloudformation/stacksetname")
	bodies    = store.NewCollection[body]("cloudformation/stacksettemplate")
	instances = store.NewCollection("cloudformation/stackinstance", store.Index[instance]{Name: "stack", Keys: func(_ string, i *instance) []string {
		if i.StackID == "" {
			return nil
		}
		return []string{i.StackID}
	}})
	operations = store.NewCollection[operation]("cloudformation/stacksetoperation")
	results    = store.NewCollection[result]("cloudformation/stacksetresult")
)

// Records begin the keys of stack sets, whose changes wake who waits for one.
const Records = "cloudformation/stackset"

func (s *set) key() string     { return s.Scope.Key() + "/" + s.ID }
func (s *set) wholeID() string { return s.Name + ":" + s.ID }
func (s *set) arn() string {
	return s.Scope.ARN("cloudformation", "stackset/"+s.wholeID()).String()
}

func (o *operation) setKey() string { return o.Scope.Key() + "/" + o.Set }
func (o *operation) key() string    { return o.setKey() + "/" + o.ID }

func instanceKey(set, account, region string) string { return set + "/" + account + "/" + region }

// resultKey puts the results of an operation in the order of its regions.
func resultKey(op string, region int, account string) string {
	return fmt.Sprintf("%s/%03d/%s", op, region, account)
}

func (o *operation) open() bool {
	switch o.Status {
	case cloudformation.StackSetOperationStatusRunning, cloudformation.StackSetOperationStatusStopping, cloudformation.StackSetOperationStatusQueued:
		return true
	}
	return false
}

// findSet looks a stack set up by its name, its id or its ARN. To delegated
// administrators the self-managed ones of the management account are not there.
func findSet(tx store.Tx, scope arn.Scope, name, callAs string) (*set, error) {
	missing := fault.New(fault.CFNStackSetNotFound, "StackSet %s not found", name)
	given := name
	if strings.HasPrefix(name, "arn:") {
		a, err := arn.Parse(name)
		if err != nil || a.Account != scope.Account || a.Region != scope.Region {
			return nil, missing
		}
		given = strings.TrimPrefix(a.Resource, "stackset/")
	}
	plain, id, whole := strings.Cut(given, ":")
	if !whole {
		known, err := setNames.Get(tx, scope.Key()+"/"+plain)
		if errors.Is(err, store.ErrNotFound) {
			return nil, missing
		}
		if err != nil {
			return nil, err
		}
		id = *known
	}
	v, err := sets.Get(tx, scope.Key()+"/"+id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, missing
	case err != nil:
		return nil, err
	case v.Name != plain || callAs == cloudformation.CallAsDelegatedAdmin && v.Model != cloudformation.PermissionModelsServiceManaged:
		return nil, missing
	}
	return v, nil
}

// activeSet is findSet of one that was not deleted.
func activeSet(tx store.Tx, scope arn.Scope, name, callAs string) (*set, error) {
	v, err := findSet(tx, scope, name, callAs)
	if err == nil && v.Status != cloudformation.StackSetStatusActive {
		err = fault.New(fault.CFNStackSetNotFound, "StackSet %s not found", name)
	}
	return v, err
}

func allOf[T any](tx store.Tx, c *store.Collection[T], prefix string) ([]*T, error) {
	var out []*T
	for e, err := range c.Scan(tx, prefix) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// principalIn is an AWS service as it calls in an account.
func principalIn(account, name string) auth.Principal {
	return auth.Principal{Kind: auth.Service, Account: account, Name: name, ARN: name, UserID: name}
}
