package lambda

import (
	"context"
	"errors"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/store"
)

// maxPage is how many items a list gives at most at once.
const maxPage = 50

func limitOf(asked *int32, most int) int {
	if asked == nil || int(*asked) > most {
		return most
	}
	return max(int(*asked), 1)
}

func badMarker(err error) error {
	if errors.Is(err, store.ErrBadToken) {
		return invalid("The marker is not one of this listing.")
	}
	return err
}

// ListFunctions lists the account's functions, with all of their versions if asked.
func (s *Service) ListFunctions(ctx context.Context, in *api.ListFunctionsInput) (*api.ListFunctionsOutput, error) {
	if in.MasterRegion != "" {
		return nil, notBuilt("ListFunctions", "MasterRegion")
	}
	scope := scopeOf(ctx)
	var found []store.Entry[version]
	out := &api.ListFunctionsOutput{Functions: []api.FunctionConfiguration{}}
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		found, out.NextMarker, err = versions.Page(tx, scope.Key()+"/", in.Marker, limitOf(in.MaxItems, maxPage), func(v *version) bool {
			return v.Version == latest || in.FunctionVersion == api.FunctionVersionAll
		})
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	for _, e := range found {
		qualifier := e.Value.Version
		if qualifier == latest && in.FunctionVersion == "" {
			qualifier = ""
		}
		c, err := s.listed(placeOf(e.Key), e.Value, qualifier)
		if err != nil {
			return nil, err
		}
		out.Functions = append(out.Functions, *c)
	}
	return out, nil
}

// ListVersionsByFunction lists a function's versions, $LATEST first.
func (s *Service) ListVersionsByFunction(ctx context.Context, in *api.ListVersionsByFunctionInput) (*api.ListVersionsByFunctionOutput, error) {
	l, err := s.own(ctx, in.FunctionName, "", in)
	if err != nil {
		return nil, err
	}
	var found []store.Entry[version]
	out := &api.ListVersionsByFunctionOutput{Versions: []api.FunctionConfiguration{}}
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		found, out.NextMarker, err = versions.Page(tx, l.place.key()+"|", in.Marker, limitOf(in.MaxItems, maxPage), nil)
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	for _, e := range found {
		c, err := s.listed(l.place, e.Value, e.Value.Version)
		if err != nil {
			return nil, err
		}
		out.Versions = append(out.Versions, *c)
	}
	return out, nil
}
