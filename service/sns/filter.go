package sns

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// A filter policy is read as SNS reads it ("Amazon SNS subscription filter policies",
// Developer Guide), and refused in its words and at its column.

// filter is a filter policy: all of its conditions must hold.
type filter struct {
	conditions []condition
}

// condition is about one key: patterns of which one must match, or what must hold of
// the object under the key, or alternatives.
type condition struct {
	key      string
	patterns []pattern
	nested   *filter
	either   []*filter // of $or
}

type patternKind int

const (
	equalsText patternKind = iota
	equalsNumber
	equalsBool
	equalsNull
	exists
	prefix
	suffix
	ignoreCase
	inRange
	inNetwork
	anythingBut
)

// pattern is one way in which a value can match.
type pattern struct {
	kind    patternKind
	text    string
	number  float64
	on      bool
	but     []pattern // of anythingBut: what must not match
	low     float64
	high    float64
	lowIn   bool // the bound itself is in
	highIn  bool
	network netip.Prefix
}

// Bounds of a policy ("Filter policy constraints", Developer Guide).
const (
	maxFilterKeys   = 5
	maxCombinations = 150
	maxFilterSize   = 256 << 10
	maxFilterNumber = 1e9
)

type filterError string

func (e filterError) Error() string { return string(e) }

// filterReader reads one policy.
type filterReader struct {
	src          jsonReader
	body         bool
	nested       bool
	combinations float64
}

// refuse tells where the reader was, with the policy itself.
func (r *filterReader) refuse(at int, format string, args ...any) error {
	line, column := r.src.place(at)
	return filterError(fmt.Sprintf(format, args...) + fmt.Sprintf("\n at [Source: (String)\"%s\"; line: %d, column: %d]", r.src.text, line, column))
}

// parseFilter reads a policy. body says that it is for the message's body and may nest.
func parseFilter(text string, body bool) (*filter, error) {
	if len(text) > maxFilterSize {
		return nil, filterError("Filter policy is too large")
	}
	root, err := parseJSON(text)
	if err != nil {
		return nil, filterError("failed to parse JSON. " + err.Error())
	}
	r := &filterReader{src: jsonReader{text: text}, body: body, combinations: 1}
	if root.kind != objectNode {
		return nil, r.refuse(root.at, "Filter is not an object")
	}
	f, err := r.object(root, 1)
	switch {
	case err != nil:
		return nil, err
	case r.nested && !body:
		return nil, filterError("Filter policy scope MessageAttributes does not support nested filter policy")
	case f.keys() > maxFilterKeys:
		return nil, filterError(fmt.Sprintf("Filter policy can not have more than %d keys", maxFilterKeys))
	case r.combinations > maxCombinations:
		return nil, filterError("Filter policy is too complex")
	}
	return f, nil
}

// keys counts the policy's keys: of nested ones, the parents alone.
func (f *filter) keys() int {
	n := 0
	for i := range f.conditions {
		c := &f.conditions[i]
		if c.either == nil {
			n++
		}
		for _, e := range c.either {
			n += e.keys()
		}
	}
	return n
}

func (r *filterReader) object(n *node, depth int) (*filter, error) {
	if len(n.items) == 0 {
		return nil, r.refuse(n.end, "Empty objects are not allowed")
	}
	f := &filter{}
	for i, key := range n.keys {
		c, err := r.condition(key, n.items[i], depth)
		if err != nil {
			return nil, err
		}
		f.conditions = append(f.conditions, c)
	}
	return f, nil
}

func (r *filterReader) condition(key string, v *node, depth int) (c condition, err error) {
	c.key = key
	switch {
	case key == "$or" && v.isAlternatives():
		before, most := r.combinations, 0.0
		for _, item := range v.items {
			r.combinations = before
			f, err := r.object(item, depth)
			if err != nil {
				return c, err
			}
			most += r.combinations
			c.either = append(c.either, f)
		}
		r.combinations = most
	case v.kind == objectNode:
		r.nested = true
		c.nested, err = r.object(v, depth+1)
	case v.kind == arrayNode:
		if len(v.items) == 0 {
			return c, r.refuse(v.end, "Empty arrays are not allowed")
		}
		r.combinations *= float64(len(v.items) * depth)
		for _, item := range v.items {
			p, err := r.pattern(item)
			if err != nil {
				return c, err
			}
			c.patterns = append(c.patterns, p)
		}
	default:
		err = r.refuse(v.at, "%q must be an object or an array", key)
	}
	return c, err
}

// isAlternatives reports whether a value is what $or takes; any other $or is a key of
// that name.
func (n *node) isAlternatives() bool {
	if n.kind != arrayNode || len(n.items) < 2 {
		return false
	}
	for _, item := range n.items {
		if item.kind != objectNode || len(item.keys) == 0 {
			return false
		}
		for _, key := range item.keys {
			if _, ok := operators[key]; ok {
				return false
			}
		}
	}
	return true
}

