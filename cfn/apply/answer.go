package apply

import (
	"fmt"
	"time"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/store"
)

// Answer is what a custom resource's provider was asked for, and what it has
// answered. It is there while somebody waits for it.
type Answer struct {
	StackID    string
	LogicalID  string
	PhysicalID string // as it was asked about or, once the answer has come, as it is
	Secret     string // in the URL to which the answer is put
	Until      time.Time
	Come       bool
	Failure    string
	Attributes cfn.Properties `json:",omitempty"` // sealed where the provider says so
}

// Answers are keyed by the stack's key and the request's id.
var Answers = store.NewCollection[Answer]("cloudformation/answer")

func answerSource(requestID string) string { return "answer." + requestID }

// AnswerKey is the key of the answer to a request of a stack's.
func AnswerKey(stackKey, requestID string) string { return stackKey + "/" + requestID }

func forgetAnswer(tx store.Tx, s *Stack, w cfn.Wait) error {
	if w.Answer == "" {
		return nil
	}
	return Answers.Delete(tx, AnswerKey(s.Key(), w.Answer))
}

// Answer keeps a provider's answer and wakes who waits for it.
func (r *Runner) Answer(l *Ledger, stackKey, requestID string, a *Answer) error {
	a.Come = true
	if err := Answers.Put(l.Tx, AnswerKey(stackKey, requestID), a); err != nil {
		return err
	}
	w, err := found(waiters.Get(l.Tx, stackKey+"/"+answerSource(requestID)+"/"))
	if err != nil || w == nil {
		return err
	}
	return r.nudge(l.Tx, w)
}

// reasonReplacedByProvider is what events say when a provider's answer names
// another physical resource.
const reasonReplacedByProvider = "Requested update required the provider to create a new physical resource"

// noAnswer words that the time for an answer is over.
func noAnswer(requestID string) string {
	return fmt.Sprintf("CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [%s]. "+
		"If you are using the Python cfn-response module, you may need to update your Lambda function code so that CloudFormation can attach the updated version.", requestID)
}

// answered looks whether a provider has answered.
func (o *operation) answered(l *Ledger, s *Stack, w cfn.Wait, begun time.Time, late bool) (verdict, error) {
	a, err := found(Answers.Get(l.Tx, AnswerKey(s.Key(), w.Answer)))
	if err != nil {
		return verdict{}, err
	}
	until := begun.Add(w.Timeout)
	whole := s.Until != nil && s.Until.Before(until) && o.Kind == CreateStack && s.Status == CreateInProgress
	if whole {
		until = *s.Until
	}
	left := until.Sub(l.Now)
	v := verdict{Over: true}
	if a != nil {
		v.PhysicalID = a.PhysicalID
	}
	switch {
	case a != nil && a.Come:
		v.Failure, v.Attributes = a.Failure, a.Attributes
		if v.Attributes == nil {
			v.Attributes = cfn.Properties{}
		}
	case s.Stop && o.Kind == CreateStack:
		v.Failure = creationCancelled
	case s.Stop:
		v.Failure = updateCancelled
	case late || left <= 0:
		if v.Late, v.Failure = true, noAnswer(w.Answer); whole {
			v.Failure = s.timedOut()
		}
	default:
		return verdict{Left: left}, nil
	}
	return v, nil
}

// answeredFor tells the physical id that the answer of a provider has brought.
func (o *operation) answeredFor(l *Ledger, s *Stack, r *Resource, b begun, out acted) error {
	if out.Wait == nil || out.Wait.Answer == "" {
		return nil
	}
	r.Pending = out.PhysicalID
	switch {
	case b.Action != plan.Update:
		return l.resource(s, r, r.Status, creationInitiated)
	case out.PhysicalID != b.Prior.PhysicalID:
		return l.resource(s, r, r.Status, reasonReplacedByProvider)
	}
	return nil
}
