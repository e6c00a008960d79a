package logs

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/service/logs/pattern"
	"github.com/slipway/slipway/store"
)

// badPattern tells what is wrong with a filter pattern.
func badPattern(err error) error { return invalid("Invalid filter pattern: %s", err) }

// FilterLogEvents finds the events of a group, or of some of its streams, that match
// a pattern, in the order of their times.
func (s *Service) FilterLogEvents(ctx context.Context, in *api.FilterLogEventsInput) (*api.FilterLogEventsOutput, error) {
	p, err := identified(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "" {
		return nil, invalid("LogStream name prefix and LogStream names are mutually exclusive parameters.")
	}
	pat, err := pattern.Parse(in.FilterPattern)
	if err != nil {
		return nil, badPattern(err)
	}
	asked := query{limit: limitOf(in.Limit, maxPageEvents)}
	if !pat.All() {
		asked.match = pat.Match
	}
	asked.from, asked.to = timeRange(in.StartTime, in.EndTime)
	if in.NextToken != "" {
		if asked.after, err = openFilterToken(in.NextToken); err != nil {
			return nil, err
		}
	}
	var got *page
	err = s.view(ctx, p, func(tx store.Tx, g *group) (err error) {
		q := asked
		q.keptBy(g, s.now())
		got, err = s.search(tx, g, in, &q)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.FilterLogEventsOutput{Events: make([]api.FilteredLogEvent, 0, len(got.events)), SearchedLogStreams: []api.SearchedLogStream{}}
	for i := range got.events {
		e := &got.events[i]
		out.Events = append(out.Events, api.FilteredLogEvent{
			LogStreamName: e.stream, Timestamp: &e.ms, Message: e.text, IngestionTime: &e.ingested, EventId: e.id(),
		})
	}
	switch {
	case got.next != nil:
		out.NextToken = filterToken(*got.next)
	case got.full && len(got.events) > 0:
		out.NextToken = filterToken(got.events[len(got.events)-1].position)
	}
	return out, nil
}

// search reads a page of the streams that a call names.
func (s *Service) search(tx store.Tx, g *group, in *api.FilterLogEventsInput, q *query) (*page, error) {
	for i, name := range in.LogStreamNames {
		st, err := findStream(tx, g, name)
		if err != nil {
			return nil, err
		}
		if i == 0 && len(in.LogStreamNames) == 1 {
			return s.readStream(tx, g, st, q)
		}
	}
	var want func(string) bool
	switch {
	case len(in.LogStreamNames) > 0:
		want = func(name string) bool { return slices.Contains(in.LogStreamNames, name) }
	case in.LogStreamNamePrefix != "":
		want = func(name string) bool { return strings.HasPrefix(name, in.LogStreamNamePrefix) }
	}
	return s.readGroup(tx, g, q, want)
}

func filterToken(p position) string { return base64.RawURLEncoding.EncodeToString([]byte(p.id())) }

func openFilterToken(token string) (*position, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, badToken()
	}
	p, ok := parseID(string(b))
	if !ok {
		return nil, badToken()
	}
	return &p, nil
}
