package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// Rollback is what a version is rolled back by ("RollbackConfiguration").
type Rollback struct {
	Triggers []Trigger `json:",omitempty"`
	Minutes  int32     `json:",omitempty"` // of monitoring, once all resources are there
}

// Trigger is an alarm that rolls an operation back.
type Trigger struct {
	ARN  string
	Type string
}

// Alarm is the state of an alarm.
type Alarm struct {
	There bool
	On    bool // in ALARM
}

// watch is an operation whose triggers are watched while it runs.
type watch struct{ Operation string }

// watches are keyed by the stack's key. The watching itself removes what is over.
var watches = store.NewCollection[watch]("cloudformation/watch")

// WatchPrefix begins the keys that change when an operation is to be watched.
func WatchPrefix() string { return watches.Prefix() }

// triggered reports whether the operation of a stack is one that triggers end.
func (op *Operation) triggered() bool {
	return (op.Kind == CreateStack || op.Kind == UpdateStack) && len(op.New.Rollback.Triggers) > 0
}

// fired says why the triggers end the operation; "" where they do not. A trigger
// that cannot be looked at ends it, too: nobody would know when it fires.
func (r *Runner) fired(ctx context.Context, op *Operation) (string, error) {
	for _, t := range op.New.Rollback.Triggers {
		a, err := r.cfg.Alarm(ctx, t)
		if f, final := fault.As(err); final {
			return fmt.Sprintf("The rollback trigger %s cannot be monitored: %s. ", t.ARN, strings.TrimSuffix(f.Message, ".")), nil
		}
		switch {
		case err != nil:
			return "", err
		case !a.There:
			return fmt.Sprintf("The rollback trigger %s does not exist. ", t.ARN), nil
		case a.On:
			return fmt.Sprintf("The rollback trigger %s is in ALARM state. ", t.ARN), nil
		}
	}
	return "", nil
}

// stops ends an operation because of its triggers: it begins nothing more.
func (r *Runner) stops(tx store.Tx, s *Stack, reason string) error {
	s.Stop, s.Failure = true, reason
	if err := Stacks.Put(tx, s.Key(), s); err != nil {
		return err
	}
	return r.wakeAll(tx, s)
}

// triggers looks at the triggers, as a step.
func (o *operation) triggers(f *workflow.Flow, name string, s *Stack) error {
	if !o.triggered() {
		return nil
	}
	reason, err := workflow.Step(f, name, func(ctx context.Context, _ string) (string, error) {
		return o.r.fired(o.callContext(ctx, s, ""), o.Operation)
	})
	if err != nil || reason == "" {
		return err
	}
	_, err = tx(o, f, name+" fired", func(l *Ledger, s *Stack) (bool, error) {
		if s.Stop {
			return false, nil
		}
		return true, o.r.stops(l.Tx, s, reason)
	})
	return err
}

// monitored is apply between looks at the triggers, with the time of monitoring
// behind it.
func (o *operation) monitored(f *workflow.Flow, s *Stack) error {
	if err := o.triggers(f, "triggers before", s); err != nil {
		return err
	}
	if err := o.apply(f); err != nil {
		return err
	}
	if err := o.monitor(f); err != nil {
		return err
	}
	return o.triggers(f, "triggers after", s)
}

// monitoring is who waits while a stack is monitored: no resource has the name.
const monitoring = "*monitoring"

// monitor lets the time of monitoring pass, unless something has stopped the
// operation, or does.
func (o *operation) monitor(f *workflow.Flow) error {
	if o.New.Rollback.Minutes == 0 {
		return nil
	}
	begun, err := tx(o, f, "monitor", func(l *Ledger, s *Stack) (time.Time, error) {
		return l.Now, waiters.Put(l.Tx, sourceKey(s, monitoring), &waiter{LogicalID: monitoring, Operation: o.ID})
	})
	if err != nil {
		return err
	}
	whole := time.Duration(float64(o.New.Rollback.Minutes) * float64(time.Minute) * o.r.cfg.WaitScale)
	late := false
	for i := 0; ; i++ {
		left, err := tx(o, f, fmt.Sprintf("monitor %d", i), func(l *Ledger, s *Stack) (time.Duration, error) {
			left := begun.Add(whole).Sub(l.Now)
			if !late && !s.Stop && left > 0 {
				return left, nil
			}
			return 0, waiters.Delete(l.Tx, sourceKey(s, monitoring))
		})
		if err != nil || left == 0 {
			return err
		}
		_, err = workflow.Await[struct{}](f, nudgeOf(monitoring), left)
		if late = errors.Is(err, workflow.ErrTimeout); err != nil && !late {
			return err
		}
	}
}

// WatchTriggers looks at the triggers of all operations under way, stops those
// that have fired, and tells how many are to be looked at again.
func (r *Runner) WatchTriggers(ctx context.Context) (left int, err error) {
	var all []*operation
	var over []store.Entry[watch]
	stacks := map[*operation]*Stack{}
	err = r.cfg.Store.View(ctx, func(tx store.Tx) error {
		all, over = nil, nil
		for e, err := range watches.Scan(tx, "") {
			if err != nil {
				return err
			}
			s, op, err := watched(tx, e)
			if err != nil {
				return err
			}
			if op == nil {
				over = append(over, e)
				continue
			}
			o := &operation{Operation: op, r: r}
			stacks[o] = s
			all = append(all, o)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, e := range over {
		if err := r.unwatch(ctx, e); err != nil {
			return 0, err
		}
	}
	for _, o := range all {
		reason, e := r.fired(o.callContext(ctx, stacks[o], ""), o.Operation)
		switch {
		case e != nil:
			err = errors.Join(err, e) // the others are looked at all the same
		case reason == "":
			left++
		default:
			err = errors.Join(err, r.stopWatched(ctx, o.Operation, reason))
		}
	}
	return left, err
}

// watched is the stack and the operation of a watch; nil where it is over.
func watched(tx store.Tx, e store.Entry[watch]) (*Stack, *Operation, error) {
	s, err := found(Stacks.Get(tx, e.Key))
	if err != nil || s == nil || s.Operation != e.Value.Operation || s.Stop || s.Status != CreateInProgress && s.Status != UpdateInProgress {
		return nil, nil, err
	}
	op, err := found(Operations.Get(tx, operationKey(s, s.Operation)))
	return s, op, err
}

func (r *Runner) unwatch(ctx context.Context, e store.Entry[watch]) error {
	return r.cfg.Store.Update(ctx, func(tx store.Tx) error {
		now, err := found(watches.Get(tx, e.Key))
		if err != nil || now == nil || now.Operation != e.Value.Operation {
			return err // a later operation is watched
		}
		return watches.Delete(tx, e.Key)
	})
}

func (r *Runner) stopWatched(ctx context.Context, op *Operation, reason string) error {
	return r.cfg.Store.Update(ctx, func(tx store.Tx) error {
		s, still, err := watched(tx, store.Entry[watch]{Key: op.StackKey, Value: &watch{op.ID}})
		if err != nil || still == nil {
			return err
		}
		return r.stops(tx, s, reason)
	})
}
