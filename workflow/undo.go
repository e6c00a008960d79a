package workflow

import (
	"context"
	"errors"
	"fmt"
)

type undo struct {
	f    *Flow
	name string
	fn   func(ctx context.Context, token string) error
}

// Undo says how to undo what was just done, should Unwind be called. The name
// is of a namespace of its own, so it may be that of the step it undoes. fn is
// idempotent, as that of a Step is, and does without anything its step may not
// have got to.
func (f *Flow) Undo(name string, fn func(ctx context.Context, token string) error) {
	f.undos = append(f.undos, undo{f: f, name: name, fn: fn})
}

// Unwind undoes what was registered in this scope and in the branches that ran
// below it, the latest first, each as a step. It goes on after one that
// failed for good, and returns all failures. What it has undone it forgets.
func (f *Flow) Unwind() error {
	var errs []error
	for len(f.undos) > 0 {
		u := f.undos[len(f.undos)-1]
		f.undos = f.undos[:len(f.undos)-1]
		_, err := u.f.step(kindUndo, u.name, u.f.scope+"!undo!"+esc(u.name), nil, func(ctx context.Context, token string) (any, error) {
			return nil, u.fn(ctx, token)
		})
		if errors.Is(err, ErrInterrupted) {
			return err
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("undo %s: %w", u.name, err))
		}
	}
	return errors.Join(errs...)
}
