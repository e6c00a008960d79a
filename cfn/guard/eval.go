package guard

import "fmt"

// named is what the rules of a name come to: they fail with any of them. A reference
// sees the first that is not skipped.
func (e *evaluation) named(at Position, name string) (*RuleResult, error) {
	if r := e.done[name]; r != nil {
		return r, nil
	}
	if e.busy[name] {
		return nil, e.fail(at, "the rule %s refers to itself", name)
	}
	e.busy[name] = true
	defer delete(e.busy, name)
	if err := e.enter(at); err != nil {
		return nil, err
	}
	defer func() { e.depth-- }()
	outer := e.failures
	r := &RuleResult{Name: name}
	for _, one := range e.byName[name] {
		e.failures = nil
		s, err := e.file.rule(one)
		if err != nil {
			return nil, err
		}
		if r.referred == Skip {
			r.referred = s
		}
		r.Status = max(r.Status, s)
		r.Failures = append(r.Failures, e.failures...)
	}
	e.failures = outer
	e.done[name] = r
	return r, nil
}

func (s *scope) rule(r *rule) (Status, error) {
	if applies, err := s.applies(r.when); err != nil || !applies {
		return Skip, err
	}
	return s.block(r.block, s.root)
}

// applies reports whether a condition is met. None is.
func (s *scope) applies(when cnf) (bool, error) {
	if when == nil {
		return true, nil
	}
	status, err := s.silently(when)
	return status == Pass, err
}

// silently evaluates clauses whose failure is none of the rule's.
func (s *scope) silently(all cnf) (Status, error) {
	told := len(s.e.failures)
	status, err := s.cnf(all)
	s.e.failures = s.e.failures[:told]
	return status, err
}

// block evaluates a block's clauses with a value to begin at.
func (s *scope) block(b block, root *Value) (Status, error) {
	return newScope(s.e, s, root, b.lets).cnf(b.clauses)
}

// cnf evaluates lines of clauses: of each, one must pass. All are evaluated, so that
// all failures are told.
func (s *scope) cnf(all cnf) (Status, error) {
	total := Skip
	for _, line := range all {
		told, status := len(s.e.failures), Skip
		for _, c := range line {
			one, err := s.clause(c)
			if err != nil {
				return Skip, err
			}
			if one == Pass {
				status = Pass
				break
			}
			status = max(status, one)
		}
		if status != Fail {
			s.e.failures = s.e.failures[:told]
		}
		total = max(total, status)
	}
	return total, nil
}

func (s *scope) clause(c clause) (Status, error) {
	if err := s.e.step(); err != nil {
		return Skip, err
	}
	switch c := c.(type) {
	case *check:
		return s.check(c)
	case *blockClause:
		return s.forEach(c.query, c.block, c.notEmpty)
	case *whenClause:
		if applies, err := s.applies(c.when); err != nil || !applies {
			return Skip, err
		}
		return s.block(c.block, s.root)
	case *typeClause:
		if applies, err := s.applies(c.when); err != nil || !applies {
			return Skip, err
		}
		return s.forEach(c.query, c.block, false)
	case *reference:
		return s.reference(c)
	}
	return Skip, fmt.Errorf("guard: there is no clause %T", c)
}

// forEach evaluates a block for each value of a query.
func (s *scope) forEach(q *query, b block, notEmpty bool) (Status, error) {
	values, err := s.query(q)
	if err != nil {
		return Skip, err
	}
	if len(values) == 0 {
		if notEmpty {
			return s.failed(Failure{Position: q.Position, Clause: q.text, Reason: "the query finds nothing"}), nil
		}
		return Skip, nil
	}
	told := len(s.e.failures)
	fails, passes := false, false
	for _, r := range values {
		status := Fail
		if r.lost != nil {
			s.failed(Failure{Position: q.Position, Clause: q.text, Path: r.lost.at.path(), Reason: r.lost.reason})
		} else if status, err = s.on(r.Value).block(b, r.Value); err != nil {
			return Skip, err
		}
		fails, passes = fails || status == Fail, passes || status == Pass
	}
	switch {
	case passes && (q.some || !fails):
		s.e.failures = s.e.failures[:told]
		return Pass, nil
	case fails:
		return Fail, nil
	}
	return Skip, nil
}

