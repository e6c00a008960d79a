package policy

import (
	"strings"
	"unicode/utf8"
)

// In a compiled pattern these bytes are the wildcards, so that a * or ? that a
// variable stands for is a character like any other. Neither occurs in UTF-8.
const (
	anyRun = '\xff' // *
	anyOne = '\xfe' // ?
)

// pattern is compiled text of a policy: of an action, a resource or a condition.
type pattern struct {
	text  string // wildcards as anyRun and anyOne; whole where parts is nil
	parts []part // where there are variables
	star  bool   // matches everything
	plain bool   // has no wildcard
	// prefix says that the only wildcard is a * at the end: text without it.
	prefix bool
}

// part is literal text, or a variable.
type part struct {
	text     string // compiled
	key      string // lower case; "" for text
	name     string // the key as written
	fallback *string
}

// compile reads text. wild says whether * and ? are wildcards in it, variables
// whether ${...} stands for a value.
func compile(text string, wild, variables bool) pattern {
	if !variables || !strings.Contains(text, "${") {
		return settle(wildcards(text, wild))
	}
	var parts []part
	lit := func(s string) {
		if n := len(parts); n > 0 && parts[n-1].key == "" {
			parts[n-1].text += s
		} else if s != "" {
			parts = append(parts, part{text: s})
		}
	}
	for {
		before, rest, found := strings.Cut(text, "${")
		lit(wildcards(before, wild))
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			lit(wildcards("${"+rest, wild))
			break
		}
		switch name = strings.TrimSpace(name); name {
		case "$", "*", "?":
			lit(name)
		default:
			parts = append(parts, variable(name))
		}
		text = after
	}
	switch {
	case len(parts) == 0:
		return settle("")
	case len(parts) == 1 && parts[0].key == "":
		return settle(parts[0].text)
	}
	return pattern{parts: parts}
}

// variable reads "aws:username" or "aws:username, 'default'".
func variable(text string) part {
	name, rest, has := strings.Cut(text, ",")
	name = strings.TrimSpace(name)
	v := part{key: strings.ToLower(name), name: name}
	rest = strings.TrimSpace(rest)
	if has && len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
		rest = rest[1 : len(rest)-1]
		v.fallback = &rest
	}
	if v.key == "" {
		v.key = "?" // no key has this name, so it never has a value
	}
	return v
}

func wildcards(text string, wild bool) string {
	if !wild || !strings.ContainsAny(text, "*?") {
		return text
	}
	b := []byte(text)
	for i, c := range b {
		switch c {
		case '*':
			b[i] = anyRun
		case '?':
			b[i] = anyOne
		}
	}
	return string(b)
}

// settle sorts a pattern without variables by how it can be matched.
func settle(text string) pattern {
	p := pattern{text: text}
	wild := 0
	for i := range len(text) {
		if text[i] == anyRun || text[i] == anyOne {
			wild++
		}
	}
	n := len(text)
	switch {
	case wild == 0:
		p.plain = true
	case wild == n && strings.Trim(text, string([]byte{anyRun})) == "":
		p.star = true
	case wild == 1 && text[n-1] == anyRun:
		p.prefix, p.text = true, text[:n-1]
	}
	return p
}

// outcome is a comparison: it may lack the value of a key.
type outcome int8

const (
	fails outcome = iota
	holds
	absent  // a variable has no value
	unknown // a variable's key is not evaluated here
)

func outcomeOf(b bool) outcome {
	if b {
		return holds
	}
	return fails
}

// matches compares text with the pattern.
func (p *pattern) matches(text string, keys Keys, fold bool) outcome {
	switch {
	case p.star:
		return holds
	case p.parts != nil:
		full, o := p.expand(keys)
		if o != holds {
			return o
		}
		if fold {
			full = strings.ToLower(full)
		}
		return outcomeOf(glob(full, text, fold))
	case p.plain:
		return outcomeOf(len(text) == len(p.text) && sameBytes(p.text, text, fold) || fold && strings.EqualFold(p.text, text))
	case p.prefix:
		return outcomeOf(len(text) >= len(p.text) && sameBytes(p.text, text[:len(p.text)], fold))
	}
	return outcomeOf(glob(p.text, text, fold))
}

