package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	api "github.com/slipway/slipway/api/cloudwatch"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// rule is a composite alarm's rule: states of alarms joined by AND, OR and NOT
// ("PutCompositeAlarm", Amazon CloudWatch API Reference).
type rule interface {
	holds(stateOf func(alarm string) string) bool
}

type (
	constant bool
	inState  struct{ state, alarm string } // a name or an ARN
	not      struct{ r rule }
	both     struct{ left, right rule }
	either   struct{ left, right rule }
)

func (c constant) holds(func(string) string) bool { return bool(c) }

func (i inState) holds(of func(string) string) bool { return of(nameOf(i.alarm)) == i.state }

func (n not) holds(of func(string) string) bool { return !n.r.holds(of) }

func (b both) holds(of func(string) string) bool { return b.left.holds(of) && b.right.holds(of) }

func (e either) holds(of func(string) string) bool { return e.left.holds(of) || e.right.holds(of) }

// nameOf is the name in an ARN, or the name itself.
func nameOf(alarm string) string {
	if a, err := arn.Parse(alarm); err == nil {
		if name, ok := strings.CutPrefix(a.Resource, "alarm:"); ok {
			return name
		}
	}
	return alarm
}

// alarmsIn are the alarms that a rule names, each once.
func alarmsIn(r rule) (out []string) {
	switch r := r.(type) {
	case inState:
		out = []string{r.alarm}
	case not:
		out = alarmsIn(r.r)
	case both:
		out = append(alarmsIn(r.left), alarmsIn(r.right)...)
	case either:
		out = append(alarmsIn(r.left), alarmsIn(r.right)...)
	}
	return out
}

// ruleReader reads a rule. depth bounds its nesting.
type ruleReader struct {
	text  string
	pos   int
	depth int
}

const (
	maxRuleDepth = 100
	maxRule      = 10240 // characters; templates bring rules that no model has bounded
)

func parseRule(text string) (rule, error) {
	if utf8.RuneCountInString(text) > maxRule {
		return nil, fmt.Errorf("AlarmRule: it is longer than %d characters", maxRule)
	}
	r := ruleReader{text: text}
	out, err := r.disjunction()
	if err == nil {
		if r.space(); r.pos < len(text) {
			err = r.wrong("the end of the rule")
		}
	}
	return out, err
}

func (r *ruleReader) wrong(want string) error {
	return fmt.Errorf("AlarmRule: %s is missing at position %d", want, r.pos+1)
}

func (r *ruleReader) space() {
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.pos]) >= 0 {
		r.pos++
	}
}

// word reads a keyword if it comes next.
func (r *ruleReader) word(w string) bool {
	r.space()
	end := r.pos + len(w)
	if end > len(r.text) || r.text[r.pos:end] != w {
		return false
	}
	if last := w[len(w)-1]; last >= 'A' && end < len(r.text) {
		if c := r.text[end]; c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return false
		}
	}
	r.pos = end
	return true
}

func (r *ruleReader) disjunction() (rule, error) {
	left, err := r.conjunction()
	for err == nil && r.word("OR") {
		var right rule
		right, err = r.conjunction()
		left = either{left, right}
	}
	return left, err
}

func (r *ruleReader) conjunction() (rule, error) {
	left, err := r.primary()
	for err == nil && r.word("AND") {
		var right rule
		right, err = r.primary()
		left = both{left, right}
	}
	return left, err
}

func (r *ruleReader) primary() (rule, error) {
	if r.depth++; r.depth > maxRuleDepth {
		return nil, fmt.Errorf("AlarmRule: it is nested deeper than %d", maxRuleDepth)
	}
	defer func() { r.depth-- }()
	switch {
	case r.word("NOT"):
		inner, err := r.primary()
		return not{inner}, err
	case r.word("("):
		inner, err := r.disjunction()
		if err == nil && !r.word(")") {
			err = r.wrong("a )")
		}
		return inner, err
	case r.word("TRUE"):
		return constant(true), nil
	case r.word("FALSE"):
		return constant(false), nil
	}
	for _, state := range []string{api.StateValueAlarm, api.StateValueOk, api.StateValueInsufficientData} {
		if r.word(state) {
			return r.state(state)
		}
	}
	return nil, r.wrong("ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE, NOT or (")
}

func (r *ruleReader) state(state string) (rule, error) {
	if !r.word("(") {
		return nil, r.wrong("a (")
	}
	r.space()
	closing := ")"
	if r.word(`"`) {
		closing = `"`
	}
	end := strings.Index(r.text[r.pos:], closing)
	if end < 0 {
		return nil, r.wrong("a " + closing)
	}
	name := r.text[r.pos : r.pos+end]
	r.pos += end
	if closing == `"` {
		r.pos++
	} else {
		name = strings.TrimSpace(name)
	}
	if name == "" {
		return nil, r.wrong("the name of an alarm")
	}
	if !r.word(")") {
		return nil, r.wrong("a )")
	}
	return inState{state, name}, nil
}

// maxChildren bounds the alarms of one rule.
const maxChildren = 100

// PutCompositeAlarm makes a composite alarm, or configures it anew, and evaluates it.
func (s *Service) PutCompositeAlarm(ctx context.Context, in *api.PutCompositeAlarmInput) (*api.PutCompositeAlarmOutput, error) {
	if in.ActionsSuppressor != "" || in.ActionsSuppressorWaitPeriod != nil || in.ActionsSuppressorExtensionPeriod != nil {
		return nil, fault.New(fault.NotImplemented, "PutCompositeAlarm: ActionsSuppressor is not built.")
	}
	r, err := parseRule(in.AlarmRule)
	if err != nil {
		return nil, invalid("%s", err)
	}
	a := &alarm{
		Name: in.AlarmName, Description: in.AlarmDescription, Enabled: in.ActionsEnabled == nil || *in.ActionsEnabled,
		OK: in.OKActions, Alarm: in.AlarmActions, Unknown: in.InsufficientDataActions, Tags: in.Tags, Rule: in.AlarmRule,
	}
	for _, child := range alarmsIn(r) {
		p := here(ctx, child)
		if strings.HasPrefix(child, "arn:") {
			if p, err = named(ctx, child); err != nil {
				return nil, invalid("AlarmRule: %s is not an alarm of this account and Region", child)
			}
		}
		if !slices.Contains(a.Children, p.name) {
			a.Children = append(a.Children, p.name)
		}
	}
	if len(a.Children) > maxChildren {
		return nil, invalid("AlarmRule: it names more than %d alarms", maxChildren)
	}
	if err := s.put(ctx, a); err != nil {
		return nil, err
	}
	return &api.PutCompositeAlarmOutput{}, nil
}

func checkChildren(tx store.Tx, p place, a *alarm) error {
	var absent []string
	for _, name := range a.Children {
		c, err := find(tx, place{p.Scope, name})
		if err != nil {
			return err
		}
		if c == nil || name == a.Name {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		return invalid("Could not save the composite alarm as alarms [%s] in the alarm rule do not exist", strings.Join(absent, ", "))
	}
	return nil
}
