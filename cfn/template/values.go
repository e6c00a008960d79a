package template

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slipway/slipway/cfn/template/pattern"
)

// Resolve gives every parameter its value: given, previous (of the stack's last
// deployment, by name) or default, and checks each against its declaration. ssm
// reads Parameter Store for AWS::SSM::Parameter::Value types; where it is nil,
// those are Unknown.
func (t *Template) Resolve(given []Given, previous Values, ssm func(name string) (string, error)) (Values, Problems) {
	r := &resolver{t: t, previous: previous, ssm: ssm, values: Values{}}
	byKey := r.given(given)
	var missing []string
	for i := range t.Parameters {
		d := &t.Parameters[i]
		text, ok := r.text(d, byKey)
		if !ok {
			missing = append(missing, d.Name)
			continue
		}
		_, list, stored, _ := typeIs(d.Type)
		v := Value{Text: text, List: list, NoEcho: d.NoEcho}
		if stored {
			v.Resolved = r.stored(d, text)
		} else {
			r.check(d, text)
		}
		r.values[d.Name] = v
	}
	if len(missing) > 0 {
		n := t.Root.Get("Parameters")
		if len(missing) == 1 {
			n = n.Get(missing[0])
		}
		r.at(n, "Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return r.values, r.done()
}

type resolver struct {
	t        *Template
	previous Values
	ssm      func(string) (string, error)
	values   Values
	report
}

func (r *resolver) given(given []Given) map[string]Given {
	byKey := make(map[string]Given, len(given))
	var unknown []string
	for _, g := range given {
		if r.t.Parameter(g.Key) == nil {
			unknown = append(unknown, g.Key)
			continue
		}
		if _, twice := byKey[g.Key]; twice {
			r.at(nil, "Duplicate Parameter Key: %s", g.Key)
		}
		byKey[g.Key] = g
	}
	if len(unknown) > 0 {
		r.at(nil, "Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	return byKey
}

// text finds a parameter's text; false: it has none.
func (r *resolver) text(d *Parameter, byKey map[string]Given) (string, bool) {
	g, ok := byKey[d.Name]
	switch {
	case ok && g.UsePrevious:
		v, was := r.previous[d.Name]
		if !was {
			r.at(d.Node, "Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", d.Name)
			return "", true
		}
		if g.Value != "" {
			r.at(d.Node, "Invalid input for parameter key %s. Cannot specify usePreviousValue as true and a parameter value at the same time", d.Name)
		}
		return v.Text, true
	case ok:
		return g.Value, true
	case d.Default != nil:
		return *d.Default, true
	}
	return "", false
}

func (r *resolver) stored(d *Parameter, name string) string {
	if r.ssm == nil || HasUnknown(name) {
		return Unknown
	}
	v, err := r.ssm(name)
	if err != nil {
		r.at(d.Node, "Unable to fetch parameters [%s] from parameter store for this account.", name)
		return ""
	}
	return v
}

// check holds a value against the declaration.
func (r *resolver) check(d *Parameter, text string) {
	if HasUnknown(text) {
		return // of a nested stack, in a change set
	}
	element, list, _, _ := typeIs(d.Type)
	if len(text) > MaxParameterBytes {
		r.at(d.Node, "Parameter '%s' must contain at most %d bytes", d.Name, MaxParameterBytes)
		return
	}
	parts := []string{text}
	if list {
		parts = split(text)
	}
	for _, part := range parts {
		if broken := d.breaks(element, list, part); broken != "" {
			if d.ConstraintDescription != "" && !strings.HasSuffix(broken, ".") {
				broken = fmt.Sprintf("Parameter '%s' failed to satisfy constraint: %s", d.Name, d.ConstraintDescription)
			}
			r.at(d.Node, "%s", broken)
			return
		}
	}
}

// split takes a list parameter's text apart as CloudFormation does.
func split(text string) []string {
	if text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// breaks says, in AWS's words, which constraint a value breaks. A message that
// ends in a full stop is of the type, which ConstraintDescription does not replace.
func (d *Parameter) breaks(element string, list bool, v string) string {
	if element == "Number" {
		if s := d.breaksNumber(list, v); s != "" {
			return s
		}
	}
	if n := int64(utf8.RuneCountInString(v)); d.MinLength != nil && n < *d.MinLength {
		return fmt.Sprintf("Parameter '%s' must contain at least %d characters", d.Name, *d.MinLength)
	} else if d.MaxLength != nil && n > *d.MaxLength {
		return fmt.Sprintf("Parameter '%s' must contain at most %d characters", d.Name, *d.MaxLength)
	}
	if len(d.AllowedValues) > 0 && !contains(d.AllowedValues, v) {
		return fmt.Sprintf("Parameter '%s' must be one of AllowedValues", d.Name)
	}
	if d.AllowedPattern != "" {
		p, err := pattern.Compile(d.AllowedPattern)
		if err != nil {
			return fmt.Sprintf("Parameter '%s' has an AllowedPattern that is no pattern: %v.", d.Name, err)
		}
		if !p.MatchWhole(v) {
			return fmt.Sprintf("Parameter '%s' must match pattern %s", d.Name, d.AllowedPattern)
		}
	}
	return ""
}

func (d *Parameter) breaksNumber(list bool, v string) string {
	f, err := strconv.ParseFloat(v, 64)
	switch {
	case err != nil && list:
		return fmt.Sprintf("Parameter '%s' must be a list of numbers.", d.Name)
	case err != nil:
		return fmt.Sprintf("Parameter '%s' must be a number.", d.Name)
	case d.MinValue != nil && f < *d.MinValue:
		return fmt.Sprintf("Parameter '%s' must be a number not less than %v", d.Name, *d.MinValue)
	case d.MaxValue != nil && f > *d.MaxValue:
		return fmt.Sprintf("Parameter '%s' must be a number not greater than %v", d.Name, *d.MaxValue)
	}
	return ""
}

func contains(l []string, s string) bool {
	for _, x := range l {
		if x == s {
			return true
		}
	}
	return false
}
