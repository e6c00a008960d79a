package ec2

import (
	"errors"
	"net/netip"

	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// moveAddress gives a launch whose address is busy another one, unless the
// caller asked for that very address.
func (s *Service) moveAddress(tx store.Tx, p transition) (bool, error) {
	in, err := current(tx, p)
	if err != nil || in == nil || in.Fixed {
		return false, err
	}
	sub, err := subnets.get(s, tx, in.Scope, in.Subnet)
	if err != nil {
		return false, err
	}
	old := in.Private
	if in.Private, err = s.takePrivate(tx, *sub, netip.Addr{}, claim{in.Scope, in.ID}); err != nil {
		return false, err
	}
	if err := release(tx, old, in.ID); err != nil {
		return false, err
	}
	return true, in.save(tx)
}

// readdress gives an instance that starts in a default VPC an address of the range
// that the host has for these, where its own is of another host's.
func (s *Service) readdress(f *workflow.Flow, p transition) error {
	_, err := workflow.Tx(f, "readdress", func(tx store.Tx) (struct{}, error) {
		in, err := current(tx, p)
		if err != nil || in == nil {
			return struct{}{}, err
		}
		sub, err := subnets.get(s, tx, in.Scope, in.Subnet)
		if err != nil || !sub.Default || sub.Prefix.Contains(in.Private) {
			return struct{}{}, err
		}
		if _, err := interfaces.kept.Get(tx, interfaces.key(in.Scope, in.Interface)); !errors.Is(err, store.ErrNotFound) {
			return struct{}{}, err // the address is an interface's, which was made with it
		}
		old := in.Private
		if in.Private, err = s.takePrivate(tx, *sub, netip.Addr{}, claim{in.Scope, in.ID}); err != nil {
			return struct{}{}, err
		}
		s.log.Warn("ec2: an instance has another private address: its own is not of this host's range", "instance", in.ID, "was", old, "is", in.Private)
		return struct{}{}, firstError(release(tx, old, in.ID), in.save(tx))
	})
	return err
}
