package guard

import (
	"cmp"
	"fmt"
	"strings"
)

// outcome is what an operator says of a value.
type outcome struct {
	ok     bool
	at     *Value
	reason string // of one that is not ok
	// fixed outcomes stay what they are under not: nothing was compared.
	fixed bool
	// of members: what was found of those that were looked for.
	members bool
	found   []*Value
}

// selection asks of what a filter or a variable has selected whether it is EMPTY.
func selection(left []result, not bool) (out []outcome) {
	for _, r := range left {
		o := outcome{at: r.Value, reason: "it is not empty"}
		isEmpty := r.lost != nil || r.kind == nullKind
		if r.lost != nil {
			o.at, o.reason = r.lost.at, r.lost.reason
		} else if not {
			o.reason = "it is null"
		}
		o.ok = isEmpty != not
		out = append(out, o)
	}
	return out
}

// ask asks a unary operator of each value.
func ask(left []result, op operator, not bool) (out []outcome) {
	for _, r := range left {
		o := outcome{at: r.Value}
		is, known := holds(r, op)
		switch {
		case !known:
			o.reason = fmt.Sprintf("EMPTY cannot be asked of %s", r.Value)
		case is != not:
			o.ok = true
		case r.lost != nil:
			o.reason = r.lost.reason
		case not:
			o.reason = fmt.Sprintf("%s is %s", r.Value, op)
		default:
			o.reason = fmt.Sprintf("%s is not %s", r.Value, op)
		}
		if r.lost != nil {
			o.at = r.lost.at
		}
		out = append(out, o)
	}
	return out
}

// holds reports whether a unary operator holds, and whether it can be asked.
func holds(r result, op operator) (is, known bool) {
	if r.lost != nil {
		return op == empty, true
	}
	switch op {
	case exists:
		return true, true
	case empty:
		switch r.kind {
		case listKind:
			return len(r.list) == 0, true
		case mapKind:
			return len(r.keys) == 0, true
		case stringKind:
			return r.text == "", true
		case boolKind:
			return false, true
		}
		return false, false
	}
	return r.kind == map[operator]kind{
		isString: stringKind, isList: listKind, isStruct: mapKind, isBool: boolKind, isInt: intKind, isFloat: floatKind, isNull: nullKind,
	}[op], true
}

// compare compares values of two queries, or of a query and a literal.
func (e *evaluation) compare(left, right []result, op operator, not bool) []outcome {
	var out []outcome
	switch op {
	case equal:
		out = e.compareEqual(left, right)
	case in:
		out = e.compareIn(left, right)
	default:
		out = e.compareOrder(left, right, op)
	}
	if not {
		for i := range out {
			out[i] = out[i].negate(op)
		}
	}
	return out
}

// negate turns an outcome round. What was looked for among others must then not be
// found in any part.
func (o outcome) negate(op operator) outcome {
	if o.fixed {
		return o
	}
	wasOK := o.ok
	o.ok = !wasOK
	if o.members && !wasOK {
		o.ok = len(o.found) == 0
	}
	if !o.ok {
		o.reason = fmt.Sprintf("not %s does not hold for %s", op, o.at)
	}
	return o
}

// literalOf is the literal that an operand is, nil if it is none.
func literalOf(r []result) *Value {
	if len(r) == 1 && r[0].literal {
		return r[0].Value
	}
	return nil
}

// values are the values of results; the ways that were lost become outcomes.
func values(left []result, out *[]outcome) (all []*Value) {
	for _, r := range left {
		if r.lost != nil {
			*out = append(*out, outcome{at: r.lost.at, reason: r.lost.reason, fixed: true})
		} else {
			all = append(all, r.Value)
		}
	}
	return all
}

