package sns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Publish keeps a message, with where it goes, before it answers.
func (s *Service) Publish(ctx context.Context, in *api.PublishInput) (*api.PublishOutput, error) {
	topicARN := in.TopicArn
	switch {
	case in.PhoneNumber != "":
		return nil, notBuilt("publishing to a phone number")
	case topicARN == "" && in.TargetArn == "", topicARN != "" && in.TargetArn != "":
		return nil, invalid("TopicArn or TargetArn Reason: no value for required parameter")
	case topicARN == "":
		topicARN = in.TargetArn
	}
	o, err := check(&api.PublishBatchRequestEntry{
		Message: in.Message, Subject: in.Subject, MessageStructure: in.MessageStructure, MessageAttributes: in.MessageAttributes,
		MessageDeduplicationId: in.MessageDeduplicationId, MessageGroupId: in.MessageGroupId,
	}, s.now().UTC())
	if err != nil {
		return nil, err
	}
	a, err := s.addressed(ctx, topicARN)
	if err != nil {
		return nil, err
	}
	if err := o.checkOrder(a.topic); err != nil {
		return nil, err
	}
	results, err := s.publish(ctx, a, []*outgoing{o})
	if err != nil {
		return nil, err
	}
	return &api.PublishOutput{MessageId: results[0].id, SequenceNumber: results[0].sequence}, nil
}

// addressed is a topic that is published to, with its subscriptions.
type addressed struct {
	place
	topic *topic
	subs  []*subscription
}

func (s *Service) addressed(ctx context.Context, topicARN string) (*addressed, error) {
	var a *addressed
	err := s.view(ctx, topicARN, func(tx store.Tx, p place, t *topic) error {
		a = &addressed{place: p, topic: t}
		for e, err := range subscriptions.Scan(tx, p.key()+"/") {
			if err != nil {
				return err
			}
			if !e.Value.Pending && !e.Value.Ended {
				a.subs = append(a.subs, e.Value)
			}
		}
		return nil
	})
	return a, err
}

// published is what became of a message.
type published struct{ id, sequence string }

