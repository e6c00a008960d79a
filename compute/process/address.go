//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/keeper"
)

// AssignAddress moves an elastic address to the instance: what connects to it
// is forwarded to the ports on which the instance listens.
func (d *Driver) AssignAddress(ctx context.Context, h compute.Handle, ip, _ netip.Addr) error {
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return fmt.Errorf("process: assign %s: %w", ip, err)
	}
	err = d.assign(in, ip)
	release()
	if err != nil {
		return fmt.Errorf("process: assign %s to %s: %w", ip, h.ID, err)
	}
	// Never while holding the new holder: two moves that cross would wait for each other.
	for _, other := range d.All() {
		if other == in || !other.Record().Has(ip) {
			continue
		}
		release, err := other.Hold(ctx)
		if err == nil {
			err = drop(other, ip)
			release()
		}
		if err != nil {
			return fmt.Errorf("process: take %s from %s: %w", ip, other.ID, err)
		}
	}
	return nil
}

func (d *Driver) assign(in *keeper.Instance, ip netip.Addr) error {
	if !d.network.Elastic.IsValid() {
		return fmt.Errorf("this host has no elastic addresses; 'slipway doctor' says what to do: %w", compute.ErrUnsupported)
	}
	if !d.network.Elastic.Contains(ip) {
		return fmt.Errorf("it is not within %s", d.network.Elastic)
	}
	if err := d.onHost(ip); err != nil {
		return err
	}
	err := in.Change(func(r *keeper.Record) {
		if !r.Has(ip) {
			r.Elastic = append(slices.Clone(r.Elastic), ip)
		}
	})
	if rec := in.Record(); err == nil && rec.Process.Alive() {
		d.forward(ip, rec.Spec.Address)
	}
	return err
}

func drop(in *keeper.Instance, ip netip.Addr) error {
	return in.Change(func(r *keeper.Record) {
		r.Elastic = slices.DeleteFunc(slices.Clone(r.Elastic), func(a netip.Addr) bool { return a == ip })
	})
}

// UnassignAddress takes an elastic address away.
func (d *Driver) UnassignAddress(ctx context.Context, h compute.Handle, ip netip.Addr) error {
	in, release, err := d.Take(ctx, h)
	if errors.Is(err, compute.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process: unassign %s: %w", ip, err)
	}
	defer release()
	if !in.Record().Has(ip) {
		return nil
	}
	d.unforward(ip, in.Record().Spec.Address)
	if err := drop(in, ip); err != nil {
		return fmt.Errorf("process: unassign %s from %s: %w", ip, h.ID, err)
	}
	return nil
}

// forward serves the elastic address with the instance at target.
func (d *Driver) forward(ip, target netip.Addr) {
	d.mu.Lock()
	old := d.forwards[ip]
	if old != nil && old.target == target {
		d.mu.Unlock()
		return
	}
	delete(d.forwards, ip)
	d.mu.Unlock()
	if old != nil {
		old.close()
	}
	f := newForward(ip, target)
	d.mu.Lock()
	other := d.forwards[ip]
	d.forwards[ip] = f
	d.mu.Unlock()
	if other != nil { // two moves at once: the later one has it
		other.close()
	}
}

// unforward ends the service of the elastic address if target has it.
func (d *Driver) unforward(ip, target netip.Addr) {
	d.mu.Lock()
	f := d.forwards[ip]
	if f != nil && f.target == target {
		delete(d.forwards, ip)
	} else {
		f = nil
	}
	d.mu.Unlock()
	if f != nil {
		f.close()
	}
}

// forward is one elastic address: a listener for each port on which the
// instance listens, looked up a few times a second. What the instance listens on
// by the wildcard address answers at the elastic address by itself.
type forward struct {
	ip, target netip.Addr
	cancel     context.CancelFunc
	done       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// lookEvery is how soon a port that the instance opens is open at its elastic address.
const lookEvery = 100 * time.Millisecond

func newForward(ip, target netip.Addr) *forward {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forward{ip: ip, target: target, cancel: cancel, conns: map[net.Conn]bool{}}
	listeners := map[uint16]net.Listener{}
	f.follow(listeners) // at once, so that a move is done when the call returns
	f.done.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				for _, l := range listeners {
					_ = l.Close()
				}
				return
			case <-tick.C:
				f.follow(listeners)
			}
		}
	})
	return f
}

// follow opens and closes listeners after what the instance listens on.
func (f *forward) follow(listeners map[uint16]net.Listener) {
	ports := listening(f.target)
	for port, l := range listeners {
		if !ports[port] {
			_ = l.Close()
			delete(listeners, port)
		}
	}
	for port := range ports {
		if listeners[port] != nil {
			continue
		}
		l, err := net.Listen("tcp4", netip.AddrPortFrom(f.ip, port).String())
		if err != nil {
			continue // taken by the wildcard, or no right to a low port
		}
		listeners[port] = l
		f.done.Go(func() { f.accept(l, port) })
	}
}

func (f *forward) accept(l net.Listener, port uint16) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f.done.Go(func() { f.carry(c, port) })
	}
}

// carry copies both ways until both sides have closed.
func (f *forward) carry(c net.Conn, port uint16) {
	defer c.Close()
	to, err := net.DialTimeout("tcp4", netip.AddrPortFrom(f.target, port).String(), 5*time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	if !f.track(c, to) {
		return
	}
	defer f.untrack(c, to)
	var both sync.WaitGroup
	pipe := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		_ = dst.(*net.TCPConn).CloseWrite()
	}
	both.Go(func() { pipe(to, c) })
	both.Go(func() { pipe(c, to) })
	both.Wait()
}

func (f *forward) track(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns == nil {
		return false
	}
	for _, c := range conns {
		f.conns[c] = true
	}
	return true
}

func (f *forward) untrack(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.conns, c)
	}
}

// close ends the forwarding and cuts its connections.
func (f *forward) close() {
	f.cancel()
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
	f.mu.Unlock()
	f.done.Wait()
}
