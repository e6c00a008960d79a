package lambda

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// alias is a name for one version of a function, or for two by weights.
type alias struct {
	Name        string
	Version     string
	Description string             `json:",omitempty"`
	Weights     map[string]float64 `json:",omitempty"` // of the other version
	Revision    string
	Token       string `json:",omitempty"` // of the durable step that made it
}

var aliases = store.NewCollection[alias]("lambda/alias")

func (p place) aliasKey(name string) string { return p.key() + "|" + name }

// getAlias reads an alias; nil where there is none.
func getAlias(tx store.Tx, p place, name string) (*alias, error) {
	a, err := aliases.Get(tx, p.aliasKey(name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return a, err
}

func mustAlias(tx store.Tx, p place, name string) (*alias, error) {
	a, err := getAlias(tx, p, name)
	if err == nil && a == nil {
		err = notFound("Alias not found: %s", p.arn(name))
	}
	return a, err
}

func (a *alias) configuration(p place) *api.AliasConfiguration {
	out := &api.AliasConfiguration{
		AliasArn: p.arn(a.Name), Name: a.Name, FunctionVersion: a.Version, Description: a.Description, RevisionId: a.Revision,
	}
	if len(a.Weights) > 0 {
		out.RoutingConfig = &api.AliasRoutingConfiguration{AdditionalVersionWeights: a.Weights}
	}
	return out
}

// choose is the version that one invocation of the alias goes to.
func (a *alias) choose() string {
	for v, weight := range a.Weights {
		if rand.Float64() < weight {
			return v
		}
	}
	return a.Version
}

// check sees that an alias leads to versions that are there, by weights that are
// some.
func (a *alias) check(tx store.Tx, p place) error {
	v, err := getVersion(tx, p, a.Version)
	if err == nil && v == nil {
		err = notFound("Function not found: %s", p.arn(a.Version))
	}
	if err != nil || len(a.Weights) == 0 {
		return err
	}
	switch {
	case a.Version == latest:
		return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
	case len(a.Weights) > 1:
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for other, weight := range a.Weights {
		switch {
		case other == a.Version:
			return invalid("Invalid function version %s. Function version %s is already included in routing configuration.", other, other)
		case other == latest:
			return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
		case !isVersion(other):
			return invalid("Value '%s' is not the number of a version.", other)
		case !(weight >= 0 && weight <= 1):
			return invalid("Value %s at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: it must be from 0 to 1.", strconv.FormatFloat(weight, 'g', -1, 64))
		}
		v, err := getVersion(tx, p, other)
		if err == nil && v == nil {
			err = notFound("Function not found: %s", p.arn(other))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func weightsOf(r *api.AliasRoutingConfiguration) map[string]float64 {
	if r == nil || len(r.AdditionalVersionWeights) == 0 {
		return nil
	}
	return r.AdditionalVersionWeights
}

// ofFunction finds the function that an alias is of. Its name has no qualifier.
func (s *Service) ofFunction(ctx context.Context, tx store.Tx, name string, in any) (place, *record, error) {
	p, qualifier, err := named(ctx, name, "")
	if err != nil {
		return p, nil, err
	}
	if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
		return p, nil, err
	}
	f, err := mustFunction(tx, p, "")
	return p, f, err
}

// CreateAlias names a version.
func (s *Service) CreateAlias(ctx context.Context, in *api.CreateAliasInput) (*api.CreateAliasOutput, error) {
	token := auth.From(ctx).Token
	var out *api.AliasConfiguration
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p, _, err := s.ofFunction(ctx, tx, in.FunctionName, in)
		if err != nil {
			return err
		}
		was, err := getAlias(tx, p, in.Name)
		switch {
		case err != nil:
			return err
		case was != nil && token != "" && was.Token == token:
			out = was.configuration(p)
			return nil
		case was != nil:
			return conflict("Alias already exists: %s", p.arn(in.Name))
		}
		a := &alias{
			Name: in.Name, Version: in.FunctionVersion, Description: in.Description, Weights: weightsOf(in.RoutingConfig), Revision: arn.NewUUID(), Token: token,
		}
		if err := a.check(tx, p); err != nil {
			return err
		}
		out = a.configuration(p)
		return aliases.Put(tx, p.aliasKey(a.Name), a)
	})
	return (*api.CreateAliasOutput)(out), err
}

// UpdateAlias has an alias lead elsewhere.
func (s *Service) UpdateAlias(ctx context.Context, in *api.UpdateAliasInput) (*api.UpdateAliasOutput, error) {
	var out *api.AliasConfiguration
	err := s.store.Update(ctx, func(tx store.Tx) error {
		p, _, err := s.ofFunction(ctx, tx, in.FunctionName, in)
		if err != nil {
			return err
		}
		a, err := mustAlias(tx, p, in.Name)
		if err != nil {
			return err
		}
		if in.RevisionId != "" && in.RevisionId != a.Revision {
			return stale("GetAlias")
		}
		if in.FunctionVersion != "" {
			a.Version = in.FunctionVersion
		}
		if in.Description != "" {
			a.Description = in.Description
		}
		if in.RoutingConfig != nil {
			a.Weights = weightsOf(in.RoutingConfig)
		}
		if err := a.check(tx, p); err != nil {
			return err
		}
		a.Revision = arn.NewUUID()
		out = a.configuration(p)
		return aliases.Put(tx, p.aliasKey(a.Name), a)
	})
	return (*api.UpdateAliasOutput)(out), err
}

// GetAlias tells where an alias leads.
func (s *Service) GetAlias(ctx context.Context, in *api.GetAliasInput) (*api.GetAliasOutput, error) {
	var out *api.AliasConfiguration
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, qualifier, err := named(ctx, in.FunctionName, "")
		if err != nil {
			return err
		}
		if err := s.permit(ctx, tx, p, qualifier, in); err != nil {
			return err
		}
		a, err := mustAlias(tx, p, in.Name)
		if err == nil {
			out = a.configuration(p)
		}
		return err
	})
	return (*api.GetAliasOutput)(out), err
}

// DeleteAlias deletes an alias. One that is gone is no error.
func (s *Service) DeleteAlias(ctx context.Context, in *api.DeleteAliasInput) (*api.DeleteAliasOutput, error) {
	return &api.DeleteAliasOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		p, f, err := s.ofFunction(ctx, tx, in.FunctionName, in)
		if err != nil {
			return err
		}
		a, err := getAlias(tx, p, in.Name)
		if err != nil || a == nil {
			return err
		}
		delete(f.Policies, in.Name)
		if err := functions.Put(tx, p.key(), f); err != nil {
			return err
		}
		if err := deleteParts(tx, p, in.Name); err != nil {
			return err
		}
		return aliases.Delete(tx, p.aliasKey(in.Name))
	})
}

// ListAliases lists a function's aliases, those that lead to a version if one is
// named.
func (s *Service) ListAliases(ctx context.Context, in *api.ListAliasesInput) (*api.ListAliasesOutput, error) {
	out := &api.ListAliasesOutput{Aliases: []api.AliasConfiguration{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, _, err := s.ofFunction(ctx, tx, in.FunctionName, in)
		if err != nil {
			return err
		}
		found, next, err := aliases.Page(tx, p.key()+"|", in.Marker, limitOf(in.MaxItems, maxPage), func(a *alias) bool {
			return in.FunctionVersion == "" || a.Version == in.FunctionVersion || a.Weights[in.FunctionVersion] > 0
		})
		out.NextMarker, out.Aliases = next, out.Aliases[:0]
		for _, e := range found {
			out.Aliases = append(out.Aliases, *e.Value.configuration(p))
		}
		return err
	})
	if err != nil {
		return nil, badMarker(err)
	}
	return out, nil
}
