package policy

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Condition is one operator with one key.
type Condition struct {
	Operator string // as written: "StringEqualsIfExists"
	Key      string // lower case: "aws:sourceip"
	Values   []string
	Name     string // the key as written: "aws:SourceIp"

	operator
	patterns []pattern      // of strings and ARNs; of an ARN its six parts in a row
	numbers  []float64      // of numbers and, as Unix seconds, dates
	networks []netip.Prefix // of addresses
	blobs    [][]byte
}

// comparison is what an operator compares.
type comparison uint8

const (
	noComparison comparison = iota
	equalText
	equalFold
	likeText
	likeARN
	equalNumber
	lessNumber
	lessEqualNumber
	moreNumber
	moreEqualNumber
	equalBool
	equalBytes
	inNetwork
	isNull
)

// quantifier is the set operator before a condition's operator.
type quantifier uint8

const (
	single quantifier = iota
	forAny
	forAll
)

// operator is a condition operator, taken apart ("IAM JSON policy elements:
// Condition operators", IAM User Guide).
type operator struct {
	compare  comparison
	negated  bool
	date     bool // the numbers are points in time
	ifExists bool
	set      quantifier
}

var operators = map[string]operator{
	"stringequals":              {compare: equalText},
	"stringnotequals":           {compare: equalText, negated: true},
	"stringequalsignorecase":    {compare: equalFold},
	"stringnotequalsignorecase": {compare: equalFold, negated: true},
	"stringlike":                {compare: likeText},
	"stringnotlike":             {compare: likeText, negated: true},
	"arnequals":                 {compare: likeARN},
	"arnnotequals":              {compare: likeARN, negated: true},
	"arnlike":                   {compare: likeARN},
	"arnnotlike":                {compare: likeARN, negated: true},
	"numericequals":             {compare: equalNumber},
	"numericnotequals":          {compare: equalNumber, negated: true},
	"numericlessthan":           {compare: lessNumber},
	"numericlessthanequals":     {compare: lessEqualNumber},
	"numericgreaterthan":        {compare: moreNumber},
	"numericgreaterthanequals":  {compare: moreEqualNumber},
	"dateequals":                {compare: equalNumber, date: true},
	"datenotequals":             {compare: equalNumber, date: true, negated: true},
	"datelessthan":              {compare: lessNumber, date: true},
	"datelessthanequals":        {compare: lessEqualNumber, date: true},
	"dategreaterthan":           {compare: moreNumber, date: true},
	"dategreaterthanequals":     {compare: moreEqualNumber, date: true},
	"bool":                      {compare: equalBool},
	"binaryequals":              {compare: equalBytes},
	"ipaddress":                 {compare: inNetwork},
	"notipaddress":              {compare: inNetwork, negated: true},
}

// operatorOf reads an operator's name.
func operatorOf(name string) (operator, bool) {
	name = strings.ToLower(name)
	set := single
	if rest, ok := strings.CutPrefix(name, "forallvalues:"); ok {
		name, set = rest, forAll
	} else if rest, ok := strings.CutPrefix(name, "foranyvalue:"); ok {
		name, set = rest, forAny
	}
	if name == "null" {
		return operator{compare: isNull, set: set}, true
	}
	name, ifExists := strings.CutSuffix(name, "ifexists")
	o, ok := operators[name]
	o.set, o.ifExists = set, ifExists
	return o, ok
}

// compile prepares the values. Those that cannot be read match nothing. variables
// says whether the document's version knows them.
func (c *Condition) compile(variables bool) {
	for _, v := range c.Values {
		switch c.compare {
		case equalText:
			c.patterns = append(c.patterns, compile(v, false, variables))
		case equalFold:
			c.patterns = append(c.patterns, compile(strings.ToLower(v), false, variables))
		case likeText:
			c.patterns = append(c.patterns, compile(v, true, variables))
		case likeARN:
			c.patterns = append(c.patterns, arnPatterns(v, variables)...)
		case equalNumber, lessNumber, lessEqualNumber, moreNumber, moreEqualNumber:
			if n, ok := c.number(v); ok {
				c.numbers = append(c.numbers, n)
			}
		case inNetwork:
			if n, ok := network(v); ok {
				c.networks = append(c.networks, n)
			}
		case equalBytes:
			if b, err := base64.StdEncoding.DecodeString(v); err == nil {
				c.blobs = append(c.blobs, b)
			}
		}
	}
}

// arnParts are the parts of an ARN. Each is compared apart, so that a * does not
// reach over a colon.
const arnParts = 6

func arnPatterns(v string, variables bool) []pattern {
	parts := splitARN(v)
	if v == "*" {
		parts = []string{"*", "*", "*", "*", "*", "*"}
	}
	if len(parts) != arnParts {
		return nil
	}
	out := make([]pattern, arnParts)
	for i, p := range parts {
		out[i] = compile(p, true, variables)
	}
	return out
}

