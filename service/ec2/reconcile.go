package ec2

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// keepTerminated is how long a terminated instance is still described.
const keepTerminated = time.Hour

// watch is the goroutine that reads the driver's events.
type watch struct {
	mu      sync.Mutex
	cancel  context.CancelFunc
	done    chan struct{}
	started bool
	stopped bool
	looked  time.Time   // for disks that are gone; the loop's own
	placed  atomic.Bool // addresses were asserted since the start, and none has failed to move since
}

// Start begins to reconcile. Call it once the engine has started.
func (s *Service) Start(ctx context.Context) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	if s.watch.started || s.watch.stopped {
		return
	}
	s.watch.started = true
	if !s.cfg.Driver.Network().Routed {
		s.log.Warn("this compute driver does not enforce security groups, and has the default VPC only", "driver", s.cfg.Driver.Name())
	}
	ctx, s.watch.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.watch.done = make(chan struct{})
	s.loop.Start(ctx)
	go s.readEvents(ctx)
}

// readEvents wakes the loop whenever the driver says that something changed.
func (s *Service) readEvents(ctx context.Context) {
	defer close(s.watch.done)
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-s.cfg.Driver.Events():
			if !ok {
				return
			}
			s.loop.Wake()
		}
	}
}

// Stop ends the loop and the reader of events, and waits for both. Instances go
// on. It is safe to call twice.
func (s *Service) Stop() {
	s.watch.mu.Lock()
	s.watch.stopped = true
	started := s.watch.started
	s.watch.mu.Unlock()
	if !started {
		return
	}
	s.watch.cancel()
	s.loop.Stop()
	<-s.watch.done
}

// reconcile compares every record with the host, and begins a workflow for each
// difference. It decides by records and what the driver says; workflows act.
func (s *Service) reconcile(ctx context.Context) error {
	// The list comes before the records: what is launched in between has one.
	handles, err := s.cfg.Driver.List(ctx)
	if err != nil {
		return fmt.Errorf("list the host's instances: %w", err)
	}
	var all []*instance
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		all = nil
		for e, err := range instances.Scan(tx, "") {
			if err != nil {
				return err
			}
			all = append(all, e.Value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var errs []error
	known := map[string]bool{}
	for _, in := range all {
		known[in.ID] = in.State != terminated
		if err := s.reconcileOne(ctx, in); err != nil {
			errs = append(errs, fmt.Errorf("instance %s: %w", in.ID, err))
		}
	}
	for _, h := range handles {
		if !known[h.ID] {
			errs = append(errs, s.removeOrphan(ctx, h))
		}
	}
	errs = append(errs, s.enforce(ctx), s.purgeNATs(ctx), s.loseDisks(ctx))
	if !s.watch.placed.Load() {
		errs = append(errs, s.placeAddresses(ctx, all))
	}
	return errors.Join(append(errs, s.purge(ctx, all))...)
}

func (s *Service) reconcileOne(ctx context.Context, in *instance) error {
	switch in.State {
	case running, stopped:
		return s.compare(ctx, in)
	case terminated:
		return nil
	}
	return s.revive(ctx, in)
}

// compare looks at an instance that is to be in a settled state.
func (s *Service) compare(ctx context.Context, seen *instance) error {
	unlock, err := s.locks.lock(ctx, seen.ID)
	if err != nil {
		return err
	}
	defer unlock()
	p := transition{Scope: seen.Scope, ID: seen.ID, Generation: seen.Generation}
	var in *instance
	err = s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		in, err = current(tx, p)
		return err
	})
	if err != nil || in == nil || in.Handle == nil {
		return err
	}
	st, err := s.cfg.Driver.Describe(ctx, *in.Handle)
	if err != nil {
		return err
	}
	if agree(in, st.State) {
		return nil
	}
	s.log.Info("ec2: an instance is not as recorded", "instance", in.ID, "record", in.State, "host", st.State, "reason", st.Reason)
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		in, err := current(tx, p)
		if err != nil || in == nil {
			return err
		}
		if busy, err := s.rebooting(tx, in); busy || err != nil {
			return err
		}
		return s.amend(tx, in, st)
	})
}

// rebooting says whether a reboot of the instance is under way: it may have been
// interrupted between its halves, and goes on.
func (s *Service) rebooting(tx store.Tx, in *instance) (bool, error) {
	if in.Rebooting == "" {
		return false, nil
	}
	st, err := s.cfg.Engine.Get(tx, in.Rebooting)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && st.State == workflow.Running, err
}

func agree(in *instance, host compute.State) bool {
	return in.State == running && host == compute.Running || in.State == stopped && host == compute.Stopped
}

