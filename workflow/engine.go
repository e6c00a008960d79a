package workflow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/slipway/slipway/store"
)

// Start takes the runs that this server left and those that nobody has, lets
// them go on, and returns. ctx bounds Start only; Stop ends the engine.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	if e.state != engineNew {
		e.mu.Unlock()
		return errors.New("workflow: an engine starts once")
	}
	e.state = engineStarted
	e.self.Incarnation = rand.Text()
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	self := e.self
	e.mu.Unlock()
	changed := e.store.Watch(e.ctx, leases.Prefix())
	err := e.store.Update(ctx, func(tx store.Tx) error {
		return servers.Put(tx, esc(self.Server), &server{Incarnation: self.Incarnation})
	})
	if err == nil {
		err = e.takeOver()
	}
	if err != nil {
		e.cancel()
		e.wg.Wait()
		return fmt.Errorf("start workflows: %w", err)
	}
	e.wg.Add(1)
	go e.loop(changed)
	return nil
}

// Stop interrupts the flows and waits until every step under way has returned.
// What they were doing goes on at the next Start. It is safe to call twice.
func (e *Engine) Stop() {
	e.mu.Lock()
	switch e.state {
	case engineNew:
		e.state = engineStopping
		close(e.stopped)
		e.mu.Unlock()
		return
	case engineStopping:
		e.mu.Unlock()
		<-e.stopped
		return
	}
	e.state = engineStopping
	e.mu.Unlock()
	defer close(e.stopped)
	e.cancel()
	e.wg.Wait()
	if e.dead.Load() {
		return
	}
	// Others need not wait for the lease to lapse.
	err := e.store.Update(context.Background(), func(tx store.Tx) error {
		s, err := servers.Get(tx, esc(e.self.Server))
		if err != nil || s.Incarnation != e.self.Incarnation {
			return err
		}
		return servers.Delete(tx, esc(e.self.Server))
	})
	if err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrNotFound) {
		e.log.Warn("workflow: give back the leases", "error", err)
	}
}

// loop starts what is begun here, shows life, takes over what others left, and
// purges. Errors are logged: the next round tries again.
func (e *Engine) loop(changed <-chan struct{}) {
	defer e.wg.Done()
	beat := time.NewTicker(e.cfg.LeaseTTL / 3)
	defer beat.Stop()
	last := time.Now() // sign of life
	for {
		select {
		case <-e.ctx.Done():
			return
		case _, ok := <-changed:
			if !ok {
				return // the store has closed
			}
			e.report("start runs", e.startBegun())
		case <-beat.C:
			if err := e.renew(); errors.Is(err, errLost) {
				e.log.Error("workflow: another server has taken this one's name; its runs end here", "server", e.self.Server)
				e.cancel()
				return
			} else if err != nil {
				e.report("show life", err)
			} else {
				if time.Since(last) > e.cfg.LeaseTTL {
					e.report("look for lost runs", e.dropLost())
				}
				last = time.Now()
			}
			e.report("take over runs", e.takeOver())
			e.report("start runs", e.startBegun())
			e.report("purge runs", e.purge())
		}
	}
}

func (e *Engine) report(what string, err error) {
	if err != nil && e.ctx.Err() == nil {
		e.log.Error("workflow: "+what, "error", err)
	}
}

// errLost is the loss of a lease to another engine.
var errLost = errors.New("workflow: the lease is another's")

func (e *Engine) renew() error {
	return e.store.Update(e.ctx, func(tx store.Tx) error {
		s, err := servers.Get(tx, esc(e.self.Server))
		if errors.Is(err, store.ErrNotFound) || err == nil && s.Incarnation != e.self.Incarnation {
			return errLost
		}
		if err != nil {
			return err
		}
		s.Beat++
		return servers.Put(tx, esc(e.self.Server), s)
	})
}

// dropLost ends the flows that others took while this engine showed no life.
// Their next entry would be refused; this spares them the work until then.
func (e *Engine) dropLost() error {
	e.mu.Lock()
	flows := make([]*running, 0, len(e.flows))
	for _, r := range e.flows {
		flows = append(flows, r)
	}
	e.mu.Unlock()
	return e.store.View(e.ctx, func(tx store.Tx) error {
		for _, r := range flows {
			doc, err := tx.Get(leases.Prefix() + esc(r.id))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if string(doc.Value) != string(r.leaseDoc) {
				r.interrupt()
				r.cancel()
			}
		}
		return nil
	})
}

