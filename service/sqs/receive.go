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
		r := receipt{in: in, place: p, limit: limit, now: s.now()}
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
			changed = s.store.Watch(watch, root(r.data)+"v/")
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
	if in.ReceiveRequestAttemptId != "" {
		return 0, invalidValue("Value %s for parameter ReceiveRequestAttemptId is invalid. Reason: The request includes a parameter that is not valid for this queue type.", in.ReceiveRequestAttemptId)
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
	limit int
	now   time.Time

	messages []api.Message
	data     string
	wait     int   // seconds
	next     int64 // when the next message becomes visible, Unix milliseconds, or 0
}

// receive looks first, so that an empty queue costs no write.
func (s *Service) receive(ctx context.Context, r *receipt) error {
	ready := false
	err := s.store.View(ctx, func(tx store.Tx) error {
		q, err := lookup(ctx, tx, r.place)
		if err != nil {
			return err
		}
		r.data, r.wait, r.next = q.Data, q.Attributes.Wait, 0
		if r.in.WaitTimeSeconds != nil {
			r.wait = int(*r.in.WaitTimeSeconds)
		}
		from := root(q.Data) + "v/"
		for doc, err := range tx.Scan(from, store.PrefixEnd(from)) {
			if err != nil {
				return err
			}
			at, _ := splitVisible(q.Data, doc.Key)
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
	return s.store.Update(ctx, func(tx store.Tx) error {
		r.messages = nil
		q, err := lookup(ctx, tx, r.place)
		if err != nil {
			return err
		}
		return s.take(tx, q, r)
	})
}

// splitVisible reads the key of a v/ entry.
func splitVisible(data, key string) (at int64, id string) {
	when, id, _ := strings.Cut(strings.TrimPrefix(key, root(data)+"v/"), "/")
	at, _ = strconv.ParseInt(when, 10, 64) // the key is ours
	return at, id
}

func (s *Service) take(tx store.Tx, q *queue, r *receipt) error {
	var ids []string
	from, to := root(q.Data)+"v/", visibleKey(q.Data, r.now.UnixMilli()+1, "")
	for doc, err := range tx.Scan(from, to) {
		if err != nil {
			return err
		}
		_, id := splitVisible(q.Data, doc.Key)
		if ids = append(ids, id); len(ids) == maxScanned {
			break
		}
	}
	for _, id := range ids {
		if len(r.messages) == r.limit {
			return nil
		}
		st, err := getState(tx, q.Data, id)
		if err != nil {
			return err
		}
		if st == nil {
			continue
		}
		if q.expired(st, r.now) {
			if err := remove(tx, q.Data, id, st); err != nil {
				return err
			}
			continue
		}
		if moved, err := s.giveUp(tx, q, r.place, id, st, r.now); err != nil || moved {
			if err != nil {
				return err
			}
			continue
		}
		m, err := s.takeOne(tx, q, r, id, st)
		if err != nil {
			return err
		}
		r.messages = append(r.messages, m)
	}
	return nil
}

func (s *Service) takeOne(tx store.Tx, q *queue, r *receipt, id string, st *state) (api.Message, error) {
	visibility := q.Attributes.Visibility
	if r.in.VisibilityTimeout != nil {
		visibility = int(*r.in.VisibilityTimeout)
	}
	if err := tx.Delete(visibleKey(q.Data, st.Visible, id)); err != nil {
		return api.Message{}, err
	}
	now := r.now.UnixMilli()
	st.Receives++
	if st.First == 0 {
		st.First = now
	}
	st.Visible = now + int64(visibility)*1000
	if err := putState(tx, q.Data, id, st); err != nil {
		return api.Message{}, err
	}
	c, err := s.open(tx, q.Data, id)
	if err != nil {
		return api.Message{}, err
	}
	m := api.Message{
		MessageId: st.MessageID, ReceiptHandle: handle{q.Data, id, st.Receives}.String(), Body: c.Body, MD5OfBody: md5Hex(c.Body),
		Attributes: systemAttributes(r.in, c, st),
	}
	shown := map[string]attributeValue{}
	for name, v := range c.Attributes {
		if selected(r.in.MessageAttributeNames, name) {
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
	return m, nil
}

// giveUp moves a message that was received too often to the dead-letter queue,
// as it is and with its age.
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
	c, err := s.open(tx, q.Data, id)
	if err != nil {
		return false, err
	}
	if err := remove(tx, q.Data, id, st); err != nil {
		return false, err
	}
	k, err := s.seal(dead.Data, id, dead.Attributes.Encrypted, c)
	if err != nil {
		return false, err
	}
	if err := putJSON(tx, contentKey(dead.Data, id), k); err != nil {
		return false, err
	}
	st.Visible, st.Source = now.UnixMilli(), from.arn()
	return true, putState(tx, dead.Data, id, st)
}

func systemAttributes(in *api.ReceiveMessageInput, c content, st *state) map[string]string {
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
