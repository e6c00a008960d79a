package apply

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
)

func resource(id, physical, value string) plan.Resource {
	return plan.Resource{LogicalID: id, Type: "AWS::Test::Thing", PhysicalID: physical, Properties: cfn.Properties{"Value": value}}
}

// TestWayBack compares the way back from a failed update in text form.
func TestWayBack(t *testing.T) {
	before := map[string]plan.Resource{}
	for _, id := range []string{"Changed", "Failed", "First", "Gone", "Recorded", "Replaced", "ReplacementFailed", "Same", "Skipped", "Tagged"} {
		before[id] = resource(id, "old-"+id, "old")
	}
	recorded := resource("Recorded", "old-Recorded", "old")
	recorded.Metadata = "new"
	now := map[string]*Resource{
		"Same":              {Resource: resource("Same", "old-Same", "old"), Status: CreateComplete},
		"Changed":           {Resource: resource("Changed", "old-Changed", "new"), Status: UpdateComplete},
		"Failed":            {Resource: resource("Failed", "old-Failed", "old"), Status: UpdateFailed, Dirty: true},
		"Replaced":          {Resource: resource("Replaced", "new-Replaced", "new"), Status: UpdateComplete, Old: []plan.Resource{before["Replaced"]}},
		"ReplacementFailed": {Resource: resource("ReplacementFailed", "old-ReplacementFailed", "old"), Status: UpdateFailed},
		"First":             {Resource: resource("First", "", "old"), Status: UpdateFailed, Dirty: true},
		"Recorded":          {Resource: recorded, Status: CreateComplete},
		"Tagged":            {Resource: resource("Tagged", "old-Tagged", "old"), Status: UpdateComplete, Changed: "this"},
		"Skipped":           {Resource: resource("Skipped", "old-Skipped", "new"), Status: UpdateFailed, Dirty: true},
		"Added":             {Resource: resource("Added", "new-Added", "new"), Status: CreateComplete},
	}
	var got []string
	for _, s := range wayBack(before, now, nil, []string{"this"}, []string{"Skipped", "Same"}) {
		got = append(got, fmt.Sprintf("%s %s %s", s.Action, s.Target.LogicalID, s.Target.PhysicalID))
	}
	want := []string{
		"Update Changed old-Changed",
		"Update Failed old-Failed",
		"Create First old-First", // deleted before its replacement was made
		"Create Gone old-Gone",
		"Keep Recorded old-Recorded",
		"Restore Replaced old-Replaced",
		"Restore ReplacementFailed old-ReplacementFailed",
		"Retain Skipped old-Skipped",
		"Update Tagged old-Tagged",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("way back:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