func (e *evaluation) compareEqual(left, right []result) (out []outcome) {
	l, r := literalOf(left), literalOf(right)
	ls, rs := values(left, &out), values(right, &out)
	switch {
	case l != nil && r != nil:
		return append(out, e.equality(l, r))
	case l != nil:
		for _, each := range rs {
			out = append(out, e.literalEquality(each, l)...)
		}
	case r != nil:
		for _, each := range ls {
			out = append(out, e.literalEquality(each, r)...)
		}
	default:
		// As many of one side as there are must be found on the other.
		look, among := rs, ls
		if len(ls) > len(rs) {
			look, among = ls, rs
		}
		if len(look) > 0 {
			out = append(out, foundAmong(look, among, ls, func(a, b *Value) bool { eq, ok := e.equals(a, b); return ok && eq }))
		}
	}
	return out
}

// literalEquality compares a value with a literal: each item of a list with one that is
// no list, and one that is no list with the item of a list of one.
func (e *evaluation) literalEquality(each, literal *Value) (out []outcome) {
	switch {
	case literal.kind == listKind && each.scalar() && len(literal.list) == 1:
		return []outcome{e.equality(each, literal.list[0])}
	case literal.kind != listKind && each.kind == listKind:
		for _, item := range each.list {
			out = append(out, e.equality(item, literal))
		}
		return out
	}
	return []outcome{e.equality(each, literal)}
}

func (e *evaluation) equality(a, b *Value) outcome {
	eq, ok := e.equals(a, b)
	o := outcome{ok: ok && eq, at: a, fixed: !ok}
	if !ok {
		o.reason = fmt.Sprintf("%s, a %s, cannot be compared with %s, a %s", a, a.kind, b, b.kind)
	} else if !eq {
		o.reason = fmt.Sprintf("%s is not equal to %s", a, b)
	}
	return o
}

// foundAmong looks for all of some values among others.
func foundAmong(look, among, left []*Value, same func(a, b *Value) bool) outcome {
	o := outcome{ok: true, members: true}
	if len(left) > 0 {
		o.at = left[0]
	}
	for _, each := range look {
		there := false
		for _, other := range among {
			if there = same(each, other); there {
				o.found = append(o.found, each)
				break
			}
		}
		if !there && o.ok {
			o.ok, o.at, o.reason = false, each, fmt.Sprintf("%s is not among the values that it is compared with", each)
		}
	}
	return o
}

func (e *evaluation) compareIn(left, right []result) (out []outcome) {
	l, r := literalOf(left), literalOf(right)
	ls, rs := values(left, &out), values(right, &out)
	switch {
	case r != nil:
		for _, each := range ls {
			if r.kind == stringKind && each.kind == listKind {
				for _, item := range each.list {
					out = append(out, e.membership(item, r))
				}
				continue
			}
			out = append(out, e.membership(each, r))
		}
	case l != nil:
		o := outcome{at: l, reason: fmt.Sprintf("%s is in none of the values", l)}
		for _, each := range rs {
			o.ok = o.ok || e.membership(l, each).ok
		}
		out = append(out, o)
	case len(ls) > 0:
		out = append(out, foundAmong(ls, rs, ls, func(a, b *Value) bool { return e.membership(a, b).ok }))
	}
	return out
}

// membership reports whether a value is in another: in a list, in a string, or equal.
func (e *evaluation) membership(a, b *Value) outcome {
	switch {
	case a.kind == listKind && b.kind == listKind:
		if len(b.list) > 0 && b.list[0].kind == listKind {
			o := foundAmong([]*Value{a}, b.list, []*Value{a}, func(a, b *Value) bool { eq, ok := e.equals(a, b); return ok && eq })
			return o
		}
		o := foundAmong(a.list, b.list, a.list, func(a, b *Value) bool { eq, ok := e.equals(a, b); return ok && eq })
		if o.ok {
			o.at = a
		}
		return o
	case b.kind == listKind, a.kind == stringKind && b.kind == stringKind:
		return outcome{ok: e.isIn(a, b), at: a, reason: fmt.Sprintf("%s is not in %s", a, b)}
	}
	return e.equality(a, b)
}

