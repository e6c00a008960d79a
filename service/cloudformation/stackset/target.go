package stackset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
)

// member is an account of an organization, with the unit that it is directly in.
type member struct {
	Account   string
	Path      []string // root, units; the last is its own
	Suspended bool
}

func (m member) unit() string { return m.Path[len(m.Path)-1] }

// choose are the members that a deployment is for: those below its units, and what
// its filter makes of them ("DeploymentTargets", AWS CloudFormation API Reference).
func choose(d deployment, members []member) []member {
	var out []member
	for _, m := range members {
		below := slices.ContainsFunc(d.Units, func(u string) bool { return slices.Contains(m.Path, u) })
		named := slices.Contains(d.Accounts, m.Account)
		in := below
		switch d.Filter {
		case cloudformation.AccountFilterTypeIntersection:
			in = below && named
		case cloudformation.AccountFilterTypeDifference:
			in = below && !named
		case cloudformation.AccountFilterTypeUnion:
			in = below || named
		}
		if in {
			out = append(out, m)
		}
	}
	return out
}

// checkDeployment checks the targets of a request.
func checkDeployment(kind string, d *cloudformation.DeploymentTargets) (*deployment, error) {
	if d == nil || len(d.OrganizationalUnitIds) == 0 {
		return nil, invalid("You must specify OrganizationalUnitIds in DeploymentTargets for a SERVICE_MANAGED stack set.")
	}
	out := &deployment{Units: d.OrganizationalUnitIds, Filter: d.AccountFilterType, Accounts: d.Accounts}
	if len(d.Accounts) > maxPlaces {
		return nil, tooMany()
	}
	switch {
	case out.Filter == cloudformation.AccountFilterTypeNone:
		out.Filter = ""
		if len(d.Accounts) > 0 {
			return nil, invalid("Accounts cannot be specified with the AccountFilterType NONE.")
		}
	case out.Filter == "" && len(d.Accounts) > 0 && kind != creating:
		out.Filter = cloudformation.AccountFilterTypeUnion
	case out.Filter == "" && len(d.Accounts) > 0:
		return nil, invalid("You must specify AccountFilterType with Accounts and OrganizationalUnitIds in DeploymentTargets.")
	case out.Filter == cloudformation.AccountFilterTypeUnion && kind == creating:
		return nil, invalid("The AccountFilterType UNION is not supported for CreateStackInstances.")
	case out.Filter != "" && len(d.Accounts) == 0:
		return nil, invalid("You must specify Accounts with the AccountFilterType %s.", out.Filter)
	}
	return out, checkAccounts(d.Accounts)
}

// follow is what has to change so that the instances of a stack set are those of
// its units' accounts.
type follow struct {
	Create, Delete []place
}

// follows compares them. What is inoperable is left alone: somebody has to see.
func follows(targets []unitTarget, members []member, have []*instance) follow {
	want := map[string]place{}
	for _, t := range targets {
		for _, m := range choose(deployment{Units: []string{t.Unit}, Filter: t.Filter, Accounts: t.Accounts}, members) {
			for _, r := range t.Regions {
				want[m.Account+"/"+r] = place{Account: m.Account, Region: r, Unit: m.unit(), Suspended: m.Suspended}
			}
		}
	}
	var out follow
	for _, i := range have {
		key := i.Account + "/" + i.Region
		if _, ok := want[key]; !ok && i.Status != cloudformation.StackInstanceStatusInoperable {
			out.Delete = append(out.Delete, place{Account: i.Account, Region: i.Region, Unit: i.Unit})
		}
		delete(want, key)
	}
	for _, p := range want {
		if !p.Suspended {
			out.Create = append(out.Create, p)
		}
	}
	slices.SortFunc(out.Create, comparePlaces)
	slices.SortFunc(out.Delete, comparePlaces)
	return out
}

func comparePlaces(a, b place) int {
	return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region))
}

// String is it in words, a line for each place.
func (f follow) String() string {
	var b strings.Builder
	for _, p := range f.Create {
		fmt.Fprintf(&b, "create %s %s (%s)\n", p.Account, p.Region, p.Unit)
	}
	for _, p := range f.Delete {
		fmt.Fprintf(&b, "delete %s %s\n", p.Account, p.Region)
	}
	return b.String()
}
