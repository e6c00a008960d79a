package ssm

import (
	"errors"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// "AWS Systems Manager endpoints and quotas", AWS General Reference: parameters
// of a tier in an account and region.
const (
	maxStandard = 10000
	maxAdvanced = 100000
)

// tally counts an account's parameters in a region by tier.
type tally struct{ Standard, Advanced int }

func (t *tally) of(tier string) *int {
	if tier == api.ParameterTierAdvanced {
		return &t.Advanced
	}
	return &t.Standard
}

var tallies = store.NewCollection[tally]("ssm/parametercount")

// recount moves a parameter from a tier to another; "" stands for none.
func recount(tx store.Tx, scope arn.Scope, from, to string) error {
	if from == to {
		return nil
	}
	t, err := tallies.Get(tx, scope.Key())
	if errors.Is(err, store.ErrNotFound) { // of an older build, or the first
		t = &tally{}
		for e, err := range parameters.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			*t.of(e.Value.Latest.Tier)++
		}
	} else if err != nil {
		return err
	}
	if from != "" {
		*t.of(from)--
	}
	if to != "" {
		*t.of(to)++
		most := maxStandard
		if to == api.ParameterTierAdvanced {
			most = maxAdvanced
		}
		if *t.of(to) > most {
			return fault.New(fault.ParameterLimitExceeded, "You have exceeded the number of parameters of tier %s for this AWS account and region: %d. Delete one or more parameters and try again.", to, most)
		}
	}
	if *t == (tally{}) {
		return tallies.Delete(tx, scope.Key())
	}
	return tallies.Put(tx, scope.Key(), t)
}
