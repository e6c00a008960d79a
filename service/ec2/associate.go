package ec2

import (
	"context"
	"net/netip"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// AssociateAddress puts an elastic IP on an instance and answers once it is
// there. An instance's automatic public address goes back to the pool.
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
		if a.Instance == target.ID {
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

// associable finds the instance that an address shall go to.
func (s *Service) associable(tx store.Tx, scope arn.Scope, in *api.AssociateAddressInput) (*instance, error) {
	var target *instance
	var err error
	switch {
	case in.InstanceId != "" && in.NetworkInterfaceId != "":
		return nil, fault.New(fault.InvalidParameterCombination, "You may specify instance id or network interface id, but not both in the same call")
	case in.InstanceId != "":
		target, err = loadInstance(tx, scope, in.InstanceId)
	case in.NetworkInterfaceId != "":
		target, err = instanceByInterface(tx, scope, in.NetworkInterfaceId)
		if own, _ := interfaces.kept.Get(tx, interfaces.key(scope, in.NetworkInterfaceId)); own != nil {
			err = notBuilt("NetworkInterfaceId of an interface that is not an instance's primary one")
		}
	default:
		err = fault.New(fault.MissingParameter, "Either 'instanceId' or 'networkInterfaceId' must be specified")
	}
	if err != nil {
		return nil, err
	}
	switch target.State {
	case running, stopped, stopping:
	case pending:
		return nil, fault.New(fault.InvalidInstanceID, "The pending instance '%s' is not in a valid state for this operation.", target.ID)
	default:
		return nil, fault.New(fault.InvalidInstanceID, "The instance '%s' is not in a valid state for this operation.", target.ID)
	}
	gates, err := gateways.which(s, tx, scope, func(g *gateway) bool { return g.VPC == target.VPC })
	if err != nil {
		return nil, err
	}
	if len(gates) == 0 {
		return nil, fault.New(fault.GatewayNotAttached, "Network %s is not attached to any internet gateway", target.VPC)
	}
	if in.PrivateIpAddress != "" && in.PrivateIpAddress != target.Private.String() {
		return nil, fault.New(fault.InvalidParameterValue, "The private IP address '%s' is not assigned to the instance '%s'", clip(in.PrivateIpAddress, 64), target.ID)
	}
	return target, nil
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

// attach moves an elastic IP to an instance on record, and lists the addresses
// whose places on the host change by that.
func (s *Service) attach(tx store.Tx, call auth.Call, a *address, target *instance, reassociate bool) ([]move, error) {
	if target.Elastic != nil && !reassociate {
		return nil, fault.New(fault.ResourceAlreadyAssociated, "resource %s is already associated with associate-id %s", target.Interface, target.Elastic.Association)
	}
	var list []move
	if target.Elastic != nil {
		old, err := addressByID(tx, call.Scope, target.Elastic.Allocation)
		if err != nil {
			return nil, err
		}
		old.detach()
		if err := old.save(tx); err != nil {
			return nil, err
		}
		list = append(list, move{IP: old.IP, Former: target.ID, Scope: target.Scope})
	}
	former, more, err := s.detachFormer(tx, a)
	if err != nil {
		return nil, err
	}
	list = append(list, more...)
	a.Association = newID(call, prefixAssoc, a.ID+target.ID)
	a.Instance, a.Interface, a.Private = target.ID, target.Interface, target.Private
	if err := a.save(tx); err != nil {
		return nil, err
	}
	target.Elastic = &elastic{IP: a.IP, Allocation: a.ID, Association: a.Association}
	list = append(list, move{IP: a.IP, Former: former, Scope: target.Scope})
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
// running one that is to have a public address gets an automatic one again.
func (s *Service) detachFormer(tx store.Tx, a *address) (former string, list []move, err error) {
	if a.Instance == "" {
		return "", nil, nil
	}
	in, err := loadInstance(tx, a.Scope, a.Instance)
	if errIsMissing(err) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
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
		former, list, err := s.detachFormer(tx, a)
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
