package logs

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// stream is a stored log stream. A put changes it, so it stands with the bulk data.
type stream struct {
	Name     string `json:"n"`
	ID       string `json:"i"`
	Created  int64  `json:"c"`           // ms, as all of these
	First    int64  `json:"f,omitempty"` // of the oldest event; 0 with no events
	Last     int64  `json:"l,omitempty"` // of the newest
	Ingested int64  `json:"g,omitempty"` // when the last put was
	Window   int64  `json:"w,omitempty"` // that it noted last; see writeBlocks
	Sequence uint64 `json:"s,omitempty"` // of the last put
	Token    string `json:"t,omitempty"` // of the durable step that made it
}

// streams are keyed by the group's id and the name.
var streams = store.NewCollection[stream](store.BulkPrefix + "logs/stream")

func streamKey(g *group, name string) string { return g.ID + "/" + name }

func noStream() error {
	return fault.New(fault.ResourceNotFoundException, "The specified log stream does not exist.")
}

func findStream(tx store.Tx, g *group, name string) (*stream, error) {
	st, err := streams.Get(tx, streamKey(g, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, noStream()
	}
	return st, err
}

var streamName = regexp.MustCompile(`^[^:*]{1,512}$`)

// CreateLogStream makes a log stream in a group.
func (s *Service) CreateLogStream(ctx context.Context, in *api.CreateLogStreamInput) (*api.CreateLogStreamOutput, error) {
	p := here(ctx, in.LogGroupName)
	call := auth.From(ctx)
	if !streamName.MatchString(in.LogStreamName) {
		return nil, invalid("Invalid LogGroup or LogStream name: 1 to 512 characters without ':' and '*'.")
	}
	st := stream{Name: in.LogStreamName, Created: s.now().UnixMilli(), Token: call.Token}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		g, err := find(tx, p)
		if err != nil {
			return err
		}
		was, err := streams.Get(tx, streamKey(g, st.Name))
		switch {
		case err == nil && call.Token != "" && was.Token == call.Token:
			return nil
		case err == nil:
			return fault.New(fault.ResourceAlreadyExists, "The specified log stream already exists")
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		st.ID = newID(tx)
		return streams.Put(tx, streamKey(g, st.Name), &st)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateLogStreamOutput{}, nil
}

// DeleteLogStream deletes a stream with its events.
func (s *Service) DeleteLogStream(ctx context.Context, in *api.DeleteLogStreamInput) (*api.DeleteLogStreamOutput, error) {
	p := here(ctx, in.LogGroupName)
	err := s.store.Update(ctx, func(tx store.Tx) error {
		g, err := find(tx, p)
		if err != nil {
			return err
		}
		st, err := findStream(tx, g, in.LogStreamName)
		if err != nil {
			return err
		}
		if g.Protected {
			return fault.New(fault.ValidationException, "The log group of the specified log stream has deletion protection enabled. Disable it before you delete the log stream.")
		}
		if err := discard(tx, g.ID+"/"+st.ID); err != nil {
			return err
		}
		return streams.Delete(tx, streamKey(g, st.Name))
	})
	if err != nil {
		return nil, err
	}
	s.sweep.Wake()
	return &api.DeleteLogStreamOutput{}, nil
}

// DescribeLogStreams lists a group's streams by name, or by their last events.
func (s *Service) DescribeLogStreams(ctx context.Context, in *api.DescribeLogStreamsInput) (*api.DescribeLogStreamsOutput, error) {
	p, err := identified(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	l := streamList{prefix: in.LogStreamNamePrefix, byTime: in.OrderBy == api.OrderByLastEventTime, desc: yes(in.Descending), limit: limitOf(in.Limit, maxDescribed)}
	if l.byTime && l.prefix != "" {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	if err := l.open(in.NextToken); err != nil {
		return nil, err
	}
	out := &api.DescribeLogStreamsOutput{LogStreams: []api.LogStream{}}
	err = s.store.View(ctx, func(tx store.Tx) error {
		g, err := find(tx, p)
		if err != nil {
			return err
		}
		page, more, err := l.read(tx, g)
		if err != nil {
			return err
		}
		out.LogStreams = out.LogStreams[:0]
		for _, st := range page {
			out.LogStreams = append(out.LogStreams, st.describe(p))
		}
		if out.NextToken = ""; more {
			out.NextToken, err = l.token(page[len(page)-1])
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (st *stream) describe(p place) api.LogStream {
	// The bytes of a stream are 0 on AWS since June 2019.
	d := api.LogStream{LogStreamName: st.Name, CreationTime: &st.Created, Arn: p.arn() + ":log-stream:" + st.Name, StoredBytes: new(int64(0))}
	if st.Ingested > 0 {
		d.LastIngestionTime, d.UploadSequenceToken = &st.Ingested, sequenceToken(st.Sequence)
	}
	if st.Last > 0 {
		d.FirstEventTimestamp, d.LastEventTimestamp = &st.First, &st.Last
	}
	return d
}

// streamList is what a list of streams is made by.
type streamList struct {
	prefix string
	byTime bool
	desc   bool
	limit  int
	after  *streamPosition
}

// streamPosition is where a list goes on: behind the stream that it names. Its JSON
// is the token.
type streamPosition struct {
	ByTime bool   `json:"b,omitempty"`
	Desc   bool   `json:"d,omitempty"`
	Prefix string `json:"p,omitempty"`
	Last   int64  `json:"l,omitempty"`
	Name   string `json:"n"`
}

func (l *streamList) token(last *stream) (string, error) {
	b, err := json.Marshal(streamPosition{l.byTime, l.desc, l.prefix, last.Last, last.Name})
	return base64.RawURLEncoding.EncodeToString(b), err
}

func (l *streamList) open(token string) error {
	if token == "" {
		return nil
	}
	l.after = &streamPosition{}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(b, l.after) != nil || l.after.ByTime != l.byTime || l.after.Desc != l.desc || l.after.Prefix != l.prefix {
		return badToken()
	}
	return nil
}

// read reads a page of the list.
func (l *streamList) read(tx store.Tx, g *group) (page []*stream, more bool, err error) {
	if l.byTime {
		return l.readByTime(tx, g)
	}
	base := streams.Prefix() + streamKey(g, l.prefix)
	from, to := base, store.PrefixEnd(base)
	scan := tx.Scan
	if l.desc {
		scan = tx.ScanReverse
		if l.after != nil {
			to = streams.Prefix() + streamKey(g, l.after.Name)
		}
	} else if l.after != nil {
		from = streams.Prefix() + streamKey(g, l.after.Name) + "\x00"
	}
	for doc, err := range scan(from, to) {
		if err != nil {
			return nil, false, err
		}
		if len(page) == l.limit {
			return page, true, nil
		}
		st := &stream{}
		if err := store.Decode(doc, st); err != nil {
			return nil, false, err
		}
		page = append(page, st)
	}
	return page, false, nil
}

// readByTime sorts the group's streams: an index by what every put changes would
// cost the puts more.
func (l *streamList) readByTime(tx store.Tx, g *group) (page []*stream, more bool, err error) {
	compare := func(last int64, name string, to *stream) int {
		n := cmp.Or(cmp.Compare(last, to.Last), strings.Compare(name, to.Name))
		if l.desc {
			return -n
		}
		return n
	}
	for e, err := range streams.Scan(tx, g.ID+"/") {
		if err != nil {
			return nil, false, err
		}
		if l.after == nil || compare(l.after.Last, l.after.Name, e.Value) < 0 {
			page = append(page, e.Value)
		}
	}
	slices.SortFunc(page, func(a, b *stream) int { return compare(a.Last, a.Name, b) })
	if len(page) > l.limit {
		return page[:l.limit], true, nil
	}
	return page, false, nil
}
