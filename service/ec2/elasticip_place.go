package ec2

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// associatedWith lists the elastic IPs of a network interface.
func associatedWith(tx store.Tx, scope arn.Scope, iface string) ([]*address, error) {
	var out []*address
	for e, err := range addresses.ByIndex(tx, "interface", scope.Key()+"/"+iface) {
		if err != nil {
			return nil, err
		}
		out = append(out, e.Value)
	}
	return out, nil
}

// place is a public address with the private one that it stands for.
type place struct{ public, private netip.Addr }

// publicsOf lists the public addresses of an instance, on all of its interfaces.
func publicsOf(tx store.Tx, in *instance) ([]place, error) {
	var out []place
	if in.public().IsValid() {
		out = append(out, place{in.public(), in.Private})
	}
	others, err := associatedWith(tx, in.Scope, in.Interface)
	if err != nil {
		return nil, err
	}
	list, err := attachedTo(tx, in)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		more, err := associatedWith(tx, in.Scope, i.ID)
		if err != nil {
			return nil, err
		}
		others = append(others, more...)
	}
	for _, a := range others {
		if a.Private != in.Private {
			out = append(out, place{a.IP, a.Private})
		}
	}
	return out, nil
}

// holding is where the records put a public address.
type holding struct {
	in      *instance
	private netip.Addr
	further bool // by an interface or address beside the instance's first
}

// holder finds the instance that the records give a public address to.
func holder(tx store.Tx, ip netip.Addr) (*holding, error) {
	c, err := claimOf(tx, ip)
	if err != nil || c == nil {
		return nil, err
	}
	id, at := c.Owner, netip.Addr{}
	if !strings.HasPrefix(id, prefixInstance) {
		a, err := addressByID(tx, c.Scope, c.Owner)
		if err != nil {
			return nil, err
		}
		at = a.Private
		if id, err = a.carrier(tx); err != nil || id == "" {
			return nil, err
		}
	}
	in, err := instances.Get(tx, instanceKey(c.Scope, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !at.IsValid() {
		at = in.Private
	}
	return &holding{in, at, at != in.Private}, nil
}

// carrier is the id of the instance that an elastic IP is on, "" for none.
func (a *address) carrier(tx store.Tx) (string, error) {
	if a.Instance != "" || a.Interface == "" {
		return a.Instance, nil
	}
	i, err := interfaces.kept.Get(tx, interfaces.key(a.Scope, a.Interface))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil // a NAT gateway's
	}
	if err != nil {
		return "", err
	}
	return i.Instance, nil
}

// loseElastics takes the elastic IPs off private addresses that an interface no
// longer has, and lists what changes on the host by that.
func loseElastics(tx store.Tx, scope arn.Scope, iface string, gone func(netip.Addr) bool) ([]move, error) {
	list, err := associatedWith(tx, scope, iface)
	if err != nil {
		return nil, err
	}
	var out []move
	for _, a := range list {
		if !gone(a.Private) {
			continue
		}
		former, err := a.carrier(tx)
		if err != nil {
			return nil, err
		}
		a.detach()
		if err := a.save(tx); err != nil {
			return nil, err
		}
		out = append(out, move{IP: a.IP, Former: former, Scope: scope})
	}
	return out, nil
}

func anyAddress(netip.Addr) bool { return true }
