package lambda

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	logs "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/compute/function"
	"github.com/slipway/slipway/fault"
)

// What functions print goes to CloudWatch Logs, as their execution roles: a role
// that may not write there has its function's lines dropped, as on AWS.

// Bounds of the lines that wait to be written.
const (
	maxWaiting   = 4 << 20 // bytes of a stream
	maxBatchSize = 1 << 20 // bytes of a PutLogEvents
	maxBatch     = 10_000  // events of one
	eventCost    = 26      // bytes that an event counts beside its text
	gather       = 50 * time.Millisecond
	lastWords    = 2 * time.Second // for the lines of the end
)

// lines are what has been printed and not yet been written.
type lines struct {
	mu      sync.Mutex
	waiting map[streamKey]*stream
	known   map[streamKey]bool // streams that are there
	order   []streamKey
}

// streamKey is a stream of a function's environment.
type streamKey struct{ spec, group, stream string }

type stream struct {
	place  place
	key    string // of the version's environments
	events []logs.InputLogEvent
	size   int
	lost   int // lines, for want of room
}

// Line takes a line that a function printed; it is the host's Log.
func (s *Service) Line(spec function.Spec, name string, at time.Time, line []byte) {
	if s.cfg.Logs == nil {
		return
	}
	l := &s.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	k := streamKey{spec.Account + "/" + spec.Region, spec.LogGroup, name}
	st := l.waiting[k]
	if st == nil {
		st = &stream{key: spec.Key}
		st.place = place{name: spec.Name}
		st.place.Account, st.place.Region = spec.Account, spec.Region
		l.waiting[k] = st
		l.order = append(l.order, k)
	}
	cost := len(line) + eventCost + 1
	if st.size+cost > maxWaiting {
		st.lost++
		return
	}
	st.size += cost
	st.events = append(st.events, logs.InputLogEvent{Message: string(line) + "\n", Timestamp: new(at.UnixMilli())})
	s.logLoop.Wake()
}

// writeLines writes what waits. Retry rule: a stream that could not be written
// because of an internal error keeps its lines for the next run.
func (s *Service) writeLines(ctx context.Context) error {
	t := time.NewTimer(gather)
	select {
	case <-ctx.Done():
		t.Stop()
		return nil
	case <-t.C:
	}
	return s.flush(ctx)
}

func (s *Service) flush(ctx context.Context) error {
	l := &s.lines
	l.mu.Lock()
	order, waiting := l.order, l.waiting
	l.order, l.waiting = nil, map[streamKey]*stream{}
	l.mu.Unlock()
	var errs []error
	for _, k := range order {
		st := waiting[k]
		if err := s.writeStream(ctx, k, st); err != nil {
			if isBad(err) {
				s.log.Debug("lambda logs", "group", k.group, "stream", k.stream, "error", err)
				continue
			}
			errs = append(errs, err)
			s.putBack(k, st)
		}
	}
	return errors.Join(errs...)
}

// putBack has lines wait again, before those that have come since.
func (s *Service) putBack(k streamKey, st *stream) {
	l := &s.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.waiting[k]; now != nil {
		now.events, now.size = append(st.events, now.events...), st.size+now.size
		return
	}
	l.waiting[k] = st
	l.order = append(l.order, k)
}

// writer is who writes the lines of a function: its role.
func (s *Service) writer(ctx context.Context, st *stream) (context.Context, error) {
	s.runs.mu.Lock()
	as, known := s.runs.roles[st.key]
	s.runs.mu.Unlock()
	if !known {
		return nil, invalid("nobody is known to write the lines of %s", st.place.name)
	}
	return s.asRole(ctx, st.place, as.role, as.enforced, "logs")
}

func (s *Service) writeStream(ctx context.Context, k streamKey, st *stream) error {
	ctx, err := s.writer(ctx, st)
	if err != nil {
		return err
	}
	if st.lost > 0 {
		s.log.Warn("lambda logs: more lines than could be written", "group", k.group, "stream", k.stream, "lost", st.lost)
	}
	if !s.lines.isKnown(k) {
		if err := s.makeStream(ctx, k); err != nil {
			return err
		}
	}
	slices.SortStableFunc(st.events, func(a, b logs.InputLogEvent) int { return int(*a.Timestamp - *b.Timestamp) })
	for made := false; len(st.events) > 0; {
		n, size := 0, 0
		for n < len(st.events) && n < maxBatch {
			if size += len(st.events[n].Message) + eventCost; size > maxBatchSize && n > 0 {
				break
			}
			n++
		}
		_, err := s.cfg.Logs.PutLogEvents(ctx, &logs.PutLogEventsInput{LogGroupName: k.group, LogStreamName: k.stream, LogEvents: st.events[:n]})
		if fault.Is(err, fault.ResourceNotFoundException) && !made { // somebody has deleted the group or the stream
			made = true
			if err = s.makeStream(ctx, k); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		st.events = st.events[n:]
	}
	return nil
}

// maxKnown bounds what is remembered of streams.
const maxKnown = 10_000

func (l *lines) isKnown(k streamKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[k]
}

func (s *Service) makeStream(ctx context.Context, k streamKey) error {
	_, err := s.cfg.Logs.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: k.group, LogStreamName: k.stream})
	if fault.Is(err, fault.ResourceNotFoundException) {
		if _, err = s.cfg.Logs.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: k.group}); err == nil || fault.Is(err, fault.ResourceAlreadyExists) {
			_, err = s.cfg.Logs.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: k.group, LogStreamName: k.stream})
		}
	}
	if err != nil && !fault.Is(err, fault.ResourceAlreadyExists) {
		return err
	}
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	if len(s.lines.known) >= maxKnown {
		clear(s.lines.known)
	}
	s.lines.known[k] = true
	return nil
}

// writeLast writes the lines of the end.
func (s *Service) writeLast() {
	if s.cfg.Logs == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	if err := s.flush(ctx); err != nil {
		s.log.Warn("lambda logs", "error", err)
	}
}
