package apply

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Defaults and bounds of a CreationPolicy ("CreationPolicy attribute").
const (
	defaultSignalTimeout = 5 * time.Minute
	maxSignalTimeout     = 12 * time.Hour
)

// creationWait reads a CreationPolicy's ResourceSignal, nil where it has none.
func creationWait(policy any) (*cfn.Wait, error) {
	m, _ := policy.(map[string]any)
	signal, ok := m["ResourceSignal"].(map[string]any)
	if !ok {
		return nil, nil
	}
	w := &cfn.Wait{Count: 1, Timeout: defaultSignalTimeout}
	if v, ok := signal["Count"]; ok {
		n, err := strconv.Atoi(fmt.Sprint(v))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("CreationPolicy: Count %v is not a number of signals", v)
		}
		w.Count = n
	}
	if v, ok := signal["Timeout"]; ok {
		d, err := ParseDuration(fmt.Sprint(v))
		if err != nil {
			return nil, fmt.Errorf("CreationPolicy: %w", err)
		}
		if d > maxSignalTimeout {
			return nil, fmt.Errorf("CreationPolicy: Timeout %v is longer than 12 hours", v)
		}
		w.Timeout = d
	}
	return w, nil
}

// ParseDuration reads an ISO 8601 duration of days, hours, minutes and seconds:
// PT#H#M#S.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not an ISO 8601 duration such as PT15M", s)
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" || strings.HasSuffix(s, "T") {
		return 0, bad
	}
	units := map[byte]time.Duration{'D': 24 * time.Hour}
	var total time.Duration
	digits := ""
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == 'T' && digits == "":
			units = map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
		case c >= '0' && c <= '9' && len(digits) < 9:
			digits += string(c)
		default:
			unit, ok := units[c]
			n, err := strconv.ParseInt(digits, 10, 64)
			if !ok || err != nil || n > int64((366*24*time.Hour)/unit) {
				return 0, bad
			}
			total += time.Duration(n) * unit
			delete(units, c)
			digits = ""
		}
	}
	if digits != "" {
		return 0, bad
	}
	return total, nil
}

func waitSource(id string, w cfn.Wait) string {
	switch {
	case w.Stack != "":
		return nestedSource(id)
	case w.Answer != "":
		return answerSource(w.Answer)
	case w.Source == "":
		return OwnSource(id)
	}
	return w.Source
}

func (o *operation) startWaiting(tx store.Tx, s *Stack, id string, w cfn.Wait) error {
	wait := &waiter{LogicalID: id, Operation: o.ID}
	if w.Answer != "" {
		wait.Nudge = nudgeOf(id) + "/" + w.Answer
	}
	return waiters.Put(tx, sourceKey(s, waitSource(id, w)), wait)
}

func (o *operation) stopWaiting(tx store.Tx, s *Stack, id string, w cfn.Wait) error {
	if err := waiters.Delete(tx, sourceKey(s, OwnSource(id))); err != nil {
		return err
	}
	return waiters.Delete(tx, sourceKey(s, waitSource(id, w)))
}

// verdict is how waiting ended.
type verdict struct {
	Over    bool
	Late    bool
	Failure string
	Data    string
	Left    time.Duration
	// Attributes are those of what was waited for, nil where there are none, and
	// PhysicalID is what it is known by where that is news.
	Attributes cfn.Properties `json:",omitempty"`
	PhysicalID string         `json:",omitempty"`
	Nudge      string         `json:",omitempty"` // of the waiter, where it is not over
}

// await waits for a resource's signals. What came is counted in the store; the
// workflow's own signals only wake it.
func (o *operation) await(f *workflow.Flow, id string, w cfn.Wait) (verdict, error) {
	return o.awaitGoal(f, id, w, reach)
}

func (o *operation) awaitGoal(f *workflow.Flow, id string, w cfn.Wait, to goal) (verdict, error) {
	begun, err := tx(o, f, "wait", func(l *Ledger, s *Stack) (time.Time, error) {
		if w.Always() {
			return l.Now, o.startWaiting(l.Tx, s, id, w)
		}
		return l.Now, nil
	})
	if err != nil {
		return verdict{}, err
	}
	late := false
	for i := 0; ; i++ {
		v, err := tx(o, f, fmt.Sprintf("wait %d", i), func(l *Ledger, s *Stack) (verdict, error) {
			v, err := o.look(l, s, id, w, to, begun, late)
			if err == nil && v.Over && w.Always() {
				err = errors.Join(o.stopWaiting(l.Tx, s, id, w), forgetAnswer(l.Tx, s, w))
			}
			if err != nil || v.Over {
				return v, err
			}
			wait, err := found(waiters.Get(l.Tx, sourceKey(s, waitSource(id, w))))
			if wait != nil {
				v.Nudge = wait.Nudge
			}
			return v, err
		})
		if err != nil || v.Over {
			return v, err
		}
		_, err = workflow.Await[struct{}](f, cmp.Or(v.Nudge, nudgeOf(id)), v.Left)
		switch {
		case errors.Is(err, workflow.ErrTimeout):
			late = true
		case err != nil:
			return v, err
		}
	}
}

// look looks whether waiting is over.
func (o *operation) look(l *Ledger, s *Stack, id string, w cfn.Wait, to goal, begun time.Time, late bool) (verdict, error) {
	bounded := s.Until != nil && o.Kind == CreateStack && s.Status == CreateInProgress
	if w.Stack != "" {
		if !bounded || s.Stop {
			return o.nested(l, s, w, to, false)
		}
		left := s.Until.Sub(l.Now)
		v, err := o.nested(l, s, w, to, late || left <= 0)
		v.Left = max(left, 0)
		return v, err
	}
	if w.Answer != "" {
		return o.answered(l, s, w, begun, late)
	}
	t, err := countSignals(l.Tx, s, waitSource(id, w))
	until := begun.Add(w.Timeout)
	whole := s.Until != nil && s.Until.Before(until) && o.Kind == CreateStack
	if whole {
		until = *s.Until
	}
	left := until.Sub(l.Now)
	v := judge(w, t, s.Stop, o.Kind == CreateStack, late || left <= 0, left)
	if v.Late && whole {
		v.Failure = s.timedOut()
	}
	return v, err
}

// judge decides from what has come whether a resource still waits.
func judge(w cfn.Wait, t tally, stopped, creating, late bool, left time.Duration) verdict {
	own := w.Source == ""
	switch {
	case t.Failures > 0 && own:
		return verdict{Over: true, Failure: fmt.Sprintf("Received %d FAILURE signal(s) out of %d. Unable to satisfy 100%% MinSuccessfulInstancesPercent requirement", t.Failures, w.Count)}
	case t.Failures > 0:
		return verdict{Over: true, Failure: fmt.Sprintf("WaitCondition received failed message: '%s' for uniqueId: %s", t.First.Reason, t.First.UniqueID)}
	case t.Successes >= w.Count && own:
		return verdict{Over: true}
	case t.Successes >= w.Count:
		return verdict{Over: true, Data: t.Data}
	case stopped && creating:
		return verdict{Over: true, Failure: creationCancelled}
	case stopped:
		return verdict{Over: true, Failure: updateCancelled}
	case late && own:
		return verdict{Over: true, Late: true, Failure: fmt.Sprintf("Failed to receive %d resource signal(s) within the specified duration", w.Count-t.Successes)}
	case late:
		return verdict{Over: true, Late: true, Failure: fmt.Sprintf("WaitCondition timed out. Received %d conditions when expecting %d", t.Successes, w.Count)}
	}
	return verdict{Left: left}
}