// amend begins what brings a record and the host together again.
func (s *Service) amend(tx store.Tx, in *instance, st compute.Status) error {
	switch {
	case st.State == compute.Gone:
		return s.askTerminate(tx, in, serverError("the instance is gone from its host"), "Server.InternalError")
	case in.State == stopped:
		in.enter(stopping, in.Reason, in.Transition)
		if err := in.save(tx); err != nil {
			return err
		}
		return s.transitionWith(tx, flowStop, in, true)
	case st.Restored:
		// Whether it is to run here, too, is for its owner to say.
		return s.askStop(tx, in, serverError(st.Reason), "Server.InternalError", true)
	case in.Boot != s.cfg.Boot:
		// The host was restarted, and the instance with it: it runs again.
		in.enter(pending, nil, "")
		if err := s.renewAutomatic(tx, in); err != nil {
			return err
		}
		if err := in.save(tx); err != nil {
			return err
		}
		return s.transition(tx, flowStart, in)
	case in.OnShutdown == onShutdownTerminate:
		return s.askTerminate(tx, in, &selfStopped, "")
	}
	return s.askStop(tx, in, &selfStopped, "", false)
}

// flowOf is the workflow that takes an instance out of a passing state.
func flowOf(in *instance) string {
	switch in.State {
	case stopping:
		return flowStop
	case shuttingDown:
		return flowTerminate
	case pending:
		if in.Handle != nil {
			return flowStart
		}
		return flowLaunch
	}
	return ""
}

// revive begins the workflow of a passing state anew where it has ended without
// reaching its goal.
func (s *Service) revive(ctx context.Context, seen *instance) error {
	p := transition{Scope: seen.Scope, ID: seen.ID, Generation: seen.Generation}
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		in, err := current(tx, p)
		if err != nil || in == nil || in.State != seen.State {
			return err
		}
		flow := flowOf(in)
		st, err := s.cfg.Engine.Get(tx, flowID(flow, in.ID, in.Generation))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && st.State == workflow.Running {
			return nil
		}
		s.log.Warn("ec2: begin an unfinished transition again", "instance", in.ID, "state", in.State, "error", st.Err)
		in.enter(in.State, in.Reason, in.Transition)
		if err := in.save(tx); err != nil {
			return err
		}
		return s.transitionWith(tx, flow, in, true)
	})
}

// removeOrphan terminates what is on the host and on no record.
func (s *Service) removeOrphan(ctx context.Context, h compute.Handle) error {
	unlock, err := s.locks.lock(ctx, h.ID)
	if err != nil {
		return err
	}
	defer unlock()
	s.log.Warn("ec2: remove an instance that is on no record", "instance", h.ID)
	return s.cfg.Driver.Terminate(ctx, h)
}

// placeAddresses asserts all public addresses and interfaces once after a start, as a crash may
// have come between a record and the host, and again after a move that failed.
func (s *Service) placeAddresses(ctx context.Context, all []*instance) error {
	s.watch.placed.Store(true) // before it looks: a move that fails meanwhile counts
	var errs []error
	for _, in := range all {
		if in.State != running {
			continue
		}
		errs = append(errs, s.setInterfaces(ctx, in.Scope, in.ID))
		var publics []place
		errs = append(errs, s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
			publics, err = publicsOf(tx, in)
			return err
		}))
		for _, p := range publics {
			errs = append(errs, s.assertAddress(ctx, move{IP: p.public}, nil))
		}
	}
	err := errors.Join(errs...)
	if err != nil {
		s.watch.placed.Store(false)
	}
	return err
}

// purge forgets instances that were terminated long ago, and what remembered them.
func (s *Service) purge(ctx context.Context, all []*instance) error {
	old := map[string]bool{}
	for _, in := range all {
		if in.State == terminated && s.now().Sub(in.Ended) > keepTerminated {
			old[in.ID] = true
		}
	}
	if len(old) == 0 {
		return nil
	}
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		for _, in := range all {
			if !old[in.ID] {
				continue
			}
			if err := errors.Join(dropTags(tx, in.Scope, in.ID), instances.Delete(tx, in.key())); err != nil {
				return err
			}
		}
		return purgeTokens(tx, old)
	})
}

func purgeTokens(tx store.Tx, old map[string]bool) error {
	var done []string
	for e, err := range launchTokens.Scan(tx, "") {
		if err != nil {
			return err
		}
		if len(e.Value.Instances) > 0 && old[e.Value.Instances[0]] {
			done = append(done, e.Key)
		}
	}
	for _, key := range done {
		if err := launchTokens.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}
