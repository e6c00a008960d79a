package ec2

import (
	"context"
	"sync"
)

// locks are mutexes by name. They order this process's calls to the driver
// about one instance or one address; what is stored is ordered by transactions.
type locks struct {
	mu    sync.Mutex
	named map[string]*namedLock
}

type namedLock struct {
	held    chan struct{} // capacity 1: full while held
	waiting int
}

// lock waits for the name and returns the function that lets it go.
func (l *locks) lock(ctx context.Context, name string) (func(), error) {
	l.mu.Lock()
	if l.named == nil {
		l.named = map[string]*namedLock{}
	}
	n := l.named[name]
	if n == nil {
		n = &namedLock{held: make(chan struct{}, 1)}
		l.named[name] = n
	}
	n.waiting++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if n.waiting--; n.waiting == 0 {
			delete(l.named, name)
		}
	}
	select {
	case n.held <- struct{}{}:
		return func() { <-n.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
