package policy

import (
	"maps"
	"net/netip"
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
	Context  Context
}

// Unknown is a resource that cannot be named.
const Unknown = ""

// Context is the condition keys that the request tells, in lower case. A key
// with no values is known to be absent; a key that is not in the map is one that
// Slipway does not evaluate.
type Context map[string][]string

// Evaluate decides by identity-based documents: an explicit Deny wins.
func Evaluate(docs []*Document, r Request) Decision {
	d := NoMatch
	for _, doc := range docs {
		for i := range doc.Statements {
			s := &doc.Statements[i]
			if d == Allowed && !s.Deny || !s.covers(doc, r) {
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

func (s *Statement) covers(doc *Document, r Request) bool {
	return s.coversAction(r.Action) && s.coversResource(doc, r) && s.holds(r.Context)
}

func (s *Statement) coversAction(action string) bool {
	action = strings.ToLower(action)
	match := func(p string) bool { return Match(strings.ToLower(p), action) }
	if len(s.NotActions) > 0 {
		return !slices.ContainsFunc(s.NotActions, match)
	}
	return slices.ContainsFunc(s.Actions, match)
}

func (s *Statement) coversResource(doc *Document, r Request) bool {
	if r.Resource == Unknown {
		return s.Deny || slices.Contains(s.Resources, "*")
	}
	if len(s.NotResources) > 0 {
		for _, p := range s.NotResources {
			pattern, ok := expand(doc, p, r.Context)
			// A variable that has no value cannot except the resource from a
			// Deny, nor leave it to an Allow.
			if ok && Match(pattern, r.Resource) || !ok && !s.Deny {
				return false
			}
		}
		return true
	}
	for _, p := range s.Resources {
		pattern, ok := expand(doc, p, r.Context)
		if ok && Match(pattern, r.Resource) || !ok && s.Deny {
			return true
		}
	}
	return false
}

// expand puts the values of policy variables (${aws:username}) into a pattern.
// ok is false where one has no single value.
func expand(doc *Document, pattern string, c Context) (string, bool) {
	if doc.Version != "2012-10-17" || !strings.Contains(pattern, "${") {
		return pattern, true
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "${")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", false
		}
		switch name {
		case "$":
			b.WriteString(name)
		case "*", "?": // Match has no form for the characters themselves
			return "", false
		default:
			v := c[strings.ToLower(name)]
			if len(v) != 1 || strings.ContainsAny(v[0], "*?") {
				return "", false
			}
			b.WriteString(v[0])
		}
		pattern = after
	}
}

// Match compares text with a pattern in which * stands for any characters and ?
// for one. It takes time in proportion to the product of the lengths at worst.
func Match(pattern, text string) bool {
	p, t := 0, 0
	star, mark := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// holds says whether all of a statement's conditions are met. A condition that
// cannot be evaluated makes a Deny apply and an Allow not.
func (s *Statement) holds(c Context) bool {
	for i := range s.Conditions {
		met, understood := s.Conditions[i].met(c)
		if !understood {
			met = s.Deny
		}
		if !met {
			return false
		}
	}
	return true
}

// comparisons are the operators that are evaluated. value is of the request,
// want of the policy.
var comparisons = map[string]func(want, value string) bool{
	"StringEquals":           func(w, v string) bool { return w == v },
	"StringEqualsIgnoreCase": strings.EqualFold,
	"StringLike":             Match,
	"ArnEquals":              matchARN,
	"ArnLike":                matchARN,
	"Bool":                   strings.EqualFold,
	"IpAddress":              inNetwork,
}

// negations are the operators that hold where the comparison fails for all.
var negations = map[string]string{
	"StringNotEquals":           "StringEquals",
	"StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
	"StringNotLike":             "StringLike",
	"ArnNotEquals":              "ArnEquals",
	"ArnNotLike":                "ArnLike",
	"NotIpAddress":              "IpAddress",
}

// laterOperators are valid but not evaluated yet, so they fail closed.
var laterOperators = []string{
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan",
	"NumericGreaterThanEquals", "DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals",
	"DateGreaterThan", "DateGreaterThanEquals", "BinaryEquals",
}

func knownOperator(operator string) bool {
	operator = strings.TrimPrefix(strings.TrimPrefix(operator, "ForAllValues:"), "ForAnyValue:")
	if operator == "Null" {
		return true
	}
	operator = strings.TrimSuffix(operator, "IfExists")
	return comparisons[operator] != nil || negations[operator] != "" || slices.Contains(laterOperators, operator)
}

func (c *Condition) met(ctx Context) (met, understood bool) {
	values, known := ctx[c.Key]
	if !known {
		return false, false
	}
	if c.Operator == "Null" {
		absent := len(values) == 0
		return slices.ContainsFunc(c.Values, func(w string) bool { return strings.EqualFold(w, "true") == absent }), true
	}
	operator, ifExists := strings.CutSuffix(c.Operator, "IfExists")
	negated := negations[operator] != ""
	if negated {
		operator = negations[operator]
	}
	compare := comparisons[operator]
	if compare == nil {
		return false, false
	}
	if len(values) == 0 {
		return ifExists || negated, true
	}
	for _, v := range values {
		for _, w := range c.Values {
			if strings.Contains(w, "${") {
				return false, false
			}
			if compare(w, v) {
				return !negated, true
			}
		}
	}
	return negated, true
}

// matchARN compares part by part, so that a * does not reach over a colon.
func matchARN(pattern, value string) bool {
	p, v := strings.SplitN(pattern, ":", 6), strings.SplitN(value, ":", 6)
	if len(p) != 6 || len(v) != 6 {
		return pattern == "*" || pattern == value
	}
	for i := range p {
		if !Match(p[i], v[i]) {
			return false
		}
	}
	return true
}

func inNetwork(network, address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	if p, err := netip.ParsePrefix(network); err == nil {
		return p.Contains(a.Unmap())
	}
	n, err := netip.ParseAddr(network)
	return err == nil && n == a.Unmap()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
