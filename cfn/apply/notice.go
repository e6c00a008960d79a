package apply

import (
	"fmt"

	"github.com/slipway/slipway/store"
)

// Notice is an event that is to be published to the stack's topics. It is committed
// with the event, and goes once it is published.
type Notice struct {
	Event  Event
	Topics []string // ARNs
	Region string   // of the stack
	By     Caller
}

// Notices are keyed by the stack's key and a number that grows.
var Notices = store.NewCollection[Notice]("cloudformation/notice")

// notice keeps what is to be published of an event.
func (l *Ledger) notice(s *Stack, e *Event) error {
	if len(s.Version.Notify) == 0 || s.Notifier == nil {
		return nil
	}
	key := fmt.Sprintf("%s/%016x%04x", s.Key(), l.Tx.Revision(), l.n)
	return Notices.Put(l.Tx, key, &Notice{Event: *e, Topics: s.Version.Notify, Region: s.Scope.Region, By: *s.Notifier})
}

// NotifyAs says as whom the stack's events are published from now on.
func (s *Stack) NotifyAs(c Caller) {
	s.Notifier = nil
	if len(s.Version.Notify) > 0 || s.Before != nil && len(s.Before.Notify) > 0 {
		s.Notifier = &c
	}
}
