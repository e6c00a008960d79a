// Package policy reads IAM policy documents and decides by them. It imports
// nothing of ours and starts no goroutine. Grammar and evaluation follow "IAM JSON
// policy elements reference" and "Policy evaluation logic" (IAM User Guide).
//
// What it does not understand (some condition operators, condition keys that the
// request does not tell) fails closed: an Allow does not apply, a Deny does.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind says where a document stands, which decides what it must hold.
type Kind int

// The kinds of documents.
const (
	Identity Kind = iota // of a user, group or role: no principal
	Trust                // a role's AssumeRolePolicyDocument: a principal, no resource
	Resource             // of a queue, bucket ...: a principal and a resource
)

// Document is a policy.
type Document struct {
	Version    string
	ID         string
	Statements []Statement
}

// Statement is one rule of a policy.
type Statement struct {
	Sid          string
	Deny         bool
	Principals   []Principal
	NotPrincipal bool // Principals are the exceptions
	Actions      []string
	NotActions   []string
	Resources    []string
	NotResources []string
	Conditions   []Condition
}

// Principal names callers: Type "AWS", "Service", "Federated" or
// "CanonicalUser"; ID is "*", an account, an ARN or a host name.
type Principal struct{ Type, ID string }

// Condition is one operator with one key.
type Condition struct {
	Operator string // as written: "StringEqualsIfExists"
	Key      string // lower case: "aws:sourceip"
	Values   []string
}

// MaxSize bounds what Parse reads, in bytes: no policy of AWS is longer.
const MaxSize = 131072

type rawDocument struct {
	Version   string          `json:"Version"`
	ID        string          `json:"Id"`
	Statement json.RawMessage `json:"Statement"`
}

type rawStatement struct {
	Sid          *string         `json:"Sid"`
	Effect       *string         `json:"Effect"`
	Principal    json.RawMessage `json:"Principal"`
	NotPrincipal json.RawMessage `json:"NotPrincipal"`
	Action       oneOrMany       `json:"Action"`
	NotAction    oneOrMany       `json:"NotAction"`
	Resource     oneOrMany       `json:"Resource"`
	NotResource  oneOrMany       `json:"NotResource"`
	Condition    json.RawMessage `json:"Condition"`
}

// oneOrMany is a string or a list of strings. present tells [] from nothing.
type oneOrMany struct {
	present bool
	values  []string
}

func (o *oneOrMany) UnmarshalJSON(b []byte) error {
	o.present = true
	if len(b) > 0 && b[0] == '"' {
		o.values = make([]string, 1)
		return json.Unmarshal(b, &o.values[0])
	}
	if len(b) == 0 || b[0] != '[' {
		return errSyntax
	}
	return json.Unmarshal(b, &o.values)
}

// Malformed is the error of a document that breaks the grammar. Its text is
// AWS's own message.
type Malformed struct{ Message string }

func (m *Malformed) Error() string { return m.Message }

func malformed(format string, args ...any) error { return &Malformed{fmt.Sprintf(format, args...)} }

var errSyntax = malformed("Syntax errors in policy.")

// Parse reads a document of a kind and checks that it is whole. Its errors have
// AWS's messages.
func Parse(text string, kind Kind) (*Document, error) {
	if len(text) > MaxSize {
		return nil, malformed("The policy is too long.")
	}
	var raw rawDocument
	if err := strict(text, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, malformed("This policy contains invalid Json")
		}
		return nil, errSyntax
	}
	if raw.Version == "" {
		raw.Version = "2008-10-17"
	}
	if raw.Version != "2012-10-17" && raw.Version != "2008-10-17" {
		return nil, errSyntax
	}
	statements, err := rawStatements(raw.Statement)
	if err != nil {
		return nil, err
	}
	doc := &Document{Version: raw.Version, ID: raw.ID}
	sids := map[string]bool{}
	for i := range statements {
		s, err := parseStatement(&statements[i], kind)
		if err != nil {
			return nil, err
		}
		if s.Sid != "" && sids[s.Sid] {
			return nil, malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		sids[s.Sid] = true
		doc.Statements = append(doc.Statements, s)
	}
	return doc, nil
}

func strict(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return &json.SyntaxError{Offset: d.InputOffset()}
	}
	return nil
}

func rawStatements(b json.RawMessage) ([]rawStatement, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil, errSyntax
	}
	var out []rawStatement
	if b[0] == '{' {
		out = make([]rawStatement, 1)
		if strict(string(b), &out[0]) != nil {
			return nil, errSyntax
		}
		return out, nil
	}
	if strict(string(b), &out) != nil || len(out) == 0 {
		return nil, errSyntax
	}
	return out, nil
}

func parseStatement(raw *rawStatement, kind Kind) (Statement, error) {
	s := Statement{
		Actions: raw.Action.values, NotActions: raw.NotAction.values,
		Resources: raw.Resource.values, NotResources: raw.NotResource.values,
	}
	if raw.Sid != nil {
		s.Sid = *raw.Sid
	}
	if raw.Effect == nil {
		return s, malformed("Missing required field Effect")
	}
	switch *raw.Effect {
	case "Allow":
	case "Deny":
		s.Deny = true
	default:
		return s, malformed("Invalid effect: %s", *raw.Effect)
	}
	if err := checkActions(raw, kind); err != nil {
		return s, err
	}
	if err := checkResources(raw, kind); err != nil {
		return s, err
	}
	if err := s.setPrincipals(raw, kind); err != nil {
		return s, err
	}
	return s, s.setConditions(raw.Condition)
}

