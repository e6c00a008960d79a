package apply

import (
	"errors"
	"fmt"
	"strings"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// brokenOff is the end of an operation that cannot go on, by the status in which
// it stood. What is obsolete or new, and only has to be removed, is no reason to
// call a version missed that was reached.
var brokenOff = map[string]string{
	CreateInProgress:         CreateFailed,
	RollbackInProgress:       RollbackFailed,
	DeleteInProgress:         DeleteFailed,
	UpdateInProgress:         UpdateFailed,
	UpdateCleanup:            UpdateComplete,
	UpdateRollbackInProgress: UpdateRollbackFailed,
	UpdateRollbackCleanup:    UpdateRollbackComplete,
}

// run is the workflow. One that fails for good, because this build lacks what
// the operation was begun with, say, leaves no stack in progress for ever: the
// user can delete it, update it or continue its rollback.
func (r *Runner) run(f *workflow.Flow, p params) error {
	err := r.operate(f, p)
	if err == nil || errors.Is(err, workflow.ErrInterrupted) || f.Context().Err() != nil {
		return err
	}
	_, txErr := workflow.Tx(f, "broken off", func(tx store.Tx) (bool, error) {
		s, err := found(Stacks.Get(tx, p.StackKey))
		if err != nil || s == nil || s.Operation != p.Operation {
			return false, err
		}
		return true, r.breakOff(&Ledger{Tx: tx, Now: r.cfg.Now()}, s)
	})
	return errors.Join(err, txErr)
}

// breakOff ends the stack's operation where it stands. Every physical resource
// that is known stays in the records, so that a deletion finds it.
func (r *Runner) breakOff(l *Ledger, s *Stack) error {
	all, err := ResourcesOf(l.Tx, s)
	if err != nil {
		return err
	}
	const reason = "The operation was broken off by an internal error; Slipway's log has its text"
	for _, id := range sortedKeys(all) {
		res := all[id]
		failed, ok := res.brokenOff()
		if !ok {
			continue
		}
		s.Failed = append(s.Failed, id)
		if err := l.resource(s, res, failed, reason); err != nil {
			return err
		}
	}
	if err := deleteUnder(l.Tx, waiters, s.Key()+"/", ""); err != nil {
		return err
	}
	if s.Status == ImportInProgress || s.Status == ImportRollbackInProgress {
		return r.takeOut(l, s) // that needs the records alone
	}
	status, ok := brokenOff[s.Status]
	if !ok {
		return fmt.Errorf("apply: stack %s is %s and has an operation", s.ID, s.Status)
	}
	if status == UpdateComplete || status == UpdateRollbackComplete {
		s.Before = nil
	}
	s.Stop, s.Operation = true, ""
	if err := l.Stack(s, status, reason); err != nil {
		return err
	}
	return r.tellParent(l.Tx, s)
}

// brokenOff gives a resource in progress the status of one whose action failed,
// and keeps what its action has made.
func (r *Resource) brokenOff() (status string, ok bool) {
	verb, ok := strings.CutSuffix(r.Status, "_IN_PROGRESS")
	if !ok {
		return "", false
	}
	switch {
	case r.Status == ImportInProgress:
		r.PhysicalID = "" // nobody has looked whether it is there
	case r.Pending == "" || r.Pending == r.PhysicalID:
	case r.Status == CreateInProgress:
		r.PhysicalID = r.Pending
	default:
		made := r.Resource
		made.PhysicalID = r.Pending
		r.Old = append(r.Old, made)
	}
	r.Pending = ""
	return verb + "_FAILED", true
}
