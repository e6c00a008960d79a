package policy

import "strings"

// Caller is who asks, as the principals of a trust or resource policy name them.
type Caller struct {
	Account string
	ARN     string // of the user, the root or the assumed-role session
	// RoleName is the role behind an assumed-role session: a policy names the
	// role by an ARN with a path that the session's ARN does not have.
	RoleName string
	// Service is the host name of a service that asks for itself.
	Service string
}

// Trusted is what a role's trust policy says of a caller.
type Trusted int

// What a trust policy says.
const (
	NotTrusted Trusted = iota
	// ByAccount: the policy trusts the caller's account, which must allow the
	// caller itself by an identity-based policy.
	ByAccount
	// ByName: the policy names the caller; in one account nothing more is needed.
	ByName
	// Refused: a statement denies the caller.
	Refused
)

// Decide evaluates a resource-based policy: a statement counts if it is about
// the request and names the caller. An explicit Deny wins.
func (d *Document) Decide(who Caller, r Request) Decision {
	result := NoMatch
	for i := range d.Statements {
		s := &d.Statements[i]
		if result == Allowed && !s.Deny || s.how(who) == NotTrusted || !s.covers(d, r) {
			continue
		}
		if s.Deny {
			return Denied
		}
		result = Allowed
	}
	return result
}

// Trusts evaluates a trust policy for an action such as "sts:AssumeRole".
func (d *Document) Trusts(who Caller, action string, ctx Context) Trusted {
	result := NotTrusted
	for i := range d.Statements {
		s := &d.Statements[i]
		if !s.coversAction(action) {
			continue
		}
		how := s.how(who)
		if how == NotTrusted || !s.holds(ctx) {
			continue
		}
		if s.Deny {
			return Refused
		}
		result = max(result, how)
	}
	return result
}

// how says how a statement names a caller. The exceptions of NotPrincipal leave
// everybody else named by account.
func (s *Statement) how(who Caller) Trusted {
	how := s.names(who)
	switch {
	case !s.NotPrincipal:
		return how
	case how == NotTrusted:
		return ByAccount
	}
	return NotTrusted
}

func (s *Statement) names(who Caller) Trusted {
	how := NotTrusted
	for _, p := range s.Principals {
		how = max(how, p.names(who))
	}
	return how
}

func (p Principal) names(who Caller) Trusted {
	switch {
	case p.Type == "Service":
		if who.Service != "" && p.ID == who.Service {
			return ByName
		}
		return NotTrusted
	case p.Type != "AWS" || who.Service != "":
		return NotTrusted
	case p.ID == "*":
		return ByAccount
	case p.ID == who.Account || p.ID == "arn:aws:iam::"+who.Account+":root":
		return ByAccount
	case p.ID == who.ARN:
		return ByName
	case who.RoleName != "":
		parts := strings.SplitN(p.ID, ":", 6)
		if len(parts) == 6 && parts[2] == "iam" && parts[4] == who.Account && strings.HasPrefix(parts[5], "role/") &&
			parts[5][strings.LastIndexByte(parts[5], '/')+1:] == who.RoleName {
			return ByName
		}
	}
	return NotTrusted
}
