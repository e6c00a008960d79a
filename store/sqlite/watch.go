package sqlite

import (
	"context"
	"sync"
)

// watchers holds the watches by prefix and by the lengths of the prefixes, so
// that a changed key costs a look-up per length and not one per watch.
type watchers struct {
	mu      sync.Mutex
	closed  bool
	prefix  map[string]map[*watcher]struct{}
	lengths map[int]int // watches per length
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
		ws.prefix, ws.lengths = map[string]map[*watcher]struct{}{}, map[int]int{}
	}
	if ws.prefix[prefix] == nil {
		ws.prefix[prefix] = map[*watcher]struct{}{}
	}
	ws.prefix[prefix][w] = struct{}{}
	ws.lengths[len(prefix)]++
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
	if ws.lengths[len(prefix)]--; ws.lengths[len(prefix)] == 0 {
		delete(ws.lengths, len(prefix))
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
	for _, key := range keys {
		for n := range ws.lengths {
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