// sameBytes compares texts of one length. fold takes a for lower case.
func sameBytes(a, b string, fold bool) bool {
	if !fold {
		return a == b
	}
	for i := range len(a) {
		if a[i] != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// expand puts the values of the variables in.
func (p *pattern) expand(keys Keys) (string, outcome) {
	var b strings.Builder
	for i := range p.parts {
		v := &p.parts[i]
		if v.key == "" {
			b.WriteString(v.text)
			continue
		}
		values, known := lookup(keys, v.key)
		switch {
		case len(values) == 1 && strings.IndexByte(values[0], anyRun) < 0 && strings.IndexByte(values[0], anyOne) < 0:
			b.WriteString(values[0])
		case v.fallback != nil && len(values) == 0 && known:
			b.WriteString(*v.fallback)
		case known:
			return "", absent
		default:
			return "", unknown
		}
	}
	return b.String(), holds
}

func lookup(keys Keys, key string) ([]string, bool) {
	if keys == nil {
		return nil, false
	}
	return keys.Lookup(key)
}

// glob compares text with a compiled pattern: its beginning, its end, and in between
// each part after the one before, wherever it is met first. Parts without a ? are
// found in linear time, whatever the text; one with a ? is tried at every place.
func glob(pattern, text string, fold bool) bool {
	first := strings.IndexByte(pattern, anyRun)
	if first < 0 {
		n, ok := begins(pattern, text, fold)
		return ok && n == len(text)
	}
	n, ok := begins(pattern[:first], text, fold)
	if !ok {
		return false
	}
	text, pattern = text[n:], pattern[first+1:]
	for {
		i := strings.IndexByte(pattern, anyRun)
		if i < 0 {
			return ends(pattern, text, fold)
		}
		if text, ok = after(pattern[:i], text, fold); !ok {
			return false
		}
		pattern = pattern[i+1:]
	}
}

// begins says how much of the text a pattern without * is the beginning of.
func begins(pattern, text string, fold bool) (int, bool) {
	t := 0
	for p := range len(pattern) {
		switch {
		case t == len(text):
			return 0, false
		case pattern[p] == anyOne:
			_, n := utf8.DecodeRuneInString(text[t:])
			t += n
		case pattern[p] == text[t] || fold && pattern[p] == lower(text[t]):
			t++
		default:
			return 0, false
		}
	}
	return t, true
}

// ends says whether a pattern without * is the end of the text.
func ends(pattern, text string, fold bool) bool {
	ones := strings.Count(pattern, string([]byte{anyOne}))
	// A ? stands for up to four bytes.
	for from := max(0, len(text)-len(pattern)-3*ones); from <= len(text)-len(pattern); from++ {
		if from < len(text) && !utf8.RuneStart(text[from]) {
			continue
		}
		if n, ok := begins(pattern, text[from:], fold); ok && from+n == len(text) {
			return true
		}
	}
	return false
}

// after is the text behind the first place where a pattern without * is met.
func after(pattern, text string, fold bool) (string, bool) {
	if pattern == "" || !fold && strings.IndexByte(pattern, anyOne) < 0 {
		_, rest, ok := strings.Cut(text, pattern)
		return rest, ok
	}
	for from := 0; from <= len(text)-len(pattern); from++ {
		if !utf8.RuneStart(text[from]) {
			continue
		}
		if n, ok := begins(pattern, text[from:], fold); ok {
			return text[from+n:], true
		}
	}
	return "", false
}

// Match compares text with a pattern in which * stands for any characters and ?
// for one.
func Match(pattern, text string) bool { return glob(wildcards(pattern, true), text, false) }
