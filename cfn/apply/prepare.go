package apply

import (
	"fmt"
	"strings"

	"github.com/slipway/slipway/arn"
)

// Prepare gives a stack the first status of an operation whose plan is not made yet,
// and the id of the workflow, which the caller begins in the same transaction, that
// makes it. The workflow ends the preparation by Begin, Abandon or Unchanged.
func (r *Runner) Prepare(l *Ledger, s *Stack, status, reason string) (workflow string, err error) {
	last, err := LastOperation(l.Tx, s)
	if err != nil {
		return "", err
	}
	if last != nil {
		if err := Operations.Delete(l.Tx, operationKey(s, s.Last)); err != nil {
			return "", err
		}
	}
	s.Count++
	id := "cloudformation/" + s.Key() + "/" + arn.UUIDFrom(fmt.Sprintf("%s/%d", s.ID, s.Count))
	from := s.Status
	s.begin(id, "")
	s.PreparedFrom = from
	if last != nil && from == UpdateFailed {
		// That update's rollback is this one's, too: whoever asks finds it as before.
		if err := Operations.Put(l.Tx, operationKey(s, id), last); err != nil {
			return "", err
		}
	}
	return id, l.Stack(s, status, reason)
}

// Unchanged ends the preparation of an update of a stack that is what it should become.
func (r *Runner) Unchanged(l *Ledger, s *Stack, reason string) error {
	s.PreparedFrom = ""
	return (&operation{r: r}).end(l, s, UpdateComplete, reason)
}

// Abandon ends the preparation of an operation that cannot begin. Nothing of the stack has been
// changed, so there is nothing to undo; its statuses are those of a rollback.
func (r *Runner) Abandon(l *Ledger, s *Stack, reason string) error {
	o := &operation{r: r}
	s.Stop, s.Failure = true, reason
	back := s.PreparedFrom == UpdateFailed
	s.PreparedFrom = ""
	switch {
	case s.Status == DeleteInProgress: // the user gave it up meanwhile
		return o.gone(l, s, DeleteComplete)
	case s.Status == UpdateInProgress && (s.DisableRollback && !s.Cancel || back):
		return o.end(l, s, UpdateFailed, reason)
	case s.Status == UpdateInProgress:
		if s.Cancel {
			reason = UserInitiated
		}
		for _, status := range []string{UpdateRollbackInProgress, UpdateRollbackCleanup} {
			if err := l.Stack(s, status, reason); err != nil {
				return err
			}
			reason = ""
		}
		return o.end(l, s, UpdateRollbackComplete, "")
	case s.OnFailure == "DO_NOTHING" || s.DisableRollback:
		return o.end(l, s, CreateFailed, reason)
	case s.OnFailure == "DELETE":
		if err := l.Stack(s, DeleteInProgress, ended(reason)+deletionRequested); err != nil {
			return err
		}
		return o.gone(l, s, DeleteComplete)
	}
	if err := l.Stack(s, RollbackInProgress, ended(reason)+rollbackRequested); err != nil {
		return err
	}
	return o.gone(l, s, RollbackComplete)
}

// ended is a reason with AWS's full stop, which comes whether there is one or not,
// but for those that macros give.
func ended(reason string) string {
	if strings.HasPrefix(reason, "Transform ") && strings.Contains(reason, " failed with: ") {
		return strings.TrimSuffix(reason, ".") + "."
	}
	return reason + "."
}