// publish commits messages and their deliveries, in the order given.
func (s *Service) publish(ctx context.Context, a *addressed, messages []*outgoing) ([]published, error) {
	seal, err := s.sealing(ctx, a)
	if err != nil {
		return nil, err
	}
	results := make([]published, len(messages))
	if !a.topic.Attributes.Fifo {
		var all []filed
		for i, o := range messages {
			o.Topic, o.Version = a.arn(), a.topic.signatureVersion()
			results[i].id = o.ID
			list, err := s.deliveries(a, o, seal)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
		if len(all) == 0 {
			return results, nil // nobody listens
		}
		err = s.store.Update(ctx, func(tx store.Tx) error { return file(tx, all) })
	} else {
		err = s.store.Update(ctx, func(tx store.Tx) error { return s.publishInOrder(tx, a, messages, seal, results) })
	}
	if err != nil {
		return nil, err
	}
	s.wake(kindQueue, kindFIFO, kindWeb)
	return results, nil
}

// signatureVersion is that of the topic's messages.
func (t *topic) signatureVersion() string {
	if t.Attributes.Signature == "" {
		return "1"
	}
	return t.Attributes.Signature
}

// wants reports whether a subscription's filter lets a message through.
func (s *Service) wants(sub *subscription, o *outgoing) (bool, error) {
	if sub.Attributes.Filter == "" {
		return true, nil
	}
	f, err := s.filters.parse(sub.Attributes.Filter, sub.Attributes.Body)
	if err != nil {
		return false, err // it was checked when it was set
	}
	if sub.Attributes.Body {
		return f.matchesBody(o.parsedBody()), nil
	}
	return f.matchesAttributes(o.Attributes), nil
}

// deliveries are what a message is to be delivered by: one for all queues and functions
// of a standard topic, one for each web endpoint, and one for each queue of a FIFO topic.
func (s *Service) deliveries(a *addressed, o *outgoing, seal sealer) ([]filed, error) {
	together := map[string][]string{} // those that get the same body
	var out []filed
	add := func(k courierKind, body string, due time.Time, targets []string) error {
		m := o.message
		m.Body = body
		d, err := seal(&m)
		if err != nil {
			return err
		}
		d.Targets = targets
		key := deliveryKey(due, o.ID, targets[0])
		switch k {
		case kindWeb:
			key = webKey(due, targets[0], o.ID)
		case kindFIFO:
			key = fifoKey(targets[0], o.Group, o.Sequence)
		case kindQueue:
		}
		out = append(out, filed{k, key, d})
		return nil
	}
	for _, sub := range a.subs {
		ok, err := s.wants(sub, o)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		body, key := o.bodyFor(sub.Protocol), a.key()+"/"+sub.ID
		switch {
		case sub.isWeb():
			err = add(kindWeb, body, o.Time, []string{key})
		case a.topic.Attributes.Fifo:
			err = add(kindFIFO, body, o.Time, []string{key})
		default:
			together[body] = append(together[body], key)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, body := range sortedKeys(together) {
		if err := add(kindQueue, body, o.Time, together[body]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// FIFO topics deduplicate for as long ("Message deduplication for FIFO topics",
// Developer Guide).
const dedupInterval = 5 * time.Minute

// seen is a message that was published, for its duplicates.
type seen struct {
	ID, Sequence string
	Until        time.Time
}

// duplicates are by topic, and by group where the topic's throughput is by group.
var duplicates = store.NewCollection[seen]("bulk/sns/seen")

// sequenceBase begins the sequence numbers, which have 20 digits.
const sequenceBase = 10_000_000_000_000_000_000

func contentHash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// publishInOrder gives messages their sequence numbers, in the order in which
// publications are committed, and drops those that were published before.
func (s *Service) publishInOrder(tx store.Tx, a *addressed, messages []*outgoing, seal sealer, results []published) error {
	t, err := find(tx, a.place)
	if err != nil {
		return err
	}
	if t.Data != a.topic.Data {
		return noTopic() // deleted and made anew since it was read
	}
	now := s.now().UTC()
	for i, o := range messages {
		scope := ""
		if t.Attributes.Scope == scopeGroup {
			scope = contentHash(o.Group)[:32]
		}
		key := t.Data + "/" + scope + "/" + contentHash(o.Dedup)
		before, err := duplicates.Get(tx, key)
		if err == nil && now.Before(before.Until) {
			results[i] = published{before.ID, before.Sequence}
			continue
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		o.Topic, o.Version = a.arn(), ""
		o.Sequence = strconv.FormatUint(sequenceBase+uint64(tx.Revision())*(2*maxBatch)+uint64(i), 10) // #nosec G115 -- revisions count up from 0
		results[i] = published{o.ID, o.Sequence}
		if err := duplicates.Put(tx, key, &seen{o.ID, o.Sequence, now.Add(dedupInterval)}); err != nil {
			return err
		}
		list, err := s.deliveries(a, o, seal)
		if err != nil {
			return err
		}
		if err := file(tx, list); err != nil {
			return err
		}
	}
	return nil
}

const maxBatch = 10

// checkBatch refuses batches as a whole.
func checkBatch(entries []api.PublishBatchRequestEntry) error {
	switch {
	case len(entries) == 0:
		return fault.New(fault.EmptyBatchRequest, "The batch request doesn't contain any entries.")
	case len(entries) > maxBatch:
		return fault.New(fault.TooManyEntriesInBatch, "The batch request contains more entries than permissible.")
	}
	seen := map[string]bool{}
	size := 0
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Id == "" || !entryForm(e.Id):
			return fault.New(fault.InvalidBatchEntryID, "The Id of a batch entry in the batch request contains an impermissible character: %s", e.Id)
		case len(e.Id) > maxEntryID:
			return fault.New(fault.InvalidBatchEntryID, "The Id of a batch entry in the batch request is too long: %s", e.Id)
		case seen[e.Id]:
			return fault.New(fault.BatchEntryIdsNotDistinct, "Two or more batch entries in the request have the same Id.")
		}
		seen[e.Id] = true
		size += len(e.Message)
		for name, v := range e.MessageAttributes {
			size += len(name) + len(v.DataType) + len(v.StringValue) + len(v.BinaryValue)
		}
	}
	if size > maxMessageSize {
		return fault.New(fault.BatchRequestTooLong, "The length of all the messages put together is more than the limit.")
	}
	return nil
}

const maxEntryID = 80

func entryForm(id string) bool {
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// PublishBatch keeps up to ten messages in one commit. An entry that is refused does not
// keep the others from being published.
func (s *Service) PublishBatch(ctx context.Context, in *api.PublishBatchInput) (*api.PublishBatchOutput, error) {
	a, err := s.addressed(ctx, in.TopicArn)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.PublishBatchRequestEntries); err != nil {
		return nil, err
	}
	out := &api.PublishBatchOutput{Successful: []api.PublishBatchResultEntry{}, Failed: []api.BatchResultErrorEntry{}}
	var messages []*outgoing
	var ids []string
	now := s.now().UTC()
	for i := range in.PublishBatchRequestEntries {
		e := &in.PublishBatchRequestEntries[i]
		o, err := check(e, now)
		if err == nil {
			err = o.checkOrder(a.topic)
		}
		if f, ok := fault.As(err); ok {
			out.Failed = append(out.Failed, api.BatchResultErrorEntry{Id: e.Id, Code: f.Code, Message: f.Message, SenderFault: new(true)})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", e.Id, err)
		}
		messages, ids = append(messages, o), append(ids, e.Id)
	}
	if len(messages) == 0 {
		return out, nil
	}
	results, err := s.publish(ctx, a, messages)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		out.Successful = append(out.Successful, api.PublishBatchResultEntry{Id: ids[i], MessageId: r.id, SequenceNumber: r.sequence})
	}
	return out, nil
}
