package guard

import (
	"fmt"
	"strconv"
)

// walk follows a query through a value.
type walk struct {
	s   *scope
	q   *query
	out []result
}

func (w *walk) push(r result) error {
	if w.out = append(w.out, r); len(w.out) > maxResults {
		return w.s.e.fail(w.q.Position, "the query finds more than %d values", maxResults)
	}
	return nil
}

func (w *walk) lose(at *Value, format string, args ...any) error {
	return w.push(result{lost: &lost{at: at, reason: fmt.Sprintf(format, args...)}})
}

// where words a value's place.
func where(v *Value) string {
	if path := v.path(); path != "" {
		return path
	}
	return "/"
}

// from follows the query's parts from one on. form is how the keys before were
// written, if they were not as in the query.
func (w *walk) from(i int, at *Value, form int) error {
	if err := w.s.e.step(); err != nil {
		return err
	}
	if i == len(w.q.parts) {
		return w.push(result{Value: at})
	}
	switch p := &w.q.parts[i]; p.kind {
	case thisPart:
		return w.from(i+1, at, form)
	case literalPart:
		if len(w.q.parts) > 1 {
			return w.lose(p.literal, "a number has no keys")
		}
		return w.push(result{Value: p.literal, literal: true})
	case variablePart:
		if i == 0 {
			return w.variable(p.name)
		}
		return w.project(i, at, form)
	case keyPart:
		return w.key(i, at, form)
	case indexPart:
		return w.index(i, p.index, at, form)
	case allPart, valuesPart:
		return w.all(i, at, form)
	case filterPart:
		return w.filter(i, at, form)
	default:
		return w.keys(i, at, form)
	}
}

