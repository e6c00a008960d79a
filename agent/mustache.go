package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strings"
)

// maxFilled bounds what a template can become.
const maxFilled = 64 << 20

// fillMustache fills a Mustache template (mustache(5)): variables, sections,
// inverted sections and comments. Partials and other delimiters are refused.
func fillMustache(text string, context map[string]any) (string, error) {
	m := mustache{rest: text}
	nodes, err := m.parse("")
	if err != nil {
		return "", fmt.Errorf("mustache: %w", err)
	}
	var out strings.Builder
	if err := fill(&out, nodes, []any{context}); err != nil {
		return "", fmt.Errorf("mustache: %w", err)
	}
	return out.String(), nil
}

// mustacheNode is text, a variable, or a section with what is in it.
type mustacheNode struct {
	kind   byte // 't' text, 'v' variable, '&' unescaped variable, '#' section, '^' inverted
	text   string
	inside []mustacheNode
}

type mustache struct {
	rest  string
	depth int
}

// parse reads until the end of the named section.
func (m *mustache) parse(section string) ([]mustacheNode, error) {
	if m.depth++; m.depth > 100 {
		return nil, errors.New("sections are nested too deeply")
	}
	defer func() { m.depth-- }()
	var out []mustacheNode
	for {
		text, after, found := strings.Cut(m.rest, "{{")
		if !found {
			if section != "" {
				return nil, fmt.Errorf("the section %q has no end", section)
			}
			return append(out, mustacheNode{kind: 't', text: m.rest}), nil
		}
		tag, rest, err := cutTag(after)
		if err != nil {
			return nil, err
		}
		kind, name := byte('v'), tag
		if tag != "" && strings.IndexByte("#^/!&>={", tag[0]) >= 0 {
			kind, name = tag[0], strings.TrimSpace(tag[1:])
		}
		if strings.IndexByte("#^/!", kind) >= 0 {
			text, rest = standalone(text, rest)
		}
		m.rest = rest
		out = append(out, mustacheNode{kind: 't', text: text})
		switch kind {
		case '!':
		case '/':
			if name != section {
				return nil, fmt.Errorf("the end of section %q stands where %q is open", name, section)
			}
			return out, nil
		case '#', '^':
			if name == "" {
				return nil, errors.New("a section has no name")
			}
			inside, err := m.parse(name)
			if err != nil {
				return nil, err
			}
			out = append(out, mustacheNode{kind: kind, text: name, inside: inside})
		case '>', '=':
			return nil, fmt.Errorf("{{%s}}: partials and other delimiters are not built", shorten(tag))
		case '{':
			out = append(out, mustacheNode{kind: '&', text: name})
		default:
			out = append(out, mustacheNode{kind: kind, text: name})
		}
	}
}

// cutTag takes a tag's text; one of three braces keeps its first.
func cutTag(after string) (tag, rest string, err error) {
	end := "}}"
	if strings.HasPrefix(after, "{") {
		end = "}}}"
	}
	tag, rest, found := strings.Cut(after, end)
	if !found {
		return "", "", fmt.Errorf("the tag {{%s has no end", shorten(after))
	}
	return strings.TrimSpace(tag), rest, nil
}

// standalone leaves out the line of a section's tag that stands there alone.
func standalone(before, after string) (string, string) {
	start := strings.LastIndexByte(before, '\n') + 1
	if strings.TrimLeft(before[start:], " \t") != "" {
		return before, after
	}
	line, next, found := strings.Cut(after, "\n")
	if strings.TrimRight(line, " \t\r") != "" || !found {
		return before, after
	}
	return before[:start], next
}

func fill(out *strings.Builder, nodes []mustacheNode, stack []any) error {
	for _, n := range nodes {
		if out.Len() > maxFilled {
			return fmt.Errorf("it becomes more than %d bytes", maxFilled)
		}
		v := any(nil)
		if n.kind != 't' {
			v = find(stack, n.text)
		}
		switch n.kind {
		case 't':
			out.WriteString(n.text)
		case 'v':
			out.WriteString(html.EscapeString(plain(v)))
		case '&':
			out.WriteString(plain(v))
		case '^':
			if !truthy(v) {
				if err := fill(out, n.inside, stack); err != nil {
					return err
				}
			}
		case '#':
			items := []any{v}
			if list, ok := v.([]any); ok {
				items = list
			} else if !truthy(v) {
				items = nil
			}
			for _, item := range items {
				if err := fill(out, n.inside, append(stack[:len(stack):len(stack)], item)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// find looks a name up, from the innermost section outwards.
func find(stack []any, name string) any {
	if name == "." {
		return stack[len(stack)-1]
	}
	head, rest, dotted := strings.Cut(name, ".")
	for i := len(stack) - 1; i >= 0; i-- {
		m, ok := stack[i].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := m[head]; ok {
			if dotted {
				return find([]any{v}, rest)
			}
			return v
		}
	}
	return nil
}

func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	}
	return true
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
