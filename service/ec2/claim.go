package ec2

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// claim says who has an address. There is one claim for an address in the whole
// store, over accounts and regions, so that none is handed out twice.
type claim struct {
	Scope arn.Scope `json:"scope"`
	Owner string    `json:"owner"` // i-… or eipalloc-…
}

var claims = store.NewCollection[claim]("ec2/claim")

// claimKey orders claims by address.
func claimKey(ip netip.Addr) string { return fmt.Sprintf("%08x", numberOf(ip)) }

func claimOf(tx store.Tx, ip netip.Addr) (*claim, error) {
	c, err := claims.Get(tx, claimKey(ip))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return c, err
}

// pool is a range of addresses that claims are taken from. Addresses from first
// to last are handed out, but for those in kept.
type pool struct {
	first, last netip.Addr
	kept        map[netip.Addr]bool
}

// privatePool is a subnet's addresses without the first four and the last, which
// AWS keeps in each subnet, and without what the host itself uses.
func privatePool(host compute.Network, p netip.Prefix) pool {
	first := numberOf(p.Masked().Addr())
	out := pool{first: addrOf(first + 4), last: addrOf(numberOf(last(p)) - 1), kept: map[netip.Addr]bool{}}
	for _, a := range []netip.Addr{host.Gateway, host.Metadata.Addr(), vpcPrefix(host).Addr(), last(vpcPrefix(host))} {
		if a.IsValid() {
			out.kept[a] = true
		}
	}
	return out
}

// elasticPools are the driver's elastic addresses in two halves: elastic IPs are
// taken from the lower half first, automatic public addresses from the upper
// half only, so that instances cannot use up what users allocate.
func elasticPools(host compute.Network) (elastic, automatic pool, ok bool) {
	p := host.Elastic
	if !p.IsValid() || size(p) < 8 {
		return pool{}, pool{}, false
	}
	first, end := numberOf(p.Masked().Addr()), numberOf(last(p))
	middle := first + uint32(size(p)/2)
	kept := map[netip.Addr]bool{host.Gateway: true, host.Metadata.Addr(): true}
	return pool{addrOf(first + 1), addrOf(middle - 1), kept}, pool{addrOf(middle), addrOf(end - 1), kept}, true
}

func (p pool) contains(a netip.Addr) bool {
	return a.Is4() && !a.Less(p.first) && !p.last.Less(a) && !p.kept[a]
}

// free is how many addresses are not claimed.
func (p pool) free(tx store.Tx) (int, error) {
	total := int(numberOf(p.last)) - int(numberOf(p.first)) + 1
	for a := range p.kept {
		if a.Is4() && !a.Less(p.first) && !p.last.Less(a) {
			total--
		}
	}
	taken, err := p.taken(tx)
	return max(0, total-len(taken)), err
}

func (p pool) taken(tx store.Tx) (map[netip.Addr]bool, error) {
	taken := map[netip.Addr]bool{}
	from, to := claims.Prefix()+claimKey(p.first), claims.Prefix()+claimKey(p.last)+"\x00"
	for doc, err := range tx.Scan(from, to) {
		if err != nil {
			return nil, err
		}
		var n uint32
		if _, err := fmt.Sscanf(doc.Key[len(claims.Prefix()):], "%08x", &n); err != nil {
			return nil, fmt.Errorf("ec2: claim %q: %w", doc.Key, err)
		}
		taken[addrOf(n)] = true
	}
	return taken, nil
}

// tries is how many random addresses take looks at before it lists what is left.
const tries = 8

// take claims a free address of the pool. It is a random one, so that an address
// that was just given back is not soon another's. ok is false where none is left.
func (p pool) take(tx store.Tx, c claim) (a netip.Addr, ok bool, err error) {
	lo := numberOf(p.first)
	span := numberOf(p.last) - lo + 1
	for range tries {
		a := addrOf(lo + rand.Uint32N(span))
		if !p.contains(a) {
			continue
		}
		if ok, err := grab(tx, a, c); ok || err != nil {
			return a, ok, err
		}
	}
	taken, err := p.taken(tx)
	if err != nil {
		return netip.Addr{}, false, err
	}
	for i := range span {
		a := addrOf(lo + i)
		if p.contains(a) && !taken[a] {
			ok, err := grab(tx, a, c)
			return a, ok, err
		}
	}
	return netip.Addr{}, false, nil
}

// grab claims one address, if nobody has it.
func grab(tx store.Tx, a netip.Addr, c claim) (bool, error) {
	err := claims.Insert(tx, claimKey(a), &c)
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// release gives an address back, if it is still the owner's.
func release(tx store.Tx, a netip.Addr, owner string) error {
	if !a.IsValid() {
		return nil
	}
	c, err := claimOf(tx, a)
	if err != nil || c == nil || c.Owner != owner {
		return err
	}
	return claims.Delete(tx, claimKey(a))
}

// takePrivate claims a subnet's address: the one asked for, or a free one.
func (s *Service) takePrivate(tx store.Tx, sub subnet, asked netip.Addr, c claim) (netip.Addr, error) {
	p := privatePool(s.cfg.Driver.Network(), sub.Prefix)
	if !asked.IsValid() {
		a, ok, err := p.take(tx, c)
		if err == nil && !ok {
			err = fault.New(fault.InsufficientFreeAddresses,
				"There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", sub.ID)
		}
		return a, err
	}
	if !sub.Prefix.Contains(asked) {
		return netip.Addr{}, fault.New(fault.InvalidParameterValue, "Address %s does not fall within the subnet's address range", asked)
	}
	if !p.contains(asked) {
		return netip.Addr{}, fault.New(fault.InvalidParameterValue, "Address %s is in subnet's reserved address range", asked)
	}
	ok, err := grab(tx, asked, c)
	if err == nil && !ok {
		err = fault.New(fault.InvalidIPAddressInUse, "Address %s is in use.", asked)
	}
	return asked, err
}

// takeAutomatic claims a public address for an instance. Where the host has no
// elastic addresses, or none is left for this, the instance goes without.
func (s *Service) takeAutomatic(tx store.Tx, c claim) (netip.Addr, error) {
	_, automatic, ok := elasticPools(s.cfg.Driver.Network())
	if !ok {
		return netip.Addr{}, nil
	}
	a, ok, err := automatic.take(tx, c)
	if err != nil || !ok {
		return netip.Addr{}, err
	}
	return a, nil
}
