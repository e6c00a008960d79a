package ec2

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// aclEntry is one rule of a network ACL.
type aclEntry struct {
	Number   int32  `json:"number"`
	Egress   bool   `json:"egress,omitempty"`
	Protocol string `json:"protocol"` // its number, "-1" for all
	CIDR     string `json:"cidr,omitempty"`
	CIDR6    string `json:"cidr6,omitempty"`
	Allow    bool   `json:"allow,omitempty"`
	From     *int32 `json:"from,omitempty"` // ports of the receiver
	To       *int32 `json:"to,omitempty"`
	Type     *int32 `json:"type,omitempty"` // of ICMP; -1 is any
	Code     *int32 `json:"code,omitempty"`
	Token    string `json:"token,omitempty"` // of the durable step that made it
}

func (e aclEntry) action() string {
	if e.Allow {
		return "allow"
	}
	return "deny"
}

func (e aclEntry) view() api.NetworkAclEntry {
	o := api.NetworkAclEntry{
		CidrBlock: e.CIDR, Ipv6CidrBlock: e.CIDR6, Egress: ptr(e.Egress), Protocol: e.Protocol, RuleAction: e.action(), RuleNumber: ptr(e.Number),
	}
	if e.From != nil {
		o.PortRange = &api.PortRange{From: e.From, To: e.To}
	}
	if e.Type != nil {
		o.IcmpTypeCode = &api.IcmpTypeCode{Type: e.Type, Code: e.Code}
	}
	return o
}

// ordered are the entries with the last ones, those for what leaves first.
func (a *networkACL) ordered() []aclEntry {
	out := slices.Clone(a.Entries)
	for _, egress := range []bool{true, false} {
		out = append(out, aclEntry{Number: lastRule, Egress: egress, Protocol: "-1", CIDR: "0.0.0.0/0"})
	}
	slices.SortStableFunc(out, func(a, b aclEntry) int {
		if a.Egress != b.Egress {
			return map[bool]int{true: -1, false: 1}[a.Egress]
		}
		return cmp.Compare(a.Number, b.Number)
	})
	return out
}

// filter is the ACL as the driver has it; nil is one that lets everything pass.
func (a *networkACL) filter() *compute.Filter {
	f := &compute.Filter{ID: a.ID}
	for _, e := range a.ordered() {
		p, err := netip.ParsePrefix(e.CIDR)
		if err != nil {
			continue // of IPv6, which instances do not have
		}
		r := compute.FilterRule{Protocol: protocolNumber(e.Protocol), Prefix: p, Pass: e.Allow}
		if e.From != nil {
			r.From, r.To = int(*e.From), int(*e.To)
		}
		if e.Type != nil {
			r.From, r.To = int(*e.Type), int(*e.Code)
		}
		if e.Egress {
			f.Out = append(f.Out, r)
		} else {
			f.In = append(f.In, r)
		}
	}
	if passesAll(f.In) && passesAll(f.Out) {
		return nil
	}
	return f
}

func passesAll(rules []compute.FilterRule) bool {
	return len(rules) > 0 && rules[0].Pass && rules[0].Protocol == compute.AnyProtocol && rules[0].Prefix.Bits() == 0
}

// aclEntryInput is what the operations that make and replace entries have in common.
type aclEntryInput struct {
	acl      string
	number   *int32
	egress   *bool
	protocol string
	action   string
	cidr     string
	cidr6    string
	icmp     *api.IcmpTypeCode
	ports    *api.PortRange
	dry      *bool
}

// entry reads a rule.
func (in aclEntryInput) entry() (aclEntry, error) {
	bad := func(parameter, given, expect string) error {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter %s is invalid. %s", clip(given, 64), parameter, expect)
	}
	e := aclEntry{Number: value(in.number, 0), Egress: value(in.egress, false), Allow: in.action == "allow"}
	if e.Number < 1 || e.Number >= lastRule {
		return e, bad("ruleNumber", itoa(int(e.Number)), "Expecting a number between 1 and 32766.")
	}
	if in.action != "allow" && in.action != "deny" {
		return e, bad("ruleAction", in.action, "Expecting allow or deny.")
	}
	e.Protocol = in.protocol
	if known, ok := map[string]string{"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58", "all": "-1"}[in.protocol]; ok {
		e.Protocol = known
	}
	if n, err := strconv.Atoi(e.Protocol); err != nil || n < -1 || n > 255 {
		return e, bad("protocol", in.protocol, "Invalid protocol number.")
	}
	switch {
	case (in.cidr == "") == (in.cidr6 == ""):
		return e, fault.New(fault.MissingParameter, "The request must contain exactly one of the parameters cidrBlock and ipv6CidrBlock")
	case in.cidr != "":
		p, err := netip.ParsePrefix(in.cidr)
		if err != nil || !p.Addr().Is4() {
			return e, bad("cidrBlock", in.cidr, "This is not a valid CIDR block.")
		}
		e.CIDR = p.Masked().String()
	default:
		p, err := netip.ParsePrefix(in.cidr6)
		if err != nil || !p.Addr().Is6() {
			return e, bad("ipv6CidrBlock", in.cidr6, "This is not a valid CIDR block.")
		}
		e.CIDR6 = p.Masked().String()
	}
	return e, in.details(&e)
}

