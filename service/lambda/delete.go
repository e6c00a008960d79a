package lambda

import (
	"context"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/store"
)

// DeleteFunction deletes a function with all that belongs to it, or one of its
// versions.
func (s *Service) DeleteFunction(ctx context.Context, in *api.DeleteFunctionInput) (*api.DeleteFunctionOutput, error) {
	p, qualifier, err := named(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	switch {
	case qualifier == latest:
		return nil, invalid("$LATEST version cannot be deleted without deleting the function.")
	case qualifier != "" && !isVersion(qualifier) && qualifier[0] != '$':
		return nil, invalid("Deletion of aliases is not currently supported.")
	}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		f, err := mustFunction(tx, p, "")
		if err != nil {
			return err
		}
		if qualifier != "" {
			return s.deleteVersion(tx, p, f, qualifier)
		}
		return s.deleteAll(tx, p)
	})
	if err != nil {
		return nil, err
	}
	s.retire(p, qualifier)
	s.upkeep.Wake()
	return &api.DeleteFunctionOutput{StatusCode: new(int32(204))}, nil
}

// deleteVersion deletes a version that no alias leads to. One that is gone already
// is no error.
func (s *Service) deleteVersion(tx store.Tx, p place, f *record, v string) error {
	for e, err := range aliases.Scan(tx, p.key()+"|") {
		if err != nil {
			return err
		}
		if a := e.Value; a.Version == v || a.Weights[v] > 0 {
			return conflict("Version %s of function %s is used by an alias: %s", v, p.name, a.Name)
		}
	}
	delete(f.Policies, v)
	if err := functions.Put(tx, p.key(), f); err != nil {
		return err
	}
	if err := deleteParts(tx, p, v); err != nil {
		return err
	}
	return versions.Delete(tx, p.versionKey(v))
}

// deleteAll deletes a function's records.
func (s *Service) deleteAll(tx store.Tx, p place) error {
	if err := deleteUnder(tx, versions, p.key()+"|"); err != nil {
		return err
	}
	if err := deleteUnder(tx, aliases, p.key()+"|"); err != nil {
		return err
	}
	if err := deleteParts(tx, p, ""); err != nil {
		return err
	}
	return functions.Delete(tx, p.key())
}

// deleteParts deletes what hangs on a qualifier of a function; "" is on any.
func deleteParts(tx store.Tx, p place, qualifier string) error {
	if qualifier == "" {
		if err := deleteUnder(tx, urls, p.key()+"|"); err != nil {
			return err
		}
		return deleteUnder(tx, invokeConfigs, p.key()+"|")
	}
	if err := urls.Delete(tx, p.urlKey(qualifier)); err != nil {
		return err
	}
	return invokeConfigs.Delete(tx, p.versionKey(qualifier))
}

// deleteUnder deletes the documents whose keys begin with a prefix.
func deleteUnder[T any](tx store.Tx, c *store.Collection[T], prefix string) error {
	var keys []string
	for e, err := range c.Scan(tx, prefix) {
		if err != nil {
			return err
		}
		keys = append(keys, e.Key)
	}
	for _, key := range keys {
		if err := c.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}
