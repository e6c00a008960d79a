// Package pattern is the filter patterns of CloudWatch Logs: terms, JSON conditions,
// space-delimited fields, regular expressions ("Filter pattern syntax for metric
// filters, subscription filters, filter log events, and Live Tail", Amazon CloudWatch
// Logs User Guide). It imports nothing of ours and starts no goroutine.
package pattern

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern says which messages match. It is safe for use by several goroutines.
type Pattern struct {
	all     bool
	regexes int
	matcher matcher
}

// matcher is one of the three kinds of patterns. extract may be asked only about a
// message that matches.
type matcher interface {
	match(message []byte) bool
	extract(message []byte) map[string]string
}

// maxRegexes is how many regular expressions one pattern may have.
const maxRegexes = 2

// maxLength is how long a pattern may be, in characters. Templates bring patterns that
// no model has bounded, and conditions nest.
const maxLength = 1024

// Parse reads a pattern.
func Parse(text string) (*Pattern, error) {
	if utf8.RuneCountInString(text) > maxLength {
		return nil, fmt.Errorf("it is longer than %d characters", maxLength)
	}
	p := &Pattern{}
	trimmed := strings.TrimSpace(text)
	var err error
	switch {
	case trimmed == "" || trimmed == `""`:
		p.all, p.matcher = true, terms{}
	case trimmed[0] == '{':
		p.matcher, err = p.parseJSON(trimmed)
	case trimmed[0] == '[':
		p.matcher, err = p.parseFields(trimmed)
	default:
		p.matcher, err = p.parseTerms(trimmed)
	}
	if err == nil && p.regexes > maxRegexes {
		err = fmt.Errorf("it has %d regular expressions, and may have %d", p.regexes, maxRegexes)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// All reports whether every message matches.
func (p *Pattern) All() bool { return p.all }

// Regexes is how many regular expressions the pattern has.
func (p *Pattern) Regexes() int { return p.regexes }

// Match reports whether a message matches.
func (p *Pattern) Match(message []byte) bool { return p.all || p.matcher.match(message) }

// Extract gives the values that the pattern names, of a message that matches: of
// "[ip, id]" $ip and $id, of "{ $.a = 1 }" $.a.
func (p *Pattern) Extract(message []byte) map[string]string { return p.matcher.extract(message) }

// terms are the words and phrases of a message that has no form.
type terms struct {
	all, any, none []term
}

type term struct {
	text []byte
	re   *regexp.Regexp
}

func (t term) in(message []byte) bool {
	if t.re != nil {
		return t.re.Match(message)
	}
	return bytes.Contains(message, t.text)
}

func (t terms) match(message []byte) bool {
	for _, x := range t.all {
		if !x.in(message) {
			return false
		}
	}
	for _, x := range t.none {
		if x.in(message) {
			return false
		}
	}
	// Optional terms beside others say nothing.
	if len(t.any) == 0 || len(t.all)+len(t.none) > 0 {
		return true
	}
	for _, x := range t.any {
		if x.in(message) {
			return true
		}
	}
	return false
}

func (terms) extract([]byte) map[string]string { return map[string]string{} }

func (p *Pattern) parseTerms(text string) (matcher, error) {
	var t terms
	s := scanner{text: text, p: p}
	for s.skip(); !s.end(); s.skip() {
		into := &t.all
		switch s.peek() {
		case '?':
			into = &t.any
			s.pos++
		case '-':
			into = &t.none
			s.pos++
		}
		x, err := s.term()
		if err != nil {
			return nil, err
		}
		*into = append(*into, x)
	}
	return t, nil
}

// term reads a word, a phrase or a regular expression.
func (s *scanner) term() (term, error) {
	switch s.peek() {
	case '"':
		text, err := s.quoted()
		return term{text: []byte(text)}, err
	case '%':
		re, err := s.regex()
		return term{re: re}, err
	}
	start := s.pos
	for !s.end() && !isSpace(s.peek()) {
		s.pos++
	}
	word := s.text[start:s.pos]
	if word == "" {
		return term{}, fmt.Errorf("a term is missing at %d", start+1)
	}
	for _, r := range word {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			//lint:ignore ST1005 AWS's words
			return term{}, fmt.Errorf("Invalid character(s) in term '%s'", word)
		}
	}
	return term{text: []byte(word)}, nil
}

// scanner reads a pattern's text.
type scanner struct {
	text string
	pos  int
	p    *Pattern
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (s *scanner) end() bool { return s.pos >= len(s.text) }

// peek is the next character; 0 at the end.
func (s *scanner) peek() byte {
	if s.end() {
		return 0
	}
	return s.text[s.pos]
}

func (s *scanner) skip() {
	for !s.end() && isSpace(s.peek()) {
		s.pos++
	}
}

// take reads a text if it comes next, after spaces.
func (s *scanner) take(text string) bool {
	s.skip()
	if !strings.HasPrefix(s.text[s.pos:], text) {
		return false
	}
	s.pos += len(text)
	return true
}

// word reads a keyword if it comes next, whatever its case.
func (s *scanner) word(text string) bool {
	s.skip()
	end := s.pos + len(text)
	if end > len(s.text) || !strings.EqualFold(s.text[s.pos:end], text) {
		return false
	}
	if end < len(s.text) {
		if r, _ := utf8.DecodeRuneInString(s.text[end:]); unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
			return false
		}
	}
	s.pos = end
	return true
}

func (s *scanner) wrong(what string) error { return fmt.Errorf("%s at %d", what, s.pos+1) }

// quoted reads a text in double quotes, in which a backslash stands before a quote
// or another backslash.
func (s *scanner) quoted() (string, error) {
	start := s.pos
	var b strings.Builder
	for s.pos++; !s.end(); s.pos++ {
		switch c := s.peek(); {
		case c == '"':
			s.pos++
			return b.String(), nil
		case c == '\\' && s.pos+1 < len(s.text) && (s.text[s.pos+1] == '"' || s.text[s.pos+1] == '\\'):
			s.pos++
			b.WriteByte(s.peek())
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("the quote at %d is not closed", start+1)
}

// inRegex are the characters beside letters and digits that a regular expression may
// have. Parentheses are not among them.
const inRegex = `:_#=@/;,-^$?[]{}|\*+.`

// regex reads a regular expression between percent signs.
func (s *scanner) regex() (*regexp.Regexp, error) {
	start := s.pos
	end := strings.IndexByte(s.text[s.pos+1:], '%')
	if end < 0 {
		return nil, fmt.Errorf("the regular expression at %d is not closed", start+1)
	}
	text := s.text[s.pos+1 : s.pos+1+end]
	s.pos += end + 2
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf || !isSpace(c) && !isWord(c) && !strings.ContainsRune(inRegex, rune(c)) {
			return nil, fmt.Errorf("the regular expression at %d has a character that is not supported: %q", start+1, rune(c))
		}
	}
	re, err := regexp.Compile(text)
	if err != nil || text == "" {
		return nil, fmt.Errorf("the regular expression at %d is not valid", start+1)
	}
	s.p.regexes++
	return re, nil
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
