package ec2

import (
	"context"
	"net/netip"
	"slices"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// AssociateAddress puts an elastic IP on a private address of an interface and
// answers once it is there. The automatic public address that an instance has
// instead goes back to the pool.
func (s *Service) AssociateAddress(ctx context.Context, in *api.AssociateAddressInput) (*api.AssociateAddressOutput, error) {
	call := auth.From(ctx)
	var association, flow string
	err := s.update(ctx, func(tx store.Tx) error {
		flow = ""
		a, err := addressBy(tx, call.Scope, in.AllocationId, in.PublicIp)
		if err != nil {
			return err
		}
		if a.NAT != "" {
			return fault.New(fault.OperationNotPermitted, "The address %s belongs to NAT gateway %s.", a.IP, a.NAT)
		}
		target, err := s.associable(tx, call.Scope, in)
		if err != nil {
			return err
		}
		if a.Interface == target.iface() && a.Private == target.private {
			// Again, as AWS: the association that is there.
			association = a.Association
			flow, err = s.beginMoves(tx, move{IP: a.IP})
			return firstError(err, dryRun(in.DryRun))
		}
		if a.Association != "" && !value(in.AllowReassociation, true) {
			return fault.New(fault.ResourceAlreadyAssociated, "resource %s is already associated with associate-id %s", a.ID, a.Association)
		}
		list, err := s.attach(tx, call, a, target, value(in.AllowReassociation, true))
		if err != nil {
			return err
		}
		association = a.Association
		flow, err = s.beginMoves(tx, list...)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	if err := s.awaitMoves(ctx, flow); err != nil {
		return nil, err
	}
	return &api.AssociateAddressOutput{AssociationId: association}, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// association is where an elastic IP shall go: an instance's primary interface or
// another, and one of its private addresses.
type association struct {
	in      *instance     // nil for an interface of its own
	own     *netInterface // nil for a primary interface
	private netip.Addr
}

func (t association) iface() string {
	if t.own != nil {
		return t.own.ID
	}
	return t.in.Interface
}

// first says whether the address is the one that an instance's own record knows.
func (t association) first() bool { return t.own == nil && t.private == t.in.Private }

// associable finds what an address shall go to.
func (s *Service) associable(tx store.Tx, scope arn.Scope, in *api.AssociateAddressInput) (t association, err error) {
	var vpc string
	var have []netip.Addr
	switch {
	case in.InstanceId != "" && in.NetworkInterfaceId != "":
		return t, fault.New(fault.InvalidParameterCombination, "You may specify instance id or network interface id, but not both in the same call")
	case in.InstanceId != "":
		t.in, err = loadInstance(tx, scope, in.InstanceId)
	case in.NetworkInterfaceId != "":
		if t.own, err = s.ownInterface(tx, scope, in.NetworkInterfaceId); err == nil && t.own == nil {
			t.in, err = instanceByInterface(tx, scope, in.NetworkInterfaceId)
		}
	default:
		err = fault.New(fault.MissingParameter, "Either 'instanceId' or 'networkInterfaceId' must be specified")
	}
	if err != nil {
		return t, err
	}
	if t.own != nil {
		vpc, have = t.own.VPC, t.own.addresses()
	} else {
		vpc, have = t.in.VPC, append([]netip.Addr{t.in.Private}, t.in.Secondary...)
		if err := checkAssociable(tx, t.in, in.InstanceId != "" && in.PrivateIpAddress == ""); err != nil {
			return t, err
		}
	}
	gates, err := gateways.which(s, tx, scope, func(g *gateway) bool { return g.VPC == vpc })
	if err != nil {
		return t, err
	}
	if len(gates) == 0 {
		return t, fault.New(fault.GatewayNotAttached, "Network %s is not attached to any internet gateway", vpc)
	}
	if t.private, err = askedAddress(in.PrivateIpAddress); err != nil {
		return t, err
	}
	if !t.private.IsValid() {
		t.private = have[0]
	}
	if !slices.Contains(have, t.private) {
		if in.NetworkInterfaceId != "" {
			return t, fault.New(fault.InvalidParameterValue, "The private IP address '%s' is not assigned to the network interface '%s'", t.private, t.iface())
		}
		return t, fault.New(fault.InvalidParameterValue, "The private IP address '%s' is not assigned to the instance '%s'", t.private, t.in.ID)
	}
	return t, nil
}

// checkAssociable refuses an instance whose state does not let it have an address;
// one that is named alone must have one interface only.
func checkAssociable(tx store.Tx, in *instance, alone bool) error {
	switch in.State {
	case running, stopped, stopping:
	case pending:
		return fault.New(fault.InvalidInstanceID, "The pending instance '%s' is not in a valid state for this operation.", in.ID)
	default:
		return fault.New(fault.InvalidInstanceID, "The instance '%s' is not in a valid state for this operation.", in.ID)
	}
	further, err := attachedTo(tx, in)
	if err == nil && alone && len(further) > 0 {
		err = fault.New(fault.InvalidInstanceID, "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", in.ID)
	}
	return err
}

func instanceByInterface(tx store.Tx, scope arn.Scope, id string) (*instance, error) {
	if err := checkID(prefixInterface, id); err != nil {
		return nil, err
	}
	for e, err := range instances.ByIndex(tx, "interface", scope.Key()+"/"+id) {
		if err != nil {
			return nil, err
		}
		if e.Value.State != terminated {
			return e.Value, nil
		}
	}
	return nil, notFound(prefixInterface, id)
}

// attach moves an elastic IP to a private address on record, and lists the
// addresses whose places on the host change by that.
func (s *Service) attach(tx store.Tx, call auth.Call, a *address, to association, reassociate bool) ([]move, error) {
	others, err := associatedWith(tx, a.Scope, to.iface())
	if err != nil {
		return nil, err
	}
	if to.first() && to.in.Elastic != nil && len(others) == 0 {
		old, err := addressByID(tx, a.Scope, to.in.Elastic.Allocation)
		if err != nil {
			return nil, err
		}
		others = append(others, old)
	}
	var list []move
	for _, old := range others {
		if old.Private != to.private {
			continue
		}
		if !reassociate {
			return nil, fault.New(fault.ResourceAlreadyAssociated, "resource %s is already associated with associate-id %s", to.iface(), old.Association)
		}
		former, err := old.carrier(tx)
		if err != nil {
			return nil, err
		}
		list = append(list, move{IP: old.IP, Former: former, Scope: old.Scope})
		old.detach()
		if err := old.save(tx); err != nil {
			return nil, err
		}
	}
	former, more, err := s.detachFormer(tx, a, to.in)
	if err != nil {
		return nil, err
	}
	list = append(list, more...)
	a.Association = newID(call, prefixAssoc, a.ID+to.iface()+text(to.private))
	a.Instance, a.Interface, a.Private = "", to.iface(), to.private
	if to.own == nil {
		a.Instance = to.in.ID
	}
	list = append(list, move{IP: a.IP, Former: former, Scope: a.Scope})
	if err := a.save(tx); err != nil || !to.first() {
		return list, err
	}
	target := to.in
	target.Elastic = &elastic{IP: a.IP, Allocation: a.ID, Association: a.Association}
	if target.Automatic.IsValid() {
		list = append(list, move{IP: target.Automatic, Former: target.ID, Scope: target.Scope})
		if err := release(tx, target.Automatic, target.ID); err != nil {
			return nil, err
		}
		target.Automatic = netip.Addr{}
	}
	return list, target.save(tx)
}

// detachFormer takes an elastic IP off the record of the instance that has it. A
// running one that is to have a public address gets an automatic one again. Where
// the caller has that instance's record at hand, it is changed, too.
func (s *Service) detachFormer(tx store.Tx, a *address, held *instance) (former string, list []move, err error) {
	if a.Instance == "" {
		former, err = a.carrier(tx)
		return former, nil, err
	}
	in := held
	if in == nil || in.ID != a.Instance {
		in, err = loadInstance(tx, a.Scope, a.Instance)
	}
	if errIsMissing(err) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	if in.Elastic == nil || in.Elastic.Allocation != a.ID {
		return in.ID, nil, nil // it is on a secondary address
	}
	in.Elastic = nil
	if in.MapPublic && in.State == running {
		if in.Automatic, err = s.takeAutomatic(tx, claim{in.Scope, in.ID}); err != nil {
			return "", nil, err
		}
		if in.Automatic.IsValid() {
			list = append(list, move{IP: in.Automatic})
		}
	}
	return in.ID, list, in.save(tx)
}

// DisassociateAddress takes an elastic IP off its instance.
func (s *Service) DisassociateAddress(ctx context.Context, in *api.DisassociateAddressInput) (*api.DisassociateAddressOutput, error) {
	scope := auth.From(ctx).Scope
	var flow string
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		flow = ""
		a, err := associated(tx, scope, in)
		if err != nil {
			return err
		}
		if a.NAT != "" {
			return fault.New(fault.OperationNotPermitted, "The address %s belongs to NAT gateway %s.", a.IP, a.NAT)
		}
		if a.Association == "" {
			return dryRun(in.DryRun) // by address: nothing to take off
		}
		former, list, err := s.detachFormer(tx, a, nil)
		if err != nil {
			return err
		}
		a.detach()
		if err := a.save(tx); err != nil {
			return err
		}
		list = append([]move{{IP: a.IP, Former: former, Scope: scope}}, list...)
		flow, err = s.beginMoves(tx, list...)
		return firstError(err, dryRun(in.DryRun))
	})
	if err != nil {
		return nil, err
	}
	if flow != "" {
		if err := s.awaitMoves(ctx, flow); err != nil {
			return nil, err
		}
	}
	return &api.DisassociateAddressOutput{}, nil
}

func associated(tx store.Tx, scope arn.Scope, in *api.DisassociateAddressInput) (*address, error) {
	switch {
	case in.AssociationId != "" && in.PublicIp != "":
		return nil, fault.New(fault.InvalidParameterCombination, "You may specify public IP or association id, but not both in the same call")
	case in.PublicIp != "":
		return addressByIP(tx, scope, in.PublicIp)
	case in.AssociationId == "":
		return nil, fault.New(fault.MissingParameter, "Either 'publicIp' or 'associationId' must be specified")
	}
	if err := checkID(prefixAssoc, in.AssociationId); err != nil {
		return nil, err
	}
	for e, err := range addresses.ByIndex(tx, "association", scope.Key()+"/"+in.AssociationId) {
		return e.Value, err
	}
	return nil, notFound(prefixAssoc, in.AssociationId)
}
