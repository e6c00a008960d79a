package stackset

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/cloudformation"
)

func at(regions, accounts string) (out []place) {
	for r := range strings.FieldsSeq(regions) {
		for a := range strings.FieldsSeq(accounts) {
			out = append(out, place{Account: a, Region: r})
		}
	}
	return out
}

func TestSchedule(t *testing.T) {
	two, fifty, thirty := int32(2), int32(50), int32(30)
	for _, c := range []struct {
		name  string
		prefs preferences
		at    []place
		want  string
	}{
		{"by default one at a time, no failure", preferences{}, at("us eu", "2 1"), `
first us, 1 at a time (strict, tolerates 0): 1 2
then eu, 1 at a time (strict, tolerates 0): 1 2
`},
		{"the order of regions, others behind", preferences{Order: []string{"eu"}}, at("us eu", "1"), `
first eu, 1 at a time (strict, tolerates 0): 1
then us, 1 at a time (strict, tolerates 0): 1
`},
		{"regions without places are left out", preferences{Order: []string{"ap", "us"}, Parallel: true}, at("us eu", "1"), `
first us, 1 at a time (strict, tolerates 0): 1
first eu, 1 at a time (strict, tolerates 0): 1
`},
		{"strict is bounded by the tolerance", preferences{Max: &fifty, Tolerance: &two}, at("us", "1 2 3 4"), `
first us, 3 at a time (strict, tolerates 2): 1 2 3 4
`},
		{"soft is not", preferences{Max: &two, Soft: true}, at("us", "1 2 3 4"), `
first us, 2 at a time (soft, tolerates 0): 1 2 3 4
`},
		{"percentages are rounded down, at a time to one at least", preferences{MaxPercent: &thirty, TolerancePercent: &thirty, Soft: true}, at("us", "1 2 3"), `
first us, 1 at a time (soft, tolerates 0): 1 2 3
`},
		{"percentages of four", preferences{MaxPercent: &fifty, TolerancePercent: &fifty}, at("us", "1 2 3 4"), `
first us, 2 at a time (strict, tolerates 2): 1 2 3 4
`},
	} {
		var regions []string
		for _, p := range c.at {
			if !slices.Contains(regions, p.Region) {
				regions = append(regions, p.Region)
			}
		}
		if d := cmp.Diff(strings.TrimPrefix(c.want, "\n"), schedule(c.prefs, regions, c.at).String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// TestRegionsEnd plays regions whose accounts fail as told: what begins, beside how
// many, and what never does.
func TestRegionsEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits limits
		fails  string // accounts
		want   string
	}{
		{"all well", limits{Max: 2, Tolerance: 5}, "", "1 2 3 4 5"},
		{"the first failure ends it", limits{Max: 1}, "2", "1 2 | 3 4 5"},
		{"tolerated", limits{Max: 1, Tolerance: 1}, "2", "1 2 3 4 5"},
		{"one more than that", limits{Max: 1, Tolerance: 1}, "2 4", "1 2 3 4 | 5"},
		{"soft goes on beside", limits{Max: 2, Soft: true, Tolerance: 0}, "1", "1 2 | 3 4 5"},
	} {
		s := standing{Pending: strings.Fields("1 2 3 4 5")}
		var begun, running []string
		for {
			for a := c.limits.next(s); a != ""; a = c.limits.next(s) {
				begun, running = append(begun, a), append(running, a)
				s.Pending, s.Running = s.Pending[1:], s.Running+1
				if most := c.limits.at(s.Failed); s.Running > most {
					t.Errorf("%s: %d at a time, %d are allowed", c.name, s.Running, most)
				}
			}
			if len(running) == 0 {
				break
			}
			if strings.Contains(c.fails, running[0]) {
				s.Failed++
			}
			running, s.Running = running[1:], s.Running-1
		}
		got := strings.Join(begun, " ")
		if len(s.Pending) > 0 {
			got += " | " + strings.Join(s.Pending, " ")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	strict := limits{Max: 5, Tolerance: 3}
	var at []string
	for failed := range 4 {
		at = append(at, fmt.Sprint(strict.at(failed)))
	}
	if got := strings.Join(at, " "); got != "4 3 2 1" {
		t.Errorf("strict narrows as %s", got)
	}
	if a := strict.next(standing{Pending: []string{"1"}, Halted: true}); a != "" {
		t.Errorf("an operation that stops begins %s", a)
	}
}

func TestChoose(t *testing.T) {
	members := []member{
		{Account: "1", Path: []string{"r"}}, {Account: "2", Path: []string{"r", "a"}}, {Account: "3", Path: []string{"r", "a", "b"}}, {Account: "4", Path: []string{"r", "c"}},
	}
	for _, c := range []struct {
		units, filter, accounts, want string
	}{
		{"r", "", "", "1 2 3 4"},
		{"a", "", "", "2 3"},
		{"b c", "", "", "3 4"},
		{"a", api.AccountFilterTypeIntersection, "3 4", "3"},
		{"a", api.AccountFilterTypeDifference, "3", "2"},
		{"a", api.AccountFilterTypeUnion, "4", "2 3 4"},
	} {
		var got []string
		for _, m := range choose(deployment{Units: strings.Fields(c.units), Filter: c.filter, Accounts: strings.Fields(c.accounts)}, members) {
			got = append(got, m.Account)
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.units, c.filter, c.accounts, g, c.want)
		}
	}
}

func TestFollows(t *testing.T) {
	members := []member{{Account: "1", Path: []string{"r", "a"}}, {Account: "2", Path: []string{"r", "a"}}, {Account: "3", Path: []string{"r", "a"}, Suspended: true}, {Account: "4", Path: []string{"r", "b"}}}
	targets := []unitTarget{{Unit: "a", Regions: []string{"us", "eu"}}}
	have := []*instance{
		{Account: "1", Region: "us"}, {Account: "4", Region: "us"},
		{Account: "5", Region: "us", Status: api.StackInstanceStatusInoperable},
	}
	want := "create 1 eu (a)\ncreate 2 eu (a)\ncreate 2 us (a)\ndelete 4 us\n"
	if d := cmp.Diff(want, follows(targets, members, have).String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := follows(targets[:0], members, nil).String(); got != "" {
		t.Errorf("without targets: %s", got)
	}
}

func TestConflict(t *testing.T) {
	one := &operation{Accounts: []string{"1"}, Regions: []string{"us"}, Kind: creating}
	for _, c := range []struct {
		name string
		with operation
		want bool
	}{
		{"another account", operation{Accounts: []string{"2"}, Regions: []string{"us"}}, false},
		{"another region", operation{Accounts: []string{"1"}, Regions: []string{"eu"}}, false},
		{"the same place", operation{Accounts: []string{"2", "1"}, Regions: []string{"us"}}, true},
		{"the same place by itself", operation{Exactly: []place{{Account: "1", Region: "us"}}}, true},
		{"the whole set", operation{All: true}, true},
		{"units, whose accounts are not known yet", operation{Units: &deployment{}}, true},
	} {
		if got := conflict(one, &c.with); got != c.want || conflict(&c.with, one) != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestPreferencesAreChecked(t *testing.T) {
	one := int32(1)
	for _, p := range []*api.StackSetOperationPreferences{
		{FailureToleranceCount: &one, FailureTolerancePercentage: &one},
		{MaxConcurrentCount: &one, MaxConcurrentPercentage: &one},
		{RegionOrder: []string{"us", "us"}},
	} {
		if _, err := preferencesOf(p); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
