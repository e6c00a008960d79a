package apply

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// Event is one entry of a stack's history.
type Event struct {
	ID         string
	StackID    string
	StackName  string
	LogicalID  string
	PhysicalID string
	Type       string
	Status     string
	Reason     string
	Properties string // JSON, NoEcho values masked
	Time       time.Time
	Request    string     // ClientRequestToken
	Operation  string     // id of the operation
	Hook       *HookEvent `json:",omitempty"` // of an event of a hook
}

// Events are keyed by the stack's key and a number that falls, so the newest
// comes first.
var Events = store.NewCollection[Event]("cloudformation/event")

// Ledger writes records and the events that tell of them, in one transaction.
// There is one Ledger in a transaction.
type Ledger struct {
	Tx  store.Tx
	Now time.Time
	n   int
}

func (l *Ledger) event(s *Stack, e Event) error {
	l.n++
	e.StackID, e.StackName, e.Time = s.ID, s.Name, l.Now
	e.Request, e.Operation = s.Request, s.Last
	if e.ID == "" {
		// AWS's form, with the store's revision so that no two are the same.
		e.ID = fmt.Sprintf("%s-%s-%s-%x.%d", e.LogicalID, e.Status, l.Now.UTC().Format("2006-01-02T15:04:05.000Z"), l.Tx.Revision(), l.n)
	}
	key := fmt.Sprintf("%s/%016x%04x", s.Key(), math.MaxInt64-l.Tx.Revision(), math.MaxUint16-l.n)
	return errors.Join(Events.Put(l.Tx, key, &e), l.notice(s, &e))
}

// Stack gives the stack a status, keeps it and tells of it.
func (l *Ledger) Stack(s *Stack, status, reason string) error {
	s.Status, s.Reason = status, reason
	if err := Stacks.Put(l.Tx, s.Key(), s); err != nil {
		return err
	}
	return l.event(s, Event{ID: arn.NewUUID(), LogicalID: s.Name, PhysicalID: s.ID, Type: StackType, Status: status, Reason: reason})
}

// Say adds an event about the stack without changing its status.
func (l *Ledger) Say(s *Stack, reason string) error {
	return l.event(s, Event{ID: arn.NewUUID(), LogicalID: s.Name, PhysicalID: s.ID, Type: StackType, Status: s.Status, Reason: reason})
}

// resource gives a resource a status, keeps it and tells of it.
func (l *Ledger) resource(s *Stack, r *Resource, status, reason string) error {
	physical := r.PhysicalID
	if r.Pending != "" {
		physical = r.Pending
	}
	return l.resourceBy(s, r, Event{LogicalID: r.LogicalID, PhysicalID: physical, Type: r.Type, Status: status, Reason: reason, Properties: r.Shown})
}

// cleaned tells of a physical resource that an update's clean-up removes: AWS's
// events of it have random ids and no properties.
func cleaned(v victim, status, reason string) Event {
	return Event{ID: v.LogicalID + "-" + arn.NewUUID(), LogicalID: v.LogicalID, PhysicalID: v.PhysicalID, Type: v.Type, Status: status, Reason: reason}
}

// resourceBy gives a resource the status of an event, keeps it and tells so.
func (l *Ledger) resourceBy(s *Stack, r *Resource, e Event) error {
	r.StackID, r.StackName = s.ID, s.Name
	r.Status, r.Reason, r.Time = e.Status, e.Reason, l.Now
	if err := Resources.Put(l.Tx, resourceKey(s, r.LogicalID), r); err != nil {
		return err
	}
	return l.event(s, e)
}

// found turns "no such document" into nil.
func found[T any](v *T, err error) (*T, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return v, err
}
