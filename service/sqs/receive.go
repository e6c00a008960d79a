package sqs

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// maxScanned bounds what one receive looks at: messages that have expired or
// that move to a dead-letter queue count, too.
const maxScanned = 200

// ReceiveMessage takes up to ten messages out of sight. With a wait time it
// waits until there is one: a change to the queue wakes it, or the moment when
// the next message becomes visible.
func (s *Service) ReceiveMessage(ctx context.Context, in *api.ReceiveMessageInput) (*api.ReceiveMessageOutput, error) {
	limit, err := checkReceive(in)
	if err != nil {
		return nil, err
	}
	p, err := placeOf(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	var wait time.Duration
	var changed <-chan struct{}
	for first := true; ; first = false {
		r := receipt{in: in, place: p, who: caller(ctx), limit: limit, now: s.now()}
		if err := s.receive(ctx, &r); err != nil {
			return nil, err
		}
		if first {
			wait = time.Duration(r.wait) * time.Second
		}
		left := wait - time.Since(begun)
		if len(r.messages) > 0 || left <= 0 {
			return &api.ReceiveMessageOutput{Messages: r.messages}, nil
		}
		if changed == nil {
			watch, stop := context.WithCancel(ctx)
			defer stop()
			changed = s.store.Watch(watch, r.order)
			continue // what came before the watch began is not told
		}
		if r.next > 0 {
			left = min(left, time.Duration(r.next-r.now.UnixMilli())*time.Millisecond)
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		case <-s.draining:
			wait = 0 // one last look
		case <-ctx.Done():
		}
		timer.Stop()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

func checkReceive(in *api.ReceiveMessageInput) (limit int, err error) {
	limit = 1
	if n := in.MaxNumberOfMessages; n != nil {
		if limit = int(*n); limit < 1 || limit > 10 {
			return 0, invalidValue("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", limit)
		}
	}
	if n := in.WaitTimeSeconds; n != nil && (*n < 0 || *n > 20) {
		return 0, invalidValue("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", *n)
	}
	if n := in.VisibilityTimeout; n != nil && (*n < 0 || *n > maxVisibility) {
		return 0, invalidValue("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= %d, if provided.", *n, maxVisibility)
	}
	if id := in.ReceiveRequestAttemptId; id != "" && !groupForm().MatchString(id) {
		return 0, badToken128("ReceiveRequestAttemptId", id)
	}
	for _, name := range slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames) {
		if !slices.Contains(systemNames, name) {
			return 0, fault.New(fault.InvalidAttributeName, "Unknown Attribute %s.", name)
		}
	}
	return limit, nil
}

var systemNames = []string{
	api.MessageSystemAttributeNameAll, api.MessageSystemAttributeNameSenderId, api.MessageSystemAttributeNameSentTimestamp,
	api.MessageSystemAttributeNameApproximateReceiveCount, api.MessageSystemAttributeNameApproximateFirstReceiveTimestamp,
	api.MessageSystemAttributeNameSequenceNumber, api.MessageSystemAttributeNameMessageDeduplicationId,
	api.MessageSystemAttributeNameMessageGroupId, api.MessageSystemAttributeNameAWSTraceHeader,
	api.MessageSystemAttributeNameDeadLetterQueueSourceArn,
}

// receipt is one try to receive.
type receipt struct {
	in    *api.ReceiveMessageInput
	place place
	who   string // whose data keys open the messages
	limit int
	now   time.Time

	messages []api.Message
	taken    []attempted // the same messages
	order    string      // of the queue
	scanned  int
	room     int   // how many of them at most
	wait     int   // seconds
	next     int64 // when the next message becomes visible, Unix milliseconds, or 0
}

// visibility is how long the messages stay out of sight, in seconds.
func (r *receipt) visibility(q *queue) int {
	if r.in.VisibilityTimeout != nil {
		return int(*r.in.VisibilityTimeout)
	}
	return q.Attributes.Visibility
}

// order is where the queue keeps what can be received when.
func (q *queue) order() string {
	if q.Attributes.Fifo {
		return root(q.Data) + "h/"
	}
	return root(q.Data) + "m/"
}

// receive looks first, so that an empty queue costs no write.
func (s *Service) receive(ctx context.Context, r *receipt) error {
	if !s.dry.has(r.place) && r.in.ReceiveRequestAttemptId == "" {
		// The last receive found messages: so will this one, most likely.
		if err := s.takeFrom(ctx, r); err != nil || len(r.messages) > 0 {
			return err
		}
		s.dry.set(r.place, true)
	}
	ready := false
	err := s.store.View(ctx, func(tx store.Tx) error {
		q, err := lookup(ctx, tx, r.place)
		if err != nil {
			return err
		}
		r.order, r.wait, r.next = q.order(), q.Attributes.Wait, 0
		if r.in.WaitTimeSeconds != nil {
			r.wait = int(*r.in.WaitTimeSeconds)
		}
		if id := r.in.ReceiveRequestAttemptId; id != "" {
			if !q.Attributes.Fifo {
				return notThisType("ReceiveRequestAttemptId", id)
			}
			ready = true // what it received is in flight
			return nil
		}
		for doc, err := range tx.Scan(r.order, store.PrefixEnd(r.order)) {
			if err != nil {
				return err
			}
			at, _ := splitVisible(r.order, doc.Key)
			ready = at <= r.now.UnixMilli()
			if !ready {
				r.next = at
			}
			break
		}
		return nil
	})
	if err != nil || !ready {
		return err
	}
	err = s.takeFrom(ctx, r)
	s.dry.set(r.place, len(r.messages) == 0)
	return err
}

// takeFrom receives in one transaction.
func (s *Service) takeFrom(ctx context.Context, r *receipt) error {
	return s.withDataKeys(ctx, func() error {
		return s.store.Update(ctx, func(tx store.Tx) error {
			r.messages, r.taken, r.scanned = nil, nil, 0
			q, err := lookup(ctx, tx, r.place)
			if err != nil {
				return err
			}
			if r.in.ReceiveRequestAttemptId != "" {
				if done, err := s.again(tx, q, r); err != nil || done {
					return err
				}
			}
			return s.take(tx, q, r)
		})
	})
}

// splitVisible reads the key of an m/ or h/ entry.
func splitVisible(order, key string) (at int64, id string) {
	when, id, _ := strings.Cut(strings.TrimPrefix(key, order), "/")
	at, _ = strconv.ParseInt(when, 10, 64) // the key is ours
	return at, id
}

// take receives what is visible, in order.
func (s *Service) take(tx store.Tx, q *queue, r *receipt) error {
	room, err := s.room(tx, q, r.now)
	if err != nil {
		return err
	}
	switch r.room = min(r.limit, room); {
	case q.Attributes.Fifo:
		err = s.takeGroups(tx, q, r)
	case room < 1: // a FIFO queue gives none without an error, as documented
		err = s.refuseMore(tx, q, r)
	default:
		err = s.takeLine(tx, q, r)
	}
	if err != nil {
		return err
	}
	return r.keep(tx, q)
}

// refuseMore fails where there is a message that could be received.
func (s *Service) refuseMore(tx store.Tx, q *queue, r *receipt) error {
	for _, err := range tx.Scan(q.order(), q.order()+visibleAt(r.now.UnixMilli()+1)) {
		if err == nil {
			err = fault.New(fault.OverLimit, "Maximum number of in flight messages: %d has been reached.", s.maxInFlight)
		}
		return err
	}
	return nil
}

// takeGroups receives from one group of a FIFO queue after another.
func (s *Service) takeGroups(tx store.Tx, q *queue, r *receipt) error {
	// With a visibility timeout of 0 a message taken is met again.
	done := map[string]bool{}
	order := q.order()
	for doc, err := range tx.Scan(order, order+visibleAt(r.now.UnixMilli()+1)) {
		if err != nil {
			return err
		}
		if r.full() {
			break
		}
		m, err := met(tx, q, doc)
		if err != nil {
			return err
		}
		if m.st == nil || done[m.st.Group] {
			continue
		}
		done[m.st.Group] = true
		if err := s.takeGroup(tx, q, r, m); err != nil {
			return err
		}
	}
	return nil
}

// full ends a receive: it has enough, or has looked at enough.
func (r *receipt) full() bool { return len(r.messages) >= r.room || r.scanned >= maxScanned }

// takeGroup receives a group's messages from the first one on, up to one that
// is not visible.
func (s *Service) takeGroup(tx store.Tx, q *queue, r *receipt, m message) error {
	from := groupRoot(q.Data, m.st.Group)
	if err := s.takeOne(tx, q, r, m.id, m.st); err != nil || r.full() {
		return err
	}
	for doc, err := range tx.Scan(from+m.id+"\x00", store.PrefixEnd(from)) {
		if err != nil {
			return err
		}
		id := strings.TrimPrefix(doc.Key, from)
		st, err := getState(tx, q, id, 0)
		if err != nil || st == nil || st.Visible > r.now.UnixMilli() {
			return err
		}
		if err := s.takeOne(tx, q, r, id, st); err != nil || r.full() {
			return err
		}
	}
	return nil
}

// takeOne receives a message, unless its time here is over.
func (s *Service) takeOne(tx store.Tx, q *queue, r *receipt, id string, st *state) error {
	r.scanned++
	if q.expired(st, r.now) {
		return remove(tx, q, id, st, r.now)
	}
	if moved, err := s.giveUp(tx, q, r.place, id, st, r.now); err != nil || moved {
		return err
	}
	now := r.now.UnixMilli()
	next := *st
	next.Receives++
	if next.First == 0 {
		next.First = now
	}
	next.Visible = now + int64(r.visibility(q))*1000
	if err := change(tx, q, id, st, &next, r.now); err != nil {
		return err
	}
	return s.show(tx, q, r, id, &next)
}

// show adds a message to the answer.
func (s *Service) show(tx store.Tx, q *queue, r *receipt, id string, st *state) error {
	c, err := s.open(tx, q.Data, id, r.who, st)
	if err != nil {
		return err
	}
	m := api.Message{
		MessageId: st.MessageID, ReceiptHandle: q.handle(id, st).String(), Body: c.Body, MD5OfBody: md5Hex(c.Body),
		Attributes: systemAttributes(r.in, c, st),
	}
	var shown map[string]attributeValue
	for name, v := range c.Attributes {
		if selected(r.in.MessageAttributeNames, name) {
			if shown == nil {
				shown = map[string]attributeValue{}
			}
			shown[name] = v
		}
	}
	if len(shown) > 0 {
		m.MD5OfMessageAttributes = md5Attributes(shown)
		m.MessageAttributes = map[string]api.MessageAttributeValue{}
		for name, v := range shown {
			m.MessageAttributes[name] = v.api()
		}
	}
	r.messages = append(r.messages, m)
	r.taken = append(r.taken, attempted{id, st.Receives, st.Visible})
	return nil
}

// giveUp moves a message that was received too often to the dead-letter queue,
// as it is; a standard queue's with its age.
func (s *Service) giveUp(tx store.Tx, q *queue, from place, id string, st *state, now time.Time) (bool, error) {
	r := q.Attributes.Redrive
	if r == nil || st.Receives < r.Max {
		return false, nil
	}
	target, err := targetOf(r.Target)
	if err != nil {
		return false, err
	}
	dead, err := find(tx, target)
	if fault.Is(err, fault.QueueDoesNotExist) {
		return false, nil // gone since: the message stays here
	}
	if err != nil || !dead.Attributes.allows(from.arn()) || dead.Data == q.Data {
		return false, err
	}
	next := *st
	next.Visible, next.Source = now.UnixMilli(), from.arn()
	if dead.Attributes.Fifo {
		next.Sent = now.UnixMilli()
	}
	return true, s.transfer(tx, q, dead, id, st, &next, now)
}

// transfer moves a message to another queue with a new state.
func (s *Service) transfer(tx store.Tx, q, to *queue, id string, st, next *state, now time.Time) error {
	lifted, err := s.lift(tx, q.Data, id, st)
	if err != nil {
		return err
	}
	if err := remove(tx, q, id, st, now); err != nil {
		return err
	}
	if next.Sent != st.Sent { // a new age
		if id, err = newPlaceInLine(tx, to, next, now, 0); err != nil {
			return err
		}
	}
	k, err := lifted(id)
	if err != nil {
		return err
	}
	return lay(tx, to, id, k, next, now)
}

func systemAttributes(in *api.ReceiveMessageInput, c content, st *state) map[string]string {
	if len(in.AttributeNames)+len(in.MessageSystemAttributeNames) == 0 {
		return nil
	}
	asked := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	out := map[string]string{}
	for name, value := range map[string]string{
		api.MessageSystemAttributeNameSenderId:                         c.Sender,
		api.MessageSystemAttributeNameSentTimestamp:                    strconv.FormatInt(st.Sent, 10),
		api.MessageSystemAttributeNameApproximateReceiveCount:          strconv.Itoa(st.Receives),
		api.MessageSystemAttributeNameApproximateFirstReceiveTimestamp: strconv.FormatInt(st.First, 10),
		api.MessageSystemAttributeNameAWSTraceHeader:                   c.Trace,
		api.MessageSystemAttributeNameMessageGroupId:                   c.Group,
		api.MessageSystemAttributeNameDeadLetterQueueSourceArn:         st.Source,
		api.MessageSystemAttributeNameMessageDeduplicationId:           c.Deduplication,
		api.MessageSystemAttributeNameSequenceNumber:                   sequenceText(st.Sequence),
	} {
		if value != "" && (slices.Contains(asked, name) || slices.Contains(asked, api.MessageSystemAttributeNameAll)) {
			out[name] = value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// selected says whether a message attribute was asked for: by name, by prefix
// ("bar.*"), or with all.
func selected(asked []string, name string) bool {
	return slices.ContainsFunc(asked, func(a string) bool {
		prefix, wild := strings.CutSuffix(a, "*")
		return a == name || a == "All" || wild && (prefix == "." || prefix != "" && strings.HasPrefix(name, prefix))
	})
}