// splitARN splits at the first five colons outside of variables.
func splitARN(v string) []string {
	var out []string
	depth, from := 0, 0
	for i := 0; i < len(v) && len(out) < arnParts-1; i++ {
		switch {
		case v[i] == '{' && i > 0 && v[i-1] == '$':
			depth++
		case v[i] == '}' && depth > 0:
			depth--
		case v[i] == ':' && depth == 0:
			out = append(out, v[from:i])
			from = i + 1
		}
	}
	return append(out, v[from:])
}

func (o operator) number(v string) (float64, bool) {
	if o.date {
		return pointInTime(v)
	}
	n, err := strconv.ParseFloat(v, 64)
	return n, err == nil && n == n
}

// dateForms are the W3C profile of ISO 8601.
var dateForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02", "2006-01", "2006",
}

// pointInTime reads a date as Unix seconds. A number of four digits is a year.
func pointInTime(v string) (float64, bool) {
	if len(v) != len("2006") {
		if n, err := strconv.ParseFloat(v, 64); err == nil && n == n {
			return n, true
		}
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, v); err == nil {
			return float64(t.UnixNano()) / float64(time.Second), true
		}
	}
	return 0, false
}

func network(v string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(v); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// met says whether the condition holds.
func (c *Condition) met(keys Keys) outcome {
	values, known := lookup(keys, c.Key)
	if !known {
		return unknown
	}
	if c.compare == isNull {
		none := len(values) == 0
		for _, w := range c.Values {
			if strings.EqualFold(w, "true") == none {
				return holds
			}
		}
		return fails
	}
	if c.set == forAll && len(values) == 1 && values[0] == "" {
		values = nil // as AWS takes it
	}
	if len(values) == 0 {
		return outcomeOf(c.ifExists || c.set == forAll || c.negated && c.set == single)
	}
	switch c.set {
	case forAll: // each value
		for _, v := range values {
			if o := c.one(v, keys); o != holds {
				return o
			}
		}
		return holds
	case forAny: // one of the values
		worst := fails
		for _, v := range values {
			switch o := c.one(v, keys); o {
			case holds:
				return holds
			case unknown:
				worst = unknown
			}
		}
		return worst
	}
	if !c.negated {
		worst := fails
		for _, v := range values {
			switch o := c.one(v, keys); o {
			case holds:
				return holds
			case unknown:
				worst = unknown
			}
		}
		return worst
	}
	for _, v := range values {
		if o := c.one(v, keys); o != holds {
			return o
		}
	}
	return holds
}

// one compares one value of the request with all of the policy: it must equal one
// of them or, negated, none.
func (c *Condition) one(value string, keys Keys) outcome {
	o := c.any(value, keys)
	if !c.negated || o == unknown {
		return o
	}
	return outcomeOf(o == fails)
}

// any says whether a value of the request compares with one of the policy.
func (c *Condition) any(value string, keys Keys) outcome {
	switch c.compare {
	case equalText, likeText:
		return anyOf(c.patterns, value, keys, false)
	case equalFold:
		return anyOf(c.patterns, value, keys, true)
	case likeARN:
		return c.anyARN(value, keys)
	case equalBool:
		return outcomeOf(slices.ContainsFunc(c.Values, func(w string) bool { return strings.EqualFold(w, value) }))
	case equalBytes:
		b, err := base64.StdEncoding.DecodeString(value)
		return outcomeOf(err == nil && slices.ContainsFunc(c.blobs, func(w []byte) bool { return bytes.Equal(w, b) }))
	case inNetwork:
		a, err := netip.ParseAddr(value)
		if err != nil {
			return fails
		}
		a = a.Unmap().WithZone("")
		for _, n := range c.networks {
			if n.Contains(a) {
				return holds
			}
		}
		return fails
	}
	n, ok := c.number(value)
	if !ok {
		return fails
	}
	return outcomeOf(slices.ContainsFunc(c.numbers, func(w float64) bool { return c.compare.compares(n, w) }))
}

func (c comparison) compares(value, want float64) bool {
	switch c {
	case equalNumber:
		return value == want
	case lessNumber:
		return value < want
	case lessEqualNumber:
		return value <= want
	case moreNumber:
		return value > want
	case moreEqualNumber:
		return value >= want
	}
	return false
}

// anyOf is holds where one of the patterns matches. A variable without a value
// is no match.
func anyOf(patterns []pattern, text string, keys Keys, fold bool) outcome {
	worst := fails
	for i := range patterns {
		switch patterns[i].matches(text, keys, fold) {
		case holds:
			return holds
		case unknown:
			worst = unknown
		}
	}
	return worst
}

func (c *Condition) anyARN(value string, keys Keys) outcome {
	var parts [arnParts]string
	rest := value
	for i := range arnParts - 1 {
		before, after, found := strings.Cut(rest, ":")
		if !found {
			return fails
		}
		parts[i], rest = before, after
	}
	parts[arnParts-1] = rest
	worst := fails
	for p := c.patterns; len(p) >= arnParts; p = p[arnParts:] {
		all := holds
		for i := 0; i < arnParts && all == holds; i++ {
			all = p[i].matches(parts[i], keys, false)
		}
		switch all {
		case holds:
			return holds
		case unknown:
			worst = unknown
		}
	}
	return worst
}