func checkActions(raw *rawStatement, kind Kind) error {
	if raw.Action.present && raw.NotAction.present {
		return errSyntax
	}
	actions := append(append([]string(nil), raw.Action.values...), raw.NotAction.values...)
	if len(actions) == 0 {
		if kind == Trust {
			return malformed("Missing required field Action")
		}
		return malformed("Policy statement must contain actions.")
	}
	for _, a := range actions {
		vendor, name, ok := strings.Cut(a, ":")
		switch {
		case a == "*" && kind != Trust:
		case !ok || vendor == "" || name == "":
			return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		case strings.ContainsAny(vendor, "*? "):
			return malformed("Vendor %s is not valid", vendor)
		case kind == Trust && !strings.EqualFold(vendor, "sts"):
			return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
		}
	}
	return nil
}

func checkResources(raw *rawStatement, kind Kind) error {
	if kind == Trust {
		if raw.Resource.present || raw.NotResource.present {
			return malformed("Has prohibited field Resource")
		}
		return nil
	}
	if raw.Resource.present && raw.NotResource.present {
		return errSyntax
	}
	resources := append(append([]string(nil), raw.Resource.values...), raw.NotResource.values...)
	if len(resources) == 0 {
		return malformed("Policy statement must contain resources.")
	}
	for _, r := range resources {
		if r == "*" || kind == Resource {
			continue
		}
		if !strings.HasPrefix(r, "arn:") && !strings.HasPrefix(r, "*") {
			return malformed("Resource %s must be in ARN format or \"*\".", r)
		}
		if strings.HasPrefix(r, "arn:") && strings.Count(r, ":") < 5 && !strings.Contains(r, "*") {
			return malformed("The policy failed legacy parsing")
		}
	}
	return nil
}

func (s *Statement) setPrincipals(raw *rawStatement, kind Kind) error {
	has := len(raw.Principal) > 0 || len(raw.NotPrincipal) > 0
	switch {
	case kind == Identity && has:
		return malformed("Policy document should not specify a principal.")
	case kind == Identity:
		return nil
	case !has:
		return malformed("Missing required field Principal")
	case len(raw.Principal) > 0 && len(raw.NotPrincipal) > 0:
		return errSyntax
	}
	text := bytes.TrimSpace(raw.Principal)
	if len(raw.NotPrincipal) > 0 {
		s.NotPrincipal = true
		text = bytes.TrimSpace(raw.NotPrincipal)
	}
	if string(text) == `"*"` {
		s.Principals = []Principal{{"AWS", "*"}}
		return nil
	}
	var byType map[string]oneOrMany
	if err := json.Unmarshal(text, &byType); err != nil || len(byType) == 0 {
		return errSyntax
	}
	for _, t := range []string{"AWS", "CanonicalUser", "Federated", "Service"} {
		for _, id := range byType[t].values {
			if !validPrincipal(t, id) {
				return malformed("Invalid principal in policy: %q:%q", t, id)
			}
			s.Principals = append(s.Principals, Principal{t, id})
		}
		delete(byType, t)
	}
	if len(byType) > 0 {
		return errSyntax
	}
	return nil
}

// uniqueIDPrefixes begin the ids that stand for a principal that was deleted.
var uniqueIDPrefixes = []string{"AIDA", "AROA"}

func validPrincipal(kind, id string) bool {
	switch kind {
	case "AWS":
		if id == "*" || len(id) == 12 && strings.Trim(id, "0123456789") == "" {
			return true
		}
		for _, p := range uniqueIDPrefixes {
			if strings.HasPrefix(id, p) {
				return true
			}
		}
		return strings.HasPrefix(id, "arn:") && strings.Count(id, ":") >= 5 && !strings.HasSuffix(id, ":") &&
			(!strings.Contains(id, "*") || strings.HasSuffix(id, ":assumed-role/*"))
	case "Service":
		return strings.HasSuffix(id, ".amazonaws.com") || strings.HasSuffix(id, ".amazonaws.com.cn") ||
			strings.HasSuffix(id, ".amazon.com") || strings.HasSuffix(id, ".internal")
	}
	return id != ""
}

func (s *Statement) setConditions(b json.RawMessage) error {
	if len(b) == 0 {
		return nil
	}
	var byOperator map[string]map[string]scalars
	if err := json.Unmarshal(b, &byOperator); err != nil {
		return errSyntax
	}
	for _, operator := range sortedKeys(byOperator) {
		if !knownOperator(operator) {
			return malformed("Invalid Condition type : %s.", operator)
		}
		for _, key := range sortedKeys(byOperator[operator]) {
			s.Conditions = append(s.Conditions, Condition{operator, strings.ToLower(key), byOperator[operator][key]})
		}
	}
	return nil
}

// scalars is one or many strings, booleans or numbers, as text.
type scalars []string

func (v *scalars) UnmarshalJSON(b []byte) error {
	var many []any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if len(b) > 0 && b[0] == '[' {
		if err := d.Decode(&many); err != nil {
			return err
		}
	} else {
		var one any
		if err := d.Decode(&one); err != nil {
			return err
		}
		many = []any{one}
	}
	*v = scalars{}
	for _, m := range many {
		switch m := m.(type) {
		case string:
			*v = append(*v, m)
		case bool, json.Number:
			*v = append(*v, fmt.Sprint(m))
		default:
			return errSyntax
		}
	}
	return nil
}
