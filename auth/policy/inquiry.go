package policy

import "slices"

// Source is the kind of a policy.
type Source int

// The kinds of policies.
const (
	ByIdentity Source = iota + 1 // of the user, its groups or the role
	ByResource                   // of the queue, bucket, key, or a role's trust policy
	ByBoundary
	BySession // given when the session began
	ByControl // a service control policy of the caller's organization
)

// Inquiry is a request with all the policies that bear on it. It is what every
// decision of IAM is made by ("Policy evaluation logic", IAM User Guide):
//
//   - A Deny in any policy wins.
//   - Within one account, an identity-based or a resource-based Allow is enough,
//     and the boundary and the session policies, where there are any, must allow
//     it, too. A resource-based policy that names the user, the session or
//     everybody ("*") needs none of them; one that names the role behind a
//     session needs boundary and session policies; one that names the account
//     alone only leaves the decision to the identity-based policies.
//   - Across accounts, both sides must allow it.
//   - The service control policies of each level of the caller's organization must
//     allow it, whatever other policies do.
type Inquiry struct {
	Request
	Caller   Caller
	Identity []*Document
	Boundary *Document   // nil: none
	Session  []*Document // nil: none; one of them must allow
	// Attached is the resource-based policy; nil: none.
	Attached *Document
	// Owner is the resource's account; "" is the caller's.
	Owner string
	// Delegates says that identity-based policies count only where the resource's
	// policy allows the caller or its account, as with KMS keys and the trust
	// policies of roles.
	Delegates bool
	// Unbound says that the caller's side allows everything: its account's root
	// user, and everybody where policies are not enforced.
	Unbound bool
	// Control are the service control policies that bind the caller's account, level
	// by level; nil: none. They bind its root user, too.
	Control [][]*Document
}

// Verdict is the answer to an inquiry.
type Verdict struct {
	Decision Decision // Allowed, or Denied by a statement, or NoMatch
	// By is the kind of policy that denies it or, of NoMatch, lacks an Allow.
	By Source
}

// Decide answers an inquiry. It is safe for use by several goroutines.
func (q Inquiry) Decide() Verdict {
	identity, boundary, session, resource := q.eachSays()
	return q.join(q.controlSays(), identity, boundary, session, resource)
}

// controlSays is what the service control policies say together. It is called after
// eachSays.
func (q *Inquiry) controlSays() Decision {
	out := Allowed
	for _, level := range q.Control {
		switch evaluate(level, &q.Request) {
		case Denied:
			return Denied
		case Allowed:
		default:
			out = NoMatch
		}
	}
	return out
}

// says is what one kind of policy says; none is that there is no such policy.
type says struct {
	Decision
	none bool
	how  Named // of a resource-based policy
}

func (q *Inquiry) eachSays() (identity, boundary, session, resource says) {
	boundary.none, session.none, resource.none = true, true, true
	q.fold()
	identity.Decision = Allowed
	if !q.Unbound {
		identity.Decision = evaluate(q.Identity, &q.Request)
		if q.Boundary != nil {
			boundary = says{Decision: q.Boundary.evaluate(&q.Request)}
		}
		if q.Session != nil {
			session = says{Decision: evaluate(q.Session, &q.Request)}
		}
	}
	if q.Attached != nil {
		resource.none = false
		resource.Decision, resource.how = q.Attached.decide(&q.Caller, &q.Request)
	}
	return identity, boundary, session, resource
}

func (d *Document) evaluate(r *Request) Decision {
	one := [1]*Document{d}
	return evaluate(one[:], r)
}

func (q *Inquiry) join(control Decision, identity, boundary, session, resource says) Verdict {
	switch Denied {
	case control:
		return Verdict{Denied, ByControl}
	case identity.Decision:
		return Verdict{Denied, ByIdentity}
	case boundary.Decision:
		return Verdict{Denied, ByBoundary}
	case session.Decision:
		return Verdict{Denied, BySession}
	case resource.Decision:
		return Verdict{Denied, ByResource}
	}
	if control != Allowed {
		return Verdict{NoMatch, ByControl}
	}
	// Who has no account has no other policies than the resource's.
	local := q.Owner == "" || q.Owner == q.Caller.Account || q.Caller.Account == ""
	switch {
	case local && resource.Decision == Allowed && resource.how == ByName:
		return Verdict{Allowed, ByResource}
	case local && resource.Decision == Allowed && resource.how == ByRole:
		return narrowed(Verdict{Allowed, ByResource}, boundary, session)
	case local && q.Delegates && resource.Decision != Allowed:
		return Verdict{NoMatch, ByResource}
	case identity.Decision != Allowed:
		return Verdict{NoMatch, ByIdentity}
	case !local && resource.Decision != Allowed:
		return Verdict{NoMatch, ByResource}
	}
	return narrowed(Verdict{Allowed, ByIdentity}, boundary, session)
}

