package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/compute/keeper"
)

var noAddress netip.Addr

// AssignAddress moves an elastic address to the instance.
func (d *Driver) AssignAddress(ctx context.Context, h compute.Handle, ip, private netip.Addr) error {
	in, release, err := d.Take(ctx, h)
	if err != nil {
		return fmt.Errorf("sandbox: assign %s: %w", ip, err)
	}
	err = d.assign(in, ip, private)
	release()
	if err != nil {
		return fmt.Errorf("sandbox: assign %s to %s: %w", ip, h.ID, err)
	}
	// Never while holding the new holder: two moves that cross would wait for each other.
	for _, other := range d.All() {
		if other != in && other.Record().Has(ip) {
			if err := d.dispossess(ctx, other, ip); err != nil {
				return fmt.Errorf("sandbox: take %s from %s: %w", ip, other.ID, err)
			}
		}
	}
	return nil
}

func (d *Driver) assign(in *keeper.Instance, ip, private netip.Addr) error {
	if !d.net.saved.Elastic.Contains(ip) {
		return fmt.Errorf("it is not within %s", d.net.saved.Elastic)
	}
	if private.IsValid() && !slices.Contains(own(in.Record().Spec), private) {
		return fmt.Errorf("the instance does not have %s", private)
	}
	err := in.Change(func(r *keeper.Record) {
		if !r.Has(ip) {
			r.Elastic = append(slices.Clone(r.Elastic), ip)
		}
		r.Behind = behind(*r, ip, private)
	})
	rec := in.Record()
	if err != nil || !rec.Process.Alive() {
		return err
	}
	// The new holder answers before the route leads there, so no packet is lost.
	if err := d.net.guard(d.net.port(in.ID), allowed(rec)...); err != nil {
		return err
	}
	if err := d.net.addElastic(rec.Process.PID, ip); err != nil {
		return err
	}
	d.net.translate(rec.Process.PID, rec)
	return d.net.routeElastic(ip, rec.Private(ip))
}

// behind is a record's private addresses behind elastic ones, changed for one of
// these. Records that were handed out keep their own.
func behind(r keeper.Record, ip, private netip.Addr) map[netip.Addr]netip.Addr {
	out := maps.Clone(r.Behind)
	delete(out, ip)
	if private.IsValid() && private != r.Spec.Address {
		if out == nil {
			out = map[netip.Addr]netip.Addr{}
		}
		out[ip] = private
	}
	return out
}

func (d *Driver) dispossess(ctx context.Context, in *keeper.Instance, ip netip.Addr) error {
	release, err := in.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return d.drop(in, ip)
}

// drop takes the address out of the instance, and then out of its record: a
// repetition after a crash finds what is left to do.
func (d *Driver) drop(in *keeper.Instance, ip netip.Addr) error {
	rec := in.Record()
	rest := rec
	rest.Elastic = slices.DeleteFunc(slices.Clone(rec.Elastic), func(a netip.Addr) bool { return a == ip })
	rest.Behind = behind(rec, ip, noAddress)
	if rec.Process.Alive() {
		if err := d.net.removeElastic(rec.Process.PID, ip); err != nil {
			return err
		}
		d.net.translate(rec.Process.PID, rest)
	}
	return in.Change(func(r *keeper.Record) { r.Elastic, r.Behind = rest.Elastic, rest.Behind })
}

// route leads the instance's elastic addresses to it, but for those that are on
// their way to another.
func (d *Driver) route(in *keeper.Instance) error {
	rec := in.Record()
	for _, ip := range rec.Elastic {
		if d.Elsewhere(in, ip) {
			continue
		}
		if err := d.net.routeElastic(ip, rec.Private(ip)); err != nil {
			return err
		}
	}
	return nil
}

// UnassignAddress takes an elastic address away.
func (d *Driver) UnassignAddress(ctx context.Context, h compute.Handle, ip netip.Addr) error {
	in, release, err := d.Take(ctx, h)
	if errors.Is(err, compute.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sandbox: unassign %s: %w", ip, err)
	}
	defer release()
	if !in.Record().Has(ip) {
		return nil
	}
	if err := errors.Join(d.unroute(in, ip), d.drop(in, ip)); err != nil {
		return fmt.Errorf("sandbox: unassign %s from %s: %w", ip, h.ID, err)
	}
	return nil
}

// unroute makes the address unreachable, unless it has moved on already.
func (d *Driver) unroute(in *keeper.Instance, ip netip.Addr) error {
	if d.Elsewhere(in, ip) {
		return nil
	}
	return d.net.routeElastic(ip, noAddress)
}
