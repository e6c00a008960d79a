// Package fault is the errors that a caller sees: AWS's error codes, each named
// once (codes.go), and the one table that maps them to the wire (status.go).
// It imports nothing of ours. An error that is not a *fault.Error is internal:
// the wire answers 500 and keeps its text in the log.
package fault

import (
	"errors"
	"fmt"
)

// Error is an error with a code that clients act on.
type Error struct {
	Code    string         // AWS's code, such as "ValidationError"
	Message string         // for people: what was wrong, where, what to do
	Fields  map[string]any // further members of the modelled error shape, by member name
	Status  int            // of HTTP, where AWS answers with another one than its model says; usually 0
	Headers [][2]string    // of HTTP, names and values, where AWS tells more there
	cause   error
}

// New makes an error; the message is formatted as by fmt.Sprintf.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// With adds a member of the modelled error shape.
func (e *Error) With(member string, value any) *Error {
	if e.Fields == nil {
		e.Fields = map[string]any{}
	}
	e.Fields[member] = value
	return e
}

// WithHeader adds a header to the answer.
func (e *Error) WithHeader(name, value string) *Error {
	e.Headers = append(e.Headers, [2]string{name, value})
	return e
}

// Because keeps the cause for the log; clients do not see it.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Message + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.cause }

// As finds the *Error in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Is reports whether err carries one of the codes.
func Is(err error, codes ...string) bool {
	e, ok := As(err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}
