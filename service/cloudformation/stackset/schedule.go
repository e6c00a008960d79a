package stackset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway/slipway/api/cloudformation"
)

// preferences are how an operation goes about its places
// ("StackSetOperationPreferences", AWS CloudFormation API Reference).
type preferences struct {
	Parallel         bool     `json:",omitempty"` // regions beside one another
	Order            []string `json:",omitempty"` // of regions
	Soft             bool     `json:",omitempty"` // failures do not narrow it
	Mode             string   `json:",omitempty"` // as it was asked for
	Tolerance        *int32   `json:",omitempty"`
	TolerancePercent *int32   `json:",omitempty"`
	Max              *int32   `json:",omitempty"`
	MaxPercent       *int32   `json:",omitempty"`
}

func preferencesOf(in *cloudformation.StackSetOperationPreferences) (p preferences, err error) {
	if in == nil {
		return p, nil
	}
	switch {
	case in.FailureToleranceCount != nil && in.FailureTolerancePercentage != nil:
		return p, invalid("You must specify either FailureToleranceCount or FailureTolerancePercentage, but not both.")
	case in.MaxConcurrentCount != nil && in.MaxConcurrentPercentage != nil:
		return p, invalid("You must specify either MaxConcurrentCount or MaxConcurrentPercentage, but not both.")
	}
	for i, r := range in.RegionOrder {
		if slices.Contains(in.RegionOrder[:i], r) {
			return p, invalid("Region %s is given twice in RegionOrder.", r)
		}
	}
	return preferences{
		Parallel: in.RegionConcurrencyType == cloudformation.RegionConcurrencyTypeParallel, Order: in.RegionOrder,
		Soft: in.ConcurrencyMode == cloudformation.ConcurrencyModeSoftFailureTolerance, Mode: in.ConcurrencyMode,
		Tolerance: in.FailureToleranceCount, TolerancePercent: in.FailureTolerancePercentage,
		Max: in.MaxConcurrentCount, MaxPercent: in.MaxConcurrentPercentage,
	}, nil
}

func (p preferences) api() *cloudformation.StackSetOperationPreferences {
	out := &cloudformation.StackSetOperationPreferences{
		RegionOrder: p.Order, ConcurrencyMode: p.Mode, FailureToleranceCount: p.Tolerance, FailureTolerancePercentage: p.TolerancePercent,
		MaxConcurrentCount: p.Max, MaxConcurrentPercentage: p.MaxPercent,
	}
	if p.Parallel {
		out.RegionConcurrencyType = cloudformation.RegionConcurrencyTypeParallel
	}
	return out
}

// plan is what an operation is going to do: its regions in their order, each with
// its accounts in theirs.
type plan struct {
	Parallel bool
	Regions  []region
}

// region is a region of a plan.
type region struct {
	Name   string
	Limits limits
	Places []place
}

// limits bound what happens in a region.
type limits struct {
	Max       int // stacks at a time
	Tolerance int // failures after which it still goes on
	Soft      bool
}

// schedule makes a plan of places.
func schedule(p preferences, regions []string, places []place) plan {
	out := plan{Parallel: p.Parallel}
	order := slices.Clone(p.Order)
	for _, r := range regions {
		if !slices.Contains(order, r) {
			order = append(order, r)
		}
	}
	for _, name := range order {
		r := region{Name: name}
		for _, at := range places {
			if at.Region == name {
				r.Places = append(r.Places, at)
			}
		}
		slices.SortFunc(r.Places, func(a, b place) int { return strings.Compare(a.Account, b.Account) })
		if len(r.Places) == 0 {
			continue
		}
		r.Limits = p.limits(len(r.Places))
		out.Regions = append(out.Regions, r)
	}
	return out
}

// limits are what the preferences come to for a number of accounts. Percentages
// are rounded down, a concurrency to no less than one.
func (p preferences) limits(accounts int) limits {
	out := limits{Max: 1, Soft: p.Soft}
	switch {
	case p.Max != nil:
		out.Max = int(*p.Max)
	case p.MaxPercent != nil:
		out.Max = max(1, accounts*int(*p.MaxPercent)/100)
	}
	switch {
	case p.Tolerance != nil:
		out.Tolerance = int(*p.Tolerance)
	case p.TolerancePercent != nil:
		out.Tolerance = accounts * int(*p.TolerancePercent) / 100
	}
	return out
}

// at is how many stacks may be under way at a time after some have failed: in
// strict mode never more than may still fail, and one.
func (l limits) at(failed int) int {
	if l.Soft {
		return l.Max
	}
	return min(l.Max, l.Tolerance+1-failed)
}

// standing is how far a region is.
type standing struct {
	Pending         []string // accounts, in their order
	Running, Failed int
	Halted          bool // the operation is to stop, or an earlier region failed
}

// next is the account that a lane begins with now, "" where it is to end: nothing
// is left, nothing may begin any more, or enough is under way beside it.
func (l limits) next(s standing) string {
	if s.Halted || l.exceeded(s.Failed) || len(s.Pending) == 0 || s.Running >= l.at(s.Failed) {
		return ""
	}
	return s.Pending[0]
}

func (l limits) exceeded(failed int) bool { return failed > l.Tolerance }

// String is the plan in words, a line for each region.
func (p plan) String() string {
	var b strings.Builder
	for i, r := range p.Regions {
		how := "then"
		if i == 0 || p.Parallel {
			how = "first"
		}
		mode := "strict"
		if r.Limits.Soft {
			mode = "soft"
		}
		fmt.Fprintf(&b, "%s %s, %d at a time (%s, tolerates %d):", how, r.Name, max(r.Limits.at(0), 1), mode, r.Limits.Tolerance)
		for _, at := range r.Places {
			b.WriteString(" " + at.Account)
			if at.Suspended {
				b.WriteString(" (suspended)")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// conflict says that two operations may not be under way at a time: they may meet
// in a place, or one changes what the other deploys.
func conflict(a, b *operation) bool {
	if a.All || b.All || a.Units != nil || b.Units != nil || len(a.Stacks) > 0 || len(b.Stacks) > 0 || a.Kind == updating && b.Kind == updating {
		return true
	}
	for _, p := range a.places() {
		for _, q := range b.places() {
			if p.Account == q.Account && p.Region == q.Region {
				return true
			}
		}
	}
	return false
}

// places are those that an operation names itself.
func (o *operation) places() []place {
	out := slices.Clone(o.Exactly)
	for _, r := range o.Regions {
		for _, a := range o.Accounts {
			out = append(out, place{Account: a, Region: r})
		}
	}
	return out
}
