// Package policy reads IAM policy documents and decides by them. It imports
// nothing of ours and starts no goroutine. Grammar and evaluation follow "IAM JSON
// policy elements reference" and "Policy evaluation logic" (IAM User Guide).
//
// Parse is the one way to check and read a document, whatever service keeps it;
// an Inquiry is the one way to decide by several. A document is compiled when it
// is read and never changes, so it may be shared between goroutines; Cache keeps
// those that are in use.
//
// Condition keys that Slipway does not evaluate fail closed: an Allow does not
// apply, a Deny does.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Kind says where a document stands, which decides what it must hold.
type Kind int

// The kinds of documents.
const (
	Identity Kind = iota // of a user, group, role or session: no principal
	Trust                // a role's AssumeRolePolicyDocument: a principal, no resource
	Resource             // of a queue, bucket ...: a principal and a resource
	Managed              // a managed policy: as Identity, and of the current version
)

func (k Kind) ofIdentity() bool { return k == Identity || k == Managed }

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
	Start, End   Position // of the statement in its document

	actions   []pattern // Actions or NotActions
	bits      []uint64  // the bits of their vendors
	vendors   uint64    // of all of them
	resources []pattern // Resources or NotResources
	anywhere  bool      // of a trust policy, which names no resource
}

// Position is a place in a document's text. Both count from 1; columns are bytes.
type Position struct{ Line, Column int }

// Principal names callers: Type "AWS", "Service", "Federated" or
// "CanonicalUser"; ID is "*", an account, an ARN or a host name.
type Principal struct{ Type, ID string }

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
			if kind.ofIdentity() {
				return nil, errSyntax
			}
			return nil, malformed("This policy contains invalid Json")
		}
		return nil, errSyntax
	}
	statements, spans, err := rawStatements(text)
	if err != nil {
		return nil, err
	}
	if err := check(&raw, statements, kind); err != nil {
		return nil, err
	}
	doc := &Document{Version: raw.Version, ID: raw.ID, Statements: make([]Statement, len(statements))}
	if doc.Version == "" {
		doc.Version = version2008
	}
	for i := range statements {
		s := &doc.Statements[i]
		if err := s.read(&statements[i], kind, doc.Version != version2008); err != nil {
			return nil, err
		}
		s.Start, s.End = position(text, spans[i].start), position(text, spans[i].end)
	}
	return doc, nil
}

// The versions of the policy language. Only the newer one has variables.
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

func position(text string, offset int) Position {
	before := text[:offset]
	return Position{Line: strings.Count(before, "\n") + 1, Column: offset - strings.LastIndexByte(before, '\n')}
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

// span is where a statement stands in the text, in bytes.
type span struct{ start, end int }

// rawStatements reads the statement or list of statements of a document that is
// known to be an object, and where each stands.
func rawStatements(text string) ([]rawStatement, []span, error) {
	d := json.NewDecoder(strings.NewReader(text))
	_, _ = d.Token() // {
	var out []rawStatement
	var spans []span
	one := func() error {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return errSyntax
		}
		var s rawStatement
		if len(raw) == 0 || raw[0] != '{' || strict(string(raw), &s) != nil {
			return errSyntax
		}
		end := int(d.InputOffset())
		out, spans = append(out, s), append(spans, span{end - len(raw), end})
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, nil, errSyntax
		}
		if name != "Statement" {
			var other json.RawMessage
			if d.Decode(&other) != nil {
				return nil, nil, errSyntax
			}
			continue
		}
		if out != nil {
			return nil, nil, errSyntax
		}
		if !listNext(text, int(d.InputOffset())) {
			if err := one(); err != nil {
				return nil, nil, err
			}
			continue
		}
		_, _ = d.Token() // [
		for d.More() {
			if err := one(); err != nil {
				return nil, nil, err
			}
		}
		_, _ = d.Token() // ]
	}
	if len(out) == 0 {
		return nil, nil, errSyntax
	}
	return out, spans, nil
}

// listNext reports whether the value behind a member's name is a list.
func listNext(text string, offset int) bool {
	return strings.HasPrefix(strings.TrimLeft(text[offset:], ": \t\r\n"), "[")
}

// read compiles a statement that was checked.
func (s *Statement) read(raw *rawStatement, kind Kind, variables bool) error {
	s.Actions, s.NotActions = raw.Action.values, raw.NotAction.values
	s.Resources, s.NotResources = raw.Resource.values, raw.NotResource.values
	s.Deny = *raw.Effect == "Deny"
	s.anywhere = kind == Trust
	if raw.Sid != nil {
		s.Sid = *raw.Sid
	}
	for _, a := range append(s.Actions[:len(s.Actions):len(s.Actions)], s.NotActions...) {
		a = strings.ToLower(a)
		s.actions = append(s.actions, compile(a, true, false))
		vendor, _, ok := strings.Cut(a, ":")
		bits := vendorBit(vendor)
		if !ok || strings.ContainsAny(vendor, "*?") {
			bits = ^uint64(0)
		}
		s.bits, s.vendors = append(s.bits, bits), s.vendors|bits
	}
	for _, r := range append(s.Resources[:len(s.Resources):len(s.Resources)], s.NotResources...) {
		s.resources = append(s.resources, compile(wholeARN(r), true, variables))
	}
	if err := s.setPrincipals(raw, kind); err != nil {
		return err
	}
	return s.setConditions(raw.Condition, variables)
}

// wholeARN fills the parts that an ARN lacks with wildcards, as AWS does
// ("IAM JSON policy elements: Resource", IAM User Guide).
func wholeARN(r string) string {
	if strings.HasPrefix(r, "arn:") && !strings.Contains(r, "${") {
		for n := strings.Count(r, ":"); n < arnParts-1; n++ {
			r += ":*"
		}
	}
	return r
}

func (s *Statement) setPrincipals(raw *rawStatement, kind Kind) error {
	if kind.ofIdentity() {
		return nil
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

func (s *Statement) setConditions(b json.RawMessage, variables bool) error {
	byOperator, err := rawConditions(b)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(byOperator) {
		o, _ := operatorOf(name)
		for _, key := range sortedKeys(byOperator[name]) {
			c := Condition{Operator: name, Key: strings.ToLower(key), Name: key, Values: byOperator[name][key], operator: o}
			c.compile(variables)
			s.Conditions = append(s.Conditions, c)
		}
	}
	return nil
}

func rawConditions(b json.RawMessage) (map[string]map[string]scalars, error) {
	var out map[string]map[string]scalars
	if len(b) > 0 && json.Unmarshal(b, &out) != nil {
		return nil, errSyntax
	}
	return out, nil
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

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
