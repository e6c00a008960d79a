package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Bounds of a put ("PutLogEvents", Amazon CloudWatch Logs API Reference).
const (
	maxBatch  = 1 << 20 // bytes, each event's overhead among them
	maxEvent  = 1 << 20 // bytes
	maxEvents = 10_000
	maxPast   = 14 * 24 * time.Hour
	maxFuture = 2 * time.Hour
	maxSpan   = 24 * time.Hour
)

// event is an event on its way in.
type event struct {
	ms   int64
	text string
}

// batch is one put.
type batch struct {
	now      int64
	events   []event
	base     int // index of the first of events that is taken
	rejected *api.RejectedLogEventsInfo
}

// checkBatch checks what makes a put fail whole.
func checkBatch(in *api.PutLogEventsInput) error {
	if len(in.LogEvents) > maxEvents { // for callers within Slipway
		return invalid("A batch has at most %d log events.", maxEvents)
	}
	total := 0
	for i := range in.LogEvents {
		e := &in.LogEvents[i]
		switch {
		case e.Timestamp == nil || e.Message == "" || *e.Timestamp < 0:
			return invalid("Each log event has a timestamp and a message.")
		case len(e.Message) > maxEvent:
			return invalid("Log event too large: %d bytes exceeds limit of %d", len(e.Message), maxEvent)
		case i > 0 && *e.Timestamp < *in.LogEvents[i-1].Timestamp:
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
		total += len(e.Message) + overhead
	}
	if total > maxBatch {
		return invalid("Upload too large: %d bytes exceeds limit of %d", total, maxBatch)
	}
	return nil
}

// sift takes of a put the events that a group with the retention takes.
func sift(in []api.InputLogEvent, now time.Time, retention int32) (batch, error) {
	b := batch{now: now.UnixMilli()}
	oldest, newest := now.Add(-maxPast).UnixMilli(), now.Add(maxFuture).UnixMilli()
	kept := int64(0)
	if retention > 0 {
		kept = now.AddDate(0, 0, -int(retention)).UnixMilli()
	}
	old, expired, end := 0, 0, len(in)
	for i := range in {
		ms := *in[i].Timestamp
		if ms < oldest {
			old = i + 1
		}
		if ms < kept {
			expired = i + 1
		}
		if ms > newest && end == len(in) {
			end = i
		}
	}
	if old > 0 || expired > 0 || end < len(in) {
		b.rejected = &api.RejectedLogEventsInfo{}
	}
	if old > 0 {
		b.rejected.TooOldLogEventEndIndex = new(int32(old))
	}
	if expired > 0 {
		b.rejected.ExpiredLogEventEndIndex = new(int32(expired))
	}
	if end < len(in) {
		b.rejected.TooNewLogEventStartIndex = new(int32(end))
	}
	b.base = max(old, expired)
	if b.base >= end {
		return b, nil
	}
	if *in[end-1].Timestamp-*in[b.base].Timestamp > maxSpan.Milliseconds() {
		return b, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	b.events = make([]event, 0, end-b.base)
	for i := b.base; i < end; i++ {
		b.events = append(b.events, event{*in[i].Timestamp, in[i].Message})
	}
	return b, nil
}

// written is a block on its way into the store.
type written struct {
	first  int64
	window int64
	doc    []byte
}

// blocks makes the batch's blocks, and what their events count.
func (b *batch) blocks(ring *keyring.Ring, g *group) (out []written, bytes int64, err error) {
	for start := 0; start < len(b.events); {
		window := windowOf(b.events[start].ms)
		h := head{key: g.Key, base: b.base + start + 1, ingested: b.now}
		end := start
		for ; end < len(b.events) && windowOf(b.events[end].ms) == window; end++ {
			h.bytes += int64(len(b.events[end].text)) + overhead
		}
		h.count = end - start
		doc, err := encodeBlock(ring, g.ID, h, b.events[start:end])
		if err != nil {
			return nil, 0, err
		}
		out = append(out, written{b.events[start].ms, window, doc})
		bytes += h.bytes
		start = end
	}
	return out, bytes, nil
}

// errRaced says that a group has changed between the look at it and the put.
var errRaced = errors.New("logs: the group has changed meanwhile")

// attempts bounds how often a put begins anew.
const attempts = 10

// known is a group as puts know it, with the revision of its record.
type known struct {
	*group
	revision int64
}

// lookUp finds a group for a put: from memory, as long as no group changes.
func (s *Service) lookUp(ctx context.Context, p place) (known, error) {
	return s.known.Get(p, func() (k known, err error) {
		err = s.store.View(ctx, func(tx store.Tx) error {
			e, err := groups.Entry(tx, p.key())
			if errors.Is(err, store.ErrNotFound) {
				err = noGroup()
			}
			k = known{e.Value, e.Revision}
			return err
		})
		return k, err
	})
}

// PutLogEvents writes events to a stream. Sequence tokens are taken and not looked
// at, as on AWS since 2023.
func (s *Service) PutLogEvents(ctx context.Context, in *api.PutLogEventsInput) (*api.PutLogEventsOutput, error) {
	if err := checkBatch(in); err != nil {
		return nil, err
	}
	out := &api.PutLogEventsOutput{}
	if in.Entity != nil { // the events are taken all the same
		out.RejectedEntityInfo = &api.RejectedEntityInfo{ErrorType: api.EntityRejectionErrorTypeUnsupportedLogGroupType}
	}
	p := here(ctx, in.LogGroupName)
	for range attempts {
		err := s.putOnce(ctx, p, in, out)
		var l lacking
		switch {
		case errors.As(err, &l):
			k, err := s.lookUp(ctx, p)
			if err == nil {
				err = s.openDataKey(ctx, p, k.group, l.key)
			}
			if err != nil {
				return nil, err
			}
		case errors.Is(err, errRaced):
		case err != nil:
			return nil, err
		default:
			return out, nil
		}
	}
	return nil, fault.New(fault.ServiceUnavailable, "The log group changes too often.")
}

func (s *Service) putOnce(ctx context.Context, p place, in *api.PutLogEventsInput, out *api.PutLogEventsOutput) error {
	g, err := s.lookUp(ctx, p)
	if err != nil {
		return err
	}
	b, err := sift(in.LogEvents, s.now(), g.Retention)
	if err != nil {
		return err
	}
	ring, err := s.ringOf(g.group, g.Key)
	if err != nil {
		return err
	}
	blocks, bytes, err := b.blocks(ring, g.group)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		doc, err := tx.Get(groups.Prefix() + p.key())
		if errors.Is(err, store.ErrNotFound) {
			return noGroup()
		}
		if err != nil {
			return err
		}
		if doc.Revision != g.revision {
			return errRaced
		}
		st, err := findStream(tx, g.group, in.LogStreamName)
		if err != nil {
			return err
		}
		st.Sequence = uint64(tx.Revision())
		out.NextSequenceToken, out.RejectedLogEventsInfo = sequenceToken(st.Sequence), b.rejected
		if len(blocks) == 0 {
			return nil
		}
		if err := writeBlocks(tx, g.group, st, blocks); err != nil {
			return err
		}
		if err := count(tx, g.ID, bytes); err != nil {
			return err
		}
		if err := owe(tx, p, g.group, st, &b); err != nil {
			return err
		}
		st.Ingested = b.now
		st.Last = max(st.Last, b.events[len(b.events)-1].ms)
		if first := b.events[0].ms; st.First == 0 || first < st.First {
			st.First = first
		}
		return streams.Put(tx, streamKey(g.group, st.Name), st)
	})
}

// writeBlocks writes blocks, and notes the windows that they lie in.
func writeBlocks(tx store.Tx, g *group, st *stream, blocks []written) error {
	root := eventsOf(g.ID, st.ID)
	for _, w := range blocks {
		if err := tx.PutNew(blockKey(root, w.first, st.Sequence), w.doc); err != nil {
			return err
		}
		// The window of the last put stands there already, unless the sweep took it.
		if w.window == st.Window {
			continue
		}
		name, err := json.Marshal(st.Name)
		if err != nil {
			return err
		}
		if err := tx.Put(windowKey(g.ID, w.window, st.ID), name); err != nil {
			return err
		}
		st.Window = w.window
	}
	return nil
}

// count adds bytes to what a group holds.
func count(tx store.Tx, groupID string, bytes int64) error {
	t, err := tallies.Get(tx, groupID)
	if errors.Is(err, store.ErrNotFound) {
		t, err = &tally{}, nil
	}
	if err != nil {
		return err
	}
	t.Bytes = max(0, t.Bytes+bytes)
	return tallies.Put(tx, groupID, t)
}

// sequenceToken is the token that a put gives out, for clients that still ask for one.
func sequenceToken(put uint64) string { return fmt.Sprintf("496%053d", put) }
