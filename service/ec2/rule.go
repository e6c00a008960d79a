package ec2

import (
	"net/netip"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/fault"
)

// maxRules bounds the rules of one direction of a group ("Amazon VPC quotas").
const maxRules = 60

// maxRuleDescription bounds a rule's description.
const maxRuleDescription = 255

// rule is one security group rule: one protocol, one range, one peer.
type rule struct {
	ID          string `json:"id"`
	Egress      bool   `json:"egress,omitempty"`
	Protocol    string `json:"protocol"` // "tcp", "udp", "icmp", "icmpv6", a number, or "-1" for all
	From        int32  `json:"from"`     // -1 where the protocol has no ports
	To          int32  `json:"to"`
	CIDR        string `json:"cidr,omitempty"`  // IPv4
	CIDR6       string `json:"cidr6,omitempty"` // IPv6
	Group       string `json:"group,omitempty"` // of the same account
	List        string `json:"list,omitempty"`  // prefix list
	Description string `json:"description,omitempty"`
	Token       string `json:"token,omitempty"` // of the durable step that made it
}

// same says whether two rules let the same traffic through.
func (r rule) same(o rule) bool {
	return r.Egress == o.Egress && r.Protocol == o.Protocol && r.From == o.From && r.To == o.To &&
		r.CIDR == o.CIDR && r.CIDR6 == o.CIDR6 && r.Group == o.Group && r.List == o.List
}

// String is the rule in the form of EC2's messages.
func (r rule) String() string {
	peer := r.CIDR + r.CIDR6 + r.Group + r.List
	if r.Protocol == "-1" {
		return "peer: " + peer + ", ALL, ALLOW"
	}
	return "peer: " + peer + ", " + strings.ToUpper(r.Protocol) + ", from port: " + strconv.Itoa(int(r.From)) +
		", to port: " + strconv.Itoa(int(r.To)) + ", ALLOW"
}

