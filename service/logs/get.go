package logs

import (
	"context"
	"math"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/store"
)

// timeRange is the range that a call asks for; its end is not in it.
func timeRange(start, end *int64) (from, to int64) {
	to = math.MaxInt64
	if start != nil {
		from = *start
	}
	if end != nil {
		to = *end
	}
	return from, to
}

// Tokens of GetLogEvents: a position, and which way from it. The one that leads on
// from an empty page is the one that led there.
func forwardToken(p position) string  { return "f/" + p.id() + "/s" }
func backwardToken(p position) string { return "b/" + p.id() + "/s" }

// openGetToken sets where a query begins, and its direction.
func (q *query) openGetToken(token string) error {
	way, rest, _ := strings.Cut(token, "/")
	id, tail, _ := strings.Cut(rest, "/")
	p, ok := parseID(id)
	switch {
	case !ok || tail != "s" || way != "f" && way != "b":
		return badToken()
	case way == "f":
		q.after, q.back = &p, false
	default:
		q.before, q.back = &p, true
	}
	return nil
}

// GetLogEvents reads a stream's events, a page at a time and in both directions.
func (s *Service) GetLogEvents(ctx context.Context, in *api.GetLogEventsInput) (*api.GetLogEventsOutput, error) {
	p, err := identified(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	asked := query{back: !yes(in.StartFromHead), limit: limitOf(in.Limit, maxPageEvents)}
	asked.from, asked.to = timeRange(in.StartTime, in.EndTime)
	if in.NextToken != "" {
		if err := asked.openGetToken(in.NextToken); err != nil {
			return nil, err
		}
	}
	var q query
	var got *page
	err = s.view(ctx, p, func(tx store.Tx, g *group) error {
		st, err := findStream(tx, g, in.LogStreamName)
		if err != nil {
			return err
		}
		q = asked
		q.keptBy(g, s.now())
		got, err = s.readStream(tx, g, st, &q)
		return err
	})
	if err != nil {
		return nil, err
	}
	if q.back {
		slices.Reverse(got.events)
	}
	out := &api.GetLogEventsOutput{Events: make([]api.OutputLogEvent, 0, len(got.events))}
	for i := range got.events {
		e := &got.events[i]
		out.Events = append(out.Events, api.OutputLogEvent{Timestamp: &e.ms, Message: e.text, IngestionTime: &e.ingested})
	}
	out.NextBackwardToken, out.NextForwardToken = got.tokens()
	return out, nil
}

// tokens lead on from a page: in front of its first event and behind its last.
func (p *page) tokens() (back, forward string) {
	q := p.q
	if n := len(p.events); n > 0 {
		return backwardToken(p.events[0].position), forwardToken(p.events[n-1].position)
	}
	var at position // the page is empty: between what and what it lies
	switch {
	case q.after != nil:
		at = *q.after
	case q.before != nil:
		at = *q.before
	case q.back:
		at = position{ms: min(q.to, math.MaxInt64-1)}
		if q.to == math.MaxInt64 {
			at.ms = max(q.from, 0)
		}
	default:
		at = position{ms: max(q.from, 0)}
	}
	if p.next != nil {
		at = *p.next
	}
	if q.before != nil {
		return backwardToken(at), forwardToken(at.previous())
	}
	return backwardToken(at.following()), forwardToken(at)
}

// following is the position right behind one; previous, the one right in front.
func (p position) following() position {
	p.index++
	return p
}

func (p position) previous() position {
	switch {
	case p.index > 0:
		p.index--
	case p.put > 0:
		p.put, p.index = p.put-1, math.MaxUint32
	case p.ms > 0:
		p.ms, p.put, p.index = p.ms-1, math.MaxUint64, math.MaxUint32
	}
	return p
}
