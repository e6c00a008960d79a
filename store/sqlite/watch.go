package sqlite

import (
	"context"
	"sync"
)

// watchers holds the watches by prefix and by the lengths of the prefixes, so
// that a changed key costs a look-up per length and not one per watch. The lengths
// are kept by how the prefixes begin: a service's keys meet its own watches only.
type watchers struct {
	mu      sync.Mutex
	closed  bool
	prefix  map[string]map[*watcher]struct{}
	lengths map[string]map[int]int // watches per length, by stem
}

// stemSize is how much of a key tells it from most others, in bytes.
const stemSize = 6

// stem is how a prefix begins; "" of a short one.
func stem(prefix string) string {
	if len(prefix) < stemSize {
		return ""
	}
	return prefix[:stemSize]
}

type watcher struct {
	ch   chan struct{}
	stop func() bool
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string) <-chan struct{} {
	w := &watcher{ch: make(chan struct{}, 1)}
	ws := &s.watch
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed || ctx.Err() != nil {
		close(w.ch)
		return w.ch
	}
	if ws.prefix == nil {
		ws.prefix, ws.lengths = map[string]map[*watcher]struct{}{}, map[string]map[int]int{}
	}
	if ws.prefix[prefix] == nil {
		ws.prefix[prefix] = map[*watcher]struct{}{}
	}
	ws.prefix[prefix][w] = struct{}{}
	if ws.lengths[stem(prefix)] == nil {
		ws.lengths[stem(prefix)] = map[int]int{}
	}
	ws.lengths[stem(prefix)][len(prefix)]++
	w.stop = context.AfterFunc(ctx, func() { ws.remove(prefix, w) })
	return w.ch
}

func (ws *watchers) remove(prefix string, w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if _, ok := ws.prefix[prefix][w]; !ok {
		return // closed with the store
	}
	delete(ws.prefix[prefix], w)
	if len(ws.prefix[prefix]) == 0 {
		delete(ws.prefix, prefix)
	}
	lengths := ws.lengths[stem(prefix)]
	if lengths[len(prefix)]--; lengths[len(prefix)] == 0 {
		delete(lengths, len(prefix))
	}
	if len(lengths) == 0 {
		delete(ws.lengths, stem(prefix))
	}
	close(w.ch)
}

// changed signals the watches of keys that were committed.
func (ws *watchers) changed(keys []string) {
	if len(keys) == 0 {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	short := ws.lengths[""]
	for _, key := range keys {
		ws.signal(key, short)
		if len(key) >= stemSize {
			ws.signal(key, ws.lengths[key[:stemSize]])
		}
	}
}

// signal signals the watches of a key whose prefixes have the lengths.
func (ws *watchers) signal(key string, lengths map[int]int) {
	for n := range lengths {
		if n > len(key) {
			continue
		}
		for w := range ws.prefix[key[:n]] {
			select {
			case w.ch <- struct{}{}:
			default: // a signal is pending
			}
		}
	}
}

func (ws *watchers) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for _, set := range ws.prefix {
		for w := range set {
			w.stop()
			close(w.ch)
		}
	}
	ws.prefix, ws.lengths = nil, nil
}
