package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// move is one public address to be put where the records say, and taken off the
// instance that had it.
type move struct {
	IP     netip.Addr
	Former string    `json:",omitempty"` // instance id
	Scope  arn.Scope // of the former instance
}

// moves is what the workflow of addresses is told. It says what to look at, not
// what to do: the records say that, when it looks.
type moves struct{ Moves []move }

// beginMoves begins the workflow that brings addresses where the records of this
// transaction say. Its id is new with each call.
func (s *Service) beginMoves(tx store.Tx, list ...move) (string, error) {
	id := flowAddress + "/" + arn.NewID("mv-")
	return id, s.cfg.Engine.Begin(tx, flowAddress, id, moves{list})
}

func (s *Service) addressFlow(f *workflow.Flow, p moves) error {
	for i, m := range p.Moves {
		_, err := workflow.Step(f, fmt.Sprintf("assert-%d", i), func(ctx context.Context, _ string) (struct{}, error) {
			return struct{}{}, s.assertAddress(ctx, m, nil)
		})
		if err == nil {
			continue
		}
		if !errors.Is(err, workflow.ErrInterrupted) {
			s.watch.placed.Store(false) // the records stand: the loop goes on with it
			s.loop.Wake()
		}
		return err
	}
	return nil
}

// awaitMoves waits until a workflow of addresses has done its work.
func (s *Service) awaitMoves(ctx context.Context, id string) error {
	if id == "" {
		return nil // nothing moves
	}
	st, err := s.cfg.Engine.Wait(ctx, id)
	if err == nil && st.State != workflow.Done {
		err = fmt.Errorf("ec2: addresses: %w", st.Err)
	}
	return err
}

// assertAddress makes the host agree with the records about one public address.
// fresh is the handle of an instance that was started just now and whose record
// does not say so yet.
func (s *Service) assertAddress(ctx context.Context, m move, fresh *compute.Handle) error {
	unlock, err := s.locks.lock(ctx, "address/"+m.IP.String())
	if err != nil {
		return err
	}
	defer unlock()
	var target *holding
	var former *instance
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		if target, err = holder(tx, m.IP); err != nil || m.Former == "" {
			return err
		}
		former, err = instances.Get(tx, instanceKey(m.Scope, m.Former))
		if errors.Is(err, store.ErrNotFound) {
			former, err = nil, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if former != nil && (target == nil || target.in.ID != former.ID) {
		if err := s.takeOff(ctx, former, m.IP); err != nil {
			return err
		}
	}
	if target == nil {
		return nil
	}
	return s.putOn(ctx, target.in, m.IP, fresh)
}

func (s *Service) takeOff(ctx context.Context, in *instance, ip netip.Addr) error {
	unlock, err := s.locks.lock(ctx, in.ID)
	if err != nil {
		return err
	}
	defer unlock()
	h, err := s.handle(ctx, in)
	if err != nil || h == nil {
		return err
	}
	if err := s.cfg.Driver.UnassignAddress(ctx, *h, ip); err != nil && !errors.Is(err, compute.ErrGone) {
		return err
	}
	return nil
}

// putOn gives an instance an address, if it still runs: a stopped one gets it
// when it starts.
func (s *Service) putOn(ctx context.Context, target *instance, ip netip.Addr, fresh *compute.Handle) error {
	unlock, err := s.locks.lock(ctx, target.ID)
	if err != nil {
		return err
	}
	defer unlock()
	var at *holding
	err = s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		at, err = holder(tx, ip)
		return err
	})
	if err != nil || at == nil || at.in.ID != target.ID {
		return err
	}
	now := at.in
	h := now.Handle
	if fresh != nil && fresh.ID == now.ID {
		h = fresh
	} else if now.State != running {
		return nil
	}
	if h == nil {
		return nil
	}
	if at.further && h != fresh {
		// What it stands for may be as new as itself.
		if err := s.setInterfacesOf(ctx, now.Scope, now.ID); err != nil {
			return err
		}
	}
	err = s.cfg.Driver.AssignAddress(ctx, *h, ip, at.private)
	if errors.Is(err, compute.ErrGone) {
		s.loop.Wake() // the instance was lost; the loop ends its record
		return nil
	}
	return err
}

// dropAddresses takes an instance's public addresses off the host.
func (s *Service) dropAddresses(ctx context.Context, in *instance, h compute.Handle) error {
	var publics []place
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		publics, err = publicsOf(tx, in)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range append(publics, place{public: in.Automatic}) {
		if !p.public.IsValid() {
			continue
		}
		if err := s.cfg.Driver.UnassignAddress(ctx, h, p.public); err != nil && !errors.Is(err, compute.ErrGone) {
			return err
		}
	}
	return nil
}
