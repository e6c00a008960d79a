package ec2

import (
	"slices"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
)

// grantee is whom an owner shares a snapshot or an image with: an account, or
// the group of all.
type grantee struct{ Account, Group string }

// maxShared bounds the accounts that one resource is shared with.
const maxShared = 1000

// byOperation reads the older form of a request: an operation for lists.
func byOperation(operation string, accounts, groups []string, add, remove *[]grantee) error {
	var list []grantee
	for _, a := range accounts {
		list = append(list, grantee{Account: a})
	}
	for _, g := range groups {
		list = append(list, grantee{Group: g})
	}
	switch operation {
	case "":
		if len(list) > 0 {
			return fault.New(fault.MissingParameter, "The request must contain the parameter operationType")
		}
	case "add":
		*add = append(*add, list...)
	case "remove":
		*remove = append(*remove, list...)
	default:
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter operationType is invalid. Expecting add or remove.", clip(operation, 64))
	}
	if len(*add)+len(*remove) == 0 {
		return fault.New(fault.InvalidParameterCombination, "No attributes specified.")
	}
	return nil
}

func (p *sharing) change(add, remove []grantee) error {
	for _, g := range append(slices.Clone(add), remove...) {
		switch {
		case g.Account != "" && !arn.IsAccount(g.Account):
			return fault.New("InvalidUserID.Malformed", "Invalid user id: %q", clip(g.Account, 64))
		case g.Account == "" && g.Group != "all":
			return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter group is invalid. Expecting all.", clip(g.Group, 64))
		}
	}
	for _, g := range remove {
		if g.Group == "all" {
			p.Public = false
		}
		p.Accounts = slices.DeleteFunc(slices.Clone(p.Accounts), func(a string) bool { return a == g.Account })
	}
	for _, g := range add {
		if g.Group == "all" {
			p.Public = true
		} else if !contains(p.Accounts, g.Account) {
			p.Accounts = append(p.Accounts, g.Account)
		}
	}
	if len(p.Accounts) > maxShared {
		return fault.New("ResourceLimitExceeded", "A resource can be shared with at most %d accounts.", maxShared)
	}
	return nil
}
