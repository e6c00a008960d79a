package ec2

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

var _ auth.ResourceKeys = (*Service)(nil)

// keyMap is condition keys of a record ("Condition keys for Amazon EC2", Service
// Authorization Reference).
type keyMap map[string][]string

func (m keyMap) set(key, value string) {
	if value != "" {
		m[key] = []string{value}
	}
}

func (m keyMap) number(key string, v *int32) {
	if v != nil {
		m[key] = []string{strconv.Itoa(int(*v))}
	}
}

func (m keyMap) flag(key string, v bool) { m[key] = []string{strconv.FormatBool(v)} }

func (m keyMap) zone(name string) {
	m.set("availabilityzone", name)
	m.set("availabilityzoneid", zoneID(name))
}

// names sets a key to the ARN of another resource.
func (m keyMap) names(key string, scope arn.Scope, kind, id string) {
	if id != "" {
		m[key] = []string{scope.ARN("ec2", kind+"/"+id).String()}
	}
}

func (m keyMap) address(key string, a netip.Addr) {
	if a.IsValid() {
		m.set(key, a.String())
	}
}

// ResourceKeys are the condition keys that the record of a resource tells.
func (s *Service) ResourceKeys(ctx context.Context, resource string) (map[string][]string, error) {
	scope, kind, id, ok := named(ctx, resource)
	if !ok {
		return nil, nil
	}
	var out keyMap
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		out = keyMap{}
		return s.recordKeys(tx, scope, kind, id, out)
	})
	if _, known := fault.As(err); known {
		return nil, nil // it is not there: the operation tells
	}
	return out, err
}

func (s *Service) recordKeys(tx store.Tx, scope arn.Scope, kind, id string, to keyMap) error {
	switch kind {
	case "instance":
		in, err := loadInstance(tx, scope, id)
		if err == nil {
			in.conditionKeys(to)
		}
		return err
	case "volume":
		v, err := volumes.get(s, tx, scope, id)
		if err == nil {
			v.conditionKeys(to)
		}
		return err
	case "snapshot":
		v, err := s.visibleSnapshot(tx, scope, id)
		if err == nil {
			v.conditionKeys(to)
		}
		return err
	case "image":
		v, err := s.visibleImage(tx, scope, id)
		if err == nil {
			v.conditionKeys(to)
		}
		return err
	case "key-pair":
		k, err := keyPairNamed(tx, scope, id)
		if err == nil {
			to.set("keypairname", k.Name)
			to.set("keypairtype", k.Type)
		}
		return err
	case "elastic-ip":
		a, err := addressByID(tx, scope, id)
		if err == nil {
			to.set("allocationid", a.ID)
			to.set("domain", "vpc")
			to.address("publicipaddress", a.IP)
		}
		return err
	}
	return s.networkKeys(tx, scope, kind, id, to)
}

// keyPairNamed finds a key pair by its name or by its id: calls name it by both.
func keyPairNamed(tx store.Tx, scope arn.Scope, name string) (*keyPair, error) {
	if k, err := keyPairByName(tx, scope, name); err == nil || !wellFormed(prefixKey, name) {
		return k, err
	}
	return keyPairByID(tx, scope, name)
}

// networkKeys are recordKeys of what VPCs are made of.
func (s *Service) networkKeys(tx store.Tx, scope arn.Scope, kind, id string, to keyMap) (err error) {
	within := "" // the VPC
	switch kind {
	case "vpc":
		if _, err = vpcs.get(s, tx, scope, id); err == nil {
			to.set("vpcid", id)
			to.set("tenancy", "default")
		}
	case "subnet":
		var v *subnet
		if v, err = subnets.get(s, tx, scope, id); err == nil {
			within = v.VPC
			to.set("subnetid", id)
			to.zone(v.Zone)
		}
	case "network-interface":
		within, err = s.interfaceKeys(tx, scope, id, to)
	case "security-group":
		var v *group
		if v, err = s.groupByID(tx, scope, id); err == nil {
			within = v.VPC
			to.set("securitygroupid", id)
		}
	case "route-table":
		var v *routeTable
		if v, err = routeTables.get(s, tx, scope, id); err == nil {
			within = v.VPC
			to.set("routetableid", id)
		}
	case "internet-gateway":
		if _, err = gateways.get(s, tx, scope, id); err == nil {
			to.set("internetgatewayid", id)
		}
	case "natgateway":
		var v *nat
		if v, err = nats.get(s, tx, scope, id); err == nil {
			within = v.VPC
		}
	case "network-acl":
		within, err = s.vpcOfACL(tx, scope, id)
		to.set("networkaclid", id)
	case "dhcp-options":
		to.set("dhcpoptionsid", id)
	case "vpc-peering-connection":
		var v *peering
		if v, err = peeringOf(tx, scope, id); err == nil {
			to.set("vpcpeeringconnectionid", id)
			to.names("requestervpc", v.Requester.Scope, "vpc", v.Requester.VPC)
			to.names("acceptervpc", v.Accepter.Scope, "vpc", v.Accepter.VPC)
		}
	}
	to.names("vpc", scope, "vpc", within)
	return err
}

