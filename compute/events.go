package compute

import "sync"

// Events is an unbounded queue of events that coalesces: an instance that
// changes often while the reader is busy stands in it once. The driver that
// made it owns its goroutine and ends it with Close.
type Events struct {
	out  chan Event
	wake chan struct{}
	done chan struct{}
	gone chan struct{}
	once sync.Once

	mu      sync.Mutex
	order   []string
	pending map[string]bool
}

// NewEvents starts the queue.
func NewEvents() *Events {
	q := &Events{
		out:     make(chan Event),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		gone:    make(chan struct{}),
		pending: map[string]bool{},
	}
	go q.pump()
	return q
}

// Chan is what the reader receives from. It closes with the queue.
func (q *Events) Chan() <-chan Event { return q.out }

// Post tells that an instance may have changed. It never blocks.
func (q *Events) Post(id string) {
	q.mu.Lock()
	if !q.pending[id] {
		q.pending[id] = true
		q.order = append(q.order, id)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *Events) next() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return "", false
	}
	id := q.order[0]
	q.order = q.order[1:]
	delete(q.pending, id)
	return id, true
}

func (q *Events) pump() {
	defer close(q.gone)
	defer close(q.out)
	for {
		id, ok := q.next()
		if !ok {
			select {
			case <-q.wake:
				continue
			case <-q.done:
				return
			}
		}
		select {
		case q.out <- Event{ID: id}:
		case <-q.done:
			return
		}
	}
}

// Close ends the queue and drops what was not read. It is safe to call twice.
func (q *Events) Close() {
	q.once.Do(func() { close(q.done) })
	<-q.gone
}