// isIn reports whether a value is equal to one of a list, or part of a string.
func (e *evaluation) isIn(a, b *Value) bool {
	if b.kind != listKind {
		return a.kind == stringKind && b.kind == stringKind && strings.Contains(b.text, a.text)
	}
	for _, item := range b.list {
		if eq, ok := e.equals(a, item); ok && eq {
			return true
		}
	}
	return false
}

func (e *evaluation) compareOrder(left, right []result, op operator) (out []outcome) {
	flat := func(all []*Value) (items []*Value) {
		for _, v := range all {
			if v.kind == listKind {
				items = append(items, v.list...)
			} else {
				items = append(items, v)
			}
		}
		return items
	}
	ls, rs := flat(values(left, &out)), flat(values(right, &out))
	for _, a := range ls {
		for _, b := range rs {
			if e.ended() {
				return out
			}
			n, ok := order(a, b)
			o := outcome{at: a, fixed: !ok, reason: fmt.Sprintf("%s cannot be ordered with %s", a, b)}
			if ok {
				o.ok = op == less && n < 0 || op == lessEqual && n <= 0 || op == greater && n > 0 || op == greaterEqual && n >= 0
				o.reason = fmt.Sprintf("%s %s %s does not hold", a, op, b)
			}
			out = append(out, o)
		}
	}
	return out
}

// order orders numbers and strings; ok: the two can be.
func order(a, b *Value) (n int, ok bool) {
	switch {
	case a.kind == intKind && b.kind == intKind:
		return cmp.Compare(a.int, b.int), true
	case a.kind == stringKind && b.kind == stringKind:
		return strings.Compare(a.text, b.text), true
	case a.kind == nullKind && b.kind == nullKind:
		return 0, true
	case (a.kind == intKind || a.kind == floatKind) && (b.kind == intKind || b.kind == floatKind):
		return cmp.Compare(a.number(), b.number()), true
	}
	return 0, false
}

func (v *Value) number() float64 {
	if v.kind == intKind {
		return float64(v.int)
	}
	return v.float
}

// equals compares values; ok: they can be.
func (e *evaluation) equals(a, b *Value) (eq, ok bool) {
	if e.ended() {
		return false, false
	}
	if a.kind == regexKind || a.kind == rangeKind {
		a, b = b, a
	}
	switch {
	case b.kind == regexKind && a.kind == stringKind:
		return b.regex.MatchString(a.text), true
	case b.kind == regexKind && a.kind == regexKind:
		return a.text == b.text, true
	case b.kind == rangeKind:
		return b.span.has(a)
	case a.kind == boolKind && b.kind == boolKind:
		return a.truth == b.truth, true
	case a.kind == listKind && b.kind == listKind:
		return e.equalLists(a, b)
	case a.kind == mapKind && b.kind == mapKind:
		return e.equalMaps(a, b)
	}
	n, ok := order(a, b)
	return ok && n == 0, ok
}

func (e *evaluation) equalLists(a, b *Value) (eq, ok bool) {
	if len(a.list) != len(b.list) {
		return false, true
	}
	for i, item := range a.list {
		if eq, ok := e.equals(item, b.list[i]); !ok || !eq {
			return false, ok
		}
	}
	return true, true
}

func (e *evaluation) equalMaps(a, b *Value) (eq, ok bool) {
	if len(a.keys) != len(b.keys) {
		return false, true
	}
	for _, key := range a.keys {
		other := b.items[key]
		if other == nil {
			return false, true
		}
		if eq, ok := e.equals(a.items[key], other); !ok || !eq {
			return false, ok
		}
	}
	return true, true
}

// has reports whether a range has a value; ok: it is of the limits' type.
func (s *span) has(v *Value) (is, ok bool) {
	if s.low.kind == stringKind && (v.kind != stringKind || len([]rune(v.text)) != 1) || v.kind == stringKind && s.low.kind != stringKind {
		return false, false
	}
	low, ok := order(s.low, v)
	high, ok2 := order(v, s.high)
	if !ok || !ok2 {
		return false, false
	}
	return (low < 0 || low == 0 && s.withLow) && (high < 0 || high == 0 && s.withHigh), true
}
