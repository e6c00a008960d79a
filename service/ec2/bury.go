package ec2

import (
	"net/netip"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// bury gives back all that an instance had.
func (s *Service) bury(tx store.Tx, in *instance) error {
	end := s.endFirst
	if in.keepsFirst() {
		end = s.letGo
	}
	if err := firstError(release(tx, in.Automatic, in.ID), end(tx, in), s.unplug(tx, in), s.releaseVolumes(tx, in)); err != nil {
		return err
	}
	in.State, in.Handle, in.Elastic, in.Automatic, in.Private, in.Secondary = terminated, nil, nil, netip.Addr{}, netip.Addr{}, nil
	in.Ended = s.now()
	return in.save(tx)
}

// endFirst ends a dead instance's primary interface.
func (s *Service) endFirst(tx store.Tx, in *instance) error {
	for _, ip := range append([]netip.Addr{in.Private}, in.Secondary...) {
		if err := release(tx, ip, in.ID); err != nil {
			return err
		}
	}
	if in.Elastic != nil {
		a, err := addressByID(tx, in.Scope, in.Elastic.Allocation)
		if err == nil && a.Instance == in.ID {
			a.detach()
			err = a.save(tx)
		}
		if err != nil && !fault.Is(err, fault.InvalidAllocationIDNotFound) {
			return err
		}
	}
	_, err := loseElastics(tx, in.Scope, in.Interface, anyAddress)
	return firstError(err, dropTags(tx, in.Scope, in.Interface))
}