// variable begins at the values of a variable: [*] behind it changes nothing.
func (w *walk) variable(name string) error {
	values, err := w.s.variable(w.q.Position, name)
	if err != nil {
		return err
	}
	next := 1
	if len(w.q.parts) > 1 && w.q.parts[1].kind == allPart && w.q.parts[1].name == "" {
		next = 2
	}
	for _, r := range values {
		if r.lost != nil || next >= len(w.q.parts) {
			err = w.push(r)
		} else {
			err = w.from(next, r.Value, exact)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// project follows the keys that a variable holds.
func (w *walk) project(i int, at *Value, form int) error {
	p := &w.q.parts[i]
	if at.kind != mapKind {
		return w.lose(at, "%s is no map, so the keys of %%%s find nothing there", where(at), p.name)
	}
	values, err := w.s.variable(w.q.Position, p.name)
	if err != nil {
		return err
	}
	next := i + 1
	if next < len(w.q.parts) && w.q.parts[next].kind == indexPart {
		n, ok := offset(w.q.parts[next].index, len(values))
		if !ok {
			return w.lose(at, "%%%s has no value %d", p.name, w.q.parts[next].index)
		}
		values, next = values[n:n+1], next+1
	}
	for _, r := range values {
		keys := []*Value{r.Value}
		if r.lost == nil && r.kind == listKind {
			keys = r.list
		}
		for _, key := range keys {
			switch {
			case r.lost != nil:
				err = w.lose(at, "%%%s is not known: %s", p.name, r.lost.reason)
			case key.kind != stringKind:
				err = w.s.e.fail(w.q.Position, "%%%s holds %s, which is no key", p.name, key)
			case at.items[key.text] == nil:
				err = w.lose(at, "there is no key %s at %s", key.text, where(at))
			default:
				err = w.from(next, at.items[key.text], form)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// offset is a place in a list of n: from its end, if it is below zero.
func offset(index int64, n int) (int, bool) {
	if index < 0 {
		index += int64(n)
	}
	return int(index), index >= 0 && index < int64(n)
}

func (w *walk) key(i int, at *Value, form int) error {
	name := w.q.parts[i].name
	if n, err := strconv.ParseInt(name, 10, 64); err == nil && at.kind == listKind {
		return w.index(i, n, at, form)
	}
	if at.kind != mapKind {
		return w.lose(at, "%s is no map, so it has no key %s", where(at), name)
	}
	if item := at.items[name]; item != nil {
		return w.from(i+1, item, form)
	}
	forms := w.s.e.formsOf(name)
	for f := range forms {
		if form != exact && f != form {
			continue
		}
		if item := at.items[forms[f]]; item != nil {
			return w.from(i+1, item, f)
		}
	}
	return w.lose(at, "there is no key %s at %s", name, where(at))
}

func (w *walk) index(i int, index int64, at *Value, form int) error {
	if at.kind != listKind {
		return w.lose(at, "%s is no list, so it has no index %d", where(at), index)
	}
	n, ok := offset(index, len(at.list))
	if !ok {
		return w.lose(at, "the list at %s has no index %d", where(at), index)
	}
	return w.from(i+1, at.list[n], form)
}

// all follows all items of a list, or all values of a map. A single value stands for a
// list of one; so does a map, where a list was meant.
func (w *walk) all(i int, at *Value, form int) error {
	p := &w.q.parts[i]
	switch {
	case at.kind == listKind:
		if len(at.list) == 0 {
			return w.lose(at, "the list at %s is empty", where(at))
		}
		for _, item := range at.list {
			if err := w.from(i+1, item, form); err != nil {
				return err
			}
		}
		return nil
	case at.kind == mapKind && (p.kind == valuesPart || p.name != ""):
		if len(at.keys) == 0 {
			return w.lose(at, "the map at %s is empty", where(at))
		}
		for _, key := range at.keys {
			if p.name != "" {
				w.s.capture(p.name, key)
			}
			if err := w.from(i+1, at.items[key], form); err != nil {
				return err
			}
		}
		return nil
	}
	return w.from(i+1, at, form)
}

// filter follows the values that pass a filter's clauses.
func (w *walk) filter(i int, at *Value, form int) error {
	before := w.q.parts[i-1].kind
	single := before == allPart || before == valuesPart
	switch {
	case at.kind == listKind:
		for _, item := range at.list {
			if err := w.passes(i, item, "", form); err != nil {
				return err
			}
		}
		return nil
	case single && (at.kind == mapKind || before == allPart):
		return w.passes(i, at, "", form)
	case at.kind == mapKind && (before == keyPart || before == variablePart):
		for _, key := range at.keys {
			if err := w.passes(i, at.items[key], key, form); err != nil {
				return err
			}
		}
		return nil
	}
	return w.lose(at, "%s is nothing that can be filtered there", where(at))
}

// passes follows a value, if it passes a filter's clauses.
func (w *walk) passes(i int, item *Value, key string, form int) error {
	p := &w.q.parts[i]
	status, err := w.s.on(item).silently(p.filter)
	if err != nil || status != Pass {
		return err
	}
	if p.name != "" && key != "" {
		w.s.capture(p.name, key)
	}
	return w.from(i+1, item, form)
}

// keys follows the values whose keys pass a filter.
func (w *walk) keys(i int, at *Value, form int) error {
	p := &w.q.parts[i]
	if at.kind != mapKind {
		return w.lose(at, "%s is no map, so it has no keys", where(at))
	}
	right, err := w.s.on(at).operand(p.operand)
	if err != nil {
		return err
	}
	for _, key := range at.keys {
		if !w.s.e.keyPasses(text(key), right, p) {
			continue
		}
		if p.name != "" {
			w.s.capture(p.name, key)
		}
		if err := w.from(i+1, at.items[key], form); err != nil {
			return err
		}
	}
	return nil
}

// keyPasses reports whether a key passes a filter of keys.
func (e *evaluation) keyPasses(key *Value, right []result, p *part) bool {
	one, all := false, len(right) > 0
	for _, r := range right {
		if r.lost != nil {
			return false
		}
		matches := e.isIn(key, r.Value)
		if p.op == equal && r.scalar() {
			eq, ok := e.equals(key, r.Value)
			matches = ok && eq
		}
		one, all = one || matches, all && matches != p.not
	}
	if p.op == in {
		return len(right) > 0 && one != p.not
	}
	return all
}
