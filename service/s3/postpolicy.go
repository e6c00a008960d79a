package s3

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/slipway/slipway/fault"
)

// postPolicy is what a signed form may contain ("POST policy", Amazon S3 API
// Reference).
type postPolicy struct {
	conditions []postCondition
	sized      bool
	least      int64
	most       int64
}

type postCondition struct{ operator, field, value string }

func (c postCondition) String() string {
	text, _ := json.Marshal([]string{c.operator, "$" + c.field, c.value}) // strings only: it never fails
	return strings.ReplaceAll(string(text), `","`, `", "`)
}

func badPolicy(format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidPolicyDocument, "Invalid Policy: "+format, args...)
}

func againstPolicy(format string, args ...any) *fault.Error {
	return fault.New(fault.AccessDenied, "Invalid according to Policy: "+format, args...)
}

func conditionFailed(text string) error { return againstPolicy("Policy Condition failed: %s", text) }

// readPostPolicy reads a policy in base64, which must not have expired.
func readPostPolicy(text string, now time.Time) (*postPolicy, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, badPolicy("Invalid Base64.")
	}
	var doc struct {
		Expiration *string           `json:"expiration"`
		Conditions []json.RawMessage `json:"conditions"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	if doc.Expiration == nil {
		return nil, badPolicy("Policy missing expiration.")
	}
	ends, err := time.Parse(time.RFC3339, *doc.Expiration)
	if err != nil {
		return nil, badPolicy("Invalid 'expiration' value: '%s'", *doc.Expiration)
	}
	if !ends.After(now) {
		return nil, againstPolicy("Policy expired.")
	}
	if doc.Conditions == nil {
		return nil, badPolicy("Policy missing conditions.")
	}
	p := &postPolicy{}
	for _, c := range doc.Conditions {
		if err := p.add(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add reads a condition: {"field": "value"} or ["operator", "$field", "value"].
func (p *postPolicy) add(raw json.RawMessage) error {
	var exact map[string]string
	if json.Unmarshal(raw, &exact) == nil {
		if len(exact) != 1 {
			return badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
		}
		for field, v := range exact {
			p.conditions = append(p.conditions, postCondition{"eq", field, v})
		}
		return nil
	}
	var list []any
	if json.Unmarshal(raw, &list) != nil || len(list) != 3 {
		return badPolicy("Invalid Condition: conditions must have three elements.")
	}
	operator, ok := list[0].(string)
	if !ok {
		return badPolicy("Invalid Condition: the operator must be a string.")
	}
	operator = strings.ToLower(operator)
	if operator == "content-length-range" {
		least, okLeast := wholeNumber(list[1])
		most, okMost := wholeNumber(list[2])
		if !okLeast || !okMost {
			return conditionFailed(rangeText(list))
		}
		p.sized, p.least, p.most = true, least, most
		return nil
	}
	field, okField := list[1].(string)
	v, okValue := list[2].(string)
	if operator != "eq" && operator != "starts-with" || !okField || !okValue || !strings.HasPrefix(field, "$") {
		return badPolicy("Invalid Condition: unknown operation '%s'.", operator)
	}
	p.conditions = append(p.conditions, postCondition{operator, field[1:], v})
	return nil
}

// wholeNumber reads a number, which may stand in quotes.
func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v == float64(int64(v)) && v >= 0
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}

func rangeText(list []any) string {
	var out []string
	for _, v := range list {
		if n, ok := v.(float64); ok {
			v = strconv.FormatFloat(n, 'f', -1, 64)
		}
		s, _ := v.(string)
		out = append(out, strconv.Quote(s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// freeFields need no condition.
func freeField(name string) bool {
	switch name {
	case "x-amz-signature", "policy", "awsaccesskeyid", "signature", "file":
		return true
	}
	return strings.HasPrefix(name, "x-ignore-")
}

// check holds a form's fields, by their names in lower case, against the policy.
func (p *postPolicy) check(fields map[string]string) error {
	covered := map[string]bool{"bucket": true}
	for _, c := range p.conditions {
		name := strings.ToLower(c.field)
		covered[name] = true
		if !c.holds(name, fields[name]) {
			return conditionFailed(c.String())
		}
	}
	for _, name := range sortedKeys(fields) {
		if !covered[name] && !freeField(name) {
			return againstPolicy("Extra input fields: %s", name)
		}
	}
	return nil
}

func (c postCondition) holds(name, v string) bool {
	if c.operator == "eq" {
		return v == c.value
	}
	if name != "content-type" {
		return strings.HasPrefix(v, c.value)
	}
	for part := range strings.SplitSeq(v, ",") {
		if !strings.HasPrefix(strings.TrimSpace(part), c.value) {
			return false
		}
	}
	return true
}
