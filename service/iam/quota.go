package iam

import (
	"errors"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// tallies count what an account has, by kind, so that a quota is checked without
// reading everything. They change with the entities, in the same transaction.
var tallies = store.NewCollection[map[string]int]("iam/tally")

// count is how many entities of the noun an account has.
func (n noun[T]) count(tx store.Tx, account string) (int, error) {
	t, err := tallies.Get(tx, account)
	if err == nil {
		if have, ok := (*t)[n.label]; ok {
			return have, nil
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	have := 0
	for _, err := range n.Scan(tx, account+"/") {
		if err != nil {
			return 0, err
		}
		have++
	}
	return have, nil
}

// tally counts one entity more or less, and refuses one above the quota.
func (n noun[T]) tally(tx store.Tx, account string, more int) error {
	have, err := n.count(tx, account)
	if err != nil {
		return err
	}
	have += more
	if more > 0 && have > n.limit {
		return overQuota(n.quota, n.limit)
	}
	t, err := tallies.Get(tx, account)
	if errors.Is(err, store.ErrNotFound) {
		t, err = &map[string]int{}, nil
	}
	if err != nil {
		return err
	}
	(*t)[n.label] = have
	return tallies.Put(tx, account, t)
}

// drop deletes an entity and counts it out.
func (n noun[T]) drop(tx store.Tx, account, name string) error {
	if err := n.tally(tx, account, -1); err != nil {
		return err
	}
	return n.Delete(tx, nounKey(account, name))
}

// rename gives an entity another name and puts it back as change leaves it.
func (n noun[T]) rename(tx store.Tx, account string, v *T, to string, change func()) error {
	from := n.nameOf(v)
	if to == "" || to == from {
		change()
		return n.Put(tx, nounKey(account, from), v)
	}
	if err := n.check(to); err != nil {
		return err
	}
	if nounKey(account, to) != nounKey(account, from) {
		switch _, err := n.Get(tx, nounKey(account, to)); {
		case err == nil:
			return fault.New(fault.EntityAlreadyExists, "%s with name %s already exists.", n.label, to)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := n.Delete(tx, nounKey(account, from)); err != nil {
			return err
		}
	}
	change()
	return n.Put(tx, nounKey(account, to), v)
}

func overQuota(quota string, limit int) error {
	return fault.New(fault.LimitExceeded, "Cannot exceed quota for %s: %d", quota, limit)
}
