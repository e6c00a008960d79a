package ec2

import (
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// exists refuses an id that names nothing of the scope's.
func (s *Service) exists(tx store.Tx, scope arn.Scope, id string) error {
	k, _ := kindOf(id)
	var err error
	ok := true
	n := s.network(scope)
	switch k.prefix {
	case prefixInstance:
		var in *instance
		in, err = loadInstance(tx, scope, id)
		ok = err == nil && in != nil
	case prefixGroup:
		_, err = s.groupByID(tx, scope, id)
	case prefixRule:
		ok, err = s.ruleExists(tx, scope, n, id)
	case prefixAllocation:
		_, err = addressByID(tx, scope, id)
	case prefixKey:
		_, err = keyPairByID(tx, scope, id)
	case prefixInterface:
		_, err = s.ownInterface(tx, scope, id)
	case prefixVolume:
		_, err = volumes.get(s, tx, scope, id)
	case prefixTemplate:
		_, err = templates.get(s, tx, scope, id)
	case prefixSnapshot:
		_, err = snapshots.get(s, tx, scope, id)
	case prefixImage: // the built-in one is not the caller's to tag
		_, err = images.get(s, tx, scope, id)
	case prefixVPC:
		_, err = vpcs.get(s, tx, scope, id)
	case prefixSubnet:
		_, err = subnets.get(s, tx, scope, id)
	case prefixRouteTable:
		_, err = routeTables.get(s, tx, scope, id)
	case prefixGateway:
		_, err = gateways.get(s, tx, scope, id)
	case prefixNAT:
		_, err = nats.get(s, tx, scope, id)
	case prefixPeering:
		_, err = peeringOf(tx, scope, id)
	case prefixPrefixList:
		_, err = prefixLists.get(s, tx, scope, id)
	case prefixACL:
		_, err = s.aclByID(tx, scope, id)
	case prefixDHCP:
		_, err = dhcps.get(s, tx, scope, id)
	default:
		ok = false
	}
	if err == nil && !ok {
		err = notFound(k.prefix, id)
	}
	return err
}

func (s *Service) ruleExists(tx store.Tx, scope arn.Scope, n network, id string) (bool, error) {
	for _, err := range groups.ByIndex(tx, "rule", scope.Key()+"/"+id) {
		return true, err
	}
	if _, err := groups.Get(tx, groupKey(scope, n.Group)); err == nil {
		return false, nil // the default group was changed, so it is in the index
	}
	_, err := n.defaultGroup().ruleByID(id)
	return err == nil, nil
}
