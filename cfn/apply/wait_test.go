package apply

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/cfn"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT15M": 15 * time.Minute, "PT0S": 0, "PT1H30M5S": time.Hour + 30*time.Minute + 5*time.Second, "P1DT1S": 24*time.Hour + time.Second, "P2D": 48 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "15M", "PT15", "PT-1S", "PT1S1S", "P1M", "PT1.5S", "PT99999999999S", "P1DT", "PTM", "pt1s", "PT999999999H"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestCreationWait(t *testing.T) {
	signal := func(members map[string]any) any { return map[string]any{"ResourceSignal": members} }
	for _, c := range []struct {
		name   string
		policy any
		want   *cfn.Wait
		bad    bool
	}{
		{"none", nil, nil, false},
		{"another policy", map[string]any{"StartFleet": true}, nil, false},
		{"defaults", signal(map[string]any{}), &cfn.Wait{Count: 1, Timeout: 5 * time.Minute}, false},
		{"given", signal(map[string]any{"Count": "2", "Timeout": "PT1H"}), &cfn.Wait{Count: 2, Timeout: time.Hour}, false},
		{"count in JSON", signal(map[string]any{"Count": float64(3)}), &cfn.Wait{Count: 3, Timeout: 5 * time.Minute}, false},
		{"negative", signal(map[string]any{"Count": -1}), nil, true},
		{"no duration", signal(map[string]any{"Timeout": "5 minutes"}), nil, true},
		{"too long", signal(map[string]any{"Timeout": "PT13H"}), nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := creationWait(c.policy)
			if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.bad {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	own, handle := cfn.Wait{Count: 2}, cfn.Wait{Source: "handle.h", Count: 2}
	failure := tally{Successes: 1, Failures: 1, First: Signal{UniqueID: "u", Reason: "r"}}
	for _, c := range []struct {
		name                    string
		w                       cfn.Wait
		t                       tally
		stopped, creating, late bool
		over                    bool
		failure, data           string
	}{
		{name: "too few", w: own, t: tally{Successes: 1}},
		{name: "enough", w: own, t: tally{Successes: 2, Data: "{}"}, over: true},
		{name: "enough with data", w: handle, t: tally{Successes: 2, Data: "{}"}, over: true, data: "{}"},
		{name: "enough, and late", w: own, t: tally{Successes: 2}, late: true, over: true},
		{name: "failure", w: own, t: failure, over: true, failure: "Received 1 FAILURE signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"},
		{name: "failure of a handle", w: handle, t: failure, over: true, failure: "WaitCondition received failed message: 'r' for uniqueId: u"},
		{name: "stopped creation", w: own, stopped: true, creating: true, over: true, failure: creationCancelled},
		{name: "stopped update", w: own, stopped: true, over: true, failure: updateCancelled},
		{name: "late", w: own, t: tally{Successes: 1}, late: true, over: true, failure: "Failed to receive 1 resource signal(s) within the specified duration"},
		{name: "late at a handle", w: handle, late: true, over: true, failure: "WaitCondition timed out. Received 0 conditions when expecting 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(c.w, c.t, c.stopped, c.creating, c.late, time.Minute)
			if v.Over != c.over || v.Failure != c.failure || v.Data != c.data || !v.Over && v.Left != time.Minute {
				t.Errorf("verdict %+v", v)
			}
		})
	}
}
