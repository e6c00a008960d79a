package guard

import (
	"strings"
	"unicode/utf8"
)

// Parse reads a file of rules. Clauses that stand in no rule are the rule "default".
func Parse(file string, src []byte) (*Rules, error) {
	p := &parser{file: file, src: string(src)}
	switch {
	case len(src) > MaxRules:
		return nil, p.fail(0, "the file is longer than %d bytes", MaxRules)
	case !utf8.Valid(src):
		return nil, p.fail(0, "the file is not UTF-8")
	}
	r := &Rules{file: file, params: map[string]*rule{}}
	bare := &rule{name: "default", Position: Position{1, 1}}
	for p.space(); p.at < len(p.src); p.space() {
		if err := p.statement(r, bare); err != nil {
			return nil, err
		}
	}
	if len(bare.clauses) > 0 {
		r.rules = append([]*rule{bare}, r.rules...)
	}
	if len(r.rules) == 0 {
		return nil, p.fail(len(p.src), "the file has no rules")
	}
	return r, p.resolve(r)
}

// statement reads an assignment, a rule, or clauses that stand in none.
func (p *parser) statement(r *Rules, bare *rule) error {
	begin := p.at
	if l, err := p.assignment(r.lets); l != nil || err != nil {
		r.lets = append(r.lets, l)
		return err
	}
	if p.word("rule") && p.space() {
		one, err := p.rule(begin)
		if err != nil {
			return err
		}
		if one.params == nil {
			r.rules = append(r.rules, one)
			return nil
		}
		if r.params[one.name] != nil {
			return p.fail(begin, "the rule %s with parameters stands twice in the file", one.name)
		}
		r.params[one.name] = one
		return nil
	}
	p.at = begin
	line, err := p.disjunction(p.ruleClause)
	bare.clauses = append(bare.clauses, line)
	return err
}

func (p *parser) rule(begin int) (*rule, error) {
	r := &rule{Position: p.place(begin)}
	if r.name = p.name(); r.name == "" {
		return nil, p.expected("the name of the rule")
	}
	var err error
	if p.peek() == '(' {
		if r.params, err = p.parameters(); err != nil {
			return nil, err
		}
	} else if r.when, err = p.when(); err != nil {
		return nil, err
	}
	r.block, err = p.block(p.ruleClause)
	return r, err
}

func (p *parser) parameters() ([]string, error) {
	p.at++
	names := []string{}
	for {
		p.space()
		begin := p.at
		name := p.name()
		if name == "" {
			return nil, p.expected("the name of a parameter")
		}
		for _, other := range names {
			if other == name {
				return nil, p.fail(begin, "the parameter %s is named twice", name)
			}
		}
		names = append(names, name)
		if p.space(); p.takes(")") {
			return names, nil
		}
		if err := p.need(","); err != nil {
			return nil, err
		}
	}
}

// when reads a condition, if one comes: its clauses up to the block.
func (p *parser) when() (cnf, error) {
	from := p.at
	p.space()
	if !p.word("when") {
		p.at = from
		return nil, nil
	}
	if !p.space() {
		return nil, p.expected("a condition")
	}
	return p.conjunctions('{', p.condition)
}

// block reads { assignments and clauses }.
func (p *parser) block(read func() (clause, error)) (b block, err error) {
	if err := p.deeper(); err != nil {
		return b, err
	}
	defer func() { p.depth-- }()
	if err := p.need("{"); err != nil {
		return b, err
	}
	for p.space(); !p.takes("}"); p.space() {
		if l, err := p.assignment(b.lets); l != nil || err != nil {
			if err != nil {
				return b, err
			}
			b.lets = append(b.lets, l)
			continue
		}
		line, err := p.disjunction(read)
		if err != nil {
			return b, err
		}
		b.clauses = append(b.clauses, line)
	}
	if len(b.clauses)+len(b.lets) == 0 {
		return b, p.fail(p.at-1, "the block is empty")
	}
	return b, nil
}

// assignment reads let name = value, if one comes.
func (p *parser) assignment(before []*let) (*let, error) {
	begin := p.at
	if !p.exactly("let") {
		return nil, nil
	}
	spaced := p.space()
	l := &let{Position: p.place(begin), name: p.name()}
	if !spaced || l.name == "" {
		p.at = begin
		return nil, nil
	}
	if p.space(); !p.takes(":=") && (p.sees("==") || !p.takes("=")) {
		return nil, p.expected(`"="`)
	}
	for _, other := range before {
		if other.name == l.name {
			return nil, p.fail(begin, "the variable %s is assigned twice in one scope, first at %s", l.name, other.Position)
		}
	}
	var err error
	l.value, err = p.operand(true)
	return l, err
}

// conjunctions reads lines of clauses up to a byte that ends them.
func (p *parser) conjunctions(end byte, read func() (clause, error)) (all cnf, err error) {
	for p.space(); p.peek() != end || len(all) == 0; p.space() {
		line, err := p.disjunction(read)
		if err != nil {
			return nil, err
		}
		all = append(all, line)
	}
	return all, nil
}

// disjunction reads clauses with or between them.
func (p *parser) disjunction(read func() (clause, error)) (line []clause, err error) {
	for {
		p.space()
		c, err := read()
		if err != nil {
			return nil, err
		}
		if line = append(line, c); !p.or() {
			return line, nil
		}
	}
}

// ruleClause reads a clause of a rule, or of none: those of types stand there alone.
func (p *parser) ruleClause() (clause, error) {
	begin := p.at
	if typeName := p.typeName(); typeName != "" {
		return p.typeClause(begin, typeName)
	}
	return p.clause()
}

