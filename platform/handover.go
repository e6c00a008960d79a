package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the quiet that a hand-over waits for: no request under way, and none
// come, for so long.
const (
	quietFor    = 250 * time.Millisecond
	quietWithin = 25 * time.Second
)

// traffic knows the connections on which a client may be sending a request.
type traffic struct {
	mu     sync.Mutex
	busy   map[net.Conn]struct{}
	last   time.Time   // that a request began or ended
	ending atomic.Bool // answers end their connections
}

// watch is http.Server.ConnState.
func (t *traffic) watch(c net.Conn, state http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == nil {
		t.busy = map[net.Conn]struct{}{}
	}
	switch state {
	case http.StateNew, http.StateActive:
		t.busy[c] = struct{}{}
		t.last = time.Now()
	default:
		if _, ok := t.busy[c]; ok {
			delete(t.busy, c)
			t.last = time.Now()
		}
	}
}

// polite closes each connection with an answer once the hand-over has begun: a
// client that is told opens another one, which waits; a client whose connection
// just ends does not know what became of its request.
func (t *traffic) polite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t.ending.Load() {
			w = &lastAnswer{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
}

// lastAnswer says with its head that the connection ends.
type lastAnswer struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (w *lastAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader adds the header: the handlers clear those that were there before.
func (w *lastAnswer) WriteHeader(status int) {
	w.Header().Set("Connection", "close")
	w.ResponseWriter.WriteHeader(status)
}

func (t *traffic) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending.Store(true)
	t.last = time.Now()
}

func (t *traffic) quiet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.busy) == 0 && time.Since(t.last) >= quietFor
}

// Handover stops this Slipway and leaves its sockets open for the process that
// takes its place: clients that connect meanwhile wait. It returns what that
// process needs in its environment. Instances go on.
func (p *Platform) Handover(ctx context.Context) (env []string, err error) {
	// Copies: what the stop closes is not what the next process has. They stay open
	// for good.
	copies := map[string]*os.File{}
	for name, d := range p.doors {
		f, err := d.file()
		if err != nil {
			return nil, err
		}
		copies[name] = f
		p.handed = append(p.handed, f)
	}
	if err := notify("RELOADING=1"); err != nil {
		p.cfg.Logger.Warn("restart", "error", err)
	}
	for _, d := range p.doors {
		err = errors.Join(err, d.stopAccepting())
	}
	if err != nil {
		return nil, err
	}
	p.traffic.end()
	p.services.drain()
	p.awaitQuiet(ctx)
	if err := p.Stop(ctx); err != nil {
		p.cfg.Logger.Error("restart: the stop was not clean", "error", err)
	}
	// Not before the stop: until then workflows start processes of instances, which
	// would hold the sockets for as long as they live.
	var parts []string
	for name, f := range copies {
		fd, err := keepOnExec(f)
		if err != nil {
			return nil, fmt.Errorf("hand over the socket %q: %w", name, err)
		}
		parts = append(parts, fmt.Sprintf("%s:%d", name, fd))
	}
	return append(os.Environ(), inheritEnv+"="+strings.Join(parts, ",")), nil
}

// awaitQuiet waits until no request is under way, within bounds.
func (p *Platform) awaitQuiet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, quietWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !p.traffic.quiet() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
