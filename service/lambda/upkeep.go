package lambda

import (
	"context"

	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// keepUp removes code that nothing names any more.
func (s *Service) keepUp(ctx context.Context) error {
	return s.code.sweep(func() (map[string]bool, error) { return s.namedCode(ctx) }, s.running)
}

// namedCode are the archives that records name.
func (s *Service) namedCode(ctx context.Context) (names map[string]bool, err error) {
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		names, err = CodeFiles(tx)
		return err
	})
	return names, err
}

// CodeFiles are the archives that a store's records name: ID.zip in the folder "code".
func CodeFiles(tx store.Tx) (map[string]bool, error) {
	names := map[string]bool{}
	for e, err := range versions.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		for _, to := range []*settings{&e.Value.settings, e.Value.Serving} {
			if to == nil {
				continue
			}
			for _, file := range to.files() {
				names[file.ID] = true
			}
		}
	}
	for e, err := range layers.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		names[e.Value.Code.ID] = true
	}
	return names, nil
}

// isBad reports whether an error says that what was given is no good.
func isBad(err error) bool {
	_, ok := fault.As(err)
	return ok
}
