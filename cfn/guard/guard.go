// Package guard reads and evaluates rules of AWS CloudFormation Guard 3 ("Writing AWS
// CloudFormation Guard rules", AWS CloudFormation Guard User Guide) over documents: of
// what a document is about it knows nothing. It is pure, starts no goroutine and
// imports nothing of ours.
//
// What the language has and this package does not read is an error with its line and
// column, never ignored. Regular expressions are Go's (RE2), which take time that grows
// with the text alone; lookarounds and backreferences are refused where they stand.
//
// Where versions of Guard differ, it does as 3.1 does, but where that silently passes or
// ignores what a rule says: a `not` before a comparison counts; integers and floats
// compare; != of two queries holds where they share nothing; EMPTY of a number fails
// its rule, not the file. A variable that is assigned twice in one scope, a name that
// stands for nothing, and a message whose >> is missing are errors of the file.
package guard

import (
	"context"
	"fmt"
)

// Status is what a rule comes to.
type Status int

// Statuses. A rule whose conditions are not met, or whose filters select nothing, is
// skipped.
const (
	Skip Status = iota
	Pass
	Fail
)

func (s Status) String() string { return [...]string{"SKIP", "PASS", "FAIL"}[s] }

// Bounds.
const (
	// MaxRules is the most bytes that a file of rules may have.
	MaxRules = 1 << 20
	maxDepth = 64 // of blocks, filters and literals in each other; of rules that call rules
	// maxResults bounds the values of one query: keys from a variable multiply them.
	maxResults = 100_000
	// maxText bounds texts that functions make, and patterns that they are given.
	maxText    = 1 << 20
	maxPattern = 4 << 10
)

// Position is a place in a file of rules. Lines and columns count from one; columns
// count characters.
type Position struct{ Line, Column int }

func (p Position) String() string { return fmt.Sprintf("line %d, column %d", p.Line, p.Column) }

// Error is what is wrong with a file of rules, or with their evaluation.
type Error struct {
	File string
	Position
	Text string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.File, e.Position, e.Text)
}

// Rules is a file of rules.
type Rules struct {
	file   string
	lets   []*let
	rules  []*rule
	params map[string]*rule
}

// RuleResult is what the rules of a name came to.
type RuleResult struct {
	Name   string
	Status Status
	// Failures are the checks that failed while the rule was evaluated, in order.
	// Those of filters and conditions are none.
	Failures []Failure

	referred Status
}

// Failure is a check that failed.
type Failure struct {
	Position
	Clause  string // the check's text
	Path    string // of the value: /Resources/Bucket/Properties/BucketName
	Reason  string
	Message string // the rule's own
}

// Report is what rules come to over a document.
type Report struct {
	File  string
	Rules []RuleResult
}

// Status is that of the file: it fails with any of its rules.
func (r *Report) Status() Status {
	s := Skip
	for i := range r.Rules {
		s = max(s, r.Rules[i].Status)
	}
	return s
}

// Evaluate evaluates the rules over a document. It ends with the context.
func (r *Rules) Evaluate(ctx context.Context, document *Value) (*Report, error) {
	e := newEvaluation(ctx, r, document)
	report := &Report{File: r.file}
	for _, name := range e.order {
		result, err := e.named(Position{1, 1}, name)
		if err != nil {
			return nil, err
		}
		report.Rules = append(report.Rules, *result)
	}
	return report, nil
}
