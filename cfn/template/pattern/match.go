package pattern

// node is a part of a pattern.
type node interface{}

type (
	sequence  []node
	choice    []node
	class     func(rune) bool
	assertion func(text []rune, at int) bool
	group     struct {
		index int
		body  node
	}
	look struct {
		body        node
		not, behind bool
	}
	repeat struct {
		body      node
		min, max  int // max < 0: no bound
		lazy      bool
		possessed bool
	}
	backreference int
)

// matcher is one match by backtracking. Each part is matched with what is to
// follow it, so that a part tries its next way when what follows fails.
type matcher struct {
	text   []rune
	steps  int
	groups [100][2]int
}

func (m *matcher) match(n node, at int, then func(end int) bool) bool {
	if m.steps++; m.steps > maxSteps {
		return false
	}
	switch n := n.(type) {
	case nil:
		return then(at)
	case class:
		return at < len(m.text) && n(m.text[at]) && then(at+1)
	case assertion:
		return n(m.text, at) && then(at)
	case sequence:
		return m.sequence(n, at, then)
	case choice:
		for _, way := range n {
			if m.match(way, at, then) {
				return true
			}
		}
		return false
	case group:
		before := m.groups[n.index]
		if m.match(n.body, at, func(end int) bool {
			inner := m.groups[n.index]
			m.groups[n.index] = [2]int{at, end}
			if then(end) {
				return true
			}
			m.groups[n.index] = inner
			return false
		}) {
			return true
		}
		m.groups[n.index] = before
		return false
	case look:
		return m.look(n, at) != n.not && then(at)
	case repeat:
		return m.repeat(n, at, 0, then)
	case backreference:
		g := m.groups[n]
		for i := g[0]; i < g[1]; i++ {
			if at >= len(m.text) || m.text[at] != m.text[i] {
				return false
			}
			at++
		}
		return then(at)
	}
	return false
}

func (m *matcher) sequence(s sequence, at int, then func(int) bool) bool {
	if len(s) == 0 {
		return then(at)
	}
	return m.match(s[0], at, func(end int) bool { return m.sequence(s[1:], end, then) })
}

func (m *matcher) look(l look, at int) bool {
	if !l.behind {
		return m.match(l.body, at, func(int) bool { return true })
	}
	for from := at; from >= 0; from-- {
		if m.match(l.body, from, func(end int) bool { return end == at }) {
			return true
		}
	}
	return false
}

func (m *matcher) repeat(r repeat, at, count int, then func(int) bool) bool {
	if one, ok := r.body.(class); ok && !r.lazy {
		return m.run(r, one, at, then)
	}
	if r.possessed {
		end := at
		r.possessed = false
		return m.repeat(r, at, 0, func(e int) bool { end = e; return true }) && then(end)
	}
	more := func() bool {
		if r.max >= 0 && count >= r.max || m.steps > maxSteps {
			return false
		}
		return m.match(r.body, at, func(end int) bool {
			if end == at && count >= r.min {
				return false // an empty round gets nowhere
			}
			return m.repeat(r, end, count+1, then)
		})
	}
	if count < r.min {
		return more()
	}
	if r.lazy {
		return then(at) || more()
	}
	return more() || then(at)
}

// run repeats a single character's class without recursion.
func (m *matcher) run(r repeat, one class, at int, then func(int) bool) bool {
	end := at
	for end < len(m.text) && (r.max < 0 || end-at < r.max) && one(m.text[end]) {
		end++
	}
	if r.possessed {
		return end-at >= r.min && then(end)
	}
	for ; end-at >= r.min; end-- {
		if m.steps++; m.steps > maxSteps {
			return false
		}
		if then(end) {
			return true
		}
	}
	return false
}
