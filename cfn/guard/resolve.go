package guard

// resolver checks that names stand for something: of rules, and of the variables that
// a scope sees. Rules with parameters see those of their callers, too.
type resolver struct {
	p        *parser
	rules    map[string]bool
	params   map[string]*rule
	captured map[string]bool // by filters, of any scope
	anywhere map[string]bool // nil: variables must be seen
	scopes   []map[string]bool
}

func (p *parser) resolve(r *Rules) error {
	v := &resolver{p: p, rules: map[string]bool{}, params: r.params, captured: map[string]bool{}}
	for _, one := range r.rules {
		v.rules[one.name] = true
	}
	all := &gatherer{lets: map[string]bool{}, captured: v.captured}
	all.gather(r.lets, nil)
	for _, one := range r.rules {
		all.gather(one.lets, one.clauses)
		all.clauses(one.when)
	}
	for _, one := range r.params {
		all.gather(one.lets, one.clauses)
		for _, name := range one.params {
			all.lets[name] = true
		}
	}
	if err := v.block(block{lets: r.lets}, nil, func() error {
		for _, one := range r.rules {
			if err := v.rule(one); err != nil {
				return err
			}
		}
		v.anywhere = all.lets
		for _, one := range r.params {
			if err := v.rule(one); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return nil
}

func (v *resolver) fail(at Position, what, name string) error {
	return &Error{File: v.p.file, Position: at, Text: "there is no " + what + " " + name}
}

func (v *resolver) rule(r *rule) error {
	if err := v.cnf(r.when); err != nil {
		return err
	}
	return v.block(r.block, r.params, nil)
}

// block checks a scope, and what is within it.
func (v *resolver) block(b block, names []string, within func() error) error {
	scope := map[string]bool{}
	for _, name := range names {
		scope[name] = true
	}
	for _, l := range b.lets {
		scope[l.name] = true
	}
	v.scopes = append(v.scopes, scope)
	defer func() { v.scopes = v.scopes[:len(v.scopes)-1] }()
	for _, l := range b.lets {
		if err := v.operand(l.value); err != nil {
			return err
		}
	}
	if err := v.cnf(b.clauses); err != nil || within == nil {
		return err
	}
	return within()
}

func (v *resolver) cnf(all cnf) error {
	for _, line := range all {
		for _, c := range line {
			if err := v.clause(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *resolver) clause(c clause) error {
	switch c := c.(type) {
	case *check:
		if err := v.query(c.query); err != nil {
			return err
		}
		return v.operand(c.operand)
	case *blockClause:
		if err := v.query(c.query); err != nil {
			return err
		}
		return v.block(c.block, nil, nil)
	case *whenClause:
		if err := v.cnf(c.when); err != nil {
			return err
		}
		return v.block(c.block, nil, nil)
	case *typeClause:
		if err := v.cnf(c.when); err != nil {
			return err
		}
		return v.block(c.block, nil, nil)
	case *reference:
		return v.reference(c)
	}
	return nil
}

func (v *resolver) reference(c *reference) error {
	if !c.called {
		if !v.rules[c.name] {
			return v.fail(c.Position, "rule", c.name)
		}
		return nil
	}
	r := v.params[c.name]
	if r == nil {
		return v.fail(c.Position, "rule with parameters, or function,", c.name)
	}
	if len(r.params) != len(c.args) {
		return v.fail(c.Position, "rule with so many parameters as are given to", c.name)
	}
	return v.operands(c.args)
}

func (v *resolver) operands(all []operand) error {
	for _, o := range all {
		if err := v.operand(o); err != nil {
			return err
		}
	}
	return nil
}

func (v *resolver) operand(o operand) error {
	if o.query != nil {
		return v.query(o.query)
	}
	if o.call != nil {
		return v.operands(o.call.args)
	}
	return nil
}

func (v *resolver) query(q *query) error {
	for i := range q.parts {
		p := &q.parts[i]
		if p.kind == variablePart && !v.sees(p.name) {
			return v.fail(q.Position, "variable", p.name)
		}
		if err := v.cnf(p.filter); err != nil {
			return err
		}
		if err := v.operand(p.operand); err != nil {
			return err
		}
	}
	return nil
}

func (v *resolver) sees(name string) bool {
	if v.captured[name] || v.anywhere[name] {
		return true
	}
	for _, scope := range v.scopes {
		if scope[name] {
			return true
		}
	}
	return false
}

// gatherer finds all variables of a file.
type gatherer struct{ lets, captured map[string]bool }

func (g *gatherer) gather(lets []*let, all cnf) {
	for _, l := range lets {
		g.lets[l.name] = true
		g.operand(l.value)
	}
	g.clauses(all)
}

func (g *gatherer) clauses(all cnf) {
	for _, line := range all {
		for _, c := range line {
			switch c := c.(type) {
			case *check:
				g.query(c.query)
				g.operand(c.operand)
			case *blockClause:
				g.query(c.query)
				g.gather(c.lets, c.clauses)
			case *whenClause:
				g.clauses(c.when)
				g.gather(c.lets, c.clauses)
			case *typeClause:
				g.clauses(c.when)
				g.gather(c.lets, c.clauses)
			case *reference:
				for _, o := range c.args {
					g.operand(o)
				}
			}
		}
	}
}

func (g *gatherer) operand(o operand) {
	if o.query != nil {
		g.query(o.query)
	}
	if o.call != nil {
		for _, arg := range o.call.args {
			g.operand(arg)
		}
	}
}

func (g *gatherer) query(q *query) {
	for i := range q.parts {
		p := &q.parts[i]
		if (p.kind == allPart || p.kind == filterPart || p.kind == keysPart) && p.name != "" {
			g.captured[p.name] = true
		}
		g.clauses(p.filter)
		g.operand(p.operand)
	}
}