// details reads ports and ICMP types, which some protocols have.
func (in aclEntryInput) details(e *aclEntry) error {
	switch e.Protocol {
	case "6", "17":
		if in.ports == nil || in.ports.From == nil || in.ports.To == nil {
			return fault.New(fault.MissingParameter, "The request must contain the parameter portRange")
		}
		e.From, e.To = in.ports.From, in.ports.To
		if *e.From < 0 || *e.To > 65535 || *e.From > *e.To {
			return fault.New(fault.InvalidParameterValue, "Invalid port range (%d:%d)", *e.From, *e.To)
		}
	case "1", "58":
		if in.icmp == nil || in.icmp.Type == nil {
			return fault.New(fault.MissingParameter, "The request must contain the parameter icmpTypeCode")
		}
		e.Type, e.Code = in.icmp.Type, ptr(value(in.icmp.Code, -1))
		if *e.Type < -1 || *e.Type > 255 || *e.Code < -1 || *e.Code > 255 {
			return fault.New(fault.InvalidParameterValue, "Invalid ICMP type and code (%d:%d)", *e.Type, *e.Code)
		}
	}
	return nil
}

// find is the place of an entry, -1 where it is not there.
func (a *networkACL) find(number *int32, egress *bool) int {
	return slices.IndexFunc(a.Entries, func(e aclEntry) bool { return e.Number == value(number, 0) && e.Egress == value(egress, false) })
}

// changeACL changes a network ACL, and what it lets pass before it returns.
func (s *Service) changeACL(ctx context.Context, id string, dry *bool, change func(*networkACL) error) error {
	scope := auth.From(ctx).Scope
	if err := s.routed(); err != nil {
		return err
	}
	return s.update(ctx, func(tx store.Tx) error {
		a, err := s.aclByID(tx, scope, id)
		if err != nil {
			return err
		}
		return firstError(change(a), networkACLs.put(tx, scope, a), dryRun(dry))
	})
}

// CreateNetworkAclEntry adds a rule.
func (s *Service) CreateNetworkAclEntry(ctx context.Context, in *api.CreateNetworkAclEntryInput) (*api.CreateNetworkAclEntryOutput, error) {
	e, err := aclEntryInput{
		in.NetworkAclId, in.RuleNumber, in.Egress, in.Protocol, in.RuleAction, in.CidrBlock, in.Ipv6CidrBlock, in.IcmpTypeCode, in.PortRange, in.DryRun,
	}.entry()
	if err != nil {
		return nil, err
	}
	e.Token = auth.From(ctx).Token
	err = s.changeACL(ctx, in.NetworkAclId, in.DryRun, func(a *networkACL) error {
		if at := a.find(in.RuleNumber, in.Egress); at >= 0 {
			if e.Token != "" && a.Entries[at].Token == e.Token {
				return nil // by this step, the first time
			}
			return fault.New(fault.NetworkACLEntryAlreadyExists, "The network acl entry identified by %d already exists.", e.Number)
		}
		same := 0
		for _, o := range a.Entries {
			if o.Egress == e.Egress {
				same++
			}
		}
		if same >= maxACLEntries {
			return fault.New(fault.NetworkACLEntryLimitExceeded, "The maximum number of network acl entries has been reached.")
		}
		a.Entries = append(a.Entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateNetworkAclEntryOutput{}, nil
}

// ReplaceNetworkAclEntry puts another rule in the place of one.
func (s *Service) ReplaceNetworkAclEntry(ctx context.Context, in *api.ReplaceNetworkAclEntryInput) (*api.ReplaceNetworkAclEntryOutput, error) {
	e, err := aclEntryInput{
		in.NetworkAclId, in.RuleNumber, in.Egress, in.Protocol, in.RuleAction, in.CidrBlock, in.Ipv6CidrBlock, in.IcmpTypeCode, in.PortRange, in.DryRun,
	}.entry()
	if err != nil {
		return nil, err
	}
	err = s.changeACL(ctx, in.NetworkAclId, in.DryRun, func(a *networkACL) error {
		at := a.find(in.RuleNumber, in.Egress)
		if at < 0 {
			return noEntry(e.Number)
		}
		e.Token = a.Entries[at].Token
		a.Entries[at] = e
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.ReplaceNetworkAclEntryOutput{}, nil
}

// DeleteNetworkAclEntry takes a rule away.
func (s *Service) DeleteNetworkAclEntry(ctx context.Context, in *api.DeleteNetworkAclEntryInput) (*api.DeleteNetworkAclEntryOutput, error) {
	err := s.changeACL(ctx, in.NetworkAclId, in.DryRun, func(a *networkACL) error {
		at := a.find(in.RuleNumber, in.Egress)
		if at < 0 {
			return noEntry(value(in.RuleNumber, 0))
		}
		a.Entries = slices.Delete(a.Entries, at, at+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteNetworkAclEntryOutput{}, nil
}

func noEntry(number int32) error {
	return fault.New(fault.InvalidNetworkACLEntryNotFound, "The specified network acl entry %d does not exist.", number)
}