func narrowed(v Verdict, boundary, session says) Verdict {
	switch {
	case !boundary.none && boundary.Decision != Allowed:
		return Verdict{NoMatch, ByBoundary}
	case !session.none && session.Decision != Allowed:
		return Verdict{NoMatch, BySession}
	}
	return v
}

// Explanation is a verdict with its reasons, for simulations.
type Explanation struct {
	Verdict
	// Matched are the statements that decide: those that deny or, where none
	// does, those that allow.
	Matched []Matched
	// Missing are the condition keys and variables, as the policies write them and
	// in order, that statements about this action and resource ask for and that
	// the request does not tell.
	Missing []string
	// What each kind of policy says by itself; nil where there is none of it.
	Identity, Boundary, Session, Resource *Decision
}

// Matched is a statement that covers the request.
type Matched struct {
	Source    Source
	Document  *Document // as it was given
	Statement *Statement
}

// Explain answers an inquiry with reasons. It is slower than Decide and agrees
// with it.
func (q Inquiry) Explain() Explanation {
	identity, boundary, session, resource := q.eachSays()
	e := Explanation{Verdict: q.join(q.controlSays(), identity, boundary, session, resource)}
	e.Identity = &identity.Decision
	for _, k := range []struct {
		says *says
		out  **Decision
	}{{&boundary, &e.Boundary}, {&session, &e.Session}, {&resource, &e.Resource}} {
		if !k.says.none {
			*k.out = &k.says.Decision
		}
	}
	var allows, denies []Matched
	look := func(source Source, docs ...*Document) {
		for _, d := range docs {
			if d == nil {
				continue
			}
			for i := range d.Statements {
				s := &d.Statements[i]
				if source == ByResource && s.how(&q.Caller) == NotNamed || !s.coversAction(&q.Request) || !s.coversResource(&q.Request) {
					continue
				}
				e.Missing = s.missing(e.Missing, q.Context)
				switch {
				case !s.holds(q.Context):
				case s.Deny:
					denies = append(denies, Matched{source, d, s})
				default:
					allows = append(allows, Matched{source, d, s})
				}
			}
		}
	}
	for _, level := range q.Control {
		look(ByControl, level...)
	}
	look(ByIdentity, q.Identity...)
	look(ByBoundary, q.Boundary)
	look(BySession, q.Session...)
	look(ByResource, q.Attached)
	slices.Sort(e.Missing)
	switch e.Decision {
	case Denied:
		e.Matched = denies
	case Allowed:
		e.Matched = allows
	}
	return e
}

// missing adds the statement's keys that have no value.
func (s *Statement) missing(to []string, keys Keys) []string {
	s.eachKey(func(key, name string) {
		if values, _ := lookup(keys, key); len(values) == 0 && !slices.Contains(to, name) {
			to = append(to, name)
		}
	})
	return to
}

func (s *Statement) eachKey(fn func(key, name string)) {
	of := func(patterns []pattern) {
		for i := range patterns {
			for _, v := range patterns[i].parts {
				if v.key != "" && v.name != "" {
					fn(v.key, v.name)
				}
			}
		}
	}
	of(s.resources)
	for i := range s.Conditions {
		fn(s.Conditions[i].Key, s.Conditions[i].Name)
		of(s.Conditions[i].patterns)
	}
}

// Keys are the condition keys and variables that the document asks for, as it
// writes them, each once and in order.
func (d *Document) Keys() []string {
	var out []string
	for i := range d.Statements {
		d.Statements[i].eachKey(func(_, name string) {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		})
	}
	slices.Sort(out)
	return out
}
