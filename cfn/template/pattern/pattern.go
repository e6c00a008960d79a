// Package pattern matches the regular expressions of templates and resource
// schemas. Those are written for Java and JavaScript and use what RE2 leaves
// out: look-around and \u escapes. What RE2 can express, package regexp matches;
// the rest a backtracking matcher does, with a bound on its steps, so that no
// pattern of a template can hold the server up. It imports nothing of ours.
package pattern

import (
	"fmt"
	"regexp"
	"sync"
)

// Pattern is a compiled pattern. It is safe for concurrent use.
type Pattern struct {
	search, whole *regexp.Regexp // nil: tree matches
	tree          node
}

// maxSteps bounds what one match of the backtracking matcher costs in time and stack.
const maxSteps = 200_000

// maxPattern bounds a pattern's length in bytes.
const maxPattern = 10_000

var escapeU = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)

var compiled sync.Map // pattern text -> *Pattern, of Cached only

// Cached is Compile for the patterns of schemas, which are few and come again.
func Cached(text string) (*Pattern, error) {
	if p, ok := compiled.Load(text); ok {
		return p.(*Pattern), nil
	}
	p, err := Compile(text)
	if err == nil {
		compiled.Store(text, p)
	}
	return p, err
}

// Compile reads a pattern.
func Compile(text string) (*Pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	plain := escapeU.ReplaceAllString(text, `\x{$1}`)
	if re, err := regexp.Compile(plain); err == nil {
		whole, err := regexp.Compile(`\A(?:` + plain + `)\z`)
		return &Pattern{search: re, whole: whole}, err
	}
	tree, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &Pattern{tree: tree}, nil
}

// MatchWhole reports whether the pattern matches all of s, as AllowedPattern does.
func (p *Pattern) MatchWhole(s string) bool {
	if p.whole != nil {
		return p.whole.MatchString(s)
	}
	m := &matcher{text: []rune(s)}
	return m.match(p.tree, 0, func(end int) bool { return end == len(m.text) })
}

// Match reports whether the pattern matches somewhere in s, as JSON Schema's does.
func (p *Pattern) Match(s string) bool {
	if p.search != nil {
		return p.search.MatchString(s)
	}
	m := &matcher{text: []rune(s)}
	for i := 0; i <= len(m.text); i++ {
		if m.match(p.tree, i, func(int) bool { return true }) {
			return true
		}
	}
	return false
}
