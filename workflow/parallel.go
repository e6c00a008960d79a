package workflow

import (
	"errors"
	"sync"
)

// Branch is a part of a flow that runs beside others. Its name is the scope of
// the names of its steps.
type Branch struct {
	Name string
	Run  func(*Flow) error
}

// Parallel runs the branches, at most limit at a time (0: all), and waits for
// all of them. A branch that fails does not stop the others; the errors come
// back joined, in the order of the branches. Undos of the branches become this
// scope's, in the order of the branches.
func (f *Flow) Parallel(limit int, branches ...Branch) error {
	for _, b := range branches {
		if err := f.claim(b.Name + "/"); err != nil {
			return err
		}
	}
	if limit <= 0 {
		limit = max(len(branches), 1)
	}
	slots := make(chan struct{}, limit)
	subs := make([]*Flow, len(branches))
	errs := make([]error, len(branches))
	var wg sync.WaitGroup
	for i, b := range branches {
		subs[i] = f.sub(b.Name)
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			errs[i] = f.r.branch(b, subs[i])
		}()
	}
	wg.Wait()
	for _, sub := range subs {
		f.undos = append(f.undos, sub.undos...)
	}
	if f.r.interrupted.Load() {
		return ErrInterrupted
	}
	var failed []error
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return errors.Join(failed...)
}

func (r *running) branch(b Branch, f *Flow) (err error) {
	returned := false
	defer func() {
		if p := recover(); p != nil {
			err = r.panicked("branch "+b.Name, p)
		} else if !returned { // runtime.Goexit, as t.FailNow does
			r.interrupted.Store(true)
		}
	}()
	err = b.Run(f)
	returned = true
	return err
}
