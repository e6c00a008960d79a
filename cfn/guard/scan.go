package guard

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser reads a file of rules by recursive descent. It tries one thing at a time, so
// its time grows with the text alone.
type parser struct {
	file  string
	src   string
	at    int
	depth int
	// known is the position of the place that was last asked for: the next is
	// counted from there.
	known   Position
	knownAt int
}

// place is the position of a place in the text.
func (p *parser) place(at int) Position {
	if at < p.knownAt || p.known.Line == 0 {
		p.known, p.knownAt = Position{1, 1}, 0
	}
	passed := p.src[p.knownAt:at]
	if lines := strings.Count(passed, "\n"); lines > 0 {
		p.known.Line += lines
		p.known.Column = 1
		passed = passed[strings.LastIndexByte(passed, '\n')+1:]
	}
	p.known.Column += utf8.RuneCountInString(passed)
	p.knownAt = at
	return p.known
}

func (p *parser) here() Position { return p.place(p.at) }

// fail words what is wrong at a place.
func (p *parser) fail(at int, format string, args ...any) error {
	return &Error{File: p.file, Position: p.place(at), Text: fmt.Sprintf(format, args...)}
}

// expected words what should stand here.
func (p *parser) expected(what string) error {
	if p.at >= len(p.src) {
		return p.fail(p.at, "expected %s, but the file ends", what)
	}
	found, _, _ := strings.Cut(p.src[p.at:], "\n")
	if r := []rune(found); len(r) > 24 {
		found = string(r[:24]) + "..."
	}
	return p.fail(p.at, "expected %s, found %q", what, strings.TrimSpace(found))
}

// deeper bounds how deep things stand in each other.
func (p *parser) deeper() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail(p.at, "blocks, filters and literals are nested deeper than %d", maxDepth)
	}
	return nil
}

// space passes over white space and comments, and reports whether there were any.
func (p *parser) space() bool {
	from := p.at
	for p.at < len(p.src) {
		switch c := p.src[p.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p.at++
		case c == '#':
			if end := strings.IndexByte(p.src[p.at:], '\n'); end >= 0 {
				p.at += end
			} else {
				p.at = len(p.src)
			}
		default:
			return p.at > from
		}
	}
	return p.at > from
}

// peek is the byte here, 0 at the end.
func (p *parser) peek() byte {
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

func (p *parser) sees(text string) bool { return strings.HasPrefix(p.src[p.at:], text) }

// takes passes over a text, if it is what comes.
func (p *parser) takes(text string) bool {
	if p.sees(text) {
		p.at += len(text)
		return true
	}
	return false
}

// need is takes behind white space, of what has to come.
func (p *parser) need(text string) error {
	p.space()
	if !p.takes(text) {
		return p.expected(fmt.Sprintf("%q", text))
	}
	return nil
}

// word passes over a keyword, in small letters or in capitals, that is no part of a
// longer name.
func (p *parser) word(keywords ...string) bool {
	for _, k := range keywords {
		for _, form := range [...]string{k, strings.ToUpper(k)} {
			if p.sees(form) && !p.inName(p.at+len(form)) {
				p.at += len(form)
				return true
			}
		}
	}
	return false
}

// inName reports whether a name goes on at a place.
func (p *parser) inName(at int) bool {
	r, _ := utf8.DecodeRuneInString(p.src[min(at, len(p.src)):])
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// name reads a name: it begins with a letter of ASCII. "" : there is none.
func (p *parser) name() string {
	if c := p.peek(); c|0x20 < 'a' || c|0x20 > 'z' {
		return ""
	}
	from := p.at
	for p.inName(p.at) {
		_, n := utf8.DecodeRuneInString(p.src[p.at:])
		p.at += n
	}
	return p.src[from:p.at]
}

// negation passes over not, NOT and !. Of the first two white space must follow.
func (p *parser) negation() bool {
	if p.peek() == '!' && !p.sees("!=") {
		p.at++
		return true
	}
	from := p.at
	if p.word("not") && (p.peek() == ' ' || p.peek() == '\t') {
		p.space()
		return true
	}
	p.at = from
	return false
}

// or passes over an or, which stands between white space.
func (p *parser) or() bool {
	from := p.at
	p.space()
	if (p.takes("or") || p.takes("OR") || p.takes("|OR|")) && p.space() {
		return true
	}
	p.at = from
	return false
}

// message reads << text >>, if one comes. It may have lines, but none that ends the
// block or begins a rule: then its end is missing.
func (p *parser) message() (string, error) {
	from := p.at
	p.space()
	begin := p.at
	if !p.takes("<<") {
		p.at = from
		return "", nil
	}
	length := strings.Index(p.src[p.at:], ">>")
	if length < 0 {
		return "", p.fail(begin, "the message has no >>")
	}
	text := p.src[p.at : p.at+length]
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if i > 0 && (strings.HasPrefix(line, "}") || line == "rule" || strings.HasPrefix(line, "rule ")) {
			return "", p.fail(begin, "the message has no >> before the line that begins with %q", strings.Fields(line)[0])
		}
	}
	p.at += length + len(">>")
	return strings.TrimSpace(text), nil
}
