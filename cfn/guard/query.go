package guard

import "strconv"

// query reads a query: some %var.key['other'][*][ filter ]. nil: none comes.
func (p *parser) query() (*query, error) {
	begin := p.at
	q := &query{Position: p.here()}
	if p.word("some") {
		if q.some = p.space(); !q.some {
			p.at = begin
		}
	}
	first, err := p.firstPart()
	if err != nil {
		return nil, err
	}
	if first == nil {
		p.at = begin
		return nil, nil
	}
	q.parts = append(q.parts, *first)
	for {
		next, err := p.nextPart()
		if err != nil {
			return nil, err
		}
		if next == nil {
			break
		}
		// What a variable holds is filtered value by value.
		if len(q.parts) == 1 && first.kind == variablePart && next.kind != allPart {
			q.parts = append(q.parts, part{kind: allPart})
		}
		q.parts = append(q.parts, *next)
	}
	q.text = squeeze(p.src[begin:p.at])
	return q, nil
}

func (p *parser) firstPart() (*part, error) {
	switch c := p.peek(); {
	case p.word("this"):
		return &part{kind: thisPart}, nil
	case c == '%':
		return p.variable()
	case c == '"' || c == '\'':
		s, err := p.quoted()
		return &part{kind: keyPart, name: s}, err
	case c >= '0' && c <= '9' || c == '-':
		v, err := p.number()
		return &part{kind: literalPart, literal: v}, err
	}
	if name := p.name(); name != "" {
		return &part{kind: keyPart, name: name}, nil
	}
	return nil, nil
}

func (p *parser) variable() (*part, error) {
	p.at++
	name := p.name()
	if name == "" {
		return nil, p.expected("the name of a variable")
	}
	return &part{kind: variablePart, name: name}, nil
}

// nextPart reads what follows in a query, behind white space. nil: it ends.
func (p *parser) nextPart() (*part, error) {
	from := p.at
	p.space()
	switch p.peek() {
	case '.':
		p.at++
		return p.dotted()
	case '[':
		return p.bracketed()
	}
	p.at = from
	return nil, nil
}

func (p *parser) dotted() (*part, error) {
	if p.takes("*") {
		return &part{kind: valuesPart}, nil
	}
	if c := p.peek(); c >= '0' && c <= '9' || c == '-' {
		return p.indexed()
	}
	next, err := p.firstPart()
	if err == nil && (next == nil || next.kind == thisPart) {
		err = p.expected("a key")
	}
	return next, err
}

func (p *parser) indexed() (*part, error) {
	begin := p.at
	p.takes("-")
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	i, err := strconv.ParseInt(p.src[begin:p.at], 10, 64)
	if err != nil || p.inName(p.at) {
		return nil, p.fail(begin, "%q is no index", p.src[begin:p.at])
	}
	return &part{kind: indexPart, index: i}, nil
}

// bracketed reads [*], [0], ['key'], [name], [ keys == ... ] and [ name | clauses ].
func (p *parser) bracketed() (*part, error) {
	p.at++
	p.space()
	begin := p.at
	var found *part
	var err error
	switch c := p.peek(); {
	case c == '*':
		p.at++
		found = &part{kind: allPart}
	case c >= '0' && c <= '9' || c == '-':
		if found, err = p.indexed(); err != nil {
			return nil, err
		}
	case c == '"' || c == '\'':
		// A key, or a clause about one.
		s, err := p.quoted()
		if err != nil {
			return nil, err
		}
		found = &part{kind: keyPart, name: s}
	default:
		if name := p.name(); name != "" {
			found = &part{kind: allPart, name: name}
		}
	}
	if p.space(); found != nil && p.takes("]") {
		return found, nil
	}
	capture := ""
	if found != nil && found.kind == allPart && found.name != "" && p.peek() == '|' && !p.sees("|OR|") {
		p.at++
		capture = found.name
		p.space()
	} else {
		p.at = begin
	}
	if found, err = p.keysFilter(); found == nil && err == nil {
		found, err = p.filter()
	}
	if err != nil {
		return nil, err
	}
	found.name = capture
	return found, p.need("]")
}

// keysFilter reads keys == value of a filter of keys. nil: it is one of values.
func (p *parser) keysFilter() (*part, error) {
	from := p.at
	if !p.word("keys") {
		return nil, nil
	}
	p.space()
	f := &part{kind: keysPart, op: equal}
	switch {
	case p.takes("=="):
	case p.takes("!="):
		f.not = true
	default:
		f.op, f.not = in, p.negation()
		if !p.word("in") {
			p.at = from
			return nil, nil
		}
	}
	var err error
	f.operand, err = p.operand(false)
	return f, err
}

func (p *parser) filter() (*part, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	clauses, err := p.conjunctions(']', p.clause)
	if err != nil {
		return nil, err
	}
	return &part{kind: filterPart, filter: clauses}, nil
}

// operand reads what stands right of an operator or, with calls of functions, of an
// assignment.
func (p *parser) operand(calls bool) (o operand, err error) {
	p.space()
	begin := p.at
	if o.literal, err = p.value(); err != nil || o.literal != nil {
		return o, err
	}
	if name := p.name(); name != "" && p.peek() == '(' {
		if !calls {
			return o, p.fail(begin, "a function is called in an assignment alone: let x = %s(...)", name)
		}
		o.call, err = p.call(begin, name)
		return o, err
	}
	p.at = begin
	if o.query, err = p.query(); err == nil && o.query == nil {
		err = p.expected("a value or a query")
	}
	return o, err
}

func (p *parser) call(begin int, name string) (*call, error) {
	c := &call{Position: p.place(begin), name: name}
	f, there := functions[name]
	if !there {
		return nil, p.fail(begin, "there is no function %s", name)
	}
	var err error
	if c.args, err = p.arguments(); err != nil {
		return nil, err
	}
	if len(c.args) != f.args {
		return nil, p.fail(begin, "%s takes %d arguments, not %d", name, f.args, len(c.args))
	}
	return c, nil
}

func (p *parser) arguments() (args []operand, err error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.at++
	for p.space(); !p.takes(")"); p.space() {
		if len(args) > 0 {
			if err := p.need(","); err != nil {
				return nil, err
			}
		}
		arg, err := p.operand(true)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}
