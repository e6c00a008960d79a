package sqs

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// handle is a receipt handle: which message, by which of its receives.
type handle struct {
	data    string
	id      string
	receive int
	visible int64 // when it was to be visible again, Unix milliseconds; 0 of a FIFO queue
}

func (q *queue) handle(id string, st *state) handle {
	h := handle{q.Data, id, st.Receives, st.Visible}
	if q.Attributes.Fifo {
		h.visible = 0 // not needed, and a repeated attempt gives the same handles
	}
	return h
}

func (h handle) String() string {
	return base64.StdEncoding.EncodeToString([]byte(h.data + "|" + h.id + "|" + strconv.Itoa(h.receive) + "|" + strconv.FormatInt(h.visible, 10)))
}

func badHandle(text string) error {
	return fault.New(fault.ReceiptHandleIsInvalid, "The input receipt handle %q is not a valid receipt handle.", text)
}

func parseHandle(text string) (handle, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	parts := strings.Split(string(b), "|")
	if err != nil || len(parts) != 4 || parts[0] == "" || strings.ContainsAny(string(b), "/\x00") {
		return handle{}, badHandle(text)
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil || n < 1 {
		return handle{}, badHandle(text)
	}
	visible, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || visible < 0 {
		return handle{}, badHandle(text)
	}
	return handle{parts[0], parts[1], n, visible}, nil
}

// DeleteMessage removes a message; one that is gone already is no error.
func (s *Service) DeleteMessage(ctx context.Context, in *api.DeleteMessageInput) (*api.DeleteMessageOutput, error) {
	return &api.DeleteMessageOutput{}, s.update(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		return s.drop(tx, q, in.ReceiptHandle)
	})
}

// drop deletes by any handle of a standard queue's message. A FIFO queue takes
// only the last one, and only during the visibility timeout: another receiver
// may be at work after it.
func (s *Service) drop(tx store.Tx, q *queue, text string) error {
	h, err := parseHandle(text)
	if err != nil {
		return err
	}
	if h.data != q.Data {
		return nil // of an earlier purge
	}
	st, err := getState(tx, q, h.id, h.visible)
	if err != nil || st == nil {
		return err // gone already
	}
	now := s.now()
	if q.Attributes.Fifo && (st.Receives != h.receive || st.Visible <= now.UnixMilli()) {
		return invalidValue("Value %s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", text)
	}
	return remove(tx, q, h.id, st, now)
}

// DeleteMessageBatch removes up to ten messages.
func (s *Service) DeleteMessageBatch(ctx context.Context, in *api.DeleteMessageBatchInput) (*api.DeleteMessageBatchOutput, error) {
	ids := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		ids[i] = e.Id
	}
	if err := checkBatch("DeleteMessageBatch", ids); err != nil {
		return nil, err
	}
	out := &api.DeleteMessageBatchOutput{}
	err := s.update(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		out.Successful, out.Failed = []api.DeleteMessageBatchResultEntry{}, []api.BatchResultErrorEntry{}
		for _, e := range in.Entries {
			failed, err := failure(e.Id, s.drop(tx, q, e.ReceiptHandle))
			if err != nil {
				return err
			}
			if failed != nil {
				out.Failed = append(out.Failed, *failed)
				continue
			}
			out.Successful = append(out.Successful, api.DeleteMessageBatchResultEntry{Id: e.Id})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ChangeMessageVisibility sets when a message in flight becomes visible again.
func (s *Service) ChangeMessageVisibility(ctx context.Context, in *api.ChangeMessageVisibilityInput) (*api.ChangeMessageVisibilityOutput, error) {
	return &api.ChangeMessageVisibilityOutput{}, s.update(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		return s.hide(tx, q, in.ReceiptHandle, in.VisibilityTimeout)
	})
}

func (s *Service) hide(tx store.Tx, q *queue, text string, timeout *int32) error {
	if timeout == nil {
		return fault.New(fault.MissingParameter, "The request must contain the parameter VisibilityTimeout.")
	}
	if *timeout < 0 || *timeout > maxVisibility {
		return invalidValue("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and %d.", *timeout, maxVisibility)
	}
	h, err := parseHandle(text)
	if err != nil {
		return err
	}
	st, err := getState(tx, q, h.id, h.visible)
	if err != nil {
		return err
	}
	now := s.now()
	if st == nil || h.data != q.Data || st.Receives != h.receive || st.Visible <= now.UnixMilli() || q.expired(st, now) {
		return invalidValue("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", text)
	}
	next := *st
	next.Visible = now.UnixMilli() + int64(*timeout)*1000
	return change(tx, q, h.id, st, &next, now)
}

// ChangeMessageVisibilityBatch sets the visibility of up to ten messages.
func (s *Service) ChangeMessageVisibilityBatch(ctx context.Context, in *api.ChangeMessageVisibilityBatchInput) (*api.ChangeMessageVisibilityBatchOutput, error) {
	ids := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		ids[i] = e.Id
	}
	if err := checkBatch("ChangeMessageVisibilityBatch", ids); err != nil {
		return nil, err
	}
	out := &api.ChangeMessageVisibilityBatchOutput{}
	err := s.update(ctx, in.QueueUrl, func(tx store.Tx, _ place, q *queue) error {
		out.Successful, out.Failed = []api.ChangeMessageVisibilityBatchResultEntry{}, []api.BatchResultErrorEntry{}
		for _, e := range in.Entries {
			failed, err := failure(e.Id, s.hide(tx, q, e.ReceiptHandle, e.VisibilityTimeout))
			if err != nil {
				return err
			}
			if failed != nil {
				out.Failed = append(out.Failed, *failed)
				continue
			}
			out.Successful = append(out.Successful, api.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
