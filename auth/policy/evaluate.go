package policy

import (
	"slices"
	"strings"
)

// Decision is what policies say of a request.
type Decision int

// The decisions, in the order of their weight.
const (
	NoMatch Decision = iota // nothing allows it: denied implicitly
	Allowed
	Denied // a statement denies it
)

// Request is an action on a resource.
type Request struct {
	Action string // "sqs:SendMessage"
	// Resource is an ARN or "*". Unknown, the empty string, is a resource that
	// the caller cannot name: only an Allow of every resource covers it, and
	// every Deny does.
	Resource string
	Context  Keys // nil tells nothing

	// As it is compared: the action in lower case and the bit of its vendor.
	folded string
	vendor uint64
}

// fold prepares the action once for all the statements that look at it.
func (r *Request) fold() {
	r.folded = strings.ToLower(r.Action)
	vendor, _, _ := strings.Cut(r.folded, ":")
	r.vendor = vendorBit(vendor)
}

// vendorBit is one of 64 bits by which a statement of other vendors is passed over
// at a glance.
func vendorBit(vendor string) uint64 {
	h := uint32(2166136261) // FNV-1a
	for i := range len(vendor) {
		h = (h ^ uint32(vendor[i])) * 16777619
	}
	return 1 << (h >> 26)
}

// Unknown is a resource that cannot be named.
const Unknown = ""

// Keys tells the values of condition keys.
type Keys interface {
	// Lookup returns the values of a key, which is in lower case; none where the
	// request has no such key. known is false for a key that Slipway does not
	// evaluate: a condition on it makes a Deny apply and an Allow not.
	Lookup(key string) (values []string, known bool)
}

// Context is the condition keys that a request tells, in lower case. A key with
// no values is known to be absent; one that is not in the map is not known.
type Context map[string][]string

// Lookup returns a key's values.
func (c Context) Lookup(key string) ([]string, bool) {
	v, ok := c[key]
	return v, ok
}

// Given is a context, in lower case, that tells all there is: what is not in the
// map is absent. Simulations give one.
type Given map[string][]string

// Lookup returns a key's values.
func (g Given) Lookup(key string) ([]string, bool) { return g[key], true }

// Evaluate decides by identity-based documents: an explicit Deny wins.
func Evaluate(docs []*Document, r Request) Decision {
	r.fold()
	return evaluate(docs, &r)
}

func evaluate(docs []*Document, r *Request) Decision {
	d := NoMatch
	for _, doc := range docs {
		for i := range doc.Statements {
			s := &doc.Statements[i]
			if d == Allowed && !s.Deny || !s.covers(r) {
				continue
			}
			if s.Deny {
				return Denied
			}
			d = Allowed
		}
	}
	return d
}

func (s *Statement) covers(r *Request) bool {
	return s.coversAction(r) && s.coversResource(r) && s.holds(r.Context)
}

func (s *Statement) coversAction(r *Request) bool {
	if s.vendors&r.vendor == 0 {
		return len(s.NotActions) > 0
	}
	for i, bits := range s.bits {
		if bits&r.vendor == 0 {
			continue
		}
		if p := &s.actions[i]; p.star || p.plain && p.text == r.folded || p.prefix && strings.HasPrefix(r.folded, p.text) ||
			!p.plain && !p.prefix && glob(p.text, r.folded, false) {
			return len(s.NotActions) == 0
		}
	}
	return len(s.NotActions) > 0
}

func (s *Statement) coversResource(r *Request) bool {
	if s.anywhere {
		return true
	}
	if r.Resource == Unknown {
		return s.Deny || slices.Contains(s.Resources, "*")
	}
	not := len(s.NotResources) > 0
	for i := range s.resources {
		o := s.resources[i].matches(r.Resource, r.Context, false)
		if not {
			// A variable that has no value cannot except the resource from a
			// Deny, nor leave it to an Allow.
			if o == holds || o != fails && !s.Deny {
				return false
			}
			continue
		}
		if o == holds || o == unknown && s.Deny {
			return true
		}
	}
	return not
}

// holds says whether all of a statement's conditions are met. One that cannot be
// evaluated makes a Deny apply and an Allow not.
func (s *Statement) holds(keys Keys) bool {
	for i := range s.Conditions {
		o := s.Conditions[i].met(keys)
		if o != holds && (o != unknown || !s.Deny) {
			return false
		}
	}
	return true
}

// With puts keys of its own before others: a key that is in own, absent or not,
// is not looked for elsewhere.
func With(own Context, others Keys) Keys { return overlay{own, others} }

type overlay struct {
	own    Context
	others Keys
}

func (o overlay) Lookup(key string) ([]string, bool) {
	if v, ok := o.own[key]; ok {
		return v, true
	}
	return lookup(o.others, key)
}
