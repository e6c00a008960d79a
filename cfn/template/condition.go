package template

import "strings"

// conditions evaluates the Conditions section; each condition once.
type conditions struct {
	*evaluator
	under map[string]bool // those that are being evaluated: meeting one again is a circle
}

// named evaluates a condition by name; from is who asks.
func (c *conditions) named(from *Node, name string) bool {
	if v, ok := c.s.conditions[name]; ok {
		return v
	}
	if c.under[name] {
		c.at(from, "Template format error: Circular dependency between conditions: [%s]", name)
		return false
	}
	for i := range c.s.t.Conditions {
		if d := &c.s.t.Conditions[i]; d.Name == name {
			c.under[name] = true
			v := c.holds(d.Node)
			delete(c.under, name)
			c.s.conditions[name] = v
			return v
		}
	}
	c.at(from, "Template format error: Unresolved condition dependency %s in the %s block of the template", name, block(from))
	return false
}

// conditionName is the name that {"Condition": name} or !Condition gives.
func conditionName(n *Node) (string, bool) {
	if n.Kind == Call && n.Fn == "Condition" && isText(n.Arg()) {
		return n.Arg().Text, true
	}
	if n.Kind == Map && len(n.Entries) == 1 && n.Entries[0].Key == "Condition" && isText(n.Entries[0].Value) {
		return n.Entries[0].Value.Text, true
	}
	return "", false
}

const onlyBooleans = "Template format error: Conditions can only be boolean operations on parameters and other conditions"

func (c *conditions) holds(n *Node) bool {
	if name, ok := conditionName(n); ok {
		return c.named(n, name)
	}
	f := functions[n.Fn]
	if n.Kind != Call || f == nil || !f.boolean {
		if n.Kind == Bool {
			return n.Text == "true"
		}
		c.at(n, onlyBooleans)
		return false
	}
	if !f.fits(n.Arg()) {
		c.misuse(n, f)
		return false
	}
	items := n.Arg().Items
	switch n.Fn {
	case "Fn::Not":
		return !c.holds(items[0])
	case "Fn::And":
		all := true
		for _, it := range items {
			all = c.holds(it) && all
		}
		return all
	case "Fn::Or":
		any := false
		for _, it := range items {
			any = c.holds(it) || any
		}
		return any
	case "Fn::Equals":
		return c.operand(items[0]) == c.operand(items[1])
	}
	return c.compare(n.Fn, items)
}

// operand is a side of Fn::Equals. Fn::If in it needs conditions that may not be
// evaluated yet.
func (c *conditions) operand(n *Node) string {
	n.Walk(func(n *Node) bool {
		if n.Kind == Call && n.Fn == "Fn::If" && isIf(n.Arg()) {
			c.named(n, n.Arg().Items[0].Text)
		}
		return true
	})
	if n.Kind == Call && functions[n.Fn] != nil && functions[n.Fn].boolean {
		if c.holds(n) {
			return "true"
		}
		return "false"
	}
	v := c.node(n)
	if l, ok := v.([]any); ok { // lists are compared by their members
		parts := make([]string, len(l))
		for i := range l {
			parts[i] = c.asText(n, l[i], equalsMisuse)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	if n.Scalar() {
		return n.Text
	}
	return c.asText(n, v, equalsMisuse)
}

// compare is the functions of Rules on lists.
func (c *conditions) compare(fn string, items []*Node) bool {
	left := c.strings(items[0])
	if fn == "Fn::EachMemberIn" {
		right := c.strings(items[1])
		for _, l := range left {
			if !contains(right, l) {
				return false
			}
		}
		return true
	}
	right := c.operand(items[1])
	if fn == "Fn::Contains" {
		return contains(left, right)
	}
	for _, l := range left { // Fn::EachMemberEquals
		if l != right {
			return false
		}
	}
	return true
}

func (c *conditions) strings(n *Node) []string {
	l, ok := c.node(n).([]any)
	if !ok {
		c.at(n, "Template format error: a rule's function needs a list of strings here")
		return nil
	}
	var out []string
	for _, x := range l {
		out = append(out, c.asText(n, x, "Template format error: a rule's function needs a list of strings here"))
	}
	return out
}

// condition evaluates a boolean function that stands where a value may.
func (e *evaluator) condition(n *Node) bool {
	c := &conditions{evaluator: e, under: map[string]bool{}}
	return c.holds(n)
}

// rules checks the Rules section.
func (e *evaluator) rules() {
	c := &conditions{evaluator: e, under: map[string]bool{}}
	for _, r := range e.s.t.Rules {
		if r.Condition != nil && !c.holds(r.Condition) {
			continue
		}
		for _, a := range r.Assertions {
			before := len(e.problems)
			if !c.holds(a.Assert) && len(e.problems) == before {
				e.at(a.Assert, "Template validation error: rule %s: %s", r.Name, orElse(a.Description, "an assertion does not hold"))
			}
		}
	}
}
