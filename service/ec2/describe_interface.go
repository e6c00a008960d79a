package ec2

import (
	"net/netip"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/ec2"
)

// bareFields are filters of network interfaces by what none here has.
var bareFields = map[string][]string{
	"operator.managed": {"false"}, "deny-all-igw-traffic": {"false"}, "ipv6-native": {"false"},
	"addresses.association.carrier-ip": nil, "addresses.association.customer-owned-ip": nil, "association.carrier-ip": nil,
	"association.customer-owned-ip": nil, "ipv4-prefixes.ipv4-prefix": nil, "ipv6-address": nil,
	"ipv6-addresses.is-primary-ipv6": nil, "ipv6-prefixes.ipv6-prefix": nil, "operator.principal": nil,
}

// ownInterfaceFields reads what DescribeInstances filters network interfaces by.
func ownInterfaceFields(v instanceView, name string) ([]string, bool) {
	if values, ok := bareFields[name]; ok {
		return values, true
	}
	switch name {
	case "tag-key", "tag-value":
		return tagFields(v.worn, name)
	}
	values, ok := networkFields(v, name)
	if !ok {
		return nil, false
	}
	if v.instance == nil || !v.Private.IsValid() {
		return values, true
	}
	// The primary one has further addresses, too.
	for _, i := range append([]api.NetworkInterface{v.networkInterface()}, v.further...) {
		more, _ := interfaceFields(i, name)
		values = append(values, more...)
	}
	return values, true
}

// networkFields are the filters of an instance's network interface, which
// DescribeNetworkInterfaces has, too.
func networkFields(v instanceView, name string) ([]string, bool) {
	if v.instance == nil {
		v.instance = &instance{}
	}
	associated := func(s string) ([]string, bool) {
		if !v.public().IsValid() {
			return nil, true
		}
		return one(s)
	}
	elastic := v.Elastic
	if elastic == nil {
		elastic = noElastic
	}
	name = strings.TrimPrefix(name, "addresses.")
	switch name {
	case "association.public-ip":
		return associated(text(v.public()))
	case "association.public-dns-name", "public-dns-name":
		return associated(publicDNS(v.Scope.Region, v.public()))
	case "association.ip-owner-id", "association.owner-id":
		if v.Elastic == nil {
			return associated("amazon")
		}
		return associated(v.Scope.Account)
	case "association.allocation-id":
		return one(elastic.Allocation)
	case "association.association-id":
		return one(elastic.Association)
	case "attachment.attachment-id":
		return one(v.Attachment)
	case "attachment.instance-id":
		return one(v.ID)
	case "attachment.instance-owner-id", "owner-id":
		return one(v.Scope.Account)
	case "attachment.device-index", "attachment.network-card-index":
		return oneInt(int32(0))
	case "attachment.delete-on-termination":
		return oneBool(!v.keepsFirst())
	case "primary":
		return oneBool(true)
	case "attachment.status":
		return one("attached")
	case "attachment.attach-time":
		return one(v.Created.UTC().Format(time.RFC3339))
	case "availability-zone", "availability-zone-id", "subnet-id", "vpc-id", "private-ip-address", "private-dns-name", "group-id", "group-name", "source-dest-check":
		return placeFields(v, name)
	case "description":
		return one(v.Description)
	case "interface-type":
		return one("interface")
	case "mac-address":
		return one(macOfOrNone(v.Private))
	case "network-interface-id":
		return one(v.Interface)
	case "requester-managed":
		return oneBool(false)
	case "requester-id", "ipv6-addresses.ipv6-address", "outpost-arn":
		return nil, true
	case "status":
		return one("in-use")
	}
	return nil, false
}

var noElastic = &elastic{}

func macOfOrNone(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return macOf(a)
}