// hintAge is how long Begin's transaction may take to commit. A run that
// commits later still is taken by takeOver.
const hintAge = time.Minute

// startBegun starts the runs of Begin that have been committed by now.
func (e *Engine) startBegun() error {
	e.mu.Lock()
	ids := make([]string, 0, len(e.hints))
	for id := range e.hints {
		ids = append(ids, id)
	}
	e.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	var mine, other []string
	err := e.store.View(e.ctx, func(tx store.Tx) error {
		mine, other = nil, nil
		for _, id := range ids {
			l, err := leases.Get(tx, esc(id))
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return err
			case l.heldBy(e.self):
				mine = append(mine, id)
			default:
				other = append(other, id) // begun before Start
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	for _, id := range append(other, mine...) {
		delete(e.hints, id)
	}
	for id, at := range e.hints {
		if time.Since(at) > hintAge {
			delete(e.hints, id)
		}
	}
	e.mu.Unlock()
	if len(other) > 0 {
		if err := e.take(other); err != nil {
			return err
		}
	}
	return e.launch(mine)
}

// sign is the last sign of life of a server, by this engine's own clock, so
// that clocks need not agree.
type sign struct {
	server
	at time.Time
}

// takeOver takes the runs that no live engine holds.
func (e *Engine) takeOver() error {
	var free []string
	err := e.store.View(e.ctx, func(tx store.Tx) error {
		free = nil
		live, err := e.liveServers(tx)
		if err != nil {
			return err
		}
		for l, err := range leases.Scan(tx, "") {
			if err != nil {
				return err
			}
			if e.free(*l.Value, live) {
				free = append(free, unesc(l.Key))
			}
		}
		return nil
	})
	for err == nil && len(free) > 0 {
		n := min(len(free), 500)
		err = e.take(free[:n])
		free = free[n:]
	}
	return err
}

func (e *Engine) free(l lease, live map[string]string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.registry[l.Workflow]; !known {
		return false
	}
	if l.heldBy(e.self) {
		return false
	}
	inc, ok := live[l.Server]
	return !ok || inc != l.Incarnation
}

// liveServers gives the incarnation of each server that shows life.
func (e *Engine) liveServers(tx store.Tx) (map[string]string, error) {
	live := map[string]string{}
	now := time.Now()
	for s, err := range servers.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		last, ok := e.seen[s.Key]
		if !ok || last.server != *s.Value {
			last = sign{server: *s.Value, at: now}
			e.seen[s.Key] = last
		}
		if now.Sub(last.at) < e.cfg.LeaseTTL {
			live[unesc(s.Key)] = s.Value.Incarnation
		}
	}
	return live, nil
}

// take makes this engine the holder of the runs, unless another was quicker.
func (e *Engine) take(ids []string) error {
	var mine []string
	err := e.store.Update(e.ctx, func(tx store.Tx) error {
		mine = nil
		for _, id := range ids {
			l, err := leases.Get(tx, esc(id))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			live, err := e.liveServers(tx)
			if err != nil {
				return err
			}
			if !e.free(*l, live) {
				continue
			}
			held := e.self
			held.Workflow = l.Workflow
			if err := leases.Put(tx, esc(id), &held); err != nil {
				return err
			}
			mine = append(mine, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(mine) > 0 {
		e.log.Info("workflow: runs go on here", "runs", len(mine), "server", e.self.Server)
	}
	return e.launch(mine)
}

// launch starts flows whose lease this engine holds.
func (e *Engine) launch(ids []string) error {
	for _, id := range ids {
		r := &running{e: e, id: id, lease: e.self}
		err := e.store.View(e.ctx, r.load)
		if errors.Is(err, store.ErrNotFound) {
			continue // ended meanwhile
		}
		if err != nil {
			e.mu.Lock()
			e.hints[id] = time.Now() // the next round tries again
			e.mu.Unlock()
			return err
		}
		e.mu.Lock()
		if _, on := e.flows[id]; on || e.ctx.Err() != nil {
			e.mu.Unlock()
			continue
		}
		r.ctx, r.cancel = context.WithCancel(e.ctx)
		e.flows[id] = r
		e.wg.Add(1)
		e.mu.Unlock()
		go r.run()
	}
	return nil
}

// crash is for Probe: the engine stops where it is and writes nothing more, as
// if its process had been killed. Stop then waits for what is under way.
func (e *Engine) crash() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dead.Store(true)
	e.cancel()
}

// Crashed says whether a Probe has had the engine die.
func (e *Engine) Crashed() bool { return e.dead.Load() }
