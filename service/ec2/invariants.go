package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/store"
)

// CheckInvariants finds where records contradict each other or the host. It is
// for a moment when no transition is under way, and names what is wrong.
func CheckInvariants(ctx context.Context, tx store.Tx, driver compute.Driver) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("ec2: "+format, args...)) }
	owners := map[netip.Addr]string{}
	own := func(ip netip.Addr, who string) {
		if !ip.IsValid() {
			return
		}
		if other, twice := owners[ip]; twice {
			wrong("address %s belongs to %s and %s", ip, other, who)
		}
		owners[ip] = who
	}
	living := map[string]*instance{}
	for e, err := range instances.Scan(tx, "") {
		if err != nil {
			return err
		}
		in := e.Value
		if in.State == terminated {
			continue
		}
		living[in.ID] = in
		own(in.Private, in.ID)
		own(in.Automatic, in.ID)
		for _, a := range in.Secondary {
			own(a, in.ID)
		}
		if err := checkOnHost(ctx, in, driver); err != nil {
			errs = append(errs, err)
		}
	}
	for e, err := range addresses.Scan(tx, "") {
		if err != nil {
			return err
		}
		a := e.Value
		own(a.IP, a.ID)
		errs = append(errs, checkElasticOf(tx, a, living[a.Instance]))
	}
	for _, in := range living {
		if in.Elastic == nil {
			continue
		}
		if a, err := addressByID(tx, in.Scope, in.Elastic.Allocation); err != nil || a.Instance != in.ID {
			wrong("%s has elastic IP %s, which is not associated with it", in.ID, in.Elastic.Allocation)
		}
	}
	if err := ownedByNetworks(tx, own); err != nil {
		return err
	}
	errs = append(errs, checkVolumes(ctx, tx, living, driver), checkClaims(tx, owners), checkStrays(ctx, living, driver))
	return errors.Join(errs...)
}

// checkElasticOf looks whether what an elastic IP is on has it: in is the instance
// whose primary interface that is.
func checkElasticOf(tx store.Tx, a *address, in *instance) error {
	switch {
	case a.Interface == "" || a.NAT != "":
		return nil
	case a.Instance == "":
		i, err := interfaces.kept.Get(tx, interfaces.key(a.Scope, a.Interface))
		if err != nil || !slices.Contains(i.addresses(), a.Private) {
			return fmt.Errorf("ec2: elastic IP %s stands for %s of %s, which does not have it: %w", a.ID, a.Private, a.Interface, err)
		}
		return nil
	case in != nil && slices.Contains(in.Secondary, a.Private):
		return nil
	case in == nil || in.Elastic == nil || in.Elastic.Allocation != a.ID:
		return fmt.Errorf("ec2: elastic IP %s is associated with %s, which does not have it", a.ID, a.Instance)
	}
	return nil
}

// ownedByNetworks tells of the addresses of network interfaces and NAT gateways.
func ownedByNetworks(tx store.Tx, own func(netip.Addr, string)) error {
	for e, err := range interfaces.kept.Scan(tx, "") {
		if err != nil {
			return err
		}
		for _, a := range e.Value.addresses() {
			own(a, e.Value.ID)
		}
	}
	for e, err := range nats.kept.Scan(tx, "") {
		if err != nil {
			return err
		}
		if e.Value.available() {
			own(e.Value.Private, e.Value.ID)
		}
	}
	return nil
}

// checkOnHost compares one record with the driver.
func checkOnHost(ctx context.Context, in *instance, driver compute.Driver) error {
	switch in.State {
	case running, stopped:
	default:
		return fmt.Errorf("ec2: %s is still %s", in.ID, in.State)
	}
	if in.Handle == nil {
		return fmt.Errorf("ec2: %s is %s and has no handle", in.ID, in.State)
	}
	st, err := driver.Describe(ctx, *in.Handle)
	if err != nil {
		return err
	}
	if !agree(in, st.State) {
		return fmt.Errorf("ec2: %s is %s on record and %s on the host", in.ID, in.State, st.State)
	}
	return nil
}

func checkClaims(tx store.Tx, owners map[netip.Addr]string) error {
	var errs []error
	keys := map[string]string{}
	for ip, who := range owners {
		keys[claimKey(ip)] = who
	}
	for e, err := range claims.Scan(tx, "") {
		if err != nil {
			return err
		}
		if keys[e.Key] != e.Value.Owner {
			errs = append(errs, fmt.Errorf("ec2: address %s is claimed by %s and used by %q", e.Key, e.Value.Owner, keys[e.Key]))
		}
		delete(keys, e.Key)
	}
	for key, who := range keys {
		errs = append(errs, fmt.Errorf("ec2: address %s is used by %s without a claim", key, who))
	}
	return errors.Join(errs...)
}

func checkStrays(ctx context.Context, living map[string]*instance, driver compute.Driver) error {
	handles, err := driver.List(ctx)
	if err != nil {
		return err
	}
	var strays []string
	for _, h := range handles {
		if living[h.ID] == nil {
			strays = append(strays, h.ID)
		}
	}
	if len(strays) > 0 {
		return fmt.Errorf("ec2: on the host and on no record: %s", strings.Join(strays, ", "))
	}
	return nil
}
