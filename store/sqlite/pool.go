package sqlite

import (
	"context"
	"errors"
	"sync"
)

// readPool keeps the connections that views read on. They open as needed; the
// one used last is taken first, so few stay in use when little goes on.
type readPool struct {
	file  string
	slots chan struct{} // one in it per connection in use

	mu   sync.Mutex
	free []*conn
}

func (p *readPool) init(file string, o Options) {
	n := o.Readers
	if n <= 0 {
		n = 32
	}
	p.file, p.slots = file, make(chan struct{}, n)
}

// maxFree bounds the idle connections; each holds a page cache.
const maxFree = 8

func (p *readPool) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := p.takeExtra()
	if err != nil {
		<-p.slots
	}
	return c, err
}

// takeExtra takes a connection without a slot.
func (p *readPool) takeExtra() (*conn, error) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return openConn(p.file, readerPragmas())
}

func (p *readPool) give(c *conn) {
	p.giveExtra(c)
	<-p.slots
}

// giveExtra gives a connection back that has no slot.
func (p *readPool) giveExtra(c *conn) {
	p.mu.Lock()
	keep := !c.broken && len(p.free) < maxFree
	if keep {
		p.free = append(p.free, c)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.close()
	}
}

func (p *readPool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, c := range p.free {
		errs = append(errs, c.close())
	}
	p.free = nil
	return errors.Join(errs...)
}