func (s *Service) vpcOfACL(tx store.Tx, scope arn.Scope, id string) (string, error) {
	a, err := s.aclByID(tx, scope, id)
	if err != nil {
		return "", err
	}
	return a.VPC, nil
}

// interfaceKeys are those of a network interface, an instance's primary one too.
func (s *Service) interfaceKeys(tx store.Tx, scope arn.Scope, id string, to keyMap) (within string, err error) {
	for e, err := range instances.ByIndex(tx, "interface", scope.Key()+"/"+id) {
		if err != nil {
			return "", err
		}
		in := e.Value
		to.set("networkinterfaceid", id)
		to.set("availabilityzone", in.Zone)
		to.names("subnet", scope, "subnet", in.Subnet)
		return in.VPC, nil
	}
	v, err := interfaces.get(s, tx, scope, id)
	if err != nil {
		return "", err
	}
	to.set("networkinterfaceid", id)
	to.set("availabilityzone", v.Zone)
	to.names("subnet", scope, "subnet", v.Subnet)
	return v.VPC, nil
}

func (in *instance) conditionKeys(to keyMap) {
	to.zone(in.Zone)
	to.set("instanceid", in.ID)
	to.set("instancetype", in.Type)
	to.set("instancemarkettype", "on-demand")
	to.set("instanceautorecovery", "default")
	to.set("instancemetadatatags", in.Metadata.Tags)
	to.set("metadatahttpendpoint", in.Metadata.Endpoint)
	to.set("metadatahttptokens", in.Metadata.Tokens)
	to.number("metadatahttpputresponsehoplimit", &in.Metadata.HopLimit)
	to.set("rootdevicetype", "ebs")
	to.set("tenancy", "default")
	to.flag("ebsoptimized", in.Optimized)
	if in.Profile != nil {
		to.set("instanceprofile", in.Profile.ARN)
	}
}

func (v *volume) conditionKeys(to keyMap) {
	to.zone(v.Zone)
	to.set("volumeid", v.ID)
	to.set("volumetype", v.Kind.Type)
	to.set("volumesize", strconv.FormatInt(v.Kind.GiB, 10))
	to.number("volumeiops", v.Kind.IOPS)
	to.number("volumethroughput", v.Kind.Throughput)
	to.flag("encrypted", false)
	to.names("parentsnapshot", unowned(v.Scope), "snapshot", v.Snapshot)
}

func (v *snapshot) conditionKeys(to keyMap) {
	to.set("snapshotid", v.ID)
	to.set("owner", v.Scope.Account)
	to.set("volumesize", strconv.FormatInt(v.GiB, 10))
	to.set("snapshottime", v.Started.UTC().Format(time.RFC3339))
	to.flag("encrypted", false)
	to.names("parentvolume", v.Scope, "volume", v.Volume)
	to.names("parentsnapshot", unowned(v.Scope), "snapshot", v.From)
}

func (v *image) conditionKeys(to keyMap) {
	to.set("imageid", v.ID)
	to.set("imagetype", "machine")
	to.set("rootdevicetype", "ebs")
	to.flag("public", v.Shared.Public)
	to.set("owner", v.Scope.Account)
	if v.alias != "" {
		to.set("owner", v.alias)
	}
}

// unowned is the scope of the ARNs of images and snapshots, which name no account.
func unowned(scope arn.Scope) arn.Scope { return arn.Scope{Region: scope.Region} }