var protocolNames = map[string]string{"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}

// canonicalProtocol takes a protocol by name or number.
func canonicalProtocol(p string) (string, error) {
	p = strings.ToLower(strings.TrimSpace(p))
	if name, ok := protocolNames[p]; ok {
		return name, nil
	}
	switch p {
	case "tcp", "udp", "icmp", "icmpv6", "-1":
		return p, nil
	case "":
		return "", fault.New(fault.MissingParameter, "The request must contain the parameter ipProtocol")
	}
	n, err := strconv.ParseUint(p, 10, 8)
	if err != nil {
		return "", fault.New(fault.InvalidParameterValue, "Invalid value '%s' for IP protocol. Unknown protocol.", clip(p, 64))
	}
	return strconv.FormatUint(n, 10), nil
}

// canonicalPorts checks a range against its protocol.
func canonicalPorts(protocol string, from, to *int32) (int32, int32, error) {
	switch protocol {
	case "tcp", "udp":
		return transportPorts(from, to)
	case "icmp", "icmpv6":
		return icmpTypes(from, to)
	}
	return -1, -1, nil // AWS ignores ports of other protocols
}

func transportPorts(from, to *int32) (int32, int32, error) {
	if from == nil || to == nil {
		return 0, 0, fault.New(fault.InvalidParameterValue, "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
	}
	for _, p := range []int32{*from, *to} {
		if p < 0 || p > 65535 {
			return 0, 0, fault.New(fault.InvalidParameterValue, "TCP/UDP port (%d) out of range", p)
		}
	}
	if *from > *to {
		return 0, 0, fault.New(fault.InvalidParameterValue, "Invalid TCP/UDP port range (%d:%d)", *from, *to)
	}
	return *from, *to, nil
}

func icmpTypes(from, to *int32) (int32, int32, error) {
	kind, code := int32(-1), int32(-1)
	if from != nil {
		kind = *from
	}
	if to != nil {
		code = *to
	}
	if kind < -1 || kind > 255 {
		return 0, 0, fault.New(fault.InvalidParameterValue, "ICMP type (%d) out of range", kind)
	}
	if code < -1 || code > 255 {
		return 0, 0, fault.New(fault.InvalidParameterValue, "ICMP code (%d) out of range", code)
	}
	if kind == -1 && code != -1 {
		return 0, 0, fault.New(fault.InvalidParameterValue, "ICMP code (%d) must be -1 where the type is -1", code)
	}
	return kind, code, nil
}

// canonicalCIDR reads a CIDR block and clears its host bits, as AWS does.
func canonicalCIDR(s string, v6 bool) (string, error) {
	p, err := netip.ParsePrefix(strings.TrimSpace(s))
	if err != nil || p.Addr().Is6() != v6 || p.Addr().Is4In6() {
		return "", fault.New(fault.InvalidParameterValue, "CIDR block %s is malformed", clip(s, 64))
	}
	return p.Masked().String(), nil
}

func checkRuleDescription(s string) error {
	if len(s) > maxRuleDescription {
		return fault.New(fault.InvalidParameterValue, "Invalid rule description. The description must be at most %d characters long.", maxRuleDescription)
	}
	for _, c := range s {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(" ._-:/()#,@[]+=&;{}!$*", c)
		if !ok {
			return fault.New(fault.InvalidParameterValue,
				"Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
		}
	}
	return nil
}

// permissionRules are the rules that one IpPermission stands for. resolve finds
// the group that a pair names.
func permissionRules(p api.IpPermission, egress bool, resolve func(api.UserIdGroupPair) (string, error)) ([]rule, error) {
	protocol, err := canonicalProtocol(p.IpProtocol)
	if err != nil {
		return nil, err
	}
	base := rule{Egress: egress, Protocol: protocol}
	if base.From, base.To, err = canonicalPorts(protocol, p.FromPort, p.ToPort); err != nil {
		return nil, err
	}
	var out []rule
	add := func(r rule, description string) error {
		r.Description = description
		out = append(out, r)
		return checkRuleDescription(description)
	}
	for _, c := range p.IpRanges {
		r := base
		if r.CIDR, err = canonicalCIDR(c.CidrIp, false); err != nil {
			return nil, err
		}
		if err := add(r, c.Description); err != nil {
			return nil, err
		}
	}
	for _, c := range p.Ipv6Ranges {
		r := base
		if r.CIDR6, err = canonicalCIDR(c.CidrIpv6, true); err != nil {
			return nil, err
		}
		if err := add(r, c.Description); err != nil {
			return nil, err
		}
	}
	for _, g := range p.UserIdGroupPairs {
		r := base
		if r.Group, err = resolve(g); err != nil {
			return nil, err
		}
		if err := add(r, g.Description); err != nil {
			return nil, err
		}
	}
	for _, l := range p.PrefixListIds {
		r := base
		if r.List = l.PrefixListId; !wellFormed(prefixPrefixList, r.List) {
			return nil, checkID(prefixPrefixList, r.List)
		}
		if err := add(r, l.Description); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.InvalidPermissionMalformed, "The permission names no IP range, no IPv6 range and no security group.")
	}
	return out, nil
}

// permissions groups rules by protocol and ports, as DescribeSecurityGroups has them.
func permissions(rules []rule, egress bool, owner string) []api.IpPermission {
	type span struct {
		protocol string
		from, to int32
	}
	at := map[span]int{}
	out := []api.IpPermission{}
	for _, r := range rules {
		if r.Egress != egress {
			continue
		}
		k := span{r.Protocol, r.From, r.To}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			p := api.IpPermission{
				IpProtocol: r.Protocol, IpRanges: []api.IpRange{}, Ipv6Ranges: []api.Ipv6Range{},
				PrefixListIds: []api.PrefixListId{}, UserIdGroupPairs: []api.UserIdGroupPair{}, // AWS tells the empty ones, too
			}
			if r.hasPorts() {
				p.FromPort, p.ToPort = &r.From, &r.To
			}
			out = append(out, p)
		}
		p := &out[i]
		switch {
		case r.CIDR != "":
			p.IpRanges = append(p.IpRanges, api.IpRange{CidrIp: r.CIDR, Description: r.Description})
		case r.List != "":
			p.PrefixListIds = append(p.PrefixListIds, api.PrefixListId{PrefixListId: r.List, Description: r.Description})
		case r.CIDR6 != "":
			p.Ipv6Ranges = append(p.Ipv6Ranges, api.Ipv6Range{CidrIpv6: r.CIDR6, Description: r.Description})
		default:
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, api.UserIdGroupPair{GroupId: r.Group, UserId: owner, Description: r.Description})
		}
	}
	return out
}

func (r rule) hasPorts() bool {
	switch r.Protocol {
	case "tcp", "udp", "icmp", "icmpv6":
		return true
	}
	return false
}

// view is the rule as DescribeSecurityGroupRules has it.
func (r rule) view(g *group, tags tagMap) api.SecurityGroupRule {
	v := api.SecurityGroupRule{
		SecurityGroupRuleId:  r.ID,
		GroupId:              g.ID,
		GroupOwnerId:         g.Scope.Account,
		IsEgress:             ptr(r.Egress),
		IpProtocol:           r.Protocol,
		FromPort:             ptr(r.From),
		ToPort:               ptr(r.To),
		CidrIpv4:             r.CIDR,
		CidrIpv6:             r.CIDR6,
		PrefixListId:         r.List,
		Description:          r.Description,
		Tags:                 tags.list(),
		SecurityGroupRuleArn: g.Scope.ARN("ec2", "security-group-rule/"+r.ID).String(),
	}
	if r.Group != "" {
		v.ReferencedGroupInfo = &api.ReferencedSecurityGroup{GroupId: r.Group, UserId: g.Scope.Account, VpcId: g.VPC}
	}
	return v
}

func ptr[T any](v T) *T { return &v }