func (r *filterReader) pattern(n *node) (p pattern, err error) {
	switch n.kind {
	case stringNode:
		return pattern{kind: equalsText, text: n.text}, nil
	case numberNode:
		p = pattern{kind: equalsNumber}
		p.number, err = r.number(n, "Value")
		return p, err
	case boolNode:
		return pattern{kind: equalsBool, on: n.on}, nil
	case nullNode:
		return pattern{kind: equalsNull}, nil
	case arrayNode:
		return p, r.refuse(n.at, "Match value must be String, number, true, false, or null")
	}
	switch len(n.keys) {
	case 0:
		return p, r.refuse(n.end, "Match expression name not found")
	case 1:
	default:
		return p, r.refuse(n.items[0].end, "Only one key allowed in match expression")
	}
	read, ok := operators[n.keys[0]]
	if !ok {
		return p, r.refuse(n.items[0].at, "Unrecognized match type %s", n.keys[0])
	}
	return read(r, n.items[0])
}

var operators map[string]func(r *filterReader, n *node) (pattern, error)

func init() {
	text := func(kind patternKind, name string) func(*filterReader, *node) (pattern, error) {
		return func(r *filterReader, n *node) (pattern, error) { return r.textPattern(kind, name, n) }
	}
	operators = map[string]func(*filterReader, *node) (pattern, error){
		"prefix": text(prefix, "prefix"), "suffix": text(suffix, "suffix"), "equals-ignore-case": text(ignoreCase, "equals-ignore-case"),
		"exists": (*filterReader).existsPattern, "numeric": (*filterReader).numericPattern, "cidr": (*filterReader).cidrPattern,
		"anything-but": (*filterReader).anythingBut,
	}
}

func (r *filterReader) textPattern(kind patternKind, name string, n *node) (pattern, error) {
	if n.kind != stringNode {
		return pattern{}, r.refuse(n.at, "%s match pattern must be a string", name)
	}
	return pattern{kind: kind, text: n.text}, nil
}

func (r *filterReader) existsPattern(n *node) (pattern, error) {
	if n.kind != boolNode {
		return pattern{}, r.refuse(n.at, "exists match pattern must be either true or false.")
	}
	return pattern{kind: exists, on: n.on}, nil
}

func (r *filterReader) number(n *node, name string) (float64, error) {
	v, err := strconv.ParseFloat(n.text, 64)
	if n.kind != numberNode || err != nil {
		return 0, r.refuse(n.at, "%s must be numeric", name)
	}
	if math.Abs(v) > maxFilterNumber {
		return 0, r.refuse(n.at, "Value must be between -1.0E9 and 1.0E9, inclusive")
	}
	return v, nil
}

// numericPattern reads ["=", n], or one bound or two.
func (r *filterReader) numericPattern(n *node) (p pattern, err error) {
	if n.kind != arrayNode {
		return p, r.refuse(n.at, "Value of numeric must be an array.")
	}
	p = pattern{kind: inRange, low: math.Inf(-1), high: math.Inf(1)}
	if len(n.items) == 0 {
		return p, r.refuse(n.end, "Invalid member in numeric match: ]")
	}
	seen := map[byte]bool{}
	for i := 0; i < len(n.items); i += 2 {
		op := n.items[i]
		if op.kind != stringNode {
			return p, r.refuse(op.at, "Invalid member in numeric match: %s", r.src.text[op.start():op.end])
		}
		if i == 4 || i == 2 && seen['='] {
			return p, r.refuse(op.at, "Too many elements in numeric expression")
		}
		switch op.text {
		case "=", "<", "<=", ">", ">=":
		default:
			return p, r.refuse(op.at, "Unrecognized numeric range operator: %s", op.text)
		}
		if i+1 == len(n.items) {
			return p, r.refuse(n.end, "Value of %s must be numeric", op.text)
		}
		v, err := r.number(n.items[i+1], "Value of "+op.text)
		if err != nil {
			return p, err
		}
		if seen[op.text[0]] || i == 2 && op.text == "=" {
			return p, r.refuse(op.at, "Bad numeric range operator: %s", op.text)
		}
		seen[op.text[0]] = true
		p.bound(op.text, v)
	}
	if p.low > p.high || p.low == p.high && (!p.lowIn || !p.highIn) {
		return p, r.refuse(n.end, "Bottom must be less than top")
	}
	return p, nil
}

func (p *pattern) bound(op string, v float64) {
	in := strings.HasSuffix(op, "=")
	if op[0] != '<' {
		p.low, p.lowIn = v, in
	}
	if op[0] != '>' {
		p.high, p.highIn = v, in
	}
}

