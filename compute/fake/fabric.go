package fake

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/slipway/slipway/compute"
)

var _ compute.Fabric = (*Driver)(nil)

// Taken is nothing: this host has no networks of its own.
func (d *Driver) Taken(netip.Prefix) (netip.Prefix, error) { return netip.Prefix{}, nil }

// ApplyPolicy keeps the policy.
func (d *Driver) ApplyPolicy(_ context.Context, p compute.Policy) error {
	defer d.lock()()
	d.policy = p
	return nil
}

// Policy is the one that was applied last.
func (d *Driver) Policy() compute.Policy {
	defer d.lock()()
	return d.policy
}

// SetInterfaces keeps what an instance has beside its first address.
func (d *Driver) SetInterfaces(_ context.Context, h compute.Handle, list []compute.Interface) error {
	defer d.lock()()
	in, ok := d.instances[h.ID]
	if !ok {
		return fmt.Errorf("fake: interfaces of %s: %w", h.ID, compute.ErrGone)
	}
	in.spec.Interfaces = list
	return nil
}

// Interfaces are what an instance has beside its first address.
func (d *Driver) Interfaces(id string) []compute.Interface {
	defer d.lock()()
	if in, ok := d.instances[id]; ok {
		return in.spec.Interfaces
	}
	return nil
}

// Spec is what the instance was launched or last started with.
func (d *Driver) Spec(id string) compute.Spec {
	defer d.lock()()
	if in, ok := d.instances[id]; ok {
		return in.spec
	}
	return compute.Spec{}
}
