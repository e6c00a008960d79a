package logs

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/store"
)

// Bounds of a page of events ("GetLogEvents", "FilterLogEvents").
const (
	maxPageEvents = 10_000
	maxPageBytes  = 1 << 20
	// maxScan is how many bytes of blocks one call looks through, about. A page that
	// ends there has a token to go on with, and may be empty, as on AWS.
	maxScan = 64 << 20
)

// found is an event of a page.
type found struct {
	position
	text     string
	stream   string
	ingested int64
}

// query says which events are wanted.
type query struct {
	from, to int64     // ms: from <= event < to
	after    *position // events behind it
	before   *position // events in front of it
	back     bool      // the last ones, not the first ones
	limit    int
	match    func(text []byte) bool // nil: all
}

// keptBy bounds a query by what is kept of a group: what has expired is out of reach
// at once, also before the sweep has come by.
func (q *query) keptBy(g *group, now time.Time) {
	if g.Retention > 0 {
		q.from = max(q.from, now.AddDate(0, 0, -int(g.Retention)).UnixMilli())
	}
	if q.after != nil {
		q.from = max(q.from, q.after.ms)
	}
	if q.before != nil && q.before.ms < math.MaxInt64 {
		q.to = min(q.to, q.before.ms+1)
	}
}

func (q *query) wants(at position, text []byte) bool {
	return at.ms >= q.from && at.ms < q.to && (q.after == nil || at.compare(*q.after) > 0) &&
		(q.before == nil || at.compare(*q.before) < 0) && (q.match == nil || q.match(text))
}

// page gathers the events of a query. They come window by window: those of one
// window in any order, the windows in the query's.
type page struct {
	q       *query
	events  []found
	bytes   int
	full    bool
	scanned int
	next    *position // where the look ended that has seen enough
}

func (p *page) add(f found) {
	p.events = append(p.events, f)
	p.bytes += len(f.text) + overhead
	if len(p.events) > 2*p.q.limit || p.bytes > 4*maxPageBytes {
		p.settle()
	}
}

// settle puts the events in order, and cuts off what the page does not hold.
func (p *page) settle() {
	slices.SortFunc(p.events, func(a, b found) int {
		n := a.compare(b.position)
		if p.q.back {
			return -n
		}
		return n
	})
	n, size := 0, 0
	for ; n < len(p.events) && n < p.q.limit; n++ {
		size += len(p.events[n].text) + overhead
		if n > 0 && size > maxPageBytes {
			size -= len(p.events[n].text) + overhead
			break
		}
	}
	if n < len(p.events) || n == p.q.limit {
		p.full = true
	}
	p.events, p.bytes = p.events[:n], size
}

// take looks through a block.
func (s *Service) take(p *page, g *group, stream string, doc store.Doc) error {
	b, err := readBlock(doc)
	if err != nil {
		return err
	}
	p.scanned += len(doc.Value)
	ring, err := s.ringOf(g, b.key)
	if err != nil {
		return err
	}
	return b.each(ring, g.ID, func(at position, text []byte) bool {
		if p.q.wants(at, text) {
			p.add(found{at, string(text), stream, b.ingested})
		}
		return true
	})
}

// readStream reads a page of one stream's events.
func (s *Service) readStream(tx store.Tx, g *group, st *stream, q *query) (*page, error) {
	p := &page{q: q}
	if q.from >= q.to {
		return p, nil
	}
	root := eventsOf(g.ID, st.ID)
	begin, end := from(root, windowOf(q.from)*windowLength), store.PrefixEnd(root)
	if q.to < math.MaxInt64 {
		end = from(root, q.to)
	}
	scan := tx.Scan
	if q.back {
		scan = tx.ScanReverse
	}
	window := int64(-1)
	for doc, err := range scan(begin, end) {
		if err != nil {
			return nil, err
		}
		first, _, err := timeOf(doc.Key)
		if err != nil {
			return nil, err
		}
		if w := windowOf(first); w != window {
			if p.ends(window) {
				return p, nil
			}
			window = w
		}
		if err := s.take(p, g, st.Name, doc); err != nil {
			return nil, err
		}
	}
	p.settle()
	return p, nil
}

// ends is asked between two windows whether the page is done.
func (p *page) ends(window int64) bool {
	if window < 0 {
		return false
	}
	if p.settle(); p.full {
		return true
	}
	if p.scanned < maxScan {
		return false
	}
	p.next = &position{ms: (window + 1) * windowLength}
	if p.q.back {
		p.next.ms = window * windowLength
	}
	return true
}

// noted is a stream that has events in a window.
type noted struct {
	window   int64
	id, name string
}

func readNote(doc store.Doc, root string) (n noted, err error) {
	rest := strings.TrimPrefix(doc.Key, root)
	if len(rest) < 18 {
		return n, errBlock
	}
	var ms int64
	if ms, _, err = timeOf(rest[:16] + "0000000000000000"); err != nil {
		return n, err
	}
	n.window, n.id = ms, rest[17:]
	return n, json.Unmarshal(doc.Value, &n.name)
}

// readGroup reads a page of the events of a group's streams, those that want
// accepts, from the first on.
func (s *Service) readGroup(tx store.Tx, g *group, q *query, want func(name string) bool) (*page, error) {
	p := &page{q: q}
	if q.from >= q.to {
		return p, nil
	}
	root := windowRoot + g.ID + "/"
	begin, end := from(root, windowOf(q.from)), store.PrefixEnd(root)
	if q.to < math.MaxInt64 {
		end = from(root, windowOf(q.to-1)+1)
	}
	window := int64(-1)
	for doc, err := range tx.Scan(begin, end) {
		if err != nil {
			return nil, err
		}
		n, err := readNote(doc, root)
		if err != nil {
			return nil, err
		}
		if n.window != window {
			if p.ends(window) {
				return p, nil
			}
			window = n.window
		}
		if want != nil && !want(n.name) {
			continue
		}
		blocks := eventsOf(g.ID, n.id)
		for doc, err := range tx.Scan(from(blocks, window*windowLength), from(blocks, (window+1)*windowLength)) {
			if err == nil {
				err = s.take(p, g, n.name, doc)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	p.settle()
	return p, nil
}

// view reads from a group, again for each data key that is not open yet.
func (s *Service) view(ctx context.Context, p place, fn func(tx store.Tx, g *group) error) error {
	var g *group
	for range maxKeys + 1 {
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			if g, err = find(tx, p); err != nil {
				return err
			}
			return fn(tx, g)
		})
		var l lacking
		if !errors.As(err, &l) {
			return err
		}
		if err := s.openDataKey(ctx, p, g, l.key); err != nil {
			return err
		}
	}
	return errRaced
}
