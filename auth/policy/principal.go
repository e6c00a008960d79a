package policy

import (
	"slices"
	"strings"
)

// Caller is who asks, as the principals of trust and resource policies name them.
// The zero value is anybody, without a signature.
type Caller struct {
	Account string
	ARN     string // of the user, the root or the session
	// RoleName is the role behind an assumed-role session: a policy names the
	// role by an ARN with a path that the session's ARN does not have.
	RoleName string
	// UserARN is the user behind a federated-user session.
	UserARN string
	// Service is the host name of a service that asks for itself.
	Service string
	// Provider is the identity provider that vouches for a caller who has no
	// identity in AWS yet: an ARN of IAM or a host name.
	Provider string
	UniqueID string // "AIDA…", "AROA…" without the session
}

// Named is how a statement names a caller. It decides which of the caller's own
// policies count beside a resource-based one.
type Named int

// The ways, from the widest to the narrowest.
const (
	NotNamed Named = iota
	// ByAccount: the caller's account, which must allow the caller itself.
	ByAccount
	// ByRole: the role, or the federated user's user, behind the session, whose
	// boundary and session policies still bind it.
	ByRole
	// ByName: the caller itself, or everybody. In one account nothing more is
	// needed.
	ByName
)

// Decide evaluates a resource-based policy: a statement counts if it is about
// the request and names the caller. An explicit Deny wins.
func (d *Document) Decide(who Caller, r Request) Decision {
	r.fold()
	decision, _ := d.decide(&who, &r)
	return decision
}

// decide also says how the most direct Allow names the caller.
func (d *Document) decide(who *Caller, r *Request) (Decision, Named) {
	result, how := NoMatch, NotNamed
	for i := range d.Statements {
		s := &d.Statements[i]
		named := s.how(who)
		if named == NotNamed || !s.Deny && named <= how || !s.covers(r) {
			continue
		}
		if s.Deny {
			return Denied, named
		}
		result, how = Allowed, named
	}
	return result, how
}

// how says how a statement names a caller. The exceptions of NotPrincipal leave
// everybody else named by account.
func (s *Statement) how(who *Caller) Named {
	how := NotNamed
	for i := range s.Principals {
		how = max(how, s.Principals[i].names(who))
	}
	switch {
	case !s.NotPrincipal:
		return how
	case how == NotNamed:
		return ByAccount
	}
	return NotNamed
}

func (p *Principal) names(who *Caller) Named {
	switch p.Type {
	case "Service":
		if who.Service != "" && p.ID == who.Service {
			return ByName
		}
		return NotNamed
	case "Federated":
		if who.Provider != "" && p.ID == who.Provider {
			return ByName
		}
		return NotNamed
	case "AWS":
	default:
		return NotNamed
	}
	switch {
	case who.Service != "" || who.Provider != "":
		return NotNamed
	case p.ID == "*":
		return ByName
	case who.Account == "":
		return NotNamed
	case p.ID == who.ARN || p.ID == who.UniqueID && who.RoleName == "":
		if isRoot(p.ID, who.Account) {
			return ByAccount
		}
		return ByName
	case p.ID == who.Account || isRoot(p.ID, who.Account):
		return ByAccount
	case who.UserARN != "" && p.ID == who.UserARN:
		return ByRole
	case who.RoleName != "" && (p.ID == who.UniqueID || isRole(p.ID, who.Account, who.RoleName)):
		return ByRole
	}
	return NotNamed
}

func isRoot(id, account string) bool {
	rest, ok := strings.CutPrefix(id, "arn:aws:iam::")
	return ok && len(rest) == len(account)+len(":root") && rest[:len(account)] == account && rest[len(account):] == ":root"
}

// isRole reports whether id is the ARN of an account's role, with any path.
func isRole(id, account, role string) bool {
	rest, ok := strings.CutPrefix(id, "arn:aws:iam::")
	if !ok || !strings.HasPrefix(rest, account) {
		return false
	}
	path, ok := strings.CutPrefix(rest[len(account):], ":role/")
	return ok && path[strings.LastIndexByte(path, '/')+1:] == role
}

// uniqueIDPrefixes begin the ids that stand for a principal that was deleted.
var uniqueIDPrefixes = []string{"AIDA", "AROA"}

func validPrincipal(kind, id string) bool {
	switch kind {
	case "AWS":
		if id == "*" || len(id) == 12 && strings.Trim(id, "0123456789") == "" {
			return true
		}
		if slices.ContainsFunc(uniqueIDPrefixes, func(p string) bool { return strings.HasPrefix(id, p) }) {
			return true
		}
		return strings.HasPrefix(id, "arn:") && strings.Count(id, ":") >= 5 && !strings.HasSuffix(id, ":") &&
			(!strings.Contains(id, "*") || strings.HasSuffix(id, ":assumed-role/*"))
	case "Service":
		return strings.HasSuffix(id, ".amazonaws.com") || strings.HasSuffix(id, ".amazonaws.com.cn") ||
			strings.HasSuffix(id, ".amazon.com") || strings.HasSuffix(id, ".internal")
	}
	return id != ""
}