// maxFailures bounds the failures of a rule that a report has.
const maxFailures = 1000

func (s *scope) failed(f Failure) Status {
	if len(s.e.failures) < maxFailures {
		s.e.failures = append(s.e.failures, f)
	}
	return Fail
}

// reference is what another rule came to. One that was skipped has not passed, but one
// with parameters is part of the rule that calls it, and skipped with it.
func (s *scope) reference(c *reference) (Status, error) {
	told := len(s.e.failures)
	var status Status
	var err error
	if c.called {
		status, err = s.called(c)
	} else {
		var r *RuleResult
		if r, err = s.e.named(c.Position, c.name); err == nil {
			status = r.referred
		}
	}
	if err != nil {
		return Skip, err
	}
	if c.called && !c.not && status == Skip {
		return Skip, nil
	}
	if (status == Pass) != c.not {
		s.e.failures = s.e.failures[:told]
		return Pass, nil
	}
	for i := told; i < len(s.e.failures); i++ {
		if f := &s.e.failures[i]; f.Message == "" {
			f.Message = c.message
		}
	}
	if len(s.e.failures) == told {
		s.failed(Failure{Position: c.Position, Clause: c.name, Message: c.message, Reason: fmt.Sprintf("the rule %s came to %s", c.name, status)})
	}
	return Fail, nil
}

// called evaluates a rule with parameters. It sees the variables of its caller.
func (s *scope) called(c *reference) (Status, error) {
	r := s.e.rules.params[c.name]
	if err := s.e.enter(c.Position); err != nil {
		return Skip, err
	}
	defer func() { s.e.depth-- }()
	inner := newScope(s.e, s, s.root, nil)
	for i, o := range c.args {
		values, err := s.operand(o)
		if err != nil {
			return Skip, err
		}
		for j := range values {
			values[j].literal = false
		}
		inner.values[r.params[i]] = values
	}
	return inner.rule(r)
}

// check evaluates a query with an operator.
func (s *scope) check(c *check) (Status, error) {
	left, err := s.query(c.query)
	if err != nil {
		return Skip, err
	}
	var outcomes []outcome
	if c.op.unary() {
		if ends(c.query) && c.op == empty {
			if len(left) == 0 {
				if c.not {
					return s.failed(c.failure(outcome{reason: "nothing was selected"})), nil
				}
				return Pass, nil
			}
			outcomes = selection(left, c.not)
		} else {
			outcomes = ask(left, c.op, c.not)
		}
	} else {
		right, err := s.operand(c.operand)
		if err != nil {
			return Skip, err
		}
		if len(left) == 0 || len(right) == 0 {
			return Skip, nil
		}
		outcomes = s.e.compare(left, right, c.op, c.not)
	}
	if len(left) == 0 {
		return Skip, nil
	}
	return s.sum(c, outcomes), s.e.stopped
}

// sum is what a check's outcomes come to: all must pass or, of some, one.
func (s *scope) sum(c *check, outcomes []outcome) Status {
	told, passes := len(s.e.failures), 0
	for _, o := range outcomes {
		if o.ok {
			passes++
		} else {
			s.failed(c.failure(o))
		}
	}
	if c.query.some && passes > 0 || !c.query.some && passes == len(outcomes) {
		s.e.failures = s.e.failures[:told]
		return Pass
	}
	if len(outcomes) == 0 {
		s.failed(c.failure(outcome{reason: "there is nothing to compare"}))
	}
	return Fail
}

func (c *check) failure(o outcome) Failure {
	f := Failure{Position: c.Position, Clause: c.text, Message: c.message, Reason: o.reason}
	if o.at != nil {
		f.Path = o.at.path()
	}
	return f
}

// ends reports whether a query selects: EMPTY then asks of it whether it found
// something, not whether what it found is empty.
func ends(q *query) bool {
	last := q.parts[len(q.parts)-1].kind
	return last == filterPart || last == keysPart || last == variablePart && len(q.parts) == 1
}