// start is where a value begins, of those that are read to their end at once.
func (n *node) start() int {
	if n.kind == stringNode || n.kind == arrayNode || n.kind == objectNode {
		return n.at - 1
	}
	return n.end - len(n.text)
}

func (r *filterReader) cidrPattern(n *node) (pattern, error) {
	if n.kind != stringNode {
		return pattern{}, r.refuse(n.at, "prefix match pattern must be a string") // as SNS has it
	}
	address, bits, ok := strings.Cut(n.text, "/")
	if !ok || strings.Contains(bits, "/") {
		return pattern{}, filterError("Malformed CIDR, one '/' required")
	}
	width, err := strconv.Atoi(bits)
	if err != nil {
		return pattern{}, filterError("Malformed CIDR, mask bits must be an integer")
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return pattern{}, filterError("Nonstandard IP address: " + address)
	}
	network, err := a.Prefix(width)
	if err != nil {
		return pattern{}, filterError("Malformed CIDR, mask bits must not be negative or more than the address has")
	}
	return pattern{kind: inNetwork, network: network}, nil
}

// anythingBut reads values, or one operator with one text or several.
func (r *filterReader) anythingBut(n *node) (p pattern, err error) {
	p.kind = anythingBut
	switch n.kind {
	case objectNode:
		if len(n.keys) != 1 {
			return p, r.refuse(n.end, "Only one key allowed in match expression")
		}
		kind, ok := map[string]patternKind{"prefix": prefix, "suffix": suffix, "equals-ignore-case": ignoreCase}[n.keys[0]]
		if !ok {
			return p, r.refuse(n.items[0].at, "Unsupported anything-but pattern: %s", n.keys[0])
		}
		list := []*node{n.items[0]}
		if n.items[0].kind == arrayNode {
			list = n.items[0].items
		}
		for _, item := range list {
			b, err := r.textPattern(kind, n.keys[0], item)
			if err != nil {
				return p, err
			}
			p.but = append(p.but, b)
		}
	case arrayNode:
		for _, item := range n.items {
			if item.kind != stringNode && item.kind != numberNode || item.kind != n.items[0].kind {
				return p, r.refuse(item.at, "Inside anything but list, either all values are number or string, mixed type is not supported")
			}
			b, err := r.pattern(item)
			if err != nil {
				return p, err
			}
			p.but = append(p.but, b)
		}
	case stringNode, numberNode:
		b, err := r.pattern(n)
		p.but = []pattern{b}
		return p, err
	default:
		return p, r.refuse(n.at, "Value of anything-but must be an array or single string/number value.")
	}
	if len(p.but) == 0 {
		return p, r.refuse(n.end, "Empty arrays are not allowed")
	}
	return p, nil
}

// matchesText decides patterns about texts.
func (p *pattern) matchesText(text string) bool {
	switch p.kind {
	case equalsText:
		return p.text == text
	case prefix:
		return strings.HasPrefix(text, p.text)
	case suffix:
		return strings.HasSuffix(text, p.text)
	case ignoreCase:
		return strings.EqualFold(p.text, text)
	case inNetwork:
		a, err := netip.ParseAddr(text)
		return err == nil && p.network.Contains(a.WithZone(""))
	case anythingBut:
		for i := range p.but {
			if p.but[i].matchesText(text) {
				return false
			}
		}
		return true
	}
	return false
}

// filterAccuracy is the fifth digit behind the point, to which numbers are compared.
const filterAccuracy = 1e5

func (p *pattern) matchesNumber(v float64) bool {
	round := func(v float64) float64 { return math.Round(v * filterAccuracy) }
	switch p.kind {
	case equalsNumber:
		return round(p.number) == round(v)
	case inRange:
		v, low, high := round(v), round(p.low), round(p.high)
		return (v > low || v == low && p.lowIn) && (v < high || v == high && p.highIn)
	case anythingBut:
		for i := range p.but {
			if p.but[i].matchesNumber(v) {
				return false
			}
		}
		return true
	}
	return false
}

// filterCache keeps policies that were read, by their text and scope.
type filterCache struct {
	mu   sync.RWMutex
	kept map[filterKey]*filter
	size int
}

type filterKey struct {
	text string
	body bool
}

// maxCachedFilters bounds the memory by the texts' length; a full cache starts afresh.
const maxCachedFilters = 8 << 20

func (c *filterCache) parse(text string, body bool) (*filter, error) {
	k := filterKey{text, body}
	c.mu.RLock()
	f := c.kept[k]
	c.mu.RUnlock()
	if f != nil {
		return f, nil
	}
	f, err := parseFilter(text, body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || c.size+len(text) > maxCachedFilters {
		c.kept, c.size = map[filterKey]*filter{}, 0
	}
	c.kept[k] = f
	c.size += len(text)
	return f, nil
}

// validText accepts the characters that XML 1.0 has.
func validText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF {
			return false
		}
	}
	return true
}
