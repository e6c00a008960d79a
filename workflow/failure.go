package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// failure is an error as the journal keeps it.
type failure struct {
	Code    string          `json:",omitempty"` // of a *fault.Error
	Message string          `json:",omitempty"`
	Fields  json.RawMessage `json:",omitempty"` // of a *fault.Error
	Kind    string          `json:",omitempty"` // one of kinds
}

// kinds are the errors that callers tell apart with errors.Is after a replay.
var kinds = []struct {
	name string
	err  error
}{
	{"cancelled", ErrCancelled},
	{"timeout", ErrTimeout},
	{"ended", ErrEnded},
	{"unknown", ErrUnknown},
	{"notdet", ErrNondeterministic},
	{"notfound", store.ErrNotFound},
	{"exists", store.ErrExists},
	{"toolarge", store.ErrTooLarge},
	{"invalid", store.ErrInvalid},
}

func kindOf(err error) string {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return ""
}

func kindNamed(name string) error {
	for _, k := range kinds {
		if k.name == name {
			return k.err
		}
	}
	return nil
}

// Error is what a step that failed for good returns where its error was not a
// *fault.Error: the text, and through errors.Is the sentinel errors of store
// and workflow. It is the same in the first run and in a replay.
type Error struct {
	Message string
	kind    error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.kind }

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that trying again cannot mend.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type transient struct{ error }

func (t transient) Unwrap() error { return t.error }

// Transient marks an error that is worth trying again although it carries a
// *fault.Error, such as a resource still in use by another.
func Transient(err error) error {
	if err == nil {
		return nil
	}
	return transient{err}
}

// isFinal says whether a step that failed with err is done with.
func isFinal(err error) bool {
	var t transient
	if errors.As(err, &t) {
		return false
	}
	var p permanent
	if errors.As(err, &p) {
		return true
	}
	if _, ok := fault.As(err); ok {
		return true
	}
	return kindOf(err) != ""
}

// failureOf is the form of err that is kept.
func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	fe, ok := fault.As(err)
	if !ok {
		return &failure{Message: cut(err.Error()), Kind: kindOf(err)}
	}
	out := &failure{Code: fe.Code, Message: cut(fe.Message)}
	if len(fe.Fields) > 0 {
		// Fields that JSON cannot hold are a bug; the code and text still count.
		if raw, err := json.Marshal(fe.Fields); err == nil && len(raw) <= maxMessage {
			out.Fields = raw
		}
	}
	return out
}

const maxMessage = 64 << 10 // bytes of an error that are kept

func cut(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + " ..."
}

// err is the error again, nil for no failure.
func (f *failure) err() error {
	switch {
	case f == nil:
		return nil
	case f.Code == "":
		return &Error{Message: f.Message, kind: kindNamed(f.Kind)}
	}
	fe := &fault.Error{Code: f.Code, Message: f.Message}
	if len(f.Fields) > 0 {
		dec := json.NewDecoder(bytes.NewReader(f.Fields))
		dec.UseNumber()
		var fields map[string]any
		if dec.Decode(&fields) == nil {
			fe.Fields, _ = numbers(fields).(map[string]any)
		}
	}
	return fe
}

// numbers turns JSON numbers into int64 where they are whole, else float64.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64()
		return n
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}
