// Package template reads CloudFormation templates: it parses JSON and YAML with
// a position for every value, checks what can be checked before anything runs,
// resolves parameters, and evaluates conditions and intrinsic functions. It is
// pure: it reads no clock, file or store, and starts no goroutine. It may import
// arn, fault and cfn (the vocabulary) only.
package template

import (
	"fmt"
	"sort"
	"strings"

	"github.com/slipway/slipway/fault"
)

// Problem is one thing that is wrong with a template, and where.
type Problem struct {
	Line, Column int    // from 1; 0 where the problem has no place in the text
	Path         string // such as /Resources/Web/Properties/ImageId
	Message      string // AWS's own form where AWS has one
	Detail       string // what AWS does not say
}

func (p Problem) String() string {
	message := p.Message
	if p.Detail != "" {
		message += ": " + p.Detail
	}
	if p.Line == 0 {
		if p.Path == "" {
			return message
		}
		return p.Path + ": " + message
	}
	if p.Path == "" {
		return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, message)
	}
	return fmt.Sprintf("line %d, column %d, %s: %s", p.Line, p.Column, p.Path, message)
}

// Problems are all that is wrong, in the order of the text.
type Problems []Problem

// maxListed bounds the problems that one answer lists.
const maxListed = 50

// Message begins as AWS's message for the first problem does. Then each
// problem follows with its line, column and path.
func (ps Problems) Message() string {
	if len(ps) == 0 {
		return ""
	}
	if len(ps) == 1 && ps[0].Line == 0 {
		return ps[0].Message
	}
	var b strings.Builder
	b.WriteString(ps[0].Message)
	for i, p := range ps {
		if i == maxListed {
			fmt.Fprintf(&b, "\n  and %d more", len(ps)-i)
			break
		}
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Fault is the ValidationError that carries the problems, nil if there are none.
func (ps Problems) Fault() *fault.Error {
	if len(ps) == 0 {
		return nil
	}
	return fault.New(fault.ValidationError, "%s", ps.Message())
}

// Err is Fault as an error: an untyped nil if there are no problems.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps.Fault()
}

// Sort puts problems in the order of the text; those without a place come first.
func (ps Problems) Sort() {
	sort.SliceStable(ps, func(i, j int) bool {
		if ps[i].Line != ps[j].Line {
			return ps[i].Line < ps[j].Line
		}
		return ps[i].Column < ps[j].Column
	})
}

// At makes a problem with a node's place. n may be nil.
func At(n *Node, format string, args ...any) Problem {
	p := Problem{Message: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Column, p.Path = int(n.Line), int(n.Column), n.Path()
	}
	return p
}

// report collects problems while something is checked.
type report struct{ problems Problems }

func (r *report) at(n *Node, format string, args ...any) {
	r.problems = append(r.problems, At(n, format, args...))
}

func (r *report) done() Problems {
	r.problems.Sort()
	return r.problems
}
