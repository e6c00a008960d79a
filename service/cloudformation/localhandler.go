package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// LocalHandlers runs the programs of extensions whose package names the runtime
// "local": no function stands between them and CloudFormation.
type LocalHandlers interface {
	// Run has a program answer a request. failed is what it says of why it did not.
	Run(ctx context.Context, h LocalHandler, request []byte) (answer []byte, failed string, err error)
	// Forget ends what runs of a handler, whose Key it is told.
	Forget(key string)
}

// LocalHandler is such a program.
type LocalHandler struct {
	Key     string // no other handler, nor another version, has it
	Scope   arn.Scope
	Name    string // of the extension
	Program string // its path in the archive
	// Code reads the archive, a zip.
	Code func(ctx context.Context) ([]byte, error)
}

// localRuntime is the runtime of a package with a local handler.
const localRuntime = "local"

// localPrefix begins what stands for the function of such an extension; the key of
// its record follows.
const localPrefix = "local:"

// maxLocalCode bounds the archive of a local handler, in bytes: it is kept with the
// records. What is larger can be a function.
const maxLocalCode = 1 << 20

// localHandler is the record of one, and localCode its archive.
type localHandler struct {
	Scope         arn.Scope
	Name, Program string
}

type localCode struct{ Zip []byte }

// They are keyed by scope and the token of the registration.
var (
	localHandlers = store.NewCollection[localHandler]("cloudformation/localhandler")
	localCodes    = store.NewCollection[localCode]("cloudformation/localhandlercode")
)

// makeLocal keeps a local handler. The same registration finds it again.
func (s *Service) makeLocal(ctx context.Context, r *registration, k extensionPackage, code []byte) (madeHandler, error) {
	switch {
	case s.cfg.Local == nil:
		return madeHandler{}, fault.New(fault.NotImplemented, "the runtime local is not implemented: this Slipway runs no programs")
	case r.LogGroup != "":
		return madeHandler{}, fault.New(fault.NotImplemented, "LoggingConfig of a local handler is not implemented")
	case len(code) > maxLocalCode:
		return madeHandler{}, fault.New(fault.CFNRegistry, "The archive of a local handler has at most %d bytes; a larger one can be a function", maxLocalCode)
	}
	err := s.update(ctx, func(l *apply.Ledger) error {
		return errors.Join(localHandlers.Put(l.Tx, r.key(), &localHandler{r.Scope, r.Name, k.Entrypoint}), localCodes.Put(l.Tx, r.key(), &localCode{code}))
	})
	return madeHandler{Package: k, Function: localPrefix + r.key()}, err
}

// unmakeLocal forgets a local handler.
func (s *Service) unmakeLocal(ctx context.Context, key string) error {
	err := s.update(ctx, func(l *apply.Ledger) error {
		for _, err := range []error{localHandlers.Delete(l.Tx, key), localCodes.Delete(l.Tx, key)} {
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err == nil && s.cfg.Local != nil {
		s.cfg.Local.Forget(key)
	}
	return err
}

// askLocal has a local handler answer a request with JSON.
func (s *Service) askLocal(ctx context.Context, key string, request, answer any) error {
	if s.cfg.Local == nil {
		return fault.New(fault.NotImplemented, "local handlers are not implemented: this Slipway runs no programs")
	}
	payload, err := json.Marshal(request)
	if err != nil {
		return err
	}
	var kept *localHandler
	err = s.view(ctx, func(tx store.Tx) (err error) {
		kept, err = localHandlers.Get(tx, key)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return fault.New("InternalFailure", "the handler is not there any more")
	}
	if err != nil {
		return err
	}
	h := LocalHandler{Key: key, Scope: kept.Scope, Name: kept.Name, Program: kept.Program, Code: func(ctx context.Context) (code []byte, err error) {
		err = s.view(ctx, func(tx store.Tx) error {
			c, err := localCodes.Get(tx, key)
			if err == nil {
				code = c.Zip
			}
			return err
		})
		return code, err
	}}
	out, failed, err := s.cfg.Local.Run(ctx, h, payload)
	switch {
	case err != nil:
		return err
	case failed != "":
		return fault.New("InternalFailure", "the program %s failed: %s", strings.TrimPrefix(kept.Program, "/"), cut(failed, 1024))
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fault.New("InternalFailure", "the program %s did not answer with a progress event", kept.Program)
	}
	return nil
}
