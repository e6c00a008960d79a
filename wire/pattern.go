package wire

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// patterns are the models' regular expressions, compiled on first use. They
// are Java's or ECMA's; those that Go's engine cannot express are nil: not
// checked. TestPatternsConvert lists them.
var patterns sync.Map // string to *regexp.Regexp

func patternOf(s string) *regexp.Regexp {
	if re, ok := patterns.Load(s); ok {
		return re.(*regexp.Regexp)
	}
	re, err := convertPattern(s)
	if err != nil {
		re = nil
	}
	patterns.Store(s, re)
	return re
}

// convertPattern makes a pattern, which must match the whole value, into one
// of Go's.
func convertPattern(s string) (*regexp.Regexp, error) {
	if same, ok := looksAhead[s]; ok {
		s = same
	}
	return regexp.Compile(`^(?:` + rewritePattern(s) + `)$`)
}

// looksAhead are the patterns that look ahead and can be said without.
var looksAhead = map[string]string{
	`^(?!\s*$).+`:                  `.*\S.*`,                         // of many models: not blank
	`(?!^[0-9]+$)([a-zA-Z0-9-_]+)`: `[0-9]*[a-zA-Z_-][a-zA-Z0-9_-]*`, // lambda Alias: no number
	`((?!^\d+$)^[0-9a-zA-Z-_]+$)`:  `[0-9]*[a-zA-Z_-][a-zA-Z0-9_-]*`, // lambda FunctionUrlQualifier
}

// supplementary is how patterns in UTF-16 write the code points above U+FFFF.
const supplementary = `\uD800\uDC00-\uDBFF\uDFFF`

// rewritePattern rewrites what the other engines write in another way:
// brackets within a class, \uXXXX, and counts above Go's limit of 1000.
func rewritePattern(s string) string {
	s = strings.ReplaceAll(s, supplementary, `\x{10000}-\x{10FFFF}`)
	s = strings.ReplaceAll(s, strings.ToLower(supplementary), `\x{10000}-\x{10FFFF}`)
	var b strings.Builder
	class := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+5 < len(s) && s[i+1] == 'u':
			b.WriteString(`\x{` + s[i+2:i+6] + `}`)
			i += 5
		case c == '\\' && i+1 < len(s):
			b.WriteString(s[i : i+2])
			i++
		case c == '[' && class && strings.HasPrefix(s[i:], "[:"):
			b.WriteString("[") // a POSIX class
		case c == '[' && class:
			b.WriteString(`\[`)
		case c == '[':
			class = true
			b.WriteByte(c)
			if strings.HasPrefix(s[i+1:], "^") {
				b.WriteByte('^')
				i++
			}
		case c == ']':
			class = strings.HasSuffix(b.String(), ":") && strings.Contains(b.String(), "[[:")
			b.WriteByte(c)
		case c == '{' && !class:
			i += rewriteCount(&b, s[i:])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// rewriteCount writes the count that s begins with; an upper bound that Go
// does not take is left open, since the shape's own maximum bounds it. It
// returns how many bytes to skip after the first.
func rewriteCount(b *strings.Builder, s string) int {
	end := strings.IndexByte(s, '}')
	low, high, comma := strings.Cut(s[1:max(end, 1)], ",")
	n, err := strconv.Atoi(high)
	if end < 0 || !comma || err != nil || n <= 1000 {
		b.WriteByte('{')
		return 0
	}
	b.WriteString("{" + low + ",}")
	return end
}