// typeName reads AWS::S3::Bucket or Custom::Thing, if it comes.
func (p *parser) typeName() string {
	begin := p.at
	for parts := 1; p.name() != ""; parts++ {
		if name := p.src[begin:p.at]; parts == 3 || parts == 2 && !p.sees("::") {
			p.takes("::MODULE")
			return name
		}
		if !p.takes("::") {
			break
		}
	}
	p.at = begin
	return ""
}

func (p *parser) typeClause(begin int, typeName string) (clause, error) {
	t := &typeClause{Position: p.place(begin)}
	isType := &check{
		Position: t.Position, text: "Type == '" + typeName + "'", op: equal,
		query: &query{Position: t.Position, text: "Type", parts: []part{{kind: keyPart, name: "Type"}}}, operand: operand{literal: text(typeName)},
	}
	t.query = &query{Position: t.Position, text: "Resources.*[ Type == '" + typeName + "' ]", parts: []part{
		{kind: keyPart, name: "Resources"}, {kind: valuesPart}, {kind: filterPart, filter: cnf{{isType}}},
	}}
	var err error
	if t.when, err = p.when(); err != nil {
		return nil, err
	}
	if p.space(); p.peek() == '{' || t.when != nil {
		t.block, err = p.block(p.clause)
		return t, err
	}
	// AWS::S3::Bucket Properties.BucketName exists
	c, err := p.clause()
	t.clauses = cnf{{c}}
	return t, err
}

// clause reads a clause of a block.
func (p *parser) clause() (clause, error) {
	begin := p.at
	when, err := p.when()
	if err != nil {
		return nil, err
	}
	if when == nil {
		return p.assertion(true)
	}
	w := &whenClause{Position: p.place(begin), when: when}
	w.block, err = p.block(p.clause)
	return w, err
}

// condition reads a clause of a condition: it has no block of its own.
func (p *parser) condition() (clause, error) { return p.assertion(false) }

// assertion reads a check, a reference to a rule or, where one may stand, a query with
// a block.
func (p *parser) assertion(blocks bool) (clause, error) {
	begin := p.at
	at := p.here()
	not := p.negation()
	name := p.name()
	if name != "" && p.peek() == '(' {
		return p.ruleCall(begin, at, name, not)
	}
	if name != "" && p.sees("::") {
		return nil, p.fail(begin, "a type stands in a rule, not in a block or a condition")
	}
	p.at -= len(name)
	q, err := p.query()
	if err != nil {
		return nil, err
	}
	if q == nil {
		return nil, p.expected("a clause")
	}
	end := p.at
	p.space()
	if blocks && !not {
		if b, err := p.queryBlock(at, q); b != nil || err != nil {
			return b, err
		}
	}
	c := &check{Position: at, query: q, not: not}
	found, err := p.operator(c)
	switch {
	case err != nil:
		return nil, err
	case found:
		return c, p.rest(begin, c)
	case len(q.parts) == 1 && !q.some && q.parts[0].kind == keyPart && name != "":
		p.at = end
		ref := &reference{Position: at, name: name, not: not}
		ref.message, err = p.message()
		return ref, err
	}
	return nil, p.expected("an operator or a block")
}

// ruleCall reads a reference to a rule with its arguments.
func (p *parser) ruleCall(begin int, at Position, name string, not bool) (clause, error) {
	if _, function := functions[name]; function {
		return nil, p.fail(begin, "a function is called in an assignment alone: let x = %s(...)", name)
	}
	ref := &reference{Position: at, name: name, not: not, called: true}
	var err error
	if ref.args, err = p.arguments(); err != nil {
		return nil, err
	}
	ref.message, err = p.message()
	return ref, err
}

// queryBlock reads the block of a query, if one comes: { or !empty {.
func (p *parser) queryBlock(at Position, q *query) (clause, error) {
	from := p.at
	b := &blockClause{Position: at, query: q}
	if p.negation() {
		b.notEmpty = p.word("empty")
		p.space()
	}
	if p.at > from && !b.notEmpty || p.peek() != '{' {
		p.at = from
		return nil, nil
	}
	var err error
	b.block, err = p.block(p.clause)
	return b, err
}

var operators = []struct {
	text string
	op   operator
}{{"==", equal}, {">=", greaterEqual}, {"<=", lessEqual}, {">", greater}, {"<", less}}

var words = []struct {
	word string
	op   operator
}{
	{"in", in}, {"exists", exists}, {"empty", empty}, {"is_string", isString}, {"is_list", isList}, {"is_struct", isStruct},
	{"is_bool", isBool}, {"is_int", isInt}, {"is_float", isFloat}, {"is_null", isNull},
}

// operator reads a check's operator, and reports whether one comes.
func (p *parser) operator(c *check) (bool, error) {
	from := p.at
	if p.sees("<<") {
		return false, nil
	}
	if p.takes("!=") {
		c.op, c.not = equal, !c.not
		return true, nil
	}
	for _, o := range operators {
		if p.takes(o.text) {
			c.op = o.op
			return true, nil
		}
	}
	not := p.negation()
	for _, o := range words {
		if p.word(o.word) {
			c.op, c.not = o.op, c.not != not
			return true, nil
		}
	}
	p.at = from
	return false, nil
}

// rest reads what stands right of a check's operator, and its message.
func (p *parser) rest(begin int, c *check) (err error) {
	if !c.op.unary() {
		if c.operand, err = p.operand(false); err != nil {
			return err
		}
	}
	c.text = squeeze(p.src[begin:p.at])
	c.message, err = p.message()
	return err
}

// squeeze makes a line of a text, of bounded length.
func squeeze(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxShown {
		s = string(r[:maxShown]) + "..."
	}
	return s
}
