package sqs

import (
	"context"
	"crypto/rand"
	"fmt"
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
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
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
	id := newMessageID()
	err = s.update(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		return s.send(ctx, tx, q, e.DelaySeconds, c, size, id, s.now(), 0)
	})
	if err != nil {
		return nil, err
	}
	return &api.SendMessageOutput{
		MessageId: id, MD5OfMessageBody: md5Hex(c.Body), MD5OfMessageAttributes: md5Attributes(c.Attributes), MD5OfMessageSystemAttributes: md5Trace(c.Trace),
	}, nil
}

func (s *Service) send(ctx context.Context, tx store.Tx, q *queue, delay *int32, c content, size int, messageID string, now time.Time, n int) error {
	if size > q.Attributes.MaxSize {
		return fault.New(fault.InvalidParameterValue, "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.Attributes.MaxSize)
	}
	wait := q.Attributes.Delay
	if delay != nil {
		if wait = int(*delay); wait < 0 || wait > maxDelay {
			return fault.New(fault.InvalidParameterValue, "Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", wait, maxDelay)
		}
	}
	c.Sender = auth.From(ctx).Principal.UserID
	id := newID(now, n, messageID)
	k, err := s.seal(q.Data, id, q.Attributes.Encrypted, c)
	if err != nil {
		return err
	}
	if err := putJSON(tx, contentKey(q.Data, id), k); err != nil {
		return err
	}
	at := now.UnixMilli()
	return putState(tx, q.Data, id, &state{MessageID: messageID, Sent: at, Visible: at + int64(wait)*1000})
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
	err := s.update(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		out.Successful, out.Failed = []api.SendMessageBatchResultEntry{}, []api.BatchResultErrorEntry{}
		now := s.now()
		for i := range in.Entries {
			c, err := contents[i], flaws[i]
			if err == nil {
				err = s.send(ctx, tx, q, in.Entries[i].DelaySeconds, c, sizes[i], messageIDs[i], now, i)
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
				Id: ids[i], MessageId: messageIDs[i], MD5OfMessageBody: md5Hex(c.Body),
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
