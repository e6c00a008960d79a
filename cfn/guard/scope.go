package guard

import (
	"context"
	"fmt"
)

// evaluation is one of a file of rules over a document.
type evaluation struct {
	ctx      context.Context
	rules    *Rules
	byName   map[string][]*rule
	order    []string // of names
	done     map[string]*RuleResult
	busy     map[string]bool
	file     *scope
	failures []Failure
	forms    map[string][]string
	steps    int
	depth    int // of calls of rules and variables
	stopped  error
}

func newEvaluation(ctx context.Context, r *Rules, document *Value) *evaluation {
	e := &evaluation{
		ctx: ctx, rules: r, byName: map[string][]*rule{}, done: map[string]*RuleResult{}, busy: map[string]bool{}, forms: map[string][]string{},
	}
	for _, one := range r.rules {
		if e.byName[one.name] == nil {
			e.order = append(e.order, one.name)
		}
		e.byName[one.name] = append(e.byName[one.name], one)
	}
	e.file = newScope(e, nil, document, r.lets)
	return e
}

// step ends an evaluation whose context has ended.
func (e *evaluation) step() error {
	if e.steps++; e.steps%256 == 0 && e.stopped == nil {
		e.stopped = context.Cause(e.ctx)
	}
	return e.stopped
}

// ended is step for comparisons, whose results then count for nothing.
func (e *evaluation) ended() bool { return e.step() != nil }

func (e *evaluation) fail(at Position, format string, args ...any) error {
	return &Error{File: e.rules.file, Position: at, Text: fmt.Sprintf(format, args...)}
}

// enter bounds how deep rules and variables go through each other.
func (e *evaluation) enter(at Position) error {
	if e.depth++; e.depth > maxDepth {
		return e.fail(at, "rules and variables go through each other deeper than %d", maxDepth)
	}
	return nil
}

// scope is where variables are looked up, and what queries begin at.
type scope struct {
	e      *evaluation
	parent *scope
	root   *Value
	lets   map[string]*let
	// values are those of variables that were looked up, of parameters and of captured
	// keys. Scopes of values alone have none.
	values map[string][]result
	busy   map[string]bool
}

// result is a value that a query has found, or how far it came.
type result struct {
	*Value
	literal bool // of the rules
	lost    *lost
}

// lost is a query that found nothing on a way.
type lost struct {
	at     *Value
	reason string
}

func newScope(e *evaluation, parent *scope, root *Value, lets []*let) *scope {
	s := &scope{e: e, parent: parent, root: root, lets: make(map[string]*let, len(lets)), values: map[string][]result{}, busy: map[string]bool{}}
	for _, l := range lets {
		s.lets[l.name] = l
	}
	return s
}

// on is the scope with another value to begin at.
func (s *scope) on(root *Value) *scope { return &scope{e: s.e, parent: s, root: root} }

// capture keeps a key that a filter met, in the innermost scope of variables.
func (s *scope) capture(name, key string) {
	for s.values == nil {
		s = s.parent
	}
	s.values[name] = append(s.values[name], result{Value: text(key)})
}

// variable looks a variable up. It is evaluated once, where it is assigned.
func (s *scope) variable(at Position, name string) ([]result, error) {
	for ; s != nil; s = s.parent {
		if values, there := s.values[name]; there {
			return values, nil
		}
		l := s.lets[name]
		if l == nil {
			continue
		}
		if s.busy[name] {
			return nil, s.e.fail(l.Position, "the variable %s stands for itself", name)
		}
		s.busy[name] = true
		defer delete(s.busy, name)
		if err := s.e.enter(at); err != nil {
			return nil, err
		}
		values, err := s.operand(l.value)
		s.e.depth--
		if err != nil {
			return nil, err
		}
		if q := l.value.query; q != nil && q.some {
			values = found(values)
		}
		s.values[name] = values
		return values, nil
	}
	return nil, nil // keys of which a filter has met none yet
}

// found are the results without the ways that were lost.
func found(all []result) (out []result) {
	for _, r := range all {
		if r.lost == nil {
			out = append(out, r)
		}
	}
	return out
}

// operand evaluates what stands right of an operator or of an assignment.
func (s *scope) operand(o operand) ([]result, error) {
	switch {
	case o.literal != nil:
		return []result{{Value: o.literal, literal: true}}, nil
	case o.query != nil:
		return s.query(o.query)
	}
	return s.call(o.call)
}

// query evaluates a query.
func (s *scope) query(q *query) ([]result, error) {
	w := &walk{s: s, q: q}
	err := w.from(0, s.root, exact)
	return w.out, err
}
