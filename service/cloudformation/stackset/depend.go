package stackset

import (
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Limits of what stack sets wait for ("Take fine-grained control of your AWS
// CloudFormation StackSets Deployment with StackSet Dependencies", AWS DevOps Blog).
const (
	maxDependencies    = 10
	maxAllDependencies = 100 // of the sets of an account in a region
)

// automaticOf is how a request has a set follow its units.
func automaticOf(v *set, in *api.AutoDeployment) (*automatic, error) {
	switch {
	case in.Enabled == nil:
		return nil, invalid("AutoDeployment.Enabled must be specified.")
	case !*in.Enabled && in.RetainStacksOnAccountRemoval != nil:
		return nil, invalid("RetainStacksOnAccountRemoval can only be specified if AutoDeployment is enabled.")
	case *in.Enabled && in.RetainStacksOnAccountRemoval == nil:
		return nil, invalid("RetainStacksOnAccountRemoval must be specified if AutoDeployment is enabled.")
	case !*in.Enabled && len(in.DependsOn) > 0:
		return nil, invalid("DependsOn can only be specified if AutoDeployment is enabled.")
	case len(in.DependsOn) > maxDependencies:
		return nil, invalid("A stack set can depend on at most %d stack sets.", maxDependencies)
	}
	for i, d := range in.DependsOn {
		a, err := arn.Parse(d)
		switch {
		case err != nil || a.Service != "cloudformation" || !strings.HasPrefix(a.Resource, "stackset/"):
			return nil, invalid("DependsOn: %s is not the ARN of a stack set.", d)
		case a.Account != v.Scope.Account || a.Region != v.Scope.Region:
			return nil, invalid("DependsOn: %s is not in account %s and region %s.", d, v.Scope.Account, v.Scope.Region)
		case slices.Contains(in.DependsOn[:i], d):
			return nil, invalid("DependsOn: %s is given twice.", d)
		}
	}
	return &automatic{Enabled: *in.Enabled, Retain: yes(in.RetainStacksOnAccountRemoval), DependsOn: in.DependsOn}, nil
}

// dependable checks what a set is to wait for: service-managed sets that are there,
// none of which waits for it.
func dependable(tx store.Tx, v *set) error {
	if v.Auto == nil || len(v.Auto.DependsOn) == 0 {
		return nil
	}
	all := map[string]*set{v.arn(): v}
	n := len(v.Auto.DependsOn)
	for e, err := range sets.Scan(tx, v.Scope.Key()+"/") {
		if err != nil {
			return err
		}
		other := e.Value
		if other.ID == v.ID || other.Status != api.StackSetStatusActive {
			continue
		}
		all[other.arn()] = other
		if other.Auto != nil {
			n += len(other.Auto.DependsOn)
		}
	}
	if n > maxAllDependencies {
		return invalid("The stack sets of an account can have at most %d dependencies.", maxAllDependencies)
	}
	for _, d := range v.Auto.DependsOn {
		if other := all[d]; other == nil || other.Model != api.PermissionModelsServiceManaged {
			return invalid("DependsOn: %s is no SERVICE_MANAGED stack set.", d)
		}
	}
	if waits(all, v, v.arn(), map[string]bool{}) {
		return invalid("DependsOn: the stack set would wait for itself.")
	}
	return nil
}

// waits reports whether a set waits for another, by however many between them.
func waits(all map[string]*set, v *set, other string, seen map[string]bool) bool {
	if v.Auto == nil {
		return false
	}
	for _, d := range v.Auto.DependsOn {
		if d == other {
			return true
		}
		if next := all[d]; next != nil && !seen[d] {
			seen[d] = true
			if waits(all, next, other, seen) {
				return true
			}
		}
	}
	return false
}

// ready leaves the places that need not wait: in whose account each set that v
// depends on has the stacks that it is to have, and they are as they should be.
// A set that was deleted is waited for no longer.
func ready(tx store.Tx, v *set, members []member, places []place) ([]place, error) {
	waiting := map[string]bool{} // accounts
	for _, d := range v.Auto.DependsOn {
		other, err := activeSet(tx, v.Scope, d, "")
		if fault.Is(err, fault.CFNStackSetNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		have, err := allOf(tx, instances, other.key()+"/")
		if err != nil {
			return nil, err
		}
		for _, account := range unfinished(other, members, have) {
			waiting[account] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(places), func(p place) bool { return waiting[p.Account] }), nil
}

// unfinished are the accounts in which a set has not all of its stacks as they
// should be.
func unfinished(v *set, members []member, have []*instance) (out []string) {
	if v.Auto != nil && v.Auto.Enabled {
		for _, p := range follows(v.Units, members, have).Create {
			out = append(out, p.Account)
		}
	}
	for _, i := range have {
		if i.Status != api.StackInstanceStatusCurrent {
			out = append(out, i.Account)
		}
	}
	return out
}
