// Package stackpolicy decides what an update may do to a stack's resources by the
// stack's policy ("Prevent updates to stack resources", CloudFormation User
// Guide). It is pure and starts no goroutine. It may import fault only.
package stackpolicy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway/slipway/fault"
)

// MaxSize bounds a policy's text, in bytes.
const MaxSize = 16_384

// Actions of an update on a resource.
const (
	Modify  = "Update:Modify"
	Replace = "Update:Replace"
	Delete  = "Update:Delete"
)

// Policy is a parsed stack policy. nil allows everything; any other denies what
// no statement allows.
type Policy struct{ statements []statement }

type statement struct {
	allow      bool
	actions    *regexp.Regexp
	resources  *regexp.Regexp
	notAction  bool
	notTarget  bool
	conditions []condition
}

// condition holds the type of a resource against patterns.
type condition struct {
	not   bool
	types *regexp.Regexp
}

// document is a policy as it is written.
type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement list[written]
}

type written struct {
	Sid         string
	Effect      string
	Principal   any
	Action      list[string]
	NotAction   list[string]
	Resource    list[string]
	NotResource list[string]
	Condition   map[string]map[string]list[string]
}

// list is one value or several.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if t := bytes.TrimSpace(b); len(t) > 0 && t[0] == '[' {
		return strict(b, (*[]T)(l))
	}
	var one T
	if err := strict(b, &one); err != nil {
		return err
	}
	*l = list[T]{one}
	return nil
}

func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// invalid begins as AWS's message does, which is the same whatever is wrong.
func invalid(format string, args ...any) error {
	return fault.New(fault.ValidationError, "Error validating stack policy: Invalid stack policy\n  %s", fmt.Sprintf(format, args...))
}

// Parse reads a policy. An error is a ValidationError that says what is wrong. A
// policy without statements, which AWS takes, too, allows nothing.
func Parse(text string) (*Policy, error) {
	if len(text) > MaxSize {
		return nil, invalid("it has %d bytes, and may have %d", len(text), MaxSize)
	}
	var d document
	if err := strict([]byte(text), &d); err != nil {
		return nil, invalid("Policy document is not valid JSON for a stack policy: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	p := &Policy{}
	for i, w := range d.Statement {
		s, problem := w.compile()
		if problem != "" {
			return nil, invalid("Statement [#%d] %s", i+1, problem)
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

var actionNames = regexp.MustCompile(`^(\*|Update:(\*|Modify|Replace|Delete))$`)

// compile reads a statement; problem is "" where there is none.
func (w *written) compile() (s statement, problem string) {
	s.allow = w.Effect == "Allow"
	one, isText := w.Principal.(string)
	actions := append(slices.Clone(w.Action), w.NotAction...)
	resources := append(slices.Clone(w.Resource), w.NotResource...)
	switch {
	case !s.allow && w.Effect != "Deny":
		return s, "must have an Effect of Allow or Deny"
	case !isText || one != "*":
		return s, `must have the Principal "*"`
	case (len(w.Action) == 0) == (len(w.NotAction) == 0):
		return s, "must have either Action or NotAction"
	case (len(w.Resource) == 0) == (len(w.NotResource) == 0):
		return s, "must have either Resource or NotResource"
	}
	for _, a := range actions {
		if !actionNames.MatchString(a) {
			return s, fmt.Sprintf("has the action %q, which is none of Update:Modify, Update:Replace, Update:Delete and Update:*", a)
		}
	}
	for _, r := range resources {
		if r != "*" && !strings.HasPrefix(r, "LogicalResourceId/") {
			return s, fmt.Sprintf(`has the resource %q, which is neither "*" nor begins with "LogicalResourceId/"`, r)
		}
	}
	s.notAction, s.notTarget = len(w.NotAction) > 0, len(w.NotResource) > 0
	s.actions, s.resources = matcher(actions, true), matcher(resources, true)
	for operator, keys := range w.Condition {
		for key, patterns := range keys {
			if key != "ResourceType" {
				return s, fmt.Sprintf("has a condition on %q; stack policies know ResourceType", key)
			}
			c := condition{not: strings.Contains(operator, "Not")}
			switch operator {
			case "StringEquals", "StringNotEquals":
				c.types = matcher(patterns, false)
			case "StringLike", "StringNotLike":
				c.types = matcher(patterns, true)
			default:
				return s, fmt.Sprintf("has the condition operator %q; stack policies know StringEquals and StringLike", operator)
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return s, ""
}

// matcher matches any of the patterns, in which * stands for any text if wild.
func matcher(patterns []string, wild bool) *regexp.Regexp {
	all := make([]string, len(patterns))
	for i, p := range patterns {
		all[i] = regexp.QuoteMeta(p)
		if wild {
			all[i] = strings.ReplaceAll(all[i], `\*`, `.*`)
		}
	}
	return regexp.MustCompile(`^(?:` + strings.Join(all, "|") + `)$`)
}

// Denial says why an action on a resource is not allowed, in AWS's words; "" where
// it is. A denial wins over whatever allows.
func (p *Policy) Denial(action, logicalID, typeName string) string {
	if p == nil {
		return ""
	}
	allowed := false
	for i, s := range p.statements {
		switch {
		case !s.covers(action, logicalID, typeName):
		case s.allow:
			allowed = true
		default:
			return fmt.Sprintf("Action denied by stack policy: Statement [#%d] does not allow [%s] for resource [LogicalResourceId/%s]", i+1, action, logicalID)
		}
	}
	if allowed {
		return ""
	}
	return fmt.Sprintf("Action not allowed by stack policy: no statement allows [%s] for resource [LogicalResourceId/%s]", action, logicalID)
}

func (s *statement) covers(action, logicalID, typeName string) bool {
	if s.actions.MatchString(action) == s.notAction || s.resources.MatchString("LogicalResourceId/"+logicalID) == s.notTarget {
		return false
	}
	for _, c := range s.conditions {
		if c.types.MatchString(typeName) == c.not {
			return false
		}
	}
	return true
}
