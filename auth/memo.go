package auth

import (
	"context"
	"sync"

	"github.com/slipway/slipway/store"
)

// Memo keeps what was looked up until the next change of the records that it was
// made of. A store signals a change before its update returns, so a look-up that
// begins later meets it.
type Memo[K comparable, V any] struct {
	changes []<-chan struct{}
	stop    context.CancelFunc

	mu    sync.RWMutex
	known map[K]V
	epoch int // grows with every change
}

// maxKept bounds the memory; a full memo starts afresh.
const maxKept = 4096

// NewMemo watches the records under the prefixes, until it is closed.
func NewMemo[K comparable, V any](st store.Store, prefixes ...string) *Memo[K, V] {
	ctx, stop := context.WithCancel(context.Background())
	m := &Memo[K, V]{stop: stop, known: map[K]V{}}
	for _, prefix := range prefixes {
		m.changes = append(m.changes, st.Watch(ctx, prefix))
	}
	return m
}

// Close ends the watches; the memo is not used after.
func (m *Memo[K, V]) Close() { m.stop() }

// Get finds what is kept under k, or looks it up. What cannot be found is not kept.
func (m *Memo[K, V]) Get(k K, find func() (V, error)) (V, error) {
	m.forget()
	m.mu.RLock()
	v, ok := m.known[k]
	epoch := m.epoch
	m.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := find()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// What was read before a change that another look-up has seen is stale.
	if m.epoch == epoch {
		if len(m.known) >= maxKept {
			clear(m.known)
		}
		m.known[k] = v
	}
	return v, nil
}

// forget drops everything where a record has changed since the last look. The
// signal is taken under the lock: who finds it gone finds the rest gone, too.
func (m *Memo[K, V]) forget() {
	for _, ch := range m.changes {
		if len(ch) == 0 {
			continue
		}
		m.mu.Lock()
		select {
		case <-ch:
			clear(m.known)
			m.epoch++
		default: // another look-up took it
		}
		m.mu.Unlock()
	}
}
