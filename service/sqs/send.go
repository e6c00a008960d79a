package sqs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

const maxDelay = 900

// newMessageID is a random UUID, as messages have them.
func newMessageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:8], b[:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:], b[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// SendMessage keeps a message before it answers.
func (s *Service) SendMessage(ctx context.Context, in *api.SendMessageInput) (*api.SendMessageOutput, error) {
	e := api.SendMessageBatchRequestEntry{
		MessageBody: in.MessageBody, DelaySeconds: in.DelaySeconds, MessageAttributes: in.MessageAttributes,
		MessageSystemAttributes: in.MessageSystemAttributes, MessageDeduplicationId: in.MessageDeduplicationId, MessageGroupId: in.MessageGroupId,
	}
	c, size, err := check(&e)
	if err != nil {
		return nil, err
	}
	m := outgoing{content: c, delay: e.DelaySeconds, size: size, messageID: newMessageID()}
	var out receiptOfSend
	err = s.updateSealing(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		var err error
		out, err = s.send(ctx, tx, q, m, s.now(), 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.SendMessageOutput{
		MessageId: out.messageID, SequenceNumber: out.sequence,
		MD5OfMessageBody: md5Hex(c.Body), MD5OfMessageAttributes: md5Attributes(c.Attributes), MD5OfMessageSystemAttributes: md5Trace(c.Trace),
	}, nil
}

// outgoing is a message to be sent.
type outgoing struct {
	content
	delay     *int32
	size      int // bytes
	messageID string
}

// receiptOfSend is what the sender learns.
type receiptOfSend struct{ messageID, sequence string }

// send keeps the nth message of a request, unless it is a duplicate: that one
// is answered as the first was.
func (s *Service) send(ctx context.Context, tx store.Tx, q *queue, m outgoing, now time.Time, n int) (receiptOfSend, error) {
	if m.size > q.Attributes.MaxSize {
		return receiptOfSend{}, fault.New(fault.InvalidParameterValue, "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.Attributes.MaxSize)
	}
	wait, err := q.delay(m.delay)
	if err != nil {
		return receiptOfSend{}, err
	}
	c := m.content
	if err := q.identify(&c); err != nil {
		return receiptOfSend{}, err
	}
	if q.Attributes.Fifo {
		if was, err := duplicate(tx, q, c, now); err != nil || was != nil {
			if err != nil {
				return receiptOfSend{}, err
			}
			return receiptOfSend{was.MessageID, sequenceText(was.Sequence)}, nil
		}
	}
	c.Sender = auth.From(ctx).Principal.UserID
	at := now.UnixMilli()
	st := &state{MessageID: m.messageID, Sent: at, Visible: at + int64(wait)*1000}
	if q.Attributes.Fifo {
		st.Group = c.Group
	}
	id, err := newPlaceInLine(tx, q, st, now, n)
	if err != nil {
		return receiptOfSend{}, err
	}
	if q.Attributes.Fifo {
		until := now.Add(interval).UnixMilli()
		key := sentKey(q.Attributes.Scope, c.Group, c.Deduplication)
		if err := remember(tx, q.Data, key, until, sent{until, st.MessageID, st.Sequence}); err != nil {
			return receiptOfSend{}, err
		}
	}
	return receiptOfSend{st.MessageID, sequenceText(st.Sequence)}, s.put(ctx, tx, q, id, c, st, now)
}

// delay is how long a message is out of sight at first, in seconds. Messages of
// a FIFO queue have the queue's delay.
func (q *queue) delay(asked *int32) (int, error) {
	switch {
	case asked == nil || q.Attributes.Fifo && *asked == 0:
		return q.Attributes.Delay, nil
	case *asked < 0 || *asked > maxDelay:
		return 0, invalidValue("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", *asked, maxDelay)
	case q.Attributes.Fifo:
		return 0, notThisType("DelaySeconds", strconv.Itoa(int(*asked)))
	}
	return int(*asked), nil
}

// identify checks what a message is grouped and deduplicated by.
func (q *queue) identify(c *content) error {
	switch {
	case !q.Attributes.Fifo && c.Deduplication != "":
		return notThisType("MessageDeduplicationId", c.Deduplication)
	case !q.Attributes.Fifo:
		return nil
	case c.Group == "":
		return fault.New(fault.MissingParameter, "The request must contain the parameter MessageGroupId.")
	case c.Deduplication == "" && !q.Attributes.ContentBased:
		return invalidValue("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case c.Deduplication == "":
		c.Deduplication = hashOf(c.Body)
	}
	return nil
}

// newPlaceInLine makes a message's id, and its sequence number in a FIFO queue.
func newPlaceInLine(tx store.Tx, q *queue, st *state, now time.Time, n int) (id string, err error) {
	at := now.UnixNano()
	if q.Attributes.Fifo {
		if at, err = nextSequence(tx, q.Data, now); err != nil {
			return "", err
		}
		st.Sequence, n = at, 0
	}
	return newID(at, n, st.MessageID), nil
}

// sequenceText has the 20 digits that sequence numbers have.
func sequenceText(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("1%019d", n)
}

// put keeps a new message of the queue.
func (s *Service) put(ctx context.Context, tx store.Tx, q *queue, id string, c content, st *state, now time.Time) error {
	k, err := s.seal(ctx, q, id, c)
	if err != nil {
		return err
	}
	return lay(tx, q, id, k, st, now)
}

func lay(tx store.Tx, q *queue, id string, k kept, st *state, now time.Time) error {
	st.Content = nil
	if k.small() {
		st.Content = &k
	} else if err := putRecord(tx, contentKey(q.Data, id), &k); err != nil {
		return err
	}
	return insert(tx, q, id, st, now)
}

// SendMessageBatch keeps up to ten messages; one that is refused does not keep
// the others back.
func (s *Service) SendMessageBatch(ctx context.Context, in *api.SendMessageBatchInput) (*api.SendMessageBatchOutput, error) {
	ids := make([]string, len(in.Entries))
	contents := make([]content, len(in.Entries))
	sizes := make([]int, len(in.Entries))
	flaws := make([]error, len(in.Entries))
	total := 0
	for i := range in.Entries {
		ids[i] = in.Entries[i].Id
		contents[i], sizes[i], flaws[i] = check(&in.Entries[i])
		total += sizes[i]
	}
	if err := checkBatch("SendMessageBatch", ids); err != nil {
		return nil, err
	}
	if total > maxSize {
		return nil, fault.New(fault.BatchRequestTooLong, "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxSize, total)
	}
	messageIDs := make([]string, len(in.Entries))
	for i := range messageIDs {
		messageIDs[i] = newMessageID()
	}
	out := &api.SendMessageBatchOutput{}
	err := s.updateSealing(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		out.Successful, out.Failed = []api.SendMessageBatchResultEntry{}, []api.BatchResultErrorEntry{}
		now := s.now()
		for i := range contents {
			// What a FIFO queue cannot deduplicate fails the batch as a whole.
			if c := contents[i]; flaws[i] == nil && q.Attributes.Fifo && c.Deduplication == "" && !q.Attributes.ContentBased {
				return q.identify(&c)
			}
		}
		for i := range in.Entries {
			c, err := contents[i], flaws[i]
			var sent receiptOfSend
			if err == nil {
				sent, err = s.send(ctx, tx, q, outgoing{c, in.Entries[i].DelaySeconds, sizes[i], messageIDs[i]}, now, i)
			}
			failed, err := failure(ids[i], err)
			if err != nil {
				return err
			}
			if failed != nil {
				out.Failed = append(out.Failed, *failed)
				continue
			}
			out.Successful = append(out.Successful, api.SendMessageBatchResultEntry{
				Id: ids[i], MessageId: sent.messageID, SequenceNumber: sent.sequence, MD5OfMessageBody: md5Hex(c.Body),
				MD5OfMessageAttributes: md5Attributes(c.Attributes), MD5OfMessageSystemAttributes: md5Trace(c.Trace),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
